"""The double-entry ledger: accounts, postings, and the rule that nothing is lost or made.

Every posting debits one account and credits another by the same amount, so per currency the sum of
all accounts is 0 at every moment. A player's balance is what the service owes the player: a credit
raises it, a debit lowers it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.errors import InvariantViolation
from aiba_domain.money import MAX_AMOUNT, Currency

TREASURY: Final = "treasury"
"""What the operator holds to spend."""
RESERVE: Final = "reserve"
"""The stability reserve."""
CLAIMS: Final = "claims"
"""AIBA reserved for withdrawals that are not settled on the chain yet."""
BUYBACK: Final = "buyback"
"""What is set aside to buy AIBA back."""
CHAIN: Final = "chain"
"""AIBA that left for the chain, from which it can come back by a payment."""

_GUARDED: Final = ("player:", "guild:", TREASURY, RESERVE, BUYBACK, CLAIMS, "sink:", "held:")
_ROOTS: Final = (
    "player",
    "guild",
    "emission",
    "sink",
    "operator",
    "legacy",
    "held",
    TREASURY,
    RESERVE,
    BUYBACK,
    CLAIMS,
    CHAIN,
)


def player_account(player_id: str) -> str:
    """Name the account that holds a player's balances."""
    return f"player:{player_id}"


def guild_account(guild_id: str) -> str:
    """Name the account that holds a guild's vault."""
    return f"guild:{guild_id}"


def emission_account(day: str, arena: str) -> str:
    """Name the account that new money of a UTC day and arena comes from.

    Its balance is minus what was emitted, which is what the daily caps are checked against.
    """
    return emission_prefix(day) + arena


def emission_prefix(day: str) -> str:
    """Return what the names of a UTC day's emission accounts begin with."""
    return f"emission:{day}:"


def sink_account(day: str, reason: str, arena: str) -> str:
    """Name the account that money spent for a reason on a UTC day goes to, never to come back."""
    return f"{sink_prefix(day)}{reason}:{arena}"


def sink_prefix(day: str) -> str:
    """Return what the names of a UTC day's sinks begin with."""
    return f"sink:{day}:"


def operator_account(purpose: str) -> str:
    """Name the account that operators bring money in by, for one purpose, and take it out to.

    Its balance is minus what came in, less what was taken out again.
    """
    return f"operator:{purpose}"


def held_account(kind: str, owner_id: str) -> str:
    """Name the account of an owner's money that nobody can spend here yet, such as a stake."""
    return f"held:{kind}:{owner_id}"


def is_account(name: str) -> bool:
    """Tell whether a text names an account that there may be."""
    return name.partition(":")[0] in _ROOTS


def may_go_negative(account: str) -> bool:
    """Tell whether an account may owe: emission, operators, the chain, the service before."""
    return not account.startswith(_GUARDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One movement of `amount` whole units of `currency` from `debit` to `credit`.

    `reason`, `arena`, `league`, `source_type` and `source_id` say what for; together with the
    account they are the identity under which the wire's ledger shows it. Raises
    InvariantViolation for an amount outside 1..MAX_AMOUNT, unknown accounts or a self-posting.
    """

    currency: Currency
    amount: int
    debit: str
    credit: str
    reason: str
    arena: str
    league: str
    source_type: str
    source_id: str

    def __post_init__(self) -> None:
        """Check what must hold for every posting, whoever builds it."""
        if type(self.amount) is not int or not 1 <= self.amount <= MAX_AMOUNT:
            msg = f"posting amount {self.amount!r} is not in 1..{MAX_AMOUNT}"
            raise InvariantViolation(msg)
        if self.debit == self.credit:
            msg = f"posting from {self.debit} to itself"
            raise InvariantViolation(msg)
        for account in (self.debit, self.credit):
            if not is_account(account):
                msg = f"unknown account {account!r}"
                raise InvariantViolation(msg)


def net_effects(postings: Iterable[Posting]) -> dict[tuple[str, Currency], int]:
    """Sum what postings do to each account and currency; the values of a currency sum to 0."""
    effects: dict[tuple[str, Currency], int] = {}
    for posting in postings:
        debit, credit = (posting.debit, posting.currency), (posting.credit, posting.currency)
        effects[debit] = effects.get(debit, 0) - posting.amount
        effects[credit] = effects.get(credit, 0) + posting.amount
    return effects


def post(
    balances: Mapping[tuple[str, Currency], int], postings: Iterable[Posting]
) -> dict[tuple[str, Currency], int]:
    """Return the new balances of every account that `postings` touch.

    Absent balances count as 0. Raises InvariantViolation when a guarded account would end below 0
    or any account outside the range of a signed 64-bit integer: a rule let money through.
    """
    after: dict[tuple[str, Currency], int] = {}
    for (account, currency), effect in net_effects(postings).items():
        balance = balances.get((account, currency), 0) + effect
        check_balance(account, currency, balance)
        after[account, currency] = balance
    return after


def check_balance(account: str, currency: Currency, balance: int) -> None:
    """Raise InvariantViolation unless `balance` is one the account may have."""
    if balance < 0 and not may_go_negative(account):
        msg = f"{account} would hold {balance} {currency}"
        raise InvariantViolation(msg)
    if abs(balance) > MAX_AMOUNT:
        msg = f"{account} would hold {balance} {currency}, outside 64 bits"
        raise InvariantViolation(msg)
