"""The store on MongoDB: the same guarantees for processes on many machines."""

from aiba_adapters.mongo.attempts import OutcomeUnknown
from aiba_adapters.mongo.connecting import make_schema, open_store
from aiba_adapters.mongo.fitness import Unfit
from aiba_adapters.mongo.store import MongoStore

__all__ = ["MongoStore", "OutcomeUnknown", "Unfit", "make_schema", "open_store"]
