"""Admins' routes of game modes."""

from decimal import Decimal
from typing import Annotated, Any, Final

from litestar import Controller, Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.battle.energy import MAX_ENERGY_CAP
from aiba_domain.battle.mode_commands import ChangeMode, DeleteMode, MakeMode
from aiba_domain.battle.modes import (
    MAX_COOLDOWN_S,
    MAX_DESCRIPTION,
    MAX_ENTRY,
    MAX_KEY,
    MAX_NAME,
    MAX_PLACE,
    MAX_REWARD_MULTIPLIER,
    parse_rules,
)
from aiba_domain.money import exact
from aiba_entry.http.acting import key_of
from aiba_entry.http.admin.documents import SECURED, DeletedOut
from aiba_entry.http.admin.guard import operator, viewer
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import ModeOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.validation import Body, RequestId, object_id, text, whole
from aiba_entry.http.wire import mode_json

_Request = Request[Any, Any, Any]
_Place = Annotated[str, Meta(min_length=1, max_length=MAX_PLACE, pattern="^[A-Za-z0-9._-]+$")]
_Key = Annotated[str, Meta(min_length=1, max_length=MAX_KEY, pattern="^[A-Za-z0-9._-]+$")]
_Multiplier = Annotated[float, Meta(ge=0, le=MAX_REWARD_MULTIPLIER)]
_WIRE: Final = {
    "entry_neur": "entryNeurCost",
    "entry_aiba": "entryAibaCost",
    "reward_multiplier_aiba": "rewardMultiplierAiba",
    "reward_multiplier_neur": "rewardMultiplierNeur",
    "energy_cost": "energyCost",
    "cooldown_seconds": "cooldownSeconds",
}
"""The wire's names of fields of a mode that have another."""


class _Settings(Body):
    """What of a mode can be set; what is left out stays, or is the default of a new one."""

    request_id: RequestId | None = None
    description: Annotated[str, text(MAX_DESCRIPTION)] | None = None
    enabled: bool | None = None
    league: _Place | None = None
    energy_cost: Annotated[int, whole(0, MAX_ENERGY_CAP)] | None = None
    cooldown_seconds: Annotated[int, whole(0, MAX_COOLDOWN_S)] | None = None
    entry_neur_cost: Annotated[int, whole(0, MAX_ENTRY)] | None = None
    entry_aiba_cost: Annotated[int, whole(0, MAX_ENTRY)] | None = None
    reward_multiplier_aiba: _Multiplier | None = None
    reward_multiplier_neur: _Multiplier | None = None
    rules: dict[str, Any] | None = None


class NewModeBody(_Settings):
    """A new mode."""

    key: _Key
    name: Annotated[str, text(MAX_NAME)]
    arena: _Place


class ModeBody(_Settings):
    """What of a mode changes; its key can't."""

    key: _Key | None = None
    name: Annotated[str, text(MAX_NAME)] | None = None
    arena: _Place | None = None


class AdminModes(Controller):
    """The routes of game modes for admins."""

    path = "/api/admin/game-modes"
    tags = ("admin",)
    security = SECURED

    @get(
        "/",
        guards=[viewer],
        responses=documented(list[ModeOut], 401, 403, 429, 503),
        operation_id="adminListModes",
    )
    async def list_all(
        self, request: _Request, admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """List all modes, open or not, the newest first."""
        modes = await admin_queries.modes()
        return data_reply([mode_json(mode) for mode in modes], context_of(request).request_id)

    @post(
        "/",
        guards=[operator],
        status_code=201,
        responses=documented(ModeOut, 400, 401, 403, 409, 413, 429, 503, status=201),
        operation_id="adminMakeMode",
    )
    async def make(
        self,
        data: JSONBody[NewModeBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Make a mode under a key that no mode has."""
        fields = _fields(data) | {"name": data.name, "arena": data.arena}
        command = MakeMode(key=data.key, fields=fields)
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(admin.acting, command, key)).reply()
        return data_reply(mode_json(reply.modes[0]), context_of(request).request_id, 201)

    @patch(
        "/{mode_id:str}",
        guards=[operator],
        responses=documented(ModeOut, 400, 401, 403, 404, 409, 413, 429, 503),
        operation_id="adminChangeMode",
    )
    async def change(
        self,
        mode_id: FromPath[str],
        data: JSONBody[ModeBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Change a mode. A blank text leaves what was there; `rules` take the place of all."""
        fields = _fields(data)
        fields |= {
            name: value
            for name, value in (("name", data.name), ("arena", data.arena))
            if value is not None
        }
        command = ChangeMode(mode_id=object_id(mode_id), fields=fields, key=data.key)
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(admin.acting, command, key)).reply()
        return data_reply(mode_json(reply.modes[0]), context_of(request).request_id)

    @delete(
        "/{mode_id:str}",
        guards=[operator],
        status_code=200,
        responses=documented(DeletedOut, 400, 401, 403, 404, 409, 413, 429, 503),
        operation_id="adminDeleteMode",
    )
    async def remove(
        self,
        mode_id: FromPath[str],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Delete a mode; a default one doesn't come back at the next start."""
        command = DeleteMode(mode_id=object_id(mode_id))
        (await pipeline.execute(admin.acting, command, key_of(request, None))).reply()
        return data_reply({"deleted": True}, context_of(request).request_id)


def _fields(data: _Settings) -> dict[str, Any]:
    """Return the fields of a mode that a body sets, or raise naming the one that can't be."""
    found: dict[str, Any] = {
        "description": data.description,
        "enabled": data.enabled,
        "league": data.league,
        "energy_cost": data.energy_cost,
        "cooldown_seconds": data.cooldown_seconds,
        "entry_neur": data.entry_neur_cost,
        "entry_aiba": data.entry_aiba_cost,
    }
    multipliers = {
        "reward_multiplier_aiba": data.reward_multiplier_aiba,
        "reward_multiplier_neur": data.reward_multiplier_neur,
    }
    for name, value in multipliers.items():
        # The shortest text of a double is the number that was written.
        found[name] = None if value is None else exact(Decimal(repr(value)), _WIRE[name])
    found["rules"] = None if data.rules is None else parse_rules(data.rules)
    return {name: value for name, value in found.items() if value is not None}
