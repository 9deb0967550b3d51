"""A process that is gone between two changes of a directory."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest


class Died(BaseException):
    """The process is gone in the middle of a step."""


def death_at(place: int) -> pytest.MonkeyPatch:
    """Let a process die before its `place`th change of a directory, until it is undone."""
    counted, patched = itertools.count(), pytest.MonkeyPatch()

    def dying(change: Callable[..., object]) -> Callable[..., object]:
        def act(path: Path, *arguments: object, **named: object) -> object:
            if next(counted) >= place:
                raise Died
            return change(path, *arguments, **named)

        return act

    for change in ("hardlink_to", "replace", "unlink"):
        patched.setattr(Path, change, dying(getattr(Path, change)))
    return patched
