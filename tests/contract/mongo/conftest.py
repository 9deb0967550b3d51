"""What the tests of MongoDB share."""

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(name="strays")
def _strays() -> Iterator[None]:
    """Collect the sockets that the driver drops where a connection ends while it is being made."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
