"""What is wrong in the data of the service before, by kind: each has a code and a rule.

A kind that needs a decision stops an import until the operator accepts its rule by the code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Final

EXAMPLES: Final = 5
"""How many examples of a kind are kept."""


class Code(StrEnum):
    """The kinds of inconsistency."""

    USER_TWICE = "USER_TWICE"
    USER_ID_NUMBER = "USER_ID_NUMBER"
    USER_ID_CASE = "USER_ID_CASE"
    USER_ID_MISSING = "USER_ID_MISSING"
    USER_ID_UNUSUAL = "USER_ID_UNUSUAL"
    BALANCE_NEGATIVE = "BALANCE_NEGATIVE"
    BALANCE_FRACTION = "BALANCE_FRACTION"
    BALANCE_INEXACT = "BALANCE_INEXACT"
    BALANCE_NO_NUMBER = "BALANCE_NO_NUMBER"
    BALANCE_TOO_LARGE = "BALANCE_TOO_LARGE"
    TOTAL_TOO_LARGE = "TOTAL_TOO_LARGE"
    BROKER_NO_OWNER = "BROKER_NO_OWNER"
    BROKER_NO_USER = "BROKER_NO_USER"
    BATTLE_NO_OWNER = "BATTLE_NO_OWNER"
    BATTLE_NO_USER = "BATTLE_NO_USER"
    BATTLE_FOREIGN_BROKER = "BATTLE_FOREIGN_BROKER"
    BATTLE_NO_BROKER = "BATTLE_NO_BROKER"
    BATTLE_REQUEST_TWICE = "BATTLE_REQUEST_TWICE"
    LEDGER_NO_USER = "LEDGER_NO_USER"
    LEDGER_MALFORMED = "LEDGER_MALFORMED"
    LEDGER_NOT_APPLIED = "LEDGER_NOT_APPLIED"
    LEDGER_ZERO = "LEDGER_ZERO"
    LEDGER_FRACTION = "LEDGER_FRACTION"
    LEDGER_TWICE = "LEDGER_TWICE"
    LEDGER_SUM = "LEDGER_SUM"
    MONEY_NO_USER = "MONEY_NO_USER"
    TX_HASH_TWICE = "TX_HASH_TWICE"
    TX_HASH_MALFORMED = "TX_HASH_MALFORMED"
    CLAIM_MALFORMED = "CLAIM_MALFORMED"
    CLAIM_NO_LEDGER = "CLAIM_NO_LEDGER"
    CLAIM_AMOUNT_DIFFERS = "CLAIM_AMOUNT_DIFFERS"
    CLAIM_SEQNO_TWICE = "CLAIM_SEQNO_TWICE"
    CLAIM_ABOVE_BALANCE = "CLAIM_ABOVE_BALANCE"
    CLAIM_UNSIGNED = "CLAIM_UNSIGNED"
    WALLET_UNPROVEN = "WALLET_UNPROVEN"
    WALLET_SHARED = "WALLET_SHARED"
    NFT_TWICE = "NFT_TWICE"
    MINT_TWICE = "MINT_TWICE"
    STAKE_HELD = "STAKE_HELD"
    PENDING_HELD = "PENDING_HELD"
    SINGLE_TWICE = "SINGLE_TWICE"
    CONFIG_RANGE = "CONFIG_RANGE"
    MODE_REFUSED = "MODE_REFUSED"
    LISTING_STALE = "LISTING_STALE"
    DAY_MALFORMED = "DAY_MALFORMED"
    KEY_TWICE = "KEY_TWICE"
    ENUM_UNKNOWN = "ENUM_UNKNOWN"
    WRONG_TYPE = "WRONG_TYPE"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    FIELD_MISSING = "FIELD_MISSING"
    ID_MALFORMED = "ID_MALFORMED"
    COLLECTION_UNKNOWN = "COLLECTION_UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a kind means and what is done; `decision` is whether the operator must accept that."""

    means: str
    done: str
    decision: bool = False


def _told(means: str, done: str) -> Rule:
    return Rule(means=means, done=done)


def _asked(means: str, done: str) -> Rule:
    return Rule(means=means, done=done, decision=True)


_RULES: Final[Mapping[Code, Rule]] = {
    Code.USER_TWICE: _asked(
        "several user rows of one Telegram id",
        "one player: balances summed, the oldest row's profile, the strictest ban, all flags",
    ),
    Code.USER_ID_NUMBER: _told("a Telegram id stored as a number", "taken as its text"),
    Code.USER_ID_CASE: _asked("ids that differ only in case", "kept as different players"),
    Code.USER_ID_MISSING: _asked(
        "a user row without a Telegram id",
        "balances held in `held:nobody:<row id>`, below 0 as its debt; the row is kept aside",
    ),
    Code.USER_ID_UNUSUAL: _told("an id that isn't of digits", "kept; nobody can log in with it"),
    Code.BALANCE_NEGATIVE: _asked(
        "a balance below 0", "0 here, and the rest in `legacy:debt:<book>:<owner>`"
    ),
    Code.BALANCE_FRACTION: _told("a balance with a fraction", "rounded down; listed as correction"),
    Code.BALANCE_INEXACT: _told(
        "an amount above 2^53 stored as a double", "the double's exact value is taken"
    ),
    Code.BALANCE_NO_NUMBER: _asked(
        "an amount that is no finite number", "taken as 0; the value is kept aside"
    ),
    Code.BALANCE_TOO_LARGE: _asked(
        "an amount outside 64 bits", "taken as 0; the whole amount is listed as correction"
    ),
    Code.TOTAL_TOO_LARGE: _told("a total that no account can hold", "never imported"),
    Code.BROKER_NO_OWNER: _asked("a broker without an owner's id", "kept aside"),
    Code.BROKER_NO_USER: _asked("a broker's owner without a user row", "a player is made"),
    Code.BATTLE_NO_OWNER: _asked("a battle without a player's id", "kept aside"),
    Code.BATTLE_NO_USER: _asked("a battle's player without a user row", "a player is made"),
    Code.BATTLE_FOREIGN_BROKER: _told(
        "a battle of another owner's broker: rented, or sold since", "kept as it was"
    ),
    Code.BATTLE_NO_BROKER: _told("a battle of a broker that is gone", "kept as it was"),
    Code.BATTLE_REQUEST_TWICE: _told(
        "a request id of a player with several battles", "all kept; the id is used up once"
    ),
    Code.LEDGER_NO_USER: _asked("ledger rows without a user row", "a player is made"),
    Code.LEDGER_MALFORMED: _asked(
        "a ledger row without owner, currency, direction or amount", "kept aside"
    ),
    Code.LEDGER_NOT_APPLIED: _told("a ledger row that was never applied", "kept aside"),
    Code.LEDGER_ZERO: _told("a ledger row of less than one unit", "kept aside"),
    Code.LEDGER_FRACTION: _told("a ledger row with a fraction", "rounded down; row kept aside"),
    Code.LEDGER_TWICE: _asked("two ledger rows of one identity", "both kept in the history"),
    Code.LEDGER_SUM: _asked(
        "a balance that isn't the sum of its ledger rows",
        "the balance counts; the history is kept beside it",
    ),
    Code.MONEY_NO_USER: _asked("a stake or a claim without a user row", "a player is made"),
    Code.TX_HASH_TWICE: _asked(
        "a TON transaction used several times", "used up once, by the first"
    ),
    Code.TX_HASH_MALFORMED: _told(
        "a transaction's hash that is none", "kept aside; no payment can have it"
    ),
    Code.CLAIM_MALFORMED: _asked(
        "a withdrawal without terms that a vault could pay",
        "its amount is held in `held:claim:<player>`",
    ),
    Code.CLAIM_NO_LEDGER: _asked(
        "a signed claim without its debit", "in flight all the same: the vault may pay it"
    ),
    Code.CLAIM_AMOUNT_DIFFERS: _asked(
        "a claim that was debited with another amount", "the signed amount counts"
    ),
    Code.CLAIM_SEQNO_TWICE: _asked(
        "a second claim under one seqno of a recipient: the vault pays one of them",
        "its amount is held in `held:claim:<player>` until the chain was looked at",
    ),
    Code.CLAIM_ABOVE_BALANCE: _asked(
        "a claim in flight of a player whose AIBA are below 0",
        "in flight all the same: a signed claim can't be taken back",
    ),
    Code.CLAIM_UNSIGNED: _told(
        "a claim in flight whose signature is lost", "reserved: the same terms are signed again"
    ),
    Code.WALLET_UNPROVEN: _told(
        "a wallet whose ownership was never proven", "kept aside; the player connects it again"
    ),
    Code.WALLET_SHARED: _told("a wallet of several users", "kept aside, as every wallet is"),
    Code.NFT_TWICE: _asked(
        "an NFT of several brokers", "the oldest broker's; kept aside of others"
    ),
    Code.MINT_TWICE: _asked(
        "a second mint job of a broker that isn't done", "kept as failed; pay back by hand"
    ),
    Code.STAKE_HELD: _told("a stake", "held in `held:stake:<player>`"),
    Code.PENDING_HELD: _told("AIBA that wait for dispatch", "held in `held:pending:<player>`"),
    Code.SINGLE_TWICE: _asked(
        "several rows of what is one by convention", "money summed; settings of the oldest"
    ),
    Code.CONFIG_RANGE: _asked("a setting outside its range here", "the nearest value in range"),
    Code.MODE_REFUSED: _asked("a game mode that can't be kept as it is", "kept aside"),
    Code.LISTING_STALE: _told(
        "an active listing whose seller can't sell the broker", "kept as cancelled"
    ),
    Code.DAY_MALFORMED: _asked("an economy day without a day", "kept aside"),
    Code.KEY_TWICE: _told("two rows of one key", "the oldest counts; the other is kept aside"),
    Code.ENUM_UNKNOWN: _asked("a value that its field doesn't have", "the field's default"),
    Code.WRONG_TYPE: _told("a value of another type than its field", "the field's default"),
    Code.OUT_OF_RANGE: _told("a value outside its field's range", "the nearest value in range"),
    Code.FIELD_MISSING: _told("a required field that isn't there", "the field's default"),
    Code.ID_MALFORMED: _asked("an id that is no ObjectId", "the row is kept aside"),
    Code.COLLECTION_UNKNOWN: _told("a collection of no known kind", "kept aside"),
}
RULES: Final[Mapping[Code, Rule]] = MappingProxyType(_RULES)
"""The rule of every kind."""

NEVER: Final = frozenset({Code.TOTAL_TOO_LARGE})
"""The kinds that nothing but another database mends."""

QUIET: Final = frozenset(
    {
        *(Code.BATTLE_FOREIGN_BROKER, Code.BATTLE_NO_BROKER, Code.CLAIM_UNSIGNED),
        *(Code.FIELD_MISSING, Code.LEDGER_SUM, Code.PENDING_HELD, Code.STAKE_HELD),
        *(Code.USER_ID_UNUSUAL, Code.WALLET_UNPROVEN),
    }
)
"""The kinds that lose nothing of a row; for every other kind the whole row is kept aside too."""


@dataclass(slots=True)
class Tally:
    """How often a kind was met, with the first examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


class Book(StrEnum):
    """The money of the service before, by where it stood."""

    PLAYERS = "players"
    NOBODY = "nobody"
    PENDING = "pending"
    STAKES = "stakes"
    GUILDS = "guilds"
    TREASURY = "treasury"
    RESERVE = "reserve"
    BUYBACK = "buyback"
    CLAIMS = "claims"
    EMITTED = "emitted"
    SPENT = "spent"
    HISTORY_CREDITS = "history credits"
    HISTORY_DEBITS = "history debits"


@dataclass(slots=True)
class Findings:
    """All that was found so far, and what the rules took off the amounts of the source.

    `corrections` is, by book, currency and code, what the source has and this service doesn't: with
    it the totals of both agree exactly. `losses` counts the findings that aren't quiet.
    """

    tallies: dict[Code, Tally] = field(default_factory=dict)
    corrections: dict[tuple[Book, str, Code], Fraction] = field(default_factory=dict)
    losses: int = 0

    def note(self, code: Code, example: str) -> None:
        """Count one case; `example` names a row and field, and holds no secret."""
        tally = self.tallies.setdefault(code, Tally())
        tally.count += 1
        self.losses += code not in QUIET
        if len(tally.examples) < EXAMPLES:
            tally.examples.append(example)

    def correct(self, book: Book, currency: str, code: Code, amount: Fraction) -> None:
        """Note what a rule took off an amount."""
        if amount:
            place = (book, currency, code)
            self.corrections[place] = self.corrections.get(place, Fraction(0)) + amount

    def undecided(self, accepted: frozenset[Code]) -> Iterator[Code]:
        """Yield the kinds that were found and need a decision that wasn't taken."""
        for code in sorted(self.tallies):
            if code in NEVER or (RULES[code].decision and code not in accepted):
                yield code
