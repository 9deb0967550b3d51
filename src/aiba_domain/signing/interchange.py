"""What protects a key, as it moves from one signer to another; and how two such memories merge.

Merging goes to the stricter of both. Two payloads under one seqno that could both have been
payable are no memory of one honest signer: they are refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiba_domain.errors import DomainError
from aiba_domain.signing.model import EXPIRY_MARGIN_S, Mark, Network, Protected

MOST_NAMED: Final = 20
"""How many conflicts are named at once."""

ClaimKey = tuple[str, str, int]
"""A vault, a recipient and a seqno."""

UsageKey = tuple[str, str]
"""A vault and what is counted: `lifetime`, `day:<day>` or `recipient_day:<day>:<recipient>`."""


class MergeRefused(DomainError):  # noqa: N818 - a refusal
    """Two memories contradict each other; `faults` names each contradiction, the first ones."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("protection_conflict", faults=faults)
        self.faults = faults

    def __str__(self) -> str:
        return "; ".join(self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """All that a signer remembers. `store` and `sequence` say whose memory it is, and how old.

    `time_s` is the chain time of the last decision in it.
    """

    network: Network
    store: str = ""
    sequence: int = 0
    time_s: int = 0
    claims: Mapping[ClaimKey, Protected] = field(default_factory=dict)
    marks: Mapping[tuple[str, str], Mark] = field(default_factory=dict)
    usage: Mapping[UsageKey, int] = field(default_factory=dict)


def merge(mine: Protection, theirs: Protection) -> Protection:
    """Return the stricter of both memories, still under my name and sequence.

    Every watermark, quarantine and usage is the higher of the two, and no watermark is below a
    claim. Where both know a payload for a seqno, the same one stays, and of two the later one if
    it can have replaced the first after that had expired. Raises MergeRefused.
    """
    if theirs.network is not mine.network:
        raise MergeRefused((f"network: {theirs.network}, this store is for {mine.network}",))
    claims, faults = dict(mine.claims), list[str]()
    for key, other in theirs.claims.items():
        known = claims.get(key)
        merged = other if known is None else _merged(known, other)
        if merged is None:
            vault, recipient, seqno = key
            faults.append(f"two payloads for vault {vault}, recipient {recipient}, seqno {seqno}")
        else:
            claims[key] = merged
    if faults:
        more = len(faults) - MOST_NAMED
        raise MergeRefused((*faults[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])))
    usage = dict(mine.usage)
    for scope, amount in theirs.usage.items():
        usage[scope] = max(amount, usage.get(scope, 0))
    time_s = max(mine.time_s, theirs.time_s)
    marks = _marks(mine, theirs, claims)
    return replace(mine, claims=claims, marks=marks, usage=usage, time_s=time_s)


def usage_keys(vault: str, recipient: str, day: str) -> tuple[UsageKey, UsageKey, UsageKey]:
    """Return what a signature is counted under: recipient and day, day, lifetime."""
    return (
        (vault, f"recipient_day:{day}:{recipient}"),
        (vault, f"day:{day}"),
        (vault, "lifetime"),
    )


def _merged(known: Protected, other: Protected) -> Protected | None:
    """Return what two memories of one seqno make together, None if they contradict each other."""
    if known.payload_hash == other.payload_hash and known.valid_until_s != other.valid_until_s:
        return None
    first, last = sorted((known, other), key=lambda one: one.valid_until_s)
    most = max(first.most, last.most)
    if first.payload_hash != last.payload_hash:
        apart = last.valid_until_s - first.valid_until_s
        return replace(last, most=most) if apart > EXPIRY_MARGIN_S else None
    # What a day has counted already lowers a later charge, so it is believed only of both.
    if first.day != last.day:
        return replace(last, most=most, day="", day_most=0)
    return replace(last, most=most, day_most=min(first.day_most, last.day_most))


def _marks(
    mine: Protection, theirs: Protection, claims: Mapping[ClaimKey, Protected]
) -> dict[tuple[str, str], Mark]:
    marks = dict(mine.marks)
    for who, mark in theirs.marks.items():
        marks[who] = higher(marks.get(who), mark)
    for vault, recipient, seqno in claims:
        who = (vault, recipient)
        marks[who] = higher(marks.get(who), Mark(seqno=seqno))
    return marks


def higher(known: Mark | None, other: Mark) -> Mark:
    """Return the stricter of two watermarks of one recipient."""
    if known is None:
        return other
    return Mark(
        seqno=max(known.seqno, other.seqno),
        quarantined_until_s=max(known.quarantined_until_s, other.quarantined_until_s),
    )
