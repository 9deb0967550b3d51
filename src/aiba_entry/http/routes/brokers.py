"""Brokers: the free one, the player's own, and what changes them."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.brokers.commands import (
    BrokerReply,
    Combine,
    GetStarter,
    Repair,
    Train,
    Upgrade,
)
from aiba_domain.brokers.mint_commands import MintBroker
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Command
from aiba_domain.money import Currency
from aiba_entry.edge_settings import PAYMENT
from aiba_entry.http.acting import acting, key_of
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import (
    BoughtBrokerOut,
    BrokerOut,
    MintOrderOut,
    NeurBrokerOut,
    UpgradedOut,
)
from aiba_entry.http.envelope import Reply, data_reply, documented, flat_reply
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import count_player, principal_of, require_player
from aiba_entry.http.validation import Body, ObjectId, RequestId, text
from aiba_entry.http.wire import broker_json
from aiba_entry.shop import BrokerShop

_BALANCE = {Currency.NEUR: "neurBalance", Currency.AIBA: "aibaBalance"}


class KeyBody(Body):
    """A body that may bring an idempotency key and nothing else."""

    request_id: RequestId | None = None


class PaymentBody(Body):
    """The hash of the transaction that pays, as hex or base64."""

    tx_hash: Annotated[str, text(200)]


class StatBody(Body):
    """A broker and the stat to raise; without one the answer is `invalid stat`."""

    request_id: RequestId | None = None
    broker_id: ObjectId
    stat: Stat | None = None

    def wanted(self) -> Stat:
        """Return the stat, or raise ApiError with the code that clients know."""
        if self.stat is None:
            raise ApiError("invalid stat", details={"stat": "required"})
        return self.stat


class BrokerBody(Body):
    """A broker."""

    request_id: RequestId | None = None
    broker_id: ObjectId


class CombineBody(Body):
    """The broker that stays and the one that goes into it."""

    request_id: RequestId | None = None
    base_broker_id: ObjectId
    sacrifice_broker_id: ObjectId


class Brokers(Controller):
    """The routes of brokers."""

    path = "/api/brokers"
    tags = ("brokers",)
    guards = (require_player,)

    @get(
        "/mine", responses=documented(list[BrokerOut], 401, 429, 503), operation_id="listMyBrokers"
    )
    async def mine(
        self, request: Request[Any, Any, Any], queries: NamedDependency[Queries]
    ) -> Reply:
        """List the caller's brokers, newest first."""
        brokers = await queries.brokers(principal_of(request).player_id)
        return data_reply([broker_json(each) for each in brokers], context_of(request).request_id)

    @post(
        "/starter",
        status_code=201,
        responses=documented(BrokerOut, 400, 401, 403, 409, 413, 429, 503, status=201),
        operation_id="getStarterBroker",
    )
    async def starter(
        self,
        data: JSONBody[KeyBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Get the free broker, once for every player."""
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(acting(request), GetStarter(), key)).reply()
        return data_reply(broker_json(reply.broker), context_of(request).request_id, 201)

    @post(
        "/create-with-ton",
        guards=[count_player(PAYMENT)],
        status_code=201,
        responses=documented(BoughtBrokerOut, 400, 401, 403, 409, 413, 429, 503, status=201),
        operation_id="createBrokerWithTon",
    )
    async def create_with_ton(
        self,
        data: JSONBody[PaymentBody],
        request: Request[Any, Any, Any],
        shop: NamedDependency[BrokerShop],
    ) -> Reply:
        """Get a broker for a payment in TON; the same transaction gives the same answer again."""
        bought = await shop.buy(acting(request), data.tx_hash)
        out = {
            "broker": broker_json(bought.broker),
            "listed": True,
            "defaultPriceAIBA": bought.listing.price_aiba,
            "message": "Broker created and listed on marketplace (visible globally).",
        }
        return data_reply(out, context_of(request).request_id, 201)

    @post(
        "/train",
        status_code=200,
        responses=documented(NeurBrokerOut, 400, 401, 403, 404, 409, 413, 429, 503, flat=True),
        operation_id="trainBroker",
    )
    async def train(
        self,
        data: JSONBody[StatBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Pay NEUR for one more point of a stat."""
        command = Train(broker_id=data.broker_id, stat=data.wanted())
        return await _paid(pipeline, request, command, data.request_id)

    @post(
        "/repair",
        status_code=200,
        responses=documented(NeurBrokerOut, 400, 401, 403, 404, 409, 413, 429, 503, flat=True),
        operation_id="repairBroker",
    )
    async def repair(
        self,
        data: JSONBody[BrokerBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Pay NEUR for full energy and no cooldowns."""
        command = Repair(broker_id=data.broker_id)
        return await _paid(pipeline, request, command, data.request_id)

    @post(
        "/upgrade",
        status_code=200,
        responses=documented(UpgradedOut, 400, 401, 403, 404, 409, 413, 429, 503, flat=True),
        operation_id="upgradeBroker",
    )
    async def upgrade(
        self,
        data: JSONBody[StatBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Pay AIBA for a level and two points of a stat."""
        command = Upgrade(broker_id=data.broker_id, stat=data.wanted())
        return await _paid(pipeline, request, command, data.request_id)

    @post(
        "/combine",
        status_code=200,
        responses=documented(NeurBrokerOut, 400, 401, 403, 404, 409, 413, 429, 503, flat=True),
        operation_id="combineBrokers",
    )
    async def combine(
        self,
        data: JSONBody[CombineBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Pay NEUR to merge one broker into another; the sacrificed one is gone."""
        command = Combine(
            base_broker_id=data.base_broker_id, sacrifice_broker_id=data.sacrifice_broker_id
        )
        return await _paid(pipeline, request, command, data.request_id)

    @post(
        "/mint-nft",
        status_code=201,
        responses=documented(
            MintOrderOut, 400, 401, 403, 404, 409, 413, 429, 503, status=201, flat=True
        ),
        operation_id="mintBroker",
    )
    async def mint(
        self,
        data: JSONBody[BrokerBody],
        request: Request[Any, Any, Any],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Pay AIBA for an NFT of a broker; an order that fails is given back."""
        command = MintBroker(broker_id=data.broker_id)
        answer = await pipeline.execute(acting(request), command, key_of(request, data.request_id))
        reply = answer.reply()
        out = {
            "jobId": reply.job.id,
            "brokerId": reply.job.broker_id,
            "aibaPaid": reply.job.aiba_paid,
            "aibaBalance": reply.balance,
            "message": "Mint job created. NFT will be minted and linked to your broker soon.",
            "requestId": answer.key,
        }
        return flat_reply(out, context_of(request).request_id, 201)


async def _paid(
    pipeline: Pipeline,
    request: Request[Any, Any, Any],
    command: Command[BrokerReply],
    request_id: str | None,
) -> Reply:
    """Execute a paid command and answer the broker, the balance left, and the key."""
    answer = await pipeline.execute(acting(request), command, key_of(request, request_id))
    reply = answer.reply()
    fields: dict[str, object] = {"broker": broker_json(reply.broker), "requestId": answer.key}
    if reply.currency is not None:
        fields[_BALANCE[reply.currency]] = reply.balance
    return flat_reply(fields, context_of(request).request_id)
