"""The ports of a process, each call of which is counted and may be struck by a fault, once."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from aiba_domain.ports import Unavailable
from aiba_domain.testing.crash_matrix.calls import OUTAGES, Fault, PortCall, Way, surface
from aiba_domain.testing.faults import Crash

P = TypeVar("P")
_Args = tuple[Any, ...]
_Kwargs = dict[str, Any]

_MOST_RUNS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault, at the `nth` time (from 1) that a call is made."""

    call: str
    fault: Fault
    nth: int = 1

    def __str__(self) -> str:
        place = "" if self.nth == 1 else f", time {self.nth}"
        return f"{self.fault} at {self.call}{place}"


class Injector:
    """Counts calls while it is armed, and says when the fault strikes. One for a whole run."""

    def __init__(self, strike: Strike | None = None) -> None:
        """Strike once, or never."""
        self.strike = strike
        self.reached: Counter[str] = Counter()
        self.is_armed = False
        self.has_struck = False

    def meet(self, call: PortCall) -> Fault | None:
        """Count a call; return the fault that strikes at it."""
        if not self.is_armed:
            return None
        name = str(call)
        self.reached[name] += 1
        strike = self.strike
        if strike is None or self.has_struck or strike.call != name:
            return None
        if self.reached[name] != strike.nth:
            return None
        self.has_struck = True
        return strike.fault


class _RunAgain(Exception):  # noqa: N818 - no error: what a store says to itself after a conflict
    """The unit of work was undone and is to be run again."""


class Wiring:
    """Connects one process to its ports. Once the process has died, every call of it dies too."""

    def __init__(self, injector: Injector) -> None:
        """Connect with the run's injector."""
        self.injector = injector
        self.death: Crash | None = None

    def connect(self, inner: P, port: object, *, is_lent: bool = False) -> P:
        """Return a port that passes every call on to `inner`, and offers nothing else.

        `is_lent`: it is lent to a unit of work, which can be run again as a whole.
        """
        return cast("P", _Connected(self, inner, surface(cast("type", port)), is_lent=is_lent))

    def begin(self, call: PortCall) -> Fault | None:
        """Let a call begin, or die before it; return the fault that strikes later on."""
        self.check()
        fault = self.injector.meet(call)
        if fault is Fault.CRASH_BEFORE:
            self.die(f"before {call}")
        return fault

    def end(self, call: PortCall, fault: Fault | None) -> None:
        """Let a call end that had its effect, or die after it, or time out."""
        self.check()
        if fault is Fault.CRASH_AFTER:
            self.die(f"after {call}")
        if fault is Fault.TIMED_OUT:
            raise OUTAGES.get(call.port, Unavailable)(f"{call} timed out")

    def die(self, place: str) -> None:
        """End the process here."""
        self.death = Crash(place)
        raise self.death

    def check(self) -> None:
        """Raise how the process died, if it did."""
        if self.death is not None:
            raise self.death


class _Connected:
    """One port as a process sees it."""

    def __init__(
        self, wiring: Wiring, inner: object, calls: Mapping[str, PortCall], *, is_lent: bool
    ) -> None:
        self._wiring = wiring
        self._inner = inner
        self._calls = calls
        self._is_lent = is_lent

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has there
        call = self._calls.get(name)
        if call is None:
            raise AttributeError(f"the port has no {name}")
        if call.way is Way.FACT:
            return self._at_once(call, lambda: getattr(self._inner, name))
        method = getattr(self._inner, name)
        if call.way is Way.IMMEDIATE:
            return lambda *args, **kwargs: self._at_once(call, lambda: method(*args, **kwargs))

        async def awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the method
            return await self._awaited(call, method, args, kwargs)

        return awaited

    def _at_once(self, call: PortCall, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        fault = self._wiring.begin(call)
        failure: Exception | None = None
        answer: object = None
        try:
            answer = make()
            if fault is Fault.DUPLICATED and not self._is_lent:
                answer = make()
        except Exception as error:  # noqa: BLE001 - raised again, unless the fault comes before it
            failure = error
        self._wiring.end(call, fault)
        return self._answer(call, fault, answer, failure)

    async def _awaited(
        self, call: PortCall, method: Callable[..., Any], args: _Args, kwargs: _Kwargs
    ) -> Any:  # noqa: ANN401 - whatever the port answers
        fault = self._wiring.begin(call)
        args, kwargs = self._lending(call, args, kwargs)
        failure: Exception | None = None
        answer: object = None
        try:
            answer = await self._through(method, args, kwargs)
            if fault is Fault.DUPLICATED and not self._is_lent:
                answer = await self._through(method, args, kwargs)
        except Exception as error:  # noqa: BLE001 - raised again, unless the fault comes before it
            failure = error
        self._wiring.end(call, fault)
        return self._answer(call, fault, answer, failure)

    async def _through(self, method: Callable[..., Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        """Make a call; where a unit of work is undone by a conflict, run it again."""
        for _ in range(_MOST_RUNS - 1):
            try:
                return await method(*args, **kwargs)
            except _RunAgain:
                continue
        return await method(*args, **kwargs)

    def _lending(self, call: PortCall, args: _Args, kwargs: _Kwargs) -> tuple[_Args, _Kwargs]:
        """Let the work that a call is given see its port through the wiring as well."""
        if call.lends is None:
            return args, kwargs
        name, port = call.lends
        work = kwargs[name] if name in kwargs else args[0]

        def wired(unit: object) -> Any:  # noqa: ANN401 - what the work answers
            return work(self._wiring.connect(unit, port, is_lent=True))

        return ((), {**kwargs, name: wired}) if name in kwargs else ((wired, *args[1:]), kwargs)

    def _answer(
        self, call: PortCall, fault: Fault | None, answer: object, failure: Exception | None
    ) -> Any:  # noqa: ANN401 - what the port answers
        if failure is not None:
            raise failure
        if fault is Fault.DUPLICATED and self._is_lent:
            raise _RunAgain(str(call))
        return answer if call.gives is None else self._wiring.connect(answer, call.gives)
