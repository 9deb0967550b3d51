"""The store in memory: one unit of work at a time, undone as a whole when it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar, cast

from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditFilter,
    AuditRow,
)
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Record
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import (
    Posting,
    emission_prefix,
    may_go_negative,
    post,
    sink_prefix,
)
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvariantViolation
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.instants import day_key
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import STANDING, LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage, Row, StoredBalances
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Backlog, Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session
from aiba_domain.ports import (
    Entry,
    Movement,
    Reader,
    Remembered,
    Scope,
    Totals,
    Unavailable,
    UnitOfWork,
)

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
Flagged = TypeVar("Flagged", Broker, Player)

_KEYS: Mapping[type, str] = {
    Player: "id",
    Session: "id",
    Broker: "id",
    Battle: "id",
    Guild: "id",
    GameMode: "key",
    Flag: "id",
    SeedEpoch: "number",
    EconomyPolicy: "version",
    Claim: "id",
    Listing: "id",
    MintJob: "id",
    UsedPayment: "hash",
    Lease: "name",
    Mailbox: "subject",
    Letter: "id",
    AdminAccount: "email",
    AdminSession: "id",
    AuditRow: "number",
    Checkpoint: "number",
    LedgerStanding: "name",
}
_UNCHANGING: Final = frozenset(
    {Battle, Flag, Session, EconomyPolicy, UsedPayment, AuditRow, Checkpoint}
)
"""Records that are made once: a second one with the same key is a fault."""


@dataclass(slots=True)
class _State:
    """All that the store holds: records by type and key, and who is found by what.

    `wallets` maps addresses to players, `flights` vault and recipient to the claim in flight,
    `seqnos` vault, recipient and seqno to the one claim under it that isn't refunded, `claimed` a
    day and a player, None for all, to what their claims come to, `offers` brokers to their active
    listing, `mints` brokers to their open mint job, `nfts` items to their broker; `sources` are the
    accounts that money came from, ever.
    """

    records: dict[type, dict[object, Record]] = field(
        default_factory=lambda: {kind: {} for kind in _KEYS}
    )
    balances: dict[tuple[str, Currency], int] = field(default_factory=dict)
    sources: set[tuple[str, Currency]] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    answers: dict[Scope, Remembered] = field(default_factory=dict)
    wallets: dict[str, str] = field(default_factory=dict)
    flights: dict[tuple[str, str], str] = field(default_factory=dict)
    seqnos: dict[tuple[str, str, int], str] = field(default_factory=dict)
    claimed: dict[tuple[str, str | None], int] = field(default_factory=dict)
    offers: dict[str, str] = field(default_factory=dict)
    mints: dict[str, str] = field(default_factory=dict)
    nfts: dict[str, str] = field(default_factory=dict)


class MemoryStore:
    """A store without durability, for tests, simulations and the demo of a rule."""

    def __init__(self) -> None:
        """Start empty, with the default economy policy."""
        self._state = _State()
        self._state.records[EconomyPolicy][1] = EconomyPolicy()
        self._turn = asyncio.Lock()
        self._closed = False

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` alone; undo what it wrote if it raises."""
        async with self._turn:
            await self.check()
            unit = _MemoryUnitOfWork(self._state)
            try:
                result = await work(unit)
                unit.check()
            except BaseException:
                unit.undo()
                raise
            return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` between two units of work."""
        async with self._turn:
            await self.check()
            return await work(_MemoryUnitOfWork(self._state))

    async def check(self) -> None:
        """Raise Unavailable once the store is closed."""
        if self._closed:
            msg = "the store is closed"
            raise Unavailable(msg)

    async def close(self) -> None:
        """Wait for the unit of work under way and refuse later ones."""
        async with self._turn:
            self._closed = True


def _row(entry: Entry) -> Row:
    posting = entry.posting
    return Row(
        entry.number,
        entry.at,
        posting.currency.value,
        posting.amount,
        posting.debit,
        posting.credit,
        posting.reason,
        posting.arena,
        posting.league,
        posting.source_type,
        posting.source_id,
    )


def _most_flagged(all_of_them: Iterable[Flagged], least: int, limit: int) -> Sequence[Flagged]:
    found = [each for each in all_of_them if each.anomaly_flags >= least]
    found.sort(key=lambda each: (each.anomaly_flags, each.updated_at, each.id), reverse=True)
    return found[:limit]


class _MemoryUnitOfWork:
    """Reads and writes the state directly and remembers how to undo each write."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._undo: list[Callable[[], object]] = []
        self.failure: Exception | None = None

    def check(self) -> None:
        """Raise what a write of this unit has raised, if one did."""
        if self.failure is not None:
            raise self.failure

    def undo(self) -> None:
        """Take back every write, the newest first."""
        while self._undo:
            self._undo.pop()()

    async def player(self, player_id: str) -> Player | None:
        return self._get(Player, player_id)

    async def session(self, session_id: str) -> Session | None:
        return self._get(Session, session_id)

    async def broker(self, broker_id: str) -> Broker | None:
        return self._get(Broker, broker_id)

    async def brokers_of(self, player_id: str) -> Sequence[Broker]:
        mine = [broker for broker in self._all(Broker) if broker.owner_id == player_id]
        return sorted(mine, key=lambda broker: (broker.created_at, broker.id), reverse=True)

    async def broker_of_nft(self, item_address: str) -> Broker | None:
        owner = self._state.nfts.get(item_address)
        return None if owner is None else self._get(Broker, owner)

    async def latest_brokers(self, *, minted: bool | None, limit: int) -> Sequence[Broker]:
        found = [
            broker
            for broker in self._all(Broker)
            if minted is None or minted == bool(broker.nft_item_address)
        ]
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)[:limit]

    async def flagged_brokers(self, *, least: int, limit: int) -> Sequence[Broker]:
        return _most_flagged(self._all(Broker), least, limit)

    async def flagged_players(self, *, least: int, limit: int) -> Sequence[Player]:
        return _most_flagged(self._all(Player), least, limit)

    async def mint_job(self, job_id: str) -> MintJob | None:
        return self._get(MintJob, job_id)

    async def mint_job_of(self, broker_id: str) -> MintJob | None:
        job = self._state.mints.get(broker_id)
        return None if job is None else self._get(MintJob, job)

    async def mint_jobs(self, *, status: MintStatus | None, limit: int) -> Sequence[MintJob]:
        found = [job for job in self._all(MintJob) if status in (None, job.status)]
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)[:limit]

    async def battle(self, battle_id: str) -> Battle | None:
        return self._get(Battle, battle_id)

    async def battles_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        mine = [
            battle
            for battle in self._all(Battle)
            if battle.player_id == player_id
            and (before is None or (battle.created_at, battle.id) < before)
        ]
        mine.sort(key=lambda battle: (battle.created_at, battle.id), reverse=True)
        return mine[:limit]

    async def mode(self, key: str) -> GameMode | None:
        return self._get(GameMode, key)

    async def modes(self) -> Sequence[GameMode]:
        return sorted(self._all(GameMode), key=lambda mode: (mode.arena, mode.league, mode.key))

    async def guild_of(self, player_id: str) -> Guild | None:
        mine = [
            guild for guild in self._all(Guild) if guild.active and player_id in guild.member_ids
        ]
        return min(mine, key=lambda guild: guild.id, default=None)

    async def rivals_of(self, guild: Guild) -> Sequence[GuildStrength]:
        return [
            GuildStrength(guild_id=other.id, pooled=other.pooled)
            for other in self._all(Guild)
            if other.active and other.id != guild.id
        ]

    async def wallet_owner(self, address: str) -> str | None:
        return self._state.wallets.get(address)

    async def claim(self, claim_id: str) -> Claim | None:
        return self._get(Claim, claim_id)

    async def open_claim(self, vault: str, recipient: str) -> Claim | None:
        flying = self._state.flights.get((vault, recipient))
        return None if flying is None else self._get(Claim, flying)

    async def confirmed_seqno(self, vault: str, recipient: str) -> int:
        target = (vault, recipient)
        paid = (
            claim.terms.seqno
            for claim in self._all(Claim)
            if claim.state is ClaimState.CONFIRMED
            and (claim.terms.vault, claim.terms.recipient) == target
        )
        return max(paid, default=0)

    async def open_claims(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Claim]:
        flying = [
            claim
            for claim in self._all(Claim)
            if claim.is_open and (after is None or (claim.created_at, claim.id) > after)
        ]
        flying.sort(key=lambda claim: (claim.created_at, claim.id))
        return flying[:limit]

    async def claims_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Claim]:
        mine = [
            claim
            for claim in self._all(Claim)
            if claim.player_id == player_id
            and (before is None or (claim.created_at, claim.id) < before)
        ]
        mine.sort(key=lambda claim: (claim.created_at, claim.id), reverse=True)
        return mine[:limit]

    async def claimed(self, day: str, player_id: str | None) -> int:
        return self._state.claimed.get((day, player_id), 0)

    async def payment_use(self, tx_hash: str) -> UsedPayment | None:
        return self._get(UsedPayment, tx_hash)

    async def listing(self, listing_id: str) -> Listing | None:
        return self._get(Listing, listing_id)

    async def listing_of(self, broker_id: str) -> Listing | None:
        offer = self._state.offers.get(broker_id)
        return None if offer is None else self._get(Listing, offer)

    async def flags_of(self, subject: Subject, subject_id: str) -> Sequence[Flag]:
        flags = [
            flag
            for flag in self._all(Flag)
            if flag.subject is subject and flag.subject_id == subject_id
        ]
        return sorted(flags, key=lambda flag: (flag.at, flag.id))

    async def recent_flags(self, subject: Subject, *, limit: int) -> Sequence[Flag]:
        flags = [flag for flag in self._all(Flag) if flag.subject is subject]
        return sorted(flags, key=lambda flag: (flag.at, flag.id), reverse=True)[:limit]

    async def lease(self, name: str) -> Lease | None:
        return self._get(Lease, name)

    async def mailbox(self, subject: str) -> Mailbox | None:
        return self._get(Mailbox, subject)

    async def mailboxes_due(self, now: int, *, limit: int) -> Sequence[Mailbox]:
        due = [each for each in self._all(Mailbox) if each.is_pending and each.due_at <= now]
        return sorted(due, key=lambda each: (each.due_at, each.subject))[:limit]

    async def letter(self, letter_id: str) -> Letter | None:
        return self._get(Letter, letter_id)

    async def dead_letters(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Letter]:
        dead = [
            ((each.died_at, each.id), each)
            for each in self._all(Letter)
            if each.died_at is not None
        ]
        dead.sort(key=lambda each: each[0])
        return [each for place, each in dead if after is None or place > after][:limit]

    async def backlog(self) -> Backlog:
        waiting = [each.at for each in self._all(Letter) if not each.is_dead]
        dead = sum(each.is_dead for each in self._all(Letter))
        return Backlog(pending=len(waiting), oldest_at=min(waiting, default=None), dead=dead)

    async def admin_account(self, email: str) -> AdminAccount | None:
        return self._get(AdminAccount, email)

    async def admin_accounts(self) -> Sequence[AdminAccount]:
        return sorted(self._all(AdminAccount), key=lambda account: account.email)

    async def admin_session(self, session_id: str) -> AdminSession | None:
        return self._get(AdminSession, session_id)

    async def last_audit_row(self) -> AuditRow | None:
        return max(self._all(AuditRow), key=lambda row: row.number, default=None)

    async def audit_rows(
        self, wanted: AuditFilter, *, offset: int, limit: int
    ) -> tuple[Sequence[AuditRow], int]:
        found = [row for row in self._all(AuditRow) if wanted.takes(row)]
        found.sort(key=lambda row: (row.at, row.number), reverse=True)
        return found[offset : offset + limit], len(found)

    async def audit_trail(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        rows = [row for row in self._all(AuditRow) if row.number > after]
        rows.sort(key=lambda row: row.number)
        return rows[:limit]

    async def epoch(self) -> SeedEpoch | None:
        return max(self._all(SeedEpoch), key=lambda epoch: epoch.number, default=None)

    async def epochs(self) -> Sequence[SeedEpoch]:
        return sorted(self._all(SeedEpoch), key=lambda epoch: epoch.number)

    async def policy(self) -> EconomyPolicy:
        return max(self._all(EconomyPolicy), key=lambda policy: policy.version)

    async def policies(self, *, before: int | None, limit: int) -> Sequence[EconomyPolicy]:
        found = [
            policy
            for policy in self._all(EconomyPolicy)
            if before is None or policy.version < before
        ]
        return sorted(found, key=lambda policy: policy.version, reverse=True)[:limit]

    async def balances(self, account: str) -> Mapping[Currency, int]:
        held = self._state.balances
        return {
            currency: held[account, currency]
            for currency in Currency
            if (account, currency) in held
        }

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:
        prefix = emission_prefix(day)
        found: dict[Currency, dict[str, int]] = {}
        balances = self._state.balances
        for account, currency in self._state.sources:
            if account.startswith(prefix) and (account, currency) in balances:
                emitted = -balances[account, currency]
                found.setdefault(currency, {})[account.removeprefix(prefix)] = emitted
        return {currency: EmissionUse(by_arena=arenas) for currency, arenas in found.items()}

    async def spent(self, day: str) -> Mapping[str, Mapping[Currency, int]]:
        prefix = sink_prefix(day)
        found: dict[str, dict[Currency, int]] = {}
        for (account, currency), balance in self._state.balances.items():
            if account.startswith(prefix):
                found.setdefault(account.removeprefix(prefix), {})[currency] = balance
        return found

    async def movements(self, account: str | None, *, limit: int) -> Sequence[Movement]:
        found = (
            Movement(at=entry.at, posting=entry.posting)
            for entry in reversed(self._state.entries)
            if account is None or account in (entry.posting.debit, entry.posting.credit)
        )
        return list(islice(found, limit))

    async def totals(self, day: str) -> Totals:
        seen = [player for player in self._all(Player) if day_key(player.last_seen_at) == day]
        fought = [battle for battle in self._all(Battle) if day_key(battle.created_at) == day]
        return Totals(
            players=len(self._state.records[Player]),
            players_seen=len(seen),
            battles=len(self._state.records[Battle]),
            battles_fought=len(fought),
        )

    async def accounts(self) -> Mapping[tuple[str, Currency], int]:
        return dict(self._state.balances)

    def entries(self) -> Iterable[Entry]:
        return tuple(self._state.entries)

    async def ledger(self, after: str, *, limit: int, settled: bool) -> LedgerPage:  # noqa: ARG002 - all are
        start = int(after or 0)
        found = self._state.entries[start : start + limit]
        end = start + len(found)
        return LedgerPage(
            rows=[_row(each) for each in found],
            place=str(end),
            is_end=end == len(self._state.entries),
        )

    async def stored_balances(self, after: str, *, limit: int) -> Sequence[StoredBalances]:
        held: dict[str, dict[str, int]] = {}
        for (account, currency), balance in self._state.balances.items():
            if account > after:
                held.setdefault(account, {})[currency.value] = balance
        return [StoredBalances(account=each, held=held[each]) for each in sorted(held)[:limit]]

    async def last_checkpoint(self) -> Checkpoint | None:
        return max(self._all(Checkpoint), key=lambda each: each.number, default=None)

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[Checkpoint]:
        found = [each for each in self._all(Checkpoint) if each.number > after]
        return sorted(found, key=lambda each: each.number)[:limit]

    async def ledger_standing(self) -> LedgerStanding | None:
        return self._get(LedgerStanding, STANDING)

    async def remembered(self, scope: Scope) -> Remembered | None:
        return self._state.answers.get(scope)

    async def write(
        self,
        *,
        at: int,
        postings: Sequence[Posting] = (),
        changed: Sequence[Record] = (),
        removed: Sequence[Record] = (),
        remember: Remembered | None = None,
    ) -> None:
        try:
            self._apply(at, postings, changed, removed, remember)
        except Exception as failure:
            self.failure = failure
            raise

    def _apply(
        self,
        at: int,
        postings: Sequence[Posting],
        changed: Sequence[Record],
        removed: Sequence[Record],
        remember: Remembered | None,
    ) -> None:
        """Write everything; the store undoes the unit if any of it fails."""
        state = self._state
        for place, balance in post(state.balances, postings).items():
            self._put(state.balances, place, balance)
            if may_go_negative(place[0]):
                state.sources.add(place)
        for posting in postings:
            entry = Entry(number=len(state.entries) + 1, at=at, posting=posting)
            state.entries.append(entry)
            self._undo.append(state.entries.pop)
        for record in changed:
            self._keep(record)
        for record in removed:
            kind = type(record)
            if isinstance(record, Broker):
                self._bind_nft(record, "")
            self._drop(state.records[kind], getattr(record, _KEYS[kind]))
        if remember:
            if remember.scope in state.answers:
                raise InvariantViolation(f"a second answer to {remember.scope}")
            self._put(state.answers, remember.scope, remember)

    def _keep(self, record: Record) -> None:
        """Keep a record in place of the one with the same key, and what it is found by."""
        kind = type(record)
        records, key = self._state.records[kind], getattr(record, _KEYS[kind])
        if kind in _UNCHANGING and key in records:
            raise InvariantViolation(f"a second {kind.__name__} {key}")
        if isinstance(record, Player):
            self._bind_wallet(record)
        elif isinstance(record, Claim):
            self._track_flight(record)
            self._track_seqno(record)
            self._track_day(record)
        elif isinstance(record, Listing):
            self._track_offer(record)
        elif isinstance(record, MintJob):
            self._track_mint(record)
        elif isinstance(record, Broker):
            self._bind_nft(record, record.nft_item_address)
        self._put(records, key, record)

    def _bind_wallet(self, player: Player) -> None:
        """Keep whose wallet is whose; one wallet has one player."""
        owners = self._state.wallets
        before = self._get(Player, player.id)
        if before is not None and before.wallet == player.wallet:
            return
        if before is not None and before.wallet:
            self._drop(owners, before.wallet)
        if player.wallet:
            if player.wallet in owners:
                raise InvariantViolation(f"a second player with the wallet {player.wallet}")
            self._put(owners, player.wallet, player.id)

    def _track_flight(self, claim: Claim) -> None:
        """Keep which claim is in flight to whom; there is one at a time."""
        flights = self._state.flights
        target = (claim.terms.vault, claim.terms.recipient)
        flying = flights.get(target)
        if claim.is_open:
            if flying not in (None, claim.id):
                raise InvariantViolation(f"a second claim in flight to {claim.terms.recipient}")
            self._put(flights, target, claim.id)
        elif flying == claim.id:
            self._drop(flights, target)

    def _track_seqno(self, claim: Claim) -> None:
        """Keep which claim a seqno stands for; a refunded one gives it up."""
        seqnos = self._state.seqnos
        place = (claim.terms.vault, claim.terms.recipient, claim.terms.seqno)
        taken = seqnos.get(place)
        if claim.state is not ClaimState.REFUNDED:
            if taken not in (None, claim.id):
                raise InvariantViolation(f"a second claim under seqno {claim.terms.seqno}")
            self._put(seqnos, place, claim.id)
        elif taken == claim.id:
            self._drop(seqnos, place)

    def _track_day(self, claim: Claim) -> None:
        """Keep what a day's claims come to; a refunded one no more."""
        claimed = self._state.claimed
        for each, sign in ((self._get(Claim, claim.id), -1), (claim, 1)):
            if each is not None and each.state is not ClaimState.REFUNDED:
                day = day_key(each.created_at)
                for place in ((day, None), (day, each.player_id)):
                    self._put(claimed, place, claimed.get(place, 0) + sign * each.terms.amount)

    def _track_offer(self, listing: Listing) -> None:
        """Keep which listing of a broker is active; there is one at a time."""
        offers = self._state.offers
        offer = offers.get(listing.broker_id)
        if listing.is_active:
            if offer not in (None, listing.id):
                raise InvariantViolation(f"a second active listing of {listing.broker_id}")
            self._put(offers, listing.broker_id, listing.id)
        elif offer == listing.id:
            self._drop(offers, listing.broker_id)

    def _track_mint(self, job: MintJob) -> None:
        """Keep which mint job of a broker is open; there is one at a time."""
        mints = self._state.mints
        open_job = mints.get(job.broker_id)
        if job.is_open:
            if open_job not in (None, job.id):
                raise InvariantViolation(f"a second open mint job of {job.broker_id}")
            self._put(mints, job.broker_id, job.id)
        elif open_job == job.id:
            self._drop(mints, job.broker_id)

    def _bind_nft(self, broker: Broker, item_address: str) -> None:
        """Keep whose NFT is whose; one NFT has one broker."""
        nfts = self._state.nfts
        before = self._get(Broker, broker.id)
        held = "" if before is None else before.nft_item_address
        if held == item_address:
            return
        if held:
            self._drop(nfts, held)
        if item_address:
            if item_address in nfts:
                raise InvariantViolation(f"a second broker of the NFT {item_address}")
            self._put(nfts, item_address, broker.id)

    def _get(self, kind: type[T], key: object) -> T | None:
        return cast("T | None", self._state.records[kind].get(key))

    def _all(self, kind: type[T]) -> Iterable[T]:
        return cast("Iterable[T]", self._state.records[kind].values())

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.pop(key))
        table[key] = value

    def _drop(self, table: dict[K, V], key: K) -> None:
        if key in table:
            before = table.pop(key)
            self._undo.append(lambda: table.__setitem__(key, before))
