"""One schedule of commands on every store: the same answers, errors, balances, entries, events."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.mode_commands import SeedModes
from aiba_domain.brokers.commands import GetStarter
from aiba_domain.decision import Accepted, Principal, Role
from aiba_domain.errors import DomainError
from aiba_domain.guilds.model import Guild
from aiba_domain.ports import Reader, Store
from aiba_domain.testing.machines import CAST, COMMANDS, KEYS, PLAYERS
from aiba_domain.testing.playground import OPERATOR, Call, Playground
from aiba_domain.testing.strategies import clock_moves
from tests.support.mongo import open_mongo

Step = Call[Any] | int
"""A call, or by how much the clock moves, in ms."""

_BY_PLAYERS: Final = tuple(kind for kind in COMMANDS if Role.PLAYER in HANDLERS[kind].roles)
_BY_OPERATORS: Final = tuple(
    kind for kind in COMMANDS if Role.OPERATOR in HANDLERS[kind].roles and kind is not SeedModes
)
_ALL: Final = 1_000


@st.composite
def _calls(draw: st.DrawFn) -> Step:
    """A player's or an operator's call, under a key that was maybe used, or without one."""
    is_player = draw(st.integers(0, 4)) > 0
    principal = Principal(id=draw(st.sampled_from(PLAYERS))) if is_player else OPERATOR
    kinds = (*_BY_PLAYERS, RunBattle, RunBattle) if is_player else _BY_OPERATORS
    command = draw(st.sampled_from(kinds).flatmap(lambda kind: COMMANDS[kind]))
    return Call(principal=principal, command=command, key=draw(st.none() | st.sampled_from(KEYS)))


def schedules(least: int, most: int) -> st.SearchStrategy[list[Step]]:
    """Calls one after another, with some time between them."""
    return st.lists(
        st.one_of(_calls(), _calls(), _calls(), clock_moves()), min_size=least, max_size=most
    )


def lived(open_store: Callable[[], Awaitable[Store]], schedule: Sequence[Step]) -> list[object]:
    """Live through a schedule; return all that anybody was told, and in the end all there is."""
    play = Playground(open_store)
    try:
        for player in PLAYERS:
            play.play(player, GetStarter())
            play.fund(player, NEUR=500, AIBA=500)
        play.put(_guild())
        told: list[object] = [_step(play, step) for step in schedule]
        return [*told, *play.seen.events, *play.seen.replays, *play.read(_everything)]
    finally:
        play.close()


def _step(play: Playground, step: Step) -> object:
    if isinstance(step, int):
        play.clock.advance(step)
        return None
    try:
        answer = play.issue(step.principal, step.command, step.key)
    except DomainError as error:
        return error.code, error.details
    outcome = answer.outcome
    told = outcome.reply if isinstance(outcome, Accepted) else (outcome.code, dict(outcome.details))
    balances = play.balances(step.principal.id)
    return told, answer.key, answer.replayed, balances


async def _everything(read: Reader) -> list[object]:
    found: list[object] = [
        sorted((await read.accounts()).items()),
        list(read.entries()),
        await read.policy(),
        list(await read.epochs()),
        list(await read.modes()),
        list(await read.open_claims(after=None, limit=_ALL)),
    ]
    for player in CAST.player_ids:
        found += [
            await read.player(player),
            list(await read.brokers_of(player)),
            list(await read.battles_of(player, before=None, limit=_ALL)),
            list(await read.claims_of(player, before=None, limit=_ALL)),
        ]
    return found


def _guild() -> Guild:
    return Guild(
        id="1" * 24,
        name="guild",
        owner_id=PLAYERS[1],
        member_ids=PLAYERS[:2],
        created_at=0,
        pooled=3,
    )


def agree(schedule: Sequence[Step]) -> None:
    """Check that all stores tell the same, and end the same."""

    async def open_memory() -> Store:
        return MemoryStore()

    owed = lived(open_memory, schedule)
    with TemporaryDirectory() as folder:

        async def open_sqlite() -> Store:
            return SqliteStore(Path(folder) / "arena.db")

        assert lived(open_sqlite, schedule) == owed
    with TemporaryDirectory() as folder:
        assert lived(lambda: open_mongo(Path(folder)), schedule) == owed


@settings(max_examples=2, suppress_health_check=list(HealthCheck))
@given(schedule=schedules(30, 40))
def test_a_schedule_is_answered_alike_by_every_store(schedule: list[Step]) -> None:
    """Replies, refusals, errors and balances after each call; in the end the numbered entries."""
    agree(schedule)


@pytest.mark.soak
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(schedule=schedules(50, 120))
def test_long_schedules_are_answered_alike(schedule: list[Step]) -> None:
    """The same, longer and many of them."""
    agree(schedule)
