"""Is the process alive, can it work, and what has it counted."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, documented, flat_reply
from aiba_entry.http.private import metrics_guard
from aiba_entry.observability import METRICS_CONTENT_TYPE, Metrics, get_logger

PROBE_SECONDS: Final = 2.0
"""How long a dependency has to answer before it counts as down."""

_METRICS: Final = ResponseSpec(
    str, generate_examples=False, description="Done", media_type=METRICS_CONTENT_TYPE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Looks at one dependency: `check` returns when it works and raises when it doesn't.

    `where` says which server stands behind it, where there are several.
    """

    name: str
    check: Callable[[], Awaitable[None]]
    where: Callable[[], Awaitable[str | None]] | None = None


class Alive(msgspec.Struct):
    """The answer of a process that runs."""

    ok: bool
    requestId: str  # noqa: N815 - the wire's spelling


class Check(msgspec.Struct, omit_defaults=True):
    """One dependency's state; `detail` is what is wrong in a word, `primary` who is written to."""

    ok: bool
    detail: str | None = None
    primary: str | None = None


class Ready(msgspec.Struct):
    """The state of every dependency; `ok` only if all are."""

    ok: bool
    checks: dict[str, Check]
    requestId: str  # noqa: N815 - the wire's spelling


def health_routes(probes: Sequence[Probe], metrics: Metrics) -> list[HTTPRouteHandler]:
    """Return the routes `/health`, `/ready` and `/metrics`."""
    looks = _Looks(probes)

    @get(
        "/health",
        tags=["operations"],
        responses=documented(Alive, flat=True),
        operation_id="getHealth",
    )
    async def health(request: Request[Any, Any, Any]) -> Reply:
        """Answer whether the process serves requests; nothing else is touched."""
        return flat_reply({}, context_of(request).request_id)

    @get(
        "/ready",
        tags=["operations"],
        responses=documented(Ready, flat=True) | documented(Ready, flat=True, status=503),
        operation_id="getReadiness",
    )
    async def ready(request: Request[Any, Any, Any]) -> Reply:
        """Answer whether every dependency works: 200 if so, 503 if not, each one listed."""
        checks = await looks.share()
        ok = all(check.ok for check in checks.values())
        fields = {"ok": ok, "checks": checks}
        return flat_reply(fields, context_of(request).request_id, 200 if ok else 503)

    @get(
        "/metrics",
        tags=["operations"],
        media_type=METRICS_CONTENT_TYPE,
        guards=[metrics_guard],
        security=[{}],
        responses={**documented(Alive, 401, 404, 429), 200: _METRICS},
        operation_id="getMetrics",
    )
    async def metrics_text() -> Reply:
        """Answer everything counted, as Prometheus text, to whom the operator lets see it."""
        return Reply(metrics.render(), media_type=METRICS_CONTENT_TYPE.encode())

    return [health, ready, metrics_text]


class _Looks:
    """Looks at all dependencies, once for whoever asks meanwhile: a flood of calls is one look."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes
        self._running: asyncio.Task[dict[str, Check]] | None = None

    async def share(self) -> dict[str, Check]:
        """Return the result of the look that is under way, or of a new one."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._look())
        # Whoever gives up waiting doesn't end it for the others.
        return await asyncio.shield(self._running)

    async def _look(self) -> dict[str, Check]:
        results = await asyncio.gather(*(_look(probe) for probe in self._probes))
        return {probe.name: each for probe, each in zip(self._probes, results, strict=True)}


async def _look(probe: Probe) -> Check:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe.check()
            primary = await probe.where() if probe.where else None
    except TimeoutError:
        detail = "timed out"
    except Exception as error:
        log = get_logger("aiba.health")
        log.warning("dependency down", dependency=probe.name, exc_info=error)
        detail = "unavailable"
    else:
        return Check(ok=True, primary=primary)
    return Check(ok=False, detail=detail)
