"""The plan of an import: the units that a staged source means, in an order that never varies.

The same rows give the same units, so a plan can be gone through again: to look at it first, to
write it, to go on after a death, and to prove what was written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aiba_adapters.legacy.staging import Row, Staging
from aiba_domain.brokers.minting import MintStatus
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.legacy import battles, history, people, settings, world
from aiba_domain.legacy.claims import Canonical
from aiba_domain.legacy.columns import ASIDE, BOOSTS, GIFTS, HASHES, IMPORTED
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Code, Findings
from aiba_domain.legacy.places import leftover
from aiba_domain.legacy.totals import money_of
from aiba_domain.legacy.units import Draft, Unit, cut
from aiba_domain.legacy.values import name_of
from aiba_domain.payments.model import Purpose, UsedPayment
from aiba_entry.legacy.claim_plan import ClaimPlan
from aiba_entry.legacy.player_plan import PlayerPlan

Keep = Callable[[Row, str, tuple[str, ...]], None]
"""Told of a row that is kept aside: why, and which fields; none for the whole row."""

_DAY: Final = world.DAY_KEY


def nothing(_row: Row, _why: str, _fields: tuple[str, ...]) -> None:
    """Keep nothing aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a plan depends on beside the source.

    `policy` is the one in force before, `at` the instant of the import in ms, `batch` how many
    writes a unit has about.
    """

    canonical: Canonical
    jetton_master: str
    policy: EconomyPolicy
    at: int
    batch: int


@dataclass(slots=True)
class Plan:
    """One run through the plan; what it finds goes to `found`, what has no place to `keep`.

    With `judges` it also looks for what is wrong between rows, which changes no unit.
    """

    staging: Staging
    terms: Terms
    keep: Keep = nothing
    judges: bool = False
    found: Findings = field(default_factory=Findings)

    def units(self) -> Iterator[Unit]:
        """Yield all units in order."""
        players = PlayerPlan(self.staging, self.found, self.watched, judges=self.judges)
        claims = ClaimPlan(
            self.staging,
            self.found,
            canonical=self.terms.canonical,
            jetton_master=self.terms.jetton_master,
        )
        stages: tuple[tuple[str, Iterator[Draft]], ...] = (
            ("settings", self._settings()),
            ("modes", self._modes()),
            ("history", self._history()),
            ("players", players.drafts()),
            ("nobody", players.nobodies()),
            ("brokers", self._brokers()),
            ("battles", self._battles()),
            ("guilds", self._guilds()),
            ("listings", self._listings()),
            ("mint-jobs", self._mint_jobs()),
            ("treasury", self._singles()),
            ("stakes", self._stakes()),
            ("days", self._days()),
            ("payments", self._payments()),
            ("claims-held", claims.held()),
            ("claims", claims.drafts()),
            ("keys", self._keys()),
        )
        for stage, drafts in stages:
            yield from cut(drafts, stage, self.terms.batch)
        if self.judges:
            self._look_at_the_rest()

    @contextmanager
    def watched(self, row: Row) -> Iterator[Fields]:
        """Give a row's fields, and keep aside what of it has no place or no good value."""
        before = self.found.losses
        yield Fields(row.collection, row.document, self.found)
        if self.found.losses != before:
            self.keep(row, "finding", ())
        elif left := leftover(row.collection, row.document):
            self.keep(row, "field", left)

    def _settings(self) -> Iterator[Draft]:
        for number, row in enumerate(self.staging.each(settings.CONFIG)):
            with self.watched(row) as fields:
                if number:
                    fields.note(Code.SINGLE_TWICE)
                    continue
                policy = settings.policy(fields, self.terms.policy, self.terms.at)
                yield Draft(records=[policy])

    def _modes(self) -> Iterator[Draft]:
        for row in self.staging.each(world.MODES):
            with self.watched(row) as fields:
                if not self.staging.is_first(row):
                    fields.note(Code.KEY_TWICE, "key")
                elif (mode := world.mode(fields, row.key)) is not None:
                    yield Draft(records=[mode])

    def _history(self) -> Iterator[Draft]:
        for row in self.staging.each(history.LEDGER):
            with self.watched(row) as fields:
                if self.judges and row.key and not self.staging.is_first(row, within_owner=True):
                    fields.note(Code.LEDGER_TWICE)
                posting = history.posting(fields)
                if posting is not None:
                    yield Draft(moves=[(row.at, posting)])

    def _brokers(self) -> Iterator[Draft]:
        for row in self.staging.each(people.BROKERS):
            with self.watched(row) as fields:
                if not row.id:
                    fields.note(Code.ID_MALFORMED)
                elif not row.owner:
                    fields.note(Code.BROKER_NO_OWNER)
                else:
                    own_nft = not row.key or self.staging.is_first(row)
                    if not own_nft:
                        fields.note(Code.NFT_TWICE)
                    kept = people.broker(fields, row.owner, row.id, nft=own_nft)
                    yield Draft(records=[kept])

    def _battles(self) -> Iterator[Draft]:
        for row in self.staging.each(battles.BATTLES):
            with self.watched(row) as fields:
                if not (row.id and row.ref):
                    fields.note(Code.ID_MALFORMED)
                elif not row.owner:
                    fields.note(Code.BATTLE_NO_OWNER)
                else:
                    if self.judges:
                        self._look_at_battle(row, fields)
                    yield Draft(records=[battles.battle(fields, row.owner, row.id, row.ref)])

    def _look_at_battle(self, row: Row, fields: Fields) -> None:
        broker = self.staging.by_id(people.BROKERS, row.ref)
        if broker is None:
            fields.note(Code.BATTLE_NO_BROKER)
        elif broker.owner != row.owner:
            fields.note(Code.BATTLE_FOREIGN_BROKER)
        if row.key and not self.staging.is_first(row, within_owner=True):
            fields.note(Code.BATTLE_REQUEST_TWICE)

    def _guilds(self) -> Iterator[Draft]:
        for row in self.staging.each(world.GUILDS):
            with self.watched(row) as fields:
                if not row.id:
                    fields.note(Code.ID_MALFORMED)
                    yield world.vault_without_guild(fields, name_of(row.document))
                    continue
                pooled = self.staging.count_by_ref(people.BROKERS, row.id)
                guild, draft = world.guild(fields, row.id, pooled)
                draft.records.append(guild)
                yield draft

    def _listings(self) -> Iterator[Draft]:
        offered: set[str] = set()
        for row in self.staging.each(world.LISTINGS):
            with self.watched(row) as fields:
                if not (row.id and row.ref):
                    fields.note(Code.ID_MALFORMED)
                    continue
                broker = self.staging.by_id(people.BROKERS, row.ref)
                can_sell = (
                    broker is not None and broker.owner == row.owner and row.ref not in offered
                )
                listing = world.listing(fields, row.id, row.ref, can_sell=can_sell)
                if listing.is_active:
                    offered.add(row.ref)
                yield Draft(records=[listing])

    def _mint_jobs(self) -> Iterator[Draft]:
        under_way: set[str] = set()
        for row in self.staging.each(world.MINTS):
            with self.watched(row) as fields:
                if not (row.id and row.ref and row.owner):
                    fields.note(Code.ID_MALFORMED)
                    continue
                job = world.mint_job(fields, row.id, row.ref, row.owner)
                if job.is_open and row.ref in under_way:
                    fields.note(Code.MINT_TWICE)
                    job = job.ended(MintStatus.FAILED, job.updated_at)
                if job.is_open:
                    under_way.add(row.ref)
                yield Draft(records=[job])

    def _singles(self) -> Iterator[Draft]:
        for name in world.SINGLES:
            for number, row in enumerate(self.staging.each(name)):
                with self.watched(row) as fields:
                    if number:
                        fields.note(Code.SINGLE_TWICE)
                    yield world.single(fields)

    def _stakes(self) -> Iterator[Draft]:
        for name in (world.STAKES, world.LOCKS):
            for row in self.staging.each(name):
                with self.watched(row) as fields:
                    yield world.stake(fields, row.owner or f"nobody:{name_of(row.document)}")

    def _days(self) -> Iterator[Draft]:
        for row in self.staging.each(world.DAYS):
            with self.watched(row) as fields:
                if _DAY.fullmatch(row.key) and self.staging.is_first(row):
                    yield world.day(fields, row.key)
                    continue
                code = Code.KEY_TWICE if _DAY.fullmatch(row.key) else Code.DAY_MALFORMED
                fields.note(code)
                for book, currency, amount in money_of(row.collection, row.document):
                    self.found.correct(book, currency, code, amount)

    def _payments(self) -> Iterator[Draft]:
        for name in (HASHES, GIFTS, BOOSTS):
            for row in self.staging.each(name):
                with self.watched(row):
                    pass
        for row in self.staging.no_payments():
            self.found.note(Code.TX_HASH_MALFORMED, f"{row.collection} {name_of(row.document)}")
            self.keep(row, "finding", ())
        for tx_hash, owner, at, again in self.staging.payments():
            if again:
                self.found.note(Code.TX_HASH_TWICE, tx_hash)
            use = UsedPayment(hash=tx_hash, purpose=Purpose.LEGACY, player_id=owner, at=at)
            yield Draft(records=[use])

    def _keys(self) -> Iterator[Draft]:
        for key in self.staging.used_keys():
            yield Draft(keys=[key])

    def _look_at_the_rest(self) -> None:
        """Find what is wrong between rows, and keep aside what has no place at all."""
        for owner in self.staging.owners_alike():
            self.found.note(Code.USER_ID_CASE, owner)
        for _ in range(self.staging.wallets_shared()):
            self.found.note(Code.WALLET_SHARED, people.USERS)
        for name in self.staging.counts:
            if name in IMPORTED:
                continue
            if name not in ASIDE:
                self.found.note(Code.COLLECTION_UNKNOWN, name)
            for row in self.staging.each(name):
                self.keep(row, "no place", ())
