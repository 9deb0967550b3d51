"""What operators ask of a database, and the helpers that all reads share."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aiba_adapters.codec import decode
from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditFilter,
    AuditRow,
    folded,
)
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.ledger import Posting, sink_prefix
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.instants import day_number
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Leader, Movement, Totals

T = TypeVar("T")

EARLIEST: Final = -(2**63)
LATEST: Final = 2**63 - 1
AFTER_ALL: Final = "\U0010ffff"
CURRENCIES: Final = {currency.value: currency for currency in Currency}
FLAGGED: Final = (
    "SELECT body FROM {} WHERE flags > 0 AND flags >= ?"
    " ORDER BY flags DESC, updated_at DESC, id DESC LIMIT ?"
)
LEADERS: Final = "SELECT player_id, score FROM scores ORDER BY score DESC, player_id LIMIT ?"
HOLDERS: Final = (
    "SELECT body FROM player_badges JOIN players ON players.id = player_id"
    " WHERE badge = ? ORDER BY player_id LIMIT ?"
)
ENTRY: Final = (
    "number, at, currency, amount, debit, credit, reason, arena, league, source_type, source_id"
)
# Each side is in an index of its own, which the same words as the index's let SQLite use.
_SIDE: Final = (
    f"SELECT * FROM (SELECT {ENTRY} FROM entries WHERE {{0}} = :account"  # noqa: S608 - fixed texts
    " AND {0} NOT GLOB 'emission:*' AND {0} NOT GLOB 'sink:*' ORDER BY number DESC LIMIT :limit)"
)
MOVEMENTS: Final = (
    f"{_SIDE.format('debit')} UNION ALL {_SIDE.format('credit')} ORDER BY 1 DESC LIMIT :limit"
)


class OperatorReads:
    """The reads of operators; its coroutines never suspend."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read on `connection`, whose transactions are the store's business."""
        self._connection = connection
        self._execute: Callable[..., sqlite3.Cursor] = connection.execute

    async def broker_of_nft(self, item_address: str) -> Broker | None:
        return self._one(Broker, "SELECT body FROM brokers WHERE nft = ?", item_address)

    async def latest_brokers(self, *, minted: bool | None, limit: int) -> Sequence[Broker]:
        which = {None: "", True: "WHERE nft IS NOT NULL", False: "WHERE nft IS NULL"}[minted]
        query = f"SELECT body FROM brokers {which} ORDER BY created_at DESC, id DESC LIMIT ?"  # noqa: S608 - fixed texts
        return self._all(Broker, query, limit)

    async def flagged_brokers(self, *, least: int, limit: int) -> Sequence[Broker]:
        return self._all(Broker, FLAGGED.format("brokers"), least, limit)

    async def flagged_players(self, *, least: int, limit: int) -> Sequence[Player]:
        return self._all(Player, FLAGGED.format("players"), least, limit)

    async def leaders(self, *, limit: int) -> Sequence[Leader]:
        rows = self._execute(LEADERS, (limit,))
        return [Leader(player_id=player_id, score=score) for player_id, score in rows]

    async def badge_holders(self, badge: str, *, limit: int) -> Sequence[Player]:
        return self._all(Player, HOLDERS, badge, limit)

    async def mint_job(self, job_id: str) -> MintJob | None:
        return self._one(MintJob, "SELECT body FROM mint_jobs WHERE id = ?", job_id)

    async def mint_job_of(self, broker_id: str) -> MintJob | None:
        query = "SELECT body FROM mint_jobs WHERE open AND broker_id = ?"
        return self._one(MintJob, query, broker_id)

    async def mint_jobs(self, *, status: MintStatus | None, limit: int) -> Sequence[MintJob]:
        newest = "ORDER BY created_at DESC, id DESC LIMIT ?"
        if status is None:
            return self._all(MintJob, f"SELECT body FROM mint_jobs {newest}", limit)  # noqa: S608 - fixed texts
        query = f"SELECT body FROM mint_jobs WHERE status = ? {newest}"  # noqa: S608 - fixed texts
        return self._all(MintJob, query, status, limit)

    async def recent_flags(self, subject: Subject, *, limit: int) -> Sequence[Flag]:
        query = "SELECT body FROM flags WHERE subject = ? ORDER BY at DESC, id DESC LIMIT ?"
        return self._all(Flag, query, subject, limit)

    async def admin_account(self, email: str) -> AdminAccount | None:
        query = "SELECT body FROM admin_accounts WHERE email = ?"
        return self._one(AdminAccount, query, email)

    async def admin_accounts(self) -> Sequence[AdminAccount]:
        return self._all(AdminAccount, "SELECT body FROM admin_accounts ORDER BY email")

    async def admin_session(self, session_id: str) -> AdminSession | None:
        return self._one(AdminSession, "SELECT body FROM admin_sessions WHERE id = ?", session_id)

    async def last_audit_row(self) -> AuditRow | None:
        return self._one(AuditRow, "SELECT body FROM audit ORDER BY number DESC LIMIT 1")

    async def audit_rows(
        self, wanted: AuditFilter, *, offset: int, limit: int
    ) -> tuple[Sequence[AuditRow], int]:
        values = (
            EARLIEST if wanted.since is None else wanted.since,
            LATEST if wanted.until is None else wanted.until,
            folded(wanted.email),
            folded(wanted.path),
        )
        where = "FROM audit WHERE at BETWEEN ? AND ? AND instr(email, ?) AND instr(path, ?)"
        total = self._execute(f"SELECT COUNT(*) {where}", values).fetchone()[0]
        page = f"SELECT body {where} ORDER BY at DESC, number DESC LIMIT ? OFFSET ?"
        return self._all(AuditRow, page, *values, limit, offset), total

    async def attempts(self, email: str, *, since: int) -> Sequence[AuditRow]:
        query = "SELECT body FROM audit WHERE attempt = ? AND at >= ? ORDER BY number DESC"
        return self._all(AuditRow, query, email, since)

    async def audit_trail(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        query = "SELECT body FROM audit WHERE number > ? ORDER BY number LIMIT ?"
        return self._all(AuditRow, query, after, limit)

    async def policies(self, *, before: int | None, limit: int) -> Sequence[EconomyPolicy]:
        query = "SELECT body FROM policies WHERE version < ? ORDER BY version DESC LIMIT ?"
        return self._all(EconomyPolicy, query, LATEST if before is None else before, limit)

    async def spent(self, day: str) -> Mapping[str, Mapping[Currency, int]]:
        prefix = sink_prefix(day)
        rows = self._execute(
            "SELECT name, currency, balance FROM accounts WHERE name > ? AND name < ?",
            (prefix, prefix + AFTER_ALL),
        )
        found: dict[str, dict[Currency, int]] = {}
        for name, currency, balance in rows:
            found.setdefault(name.removeprefix(prefix), {})[CURRENCIES[currency]] = balance
        return found

    async def movements(self, account: str | None, *, limit: int) -> Sequence[Movement]:
        if account is None:
            query = f"SELECT {ENTRY} FROM entries ORDER BY number DESC LIMIT ?"  # noqa: S608 - fixed texts
            rows = self._execute(query, (limit,))
        else:
            rows = self._execute(MOVEMENTS, {"account": account, "limit": limit})
        return [Movement(at=row[1], posting=posting_of(row)) for row in rows]

    async def totals(self, day: str) -> Totals:
        number = day_number(day)
        seen = "SELECT SUM(players), SUM(players) FILTER (WHERE day = ?) FROM seen_days"
        fought = "SELECT SUM(battles), SUM(battles) FILTER (WHERE day = ?) FROM battle_days"
        players = self._execute(seen, (number,)).fetchone()
        battles = self._execute(fought, (number,)).fetchone()
        return Totals(
            players=players[0] or 0,
            players_seen=players[1] or 0,
            battles=battles[0] or 0,
            battles_fought=battles[1] or 0,
        )

    def _one(self, kind: type[T], query: str, *values: object) -> T | None:
        row = self._execute(query, values).fetchone()
        return decode(kind, row[0]) if row else None

    def _all(self, kind: type[T], query: str, *values: object) -> list[T]:
        return [decode(kind, body) for (body,) in self._execute(query, values)]


def posting_of(row: tuple[Any, ...]) -> Posting:
    """Return the posting of a row of `ENTRY`."""
    return Posting(
        currency=CURRENCIES[row[2]],
        amount=row[3],
        debit=row[4],
        credit=row[5],
        reason=row[6],
        arena=row[7],
        league=row[8],
        source_type=row[9],
        source_id=row[10],
    )
