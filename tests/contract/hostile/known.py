"""What a client of the service would know: good values of fields that chance doesn't hit."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import count
from typing import Any, Final

from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.battle.mode_commands import DeleteMode, SaveMode
from aiba_domain.battle.modes import default_modes, mode_id
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_domain.payments.model import Purpose, order_comment
from tests.contract.game.support import Game, data_of
from tests.support import admins

SOMEBODY: Final = "somebody@game.example"
"""An admin whose account may be changed: nobody else in a test needs it."""

MONEY: Final = 10**9
"""What a player begins with, of each currency."""

RULES: Final[Mapping[str, object]] = {
    name: getattr(EconomyPolicy(), name)
    for name in EconomyPolicy.__dataclass_fields__
    if name not in ("version", "effective_at")
} | {
    "daily_reward_neur": 50,
    "daily_combo_bonus_aiba": 5,
    "daily_combo_requirement_aiba": 0,
    "oracle_aiba_usd": Fraction(1, 100),
}
"""The rules to begin with: those of a new service, with daily rewards."""

Supplier = Callable[[], object]


async def _breathe() -> None:
    """Take no rest between parts of the ledger."""


class Known:
    """A player with all that one can have, and good values of whatever a request may name.

    Each value is good once more when it is asked for: what was used up is there again.
    """

    def __init__(self, game: Game) -> None:
        """Let a player come."""
        self.game = game
        self._numbers = count(1)
        self._auditor = LedgerAuditor(store=game.store, clock=game.clock, seal_after_ms=0)
        self._fields: Mapping[str, Supplier] = {
            "arena": lambda: "prediction",
            "league": lambda: "rookie",
            "modeKey": lambda: "prediction",
            "mode_id": self._mode,
            "brokerId": self._another_broker,
            "broker_id": self._another_broker,
            "baseBrokerId": lambda: self.broker,
            "sacrificeBrokerId": self._another_broker,
            "battle_id": self._battle,
            "job_id": self._job,
            "telegramId": lambda: self.other,
            "requestId": lambda: f"k-{next(self._numbers)}",
            "nftItemAddress": lambda: f"0:{next(self._numbers):064x}",
            "txHash": self._payment,
            "stat": lambda: "risk",
            "to": lambda: self.wallet.address,
            "amount": lambda: 1,
            "initData": lambda: self.game.launch(self.player),
            "email": lambda: SOMEBODY,
            "password": lambda: admins.PASSWORD,
            "day": lambda: "2026-01-01",
        }
        self._of_operations: Mapping[tuple[str, str], Supplier] = {
            ("addAdmin", "email"): lambda: f"new{next(self._numbers)}@game.example",
            ("adminMakeMode", "key"): lambda: f"made-{next(self._numbers)}",
            ("adminListConfigs", "before"): lambda: 10**6,
            ("getClaimStatus", "amount"): lambda: 10**6,
            ("getLedgerProof", "checkpoint"): lambda: 1,
        }
        self.begin()

    def begin(self, *, has_starter: bool = True) -> None:
        """Let a new player come, with money, a wallet and, if so wanted, the free broker."""
        game = self.game
        self.other, _ = game.fighter()
        self.player = game.newcomer()
        self.broker = game.starter(self.player) if has_starter else self._another_broker()
        game.fund(self.player, **{each.value: MONEY for each in Currency})
        self.wallet = game.bind(self.player)
        # What is sealed can be proven.
        game.run(self._auditor.go_round(game.container.pipeline(), _breathe))

    def restore(self) -> None:
        """Let rules and modes be again as they were at first."""
        game = self.game
        game.set_policy(**RULES)
        modes = default_modes(game.clock.now())
        mine = {mode.key for mode in modes}
        for mode in game.read(lambda read: read.modes()):
            if mode.key not in mine and mode.deleted_at is None:
                game.operate(DeleteMode(mode_id=mode.id))
        for mode in modes:
            game.operate(SaveMode(mode=mode))

    def knows(self, operation: str, field: str) -> bool:
        """Tell whether there is a good value of an operation's field."""
        return field in self._fields or (operation, field) in self._of_operations

    def value(self, operation: str, field: str) -> object:
        """Return a good value of an operation's field."""
        own = self._of_operations.get((operation, field))
        return own() if own else self._fields[field]()

    def proven(self) -> dict[str, Any]:
        """Return a body that connects a wallet which nobody has."""
        return self.game.proven(self.player, self.game.wallet())

    def _another_broker(self) -> str:
        return self.game.give_broker(self.player, next(self._numbers))

    def _mode(self) -> str:
        key = f"kept-{next(self._numbers)}"
        self.game.save_mode(key)
        return mode_id(key)

    def _battle(self) -> str:
        key = f"k-{next(self._numbers)}"
        fought = self.game.fight(self.player, self._another_broker(), key, modeKey="prediction")
        battle: str = data_of(fought)["_id"]
        return battle

    def _job(self) -> str:
        body = {"brokerId": self._another_broker(), "requestId": f"k-{next(self._numbers)}"}
        ordered = self.game.post("/api/brokers/mint-nft", self.player, **body).json()
        job: str = ordered["jobId"]
        return job

    def _payment(self) -> str:
        return self.game.ton.deposit(
            next(self._numbers),
            source=self.wallet.address,
            comment=order_comment(Purpose.CREATE_BROKER, self.player),
            at_ms=self.game.clock.now(),
        )
