"""A payment as the chain holds it, what an order demands of it, and the record of its one use."""

import base64
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_domain.errors import InvalidInput

MAX_AGE_S: Final = 86_400
"""How old a payment may be when it is brought forward, in seconds: one day."""

_HASH_BYTES: Final = 32
_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?")
_TO_STANDARD: Final = str.maketrans("-_", "+/")


class Purpose(StrEnum):
    """What a payment can be for: all that has a price in TON. One payment is for one thing."""

    CREATE_BROKER = "create-broker"
    CREATE_GUILD = "create-guild"
    BOOST_GUILD = "boost-guild"
    BOOST_REWARDS = "boost-rewards"
    BOOST_PROFILE = "boost-profile"
    GIFT = "gift"
    STARS_PACK = "stars-pack"
    LEGACY = "legacy"
    """It paid for something in the service before this one, so it pays for nothing here."""


def transaction_hash(text: object, field: str = "txHash") -> str:
    """Return a transaction's hash as 64 lower-case hex digits, from hex or base64 of 32 bytes.

    Base64 may be of either alphabet and end in its one `=` or not. Equal hashes give equal texts,
    which is what makes a payment known again. Raises InvalidInput naming `field`.
    """
    if isinstance(text, str):
        if _HEX.fullmatch(text):
            return text.lower()
        if _BASE64.fullmatch(text):
            standard = text.rstrip("=").translate(_TO_STANDARD) + "="
            digest = base64.b64decode(standard)
            # 43 characters hold two bits too many: with other bits there it would have two names.
            if base64.b64encode(digest).decode() == standard:
                return digest.hex()
    raise InvalidInput(field, f"hash of {_HASH_BYTES} bytes as hex or base64")


def order_comment(purpose: Purpose, player_id: str) -> str:
    """Return the comment that makes a payment a player's own, from whichever wallet it comes."""
    return f"aiba:{purpose}:{player_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingPayment:
    """One transaction that brought TON to an account: facts of the chain, nothing judged.

    `hash` is the receiving account's transaction, as 64 lower-case hex digits. `network` is the
    global id of the chain (-239 is the main network). Addresses are raw and canonical. `comment` is
    the text that came along, `""` without one. `is_bounced` says that the money did not stay: it
    was sent back by a bounce message, or is itself one that came back. `time_s` is chain time in
    seconds since the Unix epoch.
    """

    hash: str
    network: int
    source: str
    destination: str
    value_nano: int
    comment: str
    is_bounced: bool
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a payment must be to pay for an order.

    It goes to `destination` on `network`, is worth `price_nano` at least, and comes from `wallet`,
    the player's proven one (`""` without), or carries `comment`.
    """

    network: int
    destination: str
    price_nano: int
    wallet: str
    comment: str
    max_age_s: int = MAX_AGE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedPayment:
    """The use of a payment; a hash has one, for ever. `at` is in ms, UTC."""

    hash: str
    purpose: Purpose
    player_id: str
    at: int
