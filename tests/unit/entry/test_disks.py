"""On what kind of disk a directory is, as the machine's mounts tell it."""

from pathlib import Path

import pytest

from aiba_entry import disks
from aiba_entry.disks import file_system_of, kind_of_disk


def test_the_file_system_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    """Of several mounts above a directory the nearest one counts, the later of two on one place."""
    inside = tmp_path.resolve() / "data"
    inside.mkdir()
    mounts = (
        f"a / ext4 rw\nb {tmp_path.resolve()} tmpfs rw\nc {inside} xfs rw\nd {inside} btrfs rw\n"
    )
    assert file_system_of(inside, mounts) == "btrfs"
    assert file_system_of(tmp_path, mounts) == "tmpfs"
    assert file_system_of(Path("/"), mounts) == "ext4"


def test_a_volume_in_a_container_is_no_layer_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What isn't made yet is judged by what it will be made in, links followed."""
    volume = tmp_path.resolve() / "my volume"
    volume.mkdir()
    (tmp_path / "link").symlink_to(volume)
    mounts = tmp_path / "mounts"
    named = str(volume).replace(" ", "\\040")
    mounts.write_text(f"overlay / overlay rw\n/dev/sda {named} ext4 rw\n", encoding="utf-8")
    monkeypatch.setattr(disks, "_MOUNTS", mounts)
    assert kind_of_disk(str(volume / "not" / "made")) == "ext4"
    assert kind_of_disk(str(tmp_path / "link" / "data")) == "ext4"
    assert kind_of_disk(str(tmp_path / "data")) == "overlay"


def test_a_machine_that_does_not_tell_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a list of mounts nothing is known."""
    monkeypatch.setattr(disks, "_MOUNTS", tmp_path / "none")
    assert kind_of_disk(str(tmp_path)) == ""
