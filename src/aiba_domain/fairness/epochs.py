"""Seed epochs: battle secrets that are promised before the first battle and revealed at the end.

An operator holds one root. Each epoch's secret is derived from it one way, so a revealed epoch
tells nothing about any other. The commitment published when an epoch opens binds the operator to
the secret: no draw can be chosen afterwards.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from aiba_domain.battle.seed import utf8
from aiba_domain.errors import InvalidInput, InvariantViolation

MIN_ROOT_LENGTH: Final = 32
"""The shortest root, in characters."""

_EPOCH_TEXT: Final = "aiba-arena seed epoch:{number}"
_COMMITMENT_TEXT: Final = "aiba-arena seed commitment v1:{number}:{secret}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedEpoch:
    """One epoch as the world sees it. Instants are ms, UTC; None for what hasn't happened.

    Raises InvariantViolation if it is revealed without being closed, or closed before it opened.
    """

    number: int
    commitment: str
    opened_at: int
    closed_at: int | None = None
    revealed_secret: str | None = None

    def __post_init__(self) -> None:
        """Check that what happened could happen in that order."""
        if self.closed_at is None:
            if self.revealed_secret is not None:
                raise InvariantViolation(f"seed epoch {self.number} is revealed while open")
        elif self.closed_at < self.opened_at:
            raise InvariantViolation(f"seed epoch {self.number} closed before it opened")


def epoch_secret(root: str, number: int) -> str:
    """Return the secret of an epoch as 64 hex digits: an HMAC-SHA256 of its number under `root`.

    Raises InvalidInput for a root shorter than `MIN_ROOT_LENGTH` or a number below 1.
    """
    if len(root) < MIN_ROOT_LENGTH:
        raise InvalidInput("root", f"minLength:{MIN_ROOT_LENGTH}")
    _check_number(number)
    text = _EPOCH_TEXT.format(number=number)
    return hmac.digest(utf8(root), text.encode(), "sha256").hex()


@lru_cache(maxsize=64, typed=True)
def commitment(number: int, secret: str) -> str:
    """Return the commitment to an epoch's secret: the SHA-256, in hex, of a text naming both."""
    _check_number(number)
    text = _COMMITMENT_TEXT.format(number=number, secret=secret)
    return hashlib.sha256(utf8(text)).hexdigest()


def open_epoch(number: int, secret: str, now: int) -> SeedEpoch:
    """Return the epoch that opens at `now`, with its commitment and without its secret."""
    return SeedEpoch(number=number, commitment=commitment(number, secret), opened_at=now)


def close_epoch(epoch: SeedEpoch, now: int) -> SeedEpoch:
    """Return the epoch closed at `now`; one that is closed already stays as it is."""
    return epoch if epoch.closed_at is not None else replace(epoch, closed_at=now)


def reveal_epoch(epoch: SeedEpoch, secret: str) -> SeedEpoch:
    """Return the epoch with its secret made public.

    Raises InvariantViolation if the epoch is still open, since its draws could then be foreseen, or
    if the secret is not the one that was promised.
    """
    if epoch.closed_at is None:
        raise InvariantViolation(f"seed epoch {epoch.number} is still open")
    if not keeps_promise(epoch.number, epoch.commitment, secret):
        raise InvariantViolation(f"seed epoch {epoch.number} was committed to another secret")
    return replace(epoch, revealed_secret=secret)


def keeps_promise(number: int, promised: str, secret: str) -> bool:
    """Tell whether `secret` is what the commitment `promised` stands for."""
    return hmac.compare_digest(utf8(promised), commitment(number, secret).encode())


def _check_number(number: object) -> None:
    if type(number) is not int or number < 1:
        raise InvalidInput("number", "min:1")
