"""The simulation breaks the service on purpose; its logs about that are nobody's business."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from aiba_entry.observability import configure_logging


@pytest.fixture(autouse=True, scope="package")
def _silence() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("CRITICAL")
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
