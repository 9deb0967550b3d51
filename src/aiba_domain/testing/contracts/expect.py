"""Assertions that say what the port owes and what the adapter did, also without pytest's rewriting.

A suite may have been imported before pytest could rewrite its asserts, and then a bare one says
nothing at all. These always speak.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

_LONGEST: Final = 600


def same(found: object, owed: object, what: str = "") -> None:
    """Raise AssertionError unless the adapter gave what the port owes; `what` names the thing."""
    __tracebackhide__ = True
    if found != owed:
        subject = what or "the answer"
        raise AssertionError(
            f"{subject}: the port owes {_text(owed)}; the adapter gave {_text(found)}"
            f"{_difference(found, owed)}"
        )


def nothing(found: object, what: str = "") -> None:
    """Raise AssertionError unless the adapter gave nothing: None, or an empty collection."""
    __tracebackhide__ = True
    if found is not None and list(_items(found)):
        raise AssertionError(
            f"{what or 'the answer'}: the port owes nothing; the adapter gave {_text(found)}"
        )


def contains(found: Collection[object], owed: object, what: str) -> None:
    """Raise AssertionError unless what the adapter gave has what the port owes among it."""
    __tracebackhide__ = True
    if owed not in found:
        raise AssertionError(
            f"{what}: the port owes {_text(owed)} among them; the adapter gave {_text(found)}"
        )


def holds(fact: object, what: str) -> None:
    """Raise AssertionError unless `fact` is true; `what` says it in words."""
    __tracebackhide__ = True
    if not fact:
        raise AssertionError(f"the port owes that {what}; with this adapter it is not so")


def _items(found: object) -> Sequence[object]:
    if isinstance(found, Mapping):
        return list(found)
    return list(found) if isinstance(found, Sequence) else [found]


def _text(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _difference(found: Any, owed: Any) -> str:  # noqa: ANN401 - values of any type
    """Say where two values part, if they are of one structured type."""
    if type(found) is not type(owed):
        return ""
    if is_dataclass(owed):
        parts = [
            f"{part.name} is {_text(one)}, not {_text(other)}"
            for part in fields(owed)
            if (one := getattr(found, part.name)) != (other := getattr(owed, part.name))
        ]
        return "\n  " + "\n  ".join(parts)
    if isinstance(owed, list | tuple):
        places = [n for n, pair in enumerate(zip(found, owed, strict=False)) if pair[0] != pair[1]]
        first = places[0] if places else min(len(found), len(owed))
        lengths = f"{len(found)} items, not {len(owed)}; " if len(found) != len(owed) else ""
        return f"\n  {lengths}the first difference is at index {first}"
    return ""
