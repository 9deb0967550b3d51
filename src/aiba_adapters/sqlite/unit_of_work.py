"""Reads and writes on one SQLite connection, inside the transaction the store has begun."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aiba_adapters.codec import (
    decode_outcome,
    decode_shared,
    encode,
    encode_outcome,
)
from aiba_adapters.sqlite.audit_reads import AuditReads
from aiba_adapters.sqlite.operator_reads import (
    AFTER_ALL,
    CURRENCIES,
    ENTRY,
    posting_of,
)
from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditRow,
    folded,
)
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Record
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import (
    Posting,
    check_balance,
    emission_prefix,
    net_effects,
)
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvariantViolation
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.instants import DAY, day_key
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Backlog, Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session
from aiba_domain.ports import Entry, Remembered, Scope

T = TypeVar("T")

_BALANCES: Final = "SELECT currency, balance FROM accounts WHERE name = ?"
_OPEN: Final = "INSERT INTO accounts (balance, name, currency) VALUES (?, ?, ?)"
# Read before, as nobody else writes meanwhile: with RETURNING a change costs twice as much.
_MOVE: Final = "UPDATE accounts SET balance = ? WHERE name = ? AND currency = ?"


class SqliteUnitOfWork(AuditReads):
    """Implements the reader and the unit of work; its coroutines never suspend."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on `connection`, whose transactions are the store's business."""
        super().__init__(connection)
        self.failure: Exception | None = None

    def check(self) -> None:
        """Raise what a write of this unit has raised, if one did."""
        if self.failure is not None:
            raise self.failure

    async def player(self, player_id: str) -> Player | None:
        return self._one(Player, "SELECT body FROM players WHERE id = ?", player_id)

    async def session(self, session_id: str) -> Session | None:
        return self._one(Session, "SELECT body FROM sessions WHERE id = ?", session_id)

    async def broker(self, broker_id: str) -> Broker | None:
        return self._one(Broker, "SELECT body FROM brokers WHERE id = ?", broker_id)

    async def brokers_of(self, player_id: str) -> Sequence[Broker]:
        brokers = self._all(Broker, "SELECT body FROM brokers WHERE owner_id = ?", player_id)
        brokers.sort(key=lambda broker: (broker.created_at, broker.id), reverse=True)
        return brokers

    async def battle(self, battle_id: str) -> Battle | None:
        return self._one(Battle, "SELECT body FROM battles WHERE id = ?", battle_id)

    async def battles_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        at, last_id = before or (2**63 - 1, AFTER_ALL)
        return self._all(
            Battle,
            "SELECT body FROM battles WHERE player_id = ? AND (created_at, id) < (?, ?)"
            " ORDER BY created_at DESC, id DESC LIMIT ?",
            player_id,
            at,
            last_id,
            limit,
        )

    async def mode(self, key: str) -> GameMode | None:
        row = self._execute("SELECT body FROM modes WHERE key = ?", (key,)).fetchone()
        return decode_shared(GameMode, row[0]) if row else None

    async def modes(self) -> Sequence[GameMode]:
        rows = self._execute("SELECT body FROM modes").fetchall()
        modes = [decode_shared(GameMode, body) for (body,) in rows]
        modes.sort(key=lambda mode: (mode.arena, mode.league, mode.key))
        return modes

    async def guild_of(self, player_id: str) -> Guild | None:
        return self._one(
            Guild,
            "SELECT body FROM guilds JOIN guild_members ON guilds.id = guild_members.guild_id"
            " WHERE guild_members.player_id = ? AND active ORDER BY guilds.id LIMIT 1",
            player_id,
        )

    async def rivals_of(self, guild: Guild) -> Sequence[GuildStrength]:
        rows = []
        for side, order in ((">=", "pooled, id"), ("<=", "pooled DESC, id")):
            rows += self._execute(
                f"SELECT id, pooled FROM guilds WHERE active AND pooled {side} ? AND pooled > 0"  # noqa: S608 - fixed texts
                f" AND id <> ? ORDER BY {order} LIMIT 1",
                (guild.pooled, guild.id),
            ).fetchall()
        return [GuildStrength(guild_id=guild_id, pooled=pooled) for guild_id, pooled in set(rows)]

    async def wallet_owner(self, address: str) -> str | None:
        query = "SELECT id FROM players WHERE wallet = ?"
        row = self._execute(query, (address,)).fetchone()
        return row[0] if row else None

    async def claim(self, claim_id: str) -> Claim | None:
        return self._one(Claim, "SELECT body FROM claims WHERE id = ?", claim_id)

    async def open_claim(self, vault: str, recipient: str) -> Claim | None:
        query = "SELECT body FROM claims WHERE open AND vault = ? AND recipient = ?"
        return self._one(Claim, query, vault, recipient)

    async def confirmed_seqno(self, vault: str, recipient: str) -> int:
        row = self._execute(
            "SELECT MAX(seqno) FROM claims"
            " WHERE counts AND NOT open AND vault = ? AND recipient = ?",
            (vault, recipient),
        ).fetchone()
        return int(row[0] or 0)

    async def open_claims(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Claim]:
        at, last_id = after or (-1, "")
        return self._all(
            Claim,
            "SELECT body FROM claims WHERE open AND (created_at, id) > (?, ?)"
            " ORDER BY created_at, id LIMIT ?",
            at,
            last_id,
            limit,
        )

    async def claims_of(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Claim]:
        at, last_id = before or (2**63 - 1, AFTER_ALL)
        return self._all(
            Claim,
            "SELECT body FROM claims WHERE player_id = ? AND (created_at, id) < (?, ?)"
            " ORDER BY created_at DESC, id DESC LIMIT ?",
            player_id,
            at,
            last_id,
            limit,
        )

    async def claimed(self, day: str, player_id: str | None) -> int:
        # The database keeps these sums itself; the day's own has no player.
        query = "SELECT high, low FROM claim_days WHERE day = ? AND player_id = ?"
        high, low = self._execute(query, (day, player_id or "")).fetchone() or (0, 0)
        return (int(high) << 32) + int(low)

    async def payment_use(self, tx_hash: str) -> UsedPayment | None:
        return self._one(UsedPayment, "SELECT body FROM payments WHERE hash = ?", tx_hash)

    async def listing(self, listing_id: str) -> Listing | None:
        return self._one(Listing, "SELECT body FROM listings WHERE id = ?", listing_id)

    async def listing_of(self, broker_id: str) -> Listing | None:
        query = "SELECT body FROM listings WHERE active AND broker_id = ?"
        return self._one(Listing, query, broker_id)

    async def flags_of(self, subject: Subject, subject_id: str) -> Sequence[Flag]:
        return self._all(
            Flag,
            "SELECT body FROM flags WHERE subject = ? AND subject_id = ? ORDER BY at, id",
            subject,
            subject_id,
        )

    async def lease(self, name: str) -> Lease | None:
        return self._one(Lease, "SELECT body FROM leases WHERE name = ?", name)

    async def mailbox(self, subject: str) -> Mailbox | None:
        return self._one(Mailbox, "SELECT body FROM mailboxes WHERE subject = ?", subject)

    async def mailboxes_due(self, now: int, *, limit: int) -> Sequence[Mailbox]:
        return self._all(
            Mailbox,
            "SELECT body FROM mailboxes WHERE pending AND due_at <= ?"
            " ORDER BY due_at, subject LIMIT ?",
            now,
            limit,
        )

    async def letter(self, letter_id: str) -> Letter | None:
        return self._one(Letter, "SELECT body FROM letters WHERE id = ?", letter_id)

    async def dead_letters(self, *, after: tuple[int, str] | None, limit: int) -> Sequence[Letter]:
        at, last_id = after or (-(2**63), "")
        return self._all(
            Letter,
            "SELECT body FROM letters WHERE died_at IS NOT NULL AND (died_at, id) > (?, ?)"
            " ORDER BY died_at, id LIMIT ?",
            at,
            last_id,
            limit,
        )

    async def backlog(self) -> Backlog:
        pending, oldest = self._execute(
            "SELECT COUNT(*), MIN(at) FROM letters WHERE died_at IS NULL"
        ).fetchone()
        (dead,) = self._execute("SELECT COUNT(*) FROM letters WHERE died_at IS NOT NULL").fetchone()
        return Backlog(pending=pending, oldest_at=oldest, dead=dead)

    async def epoch(self) -> SeedEpoch | None:
        row = self._execute("SELECT body FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        return decode_shared(SeedEpoch, row[0]) if row else None

    async def epochs(self) -> Sequence[SeedEpoch]:
        return self._all(SeedEpoch, "SELECT body FROM epochs ORDER BY number")

    async def policy(self) -> EconomyPolicy:
        row = self._execute("SELECT body FROM policies ORDER BY version DESC LIMIT 1").fetchone()
        return decode_shared(EconomyPolicy, row[0])

    async def balances(self, account: str) -> Mapping[Currency, int]:
        rows = self._execute(_BALANCES, (account,))
        return {CURRENCIES[currency]: balance for currency, balance in rows}

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:
        prefix = emission_prefix(day)
        rows = self._execute(
            "SELECT name, currency, -balance FROM accounts WHERE name > ? AND name < ?",
            (prefix, prefix + AFTER_ALL),
        )
        found: dict[str, dict[str, int]] = {}
        for name, currency, amount in rows:
            found.setdefault(currency, {})[name.removeprefix(prefix)] = amount
        return {CURRENCIES[name]: EmissionUse(by_arena=by) for name, by in found.items()}

    async def accounts(self) -> Mapping[tuple[str, Currency], int]:
        rows = self._execute("SELECT name, currency, balance FROM accounts")
        return {(name, Currency(currency)): balance for name, currency, balance in rows}

    def entries(self) -> Iterable[Entry]:
        for row in self._execute(f"SELECT {ENTRY} FROM entries ORDER BY number"):  # noqa: S608 - fixed texts
            yield Entry(number=row[0], at=row[1], posting=posting_of(row))

    async def remembered(self, scope: Scope) -> Remembered | None:
        row = self._execute(
            "SELECT fingerprint, accepted, body, at FROM answers"
            " WHERE principal = ? AND command = ? AND key = ?",
            (scope.principal, scope.command, scope.key),
        ).fetchone()
        if row is None:
            return None
        outcome = decode_outcome(scope.command, accepted=bool(row[1]), text=row[2])
        return Remembered(scope=scope, fingerprint=row[0], outcome=outcome, at=row[3])

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
        except sqlite3.IntegrityError as conflict:
            self.failure = InvariantViolation(str(conflict))
            raise self.failure from conflict
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
        if postings:
            self._post(at, postings)
        for record in changed:
            self._put(record)
        for record in removed:
            self._drop(record)
        if remember:
            accepted, body = encode_outcome(remember.outcome)
            scope = remember.scope
            self._execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    scope.principal,
                    scope.command,
                    scope.key,
                    remember.fingerprint,
                    accepted,
                    body,
                    remember.at,
                ),
            )

    def _post(self, at: int, postings: Sequence[Posting]) -> None:
        """Append to the history and move the balances, each checked as it is written."""
        effects = net_effects(postings)
        held = {
            (account, currency): balance
            for account in {account for account, _ in effects}
            for currency, balance in self._execute(_BALANCES, (account,))
        }
        for place, effect in effects.items():
            balance = held.get(place)
            after = effect if balance is None else balance + effect
            check_balance(*place, after)
            self._execute(_OPEN if balance is None else _MOVE, (after, *place))
        for posting in postings:
            self._execute(
                "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    at,
                    posting.currency,
                    posting.amount,
                    posting.debit,
                    posting.credit,
                    posting.reason,
                    posting.arena,
                    posting.league,
                    posting.source_type,
                    posting.source_id,
                ),
            )

    def _put(self, record: Record) -> None:
        """Keep a record in place of the one with the same key."""
        statement, values = _INSERTS[type(record)]
        self._execute(statement, values(record))
        if isinstance(record, Guild):
            self._execute("DELETE FROM guild_members WHERE guild_id = ?", (record.id,))
            self._connection.executemany(
                "INSERT INTO guild_members VALUES (?, ?)",
                [(member, record.id) for member in sorted(set(record.member_ids))],
            )

    def _drop(self, record: Record) -> None:
        """Remove a record; only brokers and letters are ever removed."""
        if isinstance(record, Broker):
            self._execute("DELETE FROM brokers WHERE id = ?", (record.id,))
        elif isinstance(record, Letter):
            self._execute("DELETE FROM letters WHERE id = ?", (record.id,))
        else:
            msg = f"a {type(record).__name__} is never removed"
            raise NotImplementedError(msg)


def _ordered(seqno: int) -> str:
    """Write an unsigned 64-bit number as text that sorts alike; SQLite's integers are signed."""
    return f"{seqno:020d}"


# Records that never change are inserted, so that a second one with the same key is a fault.
_INSERTS: Final[Mapping[type, tuple[str, Callable[[Any], tuple[object, ...]]]]] = {
    Player: (
        (
            "INSERT INTO players VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET body = excluded.body, wallet = excluded.wallet,"
            " seen_day = excluded.seen_day, flags = excluded.flags,"
            " updated_at = excluded.updated_at, badges = excluded.badges"
        ),
        lambda player: (
            player.id,
            encode(player),
            player.wallet or None,
            player.last_seen_at // DAY,
            player.anomaly_flags,
            player.updated_at,
            encode(player.badges) if player.badges else None,
        ),
    ),
    Session: (
        "INSERT INTO sessions VALUES (?, ?)",
        lambda session: (session.id, encode(session)),
    ),
    Broker: (
        (
            "INSERT INTO brokers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET owner_id = excluded.owner_id, body = excluded.body,"
            " flags = excluded.flags, updated_at = excluded.updated_at, nft = excluded.nft"
        ),
        lambda broker: (
            broker.id,
            broker.owner_id,
            encode(broker),
            broker.created_at,
            broker.anomaly_flags,
            broker.updated_at,
            broker.nft_item_address or None,
        ),
    ),
    Battle: (
        "INSERT INTO battles VALUES (?, ?, ?, ?)",
        lambda battle: (battle.id, battle.player_id, battle.created_at, encode(battle)),
    ),
    Guild: (
        "INSERT OR REPLACE INTO guilds VALUES (?, ?, ?, ?)",
        lambda guild: (guild.id, guild.active, guild.pooled, encode(guild)),
    ),
    GameMode: (
        "INSERT OR REPLACE INTO modes VALUES (?, ?)",
        lambda mode: (mode.key, encode(mode)),
    ),
    Flag: (
        "INSERT INTO flags VALUES (?, ?, ?, ?, ?)",
        lambda flag: (flag.id, flag.subject, flag.subject_id, flag.at, encode(flag)),
    ),
    SeedEpoch: (
        "INSERT OR REPLACE INTO epochs VALUES (?, ?)",
        lambda epoch: (epoch.number, encode(epoch)),
    ),
    EconomyPolicy: (
        "INSERT INTO policies VALUES (?, ?)",
        lambda policy: (policy.version, encode(policy)),
    ),
    UsedPayment: (
        "INSERT INTO payments VALUES (?, ?)",
        lambda used: (used.hash, encode(used)),
    ),
    Mailbox: (
        "INSERT OR REPLACE INTO mailboxes VALUES (?, ?, ?, ?)",
        lambda box: (box.subject, box.is_pending, box.due_at, encode(box)),
    ),
    Letter: (
        "INSERT OR REPLACE INTO letters VALUES (?, ?, ?, ?)",
        lambda letter: (letter.id, letter.at, letter.died_at, encode(letter)),
    ),
    Lease: (
        "INSERT OR REPLACE INTO leases VALUES (?, ?)",
        lambda lease: (lease.name, encode(lease)),
    ),
    AdminAccount: (
        "INSERT OR REPLACE INTO admin_accounts VALUES (?, ?)",
        lambda account: (account.email, encode(account)),
    ),
    AdminSession: (
        "INSERT OR REPLACE INTO admin_sessions VALUES (?, ?)",
        lambda session: (session.id, encode(session)),
    ),
    AuditRow: (
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)",
        lambda row: (
            row.number,
            row.at,
            folded(row.email),
            folded(row.path),
            encode(row),
            row.email if row.is_attempt else None,
        ),
    ),
    Checkpoint: (
        "INSERT INTO checkpoints VALUES (?, ?)",
        lambda checkpoint: (checkpoint.number, encode(checkpoint)),
    ),
    Audited: (
        "INSERT OR REPLACE INTO audited VALUES (?, ?)",
        lambda each: (each.account, encode(each)),
    ),
    AuditState: (
        "INSERT OR REPLACE INTO audit_state VALUES (?, ?)",
        lambda state: (state.name, encode(state)),
    ),
    LedgerStanding: (
        "INSERT OR REPLACE INTO ledger_standing VALUES (?, ?)",
        lambda standing: (standing.name, encode(standing)),
    ),
    MintJob: (
        (
            "INSERT INTO mint_jobs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET status = excluded.status, open = excluded.open, body = excluded.body"
        ),
        lambda job: (job.id, job.broker_id, job.status, job.is_open, job.created_at, encode(job)),
    ),
    Listing: (
        (
            "INSERT INTO listings VALUES (?, ?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET active = excluded.active, body = excluded.body"
        ),
        lambda listing: (listing.id, listing.broker_id, listing.is_active, encode(listing)),
    ),
    Claim: (
        (
            "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id)"
            " DO UPDATE SET open = excluded.open, counts = excluded.counts, body = excluded.body"
        ),
        lambda claim: (
            claim.id,
            claim.player_id,
            claim.terms.vault,
            claim.terms.recipient,
            _ordered(claim.terms.seqno),
            claim.terms.amount,
            claim.created_at,
            day_key(claim.created_at),
            claim.is_open,
            claim.state is not ClaimState.REFUNDED,
            encode(claim),
        ),
    ),
}
