"""What a process of its own does for a test: forked ones, so that eight are started in a moment."""

import asyncio
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.pool import Pool
from typing import Any, TypeVar

from aiba_adapters.redis import RedisRateLimiter, open_client
from aiba_adapters.ton.proof import Proof
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError
from aiba_entry.service import open_container
from aiba_entry.settings import load
from tests.support.redis import PATIENCE_S

T = TypeVar("T")

PROCESSES = 8


def in_processes(work: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """Do work in PROCESSES processes at once, and return what each of the calls gave."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool: Pool
    with context.Pool(PROCESSES) as pool:
        return pool.starmap(work, arguments, chunksize=1)


def hammer(url: str, hits: int, limit: int, now_ms: int) -> list[tuple[bool, int]]:
    """Hit one key so many times, several at once; return what was ruled and what remained."""

    async def run() -> list[tuple[bool, int]]:
        limiter = RedisRateLimiter(open_client(url, patience_s=PATIENCE_S))
        try:
            verdicts = await asyncio.gather(
                *(
                    limiter.hit("hammer", "tg:42", limit=limit, window_ms=60_000, now_ms=now_ms)
                    for _ in range(hits)
                )
            )
        finally:
            await limiter.close()
        return [(verdict.allowed, verdict.remaining) for verdict in verdicts]

    return asyncio.run(run())


def bind(environ: Mapping[str, str], player_id: str, address: str, proof: Proof) -> str:
    """Bring a wallet's proof forward; return the wallet that is bound, or why none is."""

    async def run() -> str:
        async with open_container(load(environ)) as container:
            try:
                return await container.wallet_desk().connect(
                    Principal(id=player_id), address, proof
                )
            except DomainError as refusal:
                return refusal.code

    return asyncio.run(run())
