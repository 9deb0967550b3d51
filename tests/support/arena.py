"""What tests of commands set up: modes whose scores are known, brokers, settings."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from aiba_domain.application.pipeline import Answer
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.commands import GetStarter
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Refused
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.guilds.model import Guild
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Entry, Reader
from aiba_domain.testing.playground import Call, Playground, call

PLAIN_RATES: Final = RewardRates(
    aiba_per_score=Fraction(2), neur_per_score=Fraction(1), win_streak_bonus_bps=Fraction(0)
)
"""Two AIBA and one NEUR a point, whatever was won before."""

SCORE: Final = 50
"""What a starter scores in a `sure` mode."""


def sure(key: str = "sure", arena: str = "prediction", **terms: Any) -> GameMode:
    """Return a mode without chance, energy or cooldown unless told otherwise."""
    usual: dict[str, Any] = {
        "energy_cost": 0,
        "cooldown_seconds": 0,
        "rules": ModeRules(variance_base=0),
    }
    return GameMode(
        id=mode_id(key),
        key=key,
        name=key,
        arena=arena,
        created_at=0,
        updated_at=0,
        **{**usual, **terms},
    )


def set_up(play: Playground, *modes: GameMode, **changes: object) -> None:
    """Save modes, by default a `sure` one, and change the policy, by default to plain rates."""
    for mode in modes or (sure(),):
        play.operate(SaveMode(mode=mode))
    play.operate(ChangePolicy(changes={"rewards": PLAIN_RATES, **changes}))


def starter(play: Playground, player_id: str) -> str:
    """Give a player the starter and return its id."""
    return play.play(player_id, GetStarter()).reply().broker.id


def starters(play: Playground, count: int) -> dict[str, str]:
    """Give as many players their starters; return broker ids by player id."""
    return {player: starter(play, player) for player in map(str, range(1, count + 1))}


def spare(play: Playground, player_id: str, number: int = 1, **fields: Any) -> str:
    """Give a player one more broker and return its id."""
    now = play.clock.now()
    broker = Broker(
        id=derive_id("spare", player_id, str(number)),
        owner_id=player_id,
        created_at=now,
        updated_at=now,
        energy_updated_at=now,
        **fields,
    )
    play.put(broker)
    return broker.id


def guild(number: int, owner_id: str, *, pooled: int, members: Sequence[str] = ()) -> Guild:
    """Return a guild whose id rises with `number`."""
    return Guild(
        id=f"{number:024x}",
        name=f"guild {number}",
        owner_id=owner_id,
        member_ids=(owner_id, *members),
        created_at=0,
        pooled=pooled,
    )


def battle(player_id: str, broker_id: str, key: str, mode: str = "sure") -> Call[Any]:
    """Return the call of a battle."""
    return call(player_id, RunBattle(broker_id=broker_id, mode_key=mode), key)


def fight(play: Playground, player_id: str, broker_id: str, key: str, mode: str = "sure") -> Battle:
    """Fight a battle that must take place."""
    command = RunBattle(broker_id=broker_id, mode_key=mode)
    return play.play(player_id, command, key).reply().battle


def code(result: Answer[Any] | BaseException) -> str:
    """Return `ok`, the code of a refusal, or the text of an error."""
    if isinstance(result, Answer):
        return result.outcome.code if isinstance(result.outcome, Refused) else "ok"
    return f"{type(result).__name__}: {result}"


def codes(results: Sequence[Answer[Any] | BaseException]) -> dict[str, int]:
    """Count what calls came to."""
    found = [code(result) for result in results]
    return {each: found.count(each) for each in found}


def accepted(results: Sequence[Answer[Any] | BaseException]) -> list[Any]:
    """Return the replies of the calls that took effect."""
    return [
        result.outcome.reply
        for result in results
        if isinstance(result, Answer) and isinstance(result.outcome, Accepted)
    ]


def broker_of(play: Playground, broker_id: str) -> Broker:
    """Return a stored broker."""
    found = play.read(lambda read: read.broker(broker_id))
    assert found is not None
    return found


def player_of(play: Playground, player_id: str) -> Player:
    """Return a stored player."""
    found = play.read(lambda read: read.player(player_id))
    assert found is not None
    return found


def brokers_of(play: Playground, player_id: str) -> list[Broker]:
    """Return a player's stored brokers, newest first."""

    async def look(read: Reader) -> list[Broker]:
        return list(await read.brokers_of(player_id))

    return play.read(look)


def battles_of(play: Playground, player_id: str) -> list[Battle]:
    """Return a player's stored battles, newest first."""

    async def look(read: Reader) -> list[Battle]:
        return list(await read.battles_of(player_id, before=None, limit=1_000))

    return play.read(look)


def held(play: Playground, account: str) -> dict[Currency, int]:
    """Return what an account holds."""

    async def look(read: Reader) -> dict[Currency, int]:
        return dict(await read.balances(account))

    return play.read(look)


def entries(play: Playground) -> list[Entry]:
    """Return the whole ledger."""

    async def collect(read: Reader) -> list[Entry]:
        return list(read.entries())

    return play.read(collect)


def everything(play: Playground, *player_ids: str) -> tuple[object, ...]:
    """Return all that commands of these players can change, to see that nothing did."""

    async def look(read: Reader) -> tuple[object, ...]:
        mine = [
            (
                await read.player(player_id),
                list(await read.brokers_of(player_id)),
                list(await read.battles_of(player_id, before=None, limit=1_000)),
            )
            for player_id in player_ids
        ]
        return (
            mine,
            dict(await read.accounts()),
            list(read.entries()),
            list(await read.modes()),
            await read.policy(),
        )

    return play.read(look)
