"""What is told of what took effect, and when: the promise of events over any store.

Today events go to the observer after the commit, each at most once: a crash between the two loses
them, so nothing that must happen may hang on one. What must happen (a withdrawal's signature and
settlement) is taken up from the records themselves.

What must reach somebody outside is written to the outbox in the unit of work itself: what a store
owes of that is in `letters`.
"""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from aiba_domain.brokers.commands import BrokerReply, GetStarter, Train
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Accepted, Refused
from aiba_domain.events import MoneySpent
from aiba_domain.money import Currency
from aiba_domain.ports import Store
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    needs,
)
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.playground import Playground, call

_MONEY: Final = 1_000


class OutboxContract(PortContract):
    """Subclass and say how to open an empty store.

    `serializable`: commands at once are told as if one after another.
    """

    port = "Observer"
    version = "1.0"

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Open an empty store; `folder` is of this test alone, and empty."""

    @pytest.fixture(name="scene")
    def _scene(self, opening: Opening, tmp_path: Path) -> Iterator["Scene"]:
        with opening:
            play = Playground(lambda: self.open_store(tmp_path))
            scene = Scene(play)
        yield scene
        play.close()

    @base
    def test_what_took_effect_is_told_once(self, scene: "Scene") -> None:
        """After the commit, with the amount that the ledger has."""
        scene.train("k")
        told = scene.told()
        same(len(told), 1, "how often it is told")
        same(told[0].amount, _MONEY - scene.balance(), "what it cost by the ledger")

    def test_a_repeated_command_is_not_told_again(self, scene: "Scene") -> None:
        """The first answer comes back, and the observer hears of a replay."""
        scene.train("k")
        scene.train("k")
        same(len(scene.told()), 1, "how often it is told")
        same(scene.play.seen.replays, ["broker.train"], "the replays that were told")

    def test_a_refused_command_tells_of_no_effect(self, scene: "Scene") -> None:
        """Nobody is told of a payment that was not made."""
        outcome = scene.train("k", broker_id="0" * 24)
        holds(isinstance(outcome, Refused), "a broker that isn't there can't be trained")
        same(scene.told(), [])

    @pytest.mark.parametrize("point", range(1, 21))
    def test_a_crash_tells_of_nothing_that_did_not_take_effect(
        self, scene: "Scene", point: int
    ) -> None:
        """Wherever it strikes; after the commit the event is lost, never made up or doubled."""
        scene.play.faults.crash_at(point)
        try:
            scene.train("k")
        except Crash:
            same(scene.told(), [], "what was told of a command that crashed")
        scene.play.faults.disarm()
        took_effect = scene.balance() < _MONEY
        scene.train("k")
        owed = [0, 1] if took_effect else [1]
        told = len(scene.told())
        holds(told in owed, f"an effect is told once at the most; it was {told} times")
        same(len(scene.play.seen.replays), int(took_effect), "replays that were told")

    @needs(Capability.SERIALIZABLE)
    def test_one_command_sent_many_times_at_once_is_told_once(self, scene: "Scene") -> None:
        """All get the first answer, and all but one of them are replays."""
        train = call("1", Train(broker_id=scene.broker_id, stat=Stat.SPEED), "k")
        scene.play.together([train] * 16)
        same(len(scene.told()), 1, "how often it is told")
        same(len(scene.play.seen.replays), 15, "replays")


class Scene:
    """Player 1 with money and a broker, and what the observer is told of their training."""

    def __init__(self, play: Playground) -> None:
        """Set up on a playground."""
        self.play = play
        self.broker_id = play.play("1", GetStarter()).reply().broker.id
        play.fund("1", NEUR=_MONEY)

    def train(self, key: str, *, broker_id: str = "") -> Accepted[BrokerReply] | Refused:
        """Train under a key; return the outcome."""
        train = Train(broker_id=broker_id or self.broker_id, stat=Stat.SPEED)
        return self.play.play("1", train, key).outcome

    def balance(self) -> int:
        """Return what the player has."""
        return self.play.balances("1").get(Currency.NEUR, 0)

    def told(self) -> list[MoneySpent]:
        """Return what the observer was told of payments."""
        return [event for event in self.play.seen.events if isinstance(event, MoneySpent)]
