"""A real process tells its supervisor that it serves, that it lives, and that it drains."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

from tests.contract.process.support import PATIENCE_S, Server


def test_a_server_tells_when_it_serves_lives_and_drains(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """Ready is told once it can be called, not before; the way down is told before the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(PATIENCE_S)
        place = str(tmp_path / "notify")
        server = serve(ready=False, NOTIFY_SOCKET=place, WATCHDOG_USEC="60000000")
        assert line.recv(64) == b"READY=1"
        with server.wait_until_ready().client() as http:
            assert http.get("/ready").status_code == 200
        assert line.recv(64) == b"WATCHDOG=1"
        server.send(signal.SIGTERM)
        heard = b"WATCHDOG=1"
        while heard == b"WATCHDOG=1":
            heard = line.recv(64)
        assert heard == b"STOPPING=1"
        assert server.wait() == 0
