"""`aiba admin`: accounts, hashes and the trail, on the store that the environment names."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from aiba_entry.cli.main import main
from aiba_entry.passwords import cost_of, matches
from tests.support import admins
from tests.support.admins import CHEAP, EMAIL

OTHER: Final = "ops@game.example"
PASSWORD: Final = "a password of the operator"

Aiba = Callable[..., Result]


@pytest.fixture(name="aiba")
def _aiba(tmp_path: Path) -> Aiba:
    """Return what runs `aiba admin` on a store of the test's own; `given` is typed in."""
    environ: Mapping[str, str] = {**admins.ENVIRON, "AIBA_DATA_DIR": str(tmp_path)}

    def run(*words: str, given: str = "") -> Result:
        return CliRunner().invoke(main, ["admin", *words], input=given, env=environ)

    return run


def told(result: Result) -> Any:  # noqa: ANN401 - JSON
    """Return what a command printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_account_is_looked_after(aiba: Aiba) -> None:
    """Made, changed and ended, each change on a trail whose rows follow one another."""
    made = told(aiba("add", OTHER.upper(), "--role", "operator", given=f"{PASSWORD}\n"))
    assert (made["email"], made["role"], made["createdBy"]) == (OTHER, "operator", "cli")
    assert told(aiba("set-role", OTHER, "viewer"))["role"] == "viewer"
    assert told(aiba("disable", OTHER))["disabledAt"]
    assert told(aiba("enable", OTHER))["disabledAt"] is None
    reset = told(aiba("reset-password", OTHER, given="another password, longer\n"))
    assert told(aiba("revoke", OTHER))["generation"] == reset["generation"] + 1
    assert [each["email"] for each in told(aiba("list"))] == [OTHER]
    walked = aiba("verify-audit")
    assert (walked.exit_code, walked.stdout.startswith("6 rows follow one another")) == (0, True)
    assert "$2" not in aiba("list").stdout


def test_an_address_is_allowed_before_anybody_logged_in_from_it(aiba: Aiba) -> None:
    """Also for the environment's account before its first login; again it changes nothing."""
    told(aiba("add", OTHER, given=f"{PASSWORD}\n"))
    for email in (OTHER, EMAIL.upper()):
        for _ in range(2):
            allowed = told(aiba("allow-address", email, "2001:db8::7"))
            assert allowed["addresses"] == ["2001:db8::/64"]
    (root,) = (each for each in told(aiba("list")) if each["email"] == EMAIL)
    assert (root["role"], root["origin"], root["generation"]) == ("superadmin", "environment", 1)
    assert aiba("verify-audit").stdout.startswith("3 rows follow")


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (("add", "nobody"), PASSWORD, "EMAIL"),
        (("add", OTHER), "too short", "password: minLength:12"),
        (("add", OTHER), "ü" * 40, "password: maxLength:72"),
        (("add", OTHER), f" {PASSWORD}", "password: pattern"),
        (("add", EMAIL), PASSWORD, "admin already exists"),
        (("disable", OTHER), "", "admin not found"),
        (("allow-address", OTHER, "203.0.113.7"), "", "admin not found"),
        (("hash-password",), "", "password: minLength:12"),
    ],
)
def test_what_can_not_be_done_is_said(
    aiba: Aiba, words: tuple[str, ...], given: str, said: str
) -> None:
    """In one line, without the password, and with exit code 1."""
    result = aiba(*words, given=f"{given}\n")
    assert result.exit_code == 1
    assert said in result.output
    assert PASSWORD not in result.output


def test_a_hash_is_printed_for_the_settings(aiba: Aiba) -> None:
    """It fits its password and no other, at the cost asked for."""
    result = aiba("hash-password", "--cost", str(CHEAP), given=f"{PASSWORD}\n")
    hashed = result.stdout.strip()
    assert matches(PASSWORD, hashed)
    assert not matches(PASSWORD.upper(), hashed)
    assert cost_of(hashed) == CHEAP
