"""What the reader tells of itself to whoever counts: requests, waits, answers, what was last seen.

The reader knows nothing of who counts. Every value told is one of the closed sets below, so that no
provider can invent one.
"""

from enum import StrEnum
from typing import Final, Protocol

from aiba_domain.claims.ports import Inventory

METHODS: Final = (
    "runGetMethod",
    "getBlockHeader",
    "getMasterchainInfo",
    "getAddressInformation",
    "getTransactions",
    "masterchainInfo",
    "blocks",
    "addressInformation",
    "transactions",
)
"""What providers are asked for: version 2's methods, then version 3's paths."""


class Role(StrEnum):
    """Which of the providers: the first, or one behind it."""

    PRIMARY = "primary"
    FALLBACK = "fallback"


class Result(StrEnum):
    """How one attempt to ask a provider ended.

    `REFUSED` is a status that says not to try again, `FAULT` one of the provider's own,
    `NOT_SENT` an attempt for which no token of the rate came in time.
    """

    OK = "ok"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    FAULT = "fault"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NONSENSE = "nonsense"
    NOT_SENT = "not_sent"


class Question(StrEnum):
    """What the service wants to know; one question may take several requests."""

    SEQNO = "seqno"
    INVENTORY = "inventory"
    PAYMENT = "payment"
    ORACLE_KEY = "oracle_key"


class Outcome(StrEnum):
    """What a provider made of a question.

    `NONSENSE` is an answer of another shape than the API promises, `STALE` one from a block that
    is too old, `WRONG_NETWORK` one from another chain.
    """

    OK = "ok"
    UNAVAILABLE = "unavailable"
    NONSENSE = "nonsense"
    STALE = "stale"
    WRONG_NETWORK = "wrong_network"


class Meter(Protocol):
    """Whoever counts. Called on the event loop; must neither block nor raise."""

    def request(self, role: Role, method: str, result: Result, seconds: float) -> None:
        """Count an attempt, and how long it took, the wait for a token not included."""
        ...

    def retry(self, role: Role, method: str) -> None:
        """Count an attempt that isn't the first."""
        ...

    def wait(self, role: Role, seconds: float) -> None:
        """Count a wait for a token of the provider's rate."""
        ...

    def answer(self, role: Role, question: Question, outcome: Outcome) -> None:
        """Count what a provider made of a question."""
        ...

    def switch(self) -> None:
        """Count that another provider answers from now on than the one that did before."""
        ...

    def block(self, seqno: int) -> None:
        """Keep the masterchain block in which something was just read."""
        ...

    def inventory(self, held: Inventory) -> None:
        """Keep what a vault holds, just read."""
        ...


class Unmetered:
    """Counts nothing."""

    def request(self, role: Role, method: str, result: Result, seconds: float) -> None:
        """Forget it."""

    def retry(self, role: Role, method: str) -> None:
        """Forget it."""

    def wait(self, role: Role, seconds: float) -> None:
        """Forget it."""

    def answer(self, role: Role, question: Question, outcome: Outcome) -> None:
        """Forget it."""

    def switch(self) -> None:
        """Forget it."""

    def block(self, seqno: int) -> None:
        """Forget it."""

    def inventory(self, held: Inventory) -> None:
        """Forget it."""
