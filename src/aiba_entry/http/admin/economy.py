"""Admins' routes of the economy: its configuration, its days, its ledger, and what would come."""

import json
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final, cast

from litestar import Controller, Request, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from litestar.types import ExceptionHandlersMap
from msgspec import Meta

from aiba_domain.application.admin_queries import AdminQueries, PlayerFile
from aiba_domain.application.forecast import MAX_AVERAGE, MAX_DAYS, MAX_PLAYERS, Scenario
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.economy.config import MAPS, PLAIN, RATES, settings_of
from aiba_domain.economy.config_commands import PatchConfig
from aiba_domain.economy.ledger import player_account
from aiba_domain.economy.policy import RANGES, EconomyPolicy
from aiba_domain.economy.treasury_commands import ADJUSTMENT, MAX_DELTA, CreditUser
from aiba_domain.instants import day_number, iso
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_entry.http.acting import key_of
from aiba_entry.http.admin.documents import (
    SECURED,
    ConfigHistoryOut,
    ConfigOut,
    CreditedOut,
    DayOut,
    LedgerRowOut,
    config_json,
    day_json,
    ledger_rows,
    plain_numbers,
    user_json,
)
from aiba_entry.http.admin.forecasting import ForecastDesk, ForecastOut, forecast_json
from aiba_entry.http.admin.guard import superadmin, viewer
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented, error_reply, flat_reply
from aiba_entry.http.errors import InvalidRequest
from aiba_entry.http.validation import Body, RequestId, query_text, text, whole
from aiba_entry.http.wire import Json

_Request = Request[Any, Any, Any]
TelegramId = Annotated[str, text(50)]
Delta = Annotated[int, whole(-MAX_DELTA, MAX_DELTA)]


class HoursBody(Body):
    """The hours of a UTC day at which an arena emits."""

    start_hour_utc: Annotated[int, whole(0, 24)]
    end_hour_utc: Annotated[int, whole(0, 24)]


def _setting(field: str, value: object) -> Any:  # noqa: ANN401 - a type
    if isinstance(value, bool):
        return bool | None
    if isinstance(value, int):
        low, high = RANGES.get(field, (0, MAX_AMOUNT))
        # What a client keeps in a double may come back above the highest amount, and unedited.
        bounds = whole(low, high) if high < MAX_AMOUNT else Meta(ge=low)
        return Annotated[int, bounds] | None
    if isinstance(value, Fraction):
        return Annotated[float, Meta(ge=0)] | None
    return dict[str, int] | None


def _config_body() -> type[Body]:
    """Make the body's type of the policy's fields, each of them optional, and the stamps."""
    policy = EconomyPolicy()
    kinds = {name: _setting(field, getattr(policy, field)) for name, field in PLAIN.items()}
    kinds |= {name: _setting("", getattr(policy.rewards, field)) for name, field in RATES.items()}
    kinds |= dict.fromkeys(("emissionStartHourUtc", "emissionEndHourUtc"), _hour())
    kinds["emissionWindowsUtc"] = dict[str, HoursBody] | None
    kinds |= {"_id": str | None, "__v": int | None, "version": int | None}
    kinds |= dict.fromkeys(("createdAt", "updatedAt", "oracleLastUpdatedAt"), str | None)
    kinds["oracleTonUsdAtUpdate"] = float | None
    attributes = {f"field_{place}": name for place, name in enumerate(kinds)}
    namespace = {
        "__module__": __name__,
        "__qualname__": "_Settings",
        "__annotations__": {field: kinds[name] for field, name in attributes.items()},
        **dict.fromkeys(attributes),
    }
    make = cast("Any", type(Body))
    made: type[Body] = make(
        "_Settings", (Body,), namespace, forbid_unknown_fields=False, rename=attributes
    )
    return made


def _hour() -> Any:  # noqa: ANN401 - a type
    """Return the type of an hour that may be absent."""
    return Annotated[int, whole(0, 24)] | None


_Settings: Any = _config_body()


class ConfigBody(_Settings):  # type: ignore[misc]
    """What of the configuration changes: some settings, or the whole document as it was edited."""


def _on_invalid_config(request: _Request, error: InvalidRequest) -> Reply:
    """Refuse entries of a map under the code that clients know, where nothing else is wrong."""
    fields = error.details or {}
    entries = [name for name, text in fields.items() if name in MAPS and text != "object"]
    if len(entries) < len(fields):
        code, details = error.code, fields
    else:
        code, details = f"invalid {entries[0]}", {entries[0]: fields[entries[0]]}
    return error_reply(error.status, code, context_of(request).request_id, details=details)


class CreditBody(Body):
    """Whom to give how much, or with a negative delta to take it from; and why."""

    request_id: RequestId | None = None
    telegram_id: TelegramId
    aiba_delta: Delta = 0
    neur_delta: Delta = 0
    reason: Annotated[str, text(200)] | None = None


class AdminEconomy(Controller):
    """The economy's routes for admins."""

    path = "/api/admin/economy"
    tags = ("admin",)
    security = SECURED

    @get(
        "/config",
        guards=[viewer],
        responses=documented(ConfigOut, 401, 403, 429, 503),
        operation_id="adminGetConfig",
    )
    async def config(self, request: _Request, queries: NamedDependency[Queries]) -> Reply:
        """Return the whole configuration document that is in force."""
        return data_reply(config_json(await queries.policy()), context_of(request).request_id)

    @patch(
        "/config",
        guards=[superadmin],
        responses=documented(ConfigOut, 400, 401, 403, 409, 413, 429, 503),
        exception_handlers=cast("ExceptionHandlersMap", {InvalidRequest: _on_invalid_config}),
        operation_id="adminChangeConfig",
    )
    async def change_config(
        self,
        data: JSONBody[ConfigBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Change some settings, or send the whole document back as it was edited."""
        del data  # judged; read once more below, with every digit and every name
        command = PatchConfig(document=_exactly(await request.body()))
        policy = (await pipeline.execute(admin.acting, command)).reply().policy
        return data_reply(config_json(policy), context_of(request).request_id)

    @get(
        "/config/history",
        guards=[viewer],
        responses=documented(ConfigHistoryOut, 400, 401, 403, 429, 503),
        operation_id="adminListConfigs",
    )
    async def history(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        before: Annotated[int | None, QueryParameter(ge=1, le=2**53)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    ) -> Reply:
        """List the versions of the configuration and what each changed, newest first."""
        found = list(await admin_queries.policies(before=before, limit=limit + 1))
        items = [
            _version_json(policy, found[place + 1] if place + 1 < len(found) else None)
            for place, policy in enumerate(found[:limit])
        ]
        more = found[limit - 1].version if len(found) > limit else None
        return data_reply({"items": items, "next": more}, context_of(request).request_id)

    @get(
        "/day",
        guards=[viewer],
        responses=documented(DayOut, 400, 401, 403, 429, 503),
        operation_id="adminGetDay",
    )
    async def day(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        day: Annotated[str, QueryParameter(max_length=20, description="YYYY-MM-DD, UTC")],
    ) -> Reply:
        """Return what a UTC day has emitted, and what was spent on it."""
        sums = await admin_queries.day(_day_of(day))
        return data_reply(day_json(sums), context_of(request).request_id)

    @post(
        "/credit-user",
        guards=[superadmin],
        status_code=200,
        responses=documented(CreditedOut, 400, 401, 403, 409, 413, 429, 503, flat=True),
        operation_id="adminCreditUser",
    )
    async def credit(
        self,
        data: JSONBody[CreditBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Give a player money, or take some; once under its requestId."""
        command = CreditUser(
            player_id=data.telegram_id,
            aiba_delta=data.aiba_delta,
            neur_delta=data.neur_delta,
            reason=data.reason or ADJUSTMENT,
        )
        answer = await pipeline.execute(admin.acting, command, key_of(request, data.request_id))
        reply = answer.reply()
        balances = {Currency.AIBA: reply.aiba, Currency.NEUR: reply.neur}
        user = user_json(PlayerFile(player=reply.player, balances=balances))
        fields: Json = {"user": user, "requestId": answer.key}
        if answer.replayed:
            fields["duplicate"] = True
        return flat_reply(fields, context_of(request).request_id)

    @get(
        "/ledger",
        guards=[viewer],
        responses=documented(list[LedgerRowOut], 400, 401, 403, 429, 503),
        operation_id="adminListLedger",
    )
    async def ledger(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        telegram_id: Annotated[str | None, QueryParameter(name="telegramId", max_length=50)] = None,
        account: Annotated[str | None, QueryParameter(max_length=80)] = None,
        currency: Annotated[Currency | None, QueryParameter()] = None,
        reason: Annotated[str | None, QueryParameter(max_length=200)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
    ) -> Reply:
        """List the newest rows of the ledger, of a player or another account, or of all.

        Currency and reason choose among the newest 2,000 postings of the account.
        """
        place = _account_of(telegram_id, account)
        wanted = query_text(reason, "reason")
        is_chosen = currency is not None or wanted is not None
        found = await admin_queries.movements(place, limit=_SEARCHED if is_chosen else limit)
        rows = [
            row
            for movement in found
            if currency in (None, movement.posting.currency)
            and wanted in (None, movement.posting.reason)
            for row in ledger_rows(movement, place)
        ]
        return data_reply(rows[:limit], context_of(request).request_id)

    @get(
        "/simulate",
        guards=[viewer],
        responses=documented(ForecastOut, 400, 401, 403, 429, 503),
        operation_id="adminSimulate",
    )
    async def simulate(
        self,
        request: _Request,
        forecasts: NamedDependency[ForecastDesk],
        days: Annotated[int, QueryParameter(ge=1, le=MAX_DAYS)] = 30,
        players: Annotated[int, QueryParameter(ge=1, le=MAX_PLAYERS)] = 500,
        avg_battles: Annotated[int, QueryParameter(name="avgBattles", ge=1, le=MAX_AVERAGE)] = 10,
        seed: Annotated[int, QueryParameter(ge=0, le=2**32 - 1)] = 1,
    ) -> Reply:
        """Forecast emission by battles of made-up players, under the rules and caps in force."""
        scenario = Scenario(days=days, players=players, average=avg_battles, seed=seed)
        told = await forecasts.tell(scenario)
        return data_reply(forecast_json(told), context_of(request).request_id)


_SEARCHED: Final = 2_000
"""Among how many of an account's newest postings a currency or a reason is looked for."""


def _exactly(raw: bytes) -> Mapping[str, object]:
    """Read a body that was judged already, with every digit of its numbers; blanks are absent."""
    document: Mapping[str, object] = json.loads(raw or b"{}", parse_float=Decimal)
    return {
        name: value
        for name, value in document.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }


def _version_json(policy: EconomyPolicy, before: EconomyPolicy | None) -> Json:
    was = settings_of(before) if before else {}
    changed = {name: value for name, value in settings_of(policy).items() if was.get(name) != value}
    return {
        "version": policy.version,
        "effectiveAt": iso(policy.effective_at),
        "changed": plain_numbers(changed) if before else {},
    }


def _day_of(day: str) -> str:
    """Return a day key, or raise InvalidRequest."""
    day = query_text(day, "day") or ""
    try:
        day_number(day)
    except ValueError:
        raise InvalidRequest({"day": "date"}) from None
    return day


def _account_of(telegram_id: str | None, account: str | None) -> str | None:
    """Return the account that is asked for, or raise InvalidRequest naming what can't be."""
    player, named = query_text(telegram_id, "telegramId"), query_text(account, "account")
    if player is not None and named is not None:
        raise InvalidRequest({"account": "beside telegramId"})
    if named is not None and named.startswith(("emission:", "sink:")):
        raise InvalidRequest({"account": "of a day: see /api/admin/economy/day"})
    return player_account(player) if player is not None else named
