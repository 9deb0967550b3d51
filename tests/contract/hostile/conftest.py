"""A service for hostile clients, shared by the tests of a module."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.contract.hostile.target import Target


@pytest.fixture(autouse=True, scope="module")
def _logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(name="target")
def _target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("hostile"))
    yield target
    target.close()
