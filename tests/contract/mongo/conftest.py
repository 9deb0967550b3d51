"""What the tests of MongoDB share."""

import gc
import warnings
from collections.abc import Callable, Iterator

import pytest

from aiba_adapters.backups.mongo import scratch_name
from tests.contract.mongo.places import Place
from tests.support.mongo import empty_uri
from tests.support.mongo_faults import BEFORE_8, OF_PLAY, STRUCK_IN, kinds_given


@pytest.fixture(name="strays")
def _strays() -> Iterator[None]:
    """Collect the sockets that the driver drops where a connection ends while it is being made."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(name="places")
def _places() -> Iterator[Callable[[], Place]]:
    """Give databases that aren't there yet; they are gone at the end."""
    given: list[tuple[Place, Callable[[], None]]] = []

    def make() -> Place:
        uri, end = empty_uri()
        given.append((Place(uri), end))
        return given[-1][0]

    yield make
    for place, end in given:
        place.client.drop_database(scratch_name(place.database.name))
        place.client.close()
        end()


@pytest.fixture(autouse=True, scope="module")
def _no_command_is_left_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the stores of those give that play is a kind of command that faults strike.

    A new kind takes a row in `STRUCK_IN` and a scenario in `test_faults.py`.
    """
    with kinds_given() as given:
        yield
    if request.module.__name__.rpartition(".")[2] in OF_PLAY:
        assert sorted(given - set(STRUCK_IN) - BEFORE_8) == []
