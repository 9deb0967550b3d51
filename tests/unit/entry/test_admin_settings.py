"""What the environment says of admins: all of it or nothing, and no value in any text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from aiba_entry.admin_settings import hash_fault
from aiba_entry.passwords import hash_of
from aiba_entry.settings import SettingsError, load

HASH: Final = hash_of("the password of the first admin", 4)
ADMIN: Final[Mapping[str, str]] = {
    "ADMIN_JWT_SECRET": "admin-jwt-secret-of-the-tests-0123456789",
    "ADMIN_EMAIL": " Root@Game.example ",
    "ADMIN_PASSWORD_HASH": HASH,
}


def environ(folder: Path, **given: str) -> dict[str, str]:
    """Return an environment of a test's own with some variables."""
    return {"APP_ENV": "test", "AIBA_DATA_DIR": str(folder), **given}


def faults(folder: Path, **given: str) -> Mapping[str, str]:
    """Return what is wrong with an environment, having checked that no secret is told."""
    with pytest.raises(SettingsError) as refused:
        load(environ(folder, **given))
    open_to_see = ("ADMIN_EMAIL", "ADMIN_TOKEN_TTL_SECONDS")
    secrets = [value for name, value in given.items() if name not in open_to_see]
    assert not [value for value in secrets if value and value in str(refused.value)]
    return refused.value.problems


def test_admins_are_read_whole(tmp_path: Path) -> None:
    """The email in lower case, 12 hours by default, and nothing shown."""
    settings = load(environ(tmp_path, **ADMIN))
    assert settings.admin is not None
    assert (settings.admin.email, settings.admin.token_ttl_s) == ("root@game.example", 43_200)
    for text in (repr(settings), repr(settings.admin), str(settings.admin)):
        assert ADMIN["ADMIN_JWT_SECRET"] not in text
        assert HASH not in text
    assert {ADMIN["ADMIN_JWT_SECRET"], HASH} <= set(settings.secrets)
    assert load(environ(tmp_path)).admin is None


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    """Each as NAME_FILE, never both."""
    given = dict(ADMIN)
    for name in ("ADMIN_JWT_SECRET", "ADMIN_PASSWORD_HASH", "ADMIN_JWT_SECRET_PREVIOUS"):
        path = tmp_path / name
        path.write_text(f"{given.pop(name, 'the-secret-before-the-secret-of-the-tests')}\n")
        given[f"{name}_FILE"] = str(path)
    admin = load(environ(tmp_path, **given)).admin
    assert admin is not None
    assert admin.jwt_secret == ADMIN["ADMIN_JWT_SECRET"]
    assert admin.password_hash == HASH
    assert admin.other_jwt_secrets == ("the-secret-before-the-secret-of-the-tests",)
    assert "ADMIN_JWT_SECRET" in faults(tmp_path, **{**given, **ADMIN})


@pytest.mark.parametrize("missing", ADMIN)
def test_a_part_of_it_is_refused(tmp_path: Path, missing: str) -> None:
    """All three or none."""
    given = {name: value for name, value in ADMIN.items() if name != missing}
    assert set(faults(tmp_path, **given)) == {missing}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_JWT_SECRET", "short"),
        ("ADMIN_JWT_SECRET", "change-me-change-me-change-me-change-me"),
        ("ADMIN_JWT_SECRET_PREVIOUS", ADMIN["ADMIN_JWT_SECRET"]),
        ("ADMIN_JWT_SECRET_NEXT", ADMIN["ADMIN_JWT_SECRET"]),
        ("ADMIN_JWT_SECRET_NEXT", "short"),
        ("ADMIN_EMAIL", "root"),
        ("ADMIN_PASSWORD_HASH", "the password of the first admin"),
        pytest.param("ADMIN_PASSWORD_HASH", HASH[:-1], id="hash-cut-short"),
        pytest.param("ADMIN_PASSWORD_HASH", HASH.replace("$04$", "$17$"), id="hash-too-costly"),
        ("ADMIN_PASSWORD", "the password of the first admin"),
        ("ADMIN_TOKEN_TTL_SECONDS", "0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, value: str) -> None:
    """By its variable."""
    assert set(faults(tmp_path, **{**ADMIN, name: value})) == {name}


def test_a_previous_secret_alone_means_nothing(tmp_path: Path) -> None:
    """Without admins there are no tokens."""
    given = {"ADMIN_JWT_SECRET_PREVIOUS": "the-secret-before-the-secret-of-the-tests"}
    assert set(faults(tmp_path, **given)) == set(given)


def test_production_wants_a_hash_that_costs_something() -> None:
    """From 10 on, as the service before had."""
    assert hash_fault(HASH, strict=False) is None
    assert hash_fault(HASH, strict=True) is not None
    assert hash_fault(HASH.replace("$04$", "$10$"), strict=True) is None
