"""What the environment may say, and what it may not."""

import json
import re
import stat
from pathlib import Path

import pytest

from aiba_entry.dev_secrets import FILE_NAME
from aiba_entry.forms import AppEnv, max_age_policy
from aiba_entry.settings import SettingsError, load

SECRET = "correct-horse-battery-staple-0123"
OTHER = "another-horse-battery-staple-4567"
BOT = "123456789:AAExampleExampleExampleExample"
PROD = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://game.example",
    "TELEGRAM_BOT_TOKEN": BOT,
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    "SESSION_SECRET": SECRET,
    "BATTLE_SEED_SECRET": OTHER,
}


def problems(environ: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.problems


@pytest.fixture(name="dev")
def _dev(tmp_path: Path) -> dict[str, str]:
    return {"APP_ENV": "dev", "AIBA_DATA_DIR": str(tmp_path / "var")}


def test_dev_needs_nothing_but_its_name(dev: dict[str, str]) -> None:
    """A developer gets every default of the wire reference."""
    settings = load(dev)
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.json_body_limit == 1024 * 1024
    assert (settings.rate_limit_per_minute, settings.battle_rate_limit_per_minute) == (600, 25)
    assert (settings.init_data_max_age_s, settings.session_ttl_s) == (900, 3600)
    assert not settings.dev_header_auth
    assert settings.cors_origins == settings.trusted_proxies == ()


def test_prod_needs_its_secrets_and_takes_them_from_files(tmp_path: Path) -> None:
    """Secrets may come from files, one end of line and all."""
    path = tmp_path / "token"
    path.write_text(f"{BOT}\n", encoding="utf-8")
    environ = {key: value for key, value in PROD.items() if key != "TELEGRAM_BOT_TOKEN"}
    settings = load(environ | {"TELEGRAM_BOT_TOKEN_FILE": str(path)})
    assert settings.telegram_bot_token == BOT
    assert settings.app_env is AppEnv.PROD


def test_every_fault_is_named_at_once() -> None:
    """One start tells everything that is wrong, not the first thing."""
    found = problems(
        {
            "APP_ENV": "prod",
            "PORT": "65536",
            "JSON_BODY_LIMIT": "many",
            "TRUSTED_PROXIES": "0.0.0.0/0",
            "LOG_LEVEL": "loud",
            "MONGO_URI": "mongodb://db.example",
            "SESSION_TTL_SECONDS": "59",
            "SEED_EPOCH_HOURS": "1.5",
            "PUBLIC_BASE_URL": "game.example",
            "CORS_ORIGIN": "*",
        }
    )
    assert set(found) == {
        "PORT",
        "JSON_BODY_LIMIT",
        "TRUSTED_PROXIES",
        "LOG_LEVEL",
        "MONGO_URI",
        "SESSION_TTL_SECONDS",
        "SEED_EPOCH_HOURS",
        "PUBLIC_BASE_URL",
        "CORS_ORIGIN",
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_INITDATA_MAX_AGE_SECONDS",
        "SESSION_SECRET",
        "BATTLE_SEED_SECRET",
    }
    assert "MongoDB" in found["MONGO_URI"]


@pytest.mark.parametrize("name", ["production", "development", "PROD", "prod-eu", "dev,test", ""])
def test_d20_unknown_app_env_refuses_to_start(name: str) -> None:
    """A name that is nearly production is not a developer's machine: the process won't start."""
    assert "APP_ENV" in problems({**PROD, "APP_ENV": name})


def test_d20_header_auth_needs_its_own_switch_and_a_local_address(dev: dict[str, str]) -> None:
    """Callers name themselves only with the second switch, off production, and on loopback."""
    switch = {"AIBA_DEV_HEADER_AUTH": "true"}
    assert not load(dev).dev_header_auth
    assert load(dev | switch).dev_header_auth
    assert load(dev | switch | {"HOST": "::1"}).dev_header_auth
    for host in ("0.0.0.0", "10.0.0.1", "game.example", "::"):  # noqa: S104 - refused, that is it
        assert "AIBA_DEV_HEADER_AUTH" in problems(dev | switch | {"HOST": host})
    assert "AIBA_DEV_HEADER_AUTH" in problems(PROD | switch)


@pytest.mark.parametrize("name", ["TELEGRAM_BOT_TOKEN", "SESSION_SECRET", "BATTLE_SEED_SECRET"])
def test_d21_prod_has_no_default_secret(name: str) -> None:
    """Without its own secret, production doesn't start."""
    assert problems({key: value for key, value in PROD.items() if key != name}) == {
        name: "is required in prod"
    }


@pytest.mark.parametrize("text", ["short", "dev-secret-change-me-dev-secret-change-me", "a" * 64])
def test_d21_placeholders_are_no_secrets(text: str) -> None:
    """A short, well-known or repetitive text is refused as a secret."""
    assert "BATTLE_SEED_SECRET" in problems(PROD | {"BATTLE_SEED_SECRET": text})


def test_secrets_must_differ() -> None:
    """One secret is never used for two purposes."""
    assert "SESSION_SECRET" in problems(PROD | {"SESSION_SECRET": OTHER})


def test_d63_dev_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    """Two machines have different secrets; one machine keeps its own, for its owner alone."""
    first, again, second = (
        load({"APP_ENV": "dev", "AIBA_DATA_DIR": str(tmp_path / name)}) for name in "aab"
    )
    assert first.secrets == again.secrets
    assert set(first.secrets).isdisjoint(second.secrets)
    path = tmp_path / "a" / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == [FILE_NAME]
    assert all(len(secret) >= 32 for secret in first.secrets)


def test_d63_a_damaged_file_of_secrets_is_a_fault(dev: dict[str, str]) -> None:
    """A damaged file stops the start: silently new secrets would end every session."""
    load(dev)
    path = Path(dev["AIBA_DATA_DIR"]) / FILE_NAME
    path.write_text(json.dumps({"SESSION_SECRET": SECRET}), encoding="utf-8")
    found = problems(dev)
    assert "damaged" in found["AIBA_DATA_DIR"]
    assert SECRET not in str(found)


def test_d63_no_secret_is_ever_shown(tmp_path: Path) -> None:
    """Neither the settings nor a fault repeats a secret's value."""
    settings = load(PROD)
    assert not any(secret in repr(settings) + str(settings) for secret in settings.secrets)
    path = tmp_path / "seed"
    path.write_text(OTHER, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(
            PROD
            | {"SESSION_SECRET": "tiny-secret", "TELEGRAM_BOT_TOKEN": "no-token-at-all"}
            | {"BATTLE_SEED_SECRET_FILE": str(path)}
        )
    assert set(caught.value.problems) >= {"SESSION_SECRET", "TELEGRAM_BOT_TOKEN"}
    assert "twice" in caught.value.problems["BATTLE_SEED_SECRET"]
    shown = str(caught.value)
    assert not re.search(f"tiny-secret|no-token-at-all|{OTHER}", shown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, 900), ("600", 600), ("-1", 0), ("nope", 900), ("", 900), ("1.9", 1), ("0", 0)],
)
def test_init_data_age_policy(text: str | None, expected: int) -> None:
    """The configured age is read as the wire reference reads it."""
    assert max_age_policy(text) == expected


@pytest.mark.parametrize("text", ["0", "-5", "nope"])
def test_prod_needs_a_bound_on_the_age(text: str) -> None:
    """Production never runs without an age that was written down on purpose."""
    name = "TELEGRAM_INITDATA_MAX_AGE_SECONDS"
    assert list(problems(PROD | {name: text})) == [name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1mb", 1 << 20), ("500KB", 500 << 10), ("1.5mb", 3 << 19), ("2048", 2048), ("4096b", 4096)],
)
def test_body_limit_forms(dev: dict[str, str], text: str, expected: int) -> None:
    """A size is read with or without its unit."""
    assert load(dev | {"JSON_BODY_LIMIT": text}).json_body_limit == expected


def test_lists_are_read(dev: dict[str, str]) -> None:
    """Origins and proxies are comma lists; blanks don't count."""
    settings = load(
        dev
        | {
            "CORS_ORIGIN": "http://localhost:3000, https://Game.example ,",
            "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        }
    )
    assert settings.cors_origins == ("http://localhost:3000", "https://game.example")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "::1/128"]


def test_a_network_is_the_one_that_callers_addresses_are_in(dev: dict[str, str]) -> None:
    """IPv4 written as IPv6 is IPv4; all of it is everybody, in this spelling too."""
    settings = load(dev | {"TRUSTED_PROXIES": "::ffff:10.0.0.0/104, ::ffff:192.0.2.7"})
    expected = ["10.0.0.0/8", "192.0.2.7/32"]
    assert [str(network) for network in settings.trusted_proxies] == expected
    assert "TRUSTED_PROXIES" in problems(dev | {"TRUSTED_PROXIES": "::ffff:0.0.0.0/96"})


def test_an_origin_is_spelt_as_browsers_spell_it(dev: dict[str, str]) -> None:
    """They leave out the port that the scheme has anyway, and would never match with it."""
    written = "https://game.example:443, http://localhost:80, http://localhost:443"
    expected = ("https://game.example", "http://localhost", "http://localhost:443")
    assert load(dev | {"CORS_ORIGIN": written}).cors_origins == expected
