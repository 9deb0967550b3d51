"""What becomes of commits that are lost, late or unknown, and of a server that is away."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiba_adapters.mongo import MongoStore, OutcomeUnknown, open_store
from aiba_domain.application.audit import audit_store
from aiba_domain.money import Currency
from aiba_domain.ports import Unavailable, UnitOfWork
from aiba_domain.testing.contracts.store import Desk, broker, movement, player, refusal
from tests.support.mongo import failing, give, server_uri, uri_of, with_database
from tests.support.mongo_proxy import Cut, Proxy, proxy_to

AT = 1_767_268_800_000
TRANSIENT = ["TransientTransactionError"]


@pytest.fixture(name="proxy", scope="module")
def _proxy() -> Iterator[Proxy]:
    with proxy_to(server_uri()) as proxy:
        yield proxy


class Stage:
    """A store behind a proxy, and beside it one that nothing happens to."""

    def __init__(self, runner: asyncio.Runner, store: MongoStore, plain: MongoStore) -> None:
        self.desk = Desk(runner, store)
        self.store = store
        self.plain = Desk(runner, plain)

    def pay(self, key: str) -> int:
        """Run a unit that gives every kind of command; return what the player had before."""

        async def work(unit: UnitOfWork) -> int:
            held = (await unit.balances("player:1")).get(Currency.NEUR, 0)
            found = await unit.player("1") or player("1")
            await unit.write(
                at=AT,
                postings=(movement(1), movement(1, "chain", "treasury")),
                changed=(replace(found, win_streak=held + 1), broker(f"after {key}")),
                removed=(broker(f"before {key}"),),
                remember=refusal(key),
            )
            return held

        return self.desk.transact(work)

    def check(self, count: int) -> None:
        """Check that exactly `count` payments took effect, each whole."""
        assert self.plain.balance("player:1") == count
        assert self.plain.balance("treasury") == count
        assert len(self.plain.entries()) == 2 * count
        found = self.plain.player("1")
        assert (found.win_streak if found else 0) == count
        report = self.plain.run(audit_store(self.plain.store))
        assert report.is_sound, report.faults


@pytest.fixture(name="stage")
def _stage(tmp_path: Path, proxy: Proxy) -> Iterator[Stage]:
    proxy.up()
    with asyncio.Runner() as runner:
        plain = runner.run(open_store(uri_of(tmp_path), create=True))
        name = (tmp_path / "mongo-database").read_text()
        uri = with_database(proxy.uri, name) + "&serverSelectionTimeoutMS=300"
        store = runner.run(open_store(uri, patience_ms=5_000))
        yield Stage(runner, store, plain)
        for each in (store, plain):
            runner.run(each.close())


def test_a_commit_that_may_be_lost_is_no_success(stage: Stage) -> None:
    """A commit that a majority doesn't confirm is asked for again until one does."""
    refused = {"code": 91, "errmsg": "shutting down"}
    with failing(
        server_uri(),
        ("commitTransaction",),
        writeConcernError=refused,
        mode={"times": 2},
    ):
        assert stage.pay("a") == 0
    stage.check(1)


def test_a_commit_of_a_lost_session_is_looked_up(stage: Stage, proxy: Proxy) -> None:
    """Where the server forgot the session of an applied commit, the unit isn't run again."""
    lost = failing(
        server_uri(), ("commitTransaction",), errorCode=251, errorLabels=TRANSIENT, mode={"skip": 1}
    )
    with proxy.cutting("commitTransaction", Cut.AFTER), lost:
        assert stage.pay("a") == 0
    stage.check(1)
    assert stage.store.counts.runs == 1


@pytest.mark.usefixtures("strays")
@pytest.mark.parametrize("when", Cut, ids=lambda cut: cut.name.lower())
def test_an_outcome_that_nobody_can_tell_is_said_to_be_unknown(
    stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, when: Cut
) -> None:
    """With the server gone during the commit it is neither a success nor a plain refusal."""
    stage.pay("a")
    monkeypatch.setattr(stage.store.patience, "seconds", 0.2)
    with (
        proxy.cutting("commitTransaction", when, then_down=True),
        pytest.raises(OutcomeUnknown),
    ):
        stage.pay("b")
    stage.check(2 if when is Cut.AFTER else 1)
    assert (stage.plain.answer("b") is not None) == (when is Cut.AFTER)
    proxy.up()
    give(server_uri(), {"killAllSessions": []})  # as the server does with what nobody ends
    monkeypatch.setattr(stage.store.patience, "seconds", 5.0)
    stage.pay("c")
    stage.check(3 if when is Cut.AFTER else 2)


@pytest.mark.usefixtures("strays")
def test_a_commit_that_never_arrives_keeps_nothing(
    stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker put in its place makes sure; the unit is Unavailable, and whole afterwards."""
    monkeypatch.setattr(stage.store.patience, "seconds", 0.2)
    with proxy.cutting("commitTransaction", Cut.BEFORE, times=1_000):
        with pytest.raises(Unavailable) as caught:
            stage.pay("a")
        assert not isinstance(caught.value, OutcomeUnknown)
    stage.check(0)
    assert stage.pay("a") == 0
    stage.check(1)


@pytest.mark.usefixtures("strays")
def test_a_server_that_is_away_is_unavailable_and_comes_back(
    stage: Stage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units, reads and the check all say so, and work again without being opened again."""
    stage.pay("a")
    monkeypatch.setattr(stage.store.patience, "seconds", 0.1)
    proxy.down()
    for refused in (
        lambda: stage.pay("b"),
        lambda: stage.desk.player("1"),
        lambda: stage.desk.run(stage.store.check()),
    ):
        with pytest.raises(Unavailable) as caught:
            refused()
        assert caught.value.retry_after_ms > 0
        assert "@" not in str(caught.value)
    proxy.up()
    monkeypatch.setattr(stage.store.patience, "seconds", 5.0)
    assert stage.pay("b") == 1
    stage.check(2)
