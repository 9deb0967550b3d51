"""Backups of MongoDB: one moment of it under load, put back through any deaths, and drilled."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from bson import Timestamp
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.backups import (
    BackupRefused,
    Manifest,
    PlaceInUse,
    PlaceOccupied,
    check,
    take,
)
from aiba_adapters.backups.manifest import head_of
from aiba_adapters.backups.mongo import SCRATCH_MS, MongoBackups, scratch_name
from aiba_adapters.mongo import MongoStore, Unfit, backup_load, open_store, snapshots
from aiba_adapters.mongo.backup import KEPT, file_of
from aiba_adapters.mongo.documents import SHAPES
from aiba_adapters.mongo.migrations import RESTORING, STEPS
from aiba_domain.application.audit import audit_store
from aiba_domain.ports import Reader, Store, Unavailable
from aiba_domain.testing.contracts.store import refusal
from aiba_domain.testing.playground import Playground
from aiba_entry.backups.drill import Ground, drill
from aiba_entry.backups.report import DrillReport, Status
from aiba_entry.cli.main import main
from tests.contract.backups.support import AT, silent, write
from tests.contract.backups.test_drill import check_of, failed, memory_of
from tests.contract.mongo.deaths import die
from tests.contract.mongo.places import Place
from tests.contract.process.support import environment
from tests.support.mongo import empty_uri, failing, server_uri
from tests.unit.claims.support import LATE_S, Bank

T = TypeVar("T")

UNITS: Final = 6
HOUR: Final = 3_600_000
LANES: Final = 4


@pytest.fixture(name="taken", scope="module")
def _taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path, Manifest]]:
    """Give a database of some units with its backup, which nobody changes."""
    uri, end = empty_uri()
    place, target = Place(uri), tmp_path_factory.mktemp("taken") / "backup"
    place.make(UNITS)
    yield place, target, place.backup(target)
    place.client.close()
    end()


def test_the_manifest_says_what_is_in_it_and_no_secret(taken: tuple[Place, Path, Manifest]) -> None:
    """Counts, ledger and hashes are those of the store; a file holds a collection's BSON."""
    place, source, manifest = taken
    assert check(source, place.backups, tell=silent) == manifest
    assert (manifest.store, manifest.schema, manifest.taken_at) == ("mongo", len(STEPS), AT)
    assert {name: manifest.rows[name] for name in ("units", "players", "answers")} == {
        "units": UNITS,
        "players": UNITS,
        "answers": UNITS,
    }
    assert (manifest.ledger.entries, manifest.ledger.at) == (UNITS, AT + UNITS - 1)
    names = {file_of(shape.collection) for shape in KEPT} | {"steps.bson"}
    assert set(manifest.files) == names
    assert {each.name for each in source.iterdir()} == names | {"manifest.json"}
    assert "mongodb" not in (source / "manifest.json").read_text()
    left_out = {shape.collection for shape in SHAPES} - {shape.collection for shape in KEPT}
    assert left_out == {"locks", "health"}


def test_a_restored_database_is_sound_remembers_its_answers_and_goes_on(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place]
) -> None:
    """It opens as in production, with every index; also where `aiba mongo init` was first."""
    _, source, manifest = taken
    place = places()
    place.make(0)
    place.restore(source)
    assert place.units() == UNITS

    async def work(store: MongoStore) -> object:
        kept = await store.transact(lambda unit: unit.remembered(refusal("k0").scope))
        assert kept == refusal("k0")
        await write(store, UNITS)

        async def head(read: Reader) -> object:
            return head_of(each for each in read.entries() if each.number <= UNITS)

        return await store.read(head)

    assert place.with_store(work) == manifest.ledger
    assert place.units() == UNITS + 1
    with pytest.raises(
        PlaceOccupied, match=f"{place.database.name} isn't empty: accounts, answers"
    ):
        place.restore(source)


def test_a_backup_under_load_is_one_moment(places: Callable[[], Place], tmp_path: Path) -> None:
    """Units are committed while it reads: all answered before are in it, and none in part."""
    place, again = places(), places()
    place.make(2)

    async def keep_writing(store: MongoStore, lane: int, stop: asyncio.Event) -> int:
        number = 2 + lane
        while not stop.is_set():
            await write(store, number)
            number += LANES
        return number

    async def work(store: MongoStore) -> Manifest:
        stop = asyncio.Event()
        lanes = [asyncio.create_task(keep_writing(store, each, stop)) for each in range(LANES)]
        manifest = await take(place.backups, tmp_path / "backup", tell=silent)
        stop.set()
        await asyncio.gather(*lanes)
        return manifest

    manifest = place.with_store(work)
    assert manifest.ledger.entries >= 2
    again.restore(tmp_path / "backup")

    async def audited(store: MongoStore) -> int:
        report = await audit_store(store)
        assert report.is_sound, report.faults
        return report.entries

    assert again.with_store(audited) == manifest.ledger.entries
    assert manifest.rows["answers"] == manifest.rows["players"] == manifest.ledger.entries


def test_what_is_written_between_two_collections_is_not_in_it(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place], tmp_path: Path
) -> None:
    """The moment comes before the first document that is read."""
    place = places()
    place.restore(taken[1])

    def tell(stage: str, _done: int, _total: int) -> None:
        late = {"$set": {"stamp": Timestamp(1, 1)}}
        place.database.units.update_one({"_id": f"late {stage}"}, late, upsert=True)
        place.database.answers.delete_one({})

    manifest = place.backup(tmp_path / "backup", tell=tell)
    assert (manifest.rows, manifest.ledger) == (taken[2].rows, taken[2].ledger)


@pytest.mark.parametrize("code", [239, 246, 251, 290])
def test_a_moment_that_the_server_forgets_is_told(
    taken: tuple[Place, Path, Manifest], tmp_path: Path, code: int
) -> None:
    """The window is named, and no backup is left that isn't whole."""
    with pytest.MonkeyPatch.context() as patch:
        is_session = code in {239, 246}
        limit = snapshots.WINDOW if is_session else snapshots.LIFETIME

        async def holds_still(*_: object) -> bool:
            return is_session  # as a replica set does; SecantusDB too, but only if nobody writes

        patch.setattr(snapshots, "_holds_still", holds_still)
        assert taken[0].backup(tmp_path / "whole").files == taken[2].files
        fault: list[Any] = []

        def tell(_stage: str, _done: int, _total: int) -> None:
            if not fault:
                fault.append(failing(server_uri(), ("find",), errorCode=code))
                fault[0].__enter__()

        try:
            with pytest.raises(Unavailable, match=f"let go of the state .* {limit}"):
                taken[0].backup(tmp_path / "backup", tell=tell)
        finally:
            fault[0].__exit__(None, None, None)
    assert not (tmp_path / "backup").exists()


def test_what_is_no_store_has_no_backup(places: Callable[[], Place], tmp_path: Path) -> None:
    """A database without a schema, and one that is half restored."""
    place = places()
    with pytest.raises(Unavailable, match="no step of the schema"):
        place.backup(tmp_path / "backup")
    place.make(1)
    place.database.steps.insert_one({"_id": RESTORING})
    with pytest.raises(Unavailable, match="half restored"):
        place.backup(tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_put_over_anything(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place]
) -> None:
    """Another service's collections, and a policy that was changed, are named and left alone."""
    place = places()
    place.database.orders.insert_one({"_id": 1})
    with pytest.raises(PlaceOccupied, match=r"isn't empty: orders$"):
        place.restore(taken[1])
    assert place.database.list_collection_names() == ["orders"]
    place.database.drop_collection("orders")
    place.make(0)
    place.database.policies.update_one({"_id": 1}, {"$set": {"body.claims_paused": True}})
    with pytest.raises(PlaceOccupied, match=r"isn't empty: policies$"):
        place.restore(taken[1])


@settings(max_examples=2)
@given(deaths=st.lists(st.integers(20, 150), min_size=1, max_size=3))
def test_a_killed_restore_starts_no_server_and_goes_on(
    taken: tuple[Place, Path, Manifest], deaths: list[int]
) -> None:
    """Killed before or after any command: no server starts until the same command has ended it."""
    uri, end = empty_uri()
    place = Place(uri)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_load, "DOCUMENTS", 2)
        for attempt, death in enumerate(deaths, start=1):
            if not die(lambda at=AT + attempt * HOUR: place.restore(taken[1], at=at), death):  # type: ignore[misc]
                break
            with pytest.raises(Unfit, match=r"half restored|isn't taken"):
                place.units()
        else:
            place.restore(taken[1], at=AT + 100 * HOUR)
    assert place.units() == UNITS
    place.client.close()
    end()


@pytest.mark.usefixtures("strays")
def test_faults_double_nothing(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place]
) -> None:
    """Connections that are cut at every kind of command while batches are put back."""
    place = places()
    commands = ("insert", "update", "commitTransaction")
    for attempt in range(1, 3):
        cut = failing(server_uri(), commands, mode={"times": 3}, closeConnection=True)
        with cut, suppress(Unavailable):
            place.restore(taken[1], at=AT + attempt * HOUR)
            break
    else:
        place.restore(taken[1], at=AT + 100 * HOUR)
    assert place.units() == UNITS


def test_another_backup_and_another_writer_do_not_mix(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place], tmp_path: Path
) -> None:
    """What is read back must be what was backed up, to the byte; half of one takes no other."""
    place = places()

    def tell(stage: str, _done: int, _total: int) -> None:
        if stage == "restore":
            place.database.battles.update_one({"_id": "b"}, {"$set": {"n": 1}}, upsert=True)

    with pytest.raises(BackupRefused, match="battles isn't what was backed up"):
        place.restore(taken[1], tell=tell)
    with pytest.raises(Unfit, match="half restored"):
        place.units()
    taken[0].clock[0] = AT + 1
    taken[0].backup(tmp_path / "other")
    with pytest.raises(PlaceOccupied, match="another backup is half put back"):
        place.restore(tmp_path / "other")
    place.database.battles.delete_many({})
    place.restore(taken[1])
    assert place.units() == UNITS


class Site:
    """A live database with claims in every state, and a backup of it."""

    def __init__(self, place: Place, folder: Path) -> None:
        """Let players' claims be paid, given back, and be on their way; then take a backup."""
        self.place, self.folder = place, folder
        self.source = folder / "backup"

        async def open_live() -> Store:
            return await open_store(place.uri, create=True)

        self.bank = Bank(Playground(open_live))
        for player in ("1", "2", "3"):
            self.bank.open(player, aiba=100)
        self.bank.send(self.bank.claim("1", 10))
        self.bank.settle()
        self.bank.claim("2", 20)
        self.bank.wait(LATE_S)
        self.bank.settle()
        self.bank.claim("3", 30)
        asyncio.run(take(self.backups, self.source, tell=silent))

    @property
    def backups(self) -> MongoBackups:
        """The backups of the live store."""
        return MongoBackups(self.place.uri, now=self.bank.play.clock.now)

    def drill(self, **given: Any) -> DrillReport:
        """Drill the backup against chain and signer."""
        signed = [
            each
            for player in ("1", "2", "3")
            for each in reversed(self.bank.claims(player))
            if each.signature
        ]
        scratch = self.folder / f"scratch{len(list(self.folder.glob('scratch*')))}"
        scratch.mkdir()
        ground = Ground(
            backups=self.backups,
            scratch=scratch,
            now=self.bank.play.clock.now,
            tell=silent,
            **{
                "source": self.source,
                "chain": self.bank.reader,
                "signer": memory_of(signed),
                **given,
            },
        )
        return asyncio.run(drill(ground))


@pytest.fixture(name="site")
def _site(places: Callable[[], Place], tmp_path: Path) -> Iterator[Site]:
    site = Site(places(), tmp_path)
    yield site
    site.bank.play.close()


def test_a_drill_holds_tells_what_is_lost_and_leaves_nothing(site: Site) -> None:
    """Ledger, claims, chain and signer hold; a payment since is the recovery point, by name."""
    report = site.drill()
    assert failed(report) == {}
    assert {check.status for check in report.checks} == {Status.OK}
    assert check_of(report, "chain").facts == ["1 in flight may still be paid"]
    assert report.loss is not None
    assert (report.loss.entries, report.loss.ms, report.loss.payments) == (0, 0, [])
    assert site.place.names() == {site.place.database.name}

    site.bank.play.clock.advance(90_000)
    site.bank.send(site.bank.claim("1", 5, "later"))
    site.bank.settle()
    report = site.drill()
    assert failed(report) == {}
    assert report.loss is not None
    assert (report.loss.entries, report.loss.ms) == (2, 90_000)
    assert report.loss.rows["claims"] == 1
    assert len(report.loss.payments) == 2

    # A unit that was under way during the backup may have its place before the backup's last.
    units = site.place.database.units
    first = units.find_one({"stamp": {"$exists": True}}, sort=[("stamp", 1), ("_id", 1)])
    assert first is not None
    units.update_many({"stamp": first["stamp"]}, {"$set": {"stamp": Timestamp(2**31, 1)}})
    report = site.drill()
    assert "hasn't all that the backup's has" in failed(report)["live store"]


def test_a_drill_that_breaks_off_leaves_nothing_either(
    taken: tuple[Place, Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens in the middle; a damaged backup isn't even begun."""
    place, live = taken[0], taken[0].database.name
    source = tmp_path / "backup"
    shutil.copytree(taken[1], source)
    ground = Ground(
        backups=place.backups, scratch=tmp_path, now=lambda: AT, tell=silent, source=source
    )

    async def broken(_store: Store) -> None:
        assert place.names() == {live, scratch_name(live)}
        raise RuntimeError("in the middle")

    monkeypatch.setattr("aiba_entry.backups.drill.audit_store", broken)
    with pytest.raises(RuntimeError, match="in the middle"):
        asyncio.run(drill(ground))
    assert place.names() == {live}
    with (source / file_of("units")).open("ab") as file:
        file.write(b"x")
    assert "units.bson has" in failed(asyncio.run(drill(ground)))["backup"]
    assert place.names() == {live}


def test_a_drill_takes_nothing_that_is_not_a_drills(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place]
) -> None:
    """Somebody's database of that name stays; a dead drill's is dropped once it is dead."""
    place = places()
    scratch = place.client[scratch_name(place.database.name)]
    manifest = check(taken[1], place.backups, tell=silent)

    def begin() -> MongoBackups:
        trying = place.backups.scratch(taken[1])
        asyncio.run(trying.load(taken[1], manifest, replace=False, tell=silent))
        return trying

    scratch.orders.insert_one({"_id": 1})
    with pytest.raises(PlaceInUse, match=f"{scratch.name} isn't a drill's"):
        begin()
    assert scratch.orders.count_documents({}) == 1
    place.client.drop_database(scratch.name)
    begin()
    with pytest.raises(PlaceInUse, match="another drill works in the database"):
        begin()
    place.clock[0] += SCRATCH_MS
    left = begin()
    scratch.steps.update_one({"_id": "scratch"}, {"$set": {"by": "another"}})
    asyncio.run(left.discard())
    assert scratch.name in place.names()
    asyncio.run(place.backups.discard())
    assert scratch.name in place.names()


def test_the_commands_as_an_operator_meets_them(
    taken: tuple[Place, Path, Manifest], places: Callable[[], Place], tmp_path: Path
) -> None:
    """What they print names no server; refusals say what to do."""
    place = places()

    def aiba(at: Place, *words: object, code: int = 0) -> Result:
        environ = environment(tmp_path, MONGO_URI=at.uri)
        done = CliRunner().invoke(main, [str(each) for each in words], env=environ)
        assert done.exit_code == code, done.output
        assert not any(each in done.output for each in ("mongodb://", "127.0.0.1"))
        return done

    target = tmp_path / "nightly"
    told = json.loads(aiba(taken[0], "backup", target, "--json").stdout)
    assert (told["store"], told["entries"]) == ("mongo", UNITS)
    assert "is there already" in aiba(taken[0], "backup", target, code=1).output
    refused = aiba(taken[0], "restore", target, "--replace", code=1)
    assert "isn't empty: accounts, answers, players, units; restore into an" in refused.output
    assert told["digest"] in aiba(place, "restore", target).output
    assert place.units() == UNITS
    report = json.loads(aiba(place, "drill", "--backup", target, "--json").stdout)
    assert report["ok"]
    assert {each["name"]: each["status"] for each in report["checks"]}["live store"] == "ok"
    assert place.names() == {place.database.name}


@pytest.mark.usefixtures("strays")
@pytest.mark.parametrize("command", ["backup", "restore", "drill", "migrate"])
def test_a_server_that_does_not_answer_is_told_in_one_line(
    taken: tuple[Place, Path, Manifest], tmp_path: Path, command: str
) -> None:
    """With the driver's reason, without its password, and with nothing half done."""
    words = {"backup": [tmp_path / "backup"], "restore": [taken[1]]}.get(command, [])
    uri = "mongodb://a:hunter2@127.0.0.1:1/aiba?serverSelectionTimeoutMS=50"
    environ = environment(tmp_path, MONGO_URI=uri)
    done = CliRunner().invoke(main, [command, *map(str, words)], env=environ)
    assert done.exit_code == 1
    assert "Errno 111" in done.output
    assert "hunter2" not in done.output
    assert list(tmp_path.iterdir()) == []
