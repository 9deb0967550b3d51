"""The daily rewards."""

from typing import Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.economy.commands import ClaimDaily, ClaimDailyCombo
from aiba_entry.http.acting import acting, key_of
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import ComboOut, DailyClaimOut, DailyOut
from aiba_entry.http.envelope import Reply, data_reply, documented, flat_reply
from aiba_entry.http.limits import principal_of, require_player
from aiba_entry.http.routes.brokers import KeyBody
from aiba_entry.http.wire import daily_json


class Daily(Controller):
    """The routes of the daily rewards."""

    path = "/api/daily"
    tags = ("economy",)
    guards = (require_player,)

    @get("/status", responses=documented(DailyOut, 401, 429, 503), operation_id="getDailyStatus")
    async def status(
        self, request: Request[Any, Any, Any], queries: NamedDependency[Queries]
    ) -> Reply:
        """Return what the caller can claim today."""
        status = await queries.daily(principal_of(request).player_id)
        return data_reply(daily_json(status), context_of(request).request_id)

    @post(
        "/claim",
        status_code=200,
        responses=documented(DailyClaimOut, 400, 401, 403, 409, 413, 429, 503, flat=True),
        operation_id="claimDaily",
    )
    async def claim(
        self,
        data: JSONBody[KeyBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Claim the day's NEUR, once per UTC day."""
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(acting(request), ClaimDaily(), key)).reply()
        fields: dict[str, object] = {
            "alreadyClaimed": reply.already_claimed,
            "neurReward": reply.reward,
            "neurBalance": reply.balance,
            "loginStreakDays": reply.login_streak_days,
            "nextClaim": "tomorrow",
        }
        if not reply.already_claimed and reply.reward == 0:
            fields["message"] = "daily reward not configured"
        return flat_reply(fields, context_of(request).request_id)

    @post(
        "/combo-claim",
        status_code=200,
        responses=documented(ComboOut, 400, 401, 403, 409, 413, 429, 503, flat=True),
        operation_id="claimDailyCombo",
    )
    async def combo(
        self,
        data: JSONBody[KeyBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Claim the day's AIBA bonus for having spent enough AIBA today."""
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(acting(request), ClaimDailyCombo(), key)).reply()
        fields: dict[str, object] = {
            "alreadyClaimed": reply.already_claimed,
            "bonusAiba": reply.bonus,
            "aibaBalance": reply.balance,
        }
        if not reply.already_claimed and reply.bonus == 0:
            fields["message"] = "daily combo not configured"
        return flat_reply(fields, context_of(request).request_id)
