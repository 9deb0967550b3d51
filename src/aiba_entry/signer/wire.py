"""The signer's wire: JSON into typed terms, an answer out, and a code for each refusal.

    POST /sign {"vaultAddress", "jettonMaster", "to", "amount", "seqno", "validUntil",
                "payloadBocBase64"}  ->  {"signatureBase64", "payloadBocBase64"}

The payload may be left out. It is never signed: it is only compared with the cell that the signer
builds from the fields.
"""

import binascii
import re
from base64 import b64decode
from enum import StrEnum
from typing import Final

import msgspec

from aiba_adapters.ton.addresses import AddressRefused, parse
from aiba_adapters.ton.claim_cell import PayloadCell, payload_of
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim
from aiba_domain.errors import InvalidInput
from aiba_domain.signing.model import Network, Refusal

MAX_BODY_BYTES: Final = 4_096
"""The longest body; a genuine one has about 600 bytes."""

_CANONICAL: Final = re.compile(r"(?:0|-1):[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,19}")


class Problem(StrEnum):
    """What is wrong with a request before anything is decided about a claim."""

    MALFORMED = "malformed"
    PAYLOAD_MISMATCH = "payload_mismatch"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    ERROR = "error"


STATUSES: Final[dict[str, int]] = {
    Problem.MALFORMED: 400,
    Problem.UNAUTHORIZED: 401,
    Problem.NOT_FOUND: 404,
    Problem.METHOD_NOT_ALLOWED: 405,
    Problem.TOO_LARGE: 413,
    Problem.PAYLOAD_MISMATCH: 422,
    Problem.RATE_LIMITED: 429,
    Problem.ERROR: 500,
    Problem.BUSY: 503,
    Problem.UNAVAILABLE: 503,
    Refusal.LOCKED: 503,
    Refusal.DENIED: 403,
    Refusal.CONTRACT: 403,
    Refusal.CLAIM_LIMIT: 403,
    Refusal.RECIPIENT_DAY_LIMIT: 403,
    Refusal.DAY_LIMIT: 403,
    Refusal.LIFETIME_LIMIT: 403,
    Refusal.CONFLICT: 409,
    Refusal.BELOW: 409,
    Refusal.GAP: 409,
    Refusal.QUARANTINED: 409,
    Refusal.RECIPIENT: 422,
    Refusal.EXPIRED: 422,
    Refusal.TOO_FAR: 422,
}
"""The status of each code; there is no other code."""


class RequestRefused(Exception):  # noqa: N818 - a refusal
    """A request that no decision is made about; the text repeats nothing of it."""

    def __init__(self, problem: Problem, field: str = "", reason: str = "") -> None:
        super().__init__(": ".join(filter(None, (field, reason))) or problem.value)
        self.problem = problem


class _Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    vault_address: str
    jetton_master: str
    to: str
    amount: int | str
    seqno: int | str
    valid_until: int | str
    payload_boc_base64: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Body)
_FIELDS: Final = {"valid_until_s": "validUntil"}


def read_terms(body: bytes, network: Network) -> ClaimTerms:
    """Return the terms of a request, their addresses canonical, or raise RequestRefused.

    Addresses may be in any written form, numbers also decimal texts.
    """
    try:
        asked = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # What the decoder says may repeat the body.
        raise RequestRefused(Problem.MALFORMED, reason="no JSON of a claim") from None
    try:
        terms = ClaimTerms(
            vault=_address(asked.vault_address, network, "vaultAddress"),
            jetton_master=_address(asked.jetton_master, network, "jettonMaster"),
            recipient=_address(asked.to, network, "to"),
            amount=_number(asked.amount, "amount"),
            seqno=_number(asked.seqno, "seqno"),
            valid_until_s=_number(asked.valid_until, "validUntil"),
        )
    except AddressRefused as refused:
        raise RequestRefused(Problem.MALFORMED, refused.field, "no address") from None
    except InvalidInput as refused:
        field = _FIELDS.get(refused.field, refused.field)
        raise RequestRefused(Problem.MALFORMED, field, refused.reason) from None
    if asked.payload_boc_base64 is not None:
        _compare(asked.payload_boc_base64, payload_of(terms))
    return terms


def answer(signed: SignedClaim) -> bytes:
    """Return the body of an answer; both texts are base64, so nothing needs escaping."""
    return (
        f'{{"signatureBase64":"{signed.signature}","payloadBocBase64":"{signed.payload}"}}'.encode()
    )


def refusal(code: str, message: str, request_id: str, retry_after_ms: int | None = None) -> bytes:
    """Return the body of a refusal, in the service's envelope."""
    error: dict[str, object] = {"code": code, "message": message}
    if retry_after_ms is not None:
        error["details"] = {"retryAfterMs": retry_after_ms}
    return msgspec.json.encode({"ok": False, "error": error, "requestId": request_id})


def _address(text: str, network: Network, field: str) -> str:
    if _CANONICAL.fullmatch(text):
        return text
    return parse(text, allow_testnet=network is Network.TESTNET, field=field).raw


def _number(given: int | str, field: str) -> int:
    if isinstance(given, int):
        return given
    if not _NUMBER.fullmatch(given):
        raise InvalidInput(field, "a whole number above 0")
    return int(given)


def _compare(payload: str, cell: PayloadCell) -> None:
    """Refuse a payload that isn't the terms' own cell, in whatever way its bag is written."""
    if payload == cell.boc_base64():
        return
    try:
        bag = b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        bag = b""
    ways = ((crc, index) for crc in (True, False) for index in (True, False))
    if not any(bag == cell.boc(crc=crc, index=index) for crc, index in ways):
        raise RequestRefused(Problem.PAYLOAD_MISMATCH)
