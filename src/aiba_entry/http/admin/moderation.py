"""Admins' routes of moderation: who is flagged, bans, badges."""

from fractions import Fraction
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.decision import Command
from aiba_domain.moderation.commands import (
    MAX_BAN_MINUTES,
    BanBroker,
    BanPlayer,
    SetBadges,
    StandingReply,
    UnbanBroker,
    UnbanPlayer,
)
from aiba_domain.moderation.leader_commands import SyncTopLeaderBadges
from aiba_entry.http.admin.documents import SECURED, AdminUserOut, LeaderBadgesOut, user_json
from aiba_entry.http.admin.guard import operator, viewer
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import BattleOut, BrokerOut
from aiba_entry.http.envelope import Reply, data_reply, documented, flat_reply
from aiba_entry.http.errors import ApiError
from aiba_entry.http.validation import Body, EmptyBody, ObjectId, query_text, text
from aiba_entry.http.wire import battle_json, broker_json

_Request = Request[Any, Any, Any]
_TelegramId = Annotated[str, text(50)]
_Flags = Annotated[int, QueryParameter(name="minFlags", ge=0, le=1_000_000)]
_Limit = Annotated[int, QueryParameter(ge=1, le=500)]
_DAY_MINUTES = 1_440
_Standing = (400, 401, 403, 404, 413, 429, 503)


class BanUserBody(Body):
    """Whom to ban, for how long, and why."""

    telegram_id: _TelegramId
    minutes: Annotated[float, msgspec.Meta(ge=1, le=MAX_BAN_MINUTES)] = _DAY_MINUTES
    reason: Annotated[str, text(200)] = "banned"


class UserBody(Body):
    """A player."""

    telegram_id: _TelegramId


class BanBrokerBody(Body):
    """Which broker to ban, and why."""

    broker_id: ObjectId
    reason: Annotated[str, text(200)] = "broker banned"


class AdminBrokerBody(Body):
    """A broker."""

    broker_id: ObjectId


class BadgesBody(Body):
    """A player, and all the badges to have from now on."""

    telegram_id: _TelegramId
    badges: list[str] = msgspec.field(default_factory=list)


class AdminModeration(Controller):
    """The routes of moderation."""

    path = "/api/admin/mod"
    tags = ("admin",)
    security = SECURED

    @get(
        "/flagged-brokers",
        guards=[viewer],
        responses=documented(list[BrokerOut], 400, 401, 403, 429, 503),
        operation_id="adminListFlaggedBrokers",
    )
    async def flagged_brokers(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        min_flags: _Flags = 1,
        limit: _Limit = 100,
    ) -> Reply:
        """List the brokers with the most flags; who has none is never listed."""
        found = await admin_queries.flagged_brokers(least=min_flags, limit=limit)
        return data_reply([broker_json(each) for each in found], context_of(request).request_id)

    @get(
        "/flagged-users",
        guards=[viewer],
        responses=documented(list[AdminUserOut], 400, 401, 403, 429, 503),
        operation_id="adminListFlaggedUsers",
    )
    async def flagged_users(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        min_flags: _Flags = 1,
        limit: _Limit = 100,
    ) -> Reply:
        """List the players with the most flags; who has none is never listed."""
        found = await admin_queries.flagged_players(least=min_flags, limit=limit)
        return data_reply([user_json(each) for each in found], context_of(request).request_id)

    @get(
        "/recent-anomalies",
        guards=[viewer],
        responses=documented(list[BattleOut], 400, 401, 403, 429, 503),
        operation_id="adminListAnomalies",
    )
    async def anomalies(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        limit: _Limit = 100,
    ) -> Reply:
        """List the newest battles whose score no broker of theirs can reach."""
        found = await admin_queries.anomalies(limit)
        return data_reply([battle_json(each) for each in found], context_of(request).request_id)

    @post(
        "/ban-user",
        guards=[operator],
        status_code=200,
        responses=documented(AdminUserOut, *_Standing),
        operation_id="adminBanUser",
    )
    async def ban_user(
        self,
        data: JSONBody[BanUserBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Ban a player from everything for some minutes, known to the service or not."""
        # The shortest text of a double is the number that was written.
        minutes = Fraction(repr(data.minutes))
        command = BanPlayer(player_id=data.telegram_id, minutes=minutes, reason=data.reason)
        await _judge(pipeline, admin, command)
        return await _card(data.telegram_id, request, admin_queries)

    @post(
        "/unban-user",
        guards=[operator],
        status_code=200,
        responses=documented(AdminUserOut, *_Standing),
        operation_id="adminUnbanUser",
    )
    async def unban_user(
        self,
        data: JSONBody[UserBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Lift a player's ban; flags counted so far don't count towards the next one."""
        await _judge(pipeline, admin, UnbanPlayer(player_id=data.telegram_id))
        return await _card(data.telegram_id, request, admin_queries)

    @post(
        "/ban-broker",
        guards=[operator],
        status_code=200,
        responses=documented(BrokerOut, *_Standing),
        operation_id="adminBanBroker",
    )
    async def ban_broker(
        self,
        data: JSONBody[BanBrokerBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Ban a broker until the ban is lifted."""
        command = BanBroker(broker_id=data.broker_id, reason=data.reason)
        await _judge(pipeline, admin, command)
        return await _broker(data.broker_id, request, admin_queries)

    @post(
        "/unban-broker",
        guards=[operator],
        status_code=200,
        responses=documented(BrokerOut, *_Standing),
        operation_id="adminUnbanBroker",
    )
    async def unban_broker(
        self,
        data: JSONBody[AdminBrokerBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Lift a broker's ban; flags counted so far don't count towards the next one."""
        await _judge(pipeline, admin, UnbanBroker(broker_id=data.broker_id))
        return await _broker(data.broker_id, request, admin_queries)

    @get(
        "/user",
        guards=[viewer],
        responses=documented(AdminUserOut, 400, 401, 403, 404, 429, 503),
        operation_id="adminGetUser",
    )
    async def user(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        telegram_id: Annotated[str, QueryParameter(name="telegramId", max_length=50)],
    ) -> Reply:
        """Return a player's card."""
        return await _card(query_text(telegram_id, "telegramId") or "", request, admin_queries)

    @post(
        "/user-badges",
        guards=[operator],
        status_code=200,
        responses=documented(AdminUserOut, *_Standing),
        operation_id="adminSetBadges",
    )
    async def set_badges(
        self,
        data: JSONBody[BadgesBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Give a player these badges in place of those there are."""
        command = SetBadges(player_id=data.telegram_id, badges=tuple(data.badges))
        (await pipeline.execute(admin.acting, command)).reply()
        return await _card(data.telegram_id, request, admin_queries)

    @post(
        "/sync-top-leader-badges",
        guards=[operator],
        status_code=200,
        responses=documented(LeaderBadgesOut, 400, 401, 403, 413, 429, 503, flat=True),
        operation_id="adminSyncTopLeaderBadges",
    )
    async def sync_leader_badges(
        self,
        data: JSONBody[EmptyBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Let exactly the leaders by total score have the badge `top_leader`, others not."""
        del data
        reply = (await pipeline.execute(admin.acting, SyncTopLeaderBadges())).reply()
        fields = {"removed": reply.removed, "granted": reply.granted}
        return flat_reply(fields, context_of(request).request_id)


async def _judge(
    pipeline: Pipeline, admin: AdminPrincipal, command: Command[StandingReply]
) -> None:
    (await pipeline.execute(admin.acting, command)).reply()


async def _card(player_id: str, request: _Request, queries: AdminQueries) -> Reply:
    found = await queries.player(player_id)
    if found is None:
        raise ApiError("user not found")
    return data_reply(user_json(found), context_of(request).request_id)


async def _broker(broker_id: str, request: _Request, queries: AdminQueries) -> Reply:
    found = await queries.broker(broker_id)
    if found is None:
        raise ApiError("broker not found")
    return data_reply(broker_json(found), context_of(request).request_id)
