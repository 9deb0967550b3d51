"""Rate limits that all processes count together: one script in Redis for each hit."""

import re
import time
from collections.abc import Awaitable, Callable
from hashlib import sha1, sha256
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoScriptError, RedisError
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as TimedOut

from aiba_adapters.redis.meter import NoMeter, Operation, RedisMeter, Result
from aiba_domain.ports import Unavailable, Verdict

T = TypeVar("T")

PREFIX: Final = "aiba:limit:"
"""What the keys begin with; the rest is a digest, so that no player and no address is shown."""

KEPT_MS: Final = 60_000
"""How long after its window's end a key is kept, in ms: Redis' clock needn't agree with ours."""

RETRY_AFTER_MS: Final = 1_000
"""When asking again is worth while, in ms."""

# Windows are judged by the caller's instant alone, so the script is the same wherever it runs. It
# counts as MemoryRateLimiter does: a window starts at its first hit, and where clocks differ it
# ends no later than one that begins now. Instants are written as whole numbers, which Lua's own
# way of writing them is not.
_SCRIPT: Final = """
local now, length, kept = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local found = redis.call('HMGET', KEYS[1], 'hits', 'reset')
local hits, reset = tonumber(found[1]), tonumber(found[2])
if not reset or now >= reset then
  hits, reset = 0, now + length
elseif reset > now + length then
  reset = now + length
end
hits = hits + 1
local ends = string.format('%.0f', reset)
redis.call('HSET', KEYS[1], 'hits', string.format('%.0f', hits), 'reset', ends)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', reset - now + kept))
return {hits, ends}
"""
_CODE: Final = re.compile(r"[A-Z]{2,20}(?= )")
_SCRIPT_ID: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class RedisRateLimiter:
    """Fixed windows that start at a key's first hit, exact however many processes count.

    Raises Unavailable while Redis is, and then counts nothing wrong: a hit whose answer was lost
    may have been counted, never the other way round. Counts are as durable as Redis is set up to
    be; without a file a restart of Redis begins new windows.
    """

    def __init__(
        self, client: "Redis", *, meter: RedisMeter | None = None, prefix: str = PREFIX
    ) -> None:
        """Count by a client of `open_client`, which is closed with the limiter.

        Limiters of one Redis and one `prefix` count together.
        """
        self._client = client
        self._meter = meter or NoMeter()
        self._prefix = prefix

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        """Count one hit of `key` under the limit `name` and say whether it is within `limit`."""
        place = self._prefix + _digest(name, key, window_ms)
        hits, reset = await self._ask(Operation.HIT, lambda: self._count(place, now_ms, window_ms))
        allowed = hits <= limit
        return Verdict(
            allowed=allowed,
            limit=limit,
            remaining=max(0, limit - hits),
            reset_at_ms=reset,
            retry_after_s=0 if allowed else max(1, -(-(reset - now_ms) // 1_000)),
        )

    async def check(self) -> None:
        """Raise Unavailable unless Redis can count."""
        await self._ask(Operation.CHECK, lambda: self._count(f"{self._prefix}check", 0, 1))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _count(self, place: str, now_ms: int, window_ms: int) -> tuple[int, int]:
        """Count a hit; return how many there are in the window, and when it ends."""
        arguments = (1, place, now_ms, window_ms, KEPT_MS)
        try:
            found = await self._client.evalsha(_SCRIPT_ID, *arguments)
        except NoScriptError:
            # A Redis that was started since: nothing has been counted.
            found = await self._client.eval(_SCRIPT, *arguments)
        return int(found[0]), int(found[1])

    async def _ask(self, operation: Operation, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask Redis, tell the meter what came of it, and raise Unavailable for a failure."""
        began = time.monotonic()
        result = Result.OK
        try:
            return await ask()
        except (RedisError, OSError, TimeoutError) as error:
            result = _result_of(error)
            said = f" {code[0]}" if (code := _CODE.match(str(error))) else ""
            # A refusal may repeat what it was asked, a password among it: none is told further.
            cause = None if result is Result.REFUSED else error
            raise Unavailable(f"redis: {result}{said}", retry_after_ms=RETRY_AFTER_MS) from cause
        finally:
            self._meter.request(operation, result, time.monotonic() - began)


def _digest(name: str, key: str, window_ms: int) -> str:
    """Return what stands for a limit's key, of one length whatever the texts."""
    text = f"{len(name)}:{name}{window_ms}:{key}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _result_of(error: Exception) -> Result:
    if isinstance(error, TimedOut | TimeoutError):
        return Result.TIMEOUT
    is_outside = isinstance(error, Unreachable | OSError)
    # A refused password is an error of the connection there, and isn't mended by waiting.
    if is_outside and not isinstance(error, AuthenticationError):
        return Result.UNREACHABLE
    return Result.REFUSED
