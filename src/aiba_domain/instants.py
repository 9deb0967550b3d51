"""Calendar arithmetic on instants, which are int milliseconds since the Unix epoch, UTC."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LAST_WRITTEN: Final = 253_402_300_799_999
"""The last instant that a calendar writes, at the end of the year 9999."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4)
def _day_text(day_number: int) -> str:
    return (_EPOCH + timedelta(days=day_number)).strftime("%Y-%m-%d")


def day_key(instant: int) -> str:
    """Return the UTC day of `instant` as `YYYY-MM-DD`; days turn at midnight UTC."""
    return _day_text(instant // DAY)


def day_number(day: str) -> int:
    """Return how many days a day key lies after 1970-01-01."""
    return (datetime.fromisoformat(day).replace(tzinfo=UTC) - _EPOCH).days


def day_before(day: str) -> str:
    """Return the day key before `day`."""
    return (datetime.strptime(day, "%Y-%m-%d") - timedelta(days=1)).strftime("%Y-%m-%d")  # noqa: DTZ007 - a bare calendar day has no zone


def iso(instant: int) -> str:
    """Write an instant as ISO-8601 UTC with milliseconds and `Z`."""
    seconds, millis = divmod(instant, SECOND)
    return f"{_second_text(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
