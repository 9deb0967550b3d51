"""The cells of a claim, bit for bit: the payload that is signed, and the message that is sent.

Payload: vault, jetton master and recipient as addresses, the amount as Coins, seqno of 64 bits,
validUntil of 32. Message body (RewardClaim): an op of 32 bits, recipient, amount, seqno and
validUntil, and the 512 bits of the signature in a cell of their own, since inline they would not
fit.

A cell's hash is the SHA-256 of its representation: two descriptor bytes, its bits filled up with a
one and zeros, and depth and hash of each cell it refers to. With this little in it, the cell is one
number, so it is composed by hand; the tests hold it equal to pytoniq-core's.
"""

import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import google_crc32c

from aiba_adapters.ton.addresses import Address, AddressProblem, AddressRefused, parse_canonical
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.errors import InvalidInput

REWARD_CLAIM_OP: Final = 0x3B5D2B44
"""The op of the message that the vault pays on."""

MAX_COINS: Final = 2**120 - 1
"""The largest amount that Coins can write; a claim's own limit is lower."""

SIGNATURE_BYTES: Final = 64

_ADDRESS_BITS: Final = 267
_STANDARD_ADDRESS: Final = 0b100  # addr_std without anycast
_SEQNO_AND_VALID_BITS: Final = 96
_VALID_BITS: Final = 32
_IN_BASECHAIN: Final = _STANDARD_ADDRESS << 264
_IN_MASTERCHAIN: Final = _IN_BASECHAIN | 0xFF << 256
_CANONICAL: Final = re.compile(r"(?:0|-1):[0-9a-f]{64}")
_HEADER: Final = b"\xb5\xee\x9c\x72"
_HAS_INDEX: Final = 0x80
_HAS_CRC: Final = 0x40
_SIGNATURE_DESCRIPTORS: Final = b"\x00\x80"  # no reference, 64 full bytes
_NO_DEPTH: Final = b"\x00\x00"


@dataclass(frozen=True, slots=True)
class PayloadCell:
    """The signed cell of a claim, as its representation: descriptors, then filled-up bits."""

    representation: bytes

    @property
    def hash(self) -> bytes:
        """Return the 32 bytes that are signed."""
        return hashlib.sha256(self.representation).digest()

    @property
    def bits(self) -> int:
        """Return how many bits the cell holds."""
        return _bits(self.representation)

    def boc(self, *, crc: bool = True, index: bool = False) -> bytes:
        """Return the bag of cells, by default with CRC32C and no index, as clients expect it."""
        return _bag((self.representation,), crc=crc, index=index)

    def boc_base64(self) -> str:
        """Return the bag of cells with CRC32C as base64."""
        return b64encode(self.boc()).decode()


@dataclass(frozen=True, slots=True)
class RewardClaimCell:
    """The body of the message to the vault: its own bits with descriptors, and the signature."""

    own: bytes
    signature: bytes

    @property
    def hash(self) -> bytes:
        """Return the hash of the body."""
        signature = hashlib.sha256(_SIGNATURE_DESCRIPTORS + self.signature).digest()
        return hashlib.sha256(self.own + _NO_DEPTH + signature).digest()

    def boc(self, *, crc: bool = True, index: bool = False) -> bytes:
        """Return the bag of cells, by default with CRC32C and no index."""
        cells = (self.own + b"\x01", _SIGNATURE_DESCRIPTORS + self.signature)
        return _bag(cells, crc=crc, index=index)

    def boc_base64(self) -> str:
        """Return the bag of cells with CRC32C as base64."""
        return b64encode(self.boc()).decode()


def payload_of(terms: ClaimTerms) -> PayloadCell:
    """Return the cell that is signed for a claim.

    Raises AddressRefused naming the field of an address that is not in canonical form.
    """
    try:
        to = _written(terms.recipient)
        head = _contracts(terms.vault, terms.jetton_master)
    except AddressRefused:
        for field in ("vault", "jetton_master", "recipient"):
            parse_canonical(getattr(terms, field), field=field)
        raise
    return _payload(head << _ADDRESS_BITS | to, terms.amount, terms.seqno, terms.valid_until_s)


def payload_cell(
    *,
    vault: Address,
    jetton_master: Address,
    recipient: Address,
    amount: int,
    seqno: int,
    valid_until_s: int,
) -> PayloadCell:
    """Return the cell of anything the format can write, be it a claim the game would make or not.

    Raises InvalidInput naming the number that is out of its range.
    """
    _check(amount, seqno, valid_until_s)
    addresses = _bits_of(vault) << _ADDRESS_BITS | _bits_of(jetton_master)
    addresses = addresses << _ADDRESS_BITS | _bits_of(recipient)
    return _payload(addresses, amount, seqno, valid_until_s)


def body_of(terms: ClaimTerms, signature: bytes) -> RewardClaimCell:
    """Return the body of the message with which the recipient claims.

    Raises AddressRefused as `payload_of` does, and InvalidInput for a signature of another length.
    """
    recipient = parse_canonical(terms.recipient, field="recipient")
    return reward_claim(
        recipient=recipient,
        amount=terms.amount,
        seqno=terms.seqno,
        valid_until_s=terms.valid_until_s,
        signature=signature,
    )


def reward_claim(
    *, recipient: Address, amount: int, seqno: int, valid_until_s: int, signature: bytes
) -> RewardClaimCell:
    """Return the body of a RewardClaim message with anything the format can write.

    Raises InvalidInput naming the value that is out of its range.
    """
    _check(amount, seqno, valid_until_s)
    if type(signature) is not bytes or len(signature) != SIGNATURE_BYTES:
        raise InvalidInput("signature", f"{SIGNATURE_BYTES} bytes")
    coins_bytes = (amount.bit_length() + 7) // 8
    value = _with_amount(REWARD_CLAIM_OP << _ADDRESS_BITS | _bits_of(recipient), amount)
    value = value << _SEQNO_AND_VALID_BITS | seqno << _VALID_BITS | valid_until_s
    # 399 bits and the amount's bytes: one bit short of whole bytes, which a one fills up.
    size = 50 + coins_bytes
    own = bytes((1, 2 * size - 1)) + (value << 1 | 1).to_bytes(size, "big")
    return RewardClaimCell(own, signature)


def _payload(addresses: int, amount: int, seqno: int, valid_until_s: int) -> PayloadCell:
    """Compose the cell; every value is known to be in its range.

    901 bits and the amount's bytes: three bits short of whole bytes, filled up with 100.
    """
    coins_bytes = (amount.bit_length() + 7) // 8
    numbers = (coins_bytes << coins_bytes * 8 | amount) << _SEQNO_AND_VALID_BITS
    numbers |= seqno << _VALID_BITS | valid_until_s
    value = addresses << coins_bytes * 8 + 100 | numbers
    size = 113 + coins_bytes
    # The first byte stays 0 (no references), the second says 2 * size - 1 half bytes.
    whole = (2 * size - 1) << size * 8 | value << 3 | 4
    return PayloadCell(whole.to_bytes(size + 2, "big"))


def _with_amount(value: int, amount: int) -> int:
    size = (amount.bit_length() + 7) // 8
    return (value << 4 | size) << size * 8 | amount


@lru_cache(maxsize=64)
def _contracts(vault: str, jetton_master: str) -> int:
    """Return the bits of the two addresses that are the same in nearly every claim."""
    return _written(vault) << _ADDRESS_BITS | _written(jetton_master)


def _written(text: str) -> int:
    """Return the bits of a canonical address, without making an `Address` of it on the way."""
    if not _CANONICAL.fullmatch(text):
        raise AddressRefused(AddressProblem.NOT_CANONICAL)
    head = _IN_MASTERCHAIN if text[0] == "-" else _IN_BASECHAIN
    return head | int(text[-64:], 16)


def _bits_of(address: Address) -> int:
    head = _STANDARD_ADDRESS << 8 | address.workchain & 0xFF
    return head << 256 | int.from_bytes(address.hash, "big")


def _check(amount: int, seqno: int, valid_until_s: int) -> None:
    ranges = (
        ("amount", amount, 1, MAX_COINS),
        ("seqno", seqno, 0, MAX_SEQNO),
        ("valid_until_s", valid_until_s, 0, MAX_VALID_UNTIL),
    )
    for field, value, least, most in ranges:
        if type(value) is not int or not least <= value <= most:
            raise InvalidInput(field, f"integer of {least}..{most}")


def _bits(representation: bytes) -> int:
    """Count the bits before the one that fills them up."""
    tail = int.from_bytes(representation[2:], "big")
    return (len(representation) - 2) * 8 - (tail & -tail).bit_length()


def _bag(cells: tuple[bytes, ...], *, crc: bool, index: bool) -> bytes:
    """Write cells as a bag; the first is the root. All sizes here fit in one byte."""
    data = b"".join(cells)
    flags = 1 | (_HAS_CRC if crc else 0) | (_HAS_INDEX if index else 0)
    head = bytes((flags, 1, len(cells), 1, 0, len(data), 0))
    ends = bytes(sum(map(len, cells[: count + 1])) for count in range(len(cells) if index else 0))
    bag = _HEADER + head + ends + data
    return bag + google_crc32c.value(bag).to_bytes(4, "little") if crc else bag
