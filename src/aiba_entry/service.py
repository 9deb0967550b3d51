"""The service: one process's parts opened in order, kept up, and closed in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from aiba_domain.application.upkeep import open_epoch_of, prepare, rotate_seed
from aiba_domain.errors import DomainError
from aiba_domain.instants import HOUR
from aiba_domain.ports import Reader, Store, Unavailable
from aiba_entry.auditing import auditing
from aiba_entry.chain import on_chain
from aiba_entry.container import Container
from aiba_entry.day_use import note_day
from aiba_entry.duty import Duty
from aiba_entry.http.app import create_app
from aiba_entry.http.health import Probe
from aiba_entry.http.request_context import Edge
from aiba_entry.http.routes import GAME_ROUTES
from aiba_entry.limiters import SharedLimiter
from aiba_entry.metering import make_metrics
from aiba_entry.mongo_metrics import MongoMetrics
from aiba_entry.observability import Metrics, get_logger
from aiba_entry.oracle import RateDesk
from aiba_entry.outbox import bringing_letters
from aiba_entry.settings import Settings
from aiba_entry.stores import Replicated, open_store

UPKEEP_SECONDS: Final = 30.0
"""How often the service looks whether a seed epoch is over."""

ROTATION: Final = "seed.rotation"
"""The lease of whoever turns the seed epoch over."""

ROTATION_MS: Final = 30_000
"""How long a dead process holds up a rotation, in ms."""

RATES: Final = "oracle.rate"
"""The lease of whoever updates the oracle's rate."""

RATES_MS: Final = 60_000
"""How long a dead process holds up an update, in ms."""

_log = get_logger("aiba.service")


@contextlib.asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Open the store and everything on it, ready for play; close the store at the end."""
    counted = MongoMetrics() if settings.mongo_uri else None
    store = await open_store(settings, counted)
    try:

        async def mode_keys(read: Reader) -> tuple[str, ...]:
            return tuple(mode.key for mode in await read.modes())

        container = Container(settings=settings, store=store)
        container.metrics.override(make_metrics(()))
        await _prepare(container)
        container.metrics.override(_metrics(await store.read(mode_keys), counted))
        container.reset_singletons()
        yield container
    finally:
        await store.close()


def _metrics(mode_keys: tuple[str, ...], counted: MongoMetrics | None) -> Metrics:
    metrics = make_metrics(mode_keys)
    if counted:
        metrics.join(counted.registry)
    return metrics


async def _prepare(container: Container) -> None:
    parts = container.pipeline(), container.store(), container.seeds()
    try:
        await prepare(*parts)
    except DomainError:
        # Another process has opened the epoch at the same moment, so all is there now.
        await prepare(*parts)


@contextlib.asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Edge]:
    """Open the container, start the upkeep, and give the application that serves it all."""
    async with (
        open_container(settings) as container,
        on_chain(container),
        bringing_letters(container),
        auditing(container),
    ):
        upkeep = asyncio.create_task(keep_up(container))
        try:
            yield create_application(container)
        finally:
            upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await upkeep
            container.admins().passwords.close()
            limiter = container.limiter()
            if isinstance(limiter, SharedLimiter):
                await limiter.close()


def create_application(
    container: Container, extra_routes: Sequence[ControllerRouterHandler] = ()
) -> Edge:
    """Return the HTTP application over a container: the game's routes, and those given."""
    settings, clock, store = container.settings(), container.clock(), container.store()
    limiter = container.limiter()
    probes = [_probe(store)]
    if isinstance(limiter, SharedLimiter):
        probes.append(Probe(name="redis", check=limiter.check))
    parts = {
        "pipeline": container.pipeline(),
        "queries": container.queries(),
        "admins": container.admin_records(),
        "admin_queries": container.admin_queries(),
        "forecasts": container.forecasts(),
        "rates": container.rates(),
        "desks": container.admins(),
        "desk": container.session_desk(),
        "fights": container.battle_desk(),
        "wallets": container.wallet_desk(),
        "vaults": container.vaults(),
        "shop": container.shop(),
        "solvency": container.solvency(),
    }
    return create_app(
        settings,
        routes=(*GAME_ROUTES, *extra_routes),
        limiter=limiter,
        metrics=container.metrics(),
        now_ms=clock.now,
        probes=probes,
        dependencies={name: _given(part) for name, part in parts.items()},
        admins=container.admins().access,
    )


def _probe(store: Store) -> Probe:
    where = store.primary if isinstance(store, Replicated) else None
    return Probe(name="store", check=store.check, where=where)


def _given(part: object) -> Provide:
    return Provide(lambda: part, sync_to_thread=False)


async def keep_up(container: Container) -> None:
    """Turn seed epochs over, update the rate when due, and look at the day, again and again."""
    while True:
        await _look_at_day(container)
        await asyncio.sleep(UPKEEP_SECONDS)
        try:
            await rotate_if_due(container)
            await update_rate_if_due(container)
        except (DomainError, Unavailable) as error:
            # Another process was first, or the store is busy: there is a next time.
            _log.warning("upkeep postponed", reason=str(error))


async def _look_at_day(container: Container) -> None:
    try:
        await note_day(container.store(), container.clock(), container.metrics())
    except Unavailable as error:
        _log.warning("day not looked at", reason=str(error))


async def rotate_if_due(container: Container) -> bool:
    """Rotate the seed epoch if it has lasted its hours; return whether it was.

    One process does it, which looks again once the work is its own.
    """
    if not await _is_rotation_due(container):
        return False
    duty: Duty = container.duty(ROTATION, ttl_ms=ROTATION_MS)
    try:
        async with duty.held() as lease:
            if lease is None or not await _is_rotation_due(container):
                return False
            pipeline = container.pipeline().under(lease)
            reply = await rotate_seed(pipeline, container.store(), container.seeds())
    finally:
        await duty.end()
    _log.info("seed epoch opened", number=reply.opened.number, commitment=reply.opened.commitment)
    return True


async def update_rate_if_due(container: Container) -> bool:
    """Update the oracle's rate if that is switched on and due; return whether it was.

    One process does it: the others find it done when they look again under the lease.
    """
    rates: RateDesk = container.rates()
    if not await rates.is_due():
        return False
    duty: Duty = container.duty(RATES, ttl_ms=RATES_MS)
    try:
        async with duty.held() as lease:
            if lease is None:
                return False
            return await rates.update_if_due()
    finally:
        await duty.end()


async def _is_rotation_due(container: Container) -> bool:
    epoch = await open_epoch_of(container.store())
    hours = container.settings().seed_epoch_hours
    return epoch is None or container.clock().now() >= epoch.opened_at + hours * HOUR
