"""Where Redis is: which texts say so, and that no password is shown."""

import asyncio
import sys
from pathlib import Path

import pytest

from aiba_entry.limiters import SharedLimiter, make_limiter
from aiba_entry.metering import make_metrics
from aiba_entry.redis_settings import RedisSettings
from aiba_entry.settings import Settings, SettingsError, load
from aiba_entry.stores import StoreUnusable


def settings_with(folder: Path, **environ: str) -> Settings:
    """Load the settings of a test environment with something of Redis in it."""
    return load({"APP_ENV": "test", "AIBA_DATA_DIR": str(folder), **environ})


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://cache.example:6379/0",
        "redis://:word@10.0.0.7:6380/15",
        "rediss://user:w%40rd@cache.example",
        "redis://[2001:db8::1]:6379",
        "unix:///run/redis/redis.sock",
    ],
)
def test_a_url_says_where_redis_is(tmp_path: Path, url: str) -> None:
    """Plain, by TLS, or by a socket."""
    found = settings_with(tmp_path, REDIS_URL=url).redis
    assert found == RedisSettings(url=url)


@pytest.mark.parametrize(
    "url",
    [
        "cache.example:6379",
        "http://cache.example",
        "redis:///0",
        "redis://a b",
        "redis://host:port",
        "rediss://cache.example?ssl_cert_reqs=none",
        "redis://:secret-word@cache.example/0?socket_timeout=0",
        "unix://relative",
    ],
)
def test_other_texts_are_refused_without_repeating_them(tmp_path: Path, url: str) -> None:
    """An option could switch the check of certificates off, so there are none."""
    with pytest.raises(SettingsError) as refused:
        settings_with(tmp_path, REDIS_URL=url)
    assert list(refused.value.problems) == ["REDIS_URL"]
    assert url not in str(refused.value)
    assert "secret-word" not in str(refused.value)


def test_nothing_is_shared_where_nothing_is_said(tmp_path: Path) -> None:
    """What would only mean something with a URL is a fault without it."""
    assert settings_with(tmp_path).redis is None
    with pytest.raises(SettingsError) as refused:
        settings_with(tmp_path, REDIS_PASSWORD="word", REDIS_CA="ca.pem")
    assert set(refused.value.problems) == {"REDIS_PASSWORD", "REDIS_CA"}


def test_passwords_are_secrets_however_they_are_given(tmp_path: Path) -> None:
    """In the URL, as it is written there and as it is meant; beside it; in a file."""
    inside = settings_with(tmp_path, REDIS_URL="redis://me:p%40ssword@host")
    assert {"p%40ssword", "p@ssword", "redis://me:p%40ssword@host"} <= set(inside.secrets)
    file = tmp_path / "password"
    file.write_text("filed-word\n")
    beside = settings_with(tmp_path, REDIS_URL="redis://host", REDIS_PASSWORD_FILE=str(file))
    assert beside.redis is not None
    assert beside.redis.password == "filed-word"
    assert "filed-word" in beside.secrets
    for settings in (inside, beside):
        assert not any(secret in repr(settings) for secret in settings.secrets)


def test_one_password_is_enough(tmp_path: Path) -> None:
    """Nobody has to guess which of two counts."""
    with pytest.raises(SettingsError) as refused:
        settings_with(tmp_path, REDIS_URL="redis://:one@host", REDIS_PASSWORD="other")
    assert list(refused.value.problems) == ["REDIS_PASSWORD"]


def test_authorities_are_for_tls_and_there(tmp_path: Path) -> None:
    """A file that would be ignored, or isn't there, is told at the start."""
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    found = settings_with(tmp_path, REDIS_URL="rediss://host", REDIS_CA=str(ca)).redis
    assert found == RedisSettings(url="rediss://host", ca=ca)
    for url, path in (("redis://host", ca), ("rediss://host", tmp_path / "none.pem")):
        with pytest.raises(SettingsError) as refused:
            settings_with(tmp_path, REDIS_URL=url, REDIS_CA=str(path))
        assert list(refused.value.problems) == ["REDIS_CA"]


def test_redis_counts_where_it_is_named_and_nowhere_else(tmp_path: Path) -> None:
    """Nothing is asked of it before the first hit."""
    alone = make_limiter(settings_with(tmp_path), make_metrics(()))
    assert not isinstance(alone, SharedLimiter)
    here = alone.hit("name", "key", limit=1, window_ms=60_000, now_ms=0)
    assert asyncio.run(here).allowed
    shared = settings_with(tmp_path, REDIS_URL="redis://127.0.0.1:1")
    assert isinstance(make_limiter(shared, make_metrics(())), SharedLimiter)


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever configures Redis without the extra is told what to install."""
    monkeypatch.setitem(sys.modules, "aiba_adapters.redis", None)
    with pytest.raises(StoreUnusable, match=r"aiba-arena\[redis\]"):
        make_limiter(settings_with(tmp_path, REDIS_URL="redis://host"), make_metrics(()))
