"""The API's settings of a signer: either a key or a signer, all of it, and no fault unsaid."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from aiba_entry.settings import SettingsError, load
from aiba_entry.signer_access import SignerAccess
from tests.contract.signer_service.support import TOKEN

BASE: Mapping[str, str] = {
    "APP_ENV": "test",
    "TELEGRAM_BOT_TOKEN": "123456789:AAExampleExampleExampleExample",
    "SESSION_SECRET": "correct-horse-battery-staple-0123",
    "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
    "ARENA_VAULT_ADDRESS": f"0:{'11' * 32}",
    "AIBA_JETTON_MASTER": f"0:{'22' * 32}",
    "TON_PROVIDER_URL": "https://toncenter.com/api/v2/jsonRPC",
    "TON_PROOF_DOMAINS": "game.example",
    "ORACLE_SIGNER_URL": "unix:/run/signer/signer.sock",
    "ORACLE_SIGNER_TOKEN": TOKEN,
}
PROD: Mapping[str, str] = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://game.example",
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
}


def access(**changes: str) -> SignerAccess:
    """Return the access that an environment gives."""
    settings = load({**BASE, **changes})
    assert settings.ton is not None
    assert settings.ton.signer is not None
    assert settings.ton.oracle_environ == {}
    assert TOKEN in settings.secrets
    for shown in (repr(settings), repr(settings.ton), repr(settings.ton.signer)):
        assert TOKEN not in shown
    return settings.ton.signer


def test_a_signer_takes_the_keys_place(tmp_path: Path) -> None:
    """With a token by itself or in a file; without named keys the vault's own is believed."""
    assert access().public_keys == frozenset()
    assert access().place.socket == "/run/signer/signer.sock"
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    in_file = {"ORACLE_SIGNER_TOKEN": "", "ORACLE_SIGNER_TOKEN_FILE": str(tmp_path / "token")}
    assert access(**in_file).place.token == TOKEN
    two = access(ORACLE_PUBLIC_KEY_HEX=f"{'0A' * 32}, {'0b' * 32}")
    assert two.public_keys == {bytes([10]) * 32, bytes([11]) * 32}


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({"ORACLE_PRIVATE_KEY_HEX": "aa" * 32}, "ORACLE_PRIVATE_KEY_HEX", "the signer alone"),
        ({"ORACLE_PRIVATE_KEY_HEX_FILE": "/k"}, "ORACLE_PRIVATE_KEY_HEX_FILE", "the signer alone"),
        ({"ORACLE_SIGNER_TOKEN": ""}, "ORACLE_SIGNER_TOKEN", "is required"),
        ({"ORACLE_SIGNER_TOKEN": "short"}, "ORACLE_SIGNER_TOKEN", "32 to 256"),
        ({"ORACLE_SIGNER_TOKEN_FILE": "/t"}, "ORACLE_SIGNER_TOKEN", "given twice"),
        (
            {"ORACLE_SIGNER_TOKEN": "", "ORACLE_SIGNER_TOKEN_FILE": "/no/file"},
            "ORACLE_SIGNER_TOKEN_FILE",
            "can't be read",
        ),
        ({"ORACLE_SIGNER_URL": "ftp://x"}, "ORACLE_SIGNER_URL", "must be an http"),
        ({"ORACLE_SIGNER_URL": ""}, "ORACLE_SIGNER_TOKEN", "means nothing without"),
        ({"ORACLE_SIGNER_CA": "/ca"}, "ORACLE_SIGNER_CA", "https"),
        (
            {"ORACLE_SIGNER_URL": "https://signer", "ORACLE_SIGNER_CLIENT_CERT": "/c"},
            "ORACLE_SIGNER_CLIENT_KEY",
            "is required with",
        ),
        (
            {"ORACLE_SIGNER_URL": "https://signer", "ORACLE_SIGNER_CA": "/no/ca"},
            "ORACLE_SIGNER_CA",
            "can't be used",
        ),
        ({"ORACLE_PUBLIC_KEY_HEX": "aa"}, "ORACLE_PUBLIC_KEY_HEX", "64 hex digits"),
        ({**PROD, "ORACLE_SIGNER_URL": "http://signer:8090"}, "ORACLE_SIGNER_URL", "https or unix"),
    ],
)
def test_a_fault_is_told_by_its_variable(changes: dict[str, str], name: str, text: str) -> None:
    """Without the token, whatever the fault is."""
    with pytest.raises(SettingsError) as found:
        load({**BASE, **changes})
    assert text in found.value.problems[name]
    assert TOKEN not in str(found.value)


def test_prod_takes_what_nobody_else_can_read() -> None:
    """TLS, a Unix socket, or this machine's loopback."""
    for url in ("https://signer.example", "unix:/run/s", "http://127.0.0.1:8090", "http://[::1]:1"):
        assert access(**PROD, ORACLE_SIGNER_URL=url).place.url == url
