"""What every metric here is made with: closed label sets, and children found at once."""

from collections.abc import Callable
from typing import Final, TypeVar

from prometheus_client import Counter, Histogram

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

OTHER: Final = "other"
"""The label value that stands for any value outside a closed set."""

_Metric = TypeVar("_Metric", Counter, Histogram)


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
