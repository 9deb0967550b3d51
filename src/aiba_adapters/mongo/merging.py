"""The shares of a day that is over, put together: one document for each account and not hundreds.

Nobody posts to yesterday's emission and sinks any more, so their shares serve nothing, and without
this there would be more of them every day. Whoever posts late all the same conflicts with the
merging of the share, or makes another that is merged the day after.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiba_adapters.mongo.documents import Collection
from aiba_adapters.mongo.unit_of_work import MongoUnitOfWork
from aiba_domain.economy.ledger import emission_prefix, sink_prefix

AT_A_TIME: Final = 64
"""How many accounts are looked for by one command."""

_OF_DAYS: Final = (emission_prefix, sink_prefix)


async def merge_before(
    day: str,
    accounts: Collection,
    run: Callable[[Callable[[MongoUnitOfWork], Awaitable[None]]], Awaitable[None]],
) -> int:
    """Merge the shares of all accounts of days before a UTC day; return how many accounts had any.

    Each account by a unit of its own, given to `run`.
    """
    merged = 0
    for prefix in _OF_DAYS:
        within = {"$gte": prefix("").rstrip(":"), "$lt": prefix(day)}
        while names := await _shared_out(accounts, within):
            for name in names:

                async def work(unit: MongoUnitOfWork, name: str = name) -> None:
                    await unit.merge(name)

                await run(work)
            merged += len(names)
            within = within | {"$gt": names[-1]}
    return merged


async def _shared_out(accounts: Collection, within: dict[str, str]) -> list[str]:
    """Return the first names in a range, in order, of which there is more than one document."""
    found = await accounts.aggregate(
        [
            {"$match": {"account": within}},
            {"$group": {"_id": "$account", "shares": {"$sum": 1}}},
            {"$match": {"shares": {"$gt": 1}}},
            {"$sort": {"_id": 1}},
            {"$limit": AT_A_TIME},
        ]
    )
    return [each["_id"] async for each in found]
