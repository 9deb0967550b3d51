"""What can be asked without changing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiba_domain.application.ledger_proofs import proof_for
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.economy.commands import claimed_today
from aiba_domain.economy.ledger import player_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.instants import day_key
from aiba_domain.ledger_audit.proofs import LedgerProof
from aiba_domain.money import Currency
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Clock, Reader, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """A player with balances, and the policy in force; `player` is None for one never seen."""

    player: Player | None
    balances: Mapping[Currency, int]
    policy: EconomyPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyStatus:
    """What a player can claim today."""

    can_claim: bool
    already_claimed: bool
    reward_neur: int
    last_claimed_at: int | None
    login_streak_days: int
    win_streak: int
    combo_requirement_aiba: int
    combo_bonus_aiba: int
    combo_spent_aiba: int
    can_claim_combo: bool
    combo_already_claimed: bool


Item = TypeVar("Item", Battle, Claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some records, newest first, and the place to go on from if there are more."""

    items: Sequence[Item]
    next: tuple[int, str] | None


def page_of(found: Sequence[Item], limit: int) -> Page[Item]:
    """Make a page of up to `limit` records from one more than that, if there are so many."""
    items = found[:limit]
    last = items[-1] if len(found) > limit else None
    return Page(items=items, next=(last.created_at, last.id) if last else None)


class Queries:
    """Answers questions from one consistent state each."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Ask `store`, with `clock` for what depends on today."""
        self._store = store
        self._clock = clock

    async def holdings(self, player_id: str) -> Holdings:
        """Return a player's balances and the policy."""

        async def look(read: Reader) -> Holdings:
            return Holdings(
                player=await read.player(player_id),
                balances=await read.balances(player_account(player_id)),
                policy=await read.policy(),
            )

        return await self._store.read(look)

    async def ledger_proof(self, player_id: str, checkpoint: int | None) -> LedgerProof | None:
        """Return the player's entries in a checkpoint, by default the newest, each proven."""
        return await proof_for(self._store, player_id, number=checkpoint)

    async def brokers(self, player_id: str) -> Sequence[Broker]:
        """Return a player's brokers, newest first."""

        async def look(read: Reader) -> Sequence[Broker]:
            return await read.brokers_of(player_id)

        return await self._store.read(look)

    async def modes(self, *, arena: str | None, league: str | None) -> Sequence[GameMode]:
        """Return the enabled modes of an arena and a league, None for any."""

        async def look(read: Reader) -> Sequence[GameMode]:
            return [
                mode
                for mode in await read.modes()
                if mode.enabled
                and mode.deleted_at is None
                and arena in (None, mode.arena)
                and league in (None, mode.league)
            ]

        return await self._store.read(look)

    async def battle(self, player_id: str, battle_id: str) -> Battle | None:
        """Return a player's battle; another player's is as absent."""

        async def look(read: Reader) -> Battle | None:
            battle = await read.battle(battle_id)
            return battle if battle is not None and battle.player_id == player_id else None

        return await self._store.read(look)

    async def battles(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Page[Battle]:
        """Return up to `limit` battles of a player that are older than `before`."""

        async def look(read: Reader) -> Sequence[Battle]:
            return await read.battles_of(player_id, before=before, limit=limit + 1)

        return page_of(await self._store.read(look), limit)

    async def claims(
        self, player_id: str, *, before: tuple[int, str] | None, limit: int
    ) -> Page[Claim]:
        """Return up to `limit` claims of a player that are older than `before`."""

        async def look(read: Reader) -> Sequence[Claim]:
            return await read.claims_of(player_id, before=before, limit=limit + 1)

        return page_of(await self._store.read(look), limit)

    async def epochs(self) -> Sequence[SeedEpoch]:
        """Return all seed epochs, oldest first."""

        async def look(read: Reader) -> Sequence[SeedEpoch]:
            return await read.epochs()

        return await self._store.read(look)

    async def policy(self) -> EconomyPolicy:
        """Return the economy policy in force."""

        async def look(read: Reader) -> EconomyPolicy:
            return await read.policy()

        return await self._store.read(look)

    async def daily(self, player_id: str) -> DailyStatus:
        """Return what a player can claim today; one never seen has claimed nothing yet."""
        holdings = await self.holdings(player_id)
        policy, now = holdings.policy, self._clock.now()
        player = holdings.player or new_player(player_id, None, now)
        today = day_key(now)
        claimed = claimed_today(player.daily_claimed_at, now)
        combo_claimed = claimed_today(player.combo_claimed_at, now)
        spent = player.combo_spent_aiba if player.combo_spent_day == today else 0
        enough = spent >= policy.daily_combo_requirement_aiba
        return DailyStatus(
            can_claim=not claimed and policy.daily_reward_neur > 0,
            already_claimed=claimed,
            reward_neur=policy.daily_reward_neur,
            last_claimed_at=player.daily_claimed_at,
            login_streak_days=player.login_streak_days,
            win_streak=player.win_streak,
            combo_requirement_aiba=policy.daily_combo_requirement_aiba,
            combo_bonus_aiba=policy.daily_combo_bonus_aiba,
            combo_spent_aiba=spent,
            can_claim_combo=enough and not combo_claimed and policy.daily_combo_bonus_aiba > 0,
            combo_already_claimed=combo_claimed,
        )
