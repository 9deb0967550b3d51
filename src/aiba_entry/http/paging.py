"""Pages of records, newest first: the place one page ends at, as a text for the next."""

import re
from typing import Annotated, Final

from litestar.params import QueryParameter

from aiba_domain.ids import is_id
from aiba_entry.http.errors import InvalidRequest
from aiba_entry.http.validation import query_text

_INSTANT: Final = re.compile(r"[0-9]{1,15}")

Place = tuple[int, str]
"""The (created_at, id) of the last record of a page."""

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Before = Annotated[
    str | None, QueryParameter(max_length=64, description="The `next` of the page before")
]


def place_of(before: str | None) -> Place | None:
    """Read a page's `next`, or raise InvalidRequest naming it."""
    before = query_text(before, "before")
    if before is None:
        return None
    at, _, last_id = before.partition("-")
    if not (_INSTANT.fullmatch(at) and is_id(last_id)):
        raise InvalidRequest({"before": "pattern"})
    return int(at), last_id


def place_text(place: Place | None) -> str | None:
    """Write a place as a page's `next`, None after the last page."""
    return f"{place[0]}-{place[1]}" if place else None
