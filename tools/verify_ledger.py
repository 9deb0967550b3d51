#!/usr/bin/env python3
"""Verify AIBA Arena's ledger without AIBA Arena: one file, no dependencies, Python 3.10 or newer.

    python verify_ledger.py chain.jsonl [--head HASH]

The file is what `aiba audit --export` wrote: a line of JSON for each checkpoint, in order. It says

- number, first and last entry, and the hash of the checkpoint before (64 zeros for the first);
- entries: the SHA-256 of the SHA-256 digests of its entries one after another, where an entry is
  the JSON list [number, at, currency, amount, debit, credit, reason, arena, league, source type,
  source id] in ASCII without spaces; marks: the first 8 hex digits of each digest;
- moved: the sum of the amounts by currency; held: what all accounts hold after the last entry, by
  the first part of their names and by currency, without what is 0;
- hash: the SHA-256 of all the rest as JSON in ASCII with sorted names and without spaces.

With its entries all of that is computed again; also that no entry is missing, that every currency
sums to 0, and that no account of a player, guild, sink or of the operator's pots ever owed between
two instants. Without them the hashes, the links and the sums are. `--head` is a hash that you have
kept, of any checkpoint: with it nothing up to there can have been changed since you kept it.
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
GUARDED = {"player", "guild", "treasury", "reserve", "buyback", "claims", "sink", "held"}
LARGEST = (1 << 63) - 1


class WrongError(Exception):
    """What is wrong with a chain; the message is for people."""


def require(holds: bool, text: str) -> None:  # noqa: FBT001 - a condition
    """Raise WrongError with the text unless something holds."""
    if not holds:
        raise WrongError(text)


class Ledger:
    """All accounts, made again from the entries."""

    def __init__(self) -> None:
        self.accounts: dict[tuple[str, str], int] = {}
        self.last = 0
        self.at: object = None
        self.touched: set[tuple[str, str]] = set()

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
            self.accounts[place] = self.accounts.get(place, 0) + sign * amount
            self.touched.add(place)
        self.last = number

    def judge(self) -> None:
        """Raise WrongError if an account owes that may not."""
        for account, currency in self.touched:
            owes = self.accounts[account, currency] < 0
            may = account.partition(":")[0] not in GUARDED
            require(may or not owes, f"{account} owes {currency} after entry {self.last}")
        self.touched.clear()

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
    told = {name: value for name, value in checkpoint.items() if name != "hash"}
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
    digest, marks = hashlib.sha256(), checkpoint["marks"]
    moved: dict[str, int] = {}
    for place, entry in enumerate(entries):
        line = json.dumps(entry, separators=(",", ":")).encode("ascii")
        own = hashlib.sha256(line).digest()
        mark = marks[place * MARK : (place + 1) * MARK]
        require(own.hex()[:MARK] == mark, f"entry {checkpoint['first'] + place} was changed")
        digest.update(own)
        moved[entry[2]] = moved.get(entry[2], 0) + entry[3]
        ledger.take(entry)
    count = checkpoint["last"] - checkpoint["first"] + 1
    require(len(entries) == count, f"{len(entries)} entries are there of {count}")
    require(digest.hexdigest() == checkpoint["entries"], "its entries were changed")
    require(moved == checkpoint["moved"], "its entries move other amounts")
    require(ledger.held() == checkpoint["held"], "its entries come to other balances")


def verify(lines: Iterator[str]) -> Iterator[Json]:
    """Go along a chain and yield each checkpoint that holds. Raises WrongError."""
    header = json.loads(next(lines, "{}"))
    kind = (header.get("format"), header.get("version"))
    require(kind == ("aiba-ledger-chain", 1), "this is no chain that I know")
    ledger = Ledger()
    last: Json = {"number": 0, "last": 0, "hash": NO_HASH}
    for line in lines:
        document = json.loads(line)
        checkpoint = document["checkpoint"]
        number = last["number"] + 1
        try:
            require(checkpoint["number"] == number, "it isn't the one that comes next")
            require(checkpoint["first"] == last["last"] + 1, "entries are missing before it")
            require(checkpoint["before"] == last["hash"], "it names another one before it")
            require(checkpoint["hash"] == hash_of(checkpoint), "its hash isn't of what it says")
            check_sums(checkpoint)
            if header["entries"]:
                check_entries(checkpoint, document["entries"], ledger)
        except WrongError as wrong:
            raise WrongError(f"checkpoint {number}: {wrong}") from None
        yield checkpoint
        last = checkpoint
    ledger.judge()


def main() -> int:
    """Verify a file; return the exit code."""
    parser = argparse.ArgumentParser(description="Verify an exported ledger.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--head", help="a checkpoint's hash that you have kept")
    options = parser.parse_args()
    last: Json = {"last": 0, "hash": NO_HASH}
    count, known = 0, options.head is None
    try:
        with options.file.open(encoding="ascii") as file:
            for checkpoint in verify(file):
                count, last = count + 1, checkpoint
                known = known or checkpoint["hash"] == options.head
        require(known, f"no checkpoint has the hash {options.head}")
    except (WrongError, OSError) as wrong:
        print(f"WRONG {wrong}")
        return 1
    except (ValueError, KeyError, TypeError, IndexError) as error:
        print(f"WRONG the file can't be read: {error!r}")
        return 1
    print(f"ok {count} checkpoints, {last['last']} entries, head {last['hash']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
