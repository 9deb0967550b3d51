"""Rate limits of one process, in bounded memory."""

from collections import OrderedDict
from hashlib import sha256
from typing import Final

from aiba_domain.ports import Verdict

MAX_KEY_LENGTH: Final = 128
"""Longer keys are kept as their digest, so that a caller's text can't fill the memory."""


class _Window:
    """How often a key was hit in its window, and when that ends."""

    __slots__ = ("count", "reset_at_ms")

    def __init__(self, reset_at_ms: int) -> None:
        self.count = 0
        self.reset_at_ms = reset_at_ms


_Windows = OrderedDict[tuple[str, str], _Window]


class MemoryRateLimiter:
    """Fixed windows that start at a key's first hit, and are never longer if the clock goes back.

    Holds at most `max_keys` keys: ended windows are dropped as time passes, and a new key that
    finds all places taken by running windows takes the place of the one that ends first. Every hit
    costs the same, however many keys there are.
    """

    def __init__(self, max_keys: int = 100_000) -> None:
        if max_keys < 1:
            raise ValueError("max_keys must be at least 1")
        self._max_keys = max_keys
        self._size = 0
        # By window length: windows of one length end in the order they began, so the first of
        # each mapping is always the next to end.
        self._by_length: dict[int, _Windows] = {}

    def __len__(self) -> int:
        return self._size

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        """Count one hit of `key` under the limit `name` and say whether it is within `limit`."""
        self._drop_ended(now_ms)
        windows = self._by_length.get(window_ms)
        if windows is None:
            windows = self._by_length[window_ms] = OrderedDict()
        place = (name, key if len(key) <= MAX_KEY_LENGTH else _digest(key))
        window = windows.get(place)
        if window is not None and now_ms >= window.reset_at_ms:
            del windows[place]
            self._size -= 1
            window = None
        if window is not None and window.reset_at_ms > now_ms + window_ms:
            # The clock was set back: a window ends no later than one that begins now.
            window.reset_at_ms = now_ms + window_ms
            windows.move_to_end(place)
        if window is None:
            window = self._open(windows, place, now_ms + window_ms)
        window.count += 1
        allowed = window.count <= limit
        left_ms = window.reset_at_ms - now_ms
        return Verdict(
            allowed=allowed,
            limit=limit,
            remaining=max(0, limit - window.count),
            reset_at_ms=window.reset_at_ms,
            retry_after_s=0 if allowed else max(1, -(-left_ms // 1000)),
        )

    def _open(self, windows: _Windows, place: tuple[str, str], reset_at_ms: int) -> _Window:
        if self._size >= self._max_keys:
            self._drop_next_to_end()
        window = windows[place] = _Window(reset_at_ms)
        self._size += 1
        return window

    def _drop_ended(self, now_ms: int) -> None:
        # Two at most for each length: more go than one hit brings, so the ended can't pile up.
        for windows in self._by_length.values():
            for _ in range(2):
                if not windows or next(iter(windows.values())).reset_at_ms > now_ms:
                    break
                windows.popitem(last=False)
                self._size -= 1

    def _drop_next_to_end(self) -> None:
        running = (windows for windows in self._by_length.values() if windows)
        first = min(running, key=lambda windows: next(iter(windows.values())).reset_at_ms)
        first.popitem(last=False)
        self._size -= 1


def _digest(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
