"""No secret is told: not in logs, errors, answers, metrics, pages, files, backups or reprs."""

import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import pytest
import structlog
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation.case import Case

from aiba_entry.cli.main import main
from aiba_entry.readiness.judgment import examine
from aiba_entry.settings import SettingsError, load
from aiba_entry.signer import environment as signer
from aiba_entry.variables import SECRETS
from tests.contract.game.support import BOT_TOKEN
from tests.contract.hostile.canaries import CANARIES, PASSWORD, TOLD, disguises, heard
from tests.contract.hostile.target import Target, kind_of
from tests.support import ready

WITHOUT_KEY: Final[dict[str, str]] = {
    **CANARIES,
    "ORACLE_PRIVATE_KEY_HEX": "",
    "REDIS_PASSWORD": "",
}
WITH_KEY: Final[dict[str, str]] = {
    **CANARIES,
    "ORACLE_SIGNER_TOKEN": "",
    "ORACLE_SIGNER_URL": "",
    "REDIS_URL": "redis://cache.example:6379/0",
}
SERVED: Final = {
    **CANARIES,
    **dict.fromkeys(("MONGO_URI", "REDIS_URL", "REDIS_PASSWORD", "ORACLE_SIGNER_TOKEN"), ""),
    # Players of the tests sign with this one.
    "TELEGRAM_BOT_TOKEN_PREVIOUS": BOT_TOKEN,
}
"""The secrets of a service over a store and a chain in the test's own process."""
CASES: Final = 6


@pytest.fixture(name="log")
def _log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what is logged, warnings and above."""
    log = io.StringIO()
    structlog.reset_defaults()
    monkeypatch.setattr(sys, "stderr", log)
    return log


@pytest.fixture(name="target")
def _target(tmp_path: Path, log: io.StringIO) -> Iterator[Target]:
    del log
    target = Target(tmp_path, kind="sqlite", environ=SERVED, password=PASSWORD)
    yield target
    target.close()


def test_every_secret_has_a_canary() -> None:
    """A new secret fails this test until it has one; each can be heard in every disguise."""
    assert set(CANARIES) == set(SECRETS)
    assert len(set(CANARIES.values())) == len(CANARIES)
    for name, secret in TOLD.items():
        for song in disguises(secret):
            assert name in heard(f"x{song}x")
    assert heard("nothing of the kind") == []


def test_a_signer_has_no_secret_of_another_kind() -> None:
    """The signer's secrets are known here too, so that a new one is thought of."""
    assert set(signer.SECRETS) - set(SECRETS) == {signer.AUDIT_KEY, signer.PIN}


@pytest.mark.parametrize("given", [WITHOUT_KEY, WITH_KEY], ids=["signer", "key"])
def test_settings_and_findings_tell_none(given: Mapping[str, str]) -> None:
    """Neither what is read nor what is said of it, however much of it is wrong."""
    cheap = CANARIES["ADMIN_PASSWORD_HASH"]
    environ = {**ready.READY, **given, "ADMIN_PASSWORD_HASH": cheap.replace("$04$", "$12$")}
    read = load(environ)
    assert heard(f"{read!r} {read}") == []
    for change in ready.FAILING.values():
        readiness, settings = examine({**environ, **change})
        assert heard(f"{readiness!r} {settings!r}") == []


@pytest.mark.parametrize("name", CANARIES)
def test_a_secret_in_a_wrong_place_is_not_told(name: str) -> None:
    """A faulty value, and a secret where a port or an address belongs, is refused by its name."""
    runner = CliRunner()
    for change in (
        {name: f"{CANARIES[name]}\x07"},
        {"PORT": CANARIES[name]},
        {"CORS_ORIGIN": CANARIES[name]},
        {f"{name}_FILE": "/nowhere"},
        {"SESSION_SECRET_NEXT": CANARIES[name]},
    ):
        environ = {**ready.READY, **WITHOUT_KEY, **change}
        told = runner.invoke(main, ["doctor"], env=environ)
        as_json = runner.invoke(main, ["doctor", "--json"], env=environ)
        assert heard(told.output + as_json.output) == [], change.keys()
        assert heard(_refusal(environ)) == [], change.keys()


def _refusal(environ: dict[str, str]) -> str:
    try:
        load(environ)
    except SettingsError as refused:
        return f"{refused!r} {refused}"
    return ""


def test_nothing_that_is_asked_brings_one_out(
    target: Target, log: io.StringIO, tmp_path: Path
) -> None:
    """Whatever is asked, and when it crashes: answers, logs, metrics, pages and files are clean."""
    every = [cast("Ok[Any]", found).ok() for found in target.schema.get_all_operations()]
    for operation in every:
        _ask(target, operation)
    game = target.game
    for path in ("/openapi.json", "/docs", "/metrics", "/api/admin/audit?limit=200", "/ready"):
        assert heard(target.page(path)) == [], path
    game.faults.crash_at(2)
    crashed = game.fight(target.player, target.broker, "crash")
    assert crashed.status_code == 500
    assert heard(crashed.text) == []
    assert "Traceback" in log.getvalue()
    assert heard(log.getvalue()) == []
    assert heard(f"{game.settings!r} {game.container!r} {game.app!r} {vars(game.app)}") == []
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or heard(file.read_bytes()) == [], file.name


def _ask(target: Target, operation: Any) -> None:  # noqa: ANN401 - generic
    headers = {} if kind_of(operation) == "anyone" else target.credentials(operation)

    @settings(
        max_examples=CASES,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(operation.as_strategy())
    def asked(case: Case[Any]) -> None:
        answer = target.send(case, headers)
        assert heard(answer.content + str(answer.headers).encode()) == []

    asked()
