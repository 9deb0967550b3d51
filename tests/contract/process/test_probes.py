"""A pod by the probes of the manifests, asked as the kubelet asks, with a real server in it."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import yaml  # type: ignore[import-untyped]

from tests.contract.process.support import Server, new_player, until, write_lock
from tests.support.redis import RedisServer

MANIFEST: Final = Path(__file__).parents[3] / "deploy" / "kubernetes" / "api.yaml"
DEPLOYMENT: Final[dict[str, Any]] = next(
    each for each in yaml.safe_load_all(MANIFEST.read_text()) if each["kind"] == "Deployment"
)
CONTAINER: Final[dict[str, Any]] = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]


def passes(kind: str, port: int) -> bool:
    """Ask a probe once, in the time that it has: 200 to 399 is a pass, nothing else is."""
    probe = CONTAINER[kind]
    url = f"http://127.0.0.1:{port}{probe['httpGet']['path']}"
    try:
        answer = httpx.get(
            url,
            headers={"User-Agent": "kube-probe/1.37", "Connection": "close"},
            timeout=probe["timeoutSeconds"],
            trust_env=False,
        )
    except httpx.TransportError:
        return False
    return 200 <= answer.status_code < 400


def test_a_pod_is_sent_nobody_while_it_cannot_answer_and_is_restarted_for_none_of_it(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """Its dependencies gone or standing still: out of the service within its time, and alive."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    redis = RedisServer(tmp_path / "redis").start()
    try:
        assert not passes("startupProbe", port)
        server = serve(PORT=str(port), REDIS_URL=redis.url)
        assert passes("startupProbe", port)
        assert passes("readinessProbe", port)

        with write_lock(server.database):
            assert not passes("readinessProbe", port)
            assert passes("livenessProbe", port)
        until(lambda: passes("readinessProbe", port))

        redis.kill()
        until(lambda: not passes("readinessProbe", port))
        assert passes("livenessProbe", port)
        redis.start()
        until(lambda: passes("readinessProbe", port))

        # What stands still is found out, and is what liveness is for.
        server.send(signal.SIGSTOP)
        assert not passes("livenessProbe", port)
        server.send(signal.SIGCONT)
        until(lambda: passes("livenessProbe", port))
    finally:
        redis.kill()


def test_a_pod_that_ends_is_sent_nobody_before_it_takes_nobody(
    serve: Callable[..., Server],
) -> None:
    """Until the hook's time is over it answers; then it drains, and ends before it is killed."""
    server = serve()
    with server.client() as http:
        new_player(http, 1)
        assert passes("readinessProbe", server.port)
        server.send(signal.SIGTERM)
        until(lambda: not passes("readinessProbe", server.port))
    assert server.wait() == 0
    pod = DEPLOYMENT["spec"]["template"]["spec"]
    command, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    probe = CONTAINER["readinessProbe"]
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + 30
    # The startup probe waits for a migration of the embedded store, or a slow database.
    startup = CONTAINER["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120
    liveness = CONTAINER["livenessProbe"]
    assert (
        liveness["periodSeconds"] * liveness["failureThreshold"]
        > probe["periodSeconds"] * probe["failureThreshold"]
    )
