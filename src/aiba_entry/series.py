"""What every metric here is made with: closed label sets, and children found at once."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from prometheus_client import Counter, Histogram

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

OTHER: Final = "other"
"""The label value that stands for any value outside a closed set."""

MOST_LATER: Final = 256
"""How many things wait to be counted at the most."""

_Metric = TypeVar("_Metric", Counter, Histogram)
_Item = TypeVar("_Item")


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
