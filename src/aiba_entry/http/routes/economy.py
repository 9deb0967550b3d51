"""The player's own money and profile."""

from typing import Any

from litestar import Controller, Request, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.players.commands import SetSchool
from aiba_entry.http.acting import acting
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import HoldingsOut, SchoolOut
from aiba_entry.http.envelope import Reply, data_reply, documented, flat_reply
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import principal_of, require_player
from aiba_entry.http.validation import Body, ObjectId
from aiba_entry.http.wire import holdings_json


class ProfileBody(Body):
    """What of the own profile can be changed."""

    school_id: ObjectId | None = None


class Economy(Controller):
    """The routes of the player's own money and profile."""

    path = "/api/economy"
    tags = ("economy",)
    guards = (require_player,)

    @get("/me", responses=documented(HoldingsOut, 401, 429, 503), operation_id="getMyEconomy")
    async def me(self, request: Request[Any, Any, Any], queries: NamedDependency[Queries]) -> Reply:
        """Return the caller's balances, with the prices and rates in force."""
        player_id = principal_of(request).player_id
        holdings = await queries.holdings(player_id)
        return data_reply(holdings_json(player_id, holdings), context_of(request).request_id)

    @patch(
        "/me",
        responses=documented(SchoolOut, 400, 401, 403, 413, 429, 503, flat=True),
        operation_id="changeMyProfile",
    )
    async def change(
        self,
        data: JSONBody[ProfileBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Change the caller's school."""
        if data.school_id is None:
            raise ApiError("no valid fields to update")
        command = SetSchool(school_id=data.school_id)
        reply = (await pipeline.execute(acting(request), command)).reply()
        return flat_reply({"schoolId": reply.school_id}, context_of(request).request_id)
