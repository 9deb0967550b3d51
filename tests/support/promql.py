"""What an expression of Prometheus asks for: series, with what it wants of their labels.

No parser: Prometheus itself judges the grammar, in the tests that start one. This finds the names.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_STRING: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_MATCHERS: Final = re.compile(r"(?<![\w:])([a-zA-Z_:][\w:]*)?\s*\{([^{}]*)\}")
_MATCHER: Final = re.compile(r"\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*#(\d+)#\s*")
_GROUPING: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([\w\s,]*)\)")
_DURATION: Final = re.compile(r"\[[^\]]*\]|\b\d+(?:ms|[smhdwy])\b|\$__\w+")
_WORD: Final = re.compile(r"(?<![\w:$.])[a-zA-Z_:][\w:]*")
_KEYWORDS: Final = frozenset({"and", "or", "unless", "offset", "bool", "group_left", "group_right"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A series by its name, and each label's operator with the text it is compared with."""

    name: str
    labels: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What an expression names: series, and labels that it groups or joins by."""

    wanted: tuple[Wanted, ...]
    grouped_by: frozenset[str]


def read(expression: str) -> Query:
    """Return what an expression names."""
    texts: list[str] = []

    def keep(match: re.Match[str]) -> str:
        texts.append(match[0][1:-1].replace("\\\\", "\\"))
        return f"#{len(texts) - 1}#"

    rest = _STRING.sub(keep, expression)
    rest = _DURATION.sub(" ", rest)
    groups = [label for match in _GROUPING.finditer(rest) for label in match[2].split(",")]
    rest = _GROUPING.sub(" ", rest)
    wanted = [
        Wanted(name=match[1], labels=dict(_matchers(match[2], texts)))
        for match in _MATCHERS.finditer(rest)
    ]
    rest = _MATCHERS.sub(" ", rest)
    wanted += [
        Wanted(name=match[0], labels={})
        for match in _WORD.finditer(rest)
        if match[0] not in _KEYWORDS and not rest[match.end() :].lstrip().startswith("(")
    ]
    return Query(
        wanted=tuple(wanted),
        grouped_by=frozenset(label.strip() for label in groups if label.strip()),
    )


def _matchers(text: str, texts: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for part in text.split(","):
        if not part.strip():
            continue
        match = _MATCHER.fullmatch(part)
        if match is None:
            raise ValueError(f"no matcher: {part}")
        yield match[1], (match[2], texts[int(match[3])])


def takes(operator: str, text: str, value: str) -> bool:
    """Tell whether a label's value is one that a matcher takes."""
    if operator in ("=", "!="):
        return (value == text) == (operator == "=")
    return bool(re.fullmatch(text, value)) == (operator == "=~")
