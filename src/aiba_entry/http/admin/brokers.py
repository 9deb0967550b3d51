"""Admins' routes of brokers and of their minting."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.brokers.mint_commands import CompleteMint, FailMint, LinkNft, Nft
from aiba_domain.brokers.minting import MintStatus
from aiba_domain.money import MAX_AMOUNT
from aiba_entry.http.acting import key_of
from aiba_entry.http.admin.documents import SECURED, MintJobOut, mint_job_json
from aiba_entry.http.admin.guard import operator, superadmin, viewer
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import BrokerOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.validation import Body, RequestId, object_id, query_text, text, whole
from aiba_entry.http.wire import broker_json

_Request = Request[Any, Any, Any]
_BROKERS = 200
_JOBS = 100


class NftBody(Body):
    """An NFT on the chain."""

    request_id: RequestId | None = None
    nft_collection_address: Annotated[str, text(200)]
    nft_item_address: Annotated[str, text(200)]
    nft_item_index: Annotated[int, whole(0, MAX_AMOUNT)] | None = None
    metadata_uri: Annotated[str, text(500)] | None = None

    def nft(self) -> Nft:
        """Return what is linked."""
        return Nft(
            collection_address=self.nft_collection_address,
            item_address=self.nft_item_address,
            index=self.nft_item_index,
            metadata_uri=self.metadata_uri or "",
        )


class FailBody(Body):
    """Why a mint job is given up."""

    request_id: RequestId | None = None
    reason: Annotated[str, text(500)]


class AdminBrokers(Controller):
    """The routes of brokers and mint jobs for admins."""

    path = "/api/admin/brokers"
    tags = ("admin",)
    security = SECURED

    @get(
        "/",
        guards=[viewer],
        responses=documented(list[BrokerOut], 400, 401, 403, 429, 503),
        operation_id="adminListBrokers",
    )
    async def list_all(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        owner: Annotated[str | None, QueryParameter(name="ownerTelegramId", max_length=50)] = None,
        minted: Annotated[bool | None, QueryParameter()] = None,
    ) -> Reply:
        """List the newest brokers, of a player or of all, minted or not."""
        found = await admin_queries.brokers(
            owner=query_text(owner, "ownerTelegramId"), minted=minted, limit=_BROKERS
        )
        return data_reply([broker_json(each) for each in found], context_of(request).request_id)

    @post(
        "/{broker_id:str}/link-nft",
        guards=[operator],
        status_code=200,
        responses=documented(BrokerOut, 400, 401, 403, 404, 409, 413, 429, 503),
        operation_id="adminLinkNft",
    )
    async def link(
        self,
        broker_id: FromPath[str],
        data: JSONBody[NftBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Link a broker to an NFT that no other broker has."""
        command = LinkNft(broker_id=object_id(broker_id), nft=data.nft())
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(admin.acting, command, key)).reply()
        return data_reply(broker_json(reply.broker), context_of(request).request_id)

    @get(
        "/mint-jobs",
        guards=[viewer],
        responses=documented(list[MintJobOut], 400, 401, 403, 429, 503),
        operation_id="adminListMintJobs",
    )
    async def jobs(
        self,
        request: _Request,
        admin_queries: NamedDependency[AdminQueries],
        status: Annotated[MintStatus | None, QueryParameter()] = None,
    ) -> Reply:
        """List the newest mint jobs, of one status or of any."""
        found = await admin_queries.mint_jobs(status=status, limit=_JOBS)
        return data_reply([mint_job_json(job) for job in found], context_of(request).request_id)

    @post(
        "/mint-jobs/{job_id:str}/complete",
        guards=[operator],
        status_code=200,
        responses=documented(MintJobOut, 400, 401, 403, 404, 409, 413, 429, 503),
        operation_id="adminCompleteMint",
    )
    async def complete(
        self,
        job_id: FromPath[str],
        data: JSONBody[NftBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Say that a job's NFT is minted, and link it to its broker."""
        command = CompleteMint(job_id=object_id(job_id), nft=data.nft())
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(admin.acting, command, key)).reply()
        return data_reply(mint_job_json(reply.job), context_of(request).request_id)

    @post(
        "/mint-jobs/{job_id:str}/fail",
        guards=[superadmin],
        status_code=200,
        responses=documented(MintJobOut, 400, 401, 403, 404, 409, 413, 429, 503),
        operation_id="adminFailMint",
    )
    async def fail(
        self,
        job_id: FromPath[str],
        data: JSONBody[FailBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Give a job up, and the player back what was paid for it."""
        command = FailMint(job_id=object_id(job_id), reason=data.reason)
        key = key_of(request, data.request_id)
        reply = (await pipeline.execute(admin.acting, command, key)).reply()
        return data_reply(mint_job_json(reply.job), context_of(request).request_id)
