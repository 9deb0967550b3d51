"""The port's reads, within one transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING

from aiba_adapters.codec import decode_outcome
from aiba_adapters.mongo.audit_reads import AuditReads
from aiba_adapters.mongo.kept import MARK, KeptReads
from aiba_adapters.mongo.ledger import Ledger
from aiba_adapters.mongo.locks import claim_day_id
from aiba_adapters.mongo.shapes.base import RecordShape
from aiba_adapters.mongo.shapes.money import (
    ClaimDayShape,
    ClaimShape,
    PaymentShape,
)
from aiba_adapters.mongo.shapes.people import (
    AdminAccountShape,
    AdminSessionShape,
    AuditShape,
    FlagShape,
    GuildShape,
    PlayerShape,
    SessionShape,
)
from aiba_adapters.mongo.shapes.play import (
    BattleShape,
    BrokerShape,
    EpochShape,
    ListingShape,
    MintJobShape,
    ModeShape,
    PolicyShape,
    ScoreShape,
)
from aiba_adapters.mongo.shapes.work import AnswerShape, LeaseShape, LetterShape, MailboxShape
from aiba_adapters.mongo.shares import is_shared_out
from aiba_adapters.mongo.transaction import Transaction
from aiba_adapters.mongo.values import unpack_int
from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditFilter,
    AuditRow,
    folded,
)
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import sink_prefix
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.instants import DAY, day_number
from aiba_domain.leases.model import Lease
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Backlog, Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session
from aiba_domain.ports import Entry, Leader, Movement, Remembered, Scope, Totals

R = TypeVar("R")

AUDIT_LOCK = "audit"
"""The lock of whoever adds to the audit trail."""

_NEWEST = [("created_at", DESCENDING), ("_id", DESCENDING)]
_OLDEST = [("created_at", ASCENDING), ("_id", ASCENDING)]


class MongoReads(AuditReads):
    """Implements the port's reads, and notes in `locks` what a unit depends on by them."""

    def __init__(self, transaction: Transaction, ledger: Ledger, kept: KeptReads) -> None:
        """Read in a transaction."""
        super().__init__(transaction, ledger)
        self._kept = kept
        self._owners: dict[str, str] = {}

    async def player(self, player_id: str) -> Player | None:
        return await self._record(PlayerShape, player_id)

    async def session(self, session_id: str) -> Session | None:
        return await self._record(SessionShape, session_id)

    async def broker(self, broker_id: str) -> Broker | None:
        found: Broker | None = await self._record(BrokerShape, broker_id)
        if found is not None:
            self._owners[found.id] = found.owner_id
        return found

    async def brokers_of(self, player_id: str) -> Sequence[Broker]:
        self._locks.name(f"brokers_of:{player_id}")
        brokers: list[Broker] = await self._records(BrokerShape, {"owner_id": player_id})
        brokers.sort(key=lambda broker: (broker.created_at, broker.id), reverse=True)
        return brokers

    async def broker_of_nft(self, item_address: str) -> Broker | None:
        if not item_address:
            return None
        self._locks.name(f"nft:{item_address}")
        found: list[Broker] = await self._records(BrokerShape, {"nft": item_address}, limit=1)
        return found[0] if found else None

    async def latest_brokers(self, *, minted: bool | None, limit: int) -> Sequence[Broker]:
        where = {} if minted is None else {"nft": {"$exists": minted}}
        newest = [("body.created_at", DESCENDING), ("_id", DESCENDING)]
        return await self._records(BrokerShape, where, sort=newest, limit=limit)

    async def flagged_brokers(self, *, least: int, limit: int) -> Sequence[Broker]:
        return await self._flagged(BrokerShape, least, limit)

    async def flagged_players(self, *, least: int, limit: int) -> Sequence[Player]:
        return await self._flagged(PlayerShape, least, limit)

    async def leaders(self, *, limit: int) -> Sequence[Leader]:
        if not limit:
            return []
        ranks = [("score", DESCENDING), ("_id", ASCENDING)]
        found = await self._transaction.all(ScoreShape, {}, sort=ranks, limit=limit)
        return [Leader(player_id=each["_id"], score=unpack_int(each["score"])) for each in found]

    async def badge_holders(self, badge: str, *, limit: int) -> Sequence[Player]:
        self._locks.name(f"badge:{badge}")
        by_id = [("_id", ASCENDING)]
        return await self._records(PlayerShape, {"body.badges": badge}, sort=by_id, limit=limit)

    async def mint_job(self, job_id: str) -> MintJob | None:
        return await self._record(MintJobShape, job_id)

    async def mint_job_of(self, broker_id: str) -> MintJob | None:
        self._locks.name(f"mint_job_of:{broker_id}")
        where = {"broker_id": broker_id, "open": True}
        found: list[MintJob] = await self._records(MintJobShape, where, limit=1)
        return found[0] if found else None

    async def mint_jobs(self, *, status: MintStatus | None, limit: int) -> Sequence[MintJob]:
        where = {} if status is None else {"status": status.value}
        return await self._records(MintJobShape, where, sort=_NEWEST, limit=limit)

    async def battle(self, battle_id: str) -> Battle | None:
        return await self._record(BattleShape, battle_id)

    async def battles_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        where: dict[str, Any] = {"player_id": player_id} | _beyond(before, "$lt")
        return await self._records(BattleShape, where, sort=_NEWEST, limit=limit)

    async def mode(self, key: str) -> GameMode | None:
        async def read() -> GameMode | None:
            return await self._record(ModeShape, key, lock=False)

        found: GameMode | None = await self._kept.get(f"mode {key}", read)
        return found

    async def modes(self) -> Sequence[GameMode]:
        async def read() -> Sequence[GameMode]:
            modes: list[GameMode] = await self._records(ModeShape, {})
            return sorted(modes, key=lambda mode: (mode.arena, mode.league, mode.key))

        found: Sequence[GameMode] = await self._kept.get("modes", read)
        return found

    async def guild_of(self, player_id: str) -> Guild | None:
        self._locks.name(f"guild_of:{player_id}")
        where = {"active": True, "member_ids": player_id}
        found: list[Guild] = await self._records(
            GuildShape, where, sort=[("_id", ASCENDING)], limit=1
        )
        return found[0] if found else None

    async def rivals_of(self, guild: Guild) -> Sequence[GuildStrength]:
        rivals = []
        for side, order in (("$gte", ASCENDING), ("$lte", DESCENDING)):
            stored = await self._transaction.one(
                GuildShape,
                {
                    "active": True,
                    "pooled": {side: guild.pooled, "$gt": 0},
                    "_id": {"$ne": guild.id},
                },
                sort=[("pooled", order), ("_id", ASCENDING)],
                projection=["pooled"],
            )
            if stored is not None:
                rivals.append(GuildStrength(guild_id=stored["_id"], pooled=int(stored["pooled"])))
        return rivals

    async def wallet_owner(self, address: str) -> str | None:
        if not address:
            return None
        stored = await self._transaction.one(PlayerShape, {"wallet": address}, projection=["_id"])
        if stored is None:
            return None
        owner: str = stored["_id"]
        self._locks.read(PlayerShape, owner)
        return owner

    async def claim(self, claim_id: str) -> Claim | None:
        return await self._record(ClaimShape, claim_id)

    async def open_claim(self, vault: str, recipient: str) -> Claim | None:
        self._locks.name(target_lock(vault, recipient))
        where = {"vault": vault, "recipient": recipient, "open": True}
        found: list[Claim] = await self._records(ClaimShape, where, limit=1)
        return found[0] if found else None

    async def confirmed_seqno(self, vault: str, recipient: str) -> int:
        self._locks.name(target_lock(vault, recipient))
        stored = await self._transaction.one(
            ClaimShape,
            {"vault": vault, "recipient": recipient, "counts": True, "open": False},
            sort=[("seqno", DESCENDING)],
            projection=["seqno"],
        )
        return int(stored["seqno"]) if stored else 0

    async def open_claims(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Claim]:
        where: dict[str, Any] = {"open": True} | _beyond(after, "$gt")
        return await self._records(ClaimShape, where, sort=_OLDEST, limit=limit)

    async def claims_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Claim]:
        self._locks.name(f"claims_of:{player_id}")
        where: dict[str, Any] = {"player_id": player_id} | _beyond(before, "$lt")
        return await self._records(ClaimShape, where, sort=_NEWEST, limit=limit)

    async def claimed(self, day: str, player_id: str | None) -> int:
        self._locks.claim_day(day, player_id or "")
        stored = await self._transaction.one(
            ClaimDayShape, {"_id": claim_day_id(day, player_id or "")}
        )
        return unpack_int(stored["amount"]) if stored else 0

    async def payment_use(self, tx_hash: str) -> UsedPayment | None:
        return await self._record(PaymentShape, tx_hash)

    async def listing(self, listing_id: str) -> Listing | None:
        return await self._record(ListingShape, listing_id)

    async def listing_of(self, broker_id: str) -> Listing | None:
        self._locks.name(f"listing_of:{broker_id}")
        where = {"broker_id": broker_id, "active": True}
        found: list[Listing] = await self._records(ListingShape, where, limit=1)
        return found[0] if found else None

    async def flags_of(self, subject: Subject, subject_id: str) -> Sequence[Flag]:
        self._locks.name(f"flags_of:{subject.value}:{subject_id}")
        where = {"subject": subject.value, "subject_id": subject_id}
        in_time = [("at", ASCENDING), ("_id", ASCENDING)]
        return await self._records(FlagShape, where, sort=in_time)

    async def recent_flags(self, subject: Subject, *, limit: int) -> Sequence[Flag]:
        newest = [("at", DESCENDING), ("_id", DESCENDING)]
        return await self._records(FlagShape, {"subject": subject.value}, sort=newest, limit=limit)

    async def lease(self, name: str) -> Lease | None:
        return await self._record(LeaseShape, name)

    async def mailbox(self, subject: str) -> Mailbox | None:
        return await self._record(MailboxShape, subject)

    async def mailboxes_due(self, now: int, *, limit: int) -> Sequence[Mailbox]:
        where = {"pending": True, "due_at": {"$lte": now}}
        in_time = [("due_at", ASCENDING), ("_id", ASCENDING)]
        return await self._records(MailboxShape, where, sort=in_time, limit=limit)

    async def letter(self, letter_id: str) -> Letter | None:
        return await self._record(LetterShape, letter_id)

    async def dead_letters(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Letter]:
        where: dict[str, Any] = {"dead": True}
        if after is not None:
            at, last_id = after
            later = [{"died_at": {"$gt": at}}, {"died_at": at, "_id": {"$gt": last_id}}]
            where["$or"] = later
        in_time = [("died_at", ASCENDING), ("_id", ASCENDING)]
        return await self._records(LetterShape, where, sort=in_time, limit=limit)

    async def backlog(self) -> Backlog:
        oldest = await self._transaction.one(
            LetterShape, {"dead": False}, sort=[("at", ASCENDING)], projection=["at"]
        )
        return Backlog(
            pending=await self._transaction.count(LetterShape, {"dead": False}),
            oldest_at=int(oldest["at"]) if oldest else None,
            dead=await self._transaction.count(LetterShape, {"dead": True}),
        )

    async def admin_account(self, email: str) -> AdminAccount | None:
        return await self._record(AdminAccountShape, email)

    async def admin_accounts(self) -> Sequence[AdminAccount]:
        return await self._records(AdminAccountShape, {}, sort=[("_id", ASCENDING)])

    async def admin_session(self, session_id: str) -> AdminSession | None:
        return await self._record(AdminSessionShape, session_id)

    async def last_audit_row(self) -> AuditRow | None:
        self._locks.name(AUDIT_LOCK)
        found: list[AuditRow] = await self._records(
            AuditShape, {}, sort=[("_id", DESCENDING)], limit=1
        )
        return found[0] if found else None

    async def audit_rows(
        self, wanted: AuditFilter, *, offset: int, limit: int
    ) -> tuple[Sequence[AuditRow], int]:
        where = _wanted(wanted)
        newest = [("at", DESCENDING), ("_id", DESCENDING)]
        rows: list[AuditRow] = await self._records(
            AuditShape, where, sort=newest, skip=offset, limit=limit
        )
        return rows, await self._transaction.count(AuditShape, where)

    async def attempts(self, email: str, *, since: int) -> Sequence[AuditRow]:
        self._locks.name(AUDIT_LOCK)
        where = {"attempt": email, "at": {"$gte": since}}
        return await self._records(AuditShape, where, sort=[("_id", DESCENDING)])

    async def audit_trail(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        where = {"_id": {"$gt": after}}
        return await self._records(AuditShape, where, sort=[("_id", ASCENDING)], limit=limit)

    async def epoch(self) -> SeedEpoch | None:
        async def read() -> SeedEpoch | None:
            found: list[SeedEpoch] = await self._records(
                EpochShape, {}, sort=[("_id", DESCENDING)], limit=1
            )
            return found[0] if found else None

        newest: SeedEpoch | None = await self._kept.get("epoch", read)
        return newest

    async def epochs(self) -> Sequence[SeedEpoch]:
        return await self._records(EpochShape, {}, sort=[("_id", ASCENDING)])

    async def policy(self) -> EconomyPolicy:
        async def read() -> EconomyPolicy:
            found: list[EconomyPolicy] = await self._records(
                PolicyShape, {}, sort=[("_id", DESCENDING)], limit=1
            )
            return found[0]

        newest: EconomyPolicy = await self._kept.get("policy", read)
        return newest

    async def policies(self, *, before: int | None, limit: int) -> Sequence[EconomyPolicy]:
        where = {} if before is None else {"_id": {"$lt": before}}
        return await self._records(PolicyShape, where, sort=[("_id", DESCENDING)], limit=limit)

    async def balances(self, account: str) -> Mapping[Currency, int]:
        if not is_shared_out(account):
            self._locks.account(account)
        return await self._ledger.balances(account)

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:
        return await self._ledger.emitted(day)

    async def spent(self, day: str) -> Mapping[str, Mapping[Currency, int]]:
        return await self._ledger.held_under(sink_prefix(day))

    async def movements(self, account: str | None, *, limit: int) -> Sequence[Movement]:
        return await self._ledger.movements(account, limit)

    async def totals(self, day: str) -> Totals:
        start = day_number(day) * DAY
        return Totals(
            players=await self._transaction.size(PlayerShape),
            players_seen=await self._transaction.count(PlayerShape, {"seen_day": day}),
            battles=await self._transaction.size(BattleShape),
            battles_fought=await self._transaction.count(
                BattleShape, {"created_at": {"$gte": start, "$lt": start + DAY}}
            ),
        )

    async def accounts(self) -> Mapping[tuple[str, Currency], int]:
        return await self._ledger.accounts()

    def entries(self) -> Iterable[Entry]:
        return self._ledger.entries()

    async def remembered(self, scope: Scope) -> Remembered | None:
        key = answer_id(scope)
        found = await self._transaction.all(AnswerShape, {"_id": {"$in": [key, MARK]}})
        by_id = {each["_id"]: each for each in found}
        self._kept.see(by_id.get(MARK))
        stored = by_id.get(key)
        if stored is None:
            return None
        outcome = decode_outcome(scope.command, accepted=stored["accepted"], text=stored["reply"])
        return Remembered(
            scope=scope, fingerprint=stored["fingerprint"], outcome=outcome, at=int(stored["at"])
        )

    async def _flagged(self, shape: type[RecordShape[R]], least: int, limit: int) -> list[R]:
        # The index holds only who has flags, which the condition must say for it to be used.
        most = [
            ("body.anomaly_flags", DESCENDING),
            ("body.updated_at", DESCENDING),
            ("_id", DESCENDING),
        ]
        where = {"body.anomaly_flags": {"$gte": max(1, least)}}
        return await self._records(shape, where, sort=most, limit=limit)


def answer_id(scope: Scope) -> str:
    """Name the document of an answer; different scopes have different names."""
    return json.dumps([scope.principal, scope.command, scope.key], ensure_ascii=False)


def target_lock(vault: str, recipient: str) -> str:
    """Name the lock of the claims under one vault to one recipient."""
    return "claims_to:" + json.dumps([vault, recipient], ensure_ascii=False)


def _wanted(wanted: AuditFilter) -> dict[str, Any]:
    """Return the condition for audit rows; texts are literals, never patterns or expressions."""
    bounds = {"$gte": wanted.since, "$lte": wanted.until}
    where: dict[str, Any] = {}
    if times := {sign: at for sign, at in bounds.items() if at is not None}:
        where["at"] = times
    parts = [
        {"$gte": [{"$indexOfCP": [f"${name}", {"$literal": folded(part)}]}, 0]}
        for name, part in (("email", wanted.email), ("path", wanted.path))
        if part
    ]
    if parts:
        where["$expr"] = {"$and": parts}
    return where


def _beyond(place: tuple[int, str] | None, side: str) -> dict[str, Any]:
    """Return the condition for what comes beyond a (created_at, id)."""
    if place is None:
        return {}
    at, last_id = place
    return {"$or": [{"created_at": {side: at}}, {"created_at": at, "_id": {side: last_id}}]}
