"""Puts the HTTP application together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, LifespanHook

from aiba_adapters.sessions import SessionTokens
from aiba_domain.ports import RateLimiter
from aiba_entry.edge_settings import DOCS, METRICS
from aiba_entry.http.admin.access import AdminAccess
from aiba_entry.http.admin.guard import ADMIN_KEY, provide_admin
from aiba_entry.http.auth import Authenticator
from aiba_entry.http.context import RequestContext, context_of
from aiba_entry.http.cors import Cors
from aiba_entry.http.docs import docs_routes, openapi_config
from aiba_entry.http.errors import exception_handlers
from aiba_entry.http.health import Probe, health_routes
from aiba_entry.http.limits import (
    BATTLE,
    GATE_KEY,
    GLOBAL,
    ClientAddress,
    Gate,
    principal_of,
)
from aiba_entry.http.paths import RoutePaths
from aiba_entry.http.principal import Principal
from aiba_entry.http.request_context import Edge
from aiba_entry.http.security_headers import SecurityHeaders
from aiba_entry.http.validation import EdgeRequest, JsonBody
from aiba_entry.observability import Metrics, ensure_logging
from aiba_entry.settings import AppEnv, Settings

DEV_PLAYER = "local-dev"
"""Who calls in dev, with header identity switched on and no header sent."""


def create_app(  # noqa: PLR0913 - the one place where all of it meets
    settings: Settings,
    *,
    routes: Sequence[ControllerRouterHandler],
    limiter: RateLimiter,
    metrics: Metrics,
    now_ms: Callable[[], int],
    probes: Sequence[Probe] = (),
    dependencies: Mapping[str, Provide] | None = None,
    admins: AdminAccess | None = None,
    on_startup: Sequence[LifespanHook] = (),
    on_shutdown: Sequence[LifespanHook] = (),
    version: str = "0.1.0",
) -> Edge:
    """Return the ASGI application that serves `routes` behind the edge.

    Route handlers may ask for `principal`, `admin` and `context` as dependencies beside those given
    here, and for `data` typed as a Body. Without `admins` there are none. Nothing is opened or read
    before the lifespan starts, and every call makes an application of its own.
    """
    ensure_logging()
    app = Litestar(
        route_handlers=[*routes, *health_routes(probes, metrics), *docs_routes()],
        dependencies={
            "principal": Provide(_provide_principal, sync_to_thread=False),
            "admin": Provide(provide_admin),
            "context": Provide(_provide_context, sync_to_thread=False),
            **(dependencies or {}),
        },
        dto=JsonBody,
        return_dto=None,
        request_class=EdgeRequest,
        request_max_body_size=None,
        exception_handlers=exception_handlers(),
        openapi_config=openapi_config(version, settings.public_base_url),
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
        logging_config=None,
        debug=False,
    )
    app.opt[ADMIN_KEY] = admins
    app.opt[GATE_KEY] = create_gate(settings, limiter=limiter, now_ms=now_ms)
    return Edge(
        app,
        paths=RoutePaths(app.routes),
        metrics=metrics,
        cors=Cors(
            settings.cors_origins,
            reflect_loopback=not settings.is_prod and not settings.cors_origins,
        ),
        body_limit=settings.json_body_limit,
        secure=SecurityHeaders(settings.edge.hsts_seconds),
        deadline_s=settings.edge.request_seconds,
    )


def create_gate(settings: Settings, *, limiter: RateLimiter, now_ms: Callable[[], int]) -> Gate:
    """Return the guards' shared part, as the settings want it."""
    return Gate(
        auth=Authenticator(
            sessions=session_tokens(settings),
            bot_token=settings.telegram_bot_token,
            previous_bot_token=settings.overlap.telegram_bot_token,
            init_data_max_age_s=settings.init_data_max_age_s,
            now_ms=now_ms,
            header_identity=settings.dev_header_auth,
            header_default=DEV_PLAYER if settings.app_env is AppEnv.DEV else None,
        ),
        limiter=limiter,
        addresses=ClientAddress(settings.trusted_proxies),
        limits={
            GLOBAL: settings.rate_limit_per_minute,
            BATTLE: settings.battle_rate_limit_per_minute,
            **settings.edge.limits,
        },
        now_ms=now_ms,
        pages={METRICS: settings.edge.metrics, DOCS: settings.edge.docs},
    )


def session_tokens(settings: Settings) -> SessionTokens:
    """Return the maker and reader of session tokens, under the settings' secrets."""
    others = map(str.encode, settings.overlap.session)
    return SessionTokens(settings.session_secret.encode(), *others)


def _provide_principal(request: Request[Any, Any, Any]) -> Principal:
    return principal_of(request)


def _provide_context(request: Request[Any, Any, Any]) -> RequestContext:
    return context_of(request)
