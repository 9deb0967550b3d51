"""What of an input or a record never gets into the audit trail: secrets, by their fields' names."""

import re
from collections.abc import Mapping
from typing import Any, Final

REDACTED: Final = "[redacted]"
TOO_DEEP: Final = "[too deep]"
TOO_MUCH: Final = "[too much]"

# Of names in one word. `key` alone is the name of a game mode, and no secret.
_SECRET: Final = re.compile(
    "pass(word|phrase|wd|code)|pwd|secret|token|authori[sz]ation|cookie|mnemonic|credential|hash"
    "|initdata|signature|private|seed$|bearer|jwt"
    "|(api|access|auth|sign|encrypt|oracle)[a-z]*key"
)
_BETWEEN_WORDS: Final = re.compile(r"[-_. ]")
_PUBLIC: Final = frozenset({"txhash"})
_DEEPEST: Final = 8
_MOST_ITEMS: Final = 1_000
_LONGEST_TEXT: Final = 2_000
_LONGEST_NAME: Final = 128


def redacted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain JSON fields without secrets, however deep, and within bounds of size.

    A field whose name says that it holds a secret keeps its name only. What is nested more than 8
    deep, and all beyond 1,000 values or 2,000 characters of a text, is cut.
    """
    return _fields(fields, _Room(), 0)


class _Room:
    """How many values still fit."""

    def __init__(self) -> None:
        self.left = _MOST_ITEMS

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _fields(fields: Mapping[str, Any], room: _Room, depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if not room.take():
            kept[TOO_MUCH] = True
            break
        shown = _text(str(name), _LONGEST_NAME)
        kept[shown] = REDACTED if _is_secret(shown) else _value(value, room, depth + 1)
    return kept


def _value(value: Any, room: _Room, depth: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return _text(value, _LONGEST_TEXT)
    if not isinstance(value, Mapping | list | tuple):
        return value if _fits(value) else TOO_MUCH
    if depth >= _DEEPEST:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return _fields(value, room, depth)
    kept = []
    for each in value:
        if not room.take():
            kept.append(TOO_MUCH)
            break
        kept.append(_value(each, room, depth + 1))
    return kept


def _text(text: str, longest: int) -> str:
    cut = text if len(text) <= longest else f"{text[:longest]}…"
    return cut.encode("utf-8", "backslashreplace").decode()  # no store keeps a lone surrogate


def _fits(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _is_secret(name: str) -> bool:
    word = _BETWEEN_WORDS.sub("", name).casefold()
    return word not in _PUBLIC and _SECRET.search(word) is not None
