"""Battles: fight one, read them with their receipts."""

import re
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.battle.commands import DEFAULT_ARENA, DEFAULT_LEAGUE, RunBattle
from aiba_domain.ids import is_id
from aiba_entry.http.acting import acting, key_of
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import BattlePageOut, FoughtOut, ReceiptOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.errors import ApiError, InvalidRequest
from aiba_entry.http.limits import BATTLE, admit_player, principal_of, require_player
from aiba_entry.http.validation import Body, ObjectId, RequestId, object_id, query_text, text
from aiba_entry.http.wire import battle_json, fought_json, receipt_json

_INSTANT = re.compile(r"[0-9]{1,16}")

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
Before = Annotated[
    str | None, QueryParameter(max_length=64, description="The `next` of the page before")
]


class BattleBody(Body):
    """A battle to fight: a broker, and a mode by key or by arena and league.

    `auto_claim` asks to withdraw the reward at once; without a withdrawal service it has no effect.
    """

    request_id: RequestId | None = None
    broker_id: ObjectId
    arena: Annotated[str, text(50)] = DEFAULT_ARENA
    league: Annotated[str, text(50)] = DEFAULT_LEAGUE
    mode_key: Annotated[str, text(100)] | None = None
    auto_claim: bool = False


class Battles(Controller):
    """The routes of battles."""

    path = "/api"
    tags = ("battles",)

    @post(
        "/battle/run",
        before_request=admit_player(BATTLE),
        status_code=200,
        responses=documented(FoughtOut, 400, 401, 403, 404, 409, 413, 429, 503),
        operation_id="runBattle",
    )
    async def run(
        self,
        data: JSONBody[BattleBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Fight a battle. Entry fees are kept also where emission is closed and the reward is 0."""
        command = RunBattle(
            broker_id=data.broker_id,
            arena=data.arena,
            league=data.league,
            mode_key=data.mode_key,
        )
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(acting(request), command, key)).reply()
        return data_reply(fought_json(reply.battle), context_of(request).request_id)

    @get(
        "/battles",
        guards=[require_player],
        responses=documented(BattlePageOut, 400, 401, 429, 503),
        operation_id="listMyBattles",
    )
    async def mine(
        self,
        request: Request[Any, Any, Any],
        queries: NamedDependency[Queries],
        limit: Limit = 20,
        before: Before = None,
    ) -> Reply:
        """List the caller's battles, newest first; `next` is null on the last page."""
        page = await queries.battles(
            principal_of(request).player_id, before=_place(before), limit=limit
        )
        fields = {
            "items": [battle_json(battle) for battle in page.battles],
            "next": f"{page.next[0]}-{page.next[1]}" if page.next else None,
        }
        return data_reply(fields, context_of(request).request_id)

    @get(
        "/battles/{battle_id:str}",
        guards=[require_player],
        responses=documented(ReceiptOut, 400, 401, 404, 429, 503),
        operation_id="getMyBattle",
    )
    async def one(
        self,
        battle_id: FromPath[str],
        request: Request[Any, Any, Any],
        queries: NamedDependency[Queries],
    ) -> Reply:
        """Return one of the caller's battles with its receipt, which holds all of its inputs."""
        wanted = object_id(battle_id, "id")
        battle = await queries.battle(principal_of(request).player_id, wanted)
        if battle is None:
            raise ApiError("not found")
        return data_reply(receipt_json(battle), context_of(request).request_id)


def _place(before: str | None) -> tuple[int, str] | None:
    """Read a page's `next`."""
    before = query_text(before, "before")
    if before is None:
        return None
    at, _, last_id = before.partition("-")
    if not (_INSTANT.fullmatch(at) and is_id(last_id)):
        raise InvalidRequest({"before": "pattern"})
    return int(at), last_id
