"""The collections and indexes of a database: made by a command, and checked at the start."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pymongo.errors import CollectionInvalid

from aiba_adapters.mongo.documents import SHAPES, Database
from aiba_adapters.mongo.shapes.play import PolicyShape

_OPTIONS: Final = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds")

Index = Mapping[str, Any]


def declared() -> Sequence[str]:
    """Name all collections, and each one's indexes as `collection.index`."""
    return [
        name
        for shape in SHAPES
        for name in (
            shape.collection,
            *(f"{shape.collection}.{each.document['name']}" for each in shape.index_models()),
        )
    ]


async def missing(database: Database, among: Collection[str] | None = None) -> list[str]:
    """Name what is declared, or `among` the declared names, and isn't there."""
    there = set(await database.list_collection_names())
    of = None if among is None else {name.partition(".")[0] for name in among}
    names: list[str] = []
    for shape in SHAPES:
        if of is not None and shape.collection not in of:
            continue
        known: Collection[str] = ()
        if shape.collection in there:
            known = await database[shape.collection].index_information()
        else:
            names.append(shape.collection)
        names += [
            f"{shape.collection}.{each.document['name']}"
            for each in shape.index_models()
            if each.document["name"] not in known
        ]
    return [name for name in names if among is None or name in among]


async def make(database: Database, names: Collection[str]) -> None:
    """Make those of the declared names that are missing.

    Nothing that is there is changed. Safe to run again, also after a crash in the middle and beside
    another run.
    """
    absent = set(await missing(database, names))
    for shape in SHAPES:
        if shape.collection in absent:
            with contextlib.suppress(CollectionInvalid):  # another run was first
                await database.create_collection(shape.collection)
        models = [
            each
            for each in shape.index_models()
            if f"{shape.collection}.{each.document['name']}" in absent
        ]
        if models:
            await database[shape.collection].create_indexes(models)


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
