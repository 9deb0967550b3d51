"""The port's writes, within one transaction."""

import datetime as dt
from collections.abc import Mapping, Sequence

from pymongo.errors import PyMongoError

from aiba_adapters.codec import encode_outcome
from aiba_adapters.mongo.audit_reads import CHECKPOINT_LOCK
from aiba_adapters.mongo.documents import Documents
from aiba_adapters.mongo.emitting import Common, Emitting, Terms
from aiba_adapters.mongo.failures import is_duplicate
from aiba_adapters.mongo.kept import KeptReads
from aiba_adapters.mongo.ledger import Ledger
from aiba_adapters.mongo.locks import claim_day_id
from aiba_adapters.mongo.reads import AUDIT_LOCK, answer_id, target_lock
from aiba_adapters.mongo.shapes.money import AccountShape, ClaimDayShape, ClaimShape, UnitShape
from aiba_adapters.mongo.shapes.people import GuildShape
from aiba_adapters.mongo.shapes.play import BrokerShape, ScoreShape
from aiba_adapters.mongo.shapes.work import AnswerShape, LetterShape
from aiba_adapters.mongo.transaction import Stored, Transaction
from aiba_adapters.mongo.values import pack_int, unpack_int
from aiba_domain.administration.model import AuditRow
from aiba_domain.battle.model import Battle
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Record
from aiba_domain.economy.ledger import Posting
from aiba_domain.errors import InvariantViolation
from aiba_domain.guilds.model import Guild
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.moderation.model import Flag
from aiba_domain.outbox.model import Letter
from aiba_domain.ports import Remembered


class MongoUnitOfWork(Emitting):
    """Implements the unit of work. The store starts and commits its transaction."""

    def __init__(
        self,
        transaction: Transaction,
        documents: Documents,
        *,
        unit_id: str,
        terms: Terms,
        common: Common,
    ) -> None:
        """Work in a transaction, under an id that no other unit has."""
        self._own_ledger = Ledger(transaction, terms.share, common.recent)
        super().__init__(
            transaction, self._own_ledger, KeptReads(transaction, common.kept), terms, common.caps
        )
        self._documents = documents
        self._failure: Exception | None = None
        self.id = unit_id

    @property
    def has_written(self) -> bool:
        """Whether there is anything to commit."""
        return self._has_written

    @property
    def failure(self) -> Exception | None:
        """What has undone this unit, whether its work let it through or not."""
        return self._failure or self._transaction.failure

    async def fetch_history(self) -> None:
        """Read the whole ledger, so that the work can go through it."""
        await self._own_ledger.fetch_history()

    async def finish(self) -> None:
        """Write what makes the unit serial and known, the last before its commit."""
        if not self._has_written:
            return
        if self._has_changed:
            for account in self._own_ledger.touched:
                self._locks.written(AccountShape, account)
            self._locks.touch()
        await self._transaction.begin()
        self._transaction.insert(UnitShape, self._marker())
        await self._transaction.flush()

    def close(self) -> None:
        """Let go of what it holds."""
        self._own_ledger.close()

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
            await self._apply(at, postings, changed, removed, remember)
        except PyMongoError as failure:
            if not is_duplicate(failure):
                raise
            self._failure = InvariantViolation("a key is taken")
            raise self._failure from failure
        except Exception as failure:
            self._failure = failure
            raise

    async def _apply(
        self,
        at: int,
        postings: Sequence[Posting],
        changed: Sequence[Record],
        removed: Sequence[Record],
        remember: Remembered | None,
    ) -> None:
        if postings:
            await self._spend(postings)
            await self._own_ledger.post(at, postings)
        for record in changed:
            await self._keep(record)
        for record in removed:
            self._drop(record)
        if remember:
            self._transaction.insert(AnswerShape, _answer(remember))
        self._has_changed = self._has_changed or bool(postings or changed or removed)
        self._has_written = self._has_written or self._has_changed or remember is not None

    async def _keep(self, record: Record) -> None:
        """Keep a record in place of the one with the same key, and lock what that changes."""
        shape, stored = self._documents.write(record)
        self._kept.change(record)
        if isinstance(record, Broker):
            self._lock_owners(record)
        elif isinstance(record, Guild):
            await self._lock_members(record)
        elif isinstance(record, Claim):
            await self._track_claim(record)
        elif isinstance(record, Battle):
            added = ScoreShape.added(record.receipt.outcome.score)
            self._transaction.change(ScoreShape, record.player_id, added, upsert=True)
        elif name := _question(record):
            self.lock(name)
        if shape.unchanging:
            self._transaction.insert(shape, stored)
        else:
            self._transaction.put(shape, stored)
        self._locks.written(shape, stored["_id"])

    def _drop(self, record: Record) -> None:
        """Remove a record; only brokers and letters are ever removed."""
        if isinstance(record, Letter):
            self._transaction.remove(LetterShape, record.id)
            self._locks.written(LetterShape, record.id)
            return
        if not isinstance(record, Broker):
            msg = f"a {type(record).__name__} is never removed"
            raise NotImplementedError(msg)
        self.lock(f"brokers_of:{record.owner_id}")
        self._transaction.remove(BrokerShape, record.id)
        self._locks.written(BrokerShape, record.id)

    def _lock_owners(self, broker: Broker) -> None:
        """Lock whose brokers change; nobody's do where the owner stays."""
        before = self._owners.get(broker.id)
        if before != broker.owner_id:
            self.lock(f"brokers_of:{broker.owner_id}")
            if before is not None:
                self.lock(f"brokers_of:{before}")
            self._owners[broker.id] = broker.owner_id

    async def _lock_members(self, guild: Guild) -> None:
        """Lock whose guild changes."""
        stored = await self._transaction.one(
            GuildShape, {"_id": guild.id}, projection=["member_ids", "active"]
        )
        before = set(stored["member_ids"]) if stored and stored["active"] else set()
        after = set(guild.member_ids) if guild.active else set()
        for member in before ^ after:
            self.lock(f"guild_of:{member}")

    async def _track_claim(self, claim: Claim) -> None:
        """Keep what a day's claims come to, by player and in all; a refunded one no more."""
        self.lock(target_lock(claim.terms.vault, claim.terms.recipient))
        self.lock(f"claims_of:{claim.player_id}")
        stored = await self._transaction.one(ClaimShape, {"_id": claim.id})
        before = None if stored is None else ClaimShape.record(stored)
        moves: dict[tuple[str, str], int] = {}
        for each, sign in ((before, -1), (claim, 1)):
            if each is not None and each.state is not ClaimState.REFUNDED:
                for who in ("", each.player_id):
                    place = (ClaimShape.day(each), who)
                    moves[place] = moves.get(place, 0) + sign * each.terms.amount
        for (day, who), move in moves.items():
            if move:
                await self._move_claimed(day, who, move)

    async def _move_claimed(self, day: str, player_id: str, move: int) -> None:
        key = claim_day_id(day, player_id)
        stored = await self._transaction.one(ClaimDayShape, {"_id": key})
        amount = move + (unpack_int(stored["amount"]) if stored else 0)
        fields = {"day": day, "player_id": player_id, "amount": pack_int(amount)}
        self._transaction.put(ClaimDayShape, {"_id": key, **fields})
        self._locks.written(ClaimDayShape, key)

    def _marker(self) -> Stored:
        """Return the document by which the unit is known to be committed."""
        postings = self._own_ledger.stored_postings()
        if postings:
            return {
                "_id": self.id,
                "stamp": self._transaction.stamp,
                "postings": postings,
                "accounts": self._own_ledger.found_by(),
            }
        return {"_id": self.id, "postings": [], "expire": dt.datetime.now(dt.UTC)}


def _question(record: Record) -> str:
    """Name the lock of the question whose answer a record changes by itself, if there is one."""
    if isinstance(record, Flag):
        return f"flags_of:{record.subject.value}:{record.subject_id}"
    if isinstance(record, Listing):
        return f"listing_of:{record.broker_id}"
    if isinstance(record, MintJob):
        return f"mint_job_of:{record.broker_id}"
    if isinstance(record, AuditRow):
        return AUDIT_LOCK
    return CHECKPOINT_LOCK if isinstance(record, Checkpoint | Audited | AuditState) else ""


def void_marker(unit_id: str) -> Mapping[str, object]:
    """Return the document in whose presence the unit with this id can't be committed any more."""
    now = dt.datetime.now(dt.UTC)
    return {"_id": unit_id, "postings": [], "void": True, "expire": now}


def _answer(remember: Remembered) -> Stored:
    accepted, reply = encode_outcome(remember.outcome)
    scope = remember.scope
    return {
        "_id": answer_id(scope),
        "principal": scope.principal,
        "command": scope.command,
        "key": scope.key,
        "fingerprint": remember.fingerprint,
        "accepted": bool(accepted),
        "reply": reply,
        "at": remember.at,
    }
