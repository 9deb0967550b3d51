"""A service made of a build, for the rules: a playground whose parts may be faulty."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Command, Refused
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import DomainError
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Entry, Reader
from aiba_domain.testing.doubles import ROOT
from aiba_domain.testing.mutants.build import Build
from aiba_domain.testing.playground import Playground

HERO: Final = "7"
RIVAL: Final = "8"
STATS: Final = 80
"""Each stat of a broker that `Service.broker` makes."""


class Service(Playground):
    """The whole service over a build, with a clock that stands at noon until it is moved."""

    def __init__(self, build: Build, folder: Path) -> None:
        """Open the build's store and prepare it; from then on the build's own parts are used."""
        super().__init__(lambda: build.open_store(folder))
        self.build = build
        # The store is prepared by sound parts, so that a fault shows where it is looked for.
        self.promised = build.make_seeds(ROOT)
        self.pipeline = build.pipeline(
            store=self.faults,
            clock=self.clock,
            seeds=self.seeds,
            observer=self.seen,
            handlers=build.handlers,
        )

    def refusal(self, player: str, command: Command[Any], key: object = None) -> str:
        """Return the code by which a command is refused; AssertionError if it isn't."""
        try:
            outcome = self.play(player, command, key).outcome
        except DomainError as refused:
            return refused.code
        assert isinstance(outcome, Refused), f"{command} was accepted"
        return outcome.code

    def held(self, player: str, currency: Currency = Currency.NEUR) -> int:
        """Return what a player has of a currency."""
        return self.balances(player).get(currency, 0)

    def record(self, player: str = HERO) -> Player:
        """Return a player's record, a new one for a player who isn't known."""
        found = self.read(lambda read: read.player(player))
        return found or new_player(player, None, self.clock.now())

    def change(self, **changes: object) -> EconomyPolicy:
        """Change the policy."""
        return self.operate(ChangePolicy(changes=changes)).policy

    def broker(self, owner: str = HERO, name: str = "broker", **fields: Any) -> Broker:
        """Put a strong broker with energy for many battles."""
        now = self.clock.now()
        plain = Broker(
            id=derive_id("mutants", owner, name),
            owner_id=owner,
            created_at=now,
            updated_at=now,
            intelligence=STATS,
            speed=STATS,
            risk=STATS,
            energy=100,
            energy_updated_at=now,
        )
        made = replace(plain, **fields)
        self.put(made)
        return made

    def stored(self, broker: Broker) -> Broker:
        """Return a broker as it stands."""
        found = self.read(lambda read: read.broker(broker.id))
        assert found is not None, f"{broker.id} is gone"
        return found

    def mode(self, key: str = "trial", **fields: Any) -> GameMode:
        """Put a mode without chance, cost or rest, but for what `fields` say."""
        free: dict[str, Any] = {"energy_cost": 0, "cooldown_seconds": 0}
        made = GameMode(
            **{
                "id": mode_id(key),
                "key": key,
                "name": key,
                "arena": "prediction",
                "rules": ModeRules(variance_base=0),
                "created_at": 0,
                "updated_at": 0,
                **free,
                **fields,
            }
        )
        self.put(made)
        return made

    def entries(self) -> list[Entry]:
        """Return the whole ledger."""

        async def look(read: Reader) -> list[Entry]:
            return [*read.entries()]

        return self.read(look)


@contextmanager
def served(build: Build) -> Iterator[Service]:
    """Give a service over a new store, and close it."""
    with TemporaryDirectory() as folder:
        service = Service(build, Path(folder))
        try:
            yield service
        finally:
            service.close()
