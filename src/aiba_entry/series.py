"""What every metric here is made with: closed label sets, and children found at once."""

import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

OTHER: Final = "other"
"""The label value that stands for any value outside a closed set."""

MOST_LATER: Final = 256
"""How many things wait to be counted at the most."""

_Metric = TypeVar("_Metric", Counter, Histogram)
_Item = TypeVar("_Item")
_Noted = TypeVar("_Noted")


class Later:
    """Counts things a few hundred at a time.

    To count one by itself costs a busy service several times as much: it is code that nothing else
    uses. Whoever reads what was counted calls `count_all` before.
    """

    def __init__(self) -> None:
        """Begin with nothing that waits."""
        self._waiting: deque[tuple[Callable[[Any], None], object]] = deque()

    def count(self, by: Callable[[_Item], None], item: _Item) -> None:
        """Have `by` count an item, which must not change; called from any thread."""
        self._waiting.append((by, item))
        if len(self._waiting) >= MOST_LATER:
            self.count_all()

    def count_all(self) -> None:
        """Count what waits."""
        waiting = self._waiting
        while True:
            try:
                by, item = waiting.popleft()  # one of several threads gets it
            except IndexError:
                return
            by(item)


class LastNoted(Collector, Generic[_Noted]):
    """Gauges of what was noted last, whose ages grow meanwhile; none while nothing is."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing noted; `monotonic` gives seconds."""
        self._monotonic = monotonic
        self._last: tuple[_Noted, float] | None = None

    def note(self, noted: _Noted) -> None:
        """Keep something in place of what was noted before."""
        self._last = noted, self._monotonic()

    def forget(self) -> None:
        """Show nothing until something is noted."""
        self._last = None

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing in advance: what isn't known yet isn't there."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give what is known."""
        if self._last is not None:
            noted, at = self._last
            yield from self.gauges(noted, self._monotonic() - at)

    @abstractmethod
    def gauges(self, noted: _Noted, since_s: float) -> Iterator[GaugeMetricFamily]:
        """Give the gauges of what was noted that many seconds ago."""


class Family(dict[tuple[str, ...], _Metric]):
    """A metric's children by label values: finding one again costs one look into a dict."""

    def __init__(self, parent: _Metric) -> None:
        """Make children of `parent`."""
        super().__init__()
        self._labels: Callable[..., _Metric] = parent.labels

    def of(self, *labels: str) -> _Metric:
        """Return the child with these label values."""
        return self[labels]

    def __missing__(self, labels: tuple[str, ...]) -> _Metric:
        child = self[labels] = self._labels(*labels)
        return child


def closed(value: str, known: frozenset[str]) -> str:
    """Return a label's value, OTHER for one outside its closed set."""
    return value if value in known else OTHER
