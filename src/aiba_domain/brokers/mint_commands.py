"""The commands of minting: a player orders an NFT of a broker, operators link it or give up.

The price goes into a sink; a job that fails gives exactly that back, once, by a posting out of the
operator's account for refunds, since what is in a sink never comes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiba_domain.administration.model import AuditChange
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.brokers.commands import usable
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.economy.ledger import Posting, operator_account, player_account
from aiba_domain.economy.spending import Price, pay, unaffordable
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.ports import Reader

SOURCE = "broker_mint_nft"
ARENA = "mint"
REFUND = "broker_mint_refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class MintReply:
    """A mint job, and the balance that the player was left with."""

    job: MintJob
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReply:
    """A mint job after it was completed or given up."""

    job: MintJob


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReply:
    """A broker after it was linked."""

    broker: Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Nft:
    """An NFT on the chain: its collection, the item, and where they are known, index and URI."""

    collection_address: str
    item_address: str
    index: int | None = None
    metadata_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MintBroker(Command[MintReply]):
    """Pay AIBA for an NFT of a broker."""

    broker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteMint(Command[JobReply]):
    """Say that a job's NFT is minted, and link it."""

    job_id: str
    nft: Nft


@dataclass(frozen=True, slots=True, kw_only=True)
class FailMint(Command[JobReply]):
    """Give a job up and give the player back what was paid for it."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkNft(Command[LinkReply]):
    """Link a broker to an NFT, whoever minted it."""

    broker_id: str
    nft: Nft


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an order loads."""

    broker: Broker | None
    job: MintJob | None
    balances: Mapping[Currency, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """What the end of a job, or a link, loads. `holder` is the broker that has the NFT already."""

    job: MintJob | None = None
    broker: Broker | None = None
    holder: Broker | None = None


async def load_order(command: MintBroker, context: Context, read: Reader) -> Order:
    """Load the broker, its open job, and the player's balances."""
    return Order(
        broker=await read.broker(command.broker_id),
        job=await read.mint_job_of(command.broker_id),
        balances=await read.balances(player_account(context.principal.id)),
    )


async def load_job(command: CompleteMint | FailMint, _context: Context, read: Reader) -> Mint:
    """Load the job, its broker, and who has the NFT."""
    job = await read.mint_job(command.job_id)
    item = command.nft.item_address if isinstance(command, CompleteMint) else ""
    return Mint(
        job=job,
        broker=await read.broker(job.broker_id) if job else None,
        holder=await read.broker_of_nft(item) if item else None,
    )


async def load_link(command: LinkNft, _context: Context, read: Reader) -> Mint:
    """Load the broker, its open job, and who has the NFT."""
    return Mint(
        job=await read.mint_job_of(command.broker_id),
        broker=await read.broker(command.broker_id),
        holder=await read.broker_of_nft(command.nft.item_address),
    )


def decide_mint(
    state: Order, command: MintBroker, context: Context
) -> Accepted[MintReply] | Refused:
    """Take the price and open the job, all or nothing; a broker has one at a time."""
    broker = usable(state.broker, context)
    if isinstance(broker, Refused):
        return broker
    if broker.nft_item_address:
        return Refused(code="broker already has NFT")
    if state.job is not None:
        return Refused(code="mint already in progress", details={"jobId": state.job.id})
    price = Price(
        currency=Currency.AIBA,
        amount=context.policy.mint_aiba_cost,
        reason=SOURCE,
        arena=ARENA,
        source_type=SOURCE,
    )
    if refusal := unaffordable(price, state.balances):
        return refusal
    payment = pay(context.acting_player(), price, context)
    job = MintJob(
        id=derive_id("mint", context.principal.id, context.key, command.broker_id),
        broker_id=broker.id,
        player_id=context.principal.id,
        aiba_paid=price.amount,
        created_at=context.now,
        updated_at=context.now,
    )
    balance = state.balances.get(Currency.AIBA, 0) - price.amount
    return Accepted(
        reply=MintReply(job=job, balance=balance),
        postings=payment.postings,
        changed=(payment.player.seen(None, context.now), job),
        events=payment.events,
    )


def decide_complete(
    state: Mint, command: CompleteMint, context: Context
) -> Accepted[JobReply] | Refused:
    """Link the NFT and close the job; a broker that is gone and an NFT that is taken refuse."""
    job = state.job
    if job is None:
        return Refused(code="mint job not found")
    if not job.is_open:
        return Refused(code="already completed", details={"status": job.status.value})
    linked = _linked(state, command.nft, context)
    if isinstance(linked, Refused):
        return linked
    done = replace(
        job.ended(MintStatus.COMPLETED, context.now),
        nft_collection_address=command.nft.collection_address,
        nft_item_address=command.nft.item_address,
    )
    audit = (
        AuditChange.between(f"mint_job:{job.id}", job, done),
        AuditChange.between(f"broker:{linked.id}", state.broker, linked),
    )
    return Accepted(reply=JobReply(job=done), changed=(done, linked), audit=audit)


def decide_fail(state: Mint, command: FailMint, context: Context) -> Accepted[JobReply] | Refused:
    """Close the job and give back what was paid, once."""
    job = state.job
    if job is None:
        return Refused(code="mint job not found")
    if not job.is_open:
        return Refused(code="already completed", details={"status": job.status.value})
    failed = job.ended(MintStatus.FAILED, context.now, command.reason)
    refund = Posting(
        currency=Currency.AIBA,
        amount=max(1, job.aiba_paid),
        debit=operator_account(REFUND),
        credit=player_account(job.player_id),
        reason=REFUND,
        arena=ARENA,
        league="global",
        source_type=REFUND,
        source_id=job.id,
    )
    return Accepted(
        reply=JobReply(job=failed),
        postings=(refund,) if job.aiba_paid else (),
        changed=(failed,),
        audit=(AuditChange.between(f"mint_job:{job.id}", job, failed),),
    )


def decide_link(state: Mint, command: LinkNft, context: Context) -> Accepted[LinkReply] | Refused:
    """Link the NFT; a broker on its way to be minted is linked by completing its job."""
    if state.broker is None:
        return Refused(code="not found")
    if state.job is not None:
        return Refused(code="mint already in progress", details={"jobId": state.job.id})
    linked = _linked(state, command.nft, context)
    if isinstance(linked, Refused):
        return linked
    change = AuditChange.between(f"broker:{linked.id}", state.broker, linked)
    return Accepted(reply=LinkReply(broker=linked), changed=(linked,), audit=(change,))


def _linked(state: Mint, nft: Nft, context: Context) -> Broker | Refused:
    broker = state.broker
    if broker is None:
        return Refused(code="broker not found")
    if state.holder is not None and state.holder.id != broker.id:
        return Refused(code="NFT already linked", details={"brokerId": state.holder.id})
    return replace(
        broker,
        nft_collection_address=nft.collection_address,
        nft_item_address=nft.item_address,
        nft_item_index=nft.index,
        metadata_uri=nft.metadata_uri or broker.metadata_uri,
        updated_at=context.now,
    )


HANDLERS = (
    Handler(
        name="broker.mint",
        command=MintBroker,
        reply=MintReply,
        load=load_order,
        decide=decide_mint,
    ),
    Handler(
        name="mint.complete",
        command=CompleteMint,
        reply=JobReply,
        load=load_job,
        decide=decide_complete,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="mint.fail",
        command=FailMint,
        reply=JobReply,
        load=load_job,
        decide=decide_fail,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="broker.link_nft",
        command=LinkNft,
        reply=LinkReply,
        load=load_link,
        decide=decide_link,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
