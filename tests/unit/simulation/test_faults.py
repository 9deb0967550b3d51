"""Faults that are planted in a store, a rule or the entry are found within few seeds, and shrunk.

What the auditor says of each is part of the test: it must see the fault, not stumble over it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl

import pytest

from aiba_adapters.memory import MemoryStore
from aiba_adapters.telegram import TelegramIdentity, init_data, sign, verify
from aiba_domain.battle import commands as battle
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, resolve
from aiba_domain.brokers.model import Broker
from aiba_domain.claims import claim as claims
from aiba_domain.economy import commands as economy
from aiba_domain.economy import emission
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.windows import EmissionWindows
from aiba_domain.moderation.model import Ban
from aiba_domain.money import Currency
from aiba_domain.ports import Remembered, Scope, Store, UnitOfWork
from aiba_domain.testing.simulation import (
    Outcome,
    PipelineSite,
    Plan,
    Site,
    shrink,
    simulate,
)
from aiba_entry.cli.simulate_site import HttpSite

T = TypeVar("T")

STEPS: Final = 300
SOUGHT: Final = 40
"""In how many seeds a fault is sought at the most."""

MOST: Final = 6_000
"""How many steps are run to make a failure shorter."""

SHORT: Final = 25
"""How many steps are left of a failure at the most."""


async def memory() -> Store:
    """Open a store without a fault."""
    return MemoryStore()


def found(
    open_store: Callable[[], Awaitable[Store]] = memory,
    site: Site | None = None,
    short: int = SHORT,
) -> Outcome:
    """Return the shrunk run of the first seed that fails, which fails alike when run again."""
    usual = site or PipelineSite()

    def run(plan: Plan) -> Outcome:
        return simulate(plan, usual, open_store)

    for seed in range(SOUGHT):
        outcome = run(Plan(seed=seed, steps=STEPS))
        if outcome.failure is not None:
            least = shrink(outcome, run, most=MOST if short < STEPS else STEPS)
            assert least.kind == outcome.kind
            assert len(least.plan.numbers) <= short
            again = run(least.plan)
            assert (again.failure, again.trace) == (least.failure, least.trace)
            return least
    pytest.fail(f"not found in {SOUGHT} seeds")


class Unit:
    """A unit of work whose memory of answers may be tampered with."""

    def __init__(self, unit: UnitOfWork, scope: Callable[[Scope], Scope | None]) -> None:
        """Pass everything on, with another scope or none."""
        self._unit = unit
        self._scope = scope

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the unit has
        return getattr(self._unit, name)

    async def remembered(self, scope: Scope) -> Remembered | None:
        """Look an answer up in the other scope."""
        other = self._scope(scope)
        return None if other is None else await self._unit.remembered(other)

    async def write(self, *, remember: Remembered | None = None, **rest: Any) -> None:
        """Keep an answer in the other scope, if at all."""
        other = remember and self._scope(remember.scope)
        kept = replace(remember, scope=other) if remember and other else None
        await self._unit.write(remember=kept, **rest)


def behind(unit_of: Callable[[UnitOfWork], Unit]) -> Callable[[], Awaitable[Store]]:
    """Return what opens a store whose units of work stand behind those that `unit_of` makes."""

    class Tampered(MemoryStore):
        async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
            return await super().transact(lambda unit: work(cast("UnitOfWork", unit_of(unit))))

    async def opened() -> Store:
        return Tampered()

    return opened


def test_a_store_that_forgets_answers_is_found() -> None:
    """The same request takes effect a second time."""
    failure = found(behind(lambda unit: Unit(unit, lambda _: None))).failure or ""
    assert " twice" in failure or "was answered" in failure


def test_a_key_that_is_not_scoped_to_its_player_is_found() -> None:
    """A player is told another one's answer."""
    anyone = "everybody"
    opened = behind(lambda unit: Unit(unit, lambda scope: replace(scope, principal=anyone)))
    failure = found(opened).failure or ""
    assert "is used by nobody else" in failure or "answered" in failure


def test_a_commit_that_is_lost_after_its_answer_is_found() -> None:
    """What was told to have happened has not."""

    class Losing(Unit):
        async def write(self, *, remember: Remembered | None = None, **rest: Any) -> None:
            if remember is None or not remember.scope.key.endswith("7"):
                await self._unit.write(remember=remember, **rest)

    failure = found(behind(lambda unit: Losing(unit, lambda scope: scope))).failure or ""
    assert "was told" in failure or "and are gone" in failure or "answered" in failure


def test_a_write_that_is_applied_twice_is_found() -> None:
    """A posting is there twice."""

    class Doubling(Unit):
        async def write(self, *, postings: tuple[Any, ...] = (), **rest: Any) -> None:
            await self._unit.write(postings=(*postings, *postings), **rest)

    opened = behind(lambda unit: Doubling(unit, lambda scope: scope))
    assert " twice" in (found(opened).failure or "")


def plant_judge(monkeypatch: pytest.MonkeyPatch, spare: int) -> None:
    """Let a cap be exceeded by `spare`."""

    def lenient(
        policy: EconomyPolicy, currency: Currency, amount: int, **rest: Any
    ) -> emission.EmissionResult:
        return emission.judge(policy, currency, max(0, amount - spare), **rest)

    for module in (battle, economy):
        monkeypatch.setattr(module, "judge", lenient)


@pytest.mark.parametrize(("spare", "short"), [(20, STEPS), (10_000, SHORT)])
def test_a_cap_that_is_off_is_found(
    monkeypatch: pytest.MonkeyPatch, spare: int, short: int
) -> None:
    """A day or an arena emits a little more than its cap, or much more.

    To come close to a cap and not far over it takes a long day, which no shrinking makes short.
    """
    plant_judge(monkeypatch, spare)
    failure = found(short=short).failure or ""
    assert "cap" in failure or "emitted" in failure


def test_a_window_that_never_closes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arena emits at an hour at which it doesn't."""
    monkeypatch.setattr(EmissionWindows, "is_open", lambda *_: True)
    failure = found().failure or ""
    assert failure.startswith("AssertionError: ")
    assert " at 1" in failure


def test_a_refund_before_chain_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim is refunded that the vault would still pay, or has paid."""
    monkeypatch.setattr(claims, "EXPIRY_MARGIN_S", -300)
    failure = found().failure or ""
    assert "refunded and paid" in failure or "two signatures can be paid" in failure


def test_a_ban_that_binds_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A banned player earns or spends."""
    monkeypatch.setattr(Ban, "holds", lambda *_: False)
    assert "is banned until" in (found().failure or "")


def test_a_mode_that_needs_no_rest_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker fights again too early."""
    monkeypatch.setattr(battle, "cooldown_left_ms", lambda *_: 0)
    assert "was used at" in (found().failure or "")


def test_energy_that_comes_back_too_fast_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker has energy that it can't have."""
    rested = Broker.rested
    monkeypatch.setattr(
        Broker, "rested", lambda self, policy, now: rested(self, policy, now + 900_000)
    )
    assert "broker" in (found().failure or "")


def test_a_draw_with_another_secret_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A battle is not the one that its epoch's secret gives."""

    def chosen(inputs: BattleInputs, secret: str) -> BattleOutcome:
        return resolve(inputs, secret[::-1])

    monkeypatch.setattr(battle, "resolve", chosen)
    assert "was drawn from another seed" in (found().failure or "")


def test_launch_data_that_anybody_can_make_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real application believes launch data whose hash is wrong."""

    def gullible(text: str, *, bot_token: str, **rest: int) -> TelegramIdentity:
        fields = dict(parse_qsl(text))
        del fields["hash"]
        return verify(sign(fields, bot_token), bot_token=bot_token, **rest)

    monkeypatch.setattr(init_data, "verify", gullible)
    assert "was believed" in (found(site=HttpSite()).failure or "")
