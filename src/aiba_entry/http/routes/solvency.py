"""Solvency: what is owed by the ledger against what the vault holds. Public."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency

from aiba_domain.application.solvency import Liabilities
from aiba_domain.instants import iso
from aiba_domain.money import Currency
from aiba_entry.edge_settings import CHAIN
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import allow_anyone, count_address
from aiba_entry.solvency import Assets, SolvencyDesk


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class LiabilitiesOut(_Out):
    """What is owed after the entry `entry` of the ledger, each amount by currency, as texts.

    `held` is money that nobody can spend here yet, `claims` withdrawals under way; `operator` is
    the operator's own and no liability. `totalAiba` is all AIBA owed, `withdrawableAiba` the part
    of players and of withdrawals. `head` is the hash of the ledger's checkpoint that tells it, and
    `auditedAt` when the audit last went round: if that is long ago, more may be owed.
    """

    checkpoint: int
    entry: int
    at: str
    head: str
    audited_at: str | None
    players: dict[str, str]
    guilds: dict[str, str]
    held: dict[str, str]
    claims: dict[str, str]
    operator: dict[str, str]
    total_aiba: str
    withdrawable_aiba: str


class AssetsOut(_Out):
    """What the vault held in the masterchain block `blockSeqno` or later; `gasOk`: TON enough."""

    vault_address: str
    jettons: str
    ton_nano: str
    min_ton_nano: str
    gas_ok: bool
    block_seqno: int
    block_time: str


class SolvencyOut(_Out):
    """Both sides; what isn't known is null, and `status` says why."""

    status: Literal["ok", "no_vault", "chain_unavailable", "not_audited"]
    computed_at: str
    solvent: bool | None
    ratio_bps: str | None
    liabilities: LiabilitiesOut | None
    assets: AssetsOut | None


class SolvencyRoutes(Controller):
    """The route of solvency."""

    path = "/api/solvency"
    tags = ("economy",)
    guards = (allow_anyone, count_address(CHAIN))

    @get(
        "/",
        responses=documented(SolvencyOut, 429, 503),
        operation_id="getSolvency",
    )
    async def solvency(
        self, request: Request[Any, Any, Any], solvency: NamedDependency[SolvencyDesk]
    ) -> Reply:
        """Return what is owed, and what the vault holds on the chain.

        Computed twice a minute at the most, as `computedAt` says. `ratioBps` is the vault's jettons
        in basis points of the AIBA owed, rounded down.
        """
        seen = await solvency.look()
        out = SolvencyOut(
            status=seen.status.value,
            computed_at=iso(seen.at),
            solvent=seen.solvent,
            ratio_bps=None if seen.ratio_bps is None else str(seen.ratio_bps),
            liabilities=_liabilities(seen.owed) if seen.owed else None,
            assets=_assets(seen.assets) if seen.assets else None,
        )
        return data_reply(out, context_of(request).request_id)


def _liabilities(owed: Liabilities) -> LiabilitiesOut:
    own = {
        currency: sum(held.get(currency, 0) for held in owed.own.values()) for currency in Currency
    }
    return LiabilitiesOut(
        checkpoint=owed.checkpoint,
        entry=owed.entry,
        at=iso(owed.at),
        head=owed.head,
        audited_at=None if owed.audited_at is None else iso(owed.audited_at),
        players=_texts(owed.owed["player"]),
        guilds=_texts(owed.owed["guild"]),
        held=_texts(owed.owed["held"]),
        claims=_texts(owed.owed["claims"]),
        operator=_texts(own),
        total_aiba=str(owed.aiba),
        withdrawable_aiba=str(owed.aiba_withdrawable),
    )


def _assets(assets: Assets) -> AssetsOut:
    held = assets.held
    return AssetsOut(
        vault_address=assets.vault,
        jettons=str(held.jettons),
        ton_nano=str(held.ton_nano),
        min_ton_nano=str(assets.min_ton_nano),
        gas_ok=held.ton_nano >= assets.min_ton_nano,
        block_seqno=assets.block,
        block_time=iso(assets.time_s * 1_000),
    )


def _texts(held: Mapping[Currency, int]) -> dict[str, str]:
    return {currency.value: str(amount) for currency, amount in held.items()}
