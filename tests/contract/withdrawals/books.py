"""Reconciliation: what the service's books say of withdrawals against what the vault has done.

It shares no rule with the code it checks. What the vault paid is read from the transactions on its
account, message by message.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from aiba_adapters.devnet.arena import Arena
from aiba_adapters.ton.addresses import Address
from aiba_domain.ports import Entry

Json = Mapping[str, Any]

_REWARD_CLAIM = 0x3B5D2B44
_OPEN = ("reserved", "signed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A claim that the vault took."""

    recipient: str
    seqno: int
    amount: int


@dataclass(slots=True, kw_only=True)
class Books:
    """The ledger's sums of withdrawals, and each player's claims as they are listed."""

    debited: int = 0
    confirmed: int = 0
    refunded: int = 0
    by_player: Mapping[str, Sequence[Json]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[Entry], by_player: Mapping[str, Sequence[Json]]) -> "Books":
        """Enter all that went into the account of claims and out of it."""
        books = cls(by_player=by_player)
        for entry in entries:
            posting = entry.posting
            if posting.credit == "claims":
                books.debited += posting.amount
            elif posting.debit == "claims" and posting.credit == "chain":
                books.confirmed += posting.amount
            elif posting.debit == "claims":
                books.refunded += posting.amount
        return books

    @property
    def in_flight(self) -> int:
        """What is withdrawn and neither confirmed nor refunded."""
        return self.debited - self.confirmed - self.refunded

    @property
    def claims(self) -> list[Json]:
        """All claims of all players."""
        return [claim for listed in self.by_player.values() for claim in listed]

    def check_lists(self) -> None:
        """Check that players see what the ledger says: every unit of it in one claim's state."""
        sums: defaultdict[str, int] = defaultdict(int)
        for claim in self.claims:
            sums[claim["state"]] += int(claim["claim"]["amount"])
        flying = sums["reserved"] + sums["signed"]
        assert (sums["confirmed"], sums["refunded"]) == (self.confirmed, self.refunded)
        assert flying == self.in_flight
        assert set(sums) <= {*_OPEN, "confirmed", "refunded"}

    def check_chain(self, arena: Arena, given_back: int) -> None:
        """Check claims, seqnos and jettons against the vault's own, to the unit.

        `given_back` is what players have sent to the vault.
        """
        paid = paid_by(arena)
        known = {
            place_of(claim["claim"])
            for claim in self.claims
            if claim["state"] in (*_OPEN, "confirmed")
        }
        took = [(one.recipient, one.seqno, one.amount) for one in paid]
        assert set(took) <= known, "the vault paid what no claim stands for, or a refunded one"
        confirmed = [
            place_of(claim["claim"]) for claim in self.claims if claim["state"] == "confirmed"
        ]
        assert sorted(confirmed) == sorted(set(confirmed) & set(took)), "confirmed and not paid"
        seqnos: defaultdict[str, list[int]] = defaultdict(list)
        for one in paid:
            seqnos[one.recipient].append(one.seqno)
        for recipient, found in seqnos.items():
            assert found == [*range(1, len(found) + 1)]
            assert arena.last_seqno(address(recipient)) == len(found)
        owed = sum(arena.owed(address(recipient)) for recipient in seqnos)
        gone = sum(one.amount for one in paid) - owed - given_back
        assert arena.jettons(arena.vault) == arena.total_supply() - gone

    def check_signatures(self, arena: Arena, issued: Sequence[Json]) -> None:
        """Check that no two claims of a seqno could be paid at one moment, and none is unknown."""
        by_place: defaultdict[tuple[str, int], list[Json]] = defaultdict(list)
        for claim in issued:
            by_place[claim["toAddress"], claim["seqno"]].append(claim)
        listed = {place_of(claim["claim"]) for claim in self.claims}
        for claims in by_place.values():
            claims.sort(key=lambda claim: int(claim["validUntil"]))
            for first, second in pairwise(claims):
                made_s = second["validUntil"] - 600
                assert made_s > first["validUntil"], "two signatures alive for one seqno"
        for recipient in {claim["toAddress"] for claim in issued}:
            wanted = arena.last_seqno(address(recipient)) + 1
            alive = [
                claim
                for claim in by_place[recipient, wanted]
                if claim["validUntil"] >= arena.chain.now
            ]
            assert len(alive) <= 1
        assert {place_of(claim) for claim in issued} <= listed


def place_of(claim: Json) -> tuple[str, int, int]:
    """Return whom a claim pays, in which turn, and how much."""
    return claim["toAddress"], claim["seqno"], int(claim["amount"])


def paid_by(arena: Arena) -> list[Paid]:
    """Return all claims that the vault took, oldest first."""
    found = []
    for one in reversed(arena.chain.transactions(arena.vault, limit=100_000)):
        message = one.fields.in_msg
        if one.exit_code != 0 or not message.is_internal or message.info.bounced:
            continue
        body = message.body.begin_parse()
        if body.remaining_bits < 32 or body.load_uint(32) != _REWARD_CLAIM:
            continue
        to = body.load_address().to_str(is_user_friendly=False)
        amount, seqno = body.load_coins(), body.load_uint(64)
        found.append(Paid(recipient=to, seqno=seqno, amount=amount))
    return found


def address(raw: str) -> Address:
    """Return the address of its raw text."""
    workchain, _, digits = raw.partition(":")
    return Address(int(workchain), bytes.fromhex(digits))
