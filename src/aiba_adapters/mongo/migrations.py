"""The schema of a database, as numbered steps. A released step is never edited.

A change is a new step, and only ever adds: a server of the build before goes on beside it.

A `Make` makes collections and indexes, which is harmless to repeat. A `Rewrite` changes documents
in batches; each is one transaction together with the note of how far it has come, so whenever it is
killed every document is rewritten exactly once. A `Tally` goes through documents likewise, leaves
them as they are, and adds each to another one exactly once. A server of the build before would go
on writing as it knows how to, so none may run during these, nor after them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo import ASCENDING, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from aiba_adapters.mongo import schema
from aiba_adapters.mongo.documents import Collection, Database
from aiba_adapters.mongo.fitness import Unfit
from aiba_adapters.mongo.shapes.money import CheckpointShape, LedgerStandingShape
from aiba_adapters.mongo.shapes.play import BattleShape, PolicyShape, ScoreShape
from aiba_adapters.mongo.transaction import Stored
from aiba_adapters.mongo.turns import COLLECTION, Turn
from aiba_adapters.mongo.values import to_body
from aiba_adapters.steps import Pending, SchemaTooNew, Tell
from aiba_domain.economy.policy import EconomyPolicy

BATCH: Final = 1_000
"""How many documents are rewritten in one transaction."""

_PATIENCE_MS: Final = 60_000

RESTORING: Final = "restore"
"""The note that a backup is being put back; while it is there nothing may work on the database."""

PROGRESS: Final = "progress"
"""The note of how far a rewriting step has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """A step that makes what is declared in `documents`, named `collection` or `collection.index`.

    The first step names nothing: it makes all that no later one does, and the first policy.
    """

    makes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A step that rewrites the documents of a collection.

    `rewrite` returns what is written in place of a document, None to leave it; the `_id` stays.
    """

    does: str
    collection: str
    rewrite: Callable[[Stored], Stored | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A step that adds up the documents of a collection in those of another.

    `adds` returns the `_id` of the document that one is added to, and how by update operators; it
    is made if it isn't there.
    """

    does: str
    collection: str
    into: str
    adds: Callable[[Stored], tuple[object, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """A step that removes all documents of a collection, which are made anew from others."""

    does: str
    collection: str


Step = Make | Rewrite | Tally | Clear


def _score(battle: Stored) -> tuple[object, Mapping[str, Any]]:
    return battle["player_id"], {"$inc": {"score": battle["body"]["receipt"]["outcome"]["score"]}}


STEPS: Final[tuple[Step, ...]] = (
    Make(),
    Make(
        makes=("mailboxes", "letters", "mailboxes.by_due", "letters.waiting", "letters.dead"),
    ),
    Make(makes=("checkpoints", "ledger_standing")),
    Make(makes=("scores", "scores.by_rank", "players.by_badge")),
    Tally(
        does="add up the scores of each player's battles",
        collection=BattleShape.collection,
        into=ScoreShape.collection,
        adds=_score,
    ),
    Make(makes=("audit.by_attempt",)),
    Make(makes=("audited", "audit_state")),
    Clear(does="let the ledger be sealed anew", collection=CheckpointShape.collection),
    Clear(does="let the ledger be audited anew", collection=LedgerStandingShape.collection),
)
"""The steps in order; step n leads to schema version n."""


async def version(database: Database, *, session: AsyncClientSession | None = None) -> int:
    """Return the number of the last step that was taken, 0 before the first.

    Raises SchemaTooNew, naming the steps that this build doesn't know.
    """
    taken = await _taken(database, session)
    unknown = [number for number in taken if number > len(STEPS)]
    if unknown:
        named = ", ".join(f"{number} ({taken[number]})" for number in unknown)
        msg = f"it has taken the steps {named}; this build knows up to {len(STEPS)}"
        raise SchemaTooNew(msg)
    return max(taken, default=0)


async def pending(database: Database) -> Sequence[Pending]:
    """List the steps that `take` would take, changing nothing. Raises SchemaTooNew."""
    last = await version(database)
    note = await database[COLLECTION].find_one({"_id": PROGRESS})
    return [
        Pending(
            number=number,
            does=does(number),
            done=note["done"] if note and note["step"] == number else 0,
        )
        for number in range(last + 1, len(STEPS) + 1)
    ]


async def problems(database: Database) -> list[str]:
    """Return why no server may be started on a database as it is."""
    found = await unready(database)
    try:
        steps = await pending(database)
    except SchemaTooNew as error:
        return [*found, str(error)]
    return found + [f"step {step.number} isn't taken: {shortly(step.does)}" for step in steps]


async def unready(database: Database) -> list[str]:
    """Return why no server that runs may go on."""
    if await database[COLLECTION].find_one({"_id": RESTORING}, projection=["_id"]) is None:
        return []
    return ["it is half restored: put the same backup back again, to the end"]


async def take(
    database: Database, *, now: Callable[[], int], tell: Tell, patience_ms: int = 0
) -> None:
    """Take every step that is left; can be repeated, also after a death at any point.

    Raises TurnTaken while another process is at it, TurnLost, SchemaTooNew, and Unfit for a
    database that is half restored.
    """
    await _require_whole(database)
    if not await pending(database):
        return
    async with Turn.taken(database, doing="migrating", now=now, patience_ms=patience_ms) as turn:
        await _require_whole(database)
        for step in await pending(database):
            await _take(database, turn, step, now=now, tell=tell)


async def initialise(database: Database, *, now: Callable[[], int]) -> list[str]:
    """Take every step, make what is missing all the same, and return what was made.

    Waits while another process is at it. Raises as `take` does.
    """
    missing = await schema.missing(database)
    await take(database, now=now, tell=lambda *_: None, patience_ms=_PATIENCE_MS)
    await schema.make(database, missing)
    await make_first_policy(database, None)
    return missing


def does(number: int) -> Sequence[str]:
    """Say what a step does."""
    step = STEPS[number - 1]
    if isinstance(step, Rewrite):
        return (f"{step.does} (rewrites {step.collection})",)
    if isinstance(step, Tally):
        return (f"{step.does} (fills {step.into})",)
    if isinstance(step, Clear):
        return (f"{step.does} (empties {step.collection})",)
    return [f"create {'index' if '.' in name else 'collection'} {name}" for name in made_by(number)]


def made_by(number: int) -> Sequence[str]:
    """Name the collections and indexes that a step makes, collections first."""
    step = STEPS[number - 1]
    if not isinstance(step, Make):
        return ()
    if number > 1:
        return step.makes
    later = {name for each in STEPS[1:] if isinstance(each, Make) for name in each.makes}
    return [name for name in schema.declared() if name not in later]


def shortly(words: Sequence[str]) -> str:
    """Say what a step does in one line."""
    first, *others = words
    return f"{first} and {len(others)} more" if others else first


async def _require_whole(database: Database) -> None:
    unfit = await unready(database)
    if unfit:
        raise Unfit(unfit)


async def _take(
    database: Database, turn: Turn, step: Pending, *, now: Callable[[], int], tell: Tell
) -> None:
    name, what = f"step {step.number}", STEPS[step.number - 1]
    if isinstance(what, Make):
        async with turn.kept():
            await schema.make(database, made_by(step.number))
    else:
        await _go_through(database, turn, step.number, what, tell)

    async def record(session: AsyncClientSession) -> None:
        if step.number == 1:
            await make_first_policy(database, session)
        await turn.notes.delete_one({"_id": PROGRESS}, session=session)
        taken = {"does": shortly(step.does), "at": now()}
        await turn.notes.update_one(
            {"_id": step.number}, {"$setOnInsert": taken}, upsert=True, session=session
        )

    await turn.batch(record)
    if isinstance(what, Make):
        tell(name, 1, 1)


async def make_first_policy(database: Database, session: AsyncClientSession | None) -> None:
    """Make the economy's first policy, if it isn't there."""
    policy = EconomyPolicy()
    await database[PolicyShape.collection].update_one(
        {"_id": policy.version},
        {"$setOnInsert": {"body": to_body(policy)}},
        upsert=True,
        session=session,
    )


async def _go_through(
    database: Database, turn: Turn, number: int, step: Rewrite | Tally | Clear, tell: Tell
) -> None:
    """Do batch after batch, in the order of `_id`, until none is left."""
    documents = database[step.collection]
    is_done = False

    async def batch(session: AsyncClientSession) -> tuple[int, bool]:
        note = await turn.notes.find_one({"_id": PROGRESS}, session=session)
        done = note["done"] if note else 0
        where = {"_id": {"$gt": note["after"]}} if note else {}
        found = documents.find(where, session=session, sort=[("_id", ASCENDING)], limit=BATCH)
        stored = await found.to_list()
        if not stored:
            return done, True
        if isinstance(step, Rewrite):
            await _replace(documents, stored, step, session)
        elif isinstance(step, Clear):
            gone = [each["_id"] for each in stored]
            await documents.delete_many({"_id": {"$in": gone}}, session=session)
        else:
            await _add(database[step.into], stored, step, session)
        progress = {"step": number, "after": stored[-1]["_id"], "done": done + len(stored)}
        await turn.notes.replace_one({"_id": PROGRESS}, progress, upsert=True, session=session)
        return done + len(stored), False

    while not is_done:
        done, is_done = await turn.batch(batch)
        tell(f"step {number}", done, done if is_done else max(await _size(documents), done))


async def _size(documents: Collection) -> int:
    """Return how many documents a collection has, by its own count of them."""
    async with await documents.aggregate([{"$collStats": {"count": {}}}]) as found:
        stats: Any = await found.next()
    return int(stats["count"])


async def _replace(
    documents: Collection, stored: Sequence[Stored], step: Rewrite, session: AsyncClientSession
) -> None:
    changes = [
        ReplaceOne({"_id": each["_id"]}, changed)
        for each in stored
        if (changed := step.rewrite(dict(each))) is not None
    ]
    if changes:
        await documents.bulk_write(changes, session=session)


async def _add(
    into: Collection, stored: Sequence[Stored], step: Tally, session: AsyncClientSession
) -> None:
    changes = [UpdateOne({"_id": key}, how, upsert=True) for key, how in map(step.adds, stored)]
    await into.bulk_write(changes, session=session)


async def _taken(database: Database, session: AsyncClientSession | None) -> Mapping[int, str]:
    found = database[COLLECTION].find({"does": {"$exists": True}}, session=session)
    stored: list[dict[str, Any]] = await found.to_list()
    return {int(each["_id"]): each["does"] for each in sorted(stored, key=lambda each: each["_id"])}
