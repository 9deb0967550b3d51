"""The commands by which operators move money: credit a player, fund what the operator holds.

What they bring in comes from an account for its purpose, `operator:<purpose>`, which may owe; what
they take out goes back there. So every currency still sums to 0, and the account's balance tells
how much an operator has made of nothing for that purpose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_domain.administration.model import AuditChange
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context, Record, Refused
from aiba_domain.economy.ledger import (
    BUYBACK,
    RESERVE,
    TREASURY,
    Posting,
    operator_account,
    player_account,
)
from aiba_domain.economy.rewards import MAX_GRANT
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Reader

CREDIT = "admin_credit_user"
ADJUSTMENT = "admin_adjustment"
"""The reason of a credit that was given none."""
ADMIN_ARENA = "admin"
MAX_DELTA: Final = MAX_GRANT
"""The most that is moved at once: millions of them fit into one account."""


class Pot(StrEnum):
    """What an operator can fund."""

    TREASURY = TREASURY
    RESERVE = RESERVE
    BUYBACK = BUYBACK

    @property
    def purpose(self) -> str:
        """The name of funding it, as the ledger shows it."""
        return f"{self.value}_fund"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditReply:
    """A player, and the balances after a credit."""

    player: Player
    aiba: int
    neur: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundReply:
    """What a pot holds after it was funded."""

    pot: Pot
    aiba: int
    neur: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditUser(Command[CreditReply]):
    """Give a player money, or with a negative delta take some; once under its key.

    Deltas are whole units. A player who was never seen is made.
    """

    player_id: str
    aiba_delta: int = 0
    neur_delta: int = 0
    reason: str = ADJUSTMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Fund(Command[FundReply]):
    """Bring money into a pot, or with a negative delta take some out of it; once under its key."""

    pot: Pot
    aiba_delta: int = 0
    neur_delta: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What such a command loads: the balances, and the player where it is one's."""

    balances: Mapping[Currency, int]
    player: Player | None = None


async def load_player(command: CreditUser, _context: Context, read: Reader) -> Purse:
    """Load a player's balances."""
    account = player_account(command.player_id)
    return Purse(balances=await read.balances(account), player=await read.player(command.player_id))


async def load_pot(command: Fund, _context: Context, read: Reader) -> Purse:
    """Load what a pot holds."""
    return Purse(balances=await read.balances(command.pot.value))


def decide_credit(
    state: Purse, command: CreditUser, context: Context
) -> Accepted[CreditReply] | Refused:
    """Move both deltas, or refuse both: no balance goes below 0."""
    deltas = {Currency.AIBA: command.aiba_delta, Currency.NEUR: command.neur_delta}
    account = player_account(command.player_id)
    if refusal := _impossible(deltas, state.balances):
        return refusal
    player = state.player or new_player(command.player_id, None, context.now)
    after = _after(deltas, state.balances)
    reply = CreditReply(player=player, aiba=after[Currency.AIBA], neur=after[Currency.NEUR])
    postings = _moves(deltas, account, CREDIT, command.reason or ADJUSTMENT, context)
    changed: tuple[Record, ...] = () if state.player else (player,)
    change = _change(account, deltas, state.balances)
    return Accepted(reply=reply, postings=postings, changed=changed, audit=(change,))


def decide_fund(state: Purse, command: Fund, context: Context) -> Accepted[FundReply] | Refused:
    """Move both deltas, or refuse both: no pot goes below 0."""
    deltas = {Currency.AIBA: command.aiba_delta, Currency.NEUR: command.neur_delta}
    pot = command.pot
    if pot is Pot.TREASURY and not any(deltas.values()):
        return Refused(code="aibaDelta or neurDelta required")
    if refusal := _impossible(deltas, state.balances):
        return refusal
    after = _after(deltas, state.balances)
    return Accepted(
        reply=FundReply(pot=pot, aiba=after[Currency.AIBA], neur=after[Currency.NEUR]),
        postings=_moves(deltas, pot.value, pot.purpose, pot.purpose, context),
        audit=(_change(pot.value, deltas, state.balances),),
    )


def _impossible(deltas: Mapping[Currency, int], balances: Mapping[Currency, int]) -> Refused | None:
    """Return the refusal of a delta that leaves a balance below 0 or above what can be held."""
    for currency, delta in deltas.items():
        if abs(delta) > MAX_DELTA:
            bound = f"max:{MAX_DELTA}" if delta > 0 else f"min:{-MAX_DELTA}"
            return Refused(code="validation_error", details={f"{currency.lower()}Delta": bound})
        held = balances.get(currency, 0)
        if held + delta < 0:
            return Refused(code=f"insufficient {currency}", details={"need": -delta, "have": held})
        if held + delta > MAX_AMOUNT:
            details = {f"{currency.lower()}Delta": f"max:{MAX_AMOUNT - held}"}
            return Refused(code="validation_error", details=details)
    return None


def _after(deltas: Mapping[Currency, int], balances: Mapping[Currency, int]) -> dict[Currency, int]:
    return {currency: balances.get(currency, 0) + delta for currency, delta in deltas.items()}


def _moves(
    deltas: Mapping[Currency, int], account: str, source: str, reason: str, context: Context
) -> tuple[Posting, ...]:
    """Return the posting of each delta that is not 0, under the command's key."""
    purse = operator_account(source)
    return tuple(
        Posting(
            currency=currency,
            amount=abs(delta),
            debit=purse if delta > 0 else account,
            credit=account if delta > 0 else purse,
            reason=reason,
            arena=ADMIN_ARENA,
            league="global",
            source_type=source,
            source_id=context.key,
        )
        for currency, delta in deltas.items()
        if delta
    )


def _change(
    account: str, deltas: Mapping[Currency, int], balances: Mapping[Currency, int]
) -> AuditChange:
    after = _after(deltas, balances)
    return AuditChange(
        subject=f"account:{account}",
        before={currency.value: balances.get(currency, 0) for currency in deltas},
        after={currency.value: after[currency] for currency in deltas},
    )


HANDLERS = (
    Handler(
        name="treasury.credit_user",
        command=CreditUser,
        reply=CreditReply,
        load=load_player,
        decide=decide_credit,
        roles=OPERATORS,
    ),
    Handler(
        name="treasury.fund",
        command=Fund,
        reply=FundReply,
        load=load_pot,
        decide=decide_fund,
        roles=OPERATORS,
    ),
)
"""The handlers of this area's commands."""
