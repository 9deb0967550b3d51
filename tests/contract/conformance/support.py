"""The real application in this process, as a deployment to judge, with faults in front of it."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, cast

import httpx

from aiba_adapters.memory import MemoryStore
from aiba_domain.application.upkeep import prepare, rotate_seed
from aiba_domain.money import Currency
from aiba_domain.testing.report import Outcome, Report
from aiba_entry.conformance import Bounds, Deployment, Terms, judge
from aiba_entry.container import Container
from aiba_entry.metering import make_metrics
from aiba_entry.service import create_application
from aiba_entry.settings import load
from tests.contract.game import ton
from tests.contract.game.ton import Ton
from tests.support.limits import OPEN
from tests.support.wallets import DOMAIN

BOT_TOKEN: Final = "734512:CONFORMANCE-TESTS-token_0123456789"
URL: Final = "http://deployment.example"
ENVIRON: Final[Mapping[str, str]] = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://game.example",
    "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    "SESSION_SECRET": "correct-horse-battery-staple-0123",
    "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
    **OPEN,
}

App = Callable[..., Awaitable[None]]


class Site:
    """The service over a store and a chain in memory, in the event loop of its deployment."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        caps: Mapping[Currency, int] | None = None,
        bounds: Bounds | None = None,
        bot_token: str = BOT_TOKEN,
    ) -> None:
        """Serve the application."""
        self._environ = {**ENVIRON, **ton.ENVIRON, **(environ or {})}
        terms = Terms(wallet_domain=DOMAIN, daily_caps=caps or {}, rotate=self.rotate)
        self.deployment = Deployment(
            URL,
            bot_token=bot_token,
            bounds=bounds,
            terms=terms,
            transport=httpx.ASGITransport(cast("Any", self._serve)),
        )
        self.container: Container = self.deployment.run(self._open())
        self.app = cast("App", create_application(self.container))
        self.behind = self.app

    async def _open(self) -> Container:
        container = Container(settings=load(self._environ), store=MemoryStore())
        container.metrics.override(make_metrics(()))
        await prepare(container.pipeline(), container.store(), container.seeds())
        Ton().serve(container)
        return container

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await self.behind(scope, receive, send)

    def rotate(self) -> None:
        """End the seed epoch that is open."""
        parts = self.container
        self.deployment.run(rotate_seed(parts.pipeline(), parts.store(), parts.seeds()))

    def judged(
        self,
        *,
        front: Callable[[App], App] = lambda app: app,
        only: Collection[str] = (),
        **options: Any,
    ) -> Report:
        """Return the report of a run with something in front of the application."""
        self.behind = front(self.app)
        self.deployment.only = frozenset(only)
        return judge(self.deployment, **options)

    def close(self) -> None:
        """Close everything."""
        self.deployment.close()


def failed(report: Report) -> set[str]:
    """Return the names of the properties that failed."""
    return {result.name for result in report.failures()}


def outcomes(report: Report) -> dict[str, Outcome]:
    """Return what came of each case."""
    return {result.case: result.outcome for result in report.results}


ROOT: Final = Path(__file__).parents[3]
