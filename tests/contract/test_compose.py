"""The services of compose.yaml are ones that can start: their settings, commands and health checks.

Docker isn't needed: what it would run is run here, in a folder.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click
import pytest
from msgspec import yaml

from aiba_entry.cli.main import main
from aiba_entry.settings import load
from aiba_entry.signer.settings import read_service
from aiba_entry.variables import SecretFile

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.decode((ROOT / "compose.yaml").read_bytes())
SERVICES: Final[Mapping[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = sorted(name for name, each in SERVICES.items() if "build" in each)
CONFIGURATION: Final = (ROOT / "docs" / "configuration.md").read_text()
TESTS_OWN: Final = frozenset({"AIBA_TEST_MONGO_URI"})
VAULT: Final = {
    "ARENA_VAULT_ADDRESS": f"0:{'33' * 32}",
    "AIBA_JETTON_MASTER": f"0:{'44' * 32}",
    "TON_PROOF_DOMAINS": "game.example",
}

TOKEN: Final = "2f9c61b07de84a35c1b0f3a48d6e7295"
"""A token of the signer's."""

_INNER: Final = re.compile(r"\$\{(\w+):([-+])([^${}]*)\}")
_PATIENCE_S: Final = 30.0


def substituted(text: str, given: Mapping[str, str]) -> str:
    """Return a text with its variables, those within others first, as Compose does."""
    while found := _INNER.search(text):
        name, kind, other = found.groups()
        value = given.get(name, "")
        text = text.replace(found[0], (value or other) if kind == "-" else (value and other))
    assert "${" not in text.replace("$$", "")
    return text.replace("$$", "$")


def environment_of(service: str, **given: str) -> dict[str, str]:
    """Return the environment of a service where those variables are set."""
    found: dict[str, str] = SERVICES[service].get("environment", {})
    return {name: substituted(str(value), given) for name, value in found.items()}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_of_a_named_version(name: str) -> None:
    """What starts today starts tomorrow."""
    assert re.search(r":v?\d", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_can_tell(name: str) -> None:
    """Who is waited for is there, and has a health check, or ends."""
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other], other
        else:
            assert SERVICES[other]["restart"] == "no", other
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or source.startswith("./deploy/")
    for config in SERVICES[name].get("configs", []):
        assert config["source"] in COMPOSE["configs"]
    assert ("healthcheck" in SERVICES[name]) == (SERVICES[name].get("restart") == "unless-stopped")


@pytest.mark.parametrize("name", OURS)
def test_ours_can_change_nothing_but_their_volumes(name: str) -> None:
    """The image is the one of deploy/, without capabilities; only the tests write to its root."""
    service = SERVICES[name]
    assert (ROOT / service["build"]["dockerfile"]).exists()
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] == (name != "tests")
    assert not service.get("privileged", False)
    assert service.get("user", "") in ("", "10001:10001")


@pytest.mark.parametrize("name", OURS)
def test_a_variable_is_one_that_is_read(name: str) -> None:
    """Each is documented, or the tests' own."""
    for variable in set(environment_of(name)) - TESTS_OWN:
        names = {f"`{variable}`", f"`{variable.removesuffix('_FILE')}`"}
        assert any(name in CONFIGURATION for name in names), variable


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_that_there_is(name: str) -> None:
    """Also those within a script."""
    command = SERVICES[name]["command"]
    words = command[-1] if command[0] == "sh" else " ".join(command)
    called = re.findall(r"^(?:aiba )([a-z- ]+[a-z])", words, re.MULTILINE)
    assert called or command[0] == "pytest"
    for each in called:
        at: click.Command | None = main
        for word in each.split():
            if isinstance(at, click.Group):
                at = at.get_command(click.Context(at), word)
        assert isinstance(at, click.Command), each
        assert not isinstance(at, click.Group), each


@pytest.mark.parametrize("given", [{}, VAULT], ids=["without a vault", "with one"])
def test_the_api_would_start(given: dict[str, str]) -> None:
    """Without a vault there are no withdrawals; with one they are signed by the signer."""
    environ = environment_of("api", **given)
    settings = load(environ, lambda _: SecretFile(TOKEN, exposed=False))
    assert (settings.ton is not None) == bool(given)
    assert settings.mongo_uri
    assert settings.redis


@pytest.fixture(name="folder")
def _folder() -> Any:  # noqa: ANN401 - a generator
    """Return a folder with a name that is short enough for a socket in it."""
    folder = Path(tempfile.mkdtemp(prefix="aiba-"))
    yield folder
    shutil.rmtree(folder)


def moved(text: str, folder: Path) -> str:
    """Return a text whose volumes are folders in `folder`."""
    return re.sub(r"(?<![\w.])/(signer-log|signer|run/signer)(?=/)", rf"{folder}/\1", text)


def test_the_signer_gets_a_key_once_and_is_healthy(folder: Path) -> None:
    """The script makes all it needs, once; the service starts with it and the check passes."""
    environ = {name: moved(value, folder) for name, value in environment_of("signer").items()}
    environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name in ("signer", "signer-log", "run/signer"):
        (folder / name).mkdir(parents=True)
    shell, options, script = SERVICES["signer-keys"]["command"]
    words = [shutil.which(shell) or shell, options, moved(substituted(script, {}), folder)]
    made = []
    for _ in range(2):
        subprocess.run(words, env=environ, check=True, capture_output=True)  # noqa: S603 - ours
        made.append((folder / "signer" / "oracle.key").read_bytes())
    assert made[0] == made[1]
    assert read_service(environ)[1] == []
    asyncio.run(_healthy(environ, moved(SERVICES["signer"]["healthcheck"]["test"][-1], folder)))


async def _healthy(environ: Mapping[str, str], check: str) -> None:
    """Serve until the health check passes."""
    environ = {**environ, "TON_PROVIDER_URL": "http://127.0.0.1:9/api/v2/jsonRPC"}
    program, *words = SERVICES["signer"]["command"]
    server = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name(program),
        *words,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            line = await server.stdout.readline()
            assert b"Signer" in line
            probe = await asyncio.create_subprocess_exec(sys.executable, "-c", check)
            assert await probe.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            server.terminate()
        await server.communicate()
