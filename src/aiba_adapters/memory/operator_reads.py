"""What operators ask of the state, and the helpers that all reads share."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar, cast

from aiba_adapters.memory.state import State
from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditFilter,
    AuditRow,
)
from aiba_domain.battle.model import Battle
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.ledger import (
    sink_prefix,
)
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.instants import day_key
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import (
    Leader,
    Movement,
    Totals,
)

T = TypeVar("T")
Flagged = TypeVar("Flagged", Broker, Player)


class OperatorReads:
    """The reads of operators."""

    def __init__(self, state: State) -> None:
        """Read a state."""
        self._state = state

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

    async def leaders(self, *, limit: int) -> Sequence[Leader]:
        ranked = sorted(self._state.scores.items(), key=lambda each: (-each[1], each[0]))
        return [Leader(player_id=player_id, score=score) for player_id, score in ranked[:limit]]

    async def badge_holders(self, badge: str, *, limit: int) -> Sequence[Player]:
        found = [player for player in self._all(Player) if badge in player.badges]
        return sorted(found, key=lambda player: player.id)[:limit]

    async def mint_job(self, job_id: str) -> MintJob | None:
        return self._get(MintJob, job_id)

    async def mint_job_of(self, broker_id: str) -> MintJob | None:
        job = self._state.mints.get(broker_id)
        return None if job is None else self._get(MintJob, job)

    async def mint_jobs(self, *, status: MintStatus | None, limit: int) -> Sequence[MintJob]:
        found = [job for job in self._all(MintJob) if status in (None, job.status)]
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)[:limit]

    async def recent_flags(self, subject: Subject, *, limit: int) -> Sequence[Flag]:
        flags = [flag for flag in self._all(Flag) if flag.subject is subject]
        return sorted(flags, key=lambda flag: (flag.at, flag.id), reverse=True)[:limit]

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

    async def attempts(self, email: str, *, since: int) -> Sequence[AuditRow]:
        found = [
            row
            for row in self._all(AuditRow)
            if row.is_attempt and row.email == email and row.at >= since
        ]
        return sorted(found, key=lambda row: row.number, reverse=True)

    async def audit_trail(self, *, after: int, limit: int) -> Sequence[AuditRow]:
        rows = [row for row in self._all(AuditRow) if row.number > after]
        rows.sort(key=lambda row: row.number)
        return rows[:limit]

    async def policies(self, *, before: int | None, limit: int) -> Sequence[EconomyPolicy]:
        found = [
            policy
            for policy in self._all(EconomyPolicy)
            if before is None or policy.version < before
        ]
        return sorted(found, key=lambda policy: policy.version, reverse=True)[:limit]

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

    def _get(self, kind: type[T], key: object) -> T | None:
        return cast("T | None", self._state.records[kind].get(key))

    def _all(self, kind: type[T]) -> Iterable[T]:
        return cast("Iterable[T]", self._state.records[kind].values())


def _most_flagged(all_of_them: Iterable[Flagged], least: int, limit: int) -> Sequence[Flagged]:
    found = [each for each in all_of_them if each.anomaly_flags >= least]
    found.sort(key=lambda each: (each.anomaly_flags, each.updated_at, each.id), reverse=True)
    return found[:limit]
