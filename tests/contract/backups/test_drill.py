"""Drills on seeded data: what was lost since, what chain and signer know, and what doesn't hold."""

import asyncio
import hashlib
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.backups import manifest as manifests
from aiba_adapters.backups import take
from aiba_adapters.backups.manifest import FileFacts, Manifest
from aiba_adapters.backups.sqlite import FILE, SqliteBackups
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.ports import Store, Unavailable
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import Mark, Network, Protected
from aiba_domain.testing.playground import Playground
from aiba_entry.backups.claims import MOST_NAMED, ClaimBook, named, on_chain
from aiba_entry.backups.drill import Ground, drill
from aiba_entry.backups.report import Check, DrillReport, Status, document, text
from tests.contract.backups.support import silent
from tests.unit.claims.support import LATE_S, Bank

KEPT = 3


@dataclass(frozen=True)
class Site:
    """A live store with claims in every state, and a backup of it."""

    folder: Path
    bank: Bank
    backup: Path

    @property
    def backups(self) -> SqliteBackups:
        """The backups of the live store."""
        return SqliteBackups(self.folder / "data" / FILE, now=self.bank.play.clock.now)

    def signer(self) -> Protection:
        """Return the memory of a signer that has signed all claims of the live store."""
        signed = [
            claim
            for player in ("1", "2", "3", "4")
            for claim in reversed(self.bank.claims(player))
            if claim.signature
        ]
        return memory_of(signed)

    def drill(self, **given: Any) -> DrillReport:
        """Drill the backup in a scratch place of its own."""
        count = sum(1 for each in self.folder.glob("scratch*"))
        scratch = self.folder / f"scratch{count}"
        scratch.mkdir()
        if "signer" not in given:
            given["signer"] = self.signer()
        ground = Ground(
            backups=self.backups,
            scratch=scratch,
            now=self.bank.play.clock.now,
            tell=silent,
            **{"source": self.backup, "chain": self.bank.reader, **given},
        )
        return asyncio.run(drill(ground))


def memory_of(claims: list[Claim]) -> Protection:
    """Return what a signer remembers that has signed these claims, in this order."""
    marks: dict[tuple[str, str], Mark] = {}
    remembered = {}
    for claim in claims:
        terms = claim.terms
        marks[terms.vault, terms.recipient] = Mark(seqno=terms.seqno)
        remembered[terms.vault, terms.recipient, terms.seqno] = Protected(
            payload_hash=payload_of(terms).hash,
            valid_until_s=terms.valid_until_s,
            most=terms.amount,
        )
    return Protection(network=Network.TESTNET, claims=remembered, marks=marks)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Site]:
    """Players whose claims were paid, given back, and are still on their way; then a backup."""

    async def open_store() -> Store:
        return SqliteStore(tmp_path / "data" / FILE)

    play = Playground(open_store)
    bank = Bank(play)
    for player in ("1", "2", "3"):
        bank.open(player, aiba=100)
    bank.send(bank.claim("1", 10))
    bank.settle()
    bank.claim("2", 20)
    bank.wait(LATE_S)
    bank.settle()
    bank.claim("3", 30)
    site = Site(tmp_path, bank, tmp_path / "backup")
    asyncio.run(take(site.backups, site.backup, tell=silent))
    yield site
    play.close()


def check_of(report: DrillReport, name: str) -> Check:
    """Return one check of a drill."""
    return next(check for check in report.checks if check.name == name)


def failed(report: DrillReport) -> dict[str, str]:
    """Return what failed, with its facts."""
    return {
        check.name: "; ".join(check.facts)
        for check in report.checks
        if check.status is Status.FAILED
    }


def test_a_sound_site_loses_nothing(site: Site) -> None:
    """A backup that was just taken holds in every respect, and nothing was paid since."""
    report = site.drill()
    assert failed(report) == {}
    assert {check.status for check in report.checks} == {Status.OK}
    assert check_of(report, "claims").facts == (f"{KEPT} claims",)
    assert check_of(report, "chain").facts == ["1 in flight may still be paid"]
    assert report.loss is not None
    assert (report.loss.entries, report.loss.ms, report.loss.payments) == (0, 0, [])
    assert report.times is not None
    assert report.times.ms == report.times.restore_ms + report.times.audit_ms
    assert text(report).endswith("holds")


def test_without_a_backup_one_is_taken(site: Site) -> None:
    """The drill takes its own backup of the live store, and leaves no copy outside its scratch."""
    before = {each.name for each in site.folder.iterdir()}
    report = site.drill(source=None)
    assert failed(report) == {}
    assert {each.name for each in site.folder.iterdir()} - before == {"scratch0"}


def test_what_happened_since_is_the_recovery_point(site: Site) -> None:
    """Entries, time and payments after the backup are counted and named; the drill still holds."""
    site.bank.play.clock.advance(90_000)
    site.bank.send(site.bank.claim("1", 5, "later"))
    site.bank.settle()
    report = site.drill()
    assert failed(report) == {}
    assert report.loss is not None
    assert (report.loss.entries, report.loss.ms) == (2, 90_000)
    assert report.loss.rows["claims"] == 1
    assert [line.split()[-5:] for line in report.loss.payments] == [
        ["after", "the", "backup", "was", "taken"]
    ] * 2
    assert "RPO 90.000 s, 2 ledger entries" in text(report)
    assert report.age_ms == 90_000


def test_a_payment_that_nobody_alive_knows_fails_the_drill(site: Site) -> None:
    """With the live store gone, a restored one would pay again what was paid since."""
    site.bank.send(site.bank.claim("1", 5, "later"))
    site.bank.settle()
    signer = site.signer()
    site.bank.play.run(site.bank.play.store.close())
    shutil.move(site.folder / "data", site.folder / "gone")
    report = site.drill(signer=signer)
    assert report.loss is None
    assert check_of(report, "live store").status is Status.SKIPPED
    assert "was paid by no claim that is known" in failed(report)["chain"]
    assert "was signed for no claim that is known" in failed(report)["signer"]
    assert set(failed(report)) == {"chain", "signer"}


def test_a_claim_that_was_given_back_since_is_told(site: Site) -> None:
    """Its seqno was then paid for another claim, so the backup would take it for paid itself."""
    site.bank.wait(LATE_S)
    site.bank.settle()
    site.bank.play.clock.advance(1)
    site.bank.send(site.bank.claim("3", 7, "again"))
    site.bank.settle()
    report = site.drill()
    assert report.loss is not None
    assert any("looks paid to this backup" in line for line in report.loss.payments)
    assert any("was signed after" in line for line in report.loss.payments)


class Elsewhere:
    """A chain that answers as a test says."""

    def __init__(self, view: Callable[[str], ChainView]) -> None:
        """Answer with `view` of a recipient."""
        self._view = view

    async def view(self, _vault: str, recipient: str) -> ChainView:
        """Return what the chain says of a recipient."""
        return self._view(recipient)


def test_a_chain_that_has_paid_less_or_what_was_given_back_fails(site: Site) -> None:
    """Confirmed beyond the chain's seqno, and paid though refunded: both are named."""
    time_s = site.bank.chain.now_s
    report = site.drill(chain=Elsewhere(lambda _: ChainView(seqno=0, time_s=time_s)))
    assert "is confirmed with seqno 1, the chain has paid up to 0" in failed(report)["chain"]
    report = site.drill(chain=Elsewhere(lambda _: ChainView(seqno=1, time_s=time_s)))
    assert "was paid, and its money was given back" in failed(report)["chain"]

    def down(_recipient: str) -> ChainView:
        raise Unavailable("no answer")

    assert "can't be read: no answer" in failed(site.drill(chain=Elsewhere(down)))["chain"]


def test_a_signer_that_has_forgotten_or_signed_otherwise_fails(site: Site) -> None:
    """A watermark below a signed claim, and other terms under its seqno."""
    whole = site.signer()
    vault, recipient, seqno = key = next(iter(whole.claims))
    forgot = replace(whole, marks={**whole.marks, (vault, recipient): Mark(seqno=seqno - 1)})
    assert "watermark" in failed(site.drill(signer=forgot))["signer"]
    other = replace(whole.claims[key], payload_hash=bytes(32))
    report = site.drill(signer=replace(whole, claims={**whole.claims, key: other}))
    assert "other terms than the store" in failed(report)["signer"]


def resealed(site: Site, statement: str) -> Path:
    """Return a copy of the backup with a change that its manifest knows the hash of."""
    target = site.folder / "changed"
    shutil.copytree(site.backup, target)
    with closing(sqlite3.connect(target / FILE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.executescript(statement)
    manifest = manifests.read((target / "manifest.json").read_bytes())
    raw = (target / FILE).read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    changed: Manifest = replace(manifest, files={FILE: FileFacts(size=len(raw), sha256=digest)})
    (target / "manifest.json").write_text(manifests.write(changed))
    return target


@pytest.mark.parametrize(
    ("statement", "name", "what"),
    [
        ("UPDATE accounts SET balance = balance + 1 WHERE name = 'player:1'", "ledger", "history"),
        ("UPDATE accounts SET balance = balance + 1 WHERE name = 'claims'", "claims", "in flight"),
        ("DELETE FROM claims WHERE open", "claims", "isn't there"),
        ("DELETE FROM modes; DELETE FROM sessions; DELETE FROM players", "backup", "rows"),
        ("DROP TRIGGER entries_stay; UPDATE entries SET at = at + 1", "backup", "ledger"),
    ],
)
def test_a_store_that_is_wrong_in_itself_fails(
    site: Site, statement: str, name: str, what: str
) -> None:
    """Whatever its hashes say: balances, claims, rows and entries are those that were backed up."""
    report = site.drill(source=resealed(site, statement))
    assert what in failed(report)[name]


def test_a_damaged_backup_fails_the_drill(site: Site) -> None:
    """It is reported as any other finding, and nothing after it is looked at."""
    with (site.backup / FILE).open("ab") as file:
        file.write(b"x")
    report = site.drill()
    assert "bytes" in failed(report)["backup"]
    assert document(report)["ok"] is False
    assert text(report).endswith("DOES NOT HOLD")


def test_a_live_store_with_another_past_fails(site: Site) -> None:
    """A live ledger that lost what the backup has is not its continuation."""

    async def open_store() -> Store:
        return SqliteStore(site.folder / "data" / FILE)

    signer = site.signer()
    site.bank.play.run(site.bank.play.store.close())
    shutil.rmtree(site.folder / "data")
    Playground(open_store).close()
    assert "doesn't begin as" in failed(site.drill(signer=signer))["live store"]


def test_what_is_not_configured_is_left_out(site: Site) -> None:
    """Without chain and signer's export the drill says so and holds."""
    report = site.drill(chain=None, signer=None)
    skipped = {check.name for check in report.checks if check.status is Status.SKIPPED}
    assert skipped == {"chain", "signer"}
    assert report.ok


def test_findings_are_named_up_to_a_bound(site: Site) -> None:
    """A recipient whom another service pays as well makes no endless report."""
    claim = next(iter(site.bank.claims("1")))
    assert claim.state is ClaimState.CONFIRMED
    where = (claim.terms.vault, claim.terms.recipient)
    seen = ChainView(seqno=2**64 - 1, time_s=0)
    found = on_chain(ClaimBook(claims=(claim,)), {where: seen}, None)
    assert len(found.faults) == MOST_NAMED
    many = list(map(str, itertools.islice(itertools.count(), MOST_NAMED + 5)))
    assert named(many)[-1] == "and 5 more"
