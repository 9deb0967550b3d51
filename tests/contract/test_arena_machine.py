"""A random life of the whole service, over each store."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.ports import Store
from aiba_domain.testing.machines import COMMANDS, ArenaMachine


class MemoryArena(ArenaMachine):
    """The service over memory."""

    async def open_store(self) -> Store:
        """Open an empty store."""
        return MemoryStore()


class SqliteArena(ArenaMachine):
    """The service over one file, which is opened again now and then."""

    survives_reopening = True

    def __init__(self) -> None:
        """Give each run a folder of its own."""
        self._folder = TemporaryDirectory()
        super().__init__()

    async def open_store(self) -> Store:
        """Open this run's file."""
        return SqliteStore(Path(self._folder.name) / "arena.db")

    def teardown(self) -> None:
        """Close the file and remove it."""
        super().teardown()
        self._folder.cleanup()


def lives(per_hundred: int) -> settings:
    """Return the settings for so many random lives where the profile asks for 100 examples."""
    return settings(
        max_examples=max(1, settings().max_examples * per_hundred // 100),
        stateful_step_count=50,
        suppress_health_check=[HealthCheck.too_slow],
    )


TestMemoryArena = MemoryArena.TestCase
TestMemoryArena.settings = lives(50)
TestSqliteArena = SqliteArena.TestCase
TestSqliteArena.settings = lives(20)


def test_the_machine_knows_every_command() -> None:
    """A new command takes part in the random life, or this fails."""
    assert set(COMMANDS) == set(HANDLERS)
