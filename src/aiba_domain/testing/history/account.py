"""One player's account as a client sees it: a model that shares no rule with the code it judges.

It is written from the documentation of the wire: what a request answers in a state, and which state
comes next. `outcomes` lists every answer that is right; an answer that is in none of them is wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

OK: Final = "ok"
"""The code of an answer that is no refusal."""
CAPPED: Final = "daily cap reached"
REUSED: Final = "requestId already used"

DAILY: Final = 50
TRAIN: Final = 25
REPAIR: Final = 15
UPGRADE: Final = 40
ENTRY: Final = 5
ENERGY: Final = 3
"""The most energy a broker has, and what each has at first."""
TRAIN_POINTS: Final = 1
UPGRADE_POINTS: Final = 2


class Kind(StrEnum):
    """What a client may ask for."""

    LOOK = "look"
    DAILY = "daily"
    TRAIN = "train"
    REPAIR = "repair"
    UPGRADE = "upgrade"
    FIGHT = "fight"
    WITHDRAW = "withdraw"
    SETTLE = "settle"


KEYED: Final = frozenset({Kind.TRAIN, Kind.REPAIR, Kind.UPGRADE, Kind.FIGHT, Kind.WITHDRAW})
"""What is asked for under a key, whose first answer is the answer for ever."""

_NEUR: Final = {Kind.TRAIN: TRAIN, Kind.REPAIR: REPAIR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `what` is a stat's place of 0..2, or the AIBA of a withdrawal.

    `key` is the idempotency key, or that of the withdrawal that is settled.
    """

    kind: Kind
    what: int = 0
    key: str = ""

    def __str__(self) -> str:
        inside = ", ".join(filter(None, (f"{self.what}" if self.what else "", self.key)))
        return f"{self.kind}({inside})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer: `ok` or the code of a refusal, and the numbers in it by name, sorted."""

    code: str = OK
    facts: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.code, *(f"{name}={number}" for name, number in self.facts)])


def said(code: str = OK, **facts: int) -> Said:
    """Return an answer."""
    return Said(code=code, facts=tuple(sorted(facts.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Withdrawal:
    key: str
    amount: int
    is_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All of a player that the requests can see: balances, the one broker, and what was answered.

    `points` is the sum of the broker's stats.
    """

    neur: int
    aiba: int
    points: int
    energy: int = ENERGY
    has_claimed: bool = False
    withdrawals: frozenset[_Withdrawal] = frozenset()
    answers: frozenset[tuple[Ask, Said]] = frozenset()

    def __hash__(self) -> int:
        """Hash a part: a search compares millions of states, and hashing every answer is slow."""
        return hash((self.neur, self.aiba, self.points, self.energy, len(self.answers)))

    def outcomes(self, ask: Ask) -> "Iterable[tuple[Said, Account]]":
        """Return every right answer to a request, each with the state it leaves."""
        if ask.kind not in KEYED:
            return self._decided(ask)
        for first, answer in self.answers:
            if (first.kind, first.key) == (ask.kind, ask.key):
                return ((answer if first == ask else said(REUSED), self),)
        return [
            (answer, replace(after, answers=after.answers | {(ask, answer)}))
            for answer, after in self._decided(ask)
        ]

    def _decided(self, ask: Ask) -> "Iterable[tuple[Said, Account]]":
        match ask.kind:
            case Kind.LOOK:
                seen = said(neur=self.neur, aiba=self.aiba, points=self.points, energy=self.energy)
                return ((seen, self),)
            case Kind.DAILY:
                return self._daily()
            case Kind.TRAIN | Kind.REPAIR | Kind.UPGRADE:
                return (self._bought(ask.kind),)
            case Kind.FIGHT:
                return (self._fought(),)
            case Kind.WITHDRAW:
                return (self._withdrawn(ask),)
            case Kind.SETTLE:
                return (self._settled(ask.key),)

    def _daily(self) -> "Iterable[tuple[Said, Account]]":
        """Give the day's reward once; the cap is everyone's, so this account can't foresee it."""
        if self.has_claimed:
            return ((said(again=1, neur=self.neur), self),)
        after = replace(self, neur=self.neur + DAILY, has_claimed=True)
        return ((said(again=0, neur=after.neur), after), (said(CAPPED), self))

    def _bought(self, kind: Kind) -> "tuple[Said, Account]":
        currency, price = ("aiba", UPGRADE) if kind is Kind.UPGRADE else ("neur", _NEUR[kind])
        have = self.aiba if kind is Kind.UPGRADE else self.neur
        if have < price:
            return said(f"insufficient {currency.upper()}", need=price, have=have), self
        gain = {Kind.TRAIN: TRAIN_POINTS, Kind.UPGRADE: UPGRADE_POINTS}.get(kind, 0)
        after = replace(
            self,
            neur=self.neur - (price if currency == "neur" else 0),
            aiba=self.aiba - (price if currency == "aiba" else 0),
            points=self.points + gain,
            energy=ENERGY if kind is Kind.REPAIR else self.energy,
        )
        facts = {currency: have - price, "points": after.points, "energy": after.energy}
        return Said(facts=tuple(sorted(facts.items()))), after

    def _fought(self) -> "tuple[Said, Account]":
        if self.energy < 1:
            return said("no energy", need=1, have=self.energy), self
        if self.neur < ENTRY:
            return said("insufficient NEUR", need=ENTRY, have=self.neur), self
        return said(), replace(self, energy=self.energy - 1, neur=self.neur - ENTRY)

    def _withdrawn(self, ask: Ask) -> "tuple[Said, Account]":
        if any(one.is_open for one in self.withdrawals):
            return said("pending_claim"), self
        if self.aiba < ask.what:
            return said("insufficient AIBA", need=ask.what, have=self.aiba), self
        made = _Withdrawal(key=ask.key, amount=ask.what)
        after = replace(self, aiba=self.aiba - ask.what, withdrawals=self.withdrawals | {made})
        return said(amount=ask.what), after

    def _settled(self, key: str) -> "tuple[Said, Account]":
        """Settle a withdrawal that the chain has paid."""
        for one in self.withdrawals:
            if one.key == key:
                paid = self.withdrawals - {one} | {replace(one, is_open=False)}
                return said(amount=one.amount, open=0), replace(self, withdrawals=paid)
        return said("claim not found"), self
