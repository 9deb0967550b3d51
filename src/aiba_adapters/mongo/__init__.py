"""The store on MongoDB: the same guarantees for processes on many machines."""

from aiba_adapters.mongo.attempts import OutcomeUnknown
from aiba_adapters.mongo.connecting import advice_for, make_schema, open_store, opened
from aiba_adapters.mongo.fitness import Unfit
from aiba_adapters.mongo.store import MongoStore
from aiba_adapters.mongo.turns import TurnLost, TurnTaken

__all__ = [
    "MongoStore",
    "OutcomeUnknown",
    "TurnLost",
    "TurnTaken",
    "Unfit",
    "advice_for",
    "make_schema",
    "open_store",
    "opened",
]
