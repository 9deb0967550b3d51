"""The collections and indexes of a database: made by a command, and checked at the start."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from pymongo.errors import CollectionInvalid

from aiba_adapters.mongo.documents import SHAPES, Database, PolicyShape
from aiba_adapters.mongo.transaction import DURABLE
from aiba_adapters.mongo.values import to_body
from aiba_domain.economy.policy import EconomyPolicy

_OPTIONS: Final = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds")

Index = Mapping[str, Any]


async def initialise(database: Database) -> list[str]:
    """Make what is missing, and return its names. Nothing that is there is changed.

    Safe to run again, also after a crash in the middle and beside another run.
    """
    made = []
    there = set(await database.list_collection_names())
    for shape in SHAPES:
        if shape.collection not in there:
            with contextlib.suppress(CollectionInvalid):  # another run was first
                await database.create_collection(shape.collection)
            made.append(shape.collection)
        collection = database[shape.collection]
        known = await collection.index_information() if shape.collection in there else {}
        models = [each for each in shape.index_models() if each.document["name"] not in known]
        if models:
            await collection.create_indexes(models)
            made += [f"{shape.collection}.{each.document['name']}" for each in models]
    policy = EconomyPolicy()
    await (
        database[PolicyShape.collection]
        .with_options(write_concern=DURABLE)
        .update_one(
            {"_id": policy.version}, {"$setOnInsert": {"body": to_body(policy)}}, upsert=True
        )
    )
    return made


async def problems(database: Database) -> list[str]:
    """Return what of the schema is missing, is other than declared, or is too much.

    An index too much is named only if it is unique: it would refuse what the game may write.
    """
    found = []
    there = set(await database.list_collection_names())
    for shape in SHAPES:
        if shape.collection not in there:
            found.append(f"the collection {shape.collection} is missing")
            continue
        known = {
            name: _plain(index)
            for name, index in (await database[shape.collection].index_information()).items()
        }
        declared = {each.document["name"]: _plain(each.document) for each in shape.index_models()}
        for name, index in declared.items():
            if name not in known:
                found.append(f"the index {shape.collection}.{name} is missing")
            elif known[name] != index:
                found.append(f"the index {shape.collection}.{name} is another: {known[name]}")
        found += [
            f"the unique index {shape.collection}.{name} is not one of ours"
            for name, index in known.items()
            if name not in declared and name != "_id_" and index.get("unique")
        ]
    if PolicyShape.collection in there and not await database[PolicyShape.collection].find_one(
        {}, projection=["_id"]
    ):
        found.append("there is no economy policy")
    return found


def _plain(index: Index) -> dict[str, Any]:
    """Return what of an index matters, in one form for declared and stored ones."""
    key = index["key"]
    pairs = key.items() if isinstance(key, Mapping) else key
    plain: dict[str, Any] = {"key": [(name, int(order)) for name, order in pairs]}
    for option in _OPTIONS:
        if index.get(option):
            value = index[option]
            plain[option] = _dictionary(value) if isinstance(value, Mapping) else value
    return plain


def _dictionary(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _dictionary(each) if isinstance(each, Mapping) else each
        for name, each in value.items()
    }
