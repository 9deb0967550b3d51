"""What operators can ask without changing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiba_domain.application.forecast import Forecast, Scenario
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.mint_commands import REFUND
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.emission import NOTHING_EMITTED, EmissionUse
from aiba_domain.economy.ledger import CHAIN, TREASURY, operator_account, player_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.treasury_commands import CREDIT, Pot
from aiba_domain.instants import day_key
from aiba_domain.moderation.model import Subject
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Clock, Movement, Reader, Store, Totals

PURPOSES = (*(pot.purpose for pot in Pot), CREDIT, REFUND)
"""What operators bring money in for: each has an account that tells the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySums:
    """What a UTC day has emitted, and what was spent on it by reason and arena, so far."""

    day: str
    emitted: Mapping[Currency, EmissionUse]
    spent: Mapping[tuple[str, str], Mapping[Currency, int]]

    def emission(self, currency: Currency) -> EmissionUse:
        """Return what was emitted of a currency."""
        return self.emitted.get(currency, NOTHING_EMITTED)

    def spending(self, currency: Currency) -> Mapping[tuple[str, str], int]:
        """Return what was spent of a currency, by reason and arena."""
        return {place: held[currency] for place, held in self.spent.items() if held.get(currency)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerFile:
    """A player as moderators see it, with the balances."""

    player: Player
    balances: Mapping[Currency, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """How many there are, and what today has emitted so far."""

    day: str
    totals: Totals
    emitted: Mapping[Currency, EmissionUse]


class AdminQueries:
    """Answers operators' questions from one consistent state each."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Ask `store`, with `clock` for what depends on today."""
        self._store = store
        self._clock = clock

    async def policies(self, *, before: int | None, limit: int) -> Sequence[EconomyPolicy]:
        """Return versions of the policy, newest first."""

        async def look(read: Reader) -> Sequence[EconomyPolicy]:
            return await read.policies(before=before, limit=limit)

        return await self._store.read(look)

    async def day(self, day: str) -> DaySums:
        """Return what a UTC day comes to."""

        async def look(read: Reader) -> DaySums:
            spent = {
                (reason, arena): held
                for name, held in (await read.spent(day)).items()
                for reason, _, arena in (name.rpartition(":"),)
            }
            return DaySums(day=day, emitted=await read.emitted(day), spent=spent)

        return await self._store.read(look)

    async def movements(self, account: str | None, *, limit: int) -> Sequence[Movement]:
        """Return the newest postings of an account, or of all."""

        async def look(read: Reader) -> Sequence[Movement]:
            return await read.movements(account, limit=limit)

        return await self._store.read(look)

    async def forecast(self, scenario: Scenario) -> Forecast:
        """Return the forecast of a scenario from today on, by the policy and modes there are."""

        async def look(read: Reader) -> Forecast:
            modes, policy = await read.modes(), await read.policy()
            return Forecast(scenario, policy, modes, self._clock.now())

        return await self._store.read(look)

    async def pot(self, pot: Pot) -> Mapping[Currency, int]:
        """Return what operators hold in a pot."""

        async def look(read: Reader) -> Mapping[Currency, int]:
            return await read.balances(pot.value)

        return await self._store.read(look)

    async def paid_out(self) -> Mapping[Currency, int]:
        """Return what has left for the chain, less what came from there."""

        async def look(read: Reader) -> Mapping[Currency, int]:
            return await read.balances(CHAIN)

        return await self._store.read(look)

    async def treasury_movements(self, limit: int) -> Sequence[Movement]:
        """Return the newest postings from or to the treasury."""
        return await self.movements(TREASURY, limit=limit)

    async def brought_in(self) -> Mapping[str, Mapping[Currency, int]]:
        """Return what operators brought in, less what they took out, by purpose."""

        async def look(read: Reader) -> Mapping[str, Mapping[Currency, int]]:
            return {
                purpose: {
                    currency: -balance
                    for currency, balance in (
                        await read.balances(operator_account(purpose))
                    ).items()
                }
                for purpose in PURPOSES
            }

        return await self._store.read(look)

    async def modes(self) -> Sequence[GameMode]:
        """Return all modes that weren't deleted, the newest first."""

        async def look(read: Reader) -> Sequence[GameMode]:
            found = [mode for mode in await read.modes() if mode.deleted_at is None]
            return sorted(found, key=lambda mode: (mode.created_at, mode.id), reverse=True)

        return await self._store.read(look)

    async def brokers(
        self, *, owner: str | None, minted: bool | None, limit: int
    ) -> Sequence[Broker]:
        """Return the newest brokers, of a player or of all."""

        async def look(read: Reader) -> Sequence[Broker]:
            if owner is None:
                return await read.latest_brokers(minted=minted, limit=limit)
            mine = await read.brokers_of(owner)
            return [each for each in mine if minted in (None, bool(each.nft_item_address))][:limit]

        return await self._store.read(look)

    async def broker(self, broker_id: str) -> Broker | None:
        """Return a broker."""

        async def look(read: Reader) -> Broker | None:
            return await read.broker(broker_id)

        return await self._store.read(look)

    async def mint_jobs(self, *, status: MintStatus | None, limit: int) -> Sequence[MintJob]:
        """Return the newest mint jobs."""

        async def look(read: Reader) -> Sequence[MintJob]:
            return await read.mint_jobs(status=status, limit=limit)

        return await self._store.read(look)

    async def flagged_brokers(self, *, least: int, limit: int) -> Sequence[Broker]:
        """Return the brokers with the most flags."""

        async def look(read: Reader) -> Sequence[Broker]:
            return await read.flagged_brokers(least=max(1, least), limit=limit)

        return await self._store.read(look)

    async def flagged_players(self, *, least: int, limit: int) -> Sequence[PlayerFile]:
        """Return the players with the most flags, with their balances."""

        async def look(read: Reader) -> Sequence[PlayerFile]:
            found = await read.flagged_players(least=max(1, least), limit=limit)
            return [
                PlayerFile(player=each, balances=await read.balances(player_account(each.id)))
                for each in found
            ]

        return await self._store.read(look)

    async def anomalies(self, limit: int) -> Sequence[Battle]:
        """Return the newest battles that were flagged."""

        async def look(read: Reader) -> Sequence[Battle]:
            flags = await read.recent_flags(Subject.BROKER, limit=limit)
            found = [await read.battle(str(flag.evidence.get("battleId", ""))) for flag in flags]
            return [battle for battle in found if battle is not None]

        return await self._store.read(look)

    async def player(self, player_id: str) -> PlayerFile | None:
        """Return a player."""

        async def look(read: Reader) -> PlayerFile | None:
            player = await read.player(player_id)
            if player is None:
                return None
            balances = await read.balances(player_account(player_id))
            return PlayerFile(player=player, balances=balances)

        return await self._store.read(look)

    async def dashboard(self) -> Dashboard:
        """Return today's numbers."""
        day = day_key(self._clock.now())

        async def look(read: Reader) -> Dashboard:
            return Dashboard(
                day=day, totals=await read.totals(day), emitted=await read.emitted(day)
            )

        return await self._store.read(look)
