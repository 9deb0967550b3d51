"""The service and its chain for each test; nothing here where there is no TVM for the machine."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.logs import logging_kept

collect_ignore_glob = ["test_*.py"] if find_spec("tonpy") is None else []

if not collect_ignore_glob:
    from tests.contract.withdrawals.world import World, prepare_database

    MakeWorld = Callable[..., World]

    @pytest.fixture(autouse=True, scope="module")
    def _logging() -> Iterator[None]:
        with logging_kept():
            yield

    @pytest.fixture(name="prepared", scope="session")
    def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Return a database with the modes and the policy of these tests, to be copied."""
        return prepare_database(tmp_path_factory.mktemp("prepared"))

    @pytest.fixture(name="shared", scope="module")
    def _shared(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
        """Return a world that a module's tests share: each brings its own players."""
        with World(prepared, tmp_path_factory.mktemp("shared") / "data") as world:
            yield world
            world.reconcile()

    @pytest.fixture(name="make_world")
    def _make_world(prepared: Path, tmp_path: Path) -> Iterator[MakeWorld]:
        """Return what makes a service with a chain; each is reconciled at the test's end."""
        made: list[World] = []

        def make(**terms: Any) -> World:
            world = World(prepared, tmp_path / str(len(made)), **terms)
            made.append(world)
            return world

        yield make
        for world in made:
            with world:
                world.reconcile()

    @pytest.fixture(name="world")
    def _world(make_world: MakeWorld) -> World:
        return make_world()
