"""A service with admins."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.game.support import Game
from tests.support import admins
from tests.support.admins import Panel
from tests.support.logs import logging_kept
from tests.support.stores import opener

MakeGame = Callable[..., Game]


@pytest.fixture(autouse=True, scope="module")
def _logging() -> Iterator[None]:
    with logging_kept():
        yield


@pytest.fixture(name="make_game")
def _make_game(tmp_path: Path) -> Iterator[MakeGame]:
    """Return what opens a service with admins; `environ` goes by name, "" takes a variable out."""
    opened: list[Game] = []

    def make(kind: str = "sqlite", **environ: str) -> Game:
        folder = tmp_path / str(len(opened))
        database = folder / "arena.db" if kind == "sqlite" else None
        settings = {**admins.ENVIRON, "AIBA_DATA_DIR": str(folder), **environ}
        opened.append(Game(opener(kind, folder), environ=settings, database=database))
        return opened[-1]

    yield make
    for game in opened:
        game.close()


@pytest.fixture(name="game")
def _game(make_game: MakeGame) -> Game:
    """Return a service of the test's own."""
    return make_game()


@pytest.fixture(name="root")
def _root(game: Game) -> Panel:
    """Return the panel of the environment's superadmin, logged in."""
    return Panel(game)
