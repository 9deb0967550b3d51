"""Game modes: where battles are fought."""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from aiba_domain.application.queries import Queries
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import ModeOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import allow_anyone
from aiba_entry.http.validation import query_text
from aiba_entry.http.wire import mode_json

Place = Annotated[str | None, QueryParameter(max_length=50)]


class Modes(Controller):
    """The routes of game modes."""

    path = "/api/game-modes"
    tags = ("battles",)

    @get(
        "/",
        guards=[allow_anyone],
        responses=documented(list[ModeOut], 400, 429, 503),
        operation_id="listGameModes",
    )
    async def list_enabled(
        self,
        request: Request[Any, Any, Any],
        queries: NamedDependency[Queries],
        arena: Place = None,
        league: Place = None,
    ) -> Reply:
        """List the enabled modes, of an arena or a league or all, ordered by arena, league, key."""
        modes = await queries.modes(
            arena=query_text(arena, "arena"), league=query_text(league, "league")
        )
        return data_reply([mode_json(mode) for mode in modes], context_of(request).request_id)
