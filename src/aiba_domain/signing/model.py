"""What a signer remembers of its signatures, and what it answers."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.errors import InvalidInput

HASH_BYTES: Final = 32
"""The length of a payload cell's hash, which is what is signed."""

MAX_AHEAD_S: Final = 3_600
"""The longest that any policy may let a claim be valid, in seconds after the chain's time.

So whatever a signer has lost its memory of has expired this long after the loss.
"""

EXPIRY_MARGIN_S: Final = 60
"""How far chain time must be past a validity before other terms are signed, in seconds."""


class Network(StrEnum):
    """The network whose vaults are signed for. A signed cell doesn't name it; a signer has one."""

    MAINNET = "mainnet"
    TESTNET = "testnet"


class Refusal(StrEnum):
    """Why a claim isn't signed: the closed set of codes that leave the signer."""

    LOCKED = "locked"
    DENIED = "denied"
    CONTRACT = "contract_not_allowed"
    RECIPIENT = "recipient_not_canonical"
    EXPIRED = "expired"
    TOO_FAR = "valid_until_too_far"
    CONFLICT = "seqno_already_signed"
    BELOW = "seqno_below_watermark"
    GAP = "seqno_gap"
    QUARANTINED = "quarantined"
    CLAIM_LIMIT = "over_claim_limit"
    RECIPIENT_DAY_LIMIT = "over_recipient_day_limit"
    DAY_LIMIT = "over_day_limit"
    LIFETIME_LIMIT = "over_lifetime_limit"


class Lock(StrEnum):
    """Why a store signs nothing until it is unlocked."""

    NEW = "new"
    RESTORED = "restored"
    LOG_CUT = "log_cut"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """Terms to sign, with the hash of the cell that the signer itself built from them."""

    terms: ClaimTerms
    payload_hash: bytes

    def __post_init__(self) -> None:
        """Refuse a hash of another length."""
        if len(self.payload_hash) != HASH_BYTES:
            raise InvalidInput("payload_hash", f"{HASH_BYTES} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """The one payload that is signed for a (vault, recipient, seqno).

    `most` is the largest amount ever signed for this seqno; `day_most` the largest in `day`, the
    UTC day (`YYYY-MM-DD`, of chain time) of the last one, or "" where it isn't known.
    """

    payload_hash: bytes
    valid_until_s: int
    most: int
    day: str = ""
    day_most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The watermark of a recipient at a vault: the highest seqno known to be used. It only rises.

    Until chain time is past `quarantined_until_s`, nothing new is signed for the recipient.
    """

    seqno: int = 0
    quarantined_until_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What of a vault was reserved: to a recipient in a UTC day, in that day, and ever."""

    recipient_day: int = 0
    day: int = 0
    lifetime: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What a protection store says of itself.

    `new_key` says that its key had signed nothing before the store was made, and that the store
    has lost nothing since. `sequence` counts the entries of its log, `head` is the last one's hash.
    `known_to` and `known_head` are those of the last entry that its memory holds: earlier ones if
    the store was put back from a backup, and -1 if its memory isn't that of this log at all.
    """

    network: Network
    store: str
    locked: Lock | None = None
    quarantined_until_s: int = 0
    new_key: bool = False
    sequence: int = 0
    head: bytes = bytes(HASH_BYTES)
    known_to: int = 0
    known_head: bytes = bytes(HASH_BYTES)

    @property
    def is_behind(self) -> bool:
        """Whether the log holds decisions that the memory doesn't."""
        return self.known_to != self.sequence

    def unlocked(self, quarantined_until_s: int, *, new_key: bool) -> "StoreState":
        """Return the state once the store is open again, with the memory it has."""
        opened = replace(
            self, locked=None, quarantined_until_s=quarantined_until_s, new_key=new_key
        )
        return opened.learned(is_complete=True)

    def learned(self, *, is_complete: bool, quarantined_until_s: int = 0) -> "StoreState":
        """Return the state whose memory holds all of the log, or never will."""
        return replace(
            self,
            known_to=self.sequence if is_complete else -1,
            known_head=self.head,
            quarantined_until_s=max(self.quarantined_until_s, quarantined_until_s),
        )

    def noted(self, number: int, head: bytes) -> "StoreState":
        """Return the state after one more entry of the log, written by the store itself."""
        known = (self.known_to, self.known_head) if self.is_behind else (number, head)
        return replace(self, sequence=number, head=head, known_to=known[0], known_head=known[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that a decision about a request needs from the store."""

    state: StoreState
    protected: Protected | None = None
    mark: Mark | None = None
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a signature takes from the limits: of its UTC day, and of the lifetime."""

    day: int
    lifetime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Sign, once `record` and `charge` are stored durably."""

    record: Protected
    charge: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class SameAgain:
    """These very terms were signed before: the same signature may leave again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing is signed; `rule` names the deny rule where one decided."""

    code: Refusal
    rule: str = ""


Decision = Sign | SameAgain | Refused
"""What a signer answers to a request."""
