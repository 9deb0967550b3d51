"""What all suites share: declared capabilities, base properties, and how a property says why.

A suite is a class of pytest tests for one port. An author subclasses it, gives its one fixture and
declares what the adapter promises beyond the port's core. A property is a test of it: its name is
stable, its docstring says what the port owes.
"""

import asyncio
import functools
from abc import ABC
from collections.abc import Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

F = TypeVar("F", bound=Callable[..., Any])

_NEEDS: Final = "_aiba_needs"
_BASE: Final = "_aiba_base"
NOT_DECLARED: Final = "not declared: "
"""What the reason of a property begins with that was skipped for want of a capability."""
BLOCKED: Final = "blocked: "
"""What the reason of a property begins with that was skipped since a base property failed."""


class Capability(StrEnum):
    """What an adapter may promise beyond the core of its port.

    Each suite's documentation says which of them it knows and what they mean there.
    """

    SERIALIZABLE = "serializable"
    """Whatever runs at once has the effect of some order of the same calls, one after another."""
    REOPEN = "reopen"
    """What was answered is there when the adapter is closed and opened again."""
    DURABLE = "durable"
    """What was answered is there when the process is killed and the adapter is opened again."""
    SHARED = "shared"
    """Several adapters, of one process or many, may be open on one state at once."""
    FAULTS = "faults"
    """The author can make what is behind the adapter fail: the suite's `outage`."""
    WALL_TIME = "wall-time"
    """The clock tells the machine's time."""
    VERIFIABLE = "verifiable"
    """The author can judge a signature as its receiver will: the suite's `accepts`."""
    BACKUPS = "backups"
    """The author can lose, damage, copy and put back what the adapter keeps."""
    LATE_BLOCKS = "late-blocks"
    """The author can hold the chain's news back from what the adapter reads: the suite's stage."""

    # Those of a whole deployment, seen over HTTP.
    SESSIONS = "sessions"
    """Launch data is exchanged for a session's token."""
    BATTLES = "battles"
    """There is a mode that a newcomer can fight in."""
    HISTORY = "history"
    """A player's battles are listed."""
    RECEIPTS = "receipts"
    """Battles have receipts, and seed epochs commitments."""
    FUNDS = "funds"
    """A newcomer gets money enough to buy something."""
    LIMITS = "limits"
    """Answers say what remains of a limit."""
    WALLETS = "wallets"
    """A wallet is bound by a proof that it is the player's."""
    VAULT = "vault"
    """Money can be withdrawn to the chain."""
    DAILY_CAPS = "daily-caps"
    """The operator tells the most that a day emits."""
    ROTATION = "rotation"
    """The operator can end the seed epoch that is open."""


def broad(share: float = 0.4) -> settings:
    """Return how a suite's drawn properties run: a share of the examples the profile asks for.

    The profile that is loaded when the suites are first imported decides, randomness included.
    """
    return settings(
        max_examples=max(1, int(settings().max_examples * share)),
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,  # one adapter serves all examples
            HealthCheck.differing_executors,  # the subclasses differ in nothing but the adapter
            HealthCheck.too_slow,
        ],
    )


def base(test: F) -> F:
    """Mark a property that all others of its suite build on.

    When it fails they are blocked: their own failures would say nothing new. Base properties come
    first, since a class's tests run after those it inherits.
    """

    @functools.wraps(test)
    def noted(suite: "PortContract", *args: Any, **kwargs: Any) -> None:
        try:
            test(suite, *args, **kwargs)
        except BaseException:
            suite.note_broken(test.__name__)
            raise

    setattr(noted, _BASE, True)
    return noted  # type: ignore[return-value] # the same arguments


def needs(*capabilities: Capability) -> Callable[[F], F]:
    """Mark a property that only adapters which declare these capabilities owe."""

    def mark(test: F) -> F:
        setattr(test, _NEEDS, frozenset(capabilities) | needed(test))
        return test

    return mark


def needed(test: object) -> frozenset[Capability]:
    """Return the capabilities that a property needs."""
    found: frozenset[Capability] = getattr(test, _NEEDS, frozenset())
    return found


def is_base(test: object) -> bool:
    """Tell whether a property is one that the others build on."""
    return getattr(test, _BASE, False)


class PortContract(ABC):
    """The root of all suites.

    `port` is the name of the port and `version` that of its suite: the first number rises with a
    property that a passing adapter may fail, the second with one it can't. `capabilities` is what
    the author declares.
    """

    port: ClassVar[str] = ""
    version: ClassVar[str] = ""
    capabilities: ClassVar[Collection[Capability]] = frozenset()
    _broken: ClassVar[list[str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a declared capability that the suite doesn't know."""
        super().__init_subclass__(**kwargs)
        cls._broken = []
        unknown = set(cls.capabilities) - cls.known_capabilities()
        if unknown:
            known = ", ".join(sorted(cls.known_capabilities())) or "none"
            msg = f"{cls.__name__}.capabilities: {', '.join(sorted(unknown))}; it knows {known}"
            raise TypeError(msg)

    @classmethod
    def properties(cls) -> dict[str, Callable[..., None]]:
        """Return the tests of the suite by name, base properties first."""
        found: dict[str, Callable[..., None]] = {}
        for kind in reversed(cls.__mro__):
            found |= {
                name: getattr(cls, name)
                for name, member in vars(kind).items()
                if name.startswith("test_") and callable(member)
            }
        return dict(sorted(found.items(), key=lambda item: not is_base(item[1])))

    @classmethod
    def known_capabilities(cls) -> AbstractSet[Capability]:
        """Return the capabilities that some property of the suite needs."""
        return frozenset[Capability]().union(*map(needed, cls.properties().values()))

    @classmethod
    def has(cls, capability: Capability) -> bool:
        """Tell whether the author declared a capability."""
        return capability in cls.capabilities

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that the adapter is opened and used in; the suite closes it."""
        return asyncio.new_event_loop()

    def outage(self, adapter: Any) -> AbstractContextManager[None]:  # noqa: ANN401 - of any port
        """Return what makes all that is behind `adapter` fail while it is entered.

        To be given with the capability `faults`.
        """
        msg = (
            f"{type(self).__name__} declares {Capability.FAULTS} and has no outage() for {adapter}"
        )
        raise NotImplementedError(msg)

    async def release(self, adapter: Any) -> None:  # noqa: ANN401, B027 - for some ports only
        """Let go of what an adapter holds open; nothing, for adapters that hold nothing."""

    def note_broken(self, name: str) -> None:
        """Remember that a base property failed."""
        if name not in self._broken:
            self._broken.append(name)

    @pytest.fixture(autouse=True)
    def _admission(self, request: pytest.FixtureRequest) -> None:
        test = request.function
        missing = needed(test) - set(self.capabilities)
        if missing:
            pytest.skip(NOT_DECLARED + ", ".join(sorted(missing)))
        if self._broken and not is_base(test):
            pytest.skip(BLOCKED + ", ".join(self._broken))

    @pytest.fixture(name="runner")
    def _runner(self) -> Iterator[asyncio.Runner]:
        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            yield runner

    @pytest.fixture(name="opening")
    def _opening(self, request: pytest.FixtureRequest) -> "Opening":
        return Opening(self, request.function)


class Opening:
    """Guards the opening of an adapter: where it fails in a base property, that one has failed."""

    def __init__(self, suite: PortContract, test: Callable[..., object]) -> None:
        """Guard for one test of a suite."""
        self._suite = suite
        self._test = test

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Note a failure; it goes on as it is."""
        if kind is not None and is_base(self._test):
            self._suite.note_broken(self._test.__name__)
