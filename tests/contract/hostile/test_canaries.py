"""No secret is told: not in logs, errors, answers, metrics, pages, files, backups or reprs."""

import io
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, Final, cast

import pytest
import structlog
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.generation.case import Case

from aiba_entry.cli.main import main
from aiba_entry.readiness.checks import LEFTOVERS
from aiba_entry.readiness.judgment import examine
from aiba_entry.settings import SettingsError, load
from aiba_entry.signer import environment as signer
from aiba_entry.signer.settings import SERVICE_VARIABLES
from aiba_entry.variables import SECRETS
from tests.contract.game.support import BOT_TOKEN
from tests.contract.hostile.canaries import (
    CANARIES,
    PASSWORD,
    REFUSED,
    SIGNER_CANARIES,
    TOLD,
    heard,
)
from tests.contract.hostile.target import Target, kind_of
from tests.support import ready
from tests.support.watch import PIECE

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
    "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
}
"""The secrets of a service over a store and a chain in the test's own process."""
CASES: Final = 100 if settings().max_examples > 1_000 else 1
"""How many generated requests each operation gets; all of them meet processes as well."""

CONFIGURATION: Final = Path(__file__).parents[3] / "docs" / "configuration.md"
VARIABLES: Final = sorted(
    {
        name
        for row in CONFIGURATION.read_text(encoding="utf-8").splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+|HOST|PORT)`", row.split("|")[1])
    }
)
"""Every variable there is, by the documents, which a test holds against the code."""

SIGNER_VARIABLES: Final = (*signer.VARIABLES, *SERVICE_VARIABLES)


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
    """A new secret fails this test until it has one, a signer's and one that is refused too."""
    assert set(CANARIES) == set(SECRETS)
    assert set(SIGNER_CANARIES) == set(signer.SECRETS)
    assert set(REFUSED) == {"ADMIN_PASSWORD", *LEFTOVERS}
    assert set(TOLD) >= {*CANARIES, *SIGNER_CANARIES, *REFUSED}
    assert len(set(TOLD.values())) == len(TOLD)


def test_what_is_kept_out_of_logs_is_every_secret() -> None:
    """Of whatever kind a service is, what it read of each is hidden wherever it stands."""
    hidden: set[str] = set()
    for one in (WITHOUT_KEY, WITH_KEY):
        read = load({**ready.READY, **one, "APP_ENV": "test"})
        hidden |= {*read.secrets}
    told = [TOLD[name] for name in CANARIES if name != "ADMIN_PASSWORD_HASH"]
    assert {*told, CANARIES["ADMIN_PASSWORD_HASH"], CANARIES["MONGO_URI"]} <= hidden


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


@pytest.mark.parametrize("name", [*CANARIES, *REFUSED])
def test_a_faulty_secret_is_refused_by_its_name(name: str) -> None:
    """One that can't be one, one in two places, one whose file is elsewhere."""
    secret = TOLD[name]
    for change in (
        {name: f"{secret}\x07"},
        {name: secret[:PIECE]},
        {f"{name}_FILE": secret},
        {name: "", f"{name}_FILE": secret},
        {"SESSION_SECRET_NEXT": secret},
    ):
        _refused({**ready.READY, **WITHOUT_KEY, **change})


def test_a_secret_in_place_of_any_other_value_is_not_told() -> None:
    """An operator who mixes up two lines of a file is told of it without the secret."""
    names = [each for each in VARIABLES if each.removesuffix("_FILE") not in SECRETS]
    assert len(names) > 50
    for name, secret in zip(names, cycle(CANARIES.values())):
        _refused({**ready.READY, **WITHOUT_KEY, name: secret})


def test_a_signer_tells_no_secret_in_place_of_another_value(tmp_path: Path) -> None:
    """As a service; what has no fault of its own is refused for another variable's."""
    runner = CliRunner(env=dict.fromkeys(SIGNER_VARIABLES))
    for name, secret in zip(SIGNER_VARIABLES, cycle(SIGNER_CANARIES.values())):
        for change in ({name: secret}, {f"{name}_FILE": secret}):
            environ = {**SIGNER_CANARIES, **change, "SIGNER_PORT": "none"}
            told = runner.invoke(main, ["signer", "serve"], env=environ)
            assert told.exit_code == 78
            assert heard(told.output) == [], name
    assert [*tmp_path.iterdir()] == []


def _refused(environ: dict[str, str]) -> None:
    """Judge an environment in every way there is; nothing of it is told."""
    runner = CliRunner()
    for words in (["doctor"], ["doctor", "--json"]):
        told = runner.invoke(main, words, env=environ)
        assert heard(told.output) == [], told.output
    assert heard(_refusal(environ)) == []


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
    game.as_player(target.player)
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
