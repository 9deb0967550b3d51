"""Spending: what a player pays into a sink, and what that does beside the balance."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiba_domain.decision import Context, Refused
from aiba_domain.economy.ledger import Posting, player_account, sink_account
from aiba_domain.events import MoneySpent
from aiba_domain.instants import day_key
from aiba_domain.money import Currency
from aiba_domain.players.model import Player


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What something costs, and the name under which the ledger shows the payment."""

    currency: Currency
    amount: int
    reason: str
    arena: str
    league: str = "global"
    source_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A price paid: the player afterwards, what to post and tell. A price of 0 posts nothing."""

    player: Player
    postings: tuple[Posting, ...]
    events: tuple[MoneySpent, ...]


def unaffordable(price: Price, balances: Mapping[Currency, int]) -> Refused | None:
    """Return the refusal of a player who can't pay, with what is needed and what is there."""
    have = balances.get(price.currency, 0)
    if have >= price.amount:
        return None
    details = {"need": price.amount, "have": have}
    return Refused(code=f"insufficient {price.currency}", details=details)


def pay(player: Player, price: Price, context: Context) -> Payment:
    """Move a price from the player to its sink; AIBA spent counts for the daily combo.

    The caller has checked that the player can afford it; the ledger refuses otherwise.
    """
    if price.amount == 0:
        return Payment(player=player, postings=(), events=())
    day = day_key(context.now)
    posting = Posting(
        currency=price.currency,
        amount=price.amount,
        debit=player_account(player.id),
        credit=sink_account(day, price.reason, price.arena),
        reason=price.reason,
        arena=price.arena,
        league=price.league,
        source_type=price.source_type,
        source_id=context.key,
    )
    if price.currency is Currency.AIBA:
        spent = player.combo_spent_aiba if player.combo_spent_day == day else 0
        player = replace(player, combo_spent_aiba=spent + price.amount, combo_spent_day=day)
    event = MoneySpent(
        currency=price.currency,
        amount=price.amount,
        reason=price.reason,
        arena=price.arena,
        league=price.league,
    )
    return Payment(player=player, postings=(posting,), events=(event,))
