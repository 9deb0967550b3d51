"""The metrics of any running service: each series moves for its cause, under a known name."""

import asyncio
import re

import pytest

from aiba_adapters.memory.store import MemoryStore
from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_domain.claims.claim import ClaimState
from aiba_domain.economy.emission import EmissionResult
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.events import ClaimMoved, EmissionJudged
from aiba_domain.money import Currency
from aiba_domain.ports import Unavailable, Verdict
from aiba_domain.testing.doubles import SettableClock
from aiba_entry.day_use import note_day
from aiba_entry.limiters import CountedLimiter, SharedLimiter
from aiba_entry.metering import MetricsObserver, make_metrics
from aiba_entry.observability import Metrics
from aiba_entry.service_metrics import build

AT = 1_767_268_800_000


def series(metrics: Metrics, name: str) -> dict[str, float]:
    """Return a metric's values by its labels, as they are exported."""
    found = (
        re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        for line in metrics.render().decode().splitlines()
    )
    return {match[1] or "": float(match[2]) for match in found if match}


class Down:
    """A limiter that can't count."""

    async def hit(self, *_: object, **__: object) -> Verdict:
        """Fail."""
        raise Unavailable("down")


def test_rulings_of_every_limiter_are_counted() -> None:
    """Allowed, refused and unjudged hits count apart, the process's own limiter's too."""
    metrics = make_metrics(())

    async def play() -> None:
        limiter = CountedLimiter(MemoryRateLimiter(), metrics.service)
        assert not isinstance(limiter, SharedLimiter)
        for _ in range(3):
            await limiter.hit("battle", "k", limit=1, window_ms=1_000, now_ms=AT)
        with pytest.raises(Unavailable):
            await CountedLimiter(Down(), metrics.service).hit(
                "made up", "k", limit=1, window_ms=1_000, now_ms=AT
            )

    asyncio.run(play())
    assert series(metrics, "aiba_rate_limit_hits_total") == {
        'limit="battle",result="allowed"': 1,
        'limit="battle",result="refused"': 2,
        'limit="other",result="unavailable"': 1,
    }


def test_repeated_answers_count_by_command() -> None:
    """Known commands keep their names; nothing else can add a series."""
    metrics = make_metrics(())
    observer = MetricsObserver(metrics)
    for name in ("battle.run", "battle.run", "claim.reserve", "no.such.command", "x\ny"):
        observer.replayed(name)
    assert series(metrics, "aiba_idempotent_replays_total") == {
        'command="battle.run"': 2,
        'command="claim.reserve"': 1,
        'command="other"': 2,
    }


def test_amounts_are_counted_beside_decisions() -> None:
    """What is granted adds up by currency and arena; what is refused adds nothing."""
    metrics = make_metrics(())
    observer = MetricsObserver(metrics)
    for result, amount in (
        (EmissionResult.OK, 5),
        (EmissionResult.OK, 7),
        (EmissionResult.CAP_EXCEEDED, 100),
    ):
        observer.committed(
            EmissionJudged(
                currency=Currency.AIBA,
                amount=amount,
                arena="prediction",
                league="pro",
                result=result,
            )
        )
    for state, amount in ((ClaimState.RESERVED, 9), (ClaimState.CONFIRMED, 4)):
        observer.committed(ClaimMoved(claim_id="c", state=state, amount=amount))
    assert series(metrics, "aiba_economy_emitted_total") == {
        'arena="prediction",currency="AIBA"': 12
    }
    assert series(metrics, "aiba_claims_moved_aiba_total") == {
        'state="reserved"': 9,
        'state="confirmed"': 4,
    }


def test_the_day_is_absent_until_it_was_looked_at() -> None:
    """The caps are those of the policy in force, for the currencies that have one."""
    metrics = make_metrics(())
    _ = metrics.service
    assert series(metrics, "aiba_economy_day_cap") == {}
    asyncio.run(note_day(MemoryStore(), SettableClock(AT), metrics))
    policy = EconomyPolicy()
    assert series(metrics, "aiba_economy_day_cap") == {
        'currency="AIBA"': policy.daily_cap_aiba,
        'currency="NEUR"': policy.daily_cap_neur,
    }
    assert series(metrics, "aiba_economy_day_emitted") == {
        'currency="AIBA"': 0,
        'currency="NEUR"': 0,
    }


def test_the_build_says_what_runs() -> None:
    """One series of 1 with the versions, known from the first scrape on."""
    metrics = make_metrics(())
    _ = metrics.service
    told = series(metrics, "aiba_build_info")
    labels = f'python="{build()["python"]}",version="{build()["version"]}"'
    assert list(told.values()) == [1]
    assert sorted(next(iter(told)).split(",")) == sorted(labels.split(","))


def test_the_least_ton_is_shown_beside_what_is_held() -> None:
    """An alert compares two series, so that no rule has a copy of a setting."""
    metrics = make_metrics(())
    metrics.chain.needs_ton(60_000_000)
    assert series(metrics, "aiba_vault_min_ton_nano") == {"": 60_000_000}
