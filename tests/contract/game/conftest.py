"""The service for the tests of the game: one that tests share, and fresh ones."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.game.support import Game
from tests.support.logs import logging_kept
from tests.support.stores import STORES, opener

MakeGame = Callable[..., Game]


@pytest.fixture(autouse=True, scope="module")
def _logging() -> Iterator[None]:
    with logging_kept():
        yield


def _game(kind: str, folder: Path, **environ: str) -> Game:
    database = folder / "arena.db" if kind == "sqlite" else None
    return Game(opener(kind, folder), environ=environ, database=database)


@pytest.fixture(name="arena", scope="module")
def _arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """Return a service that a module's tests share: each brings its own players."""
    game = _game("sqlite", tmp_path_factory.mktemp("arena"))
    yield game
    game.close()


@pytest.fixture(name="make_game")
def _make_game(tmp_path: Path) -> Iterator[MakeGame]:
    """Return what opens a service of the test's own; `environ` goes by name."""
    opened: list[Game] = []

    def make(kind: str = "sqlite", **environ: str) -> Game:
        game = _game(kind, tmp_path / str(len(opened)), **environ)
        opened.append(game)
        return game

    yield make
    for game in opened:
        game.close()


@pytest.fixture(name="game")
def _game_alone(make_game: MakeGame) -> Game:
    """Return a service of the test's own."""
    return make_game()


@pytest.fixture(name="every_game", params=STORES)
def _every_game(request: pytest.FixtureRequest, make_game: MakeGame) -> Game:
    """Return a service of the test's own, over each store in turn."""
    return make_game(request.param)
