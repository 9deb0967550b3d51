"""The ledger's audit over MongoDB: whatever is changed in a document is found, nothing else is."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, Timestamp
from pymongo import MongoClient
from pymongo.collection import Collection

from aiba_adapters.mongo import ledger_pages
from aiba_domain.application.audit import audit_store
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.economy.ledger import Posting
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage, Row
from aiba_domain.money import Currency
from aiba_domain.ports import Store, UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import Playground
from tests.support.mongo import open_mongo, uri_of

DAY = "2026-01-01"
UNITS = (
    (movement(5), movement(3, "player:1", "treasury")),
    (movement(4, "chain", "player:2", Currency.AIBA),),
    (movement(2, f"emission:{DAY}:a", "player:2"), movement(1, "player:2", f"sink:{DAY}:r:a")),
    (movement(6, "chain", "player:3"),),
)
SIZE = 2
ENTRIES = 6


async def _breathe() -> None:
    return


class Site:
    """A database of three checkpoints, and a client past the store."""

    def __init__(self, folder: Path) -> None:
        """Post in a few units of work, and seal everything."""

        async def opened() -> Store:
            return await open_mongo(folder)

        self.play = Playground(opened)
        self.client: MongoClient[dict[str, Any]] = MongoClient(uri_of(folder))
        self.units: Collection[dict[str, Any]] = self.client.get_default_database()["units"]
        for postings in UNITS:

            async def post(unit: UnitOfWork, postings: Sequence[Posting] = postings) -> None:
                await unit.write(at=NOON, postings=postings)

            self.play.run(self.play.store.transact(post))

    def close(self) -> None:
        """Close both."""
        self.client.close()
        self.play.close()

    def go_round(self) -> LedgerStanding:
        """Go round with a worker that wasn't there before."""
        auditor = LedgerAuditor(
            store=self.play.store, clock=self.play.clock, seal_after_ms=0, size=SIZE
        )
        return self.play.run(auditor.go_round(self.play.pipeline, _breathe))

    def faults(self) -> tuple[str, ...]:
        """Audit at one moment."""
        return self.play.run(audit_store(self.play.store)).faults

    def page(self, after: str, limit: int, *, settled: bool) -> LedgerPage:
        """Read a page."""
        return self.play.run(
            self.play.store.read(lambda read: read.ledger(after, limit=limit, settled=settled))
        )

    def documents(self) -> list[dict[str, Any]]:
        """Return the units with postings, in their order."""
        return list(self.units.find({"stamp": {"$exists": True}}).sort([("stamp", 1), ("_id", 1)]))


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("audit"))
    yield site
    site.close()


@pytest.fixture(name="sealed", scope="module")
def _sealed(site: Site) -> Site:
    """Give the site with all its entries sealed, as if they had been there for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_pages, "HORIZON_S", -1)
        standing = site.go_round()
    assert (standing.checkpoints, standing.is_sound) == (ENTRIES // SIZE, True)
    return site


def test_what_may_still_get_another_number_is_not_settled(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit is settled once no transaction can be under way that began before it did."""
    assert len(site.page("", 99, settled=False).rows) == ENTRIES
    page = site.page("", 99, settled=True)
    assert (page.rows, page.is_end) == ([], True)
    assert site.go_round().entries == 0
    last = site.documents()[-1]
    now = last["stamp"]
    earlier = Timestamp(now.time - 200, now.inc)
    site.units.update_one({"_id": last["_id"]}, {"$set": {"stamp": earlier}})
    assert [row.amount for row in site.page("", 99, settled=True).rows] == [6]
    site.units.update_one({"_id": last["_id"]}, {"$set": {"stamp": now}})
    monkeypatch.setattr(ledger_pages, "HORIZON_S", -1)
    assert len(site.page("", 99, settled=True).rows) == ENTRIES


def test_pages_end_in_the_middle_of_units(site: Site) -> None:
    """And go on there, with the numbers that all entries have."""
    rows: list[Row] = []
    place = ""
    for _ in range(ENTRIES):
        page = site.page(place, 1, settled=False)
        rows += page.rows
        place = page.place
    assert [row.number for row in rows] == list(range(1, ENTRIES + 1))
    assert [row.amount for row in rows] == [5, 3, 4, 2, 1, 6]


def test_nothing_is_wrong_where_nothing_was_changed(sealed: Site) -> None:
    """Neither at one moment nor for a worker that begins anew."""
    assert sealed.faults() == ()
    assert sealed.go_round().is_sound


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", Int64(7)),
        ("currency", "STARS"),
        ("currency", "GOLD"),
        ("currency", {"a": 1}),
        ("debit", ["player:1"]),
        ("amount", Int64(9)),
        ("amount", -3),
        ("amount", "9"),
        ("debit", "player:9"),
        ("credit", "nobody"),
        ("reason", "other"),
        ("arena", None),
        ("league", "other"),
        ("source_type", "other"),
        ("source_id", "other"),
    ],
)
def test_a_changed_field_is_found(sealed: Site, field: str, value: object) -> None:
    """Of any posting; the checkpoint and the entry are named."""
    place = len(f"{field}{value}") % len(UNITS)
    unit = sealed.documents()[place]
    entry = 1 + sum(map(len, UNITS[:place]))
    where = {"_id": unit["_id"]}
    sealed.units.update_one(where, {"$set": {f"postings.0.{field}": value}})
    try:
        faults = sealed.faults()
        standing = sealed.go_round()
    finally:
        sealed.units.replace_one(where, unit)
    assert faults[0].startswith(f"checkpoint {(entry + 1) // SIZE} sealed")
    assert f"another from entry {entry} on" in faults[0]
    assert not standing.is_sound
    assert standing.checkpoints == ENTRIES // SIZE


@pytest.mark.parametrize("place", range(len(UNITS)))
def test_a_unit_that_was_taken_out_or_moved_is_found(sealed: Site, place: int) -> None:
    """Out of the ledger, or to its beginning or its end."""
    unit = sealed.documents()[place]
    entry = 1 + sum(map(len, UNITS[:place]))
    stamp = unit["stamp"]
    sealed.units.delete_one({"_id": unit["_id"]})
    try:
        assert any(f"entry {entry}" in each for each in sealed.faults())
        for moved in (Timestamp(1, 1), Timestamp(stamp.time + 9, 1)):
            sealed.units.insert_one({**unit, "stamp": moved})
            is_same = [each["_id"] for each in sealed.documents()][place] == unit["_id"]
            faults = sealed.faults()
            assert all("first entry is elsewhere" in each for each in faults) == is_same
            sealed.units.delete_one({"_id": unit["_id"]})
    finally:
        sealed.units.insert_one(unit)
    assert sealed.faults() == ()


def test_a_unit_that_was_put_in_is_found(sealed: Site) -> None:
    """Between two that were sealed, with money of its own."""
    stamp = sealed.documents()[1]["stamp"]
    forged = {**sealed.documents()[3], "_id": "forged", "stamp": Timestamp(stamp.time, stamp.inc)}
    sealed.units.insert_one(forged)
    try:
        assert sealed.faults()[0].startswith("checkpoint 2 sealed")
    finally:
        sealed.units.delete_one({"_id": "forged"})
    assert sealed.faults() == ()


@pytest.mark.parametrize("body", [None, {}, 7, {"number": "x"}])
@pytest.mark.parametrize(
    ("collection", "key", "found"),
    [
        ("checkpoints", 2, "checkpoint 2 can't be read"),
        ("audited", "player:2", "the audit's own balances aren't those of checkpoint 3"),
        ("audit_state", "ledger", "the audit's own balances aren't those of checkpoint 1"),
    ],
)
def test_what_cannot_be_read_is_found(
    sealed: Site, collection: str, key: object, found: str, body: object
) -> None:
    """A checkpoint, or what the audit goes on from, that is no record any more: by its name."""
    documents = sealed.client.get_default_database()[collection]
    before = documents.find_one({"_id": key})
    assert before is not None
    documents.update_one({"_id": key}, {"$set": {"body": body}})
    try:
        assert any(found in each for each in sealed.faults())
    finally:
        documents.replace_one({"_id": key}, before)
    assert sealed.faults() == ()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_checkpoint_that_was_taken_out_is_found(sealed: Site, number: int) -> None:
    """The last too, which the balances that were stored with it miss."""
    checkpoints = sealed.client.get_default_database()["checkpoints"]
    before = checkpoints.find_one_and_delete({"_id": number})
    assert before is not None
    try:
        assert sealed.faults()
    finally:
        checkpoints.insert_one(before)
    assert sealed.faults() == ()


def test_a_changed_share_of_an_account_is_found(sealed: Site) -> None:
    """The shares of an account are compared as their sum."""
    accounts = sealed.client.get_default_database()["accounts"]
    (share, *_) = accounts.find({"account": "treasury"})
    accounts.update_one({"_id": share["_id"]}, {"$inc": {"held.NEUR": 1}})
    try:
        assert sealed.faults() == (
            "treasury stores 4 NEUR, its history says 3",
            "NEUR sums to 1",
        )
    finally:
        accounts.replace_one({"_id": share["_id"]}, share)
    assert sealed.faults() == ()
