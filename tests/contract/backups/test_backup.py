"""Backups of the embedded store: taken under load, whole at any death, and each damage found."""

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.backups import (
    BackupExists,
    BackupRefused,
    Manifest,
    PlaceInUse,
    PlaceOccupied,
    check,
    take,
)
from aiba_adapters.backups import manifest as manifests
from aiba_adapters.backups.manifest import FileFacts, LedgerHead, ManifestFaulty, head_of
from aiba_adapters.backups.sqlite import FILE
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.sqlite.schema import STEPS
from aiba_domain.ports import Reader, Unavailable
from aiba_domain.testing.contracts.store import refusal
from tests.contract.backups.support import (
    AT,
    backup,
    backups_at,
    deaths,
    make_store,
    run,
    silent,
    units_in,
    with_store,
    write,
)

UNITS = 6


@pytest.fixture(name="taken", scope="module")
def _taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Give a backup of a store of some units, which nobody changes."""
    folder = tmp_path_factory.mktemp("taken")
    make_store(folder / "data", UNITS)
    return folder / "backup", backup(folder / "data", folder / "backup")


def restore(source: Path, folder: Path, *, replace: bool = False) -> str | None:
    """Check a backup and put it into a data directory."""
    backups = backups_at(folder)
    manifest = check(source, backups, tell=silent)
    return run(backups.load(source, manifest, replace=replace, tell=silent))


def test_the_manifest_says_what_is_in_it(taken: tuple[Path, Manifest]) -> None:
    """Counts, ledger and hashes are those of the store, and it reads as it was written."""
    source, manifest = taken
    assert check(source, backups_at(source / "nowhere"), tell=silent) == manifest
    assert (manifest.store, manifest.schema, manifest.taken_at) == ("sqlite", len(STEPS), AT)
    assert {name: manifest.rows[name] for name in ("entries", "players", "answers")} == {
        "entries": UNITS,
        "players": UNITS,
        "answers": UNITS,
    }
    assert (manifest.ledger.entries, manifest.ledger.number) == (UNITS, UNITS)
    assert manifest.ledger.at == AT + UNITS - 1
    assert sorted(each.name for each in source.iterdir()) == [FILE, "manifest.json"]
    assert manifest.files[FILE].size == (source / FILE).stat().st_size


def test_a_restored_store_is_sound_remembers_its_answers_and_goes_on(
    taken: tuple[Path, Manifest], tmp_path: Path
) -> None:
    """What was answered before the backup is answered alike after it, and new units follow."""
    source, manifest = taken
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev-secrets.json").write_text("{}")
    assert restore(source, tmp_path / "data") is None
    assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600
    assert units_in(tmp_path / "data") == UNITS

    async def work(store: SqliteStore) -> LedgerHead:
        kept = await store.transact(lambda unit: unit.remembered(refusal("k0").scope))
        assert kept == refusal("k0")
        await write(store, UNITS)

        async def head(read: Reader) -> LedgerHead:
            return head_of(each for each in read.entries() if each.number <= UNITS)

        return await store.read(head)

    assert with_store(tmp_path / "data", work) == manifest.ledger
    assert units_in(tmp_path / "data") == UNITS + 1


@settings(max_examples=8)
@given(before=st.integers(0, 6), at_once=st.integers(1, 12), pauses=st.integers(0, 5))
def test_a_backup_under_load_is_a_prefix_of_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, before: int, at_once: int, pauses: int
) -> None:
    """Units are committed while the pages are copied: all that were answered before are in it."""
    folder = tmp_path_factory.mktemp("load")

    async def work() -> tuple[Manifest, int, LedgerHead]:
        store = SqliteStore(folder / "data" / FILE)
        for number in range(before):
            await write(store, number)
        writing = asyncio.gather(*(write(store, before + each) for each in range(at_once)))
        for _ in range(pauses):
            await asyncio.sleep(0)
        answered = before
        copying = asyncio.to_thread(backup, folder / "data", folder / "backup")
        manifest, _ = await asyncio.gather(copying, writing)

        async def head(read: Reader) -> LedgerHead:
            last = manifest.ledger.number
            return head_of(each for each in read.entries() if each.number <= last)

        live = await store.read(head)
        await store.close()
        return manifest, answered, live

    manifest, answered, live = run(work())
    assert answered <= manifest.ledger.entries <= before + at_once
    assert live == manifest.ledger
    restore(folder / "backup", folder / "again")
    assert units_in(folder / "again") == manifest.ledger.entries
    shutil.rmtree(folder)


def test_a_write_between_two_pages_waits_for_nothing_and_is_not_in_it(tmp_path: Path) -> None:
    """The state is pinned before the first page: what is committed later is left out."""
    make_store(tmp_path / "data", UNITS)
    other = sqlite3.connect(tmp_path / "data" / FILE, isolation_level=None, timeout=0)
    stages: list[str] = []

    def tell(stage: str, _done: int, _total: int) -> None:
        if not stages:
            other.execute("INSERT INTO modes VALUES ('late', '{}')")
        stages.append(stage)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiba_adapters.backups.sqlite._PAGES", 1)
        manifest = run(take(backups_at(tmp_path / "data"), tmp_path / "backup", tell=tell))
    assert stages.count("copy") > 10
    assert manifest.rows["modes"] == 0
    assert other.execute("SELECT count(*) FROM modes").fetchone() == (1,)
    other.close()
    restore(tmp_path / "backup", tmp_path / "again")
    assert units_in(tmp_path / "again") == UNITS


def test_nothing_is_ever_written_over(taken: tuple[Path, Manifest], tmp_path: Path) -> None:
    """A target that is there is refused, whatever it is, and stays as it is."""
    make_store(tmp_path / "data", 1)
    file, empty = tmp_path / "file", tmp_path / "empty"
    file.write_text("mine")
    empty.mkdir()
    for target in (taken[0], file, empty):
        with pytest.raises(BackupExists, match="is there already"):
            backup(tmp_path / "data", target)
    assert file.read_text() == "mine"
    assert check(taken[0], backups_at(empty), tell=silent) == taken[1]


def test_a_store_that_is_missing_or_damaged_has_no_backup(tmp_path: Path) -> None:
    """A page that SQLite can't make sense of is found before there is a backup of it."""
    with pytest.raises(Unavailable, match="not there"):
        backup(tmp_path / "data", tmp_path / "backup")
    make_store(tmp_path / "data", UNITS)
    path = tmp_path / "data" / FILE
    raw = bytearray(path.read_bytes())
    raw[2 * 4096 : 2 * 4096 + 64] = b"\xff" * 64
    path.write_bytes(raw)
    with pytest.raises(Unavailable):
        backup(tmp_path / "data", tmp_path / "backup")
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_a_killed_backup_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Before each touch of the disk: no target, or a whole one; what is left is swept away."""
    make_store(tmp_path / "data", UNITS)
    out = tmp_path / "out"
    target, steps = out / "nightly", list[int]()
    for step in deaths(lambda: backup(tmp_path / "data", target), tmp_path):
        steps.append(step)
        if target.exists():
            check(target, backups_at(out), tell=silent)
            shutil.rmtree(target)
    assert len(steps) > 8
    check(target, backups_at(out), tell=silent)
    assert [each.name for each in out.iterdir()] == ["nightly"]
    assert units_in(tmp_path / "data") == UNITS


@pytest.mark.parametrize("old", [0, 2])
def test_a_killed_restore_leaves_the_old_store_or_the_new_one(
    taken: tuple[Path, Manifest], tmp_path: Path, old: int
) -> None:
    """Before each touch of the disk: what opens there is whole; a second attempt ends it."""
    data, steps = tmp_path / "data", list[int]()

    def lay_out() -> None:
        shutil.rmtree(data, ignore_errors=True)
        if old:
            make_store(data, old)

    lay_out()
    for step in deaths(lambda: restore(taken[0], data, replace=True), data):
        steps.append(step)
        if old or (data / FILE).exists():
            assert units_in(data) in {old, UNITS}
        restore(taken[0], data, replace=True)
        assert units_in(data) == UNITS
        lay_out()
    assert len(steps) > 4
    assert units_in(data) == UNITS
    assert not list(data.glob(".*"))


def test_what_is_replaced_is_kept_with_all_that_its_log_held(
    taken: tuple[Path, Manifest], tmp_path: Path
) -> None:
    """The old store opens under its other name; also one that SQLite can't read is kept."""
    data = tmp_path / "data"
    make_store(data, 2)
    kept = restore(taken[0], data, replace=True)
    assert kept is not None
    shutil.move(kept, tmp_path / FILE)
    assert units_in(tmp_path) == 2
    (data / FILE).write_bytes(b"nothing that SQLite knows" * 400)
    (data / f"{FILE}-wal").write_bytes(b"nor this")
    kept = restore(taken[0], data, replace=True)
    assert kept is not None
    assert Path(kept).read_bytes().startswith(b"nothing")
    assert Path(f"{kept}-wal").read_bytes() == b"nor this"
    assert units_in(data) == UNITS


def test_a_place_that_is_not_empty_or_in_use_is_left_alone(
    taken: tuple[Path, Manifest], tmp_path: Path
) -> None:
    """Only who says so replaces anything, and nobody while a server works there."""
    make_store(tmp_path, 1)
    with pytest.raises(PlaceOccupied, match=FILE):
        restore(taken[0], tmp_path)

    async def work(_store: SqliteStore) -> None:
        with pytest.raises(PlaceInUse, match="stop"):
            await backups_at(tmp_path).load(taken[0], taken[1], replace=True, tell=silent)

    with_store(tmp_path, work)
    raw = sqlite3.connect(tmp_path / FILE)
    raw.execute("SELECT * FROM entries").fetchall()
    with pytest.raises(PlaceInUse, match="stop"):
        restore(taken[0], tmp_path, replace=True)
    raw.close()
    assert units_in(tmp_path) == 1


def test_no_store_is_opened_while_a_backup_is_put_back(
    taken: tuple[Path, Manifest], tmp_path: Path
) -> None:
    """A server that starts in the middle is told so, instead of making a store of its own."""
    refused = []

    def tell(_stage: str, _done: int, _total: int) -> None:
        with pytest.raises(Unavailable, match="put back") as error:
            SqliteStore(tmp_path / FILE)
        refused.append(error)

    run(backups_at(tmp_path).load(taken[0], taken[1], replace=False, tell=tell))
    assert refused
    assert units_in(tmp_path) == UNITS


@settings(max_examples=40)
@given(data=st.data())
def test_any_damaged_byte_is_found(
    taken: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A byte changed, lost or added, in the database or the manifest, refuses the backup."""
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(taken[0], folder / "backup")
    name = data.draw(st.sampled_from([FILE, "manifest.json"]))
    file = folder / "backup" / name
    raw = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "lose", "add"])):
        case "flip":
            raw[place] ^= data.draw(st.integers(1, 255))
        case "cut":
            del raw[place:]
        case "lose":
            del raw[place]
        case _:
            raw.insert(place, data.draw(st.integers(0, 255)))
    if raw == file.read_bytes():  # of two like bytes one was lost and put back
        return
    file.write_bytes(raw)
    with pytest.raises(BackupRefused, match=name):
        restore(folder / "backup", folder / "data")
    assert not (folder / "data").exists()
    shutil.rmtree(folder)


def change(source: Path, folder: Path, **changes: object) -> Path:
    """Return a copy of a backup whose manifest was made to say something else."""
    target = folder / "changed"
    shutil.copytree(source, target)
    document = json.loads((target / "manifest.json").read_bytes()) | changes
    (target / "manifest.json").write_text(json.dumps(document))
    return target


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "another"}, "something else"),
        ({"version": 2}, "format version 2, this build reads 1"),
        ({"seal": "0" * 64}, "seal"),
        ({"rows": {"entries": -1}}, "damaged"),
        ({"files": {"../outside": {"size": 1, "sha256": "0" * 64}}}, "damaged"),
    ],
)
def test_what_is_no_manifest_of_this_build_is_refused_by_name(
    taken: tuple[Path, Manifest], tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    """Foreign, newer and forged documents say what is wrong with them."""
    with pytest.raises(BackupRefused, match=reason):
        restore(change(taken[0], tmp_path, **changes), tmp_path / "data")


def test_another_kind_of_store_and_a_newer_schema_are_refused(
    taken: tuple[Path, Manifest], tmp_path: Path
) -> None:
    """Sealed all right, and still not for this store or this build."""
    source, manifest = taken
    facts = {
        "taken_at": manifest.taken_at,
        "rows": manifest.rows,
        "ledger": manifest.ledger,
        "files": manifest.files,
    }
    for number, (store, schema, reason) in enumerate(
        [("mongo", 1, "of a mongo store"), ("sqlite", len(STEPS) + 1, "knows up to")]
    ):
        target = tmp_path / f"{number}"
        shutil.copytree(source, target)
        document = manifests.write(Manifest(store=store, schema=schema, **facts))  # type: ignore[arg-type]
        (target / "manifest.json").write_text(document)
        with pytest.raises(BackupRefused, match=reason):
            restore(target, tmp_path / "data")
    (tmp_path / "0" / FILE).unlink()
    (tmp_path / "0" / "manifest.json").unlink()
    with pytest.raises(BackupRefused, match="no backup"):
        restore(tmp_path / "0", tmp_path / "data")


@given(
    st.builds(
        Manifest,
        store=st.sampled_from(["sqlite", "mongo"]),
        schema=st.integers(0, 9),
        taken_at=st.integers(0, 2**53),
        rows=st.dictionaries(st.text(max_size=5), st.integers(0, 2**63)),
        ledger=st.builds(
            LedgerHead,
            entries=st.integers(0, 9),
            number=st.integers(0, 9),
            at=st.integers(0, 9),
            digest=st.just("ab" * 32),
        ),
        files=st.dictionaries(
            st.from_regex("[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True),
            st.builds(FileFacts, size=st.integers(0, 9), sha256=st.just("cd" * 32)),
        ),
    )
)
def test_a_manifest_reads_as_it_was_written(manifest: Manifest) -> None:
    """Any manifest goes through its document unchanged."""
    assert manifests.read(manifests.write(manifest).encode()) == manifest


@given(st.binary(max_size=40) | st.sampled_from([b"{}", b"[]", b'{"format":"aiba-backup"}']))
def test_no_bytes_at_all_break_the_reader(raw: bytes) -> None:
    """Whatever the file holds, it is refused and nothing else."""
    with pytest.raises(ManifestFaulty):
        manifests.read(raw)
