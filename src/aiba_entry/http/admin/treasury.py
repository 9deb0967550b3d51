"""Admins' routes of what the operator holds, of the oracle, and of the cap's automation."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.decision import Refused
from aiba_domain.economy.automation import ALLOCATION_PCT, allocation
from aiba_domain.economy.config_commands import AdjustCap, SetRates
from aiba_domain.economy.oracle import current_rate
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.treasury_commands import MAX_DELTA, Fund, Pot
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_entry.http.acting import key_of
from aiba_entry.http.admin.documents import SECURED, ConfigOut, config_json
from aiba_entry.http.admin.guard import superadmin, viewer
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.validation import Body, EmptyBody, RequestId, whole
from aiba_entry.http.wire import Json, date, number
from aiba_entry.oracle import RateDesk

_Request = Request[Any, Any, Any]
_Delta = Annotated[int, whole(-MAX_DELTA, MAX_DELTA)]
_Rate = Annotated[int, whole(0, MAX_AMOUNT)]


class FundBody(Body):
    """How much to bring in, or with a negative delta to take out."""

    request_id: RequestId | None = None
    aiba_delta: _Delta = 0
    neur_delta: _Delta = 0


class RatesBody(Body):
    """The oracle's rates, in whole units; what is left out stays."""

    oracle_aiba_per_ton: _Rate | None = None
    oracle_neur_per_aiba: _Rate | None = None


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class TreasuryOut(_Out):
    """What the treasury holds, and what left for the chain."""

    balance_aiba: int
    balance_neur: int
    cancelled_stakes_aiba: int
    total_paid_out_aiba: int
    total_paid_out_neur: int


class ReserveOut(_Out):
    """What the stability reserve holds. TON isn't of the ledger, so none is held here."""

    aiba_balance: int
    neur_balance: int
    ton_balance_nano: str


class BuybackOut(_Out):
    """What is set aside to buy AIBA back, and what was brought in for it."""

    aiba_balance: int
    neur_balance: int
    total_bought_back_aiba: int


class OpsMetricsOut(_Out):
    """What operators brought in, less what they took out, in AIBA by what for."""

    summary: dict[str, int]
    summary_neur: dict[str, int]


class OracleOut(_Out):
    """The oracle's rates and settings; `usable` says whether a price may be made by it now."""

    oracle_aiba_per_ton: int
    oracle_neur_per_aiba: int
    oracle_auto_update_enabled: bool
    oracle_update_interval_minutes: int
    oracle_max_age_minutes: int
    oracle_aiba_usd: float
    oracle_min_aiba_per_ton: int
    oracle_max_aiba_per_ton: int
    oracle_fallback_aiba_per_ton: int
    oracle_last_updated_at: str | None
    oracle_ton_usd_at_update: float
    usable: bool
    refusal: str | None


class RateOut(_Out):
    """What an update of the oracle set."""

    oracle_aiba_per_ton: int
    ton_usd: float | None
    aiba_usd: float | None
    used_fallback: bool
    auto_enabled: bool


class CapOut(_Out):
    """What cap automation did."""

    adjusted: bool
    cap: int | msgspec.UnsetType = msgspec.UNSET
    previous: int | msgspec.UnsetType = msgspec.UNSET


class AllocationOut(_Out):
    """How the supply is divided: in percent, and in whole AIBA."""

    vault_pct: int
    treasury_pct: int
    staking_pct: int
    team_pct: int
    ecosystem_pct: int
    community_pct: int
    vault_amount: int
    treasury_amount: int
    staking_amount: int
    team_amount: int
    ecosystem_amount: int
    community_amount: int


def treasury_json(held: Mapping[Currency, int], chain: Mapping[Currency, int]) -> Json:
    """Return what the treasury holds. Nothing is staked here, so no stake was cancelled."""
    return {
        "balanceAiba": held.get(Currency.AIBA, 0),
        "balanceNeur": held.get(Currency.NEUR, 0),
        "cancelledStakesAiba": 0,
        "totalPaidOutAiba": max(0, chain.get(Currency.AIBA, 0)),
        "totalPaidOutNeur": max(0, chain.get(Currency.NEUR, 0)),
    }


class AdminTreasury(Controller):
    """The routes of treasury, reserve and buyback."""

    path = "/api/admin/treasury"
    tags = ("admin",)
    security = SECURED

    @get(
        "/",
        guards=[viewer],
        responses=documented(TreasuryOut, 401, 403, 429, 503),
        operation_id="adminGetTreasury",
    )
    async def treasury(
        self, request: _Request, admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """Return what the treasury holds."""
        return await _pot(Pot.TREASURY, request, admin_queries)

    @post(
        "/fund",
        guards=[superadmin],
        status_code=200,
        responses=documented(TreasuryOut, 400, 401, 403, 409, 413, 429, 503),
        operation_id="adminFundTreasury",
    )
    async def fund(
        self,
        data: JSONBody[FundBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Bring money into the treasury, or take some out; once under its requestId."""
        await _fund(Pot.TREASURY, data, request, admin, pipeline)
        return await _pot(Pot.TREASURY, request, admin_queries)

    @get(
        "/reserve",
        guards=[viewer],
        responses=documented(ReserveOut, 401, 403, 429, 503),
        operation_id="adminGetReserve",
    )
    async def reserve(
        self, request: _Request, admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """Return what the stability reserve holds."""
        return await _pot(Pot.RESERVE, request, admin_queries)

    @post(
        "/reserve/fund",
        guards=[superadmin],
        status_code=200,
        responses=documented(ReserveOut, 400, 401, 403, 409, 413, 429, 503),
        operation_id="adminFundReserve",
    )
    async def fund_reserve(
        self,
        data: JSONBody[FundBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Bring money into the reserve, or take some out; once under its requestId."""
        await _fund(Pot.RESERVE, data, request, admin, pipeline)
        return await _pot(Pot.RESERVE, request, admin_queries)

    @get(
        "/buyback",
        guards=[viewer],
        responses=documented(BuybackOut, 401, 403, 429, 503),
        operation_id="adminGetBuyback",
    )
    async def buyback(
        self, request: _Request, admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """Return what is set aside to buy AIBA back."""
        return await _pot(Pot.BUYBACK, request, admin_queries)

    @post(
        "/buyback/fund",
        guards=[superadmin],
        status_code=200,
        responses=documented(BuybackOut, 400, 401, 403, 409, 413, 429, 503),
        operation_id="adminFundBuyback",
    )
    async def fund_buyback(
        self,
        data: JSONBody[FundBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
        admin_queries: NamedDependency[AdminQueries],
    ) -> Reply:
        """Set money aside to buy AIBA back, or take some out; once under its requestId."""
        await _fund(Pot.BUYBACK, data, request, admin, pipeline)
        return await _pot(Pot.BUYBACK, request, admin_queries)

    @patch(
        "/oracle",
        guards=[superadmin],
        responses=documented(ConfigOut, 400, 401, 403, 413, 429, 503),
        operation_id="adminSetOracle",
    )
    async def set_oracle(
        self,
        data: JSONBody[RatesBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Set the oracle's rates by hand."""
        command = SetRates(
            aiba_per_ton=data.oracle_aiba_per_ton, neur_per_aiba=data.oracle_neur_per_aiba
        )
        policy = (await pipeline.execute(admin.acting, command)).reply().policy
        return data_reply(config_json(policy), context_of(request).request_id)


class AdminTreasuryOps(Controller):
    """The route of what operators brought in."""

    path = "/api/admin/treasury-ops"
    tags = ("admin",)
    security = SECURED

    @get(
        "/metrics",
        guards=[viewer],
        responses=documented(OpsMetricsOut, 401, 403, 429, 503),
        operation_id="adminGetTreasuryOps",
    )
    async def metrics(
        self, request: _Request, admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """Return what operators brought in by what for: the balances of those accounts."""
        found = await admin_queries.brought_in()
        out = {
            "summary": {name: held.get(Currency.AIBA, 0) for name, held in found.items()},
            "summaryNeur": {name: held.get(Currency.NEUR, 0) for name, held in found.items()},
        }
        return data_reply(out, context_of(request).request_id)


class AdminOracle(Controller):
    """The routes of the price updater."""

    path = "/api/admin/oracle"
    tags = ("admin",)
    security = SECURED

    @get(
        "/status",
        guards=[viewer],
        responses=documented(OracleOut, 401, 403, 429, 503),
        operation_id="adminGetOracle",
    )
    async def status(
        self,
        request: _Request,
        queries: NamedDependency[Queries],
        rates: NamedDependency[RateDesk],
    ) -> Reply:
        """Return the oracle's rates, when they were updated, and whether they may be used."""
        out = _oracle_json(await queries.policy(), rates.now())
        return data_reply(out, context_of(request).request_id)

    @post(
        "/update",
        guards=[superadmin],
        status_code=200,
        responses=documented(RateOut, 400, 401, 403, 413, 429, 503),
        operation_id="adminUpdateOracle",
    )
    async def update(
        self,
        data: JSONBody[EmptyBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        rates: NamedDependency[RateDesk],
    ) -> Reply:
        """Ask the market for the price of a TON and set the rate by it, or by the fallback."""
        del data
        updated = await rates.update(admin.acting)
        out = {
            "oracleAibaPerTon": updated.policy.oracle_aiba_per_ton,
            "tonUsd": None if updated.ton_usd is None else float(updated.ton_usd),
            "aibaUsd": None if updated.aiba_usd is None else float(updated.aiba_usd),
            "usedFallback": updated.is_fallback,
            "autoEnabled": updated.policy.oracle_auto_update_enabled,
        }
        return data_reply(out, context_of(request).request_id)


class AdminAutomation(Controller):
    """The routes of cap automation."""

    path = "/api/admin/economy-automation"
    tags = ("admin",)
    security = SECURED

    @post(
        "/run",
        guards=[superadmin],
        status_code=200,
        responses=documented(CapOut, 400, 401, 403, 413, 429, 503),
        operation_id="adminAdjustCap",
    )
    async def run(
        self,
        data: JSONBody[EmptyBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Set the day's AIBA cap by the yearly target, if automation is on."""
        del data
        reply = (await pipeline.execute(admin.acting, AdjustCap())).reply()
        out: Json = {"adjusted": reply.previous is not None}
        if reply.cap is not None:
            out["cap"] = reply.cap
        if reply.previous is not None:
            out["previous"] = reply.previous
        return data_reply(out, context_of(request).request_id)

    @get(
        "/allocation",
        guards=[viewer],
        responses=documented(AllocationOut, 401, 403, 429, 503),
        operation_id="adminGetAllocation",
    )
    async def allocated(self, request: _Request) -> Reply:
        """Return how the supply is divided."""
        out: Json = {f"{name}Pct": percent for name, percent in ALLOCATION_PCT.items()}
        out |= {f"{name}Amount": amount for name, amount in allocation().items()}
        return data_reply(out, context_of(request).request_id)


async def _fund(
    pot: Pot, data: FundBody, request: _Request, admin: AdminPrincipal, pipeline: Pipeline
) -> None:
    command = Fund(pot=pot, aiba_delta=data.aiba_delta, neur_delta=data.neur_delta)
    (await pipeline.execute(admin.acting, command, key_of(request, data.request_id))).reply()


async def _pot(pot: Pot, request: _Request, queries: AdminQueries) -> Reply:
    """Answer what a pot holds now."""
    held = await queries.pot(pot)
    aiba, neur = held.get(Currency.AIBA, 0), held.get(Currency.NEUR, 0)
    out: Json = {"aibaBalance": aiba, "neurBalance": neur}
    if pot is Pot.TREASURY:
        out = treasury_json(held, await queries.paid_out())
    elif pot is Pot.RESERVE:
        out["tonBalanceNano"] = "0"
    else:
        out["totalBoughtBackAiba"] = 0
    return data_reply(out, context_of(request).request_id)


def _oracle_json(policy: EconomyPolicy, now: int) -> Json:
    rate = current_rate(policy, now)
    return {
        "oracleAibaPerTon": policy.oracle_aiba_per_ton,
        "oracleNeurPerAiba": policy.oracle_neur_per_aiba,
        "oracleAutoUpdateEnabled": policy.oracle_auto_update_enabled,
        "oracleUpdateIntervalMinutes": policy.oracle_update_interval_minutes,
        "oracleMaxAgeMinutes": policy.oracle_max_age_minutes,
        "oracleAibaUsd": number(policy.oracle_aiba_usd),
        "oracleMinAibaPerTon": policy.oracle_min_aiba_per_ton,
        "oracleMaxAibaPerTon": policy.oracle_max_aiba_per_ton,
        "oracleFallbackAibaPerTon": policy.oracle_fallback_aiba_per_ton,
        "oracleLastUpdatedAt": date(policy.oracle_last_updated_at or None),
        "oracleTonUsdAtUpdate": number(policy.oracle_ton_usd_at_update),
        "usable": not isinstance(rate, Refused),
        "refusal": rate.code if isinstance(rate, Refused) else None,
    }


TREASURY_ROUTES: tuple[ControllerRouterHandler, ...] = (
    AdminTreasury,
    AdminTreasuryOps,
    AdminOracle,
    AdminAutomation,
)
"""The routes of what the operator holds and prices."""
