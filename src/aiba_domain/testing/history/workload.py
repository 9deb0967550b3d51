"""What clients ask for, drawn from a seed: of few accounts, to get in each other's way."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from aiba_domain.testing.history.account import KEYED, Ask, Kind

MOST_OF_AN_ACCOUNT: Final = 30
"""With more requests to one account a stat could reach its maximum, which the model has not."""

_KINDS: Final = {
    Kind.LOOK: 4,
    Kind.DAILY: 2,
    Kind.TRAIN: 5,
    Kind.REPAIR: 2,
    Kind.UPGRADE: 3,
    Kind.FIGHT: 5,
    Kind.WITHDRAW: 3,
    Kind.SETTLE: 2,
}
_KEYS: Final = 5
_MOST_PATIENCE: Final = 6


class Mishap(StrEnum):
    """How an answer gets lost."""

    NONE = "none"
    BEFORE = "before"
    """The process dies before the commit."""
    AFTER = "after"
    """The process dies after the commit."""
    LEAVES = "leaves"
    """The client goes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request to an account, and what goes wrong with it.

    `patience` is how many turns of the event loop a client waits before it leaves.
    """

    account: str
    ask: Ask
    mishap: Mishap = Mishap.NONE
    patience: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is drawn: so many requests of each client, spread over accounts.

    `losses` is how many of a hundred answers get lost. Raises ValueError naming the field for more
    requests than the model has room for.
    """

    seed: int
    clients: int = 6
    requests: int = 8
    accounts: int = 3
    losses: int = 15

    def __post_init__(self) -> None:
        """Refuse what would leave the model's range."""
        for name in ("clients", "requests", "accounts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: 1 at the least")
        if self.clients * self.requests > self.accounts * MOST_OF_AN_ACCOUNT:
            raise ValueError(f"requests: more than {MOST_OF_AN_ACCOUNT} to an account")
        if not 0 <= self.losses <= 100:
            raise ValueError("losses: 0 to 100")

    @property
    def players(self) -> tuple[str, ...]:
        """The accounts, by their players' ids."""
        return tuple(str(number) for number in range(1, self.accounts + 1))

    def dice(self, client: int) -> Random:
        """Return what a client draws from."""
        return Random(self.seed * 1_000 + client)  # noqa: S311 - a workload, no cryptography

    def orders(self, client: int) -> list[Order]:
        """Return what a client asks for, an equal share of each account's, in any order."""
        dice = self.dice(client)
        players = [
            self.players[(client + number) % self.accounts] for number in range(self.requests)
        ]
        dice.shuffle(players)
        return [self._order(player, dice) for player in players]

    def _order(self, player: str, dice: Random) -> Order:
        kind = dice.choices([*_KINDS], [*_KINDS.values()])[0]
        is_keyed = kind in KEYED or kind is Kind.SETTLE
        key = f"k{dice.randrange(_KEYS)}" if is_keyed else ""
        if is_keyed and kind is not Kind.SETTLE and kind is not Kind.WITHDRAW:
            key = f"{key}.{dice.randrange(3)}"  # most keys are used once or twice
        what = 0
        if kind in (Kind.TRAIN, Kind.UPGRADE):
            what = dice.randrange(3)
        elif kind is Kind.WITHDRAW:
            what = dice.choice((1, 30, 60, 500))
        mishap = Mishap.NONE
        if kind is not Kind.LOOK and dice.randrange(100) < self.losses:
            mishap = dice.choice((Mishap.BEFORE, Mishap.AFTER, Mishap.LEAVES))
        return Order(
            account=player,
            ask=Ask(kind=kind, what=what, key=key),
            mishap=mishap,
            patience=dice.randrange(_MOST_PATIENCE),
        )
