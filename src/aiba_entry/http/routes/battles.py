"""Battles: fight one, read them with their receipts."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.battle.commands import DEFAULT_ARENA, DEFAULT_LEAGUE, RunBattle
from aiba_domain.battle.model import Battle
from aiba_domain.claims.claim import Claim
from aiba_domain.decision import Principal
from aiba_entry.http.acting import acting, key_of
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import BattlePageOut, FoughtOut, ReceiptOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import BATTLE, admit_player, principal_of, require_player
from aiba_entry.http.paging import Before, Limit, place_of, place_text
from aiba_entry.http.validation import Body, ObjectId, RequestId, object_id, text
from aiba_entry.http.wire import battle_json, fought_json, receipt_json
from aiba_entry.vaults import Vaults


class BattleBody(Body):
    """A battle to fight: a broker, and a mode by key or by arena and league.

    `auto_claim` asks to withdraw the reward at once, where a vault is configured and the caller's
    wallet is free; otherwise the reward stays in the balance.
    """

    request_id: RequestId | None = None
    broker_id: ObjectId
    arena: Annotated[str, text(50)] = DEFAULT_ARENA
    league: Annotated[str, text(50)] = DEFAULT_LEAGUE
    mode_key: Annotated[str, text(100)] | None = None
    auto_claim: bool = False


class BattleDesk:
    """Fights battles, and claims their rewards where that is asked for and possible."""

    def __init__(self, *, pipeline: Pipeline, vaults: Vaults) -> None:
        """Fight by `pipeline`, claim through `vaults`."""
        self._pipeline = pipeline
        self._vaults = vaults

    async def fight(
        self, principal: Principal, command: RunBattle, key: str | None, *, claim: bool
    ) -> tuple[Battle, Claim | None]:
        """Fight a battle, then withdraw its AIBA if `claim`; the same key gives both again."""
        answer = await self._pipeline.execute(principal, command, key)
        battle = answer.reply().battle
        reward = battle.receipt.grant.aiba
        if not (claim and reward and self._vaults.is_configured):
            return battle, None
        withdrawals = self._vaults.withdrawals()
        return battle, await withdrawals.claim_battle(principal, reward, answer.key)


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
        fights: NamedDependency[BattleDesk],
    ) -> Reply:
        """Fight a battle. Entry fees are kept also where emission is closed and the reward is 0."""
        command = RunBattle(
            broker_id=data.broker_id,
            arena=data.arena,
            league=data.league,
            mode_key=data.mode_key,
        )
        key = key_of(request, data.request_id)
        battle, claim = await fights.fight(acting(request), command, key, claim=data.auto_claim)
        return data_reply(fought_json(battle, claim), context_of(request).request_id)

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
            principal_of(request).player_id, before=place_of(before), limit=limit
        )
        fields = {
            "items": [battle_json(battle) for battle in page.items],
            "next": place_text(page.next),
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
