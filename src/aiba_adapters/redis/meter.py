"""What is told of every request to Redis; the adapter knows no metrics."""

from enum import StrEnum
from typing import Protocol


class Operation(StrEnum):
    """What Redis is asked for."""

    HIT = "hit"
    CHECK = "check"


class Result(StrEnum):
    """What came of a request."""

    OK = "ok"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """Redis answered with an error: a wrong password, no memory left, a replica."""


class RedisMeter(Protocol):
    """Whoever counts requests; must neither block nor raise."""

    def request(self, operation: Operation, result: Result, seconds: float) -> None:
        """Count a request, and how long it took."""
        ...


class NoMeter:
    """Counts nothing."""

    def request(self, operation: Operation, result: Result, seconds: float) -> None:
        """Let a request pass."""
