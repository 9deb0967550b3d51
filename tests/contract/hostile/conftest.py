"""A service for hostile clients, shared by the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.contract.hostile.target import Target
from tests.support.logs import logging_kept


@pytest.fixture(autouse=True, scope="module")
def _logging() -> Iterator[None]:
    with logging_kept():
        yield


@pytest.fixture(name="target")
def _target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("hostile"))
    yield target
    target.close()
