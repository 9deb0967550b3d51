"""The isolated signer in the simulation: what it promises holds, and what breaks it is found."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import pytest

from aiba_adapters.memory import MemoryStore
from aiba_adapters.signing import memory_protection
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_domain.ports import Store
from aiba_domain.signing import rules
from aiba_domain.signing.model import Network, Refusal
from aiba_domain.signing.ports import ProtectionUnit
from aiba_domain.testing.simulation import Isolated, Outcome, PipelineSite, Plan, simulate
from aiba_entry.cli.simulate_signer import ISOLATED

T = TypeVar("T")

STEPS: Final = 150
SOUGHT: Final = 40
"""In how many seeds a fault is sought at the most."""


async def memory() -> Store:
    """Open a store."""
    return MemoryStore()


def run(seed: int, isolated: Isolated = ISOLATED) -> Outcome:
    """Live through a seed."""
    return simulate(Plan(seed=seed, steps=STEPS), PipelineSite(), memory, isolated)


def found(isolated: Isolated = ISOLATED) -> str:
    """Return how the first seed fails in which a fault is found."""
    failures = (run(seed, isolated).failure for seed in range(SOUGHT))
    failure = next(filter(None, failures), None)
    assert failure is not None, f"not found in {SOUGHT} seeds"
    return failure


class Forgetful(MemoryProtection):
    """Answers as if it had written, and forgets every third time."""

    _units = 0

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Lose some."""
        self._units += 1
        return work(self._unit.copy()) if self._units % 3 == 0 else self.run(work)


class Torn(MemoryProtection):
    """Keeps what was signed and not what it used of the limits."""

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Lose a part."""
        used = self._unit._usage
        result = self.run(work)
        self._unit._usage = dict(used)
        return result


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Forgetful, ("two claims can be paid", "is the limit")), (Torn, ("is the limit",))],
)
def test_a_memory_that_loses_something_is_found(
    kind: type[MemoryProtection], told: tuple[str, ...]
) -> None:
    """By the two claims that can be paid then, or by the limit that is passed."""
    isolated = Isolated(open_memory=lambda: kind(network=Network.TESTNET), start=ISOLATED.start)
    failure = found(isolated)
    assert any(each in failure for each in told), failure


def test_a_seqno_that_yields_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the service's token talks it into a second claim, if its memory yields too."""
    refusal = rules._seqno_refusal

    def lenient(*given: Any) -> Refusal | None:
        code = refusal(*given)
        return None if code is Refusal.CONFLICT else code

    monkeypatch.setattr(rules, "_seqno_refusal", lenient)
    monkeypatch.setattr(memory_protection, "_may_follow", lambda *_: True)
    assert "two claims can be paid" in found()


def test_a_limit_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day's, a recipient's or a claim's."""
    monkeypatch.setattr(rules, "over_limit", lambda *_: None)
    assert "is the limit" in found()
