"""The commands of withdrawals: bind a wallet, reserve a claim, record its signature, settle it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from aiba_domain.application.handler import OBSERVED, OPERATORS, Handler
from aiba_domain.claims.claim import VALIDITY_S, ChainView, Claim, ClaimState, verdict
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.economy.ledger import CHAIN, CLAIMS, Posting, player_account
from aiba_domain.errors import InvariantViolation
from aiba_domain.events import ClaimMoved, ClaimRefused, ClaimReissued
from aiba_domain.ids import derive_id
from aiba_domain.instants import day_key
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Reader

BY_REQUEST = "aiba_claim"
BY_BATTLE = "battle_auto_claim"
INSUFFICIENT = "insufficient AIBA"
"""The refusal of a withdrawal of more than there is."""

_REASON = "withdraw_to_chain"
_ARENA, _LEAGUE = "vault", "global"
_LATEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletReply:
    """The wallet now bound to the player, as a raw address."""

    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimReply:
    """A claim as it stands."""

    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimKept:
    """What is remembered of a reservation: which claim. How it stands is looked up."""

    claim_id: str


def keep_claim(reply: ClaimReply) -> ClaimKept:
    """Return what is remembered of the reply."""
    return ClaimKept(claim_id=reply.claim.id)


async def recall_claim(kept: ClaimKept, read: Reader) -> ClaimReply:
    """Return the claim as it stands now: a claim that has ended is never signed again."""
    claim = await read.claim(kept.claim_id)
    if claim is None:
        raise InvariantViolation(f"claim {kept.claim_id} was answered and is gone")
    return ClaimReply(claim=claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectWallet(Command[WalletReply]):
    """Bind a wallet whose ownership was proven; `address` is raw and canonical."""

    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveClaim(Command[ClaimReply]):
    """Take AIBA out of the balance for a withdrawal; `amount` None is all there is.

    `vault` and `jetton_master` are the configured contracts, `seen` what the chain says of the
    bound wallet `recipient`. They are no part of what the player asked for.
    """

    source_type: ClassVar[str] = BY_REQUEST

    amount: int | None = None
    vault: str = field(metadata=OBSERVED)
    jetton_master: str = field(metadata=OBSERVED)
    recipient: str = field(metadata=OBSERVED)
    seen: ChainView = field(metadata=OBSERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveBattleClaim(ReserveClaim):
    """Take a battle's reward for a withdrawal, under the battle's own key.

    A command of its own, so that a client may use one key for a battle and for a claim.
    """

    source_type: ClassVar[str] = BY_BATTLE


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSignature(Command[ClaimReply]):
    """Keep the signature of a reserved claim; `issue` is its `reissues` when it was signed."""

    claim_id: str
    issue: int = 0
    signature: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleClaim(Command[ClaimReply]):
    """End a claim if what was seen of the chain ends it."""

    claim_id: str
    seen: ChainView


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """What a reservation loads: the balances, the wallet's claims, and the day's use.

    `known` is the claim that the key stands for already, None for none. `chain_time_s` is the
    latest chain time that any of the player's last claims ended at, 0 without one.
    """

    known: Claim | None
    chain_time_s: int
    balances: Mapping[Currency, int]
    open_claim: Claim | None
    confirmed_seqno: int
    claimed_today: int
    claimed_today_by_player: int


async def load_owner(command: ConnectWallet, _context: Context, read: Reader) -> str | None:
    """Load who has the wallet bound."""
    return await read.wallet_owner(command.address)


def decide_wallet(
    state: str | None, command: ConnectWallet, context: Context
) -> Accepted[WalletReply] | Refused:
    """Bind the wallet unless another player has it. Claims to an earlier wallet go on."""
    player = context.acting_player()
    if state is not None and state != player.id:
        return Refused(code="wallet already connected")
    reply = WalletReply(address=command.address)
    return Accepted(
        reply=reply, changed=(replace(player.seen(None, context.now), wallet=command.address),)
    )


def claim_id(player_id: str, source_type: str, key: str) -> str:
    """Return the id of the claim that a player's key stands for."""
    return derive_id("claim", player_id, source_type, key)


async def load_till(command: ReserveClaim, context: Context, read: Reader) -> Till:
    """Load what a reservation needs."""
    day = day_key(context.now)
    player_id = context.principal.id
    latest = await read.claims_of(player_id, before=None, limit=_LATEST)
    return Till(
        known=await read.claim(claim_id(player_id, command.source_type, context.key)),
        chain_time_s=max((one.seen.time_s for one in latest if one.seen), default=0),
        balances=await read.balances(player_account(player_id)),
        open_claim=await read.open_claim(command.vault, command.recipient),
        confirmed_seqno=await read.confirmed_seqno(command.vault, command.recipient),
        claimed_today=await read.claimed(day, None),
        claimed_today_by_player=await read.claimed(day, player_id),
    )


def decide_reserve(
    state: Till, command: ReserveClaim, context: Context
) -> Accepted[ClaimReply] | Refused:
    """Reserve a claim with the next seqno: before anything is signed, the money is set aside.

    A view of the chain that is behind what was confirmed before doesn't bring a seqno back, and one
    from before the player's last claims ended makes no validity that the signer knows as taken.
    """
    if state.known is not None:
        return Accepted(reply=ClaimReply(claim=state.known))
    player = context.acting_player()
    have = state.balances.get(Currency.AIBA, 0)
    amount = have if command.amount is None else command.amount
    refusal = (
        _closed_to(player, command, context)
        or _unavailable(amount, have, state, command)
        or _over_limit(amount, state, context)
    )
    if refusal:
        return refusal
    claim = Claim(
        id=claim_id(player.id, command.source_type, context.key),
        player_id=player.id,
        request_id=context.key,
        source_type=command.source_type,
        state=ClaimState.RESERVED,
        terms=ClaimTerms(
            vault=command.vault,
            jetton_master=command.jetton_master,
            recipient=command.recipient,
            amount=amount,
            seqno=max(command.seen.seqno, state.confirmed_seqno) + 1,
            valid_until_s=max(command.seen.time_s, state.chain_time_s) + VALIDITY_S,
        ),
        created_at=context.now,
    )
    posting = _posting(claim, debit=player_account(player.id), credit=CLAIMS, reason=_REASON)
    return Accepted(
        reply=ClaimReply(claim=claim),
        postings=(posting,),
        changed=(player.seen(None, context.now), claim),
        events=(ClaimMoved(claim_id=claim.id, state=claim.state, amount=amount),),
    )


def _closed_to(player: Player, command: ReserveClaim, context: Context) -> Refused | None:
    """Return why the player can't withdraw at all now."""
    if not player.wallet or player.wallet != command.recipient:
        return Refused(code="wallet_required")
    return Refused(code="claims paused") if context.policy.claims_paused else None


def _unavailable(amount: int, have: int, state: Till, command: ReserveClaim) -> Refused | None:
    """Return why this amount can't be set aside now."""
    if amount <= 0:
        return Refused(code="amount must be > 0")
    if state.open_claim is not None:
        return _refused("pending_claim", _pending(state.open_claim, command.seen))
    if have < amount:
        return _refused(INSUFFICIENT, {"need": amount, "have": have})
    return None


def _over_limit(amount: int, state: Till, context: Context) -> Refused | None:
    """Return which of the operator's limits the amount would pass."""
    policy = context.policy
    limits = (
        ("claim", amount, policy.claim_max_aiba),
        ("player day", state.claimed_today_by_player + amount, policy.claim_player_day_max_aiba),
        ("day", state.claimed_today + amount, policy.claim_day_max_aiba),
    )
    for name, use, limit in limits:
        if use > limit:
            return _refused("claim limit", {"limit": name, "max": limit})
    return None


def _refused(code: str, details: Mapping[str, str | int]) -> Refused:
    """Refuse a withdrawal and tell of it."""
    return Refused(code=code, details=details, events=(ClaimRefused(code=code),))


def _pending(claim: Claim, seen: ChainView) -> Mapping[str, str | int]:
    """Return what tells a player which claim to finish first."""
    return {
        "claimId": claim.id,
        "lastOnchainSeqno": str(seen.seqno),
        "lastIssuedSeqno": str(claim.terms.seqno),
        "validUntil": claim.terms.valid_until_s,
    }


async def load_claim(command: RecordSignature, _context: Context, read: Reader) -> Claim | None:
    """Load a claim."""
    return await read.claim(command.claim_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a settlement loads: the claim, and whose it is."""

    claim: Claim
    player: Player | None


async def load_account(command: SettleClaim, _context: Context, read: Reader) -> Account | None:
    """Load a claim and its player."""
    claim = await read.claim(command.claim_id)
    return Account(claim=claim, player=await read.player(claim.player_id)) if claim else None


def decide_signature(
    state: Claim | None, command: RecordSignature, _context: Context
) -> Accepted[ClaimReply] | Refused:
    """Keep the signature; a claim that has one already or has ended stays as it is.

    So does one that was issued again meanwhile: what was signed for it before can't be paid.
    """
    if state is None:
        return Refused(code="claim not found")
    if state.state is not ClaimState.RESERVED or state.reissues != command.issue:
        return Accepted(reply=ClaimReply(claim=state))
    claim = state.signed(command.signature, command.payload)
    event = ClaimMoved(claim_id=claim.id, state=claim.state, amount=claim.terms.amount)
    return Accepted(reply=ClaimReply(claim=claim), changed=(claim,), events=(event,))


def decide_settlement(
    state: Account | None, command: SettleClaim, context: Context
) -> Accepted[ClaimReply] | Refused:
    """Confirm, refund or reissue the claim; the money goes to the chain, back, or stays aside."""
    if state is None:
        return Refused(code="claim not found")
    end = verdict(state.claim, command.seen)
    if end is None:
        return Accepted(reply=ClaimReply(claim=state.claim))
    if end is ClaimState.REFUNDED and _may_reissue(state, context):
        claim = state.claim.reissued(command.seen)
        event = ClaimReissued(claim_id=claim.id, reissues=claim.reissues)
        return Accepted(reply=ClaimReply(claim=claim), changed=(claim,), events=(event,))
    claim = state.claim.settled(end, command.seen, context.now)
    credit, reason = (
        (CHAIN, "claim_confirmed")
        if end is ClaimState.CONFIRMED
        else (player_account(claim.player_id), "claim_refunded")
    )
    return Accepted(
        reply=ClaimReply(claim=claim),
        postings=(_posting(claim, debit=CLAIMS, credit=credit, reason=reason),),
        changed=(claim,),
        events=(ClaimMoved(claim_id=claim.id, state=end, amount=claim.terms.amount),),
    )


def _may_reissue(state: Account, context: Context) -> bool:
    """Tell whether an expired claim is signed again rather than refunded.

    Only what the player could reserve now is signed again: not while claims are paused, above the
    limit of a claim, for a banned player, or to a wallet that the player has left.
    """
    claim, player, policy = state.claim, state.player, context.policy
    if claim.reissues >= policy.claim_reissues or policy.claims_paused:
        return False
    if player is None or player.wallet != claim.terms.recipient:
        return False
    is_banned = player.ban is not None and player.ban.holds(context.now)
    return not is_banned and claim.terms.amount <= policy.claim_max_aiba


def _posting(claim: Claim, *, debit: str, credit: str, reason: str) -> Posting:
    return Posting(
        currency=Currency.AIBA,
        amount=claim.terms.amount,
        debit=debit,
        credit=credit,
        reason=reason,
        arena=_ARENA,
        league=_LEAGUE,
        source_type=claim.source_type,
        source_id=claim.request_id,
    )


HANDLERS = (
    Handler(
        name="wallet.connect",
        command=ConnectWallet,
        reply=WalletReply,
        load=load_owner,
        decide=decide_wallet,
        keyed=False,
    ),
    Handler(
        name="claim.reserve",
        command=ReserveClaim,
        reply=ClaimReply,
        load=load_till,
        decide=decide_reserve,
        kept=ClaimKept,
        keep=keep_claim,
        recall=recall_claim,
    ),
    Handler(
        name="claim.reserve_battle",
        command=ReserveBattleClaim,
        reply=ClaimReply,
        load=load_till,
        decide=decide_reserve,
        kept=ClaimKept,
        keep=keep_claim,
        recall=recall_claim,
    ),
    Handler(
        name="claim.sign",
        command=RecordSignature,
        reply=ClaimReply,
        load=load_claim,
        decide=decide_signature,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="claim.settle",
        command=SettleClaim,
        reply=ClaimReply,
        load=load_account,
        decide=decide_settlement,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
