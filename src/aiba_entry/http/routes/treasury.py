"""The treasury, as anyone may see it."""

from typing import Any

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.economy.ledger import TREASURY
from aiba_domain.economy.treasury_commands import Pot
from aiba_domain.ids import derive_id
from aiba_domain.instants import iso
from aiba_domain.money import Currency
from aiba_domain.ports import Movement
from aiba_entry.http.admin.treasury import TreasuryOut, treasury_json
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import allow_anyone
from aiba_entry.http.wire import Json

_OPS = 200
_Request = Request[Any, Any, Any]


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class TreasuryOpOut(_Out):
    """One movement of AIBA into the treasury, or with a negative amount out of it."""

    id: str = msgspec.field(name="_id")
    type: str
    amount_aiba: int
    source: str
    ref_id: str
    created_at: str


class TreasuryOpsOut(_Out):
    """The newest movements of the treasury."""

    ops: list[TreasuryOpOut]


class Treasury(Controller):
    """The public routes of the treasury."""

    path = "/api/treasury"
    tags = ("economy",)
    guards = (allow_anyone,)

    @get("/summary", responses=documented(TreasuryOut, 429, 503), operation_id="getTreasurySummary")
    async def summary(
        self, request: _Request, admin_queries: NamedDependency[AdminQueries]
    ) -> Reply:
        """Return what the treasury holds, and what was paid out to the chain."""
        held = await admin_queries.pot(Pot.TREASURY)
        out = treasury_json(held, await admin_queries.paid_out())
        return data_reply(out, context_of(request).request_id)

    @get("/ops", responses=documented(TreasuryOpsOut, 429, 503), operation_id="listTreasuryOps")
    async def ops(self, request: _Request, admin_queries: NamedDependency[AdminQueries]) -> Reply:
        """List the newest movements of AIBA from and to the treasury, and what for.

        Nobody is named: neither who moved it nor whose account was on the other side.
        """
        found = await admin_queries.treasury_movements(_OPS)
        ops = [_op_json(each) for each in found if each.posting.currency is Currency.AIBA]
        return data_reply({"ops": ops}, context_of(request).request_id)


def _op_json(movement: Movement) -> Json:
    posting = movement.posting
    came = posting.credit == TREASURY
    reference = derive_id("treasury op", posting.source_type, posting.source_id)
    return {
        "_id": derive_id("treasury row", reference, str(movement.at), posting.reason, str(came)),
        "type": posting.source_type,
        "amountAiba": posting.amount if came else -posting.amount,
        "source": (posting.debit if came else posting.credit).partition(":")[0],
        "refId": reference,
        "createdAt": iso(movement.at),
    }
