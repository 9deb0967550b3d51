"""The admins' dashboard."""

from typing import Any

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.economy.emission import NOTHING_EMITTED
from aiba_domain.money import Currency
from aiba_entry.http.admin.documents import SECURED
from aiba_entry.http.admin.guard import viewer
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented


class StatsOut(msgspec.Struct, rename="camel", kw_only=True):
    """How many there are, and how much of today; `dau` are the players last seen today."""

    day: str
    dau: int
    total_users: int
    total_battles: int
    battles_today: int
    today_emitted_aiba: int
    today_emitted_neur: int


class AdminStats(Controller):
    """The dashboard's route."""

    path = "/api/admin/stats"
    tags = ("admin",)
    security = SECURED

    @get(
        "/",
        guards=[viewer],
        responses=documented(StatsOut, 401, 403, 429, 503),
        operation_id="adminGetStats",
    )
    async def stats(
        self, request: Request[Any, Any, Any], admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """Return how many players and battles there are, and what today has emitted."""
        found = await admin_queries.dashboard()
        totals, emitted = found.totals, found.emitted
        out = StatsOut(
            day=found.day,
            dau=totals.players_seen,
            total_users=totals.players,
            total_battles=totals.battles,
            battles_today=totals.battles_fought,
            today_emitted_aiba=emitted.get(Currency.AIBA, NOTHING_EMITTED).total,
            today_emitted_neur=emitted.get(Currency.NEUR, NOTHING_EMITTED).total,
        )
        return data_reply(out, context_of(request).request_id)
