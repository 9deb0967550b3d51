"""What the pipeline must know of a command: how to load for it and how to decide it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from hashlib import sha256
from typing import Any, Generic, TypeVar, cast

from aiba_domain.decision import Accepted, Command, Context, Refused, Role
from aiba_domain.ports import Reader

C = TypeVar("C", bound=Command[object])
S = TypeVar("S")
R = TypeVar("R")

OBSERVED: Mapping[str, bool] = {"observed": True}
"""Marks a command's field that the service looked up itself: no part of what was asked for."""

PLAYERS = frozenset({Role.PLAYER})
OPERATORS = frozenset({Role.OPERATOR, Role.SYSTEM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler(Generic[C, S, R]):
    """One command: its stable name, who may issue it, what it loads and how it is decided.

    `keyed` commands are refused without an idempotency key; the others are harmless to repeat by
    their own state, and remember an answer only where the caller gave a key. `draws` says that the
    decision needs the open seed epoch.

    A reply made of records that never change needn't be remembered whole: `keep` gives the part
    that is, of the type `kept`, and `recall` makes the same reply from it again.
    """

    name: str
    command: type[C]
    reply: type[R]
    load: Callable[[C, Context, Reader], Awaitable[S]]
    decide: Callable[[S, C, Context], Accepted[R] | Refused]
    roles: frozenset[Role] = PLAYERS
    keyed: bool = True
    draws: bool = False
    kept: type[Any] | None = None
    keep: Callable[[R], object] | None = None
    recall: Callable[[Any, Reader], Awaitable[R]] | None = None


async def nothing(_command: object, _context: Context, _reader: Reader) -> None:
    """Load nothing, for commands whose context says it all."""


def fingerprint(command: Command[object]) -> str:
    """Return a digest of what a command asks for, equal exactly for equal requests.

    Fields at their default are left out, so that a field added later changes no old fingerprint.
    """
    parts = [type(command).__name__]
    for item in fields(cast("Any", command)):
        if item.metadata.get("observed"):
            continue
        value = getattr(command, item.name)
        if item.default is MISSING or value != item.default:
            parts.append(f"{item.name}={value!r}")
    return sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
