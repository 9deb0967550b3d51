"""The port to whoever letters are brought to."""

from typing import Protocol

from aiba_domain.outage import Unavailable
from aiba_domain.outbox.model import Letter


class Undeliverable(Exception):  # noqa: N818 - named for the state of the letter
    """The receiver will never take this letter; the text says why, for an operator."""


class NotNow(Unavailable):
    """The receiver takes nothing for `retry_after_ms`: no fault of the letter."""


class Notifier(Protocol):
    """Brings letters to people.

    A letter may be brought more than once: after a crash nobody knows whether it arrived. Each time
    it has the same `delivery_id`, by which a receiver that can tells it again.
    """

    async def deliver(self, letter: Letter) -> None:
        """Bring a letter; return once it was taken, within half a minute.

        Raises Undeliverable, NotNow, and Unavailable where it is unknown whether it was taken.
        """
        ...
