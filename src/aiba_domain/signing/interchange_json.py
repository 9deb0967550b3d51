"""The interchange document: a protection as JSON, written in one way and read strictly.

Numbers that may pass 2^53 (seqnos, amounts) are decimal texts. docs/signer-interchange.md tells
the format to other implementations.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.faults import Faults, read_json
from aiba_domain.signing.interchange import ClaimKey, Protection, UsageKey
from aiba_domain.signing.model import HASH_BYTES, Mark, Network, Protected

FORMAT: Final = "aiba-signer-interchange"
VERSION: Final = 1

RAW_ADDRESS: Final = re.compile(r"(?:0|-1):[0-9a-f]{64}")
"""An address in the one form that stores and documents hold."""

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HASH: Final = re.compile(rf"[0-9a-f]{{{2 * HASH_BYTES}}}")
_STORE: Final = re.compile(r"[0-9a-f]{0,64}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,19}")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{86}==")
_MAX_SEQUENCE: Final = 2**63 - 1
_SCOPES: Final = ("lifetime", "day", "recipientDay")


def write(protection: Protection) -> str:
    """Return the document, with its entries in order, so that equal memories are equal texts."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "network": protection.network.value,
        "store": protection.store,
        "sequence": protection.sequence,
        "time": protection.time_s,
        "recipients": [
            {"vault": vault, "recipient": recipient, "watermark": str(mark.seqno)}
            | ({"quarantinedUntil": mark.quarantined_until_s} if mark.quarantined_until_s else {})
            for (vault, recipient), mark in sorted(protection.marks.items())
        ],
        "claims": [
            {
                "vault": vault,
                "recipient": recipient,
                "seqno": str(seqno),
                "payloadHash": claim.payload_hash.hex(),
                "validUntil": claim.valid_until_s,
                "amount": str(claim.most),
            }
            | ({"day": claim.day, "dayAmount": str(claim.day_most)} if claim.day else {})
            for (vault, recipient, seqno), claim in sorted(protection.claims.items())
        ],
        "usage": [_usage_entry(*item) for item in sorted(protection.usage.items())],
    }
    return json.dumps(document, indent=1) + "\n"


def read(text: str) -> Protection:
    """Return the protection that a document holds, or raise Faulty naming every fault."""
    faults = Faults()
    document = read_json(text, faults)
    top = faults.record(document, "", ("format", "version", "network"), _OPTIONAL)
    faults.expect(top.get("format", FORMAT) == FORMAT, "format", f'"{FORMAT}"')
    faults.expect(
        type(top.get("version", VERSION)) is int and top.get("version", VERSION) == VERSION,
        "version",
        f"{VERSION}",
    )
    network = faults.choice(top.get("network", Network.MAINNET), "network", Network)
    claims = dict(_claims(faults, top.get("claims", [])))
    marks = dict(_marks(faults, top.get("recipients", [])))
    usage = dict(_usage(faults, top.get("usage", [])))
    store = faults.text(top.get("store", ""), "store", _STORE, "up to 64 hex digits")
    sequence = faults.integer(top.get("sequence", 0), "sequence", 0, _MAX_SEQUENCE)
    time_s = faults.integer(top.get("time", 0), "time", 0, MAX_VALID_UNTIL)
    for vault, recipient, seqno in claims:
        mark = marks.get((vault, recipient), Mark())
        marks[vault, recipient] = Mark(
            seqno=max(mark.seqno, seqno), quarantined_until_s=mark.quarantined_until_s
        )
    faults.check()
    return Protection(
        network=network,
        store=store,
        sequence=sequence,
        time_s=time_s,
        claims=claims,
        marks=marks,
        usage=usage,
    )


_OPTIONAL: Final = ("store", "sequence", "time", "recipients", "claims", "usage")


def _claims(faults: Faults, listed: object) -> Iterator[tuple[ClaimKey, Protected]]:
    required = ("vault", "recipient", "seqno", "payloadHash", "validUntil", "amount")
    seen: set[ClaimKey] = set()
    for path, given in faults.records(
        listed, "claims", required, ("day", "dayAmount", "signature")
    ):
        seqno = _number(faults, given, path, "seqno", 1, MAX_SEQNO)
        key = (*_who(faults, given, path), seqno)
        faults.expect(key not in seen, path, "a seqno that is listed twice")
        seen.add(key)
        digest = faults.text(
            given.get("payloadHash"), f"{path}.payloadHash", _HASH, "64 lower-case hex digits"
        )
        if "signature" in given:
            faults.text(given["signature"], f"{path}.signature", _SIGNATURE, "base64 of 64 bytes")
        faults.expect(("day" in given) == ("dayAmount" in given), path, "day without dayAmount")
        most = _number(faults, given, path, "amount", 1, MAX_AMOUNT)
        day_most = _number(faults, {"dayAmount": "0", **given}, path, "dayAmount", 0, MAX_AMOUNT)
        faults.expect(day_most <= most, f"{path}.dayAmount", "at most amount")
        yield (
            key,
            Protected(
                payload_hash=bytes.fromhex(digest or "00" * HASH_BYTES),
                valid_until_s=faults.integer(
                    given.get("validUntil"), f"{path}.validUntil", 1, MAX_VALID_UNTIL
                ),
                most=most,
                day=_day(faults, given, path) if "day" in given else "",
                day_most=day_most,
            ),
        )


def _marks(faults: Faults, listed: object) -> Iterator[tuple[tuple[str, str], Mark]]:
    required = ("vault", "recipient", "watermark")
    seen: set[tuple[str, str]] = set()
    for path, given in faults.records(listed, "recipients", required, ("quarantinedUntil",)):
        who = _who(faults, given, path)
        faults.expect(who not in seen, path, "a recipient that is listed twice")
        seen.add(who)
        until = faults.integer(
            given.get("quarantinedUntil", 0), f"{path}.quarantinedUntil", 0, _MAX_SEQUENCE
        )
        seqno = _number(faults, given, path, "watermark", 0, MAX_SEQNO)
        yield who, Mark(seqno=seqno, quarantined_until_s=until)


def _usage(faults: Faults, listed: object) -> Iterator[tuple[UsageKey, int]]:
    seen: set[UsageKey] = set()
    optional = ("day", "recipient")
    for path, given in faults.records(listed, "usage", ("vault", "scope", "amount"), optional):
        vault = _address(faults, given, path, "vault")
        scope = given.get("scope")
        faults.expect(scope in _SCOPES, f"{path}.scope", f"one of {', '.join(_SCOPES)}")
        faults.expect(("day" in given) == (scope != "lifetime"), path, "day for other scopes only")
        faults.expect(
            ("recipient" in given) == (scope == "recipientDay"),
            path,
            "recipient for its scope only",
        )
        name = "lifetime"
        if "day" in given:
            name = f"day:{_day(faults, given, path)}"
        if "recipient" in given:
            name = f"recipient_{name}:{_address(faults, given, path, 'recipient')}"
        faults.expect((vault, name) not in seen, path, "a usage that is listed twice")
        seen.add((vault, name))
        yield (vault, name), _number(faults, given, path, "amount", 0, MAX_AMOUNT)


def _usage_entry(key: UsageKey, amount: int) -> dict[str, str]:
    vault, name = key
    scope, _, rest = name.partition(":")
    day, _, recipient = rest.partition(":")
    entry = {"vault": vault, "scope": "recipientDay" if recipient else scope}
    if day:
        entry["day"] = day
    if recipient:
        entry["recipient"] = recipient
    return entry | {"amount": str(amount)}


def _who(faults: Faults, given: Mapping[str, Any], path: str) -> tuple[str, str]:
    return _address(faults, given, path, "vault"), _address(faults, given, path, "recipient")


def _address(faults: Faults, given: Mapping[str, Any], path: str, name: str) -> str:
    wanted = "a raw address in lower case"
    return faults.text(given.get(name), f"{path}.{name}", RAW_ADDRESS, wanted)


def _day(faults: Faults, given: Mapping[str, Any], path: str) -> str:
    return faults.text(given.get("day"), f"{path}.day", _DAY, "a day as YYYY-MM-DD")


def _number(
    faults: Faults, given: Mapping[str, Any], path: str, name: str, least: int, most: int
) -> int:
    where = f"{path}.{name}"
    text = faults.text(given.get(name), where, _NUMBER, "a whole number as a text")
    return faults.integer(int(text), where, least, most) if text else least
