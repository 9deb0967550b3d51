"""What a notifier owes: every topic is taken, and what fails fails by one of the port's words."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.outage import Unavailable
from aiba_domain.outbox.model import Letter, Topic
from aiba_domain.outbox.ports import Undeliverable
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import Opening, PortContract, base, broad

_FACTS = ("battle", "arena", "score", "aiba", "neur", "stars", "diamonds", "claim", "reason")


class NotifierContract(PortContract):
    """Subclass, and bring letters for the suite.

    `bring` brings letters one after another by a notifier of its own, whose receiver takes all that
    it is given, on the running event loop.
    """

    port = "Notifier"
    version = "1.0"

    @abstractmethod
    async def bring(self, letters: Sequence[Letter]) -> None:
        """Bring letters; let through whatever the notifier raises."""

    @pytest.fixture(name="ready")
    def _ready(self, opening: Opening) -> None:
        with opening:
            asyncio.run(self.bring(()))

    @base
    @pytest.mark.parametrize("topic", Topic)
    @pytest.mark.usefixtures("ready")
    def test_every_topic_is_taken(self, topic: Topic) -> None:
        """A letter to a player is taken, and so it is when it is brought again."""
        letter = _letter(topic)
        same(asyncio.run(self.bring((letter, letter))), None, "what bringing a letter answers")

    @pytest.mark.usefixtures("ready")
    @broad()
    @given(reason=strategies.texts())
    def test_any_text_is_taken(self, reason: str) -> None:
        """Whatever stands in a letter."""
        asyncio.run(self.bring((_letter(Topic.PLAYER_BANNED, reason=reason),)))

    @pytest.mark.usefixtures("ready")
    @broad()
    @given(subject=strategies.names() | st.sampled_from(("", "player:", "guild:1")))
    def test_a_subject_without_an_address_fails_in_the_ports_words(self, subject: str) -> None:
        """A letter to nobody may be taken; if not, it is undeliverable or an outage."""
        try:
            asyncio.run(self.bring((_letter(Topic.CLAIM_PAID, subject=subject),)))
        except (Undeliverable, Unavailable) as failure:
            holds(str(failure) != "", "a failure says why")


def _letter(topic: Topic, *, subject: str = "player:1", reason: str = "a reason") -> Letter:
    facts: dict[str, str | int] = dict.fromkeys(_FACTS, 1)
    facts |= {"reason": reason, "arena": "prediction"}
    return Letter(subject=subject, number=1, topic=topic, facts=facts, at=0, first=1)
