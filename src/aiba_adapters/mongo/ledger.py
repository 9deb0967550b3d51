"""Balances and history within one transaction."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Final

import bson
from pymongo import ASCENDING, DESCENDING

from aiba_adapters.mongo.ledger_pages import Spot, newest_of, page_of, stored_balances_of
from aiba_adapters.mongo.rooms import DayRooms, Room
from aiba_adapters.mongo.shapes.money import AccountShape, UnitShape, found_by
from aiba_adapters.mongo.shares import SHARES, document_id, is_shared_out
from aiba_adapters.mongo.transaction import Stored, Transaction
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import (
    Posting,
    check_balance,
    emission_prefix,
    may_go_negative,
    net_effects,
)
from aiba_domain.ledger_audit.rows import LedgerPage, StoredBalances
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.ports import Entry, Movement

_AFTER_ALL: Final = "\U0010ffff"
_IN_MEMORY: Final = 8 * 1024 * 1024
_RECENT: Final = 8
_CURRENCY: Final = {currency.value: currency for currency in Currency}

Balances = dict[str, int]


class Recent:
    """The accounts held in shares that a store's units posted to last."""

    def __init__(self) -> None:
        """Know of none."""
        self._names: dict[str, None] = {}

    def note(self, account: str) -> None:
        """Note that an account was posted to."""
        self._names.pop(account, None)
        self._names[account] = None
        if len(self._names) > _RECENT:
            del self._names[next(iter(self._names))]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._names))


class LedgerWanted(BaseException):
    """The work wants to go through the whole ledger, which must be fetched before it runs.

    No error: the port's `entries` can't wait, so the work is run again with the ledger at hand.
    Not an Exception, so that no work takes it for one.
    """


class Ledger:
    """What one unit of work sees of the ledger and does to it."""

    def __init__(self, transaction: Transaction, share: int, recent: Recent) -> None:
        """Work in a transaction, on share number `share` of what is held in shares.

        The shares of `recent` accounts are fetched along with what is asked for first, since this
        unit will likely post to them.
        """
        self._transaction = transaction
        self._share = share
        self._recent = recent
        self._known: dict[str, Balances] = {}
        self._rooms: dict[str, Room] = {}
        self._spent: set[str] = set()
        self._history: IO[bytes] | None = None
        self.posted: list[tuple[int, Posting]] = []
        self.touched: set[str] = set()
        """The accounts that were written."""

    async def balances(self, account: str) -> Mapping[Currency, int]:
        """Return an account's balances."""
        total: dict[str, int] = defaultdict(int)
        for held in (await self._load(account)).values():
            for currency, balance in held.items():
                total[currency] += balance
        return {_CURRENCY[currency]: int(balance) for currency, balance in total.items()}

    async def accounts(self) -> Mapping[tuple[str, Currency], int]:
        """Return every account's balances."""
        total: dict[tuple[str, Currency], int] = defaultdict(int)
        async for stored in self._transaction.each(AccountShape, {}):
            for currency, balance in stored["held"].items():
                total[stored["account"], _CURRENCY[currency]] += balance
        return dict(total)

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:
        """Return what a UTC day has emitted."""
        return (await self.day(day)).use

    async def day(self, day: str) -> DayRooms:
        """Return what a UTC day has emitted, and the room that its shares hold."""
        prefix = emission_prefix(day)
        found: dict[Currency, dict[str, int]] = {}
        rooms: dict[str, tuple[str, Room]] = {}
        stored = await self._transaction.all(
            AccountShape, {"account": {"$gt": prefix, "$lt": prefix + _AFTER_ALL}}
        )
        for each in stored:
            arena = each["account"].removeprefix(prefix)
            for currency, balance in each["held"].items():
                arenas = found.setdefault(_CURRENCY[currency], {})
                arenas[arena] = arenas.get(arena, 0) - balance
            rooms[each["_id"]] = (arena, Room.of(each))
        use = {currency: EmissionUse(by_arena=arenas) for currency, arenas in found.items()}
        return DayRooms(day=day, use=use, rooms=rooms)

    async def fetch(self, accounts: Iterable[str]) -> None:
        """Read the documents, or own shares, of accounts that will be asked for one by one."""
        await self._fetch(document_id(account, self._share) for account in accounts)

    async def room(self, account: str) -> Room:
        """Return the room that this unit's share of an emission account holds."""
        key = document_id(account, self._share)
        await self._fetch((key,))
        return self._rooms.get(key, Room())

    def spend(self, account: str, left: Room) -> None:
        """Leave so much room to this unit's share, written with its next posting."""
        key = document_id(account, self._share)
        self._rooms[key] = left
        self._spent.add(key)

    def put_room(self, key: str, account: str, room: Room) -> None:
        """Write what room a share holds."""
        how: dict[str, Any] = {"$setOnInsert": {"account": account, "held": {}}}
        self._transaction.change(AccountShape, key, how | room.change(), upsert=True)
        self._rooms[key] = room

    async def held_under(self, prefix: str) -> dict[str, dict[Currency, int]]:
        """Return the balances of the accounts whose names begin with `prefix`, by what follows."""
        found: dict[str, dict[Currency, int]] = {}
        stored = await self._transaction.all(
            AccountShape, {"account": {"$gt": prefix, "$lt": prefix + _AFTER_ALL}}
        )
        for each in stored:
            held = found.setdefault(each["account"].removeprefix(prefix), {})
            for currency, balance in each["held"].items():
                held[_CURRENCY[currency]] = held.get(_CURRENCY[currency], 0) + int(balance)
        return found

    async def movements(self, account: str | None, limit: int) -> list[Movement]:
        """Return the newest postings of an account or of all; this unit's own come first."""
        found = [Movement(at=at, posting=each) for at, each in reversed(self.posted)]
        where: dict[str, Any] = {"stamp": {"$exists": True}}
        if account is not None:
            where["accounts"] = account
        newest = [("stamp", DESCENDING), ("_id", DESCENDING)]
        for unit in await self._transaction.all(UnitShape, where, sort=newest, limit=limit):
            found += [
                Movement(at=int(each["at"]), posting=posting_of(each))
                for each in reversed(unit["postings"])
            ]
        mine = [
            each
            for each in found
            if account is None or account in (each.posting.debit, each.posting.credit)
        ]
        return mine[:limit]

    def found_by(self) -> list[str]:
        """Return the accounts that this unit's postings are found by, each once."""
        return found_by(
            account for _, posting in self.posted for account in (posting.debit, posting.credit)
        )

    async def post(self, at: int, postings: Sequence[Posting]) -> None:
        """Move the balances, each checked, and keep the postings for the history.

        Raises InvariantViolation where an account would hold what it may not.
        """
        effects: dict[str, dict[Currency, int]] = defaultdict(dict)
        for (account, currency), effect in net_effects(postings).items():
            effects[account][currency] = effect
        await self._fetch(document_id(account, self._share) for account in effects)
        changes: dict[str, tuple[str, Balances]] = {}
        for account, moves in effects.items():
            for currency, effect in moves.items():
                moved = await self._move(account, currency, effect)
                for key, balance in moved.items():
                    changes.setdefault(key, (account, {}))[1][currency.value] = balance
                    self._known[key][currency.value] = balance
        for key, (account, held) in sorted(changes.items()):
            fields: dict[str, Any] = {f"held.{name}": balance for name, balance in held.items()}
            if key in self._spent:
                fields |= self._rooms[key].change()["$set"]
                self._spent.remove(key)
            how = {"$set": fields, "$setOnInsert": {"account": account}}
            self._transaction.change(AccountShape, key, how, upsert=True)
            if is_shared_out(account):
                self._recent.note(account)
        for key in sorted(self._spent):  # its postings cancel out
            self._transaction.change(AccountShape, key, self._rooms[key].change(), upsert=False)
        self._spent.clear()
        self.touched.update(effects)
        self.posted += [(at, posting) for posting in postings]

    async def _move(self, account: str, currency: Currency, effect: int) -> Mapping[str, int]:
        """Return the new balances of the documents by which an account changes by `effect`."""
        key = document_id(account, self._share)
        balance = self._known[key].get(currency.value, 0) + effect
        if not is_shared_out(account):
            check_balance(account, currency, balance)
            return {key: balance}
        if abs(balance) <= MAX_AMOUNT // SHARES and (balance >= 0 or may_go_negative(account)):
            return {key: balance}  # as all shares are bounded alike, so is their sum
        shares = {
            each: held.get(currency.value, 0) for each, held in (await self._load(account)).items()
        }
        check_balance(account, currency, sum(shares.values()) + effect)
        shares[key] = balance
        if may_go_negative(account):
            check_balance(account, currency, balance)
            return {key: balance}
        return _levelled(shares, key)

    async def _load(self, account: str) -> Mapping[str, Balances]:
        """Return all documents of an account by their ids."""
        if not is_shared_out(account):
            await self._fetch((account,))
            return {account: self._known[account]}
        for stored in await self._transaction.all(AccountShape, {"account": account}):
            self._take(stored)
        mine = document_id(account, self._share)
        self._known.setdefault(mine, {})
        prefix = account + "#"
        return {
            key: held
            for key, held in self._known.items()
            if key.startswith(prefix) and key.removeprefix(prefix).isdigit()
        }

    async def _fetch(self, keys: Iterable[str]) -> None:
        """Read those documents that aren't known yet; what is known is the snapshot's, or ours."""
        missing = [key for key in keys if key not in self._known]
        if not missing:
            return
        expected = (document_id(account, self._share) for account in self._recent)
        missing += [key for key in expected if key not in self._known and key not in missing]
        where = {"_id": missing[0] if len(missing) == 1 else {"$in": missing}}
        for stored in await self._transaction.all(AccountShape, where):
            self._take(stored)
        for key in missing:
            self._known.setdefault(key, {})

    def _take(self, stored: Stored) -> None:
        """Know a document; what is known already is newer, or the same."""
        if stored["_id"] not in self._known:
            self._known[stored["_id"]] = dict(stored["held"])
            self._rooms[stored["_id"]] = Room.of(stored)

    async def merge(self, account: str) -> bool:
        """Put the shares of an account together in one, without room; tell if there were others."""
        stored = await self._transaction.all(AccountShape, {"account": account})
        if len(stored) < 2:  # noqa: PLR2004 - nothing to put together
            return False
        total: dict[str, int] = defaultdict(int)
        for each in stored:
            for currency, balance in each["held"].items():
                total[currency] += int(balance)
        kept, *others = sorted(each["_id"] for each in stored)
        self._transaction.put(AccountShape, {"_id": kept, "account": account, "held": dict(total)})
        for key in others:
            self._transaction.remove(AccountShape, key)
        return True

    async def fetch_history(self) -> None:
        """Read the whole history in its order, to a file where it is long."""
        history = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._history = history
        in_order = [("stamp", ASCENDING), ("_id", ASCENDING)]
        async for stored in self._transaction.each(
            UnitShape, {"stamp": {"$exists": True}}, sort=in_order
        ):
            history.write(bson.encode({"postings": stored["postings"]}))

    def entries(self) -> Iterator[Entry]:
        """Go through the history, then through what this unit has posted."""
        history = self._history
        if history is None:
            raise LedgerWanted
        return self._read(history)

    def _read(self, history: IO[bytes]) -> Iterator[Entry]:
        number = 0
        history.seek(0)
        for stored in bson.decode_file_iter(history):
            for posting in stored["postings"]:
                number += 1
                yield Entry(number=number, at=int(posting["at"]), posting=posting_of(posting))
        for at, each in self.posted:
            number += 1
            yield Entry(number=number, at=at, posting=each)

    async def page(self, after: str, limit: int, *, settled: bool) -> LedgerPage:
        """Return entries after a place."""
        return await page_of(self._transaction, after, limit, settled=settled)

    async def stored_balances(self, after: str, limit: int) -> list[StoredBalances]:
        """Return accounts with names above `after`."""
        return await stored_balances_of(self._transaction, after, limit)

    async def newest_of(self, account: str, end: Spot) -> Spot | None:
        """Return where the newest entry of an account is that isn't after a spot."""
        return await newest_of(self._transaction, account, end)

    def stored_postings(self) -> list[Stored]:
        """Return this unit's postings as they are written."""
        return [stored_posting(at, posting) for at, posting in self.posted]

    def close(self) -> None:
        """Let go of the history."""
        if self._history is not None:
            self._history.close()


def _levelled(shares: Mapping[str, int], key: str) -> Mapping[str, int]:
    """Cover what the share `key` lacks from the others, largest first; return those that change.

    Their sum is 0 or above, and no share ends below 0 or above the bound of an amount.
    """
    changed = {key: shares[key]}
    others = sorted((each for each in shares if each != key), key=lambda each: -shares[each])
    for each in others:
        if changed[key] >= 0:
            break
        taken = min(-changed[key], shares[each])
        changed[key] += taken
        changed[each] = shares[each] - taken
    return changed


def stored_posting(at: int, posting: Posting) -> Stored:
    """Return a posting as it is written."""
    return {
        "at": at,
        "currency": posting.currency.value,
        "amount": posting.amount,
        "debit": posting.debit,
        "credit": posting.credit,
        "reason": posting.reason,
        "arena": posting.arena,
        "league": posting.league,
        "source_type": posting.source_type,
        "source_id": posting.source_id,
    }


def posting_of(stored: Mapping[str, Any]) -> Posting:
    """Return a posting as it was written."""
    return Posting(
        currency=_CURRENCY[stored["currency"]],
        amount=int(stored["amount"]),
        debit=stored["debit"],
        credit=stored["credit"],
        reason=stored["reason"],
        arena=stored["arena"],
        league=stored["league"],
        source_type=stored["source_type"],
        source_id=stored["source_id"],
    )
