"""A game whose only limit is the machine: who plays in it, and the mode they play."""

from dataclasses import dataclass
from typing import Final

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.commands import BrokerReply, GetStarter
from aiba_domain.decision import Accepted, Principal, Refused, Role
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.money import MAX_AMOUNT

MODE_KEY: Final = "bench"
OPERATOR: Final = Principal(id="bench", role=Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A player with a broker."""

    player: Principal
    broker_id: str

    def battle(self) -> RunBattle:
        """Return the command by which the player fights in the bench's mode."""
        return RunBattle(broker_id=self.broker_id, mode_key=MODE_KEY)


async def lift_limits(pipeline: Pipeline) -> None:
    """Add a mode without energy and cooldown, and raise the day's caps out of the way."""
    mode = GameMode(
        id=mode_id(MODE_KEY),
        key=MODE_KEY,
        name="Bench",
        arena="prediction",
        league="rookie",
        energy_cost=0,
        cooldown_seconds=0,
        created_at=0,
        updated_at=0,
    )
    (await pipeline.execute(OPERATOR, SaveMode(mode=mode))).reply()
    caps = {"daily_cap_aiba": MAX_AMOUNT, "daily_cap_neur": MAX_AMOUNT}
    (await pipeline.execute(OPERATOR, ChangePolicy(changes=caps))).reply()


async def seat_players(pipeline: Pipeline, count: int) -> list[Seat]:
    """Give `count` players their starter brokers; those who have theirs keep it."""
    seats = []
    for number in range(count):
        player = Principal(id=str(1_000_000 + number))
        answer = await pipeline.execute(player, GetStarter())
        seats.append(Seat(player=player, broker_id=_broker_of(answer.outcome)))
    return seats


def _broker_of(outcome: Accepted[BrokerReply] | Refused) -> str:
    if isinstance(outcome, Accepted):
        return outcome.reply.broker.id
    return str(outcome.details["brokerId"])
