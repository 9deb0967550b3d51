"""Battles, economy and claims of AIBA Arena as pure functions, standard library only.

The names below are the library's front door; each is loaded when it is first asked for, so that
importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiba_domain.application.catalogue import HANDLERS
    from aiba_domain.application.pipeline import Answer, Pipeline
    from aiba_domain.battle.engine import Fighter, ModeRules, maximum_score, score
    from aiba_domain.battle.prng import draws, first_draw
    from aiba_domain.battle.receipt import Receipt, replay, verify
    from aiba_domain.battle.receipt import from_json as receipt_from_json
    from aiba_domain.battle.receipt import to_json as receipt_to_json
    from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, resolve
    from aiba_domain.battle.seed import SeedFields, seed_hmac, seed_of
    from aiba_domain.economy.ledger import Posting, player_account, post, sink_account
    from aiba_domain.economy.policy import EconomyPolicy
    from aiba_domain.economy.rewards import Bonuses, RewardRates, propose
    from aiba_domain.errors import DomainError, InvalidInput, InvariantViolation
    from aiba_domain.fairness.epochs import SeedEpoch, commitment
    from aiba_domain.money import Currency

_HOMES: Final = {
    "HANDLERS": "application.catalogue",
    "Answer": "application.pipeline",
    "Pipeline": "application.pipeline",
    "Fighter": "battle.engine",
    "ModeRules": "battle.engine",
    "maximum_score": "battle.engine",
    "score": "battle.engine",
    "draws": "battle.prng",
    "first_draw": "battle.prng",
    "Receipt": "battle.receipt",
    "replay": "battle.receipt",
    "verify": "battle.receipt",
    "receipt_from_json": "battle.receipt:from_json",
    "receipt_to_json": "battle.receipt:to_json",
    "BattleInputs": "battle.resolve",
    "BattleOutcome": "battle.resolve",
    "resolve": "battle.resolve",
    "SeedFields": "battle.seed",
    "seed_hmac": "battle.seed",
    "seed_of": "battle.seed",
    "Posting": "economy.ledger",
    "player_account": "economy.ledger",
    "post": "economy.ledger",
    "sink_account": "economy.ledger",
    "EconomyPolicy": "economy.policy",
    "Bonuses": "economy.rewards",
    "RewardRates": "economy.rewards",
    "propose": "economy.rewards",
    "DomainError": "errors",
    "InvalidInput": "errors",
    "InvariantViolation": "errors",
    "SeedEpoch": "fairness.epochs",
    "commitment": "fairness.epochs",
    "Currency": "money",
}

__all__ = [
    "HANDLERS",
    "Answer",
    "BattleInputs",
    "BattleOutcome",
    "Bonuses",
    "Currency",
    "DomainError",
    "EconomyPolicy",
    "Fighter",
    "InvalidInput",
    "InvariantViolation",
    "ModeRules",
    "Pipeline",
    "Posting",
    "Receipt",
    "RewardRates",
    "SeedEpoch",
    "SeedFields",
    "commitment",
    "draws",
    "first_draw",
    "maximum_score",
    "player_account",
    "post",
    "propose",
    "receipt_from_json",
    "receipt_to_json",
    "replay",
    "resolve",
    "score",
    "seed_hmac",
    "seed_of",
    "sink_account",
    "verify",
]


def __getattr__(name: str) -> object:
    """Load one of the names above from its home."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own_name = home.partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), own_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names above."""
    return sorted(__all__)
