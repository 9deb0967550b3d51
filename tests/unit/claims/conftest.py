"""Withdrawals over each store."""

import pytest

from aiba_domain.testing.playground import Playground
from tests.unit.claims.support import Bank


@pytest.fixture(name="bank")
def _bank(play: Playground) -> Bank:
    return Bank(play)
