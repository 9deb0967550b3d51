"""Looks how much of the day's caps is used, for the metrics."""

from aiba_domain.economy.emission import NOTHING_EMITTED
from aiba_domain.instants import day_key
from aiba_domain.money import Currency
from aiba_domain.ports import Clock, Reader, Store
from aiba_entry.observability import Metrics
from aiba_entry.service_metrics import DayUse


async def note_day(store: Store, clock: Clock, metrics: Metrics) -> None:
    """Tell the metrics what the running UTC day has emitted, and what it may.

    Raises Unavailable where the store is; then they keep what they were told last.
    """
    day = day_key(clock.now())

    async def look(read: Reader) -> dict[Currency, DayUse]:
        policy, emitted = await read.policy(), await read.emitted(day)
        return {
            currency: DayUse(emitted=emitted.get(currency, NOTHING_EMITTED).total, cap=cap)
            for currency in Currency
            if (cap := policy.daily_cap(currency)) is not None
        }

    metrics.service.day(await store.read(look))
