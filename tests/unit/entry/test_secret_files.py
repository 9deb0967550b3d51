"""Who may read a secret's file: its owner; a group, where that is how the process gets at it."""

import os
from pathlib import Path

import pytest

from aiba_entry import secret_files
from aiba_entry.secret_files import Reach, reach_of

MODES = {
    0o400: Reach.OWN,
    0o600: Reach.OWN,
    0o440: Reach.GROUP,
    0o620: Reach.GROUP,
    0o404: Reach.EVERYBODY,
    0o402: Reach.EVERYBODY,
    0o644: Reach.EVERYBODY,
}


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch()
    return path


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_tells_who_else_gets_at_a_file(file: Path, mode: int) -> None:
    """Of one's own file nobody else needs a bit."""
    file.chmod(mode)
    assert reach_of(file) is MODES[mode]


def test_a_group_may_read_what_the_process_reads_by_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is another user's and this process is in its group; nobody needs to write it."""
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    monkeypatch.setattr(os, "getgroups", lambda: [file.stat().st_gid])
    for mode, reach in ((0o440, Reach.OWN), (0o460, Reach.GROUP), (0o444, Reach.EVERYBODY)):
        file.chmod(mode)
        assert reach_of(file) is reach
    monkeypatch.setattr(os, "getgroups", list)
    monkeypatch.setattr(os, "getegid", lambda: file.stat().st_gid + 1)
    file.chmod(0o440)
    assert reach_of(file) is Reach.GROUP


def test_an_access_list_s_mask_is_no_group(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So systemd hands credentials over: the bits of the group are what the list allows at most."""
    file.chmod(0o440)
    monkeypatch.setattr(secret_files, "_has_access_list", lambda _path: True)
    assert reach_of(file) is Reach.OWN
