"""The worker of the outbox: letters to players, by the one process that holds the lease."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiba_adapters.telegram.notifier import TelegramNotifier
from aiba_domain.application.deliveries import Deliveries, Round
from aiba_domain.leases.model import LeaseLost
from aiba_domain.ports import Unavailable
from aiba_entry.container import Container
from aiba_entry.duty import Duty
from aiba_entry.observability import get_logger
from aiba_entry.outbox_metrics import OutboxMetrics

DELIVERY: Final = "outbox.delivery"
"""The lease of whoever brings letters."""

DELIVERY_MS: Final = 12_000
"""How long after its last renewal a dead process keeps others from bringing letters, in ms."""

ROUND_SECONDS: Final = 1.0
"""How often the outbox is looked into while nothing is due."""

STANDBY_SECONDS: Final = 2.0
"""How often a process that brings no letters asks whether it should."""

AT_ONCE: Final = 4
"""How many letters are under way at a time: Telegram takes some 30 a second of one bot."""

LONGEST_WAIT_SECONDS: Final = 60.0
"""The longest that the worker sleeps: letters have times of their own."""

TRIM_ROUNDS: Final = 3_600
"""After how many rounds dead letters are looked through for old ones."""

_log = get_logger("aiba.outbox")


@contextlib.asynccontextmanager
async def bringing_letters(container: Container) -> AsyncIterator[None]:
    """Bring letters to players while the context lasts, if the settings say so."""
    settings = container.settings()
    if not settings.telegram_notify:
        yield
        return
    notifier = TelegramNotifier(settings.telegram_bot_token, base_url=settings.telegram_api_url)
    deliveries = Deliveries(
        pipeline=container.pipeline(),
        store=container.store(),
        notifier=notifier,
        at_once=AT_ONCE,
    )
    duty: Duty = container.duty(DELIVERY, ttl_ms=DELIVERY_MS)
    courier = Courier(
        deliveries=deliveries,
        duty=duty,
        metrics=container.metrics().outbox,
        now_ms=container.clock().now,
    )
    working = asyncio.create_task(courier.work_for_ever())
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await duty.end()
        await notifier.close()


class Courier:
    """Brings what is due, again and again, while it is on duty, and counts what came of it."""

    def __init__(
        self,
        *,
        deliveries: Deliveries,
        duty: Duty,
        metrics: OutboxMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        """Work for whoever shares the duty's leases."""
        self._deliveries = deliveries
        self._duty = duty
        self._metrics = metrics
        self._now_ms = now_ms

    async def work_for_ever(self) -> None:
        """Bring letters as they come."""
        rounds = 0
        while True:
            wait_s = await self.go_round(trims=rounds % TRIM_ROUNDS == 0)
            rounds += 1
            await asyncio.sleep(wait_s)

    async def go_round(self, *, trims: bool = False) -> float:
        """Bring what is due, unless another process does; return how long to wait, in s.

        What can't be brought now is looked at next time.
        """
        try:
            async with self._duty.held() as lease:
                if lease is None:
                    self._metrics.ran("elsewhere")
                    self._metrics.kept_elsewhere()
                    return STANDBY_SECONDS
                deliveries = self._deliveries.under(lease)
                done = await deliveries.deliver_due()
                self._count(done)
                if trims and (trimmed := await deliveries.trim()):
                    _log.info("dead letters forgotten", letters=trimmed)
                self._metrics.backlog(await deliveries.backlog(), self._now_ms())
        except (Unavailable, LeaseLost) as error:
            self._metrics.ran("postponed")
            _log.warning("letters postponed", reason=str(error))
            return STANDBY_SECONDS
        except Exception:  # noqa: BLE001 - one broken letter mustn't end the work for good
            self._metrics.ran("failed")
            _log.exception("letters failed")
            return STANDBY_SECONDS
        self._metrics.ran("ok")
        return _wait_s(done)

    def _count(self, done: Round) -> None:
        for (topic, fate), times in done.fates.items():
            self._metrics.settled(topic, fate, times)
        if done.fates:
            _log.info(
                "letters brought",
                **{f"{topic}: {fate}": times for (topic, fate), times in done.fates.items()},
            )


def _wait_s(done: Round) -> float:
    """Return how long to sleep after a round: not at all while more is due."""
    if done.wait_ms:
        return min(LONGEST_WAIT_SECONDS, done.wait_ms / 1_000)
    return ROUND_SECONDS if done.is_all else 0.0
