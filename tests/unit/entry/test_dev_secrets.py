"""Secrets of a developer's machine: the oracle's key of a local chain beside the others."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aiba_entry.dev_secrets import FILE_NAME, DevSecretsUnusable, dev_oracle_key, dev_secrets


def test_the_oracles_key_is_random_private_and_kept(tmp_path: Path) -> None:
    """Each machine has its own, for its owner alone."""
    first, again, other = (dev_oracle_key(tmp_path / name) for name in "aab")
    assert first == again != other
    assert len(bytes.fromhex(first)) == 32
    path = tmp_path / "a" / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == [FILE_NAME]


def test_secrets_made_before_stay_as_they_were(tmp_path: Path) -> None:
    """A file from a time without local chains gets the key, and loses nothing."""
    before = dev_secrets(tmp_path)
    key = dev_oracle_key(tmp_path)
    assert dev_secrets(tmp_path) == before
    assert key not in before.values()


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """Whoever is second takes the first one's."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: dev_oracle_key(tmp_path), range(16)))
    assert len(keys) == 1


@pytest.mark.parametrize("key", ["", "ab", 7, None, "Z" * 64])
def test_a_damaged_key_is_said_and_not_shown(tmp_path: Path, key: object) -> None:
    """A new one made silently would be none that the chain's vault believes."""
    kept = dict(dev_secrets(tmp_path))
    (tmp_path / FILE_NAME).write_text(json.dumps(kept | {"ORACLE_PRIVATE_KEY_HEX": key}))
    with pytest.raises(DevSecretsUnusable, match="is damaged") as refused:
        dev_oracle_key(tmp_path)
    assert not key or str(key) not in str(refused.value)
