"""The emission simulator: forecasts are worked out beside the event loop, one at a time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.forecast import DayForecast, Scenario
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_entry.http.errors import ApiError
from aiba_entry.http.wire import Json, number

_RETRY_S: Final = 2
"""After how long to ask again while another forecast is worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A forecast that was worked out, and the policy it is of."""

    scenario: Scenario
    policy: EconomyPolicy
    days: tuple[DayForecast, ...]


class ForecastDesk:
    """Works forecasts out in a thread, a day at a time, so that requests are answered meanwhile."""

    def __init__(self, queries: AdminQueries) -> None:
        """Ask `queries` for the policy and the modes."""
        self._queries = queries
        self._is_busy = False

    async def tell(self, scenario: Scenario) -> Told:
        """Return a scenario's forecast. Raises ApiError `rate_limited` while one is worked out."""
        if self._is_busy:
            raise ApiError(
                "rate_limited",
                details={"retryAfterSec": _RETRY_S},
                headers={"Retry-After": str(_RETRY_S)},
            )
        self._is_busy = True
        try:
            forecast = await self._queries.forecast(scenario)
            days = forecast.days()
            found = []
            while (day := await asyncio.to_thread(_next, days)) is not None:
                found.append(day)
        finally:
            self._is_busy = False
        return Told(scenario=scenario, policy=forecast.policy, days=tuple(found))


def _next(days: Iterator[DayForecast]) -> DayForecast | None:
    return next(days, None)


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class ForecastParamsOut(_Out):
    """What a forecast was made of; `avgScore` is the mean of the battles that were fought."""

    avg_score: float
    battles_per_day: int
    fought_per_day: int
    players: int
    avg_battles: int
    seed: int
    policy_version: int
    base_aiba: float
    base_neur: float
    cap_aiba: int
    cap_neur: int


class ForecastDayOut(_Out):
    """One day of a forecast: the same, and the sums since its beginning."""

    day: str
    emitted_aiba: int
    emitted_neur: int
    cumulative_aiba: int
    cumulative_neur: int
    refused_aiba: int
    refused_neur: int
    fees_aiba: int
    fees_neur: int
    stars: int


class ForecastSumOut(_Out):
    """What all days of a forecast come to."""

    total_emitted_aiba: int
    total_emitted_neur: int
    total_refused_aiba: int
    total_refused_neur: int
    total_fees_aiba: int
    total_fees_neur: int
    total_stars: int


class ForecastOut(_Out):
    """A forecast of emission."""

    days: int
    params: ForecastParamsOut
    projection: list[ForecastDayOut]
    summary: ForecastSumOut


def forecast_json(told: Told) -> Json:
    """Return a forecast day by day."""
    scenario, policy = told.scenario, told.policy
    sums = {"emitted": [0, 0], "refused": [0, 0], "fees": [0, 0]}
    projection: list[Json] = []
    for day in told.days:
        parts = {"emitted": day.emitted, "refused": day.refused, "fees": day.fees}
        for name, amounts in parts.items():
            sums[name][0] += amounts[Currency.AIBA]
            sums[name][1] += amounts[Currency.NEUR]
        row: Json = {"day": day.day, "stars": day.stars}
        for name, amounts in parts.items():
            row |= {f"{name}{each.capitalize()}": amounts[each] for each in amounts}
        row |= {"cumulativeAiba": sums["emitted"][0], "cumulativeNeur": sums["emitted"][1]}
        projection.append(row)
    battles = scenario.battles * scenario.days
    return {
        "days": scenario.days,
        "params": {
            "avgScore": round(sum(day.score for day in told.days) / battles, 2),
            "battlesPerDay": scenario.battles,
            "foughtPerDay": scenario.fought,
            "players": scenario.players,
            "avgBattles": scenario.average,
            "seed": scenario.seed,
            "policyVersion": policy.version,
            "baseAiba": number(policy.rewards.aiba_per_score),
            "baseNeur": number(policy.rewards.neur_per_score),
            "capAiba": policy.daily_cap_aiba,
            "capNeur": policy.daily_cap_neur,
        },
        "projection": projection,
        "summary": {
            f"total{name.capitalize()}{currency}": amounts[place]
            for name, amounts in sums.items()
            for place, currency in enumerate(("Aiba", "Neur"))
        }
        | {"totalStars": sum(day.stars for day in told.days)},
    }
