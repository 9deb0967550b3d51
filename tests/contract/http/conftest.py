"""What every test of the HTTP contract leaves as it found it."""

from collections.abc import Iterator

import pytest

from tests.support.logs import logging_kept


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with logging_kept():
        yield
