"""Reading a document strictly, and naming every fault of it at once with its path."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from aiba_domain.errors import DomainError

E = TypeVar("E", bound=StrEnum)

_DEEPEST: Final = "a document nested too deeply"


class Faulty(DomainError):  # noqa: N818 - a refusal
    """A document that isn't what it should be; `faults` are texts, each `path: what is wrong`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("document_refused", faults=tuple(faults))
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "; ".join(self.faults)


class Faults:
    """The faults found so far. What can't be read is noted, and something harmless is returned."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: list[str] = []

    def note(self, path: str, reason: str) -> None:
        """Note a fault."""
        self._found.append(f"{path or 'document'}: {reason}")

    def expect(self, good: object, path: str, wanted: str) -> None:
        """Note a fault unless something holds."""
        if not good:
            self.note(path, wanted)

    def check(self) -> None:
        """Raise Faulty if any fault was noted."""
        if self._found:
            raise Faulty(self._found)

    def record(
        self, given: object, path: str, required: Sequence[str], optional: Sequence[str]
    ) -> Mapping[str, Any]:
        """Return an object with the fields it must and may have."""
        if not isinstance(given, dict):
            self.note(path, "object")
            return {}
        prefix = f"{path}." if path else ""
        for name in given:
            self.expect(name in required or name in optional, f"{prefix}{name}", "unknown")
        for name in required:
            self.expect(name in given, f"{prefix}{name}", "required")
        return {name: value for name, value in given.items() if name in (*required, *optional)}

    def records(
        self, given: object, path: str, required: Sequence[str], optional: Sequence[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the objects of a list that have all they must, each with its path."""
        if not isinstance(given, list):
            self.note(path, "list")
            return
        for position, item in enumerate(given):
            place = f"{path}[{position}]"
            found = self.record(item, place, required, optional)
            if all(name in found for name in required):
                yield place, found

    def integer(self, given: object, path: str, least: int, most: int) -> int:
        """Return an integer within its range."""
        if type(given) is int and least <= given <= most:
            return given
        self.note(path, f"integer of {least}..{most}")
        return least

    def text(self, given: object, path: str, form: re.Pattern[str], wanted: str) -> str:
        """Return a text of a form, "" for anything else."""
        if isinstance(given, str) and form.fullmatch(given):
            return given
        self.note(path, wanted)
        return ""

    def choice(self, given: object, path: str, choices: type[E]) -> E:
        """Return one of a closed set."""
        for choice in choices:
            if given == choice.value:
                return choice
        self.note(path, f"one of {', '.join(choices)}")
        return next(iter(choices))


def read_json(text: str, faults: Faults) -> object:
    """Return a JSON document without floats and repeated names; Faulty at once if it is none."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            faults.note(twice[:64], "given twice")
        return found

    def no_number(number: str) -> object:
        raise ValueError(f"{number[:32]} is no whole number")

    try:
        return json.loads(
            text, object_pairs_hook=pairs, parse_float=no_number, parse_constant=no_number
        )
    except RecursionError:
        faults.note("", _DEEPEST)
    except ValueError as error:
        faults.note("", f"no JSON: {error}")
    faults.check()
    raise Faulty([_DEEPEST])
