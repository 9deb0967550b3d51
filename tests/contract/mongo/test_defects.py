"""Faults of the service before, looked for on MongoDB: debits, repeats, races, first starts.

Those that are said of any store are the tests of the others, run on this one.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from aiba_adapters.mongo.documents import SHAPES
from aiba_adapters.mongo.shapes.money import UnitShape
from aiba_adapters.mongo.shapes.people import PlayerShape
from aiba_adapters.mongo.shapes.work import AnswerShape
from aiba_domain.administration.commands import LogIn
from aiba_domain.administration.lockout import AT_ONE_ADDRESS
from aiba_domain.administration.model import TOO_OFTEN, Origin, Request
from aiba_domain.brokers.commands import GetStarter, Train
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Principal, Refused, Role
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.treasury_commands import CreditUser
from aiba_domain.money import Currency
from aiba_domain.testing.playground import OPERATOR, Call, Playground, call
from aiba_entry.service import open_container
from aiba_entry.settings import load
from aiba_entry.stores import StoreUnusable
from tests.support.mongo import empty_uri, open_mongo, uri_of
from tests.support.stores import STORES, opener
from tests.unit.application.test_idempotency import (  # noqa: F401 - run here too
    test_d06_a_repeated_debit_hands_nothing_out_again,
    test_d81_two_players_may_use_the_same_key,
)
from tests.unit.economy.test_spending_commands import (  # noqa: F401 - run here too
    _ready,
    test_d01_parallel_debits_spend_what_is_there_and_no_more,
    test_d08_debits_and_credits_of_one_player_at_once_all_count,
    test_d08_debits_of_many_players_at_once_are_never_insufficient,
)

EVERYWHERE: Final = (*STORES, "mongo")
SINGLES: Final[Mapping[str, int]] = {"policies": 1, "epochs": 1, "modes": 15}
"""How many there are of what every start looks for, and makes where it isn't."""


def playground(kind: str, folder: Path) -> Playground:
    """Return the service over a store that nobody has played on."""
    if kind == "mongo":
        return Playground(lambda: open_mongo(folder))
    return Playground(opener(kind, folder))


@pytest.fixture(name="play")
def _play(tmp_path: Path) -> Iterator[Playground]:
    """Give the service over MongoDB; its ledger is sound in the end."""
    play = playground("mongo", tmp_path)
    yield play
    report = play.audit()
    play.close()
    assert report.is_sound, report.faults


@pytest.fixture(name="anywhere", params=EVERYWHERE)
def _anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Playground]:
    """Give the service over each store in turn."""
    play = playground(request.param, tmp_path)
    yield play
    report = play.audit()
    play.close()
    assert report.is_sound, report.faults


def stored(folder: Path, collection: str) -> list[dict[str, Any]]:
    """Return the documents of a collection as they are."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri_of(folder)) as client:
        return list(client.get_default_database()[collection].find({}))


def test_d24_attempts_at_one_account_at_once_are_five(anywhere: Playground) -> None:
    """D-24: however many processes try at the same moment, what is too often is refused."""
    request = Request(id="r", method="POST", path="/", address="203.0.113.7")
    who = Principal(id="root@game.example", role=Role.OPERATOR, request=request)

    def attempt(number: int) -> LogIn:
        return LogIn(
            session_id=f"{number}", lifetime_ms=1_000, origin=Origin.STORE, credential=None
        )

    async def at_once() -> list[str]:
        tries = (anywhere.pipeline.execute(who, attempt(number)) for number in range(12))
        answers = await asyncio.gather(*tries)
        return [each.outcome.code for each in answers if isinstance(each.outcome, Refused)]

    codes = anywhere.run(at_once())
    assert codes.count("invalid credentials") == AT_ONE_ADDRESS
    assert codes.count(TOO_OFTEN) == 12 - AT_ONE_ADDRESS


def test_d01_a_refused_debit_makes_no_second_player(play: Playground, tmp_path: Path) -> None:
    """Whoever has nothing is refused, and neither players nor accounts become more."""
    broker = play.play("1", GetStarter()).reply().broker.id
    play.fund("1", NEUR=24)
    before = [stored(tmp_path, name) for name in ("players", "accounts")]
    calls = [call("1", Train(broker_id=broker, stat=Stat.SPEED), f"k{n}") for n in range(8)]
    play.together(calls)
    after = [stored(tmp_path, name) for name in ("players", "accounts")]
    assert after[0] == before[0]
    assert [each for each in after[1] if any(each["held"].values())] == before[1]
    assert [each["_id"] for each in after[0]] == ["1"]


def test_d01_a_player_is_one_document_and_a_wallet_is_one_players() -> None:
    """Players are found by their `_id`, which is unique by itself; wallets by a unique index."""
    newcomer = PlayerShape.kind(id="1", created_at=0, updated_at=0, last_seen_at=0)
    assert PlayerShape.found_by(newcomer)["id"] == "1"
    (wallets,) = [
        each.document for each in PlayerShape.index_models() if "wallet" in each.document["key"]
    ]
    assert wallets["unique"] is True
    assert wallets["partialFilterExpression"] == {"wallet": {"$exists": True}}


def test_d06_nothing_that_answers_or_pays_ever_expires() -> None:
    """The one expiry is that of markers of units without postings, by a field that others lack."""
    expiring = {
        shape.collection: list(index.document["key"])
        for shape in SHAPES
        for index in shape.index_models()
        if "expireAfterSeconds" in index.document
    }
    assert expiring == {UnitShape.collection: ["expire"]}


def test_d06_what_is_paid_has_no_expiry(play: Playground, tmp_path: Path) -> None:
    """A unit with postings leaves them for ever; only one without is forgotten in time."""
    broker = play.play("1", GetStarter()).reply().broker.id
    play.fund("1", NEUR=25)
    play.play("1", Train(broker_id=broker, stat=Stat.SPEED), "k").reply()
    units = stored(tmp_path, "units")
    assert any(unit["postings"] for unit in units)
    assert [unit for unit in units if unit["postings"] and "expire" in unit] == []
    assert [answer for answer in stored(tmp_path, "answers") if "expire" in answer] == []


def test_d81_no_index_makes_a_key_unique_over_all_players() -> None:
    """An answer is found by principal, command and key together, and by nothing less."""
    unique = {
        shape.collection: [list(index.document["key"]) for index in shape.index_models()]
        for shape in SHAPES
        if any(index.document.get("unique") for index in shape.index_models())
    }
    assert "battles" not in unique
    assert AnswerShape.collection not in unique


def test_d48_a_credit_is_given_once_by_parallel_posts_of_one_key(anywhere: Playground) -> None:
    """Twenty at once under one key credit once; both currencies move, or none."""
    credit = CreditUser(player_id="7", aiba_delta=5, neur_delta=3)
    anywhere.together([Call(principal=OPERATOR, command=credit, key="k")] * 20)
    assert anywhere.balances("7") == {Currency.AIBA: 5, Currency.NEUR: 3}
    too_much = CreditUser(player_id="7", aiba_delta=1, neur_delta=-4)
    assert not hasattr(anywhere.issue(OPERATOR, too_much, "m").outcome, "reply")
    assert anywhere.balances("7") == {Currency.AIBA: 5, Currency.NEUR: 3}


def test_d48_a_credit_of_nothing_uses_its_key_up(anywhere: Playground) -> None:
    """What moves nothing is remembered too, so that its key stands for nothing else."""
    nothing = CreditUser(player_id="7")
    first = anywhere.issue(OPERATOR, nothing, "k")
    again = anywhere.issue(OPERATOR, nothing, "k")
    assert (first.replayed, again.replayed) == (False, True)
    assert anywhere.balances("7") == {}


def test_d53_changes_of_the_policy_at_once_are_all_kept(play: Playground) -> None:
    """Twelve operators change it at once: twelve versions, and none undoes another's field."""
    names = ("train_neur_cost", "repair_neur_cost", "combine_neur_cost")
    calls = [
        Call(principal=OPERATOR, command=ChangePolicy(changes={names[n % 3]: 1_000 + n}))
        for n in range(12)
    ]
    play.together(calls)
    policy = play.read(lambda read: read.policy())
    assert policy.version == 13
    for place, name in enumerate(names):
        assert getattr(policy, name) in range(1_000 + place, 1_012, 3)


def test_d53_first_starts_at_once_make_one_of_everything(tmp_path: Path) -> None:
    """Services that make the schema, policy, modes and epoch of one new database together."""
    uri, end = empty_uri()
    environ = {"APP_ENV": "test", "AIBA_DATA_DIR": str(tmp_path), "MONGO_URI": uri}

    async def start() -> None:
        async with open_container(load(environ)):
            pass

    async def together() -> None:
        await asyncio.gather(*(start() for _ in range(3)))

    asyncio.run(together())
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        assert {name: database[name].count_documents({}) for name in SINGLES} == dict(SINGLES)
    end()


@pytest.mark.usefixtures("strays")
@pytest.mark.parametrize("kind", ["sqlite", "mongo"])
def test_d03_no_service_without_its_database(tmp_path: Path, kind: str) -> None:
    """It refuses to start, and names what is missing, rather than let every request time out."""
    environ = {"APP_ENV": "test", "AIBA_DATA_DIR": str(tmp_path)}
    if kind == "mongo":
        environ["MONGO_URI"] = "mongodb://127.0.0.1:9/aiba?serverSelectionTimeoutMS=50"
    settings = load(environ)
    if kind == "sqlite":
        (tmp_path / "aiba.db").mkdir()

    async def start() -> None:
        async with open_container(settings):
            pass

    with pytest.raises(StoreUnusable) as refused:
        asyncio.run(start())
    assert ("MONGO_URI" if kind == "mongo" else "aiba.db") in str(refused.value)
