"""The clients of a simulation: what each remembers, and what it asks for next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from aiba_domain.ids import derive_id
from aiba_domain.testing.simulation.cast import PLAYED, WALLETS, spares_of
from aiba_domain.testing.simulation.dice import Dice, Table
from aiba_domain.testing.simulation.site import SESSION_MS, Ask, Told

_STATS: Final = ("intelligence", "speed", "risk")
_RECENT: Final = 10
_SHORT_MS: Final = 60_000


class Manner(StrEnum):
    """How a client behaves: an impatient one repeats itself, a hostile one cheats as well."""

    HONEST = "honest"
    IMPATIENT = "impatient"
    HOSTILE = "hostile"


@dataclass(slots=True, eq=False)
class Order:
    """A request as its client remembers it, and the answer once there is one.

    A proof is renewed when it is sent again. An order is settled by an answer that stays.
    """

    ask: Ask
    is_settled: bool = False


@dataclass(slots=True, eq=False)
class Client:
    """One player's client: its session, its brokers, and what it has asked for."""

    player: str
    manner: Manner
    token: str = ""
    token_ends: int = 0
    brokers: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Know the own brokers."""
        self.brokers = [broker.id for broker in spares_of(self.player)]

    def needs_session(self, now: int) -> bool:
        """Tell whether the session is over, or about to be, by the client's own clock."""
        return now + _SHORT_MS >= self.token_ends

    def opened(self, told: Told, now: int) -> None:
        """Keep a session's token."""
        self.token, self.token_ends = str(told.body["token"]), now + SESSION_MS

    def next_ask(self, dice: Dice, key: str) -> Ask:
        """Return something new to ask for."""
        kind = dice.weighted(_KINDS)
        needs_key = kind not in _FREE
        return Ask(
            player=self.player,
            kind=kind,
            body=_BODIES[kind](self, dice) if kind in _BODIES else {},
            key=key if needs_key else None,
            proof=self.token,
        )

    def battle(self, dice: Dice, key: str) -> Ask:
        """Return a battle to ask for."""
        return Ask(
            player=self.player, kind="battle", body=_battle(self, dice), key=key, proof=self.token
        )

    def order(self, ask: Ask) -> Order:
        """Remember a request that is about to be sent."""
        order = Order(ask)
        self.orders.append(order)
        return order

    def renewed(self, order: Order) -> Ask:
        """Return a request to send again, with the session of now."""
        return replace(order.ask, proof=self.token)

    def recent(self, dice: Dice) -> Order | None:
        """Return one of the last requests, if there is one."""
        return dice.pick(self.orders[-_RECENT:]) if self.orders else None

    def heard(self, ask: Ask, told: Told) -> None:
        """Learn from an answer which brokers there are."""
        if ask.kind == "combine" and told.is_ok:
            gone = ask.body["sacrificeBrokerId"]
            self.brokers = [each for each in self.brokers if each != gone] or self.brokers
        elif ask.kind == "starter" and told.is_ok and told.body["_id"] not in self.brokers:
            self.brokers.insert(0, str(told.body["_id"]))


def other_body(ask: Ask, dice: Dice) -> Mapping[str, object]:
    """Return a body that asks for something else than `ask` under the same key."""
    if ask.kind == "claim":
        amount = ask.body.get("amount")
        return {"amount": dice.between(1, 80) + (amount if isinstance(amount, int) else 0)}
    if ask.kind in ("train", "upgrade"):
        others = [stat for stat in _STATS if stat != ask.body["stat"]]
        return {**ask.body, "stat": dice.pick(others)}
    if ask.kind == "combine":
        return {
            "baseBrokerId": ask.body["sacrificeBrokerId"],
            "sacrificeBrokerId": ask.body["baseBrokerId"],
        }
    if ask.kind == "battle":
        others = [mode for mode in PLAYED if mode != ask.body["modeKey"]]
        return {**ask.body, "modeKey": dice.pick(others)}
    return {"brokerId": derive_id("nobody's", str(ask.key))}


def _battle(client: Client, dice: Dice) -> Mapping[str, object]:
    body: dict[str, object] = {
        "brokerId": dice.pick(client.brokers),
        "modeKey": dice.pick(PLAYED),
    }
    if dice.chance(150):
        body["autoClaim"] = True
    return body


def _stat(client: Client, dice: Dice) -> Mapping[str, object]:
    return {"brokerId": dice.pick(client.brokers), "stat": dice.pick(_STATS)}


def _broker(client: Client, dice: Dice) -> Mapping[str, object]:
    return {"brokerId": dice.pick(client.brokers)}


def _pair(client: Client, dice: Dice) -> Mapping[str, object]:
    base, other = dice.pick(client.brokers), dice.pick(client.brokers)
    return {"baseBrokerId": base, "sacrificeBrokerId": other}


def _amount(_client: Client, dice: Dice) -> Mapping[str, object]:
    amount = dice.pick((None, 1, dice.between(1, 90), dice.between(1, 300), 10_000))
    return {} if amount is None else {"amount": amount}


def _wallet(_client: Client, dice: Dice) -> Mapping[str, object]:
    return {"address": dice.pick(WALLETS)}


def _school(client: Client, dice: Dice) -> Mapping[str, object]:
    return {"schoolId": derive_id("school", client.player, str(dice.below(3)))}


_KINDS: Final = Table(
    ("battle", 50),
    ("claim", 12),
    ("daily", 9),
    ("train", 7),
    ("combo", 6),
    ("repair", 5),
    ("upgrade", 5),
    ("starter", 3),
    ("wallet", 3),
    ("combine", 2),
    ("school", 1),
)
"""What players ask for, and how often."""

_FREE: Final = ("wallet", "school")
"""What takes no key: asking twice changes nothing."""

_BODIES: Final[Mapping[str, Callable[[Client, Dice], Mapping[str, object]]]] = {
    "battle": _battle,
    "train": _stat,
    "upgrade": _stat,
    "repair": _broker,
    "combine": _pair,
    "claim": _amount,
    "wallet": _wallet,
    "school": _school,
}
