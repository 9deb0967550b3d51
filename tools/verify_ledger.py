#!/usr/bin/env python3
"""Verify AIBA Arena's ledger without AIBA Arena: one file, no dependencies, Python 3.10 or newer.

    python verify_ledger.py chain.jsonl [--head HASH]
    python verify_ledger.py --proof answer.json --head HASH [--account player:ID]

The file is what `aiba audit --export` wrote: a line of JSON for each checkpoint, in order. It says

- number, first and last entry, and the hash of the checkpoint before (64 zeros for the first);
- entries: the root of the Merkle tree (RFC 9162) over its entries, where an entry is the JSON list
  [number, at, currency, amount, debit, credit, reason, arena, league, source type, source id] in
  ASCII without spaces; marks: the first 8 hex digits of each leaf;
- moved: the sum of the amounts by currency; held: what all accounts hold after the last entry, by
  the first part of their names and by currency, without what is 0;
- balances: the SHA-256 of the sum, modulo 2^2048, over what every account holds then that isn't 0:
  256 bytes of SHAKE256 of the JSON list [account, currency, balance], as numbers;
- trees: the roots of the perfect Merkle trees over the hashes of all checkpoints before;
- hash: the SHA-256 of all that but the marks as JSON in ASCII with sorted names, without spaces.

With its entries all of that is computed again; also that no entry is missing, that every currency
sums to 0, and that no account of a player, guild, sink or of the operator's pots ever owed between
two instants. Without them the hashes, the links, the trees and the sums are. `--head` is a hash
that you have kept, of any checkpoint: with it nothing up to there can have been changed since then.

A proof is the answer of `GET /api/ledger/proof`: entries of one player, with what leads from them
to the newest checkpoint, whose hash must be the one given as `--head`: one that you have kept, or
that `GET /api/solvency` shows to everybody. Nothing else of the ledger is needed.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

NO_HASH = "0" * 64
MARK = 8
UNSEALED = {"hash", "marks"}
GUARDED = {"player", "guild", "treasury", "reserve", "buyback", "claims", "sink", "held"}
LARGEST = (1 << 63) - 1


class WrongError(Exception):
    """What is wrong with a chain; the message is for people."""


def require(holds: bool, text: str) -> None:  # noqa: FBT001 - a condition
    """Raise WrongError with the text unless something holds."""
    if not holds:
        raise WrongError(text)


def leaf_of(line: bytes) -> bytes:
    """Hash a leaf of a Merkle tree."""
    return hashlib.sha256(b"\0" + line).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    """Hash a node of a Merkle tree."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves: list[bytes]) -> bytes:
    """Compute the root over leaves: the left tree is the largest perfect one with fewer of them."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_of(root_of(leaves[:half]), root_of(leaves[half:]))


def climb(leaf: bytes, place: int, size: int, path: list[str]) -> bytes:
    """Go along a path from a leaf to the root of a tree with so many leaves."""
    require(0 <= place < size, "it is at a place that there isn't")
    steps = iter(path)
    while size > 1:
        if place % 2 or place + 1 < size:
            beside = bytes.fromhex(next(steps, ""))
            require(len(beside) == len(leaf), "its path is too short")
            leaf = node_of(beside, leaf) if place % 2 else node_of(leaf, beside)
        place, size = place // 2, (size + 1) // 2
    require(next(steps, None) is None, "its path is too long")
    return leaf


class Ledger:
    """All accounts, made again from the entries."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, str], int] = {}
        self.last = 0
        self.at: object = None
        self.touched: set[tuple[str, str]] = set()
        self.total = 0

    def part(self, place: tuple[str, str]) -> int:
        """Compute what an account's balance adds to the sum over all."""
        balance = self.accounts.get(place, 0)
        if not balance:
            return 0
        line = json.dumps([*place, balance], separators=(",", ":")).encode("ascii")
        return int.from_bytes(hashlib.shake_256(line).digest(256), "big")

    def take(self, entry: list[Any]) -> None:
        """Take in an entry, or raise WrongError."""
        number, at, currency, amount, debit, credit = entry[:6]
        require(number == self.last + 1, f"entry {number} comes after {self.last}")
        good = type(amount) is int and 1 <= amount <= LARGEST and debit != credit
        require(good, f"entry {number} moves {amount!r} from {debit} to {credit}")
        if at != self.at:
            self.judge()
            self.at = at
        for account, sign in ((debit, -1), (credit, 1)):
            place = (account, currency)
            self.total -= self.part(place)
            self.accounts[place] = self.accounts.get(place, 0) + sign * amount
            self.total += self.part(place)
            self.touched.add(place)
        self.last = number

    def judge(self) -> None:
        """Raise WrongError if an account owes that may not."""
        for account, currency in self.touched:
            owes = self.accounts[account, currency] < 0
            may = account.partition(":")[0] not in GUARDED
            require(may or not owes, f"{account} owes {currency} after entry {self.last}")
        self.touched.clear()

    def balances(self) -> str:
        """Return the seal of all balances."""
        return hashlib.sha256((self.total % (1 << 2048)).to_bytes(256, "big")).hexdigest()

    def held(self) -> dict[str, dict[str, int]]:
        """Return the sums of accounts by the first part of their names."""
        found: dict[str, dict[str, int]] = {}
        for (account, currency), amount in self.accounts.items():
            root = found.setdefault(account.partition(":")[0], {})
            root[currency] = root.get(currency, 0) + amount
        kept = {root: {c: n for c, n in held.items() if n} for root, held in found.items()}
        return {root: held for root, held in kept.items() if held}


def hash_of(checkpoint: Json) -> str:
    """Compute a checkpoint's hash."""
    told = {name: value for name, value in checkpoint.items() if name not in UNSEALED}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def check_sums(checkpoint: Json) -> None:
    """Check that what all accounts hold sums to 0 in each currency."""
    sums: dict[str, int] = {}
    for held in checkpoint["held"].values():
        for currency, amount in held.items():
            sums[currency] = sums.get(currency, 0) + amount
    for currency, total in sums.items():
        require(total == 0, f"{currency} sums to {total}")


def check_entries(checkpoint: Json, entries: list[list[Any]], ledger: Ledger) -> None:
    """Check that the entries are those that were sealed, and what they come to."""
    leaves: list[bytes] = []
    marks = checkpoint["marks"]
    moved: dict[str, int] = {}
    for place, entry in enumerate(entries):
        line = json.dumps(entry, separators=(",", ":")).encode("ascii")
        own = leaf_of(line)
        mark = marks[place * MARK : (place + 1) * MARK]
        require(own.hex()[:MARK] == mark, f"entry {checkpoint['first'] + place} was changed")
        leaves.append(own)
        moved[entry[2]] = moved.get(entry[2], 0) + entry[3]
        ledger.take(entry)
    count = checkpoint["last"] - checkpoint["first"] + 1
    require(len(entries) == count, f"{len(entries)} entries are there of {count}")
    require(len(marks) == MARK * count, "its marks aren't those of its entries")
    require(root_of(leaves).hex() == checkpoint["entries"], "its entries were changed")
    require(moved == checkpoint["moved"], "its entries move other amounts")
    require(ledger.held() == checkpoint["held"], "its entries come to other balances")
    require(ledger.balances() == checkpoint["balances"], "an account holds another balance")


def verify(lines: Iterator[str]) -> Iterator[Json]:
    """Go along a chain and yield each checkpoint that holds. Raises WrongError."""
    header = json.loads(next(lines, "{}"))
    kind = (header.get("format"), header.get("version"))
    require(kind == ("aiba-ledger-chain", 2), "this is no chain that I know")
    ledger = Ledger()
    last: Json = {"number": 0, "last": 0, "hash": NO_HASH}
    trees: list[tuple[int, bytes]] = []
    for line in lines:
        document = json.loads(line)
        checkpoint = document["checkpoint"]
        number = last["number"] + 1
        try:
            require(checkpoint["number"] == number, "it isn't the one that comes next")
            require(checkpoint["first"] == last["last"] + 1, "entries are missing before it")
            require(checkpoint["before"] == last["hash"], "it names another one before it")
            require(checkpoint["hash"] == hash_of(checkpoint), "its hash isn't of what it says")
            roots = [root.hex() for _, root in trees]
            require(checkpoint["trees"] == roots, "its trees aren't of those before it")
            check_sums(checkpoint)
            if header["entries"]:
                check_entries(checkpoint, document["entries"], ledger)
        except WrongError as wrong:
            raise WrongError(f"checkpoint {number}: {wrong}") from None
        yield checkpoint
        last = checkpoint
        trees.append((1, leaf_of(bytes.fromhex(checkpoint["hash"]))))
        while len(trees) > 1 and trees[-1][0] == trees[-2][0]:
            (size, right), (_, left) = trees.pop(), trees.pop()
            trees.append((2 * size, node_of(left, right)))
    ledger.judge()


def unsealed(part: Json) -> Json:
    """Return what a proof's checkpoint says, which must be what its hash is of."""
    text = part["sealed"]
    own = hashlib.sha256(text.encode("ascii")).hexdigest()
    require(own == part["hash"], "a checkpoint's hash isn't of what it says")
    said: Json = json.loads(text)
    return said


def check_proof(answer: Json, head: str, account: str | None) -> list[list[Any]]:
    """Return the entries that an answer of the service proves. Raises WrongError."""
    proof = answer.get("data", answer)
    require(proof["head"]["hash"] == head, f"it is no proof for the head {head}")
    newest, checkpoint = unsealed(proof["head"]), unsealed(proof["checkpoint"])
    number, path = checkpoint["number"], proof["history"]
    if proof["checkpoint"]["hash"] == head:
        require(not path, "its history is too long")
    else:
        start, before = 0, newest["number"] - 1
        sizes = [1 << bit for bit in range(before.bit_length(), -1, -1) if before >> bit & 1]
        require(len(sizes) == len(newest["trees"]), "the head has other trees than it must")
        require(1 <= number <= before, "its checkpoint isn't before the head")
        for size, tree in zip(sizes, newest["trees"], strict=True):
            if number <= start + size:
                leaf = leaf_of(bytes.fromhex(proof["checkpoint"]["hash"]))
                root = climb(leaf, number - 1 - start, size, path)
                require(root.hex() == tree, "its checkpoint isn't one of those before the head")
                break
            start += size
    count, found = checkpoint["last"] - checkpoint["first"] + 1, []
    for each in proof["entries"]:
        entry = json.loads(each["line"])
        wanted = checkpoint["first"] + each["place"]
        require(entry[0] == wanted, f"entry {entry[0]} isn't at its place")
        root = climb(leaf_of(each["line"].encode("ascii")), each["place"], count, each["path"])
        require(root.hex() == checkpoint["entries"], f"entry {entry[0]} isn't in its checkpoint")
        mine = account is None or account in entry[4:6]
        require(mine, f"entry {entry[0]} isn't of {account}")
        found.append(entry)
    return found


def told(options: argparse.Namespace) -> str:
    """Verify what is asked for; return what is to be said. Raises WrongError."""
    if options.proof is not None:
        require(options.head is not None, "a proof needs --head")
        with options.proof.open(encoding="utf-8") as file:
            found = check_proof(json.load(file), options.head, options.account)
        lines = [f"entry {each[0]}: {each[3]} {each[2]} {each[4]} > {each[5]}" for each in found]
        return "\n".join([*lines, f"ok {len(found)} entries, head {options.head}"])
    require(options.file is not None, "there is no file to verify")
    last: Json = {"last": 0, "hash": NO_HASH}
    count, known = 0, options.head is None
    with options.file.open(encoding="ascii") as file:
        for checkpoint in verify(file):
            count, last = count + 1, checkpoint
            known = known or checkpoint["hash"] == options.head
    require(known, f"no checkpoint has the hash {options.head}")
    return f"ok {count} checkpoints, {last['last']} entries, head {last['hash']}"


def main() -> int:
    """Verify a file; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify an exported ledger, or a proof.")
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--proof", type=Path, help="an answer of GET /api/ledger/proof")
    parser.add_argument("--head", help="a checkpoint's hash that you have kept")
    parser.add_argument("--account", help="whose entries the proof must be of, as player:7")
    options = parser.parse_args()
    try:
        print(told(options))
    except (WrongError, OSError) as wrong:
        print(f"WRONG {wrong}")
        return 1
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        print(f"WRONG the file can't be read: {error!r}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
