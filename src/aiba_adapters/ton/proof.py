"""ton_proof: a wallet's own word that its owner is here, checked whole.

A wallet signs its address, our domain, the time and a text that we made for this one connection.
The signature alone shows only that somebody holds a key. That the key is the address's own is shown
by the state init: the address is its hash, and it holds the code of a known wallet and the key.
"""

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from pytoniq_core.boc.cell import Cell

from aiba_adapters.ton.addresses import Address, AddressRefused, parse

MAX_AGE_S: Final = 900
"""How old a proof may be by default, in seconds."""

MAX_SKEW_S: Final = 60
"""How far ahead of our clock a wallet's may be by default, in seconds."""

_LONGEST_STATE_INIT: Final = 8192
_LONGEST_DOMAIN: Final = 128
_LONGEST_PAYLOAD: Final = 512
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_LAST_SECOND: Final = 2**63 - 1
_STATE_INIT_BITS: Final = "00110"  # no split depth, not special, code and data, no library
_STATE_INIT_REFS: Final = 2


class Network(StrEnum):
    """The networks, by the number wallets give them."""

    MAINNET = "-239"
    TESTNET = "-3"


class ProofProblem(StrEnum):
    """Why a proof was refused."""

    MALFORMED = "malformed proof"
    ADDRESS = "the address is malformed or of another network"
    NETWORK = "the wallet is on another network"
    DOMAIN = "the proof was made for another domain"
    EXPIRED = "the proof is too old"
    FUTURE = "the proof lies in the future"
    PAYLOAD = "the proof answers another request"
    WALLET = "not a wallet whose key can be read from its state"
    STATE_INIT = "the state is not the address's own"
    KEY = "the key is not the wallet's own"
    SIGNATURE = "the signature does not match"


class ProofRefused(Exception):  # noqa: N818 - a refusal, named for what was refused
    """The proof shows nothing; `reason` says why and holds no part of it."""

    def __init__(self, reason: ProofProblem) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a wallet sends, in the texts and numbers of its JSON.

    `network` is the chain's number as text, `public_key` hex or None where the wallet gave none,
    `state_init` and `signature` are base64, `timestamp` is in seconds since the Unix epoch, and
    `domain_length` counts the UTF-8 bytes of `domain`.
    """

    address: str
    network: str
    public_key: str | None
    state_init: str
    timestamp: int
    domain: str
    domain_length: int
    payload: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofPolicy:
    """Which proofs are ours: made for one of `domains`, on `network`, not long ago.

    Domains are compared as they are, in lower case and without a scheme. Ages are in seconds.
    """

    domains: frozenset[str]
    network: Network
    max_age_s: int = MAX_AGE_S
    max_skew_s: int = MAX_SKEW_S


@dataclass(frozen=True, slots=True)
class _Layout:
    """A wallet's first data: the bits `before`, `skipped` bits of any kind, the key, `after`.

    The cell holds nothing else, as in every wallet that a wallet app made.
    """

    skipped: int
    after: str
    before: str = ""


_LEGACY: Final = _Layout(skipped=64, after="")  # seqno, wallet id
_WITH_PLUGINS: Final = _Layout(skipped=64, after="0")  # seqno, wallet id; no plugin
# Signatures allowed, seqno, wallet id; no extension, which could act without the key.
_WITH_EXTENSIONS: Final = _Layout(before="1", skipped=64, after="0")

_WALLETS: Final[Mapping[bytes, _Layout]] = MappingProxyType(
    {
        bytes.fromhex(code): layout
        for code, layout in (
            ("84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599", _LEGACY),
            ("feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0", _WITH_PLUGINS),
            ("20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f", _WITH_EXTENSIONS),
        )
    }
)
"""The wallets known here by the hash of their code: v3r2, v4r2 and v5r1."""


def verify(proof: Proof, *, policy: ProofPolicy, payload: str, now_s: int) -> Address:
    """Return the address whose owner made the proof, or raise ProofRefused.

    `payload` is the text that was given out for this connection; that it is used once is the
    caller's promise. `now_s` is in seconds since the Unix epoch. Whatever the proof holds, nothing
    else is raised.
    """
    address = _address(proof, policy)
    _check_claims(proof, policy, payload, now_s)
    signature = _base64(proof.signature, 2 * _SIGNATURE_BYTES)
    if len(signature) != _SIGNATURE_BYTES:
        raise ProofRefused(ProofProblem.MALFORMED)
    key = _key_of(address, proof.state_init)
    if proof.public_key is not None and proof.public_key.lower() != key.hex():
        raise ProofRefused(ProofProblem.KEY)
    signed = digest(address, domain=proof.domain, timestamp=proof.timestamp, payload=proof.payload)
    try:
        VerifyKey(key).verify(signed, signature)
    except BadSignatureError:
        raise ProofRefused(ProofProblem.SIGNATURE) from None
    return address


def digest(address: Address, *, domain: str, timestamp: int, payload: str) -> bytes:
    """Return the 32 bytes that a wallet signs for a proof; `timestamp` is in seconds."""
    name = domain.encode()
    message = b"".join(
        (
            b"ton-proof-item-v2/",
            address.workchain.to_bytes(4, "big", signed=True),
            address.hash,
            len(name).to_bytes(4, "little"),
            name,
            timestamp.to_bytes(8, "little"),
            payload.encode(),
        )
    )
    whole = b"\xff\xffton-connect" + hashlib.sha256(message).digest()
    return hashlib.sha256(whole).digest()


def _address(proof: Proof, policy: ProofPolicy) -> Address:
    if proof.network != policy.network:
        raise ProofRefused(ProofProblem.NETWORK)
    try:
        return parse(proof.address, allow_testnet=policy.network is Network.TESTNET)
    except AddressRefused:
        raise ProofRefused(ProofProblem.ADDRESS) from None


def _check_claims(proof: Proof, policy: ProofPolicy, payload: str, now_s: int) -> None:
    """Check what the proof says of itself: for whom, when and in answer to what it was made."""
    domain = _utf8(proof.domain, _LONGEST_DOMAIN)
    if type(proof.timestamp) is not int or not 0 <= proof.timestamp <= _LAST_SECOND:
        raise ProofRefused(ProofProblem.MALFORMED)
    if proof.domain_length != len(domain):
        raise ProofRefused(ProofProblem.MALFORMED)
    if proof.domain not in policy.domains:
        raise ProofRefused(ProofProblem.DOMAIN)
    if proof.timestamp > now_s + policy.max_skew_s:
        raise ProofRefused(ProofProblem.FUTURE)
    if proof.timestamp < now_s - policy.max_age_s:
        raise ProofRefused(ProofProblem.EXPIRED)
    answered = _utf8(proof.payload, _LONGEST_PAYLOAD)
    if not payload or not hmac.compare_digest(answered, payload.encode()):
        raise ProofRefused(ProofProblem.PAYLOAD)


def _key_of(address: Address, state_init: str) -> bytes:
    """Return the key that the address's own state holds."""
    state = _cell(_base64(state_init, _LONGEST_STATE_INIT))
    if state.hash != address.hash:
        raise ProofRefused(ProofProblem.STATE_INIT)
    if state.bits.to01() != _STATE_INIT_BITS or len(state.refs) != _STATE_INIT_REFS:
        raise ProofRefused(ProofProblem.WALLET)
    code, data = state.refs
    layout = _WALLETS.get(code.hash)
    if layout is None or data.is_exotic or data.refs:
        raise ProofRefused(ProofProblem.WALLET)
    bits: str = data.bits.to01()
    start = len(layout.before) + layout.skipped
    key, after = bits[start : start + 8 * _KEY_BYTES], bits[start + 8 * _KEY_BYTES :]
    if not bits.startswith(layout.before) or len(key) != 8 * _KEY_BYTES or after != layout.after:
        raise ProofRefused(ProofProblem.WALLET)
    return int(key, 2).to_bytes(_KEY_BYTES, "big")


def _cell(bag: bytes) -> Cell:
    try:
        cell = Cell.one_from_boc(bag)
    except Exception:  # noqa: BLE001 - the parser has no error of its own for malformed bags
        raise ProofRefused(ProofProblem.MALFORMED) from None
    if cell.is_exotic:
        raise ProofRefused(ProofProblem.WALLET)
    return cell


def _base64(text: str, longest: int) -> bytes:
    try:
        if len(text) > longest:
            raise ProofRefused(ProofProblem.MALFORMED)
        return b64decode(text, validate=True)
    except (BadBase64, ValueError):
        raise ProofRefused(ProofProblem.MALFORMED) from None


def _utf8(text: str, longest: int) -> bytes:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise ProofRefused(ProofProblem.MALFORMED) from None
    if len(encoded) > longest:
        raise ProofRefused(ProofProblem.MALFORMED)
    return encoded
