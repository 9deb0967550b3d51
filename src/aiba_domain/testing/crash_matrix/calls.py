"""Every call of every port, read off the ports themselves, and what can go wrong with each.

A port is a `Protocol` in `aiba_domain.ports`, in `outage` or in the `ports` of an area. A call is a
method of it, or a fact that it is asked for (a property). A call that a port takes over from
another one is named by where it is written.
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from collections.abc import Callable as AbcCallable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, get_args, get_origin, get_type_hints

import aiba_domain
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.ports import Unavailable
from aiba_domain.signing.ports import KeyUnavailable, ProtectionUnavailable

_HARNESS: Final = "testing"
_OF_ALL: Final = ("aiba_domain.ports", "aiba_domain.outage")


class Fault(StrEnum):
    """What strikes at a call."""

    CRASH_BEFORE = "crash before"
    """The process dies as it makes the call; nothing of it arrives."""
    CRASH_AFTER = "crash after"
    """The call has its effect, and the process dies before it learns so."""
    TIMED_OUT = "applied but timed out"
    """The call has its effect, and is answered by the port's own error of an outage."""
    DUPLICATED = "duplicated"
    """The call is made twice. Inside a unit of work it is the unit that is undone and run again."""


class Way(StrEnum):
    """How a call is made."""

    AWAITED = "awaited"
    IMMEDIATE = "immediate"
    FACT = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortCall:
    """One call of a port.

    `gives` is the port that its answer is, if it is one; `lends` names the argument that is work to
    be done with another port, and that port.
    """

    port: str
    name: str
    way: Way
    gives: Any = None
    lends: tuple[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.port}.{self.name}"


OUTAGES: Final[Mapping[str, Callable[[str], Exception]]] = {
    "Reader": Unavailable,
    "UnitOfWork": Unavailable,
    "Store": Unavailable,
    "Signer": SignerUnavailable,
    "ChainReader": Unavailable,
    "VaultReader": Unavailable,
    "PaymentReader": Unavailable,
    "Leases": Unavailable,
    "Notifier": Unavailable,
    "Key": KeyUnavailable,
    "SigningChain": Unavailable,
    "ProtectionUnit": ProtectionUnavailable,
    "ProtectionStore": ProtectionUnavailable,
}
"""What a port says when it can't answer. One that isn't here names no such error."""

NOT_APPLICABLE: Final[Mapping[str, Mapping[Fault, str]]] = {
    port: {Fault.TIMED_OUT: f"answers within the process and owes an answer: {reason}"}
    for port, reason in {
        "Clock": "a clock always tells an instant",
        "SeedSecrets": "a secret is derived, not fetched",
        "Observer": "an observer must neither block nor raise",
        "Identity": "a fact of a proof that was read",
        "Identities": "raises NotProven and nothing else",
        "SessionClaim": "a fact of a token that was read",
        "Sessions": "raises NotProven or ValueError and nothing else",
    }.items()
}
"""Why a kind of fault can't strike at a port's calls. Whatever isn't here runs."""


def reason_against(call: PortCall, fault: Fault) -> str | None:
    """Return why a fault can't strike at a call, None if it can."""
    return NOT_APPLICABLE.get(call.port, {}).get(fault)


def can_strike(call: PortCall, fault: Fault) -> bool:
    """Tell by the port's shape alone whether a fault can strike.

    Only an answer that comes at once, from a port that names no outage, can't time out.
    """
    at_once = call.way is not Way.AWAITED and call.port not in OUTAGES
    return not (fault is Fault.TIMED_OUT and at_once)


@cache
def ports() -> Mapping[str, type]:
    """Return the ports by name, in the order they are written in; a module's ports together."""
    return {
        name: member
        for module in (*map(import_module, _OF_ALL), *_ports_of_areas())
        for name, member in vars(module).items()
        if is_port(member) and member.__module__ == module.__name__
    }


@cache
def calls() -> Mapping[str, PortCall]:
    """Return every call of every port by its name, `Port.call`."""
    return {str(call): call for port in ports().values() for call in calls_in(port)}


def calls_in(port: type) -> list[PortCall]:
    """Return the calls that are written in a port, those it takes over left out."""
    found = []
    for name, member in vars(port).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            found.append(PortCall(port=port.__name__, name=name, way=Way.FACT))
        elif inspect.isfunction(member):
            found.append(_method(port, name, member))
    return found


@cache
def surface(port: type) -> Mapping[str, PortCall]:
    """Return all that can be called on a port, also what it takes over, by the bare name."""
    return {
        call.name: call
        for kind in reversed(port.__mro__)
        if is_port(kind)
        for call in calls_in(kind)
    }


def is_port(member: object) -> bool:
    """Tell whether something is a Protocol that says something."""
    is_protocol = isinstance(member, type) and vars(member).get("_is_protocol", False)
    return is_protocol and member.__module__ != "typing"


def _method(port: type, name: str, method: Callable[..., object]) -> PortCall:
    hints = get_type_hints(method)
    gives = hints.pop("return", None)
    lent = [(argument, _worked_with(hint)) for argument, hint in hints.items()]
    return PortCall(
        port=port.__name__,
        name=name,
        way=Way.AWAITED if inspect.iscoroutinefunction(method) else Way.IMMEDIATE,
        gives=gives if is_port(gives) else None,
        lends=next((each for each in lent if each[1] is not None), None),
    )


def _worked_with(hint: object) -> Any:  # noqa: ANN401 - a Protocol, which no type describes
    """Return the port that an argument does its work with, if it is a function of one."""
    if get_origin(hint) is not AbcCallable:
        return None
    given = get_args(hint)[0]
    return given[0] if given and is_port(given[0]) else None


def _ports_of_areas() -> list[ModuleType]:
    areas = [
        f"{aiba_domain.__name__}.{found.name}"
        for found in pkgutil.iter_modules(aiba_domain.__path__)
        if found.ispkg and found.name != _HARNESS
    ]
    return [import_module(f"{area}.ports") for area in areas if find_spec(f"{area}.ports")]
