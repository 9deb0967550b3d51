"""The simulation breaks the service on purpose; its logs about that are nobody's business."""

from collections.abc import Iterator

import pytest

from aiba_entry.observability import configure_logging
from tests.support.logs import logging_kept


@pytest.fixture(autouse=True, scope="package")
def _silence() -> Iterator[None]:
    with logging_kept():
        configure_logging("CRITICAL")
        yield
