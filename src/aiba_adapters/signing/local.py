"""The oracle's key in this process: signs claims at once, for one vault and one jetton."""

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from aiba_adapters.ton.addresses import AddressRefused, parse_canonical
from aiba_adapters.ton.claim_cell import PayloadCell, payload_of
from aiba_domain.claims.claim import VALIDITY_S
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, SignerRefused

KEY_VARIABLE: Final = "ORACLE_PRIVATE_KEY_HEX"
"""The variable of the key; with `_FILE` behind it, of the file that holds the key."""

_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
_LONGEST_FILE: Final = 4096
_REMEMBERED: Final = 65_536


class OracleKeyUnusable(ValueError):  # noqa: N818 - named for the state of the key
    """There is no usable key; the text names the variable and holds no part of the key."""


class LocalSigner:
    """Signs the claims of one vault and one jetton master with a key it never shows.

    Holds the ready key, since making it from its seed costs as much as a signature. It remembers
    the last terms of each seqno of a recipient and signs no others before those have expired;
    across a restart that is the store's promise, which has one claim in flight to a recipient.
    """

    __slots__ = ("_jetton_master", "_key", "_last", "_vault")

    def __init__(self, key: SigningKey, *, vault: str, jetton_master: str) -> None:
        """Take the contracts it signs for as raw canonical addresses, or raise AddressRefused."""
        self._key = key
        self._vault = parse_canonical(vault, field="vault").raw
        self._jetton_master = parse_canonical(jetton_master, field="jetton_master").raw
        self._last: dict[tuple[str, int], ClaimTerms] = {}

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Return the terms with their signature, or raise SignerRefused."""
        if (terms.vault, terms.jetton_master) != (self._vault, self._jetton_master):
            raise SignerRefused("contract_not_allowed")
        place = (terms.recipient, terms.seqno)
        last = self._last.get(place)
        if last is not None and _may_both_be_paid(last, terms):
            raise SignerRefused("seqno_already_signed")
        try:
            signed = sign_terms(terms, self._key)
        except AddressRefused:
            raise SignerRefused("recipient_not_canonical") from None
        self._last.pop(place, None)
        self._last[place] = terms
        if len(self._last) > _REMEMBERED:
            del self._last[next(iter(self._last))]
        return signed

    @property
    def public_key(self) -> bytes:
        """Return the 32 bytes by which the vault knows this signer."""
        return bytes(self._key.verify_key)

    def __repr__(self) -> str:
        return f"LocalSigner(public_key={self.public_key.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a signer stays in its process")


def sign_terms(terms: ClaimTerms, key: SigningKey) -> SignedClaim:
    """Return the terms with their signature by `key`; AddressRefused if one is not canonical."""
    cell = payload_of(terms)
    signature = b64encode(sign_cell(cell, key)).decode()
    return SignedClaim(terms=terms, signature=signature, payload=cell.boc_base64())


def sign_cell(cell: PayloadCell, key: SigningKey) -> bytes:
    """Return the 64 bytes of the signature over a payload cell's hash."""
    return key.sign(cell.hash).signature


def _may_both_be_paid(first: ClaimTerms, other: ClaimTerms) -> bool:
    """Tell whether a seqno's other terms were made while the first could still be paid.

    Terms are made `VALIDITY_S` before they expire, by chain time, so no clock is asked.
    """
    if other == first:
        return False
    return other.valid_until_s - VALIDITY_S <= first.valid_until_s


def oracle_key(environ: Mapping[str, str]) -> SigningKey:
    """Return the key that `ORACLE_PRIVATE_KEY_HEX`, or the file named by its `_FILE`, holds.

    The key is 64 hex digits, the 32-byte seed; surrounding whitespace doesn't count and a blank
    variable is absent. Raises OracleKeyUnusable if there is none, if both are given, if the file
    can't be read, or if it is something else.
    """
    text = environ.get(KEY_VARIABLE, "").strip()
    path = environ.get(f"{KEY_VARIABLE}_FILE", "").strip()
    if text and path:
        raise OracleKeyUnusable(f"{KEY_VARIABLE} is given twice: also as {KEY_VARIABLE}_FILE")
    if path:
        text = _from_file(path)
    if not text:
        raise OracleKeyUnusable(f"{KEY_VARIABLE} missing")
    if not _KEY.fullmatch(text):
        raise OracleKeyUnusable(f"{KEY_VARIABLE} must be 32 bytes (64 hex chars)")
    return SigningKey(bytes.fromhex(text))


def _from_file(path: str) -> str:
    try:
        with Path(path).open(encoding="ascii") as file:
            return file.read(_LONGEST_FILE).strip()
    # The path may be the key itself, given in the wrong variable: no cause, and no path, is shown.
    except (OSError, ValueError):
        raise OracleKeyUnusable(f"{KEY_VARIABLE}_FILE: the file can't be read") from None
