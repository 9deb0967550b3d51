"""Passwords of admins: bcrypt, off the event loop, and few at a time."""

import asyncio
import secrets
import string
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import bcrypt

from aiba_domain.errors import InvalidInput
from aiba_domain.ports import Unavailable

MIN_LENGTH: Final = 12
"""The shortest new password, in characters."""

MAX_BYTES: Final = 72
"""What bcrypt reads of a password; the service before cut longer ones here too."""

DEFAULT_COST: Final = 12
"""The cost of a new hash where no other is known."""

_LETTERS: Final = "./" + string.ascii_letters + string.digits
_DIGEST_LENGTH: Final = 31
_AT_ONCE: Final = 2
_WAITING: Final = 64
_KNOWN_WAITING: Final = 16
_BUSY_MS: Final = 2_000


class _Lane:
    """Threads that compare, and how many may wait for them."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self.threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="bcrypt")
        self._most = at_once + waiting
        self._asked = 0

    async def match(self, password: str, password_hash: str, cost: int) -> bool:
        if self._asked >= self._most:
            msg = "too many logins at once"
            raise Unavailable(msg, retry_after_ms=_BUSY_MS)
        self._asked += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self.threads, _as_long_as, cost, password, password_hash
            )
        finally:
            self._asked -= 1


class Passwords:
    """Compares passwords with hashes in threads of its own.

    Two are compared at once and 64 may wait, whoever sends how many: the event loop and the other
    work go on, and a flood is refused with Unavailable instead of piling up. Who comes from where
    an account is known has a thread apart, so that a flood of strangers is none of theirs.
    """

    def __init__(self, *, at_once: int = _AT_ONCE, waiting: int = _WAITING) -> None:
        """Start threads as they are needed."""
        self._strangers = _Lane(at_once, waiting)
        self._known = _Lane(1, _KNOWN_WAITING)

    async def match(
        self, password: str, password_hash: str, *, cost: int = 0, is_known: bool = False
    ) -> bool:
        """Tell whether a hash was made of a password.

        That takes what a hash of `cost` takes, also where this one is cheaper. `is_known` says that
        the account was logged in to from there before.
        """
        lane = self._known if is_known else self._strangers
        return await lane.match(password, password_hash, cost)

    async def make(self, password: str, cost: int) -> str:
        """Return a new hash. Raises InvalidInput naming `password` for one that is no good."""
        checked = good_password(password)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._known.threads, hash_of, checked, cost)

    def close(self) -> None:
        """Let the threads end."""
        for lane in (self._strangers, self._known):
            lane.threads.shutdown(wait=False, cancel_futures=True)


def matches(password: str, password_hash: str) -> bool:
    """Tell whether a hash was made of a password."""
    return bcrypt.checkpw(_bytes(password), password_hash.encode())


def hash_of(password: str, cost: int = DEFAULT_COST) -> str:
    """Return the bcrypt hash of a password, with a salt of its own."""
    return bcrypt.hashpw(_bytes(password), bcrypt.gensalt(cost)).decode()


def good_password(password: str) -> str:
    """Return a password that may be given to an account, or raise InvalidInput."""
    if len(password) < MIN_LENGTH:
        raise InvalidInput("password", f"minLength:{MIN_LENGTH}")
    if len(password.encode()) > MAX_BYTES:
        raise InvalidInput("password", f"maxLength:{MAX_BYTES}")
    if password != password.strip() or not password.isprintable():
        # The edge takes blanks off the ends of every text, and no text has control characters.
        raise InvalidInput("password", "pattern")
    return password


def cost_of(password_hash: str) -> int:
    """Return the cost of a bcrypt hash."""
    return int(password_hash.split("$")[2])


@cache
def dummy_hash(cost: int) -> str:
    """Return a hash that was made of no password, as costly to compare as any of its cost.

    Making it costs nothing: it is a salt and letters by chance.
    """
    letters = (secrets.choice(_LETTERS) for _ in range(_DIGEST_LENGTH))
    return bcrypt.gensalt(cost).decode() + "".join(letters)


def _as_long_as(cost: int, password: str, password_hash: str) -> bool:
    """Compare, and make the time up to that of a cost: each step of it takes twice as long."""
    fits = matches(password, password_hash)
    for cheaper in range(cost_of(password_hash), cost):
        matches(password, dummy_hash(cheaper))
    return fits


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")[:MAX_BYTES]
