"""How many requests a second each caller may make."""

from collections.abc import Callable


class Buckets:
    """A token bucket for each caller: `per_s` a second, as many at once after a pause."""

    def __init__(self, per_s: int, now: Callable[[], float]) -> None:
        """Count by `now`, a clock that only goes forward, in seconds."""
        self._per_s = per_s
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one request of a caller; return 0, or how many seconds too early it came."""
        now = self._now()
        left, at = self._left.get(name, (float(self._per_s), now))
        left = min(float(self._per_s), left + (now - at) * self._per_s)
        if left < 1:
            self._left[name] = (left, now)
            return (1 - left) / self._per_s
        self._left[name] = (left - 1, now)
        return 0.0

    def keep(self, names: tuple[str, ...]) -> None:
        """Forget everyone else."""
        self._left = {name: kept for name, kept in self._left.items() if name in names}
