"""The whole service over each store, for tests of commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_domain.testing.playground import Playground
from tests.support.stores import STORES, opener


@pytest.fixture(name="play", params=STORES)
def _play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Playground]:
    play = Playground(opener(request.param, tmp_path))
    yield play
    report = play.audit()
    play.close()
    assert report.is_sound, report.faults
