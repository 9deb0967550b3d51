"""A request over MongoDB that is given up at any of its steps, amid a transaction too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.game.support import Game
from tests.contract.game.test_given_up import (  # noqa: F401 - run here too
    test_whenever_a_request_is_given_up_its_effect_is_whole,
)
from tests.support.mongo import open_mongo


@pytest.fixture(name="game")
def _game(tmp_path: Path) -> Iterator[Game]:
    """Give the service over a database of its own."""
    game = Game(lambda: open_mongo(tmp_path))
    yield game
    game.close()
