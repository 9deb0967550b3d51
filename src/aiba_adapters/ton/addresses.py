"""Addresses of TON: the one strict parser of every text that claims to be one.

Three written forms of one address are known: raw (`0:` and 64 hex digits), and the friendly ones,
bounceable and non-bounceable, 48 characters of base64 or base64url with a tag and a checksum.
Nothing else is an address: no padding, no spaces, no mixed alphabets, no unknown tag, no workchain
that doesn't exist.
"""

import base64
import re
from binascii import crc_hqx
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_domain.errors import InvalidInput

BASECHAIN: Final = 0
MASTERCHAIN: Final = -1
WORKCHAINS: Final = (BASECHAIN, MASTERCHAIN)
"""The workchains that exist."""

HASH_BYTES: Final = 32

_RAW: Final = re.compile(r"(-?[0-9]{1,10}):([0-9A-Fa-f]{64})")
_FRIENDLY: Final = re.compile(r"[A-Za-z0-9_-]{48}|[A-Za-z0-9+/]{48}")
_TO_URL_SAFE: Final = str.maketrans("+/", "-_")
_BOUNCEABLE: Final = 0x11
_NON_BOUNCEABLE: Final = 0x51
_TESTNET: Final = 0x80
_CHECKED: Final = 34


class AddressProblem(StrEnum):
    """What is wrong with a text that is no address, or not one for this network."""

    NOT_TEXT = "an address is a text"
    EMPTY = "address required"
    FORM = "neither a raw nor a friendly address"
    TAG = "unknown tag of a friendly address"
    CHECKSUM = "the checksum does not match"
    WORKCHAIN = "no such workchain"
    TESTNET = "the address is for the test network only"
    NOT_CANONICAL = "a raw address in lower case is needed here"


class AddressRefused(InvalidInput):
    """A text that is no usable address; `problem` says why, `field` where it was given."""

    def __init__(self, problem: AddressProblem, field: str = "address") -> None:
        super().__init__(field, problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Address:
    """An account: its workchain and the 32 bytes of its hash. Equal if both are.

    How it was written is no part of it. Raises AddressRefused for a workchain that doesn't exist
    or a hash that isn't 32 bytes.
    """

    workchain: int
    hash: bytes

    def __post_init__(self) -> None:
        """Refuse what no account can have."""
        if type(self.workchain) is not int or self.workchain not in WORKCHAINS:
            raise AddressRefused(AddressProblem.WORKCHAIN)
        if type(self.hash) is not bytes or len(self.hash) != HASH_BYTES:
            raise AddressRefused(AddressProblem.FORM)

    @property
    def raw(self) -> str:
        """Return the canonical text: the workchain, a colon and 64 lower-case hex digits."""
        return f"{self.workchain}:{self.hash.hex()}"

    def friendly(
        self, *, bounceable: bool = True, testnet: bool = False, url_safe: bool = True
    ) -> str:
        """Return the address as wallets show it.

        A bounceable one asks that money an account can't take comes back; `testnet` marks it as
        never to be used on the main network.
        """
        tag = (_BOUNCEABLE if bounceable else _NON_BOUNCEABLE) | (_TESTNET if testnet else 0)
        body = bytes((tag, self.workchain & 0xFF)) + self.hash
        whole = body + crc_hqx(body, 0).to_bytes(2, "big")
        return (base64.urlsafe_b64encode if url_safe else base64.b64encode)(whole).decode()

    def __str__(self) -> str:
        return self.raw


def parse(text: object, *, allow_testnet: bool | None, field: str = "address") -> Address:
    """Return the address that `text` writes, or raise AddressRefused naming `field`.

    `allow_testnet` False refuses a friendly address marked for the test network; True and None
    take it, True because it belongs there, None where the network doesn't matter. An unmarked
    address is good on every network. No input makes this fail in another way.
    """
    if not isinstance(text, str):
        raise AddressRefused(AddressProblem.NOT_TEXT, field)
    if not text:
        raise AddressRefused(AddressProblem.EMPTY, field)
    raw = _RAW.fullmatch(text)
    if raw is not None:
        return _address(int(raw[1]), bytes.fromhex(raw[2]), field, written=raw[1])
    if _FRIENDLY.fullmatch(text) is None:
        raise AddressRefused(AddressProblem.FORM, field)
    whole = base64.urlsafe_b64decode(text.translate(_TO_URL_SAFE))
    if crc_hqx(whole[:_CHECKED], 0) != int.from_bytes(whole[_CHECKED:], "big"):
        raise AddressRefused(AddressProblem.CHECKSUM, field)
    if whole[0] & ~_TESTNET not in (_BOUNCEABLE, _NON_BOUNCEABLE):
        raise AddressRefused(AddressProblem.TAG, field)
    if allow_testnet is False and whole[0] & _TESTNET:
        raise AddressRefused(AddressProblem.TESTNET, field)
    workchain = int.from_bytes(whole[1:2], "big", signed=True)
    return _address(workchain, whole[2:_CHECKED], field, written=str(workchain))


def parse_canonical(text: object, *, field: str = "address") -> Address:
    """Return the address of a text written as `Address.raw` writes it, or raise AddressRefused."""
    address = parse(text, allow_testnet=None, field=field)
    if address.raw != text:
        raise AddressRefused(AddressProblem.NOT_CANONICAL, field)
    return address


def _address(workchain: int, account: bytes, field: str, *, written: str) -> Address:
    # `-0` and `00` are numbers that exist and texts that nobody writes.
    if workchain not in WORKCHAINS or str(workchain) != written:
        raise AddressRefused(AddressProblem.WORKCHAIN, field)
    return Address(workchain, account)
