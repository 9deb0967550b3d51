"""What an observer owes: it takes every event there is, at once and without a word."""

from abc import abstractmethod
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.events import Event
from aiba_domain.ports import Observer
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.expect import same
from aiba_domain.testing.contracts.suite import Opening, PortContract, base, broad


class ObserverContract(PortContract):
    """Subclass and make an observer."""

    port = "Observer"
    version = "1.0"

    @abstractmethod
    def make_observer(self) -> Observer:
        """Return an observer that was told nothing yet."""

    @pytest.fixture(name="observer")
    def _observer(self, opening: Opening) -> Observer:
        with opening:
            return self.make_observer()

    @base
    def test_every_command_may_fail_and_be_replayed(self, observer: Observer) -> None:
        """For each command there is, nothing is raised and nothing is to be awaited."""
        for handler in HANDLERS.values():
            same(_answer(observer.failed, handler.name), None, f"the answer to {handler.name}")
            same(_answer(observer.replayed, handler.name), None, f"the answer to {handler.name}")

    @broad()
    @given(told=st.lists(strategies.events(), max_size=8))
    def test_every_event_is_taken(self, observer: Observer, told: Sequence[Event]) -> None:
        """Whatever its texts and amounts, also twice: nothing is raised or to be awaited."""
        for event in (*told, *told):
            same(_answer(observer.committed, event), None, f"the answer to {event}")

    @broad()
    @given(name=strategies.texts())
    def test_unknown_commands_are_taken(self, observer: Observer, name: str) -> None:
        """An observer that is older than a command doesn't break it."""
        same(_answer(observer.failed, name), None, "the answer to a failure")
        same(_answer(observer.replayed, name), None, "the answer to a replay")


def _answer(told: object, what: object) -> object:
    """Tell an observer something; return what it answers, which the port has no word for."""
    return told(what)  # type: ignore[operator] # a method of the observer
