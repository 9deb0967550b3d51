"""What MongoDB's driver tells is counted: commands, connections, outages, lost commits."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from aiba_adapters.mongo import MongoStore, OutcomeUnknown, open_store
from aiba_adapters.mongo_meter import Resolved, Trouble
from aiba_domain.ports import Unavailable, UnitOfWork
from aiba_domain.testing.contracts.store import Desk, broker, movement, player, refusal
from aiba_entry.mongo_metrics import MongoMetrics
from aiba_entry.service import open_service
from aiba_entry.settings import load
from tests.support.mongo import (
    Server,
    failing,
    give,
    is_real,
    quick_folder,
    server_uri,
    uri_of,
    with_database,
)
from tests.support.mongo_proxy import Cut, Proxy, proxy_to

AT = 1_767_268_800_000
TRANSIENT = ["TransientTransactionError"]
PATIENCE_S = 30.0
"""How long is waited for what is sure to come."""

pytestmark = pytest.mark.usefixtures("strays")


class Watched(MongoMetrics):
    """Metrics that can be waited for."""

    def __init__(self) -> None:
        """Count from 0."""
        super().__init__()
        self._back = asyncio.Event()

    def reconnect(self) -> None:
        """Count it, and wake whoever waits for it."""
        super().reconnect()
        self._back.set()

    async def reconnected(self) -> None:
        """Wait for a reconnect that nobody has waited for yet."""
        async with asyncio.timeout(PATIENCE_S):
            await self._back.wait()
        self._back.clear()

    def of(self, name: str, **labels: str) -> float:
        """Return the value of a series, 0 where there is none yet."""
        return self.registry.get_sample_value(f"aiba_mongo_{name}", labels) or 0.0


class Stage:
    """A metered store behind a proxy."""

    def __init__(
        self, runner: asyncio.Runner, store: MongoStore, metrics: Watched, proxy: Proxy
    ) -> None:
        self.runner = runner
        self.store = store
        self.metrics = metrics
        self.proxy = proxy
        self.desk = Desk(runner, store)

    def pay(self, key: str) -> None:
        """Run a unit that gives every kind of command of a transaction."""

        async def work(unit: UnitOfWork) -> None:
            await unit.player("1")
            await unit.write(
                at=AT,
                postings=(movement(1),),
                changed=(player("1"), broker(f"after {key}")),
                removed=(broker(f"before {key}"),),
                remember=refusal(key),
            )

        self.desk.transact(work)


@pytest.fixture(name="proxy", scope="module")
def _proxy() -> Iterator[Proxy]:
    with proxy_to(server_uri()) as proxy:
        yield proxy


@pytest.fixture(name="stage")
def _stage(tmp_path: Path, proxy: Proxy) -> Iterator[Stage]:
    proxy.up()
    uri_of(tmp_path)
    name = (tmp_path / "mongo-database").read_text()
    uri = with_database(proxy.uri, name) + "&serverSelectionTimeoutMS=300"
    with asyncio.Runner() as runner:
        metrics = Watched()
        store = runner.run(open_store(uri, create=True, meter=metrics))
        yield Stage(runner, store, metrics, proxy)
        proxy.up()
        runner.run(store.close())


def test_commands_and_connections_are_counted(stage: Stage) -> None:
    """Each command once with its time; connections are there, in use, and closed."""
    of = stage.metrics.of
    kinds = ("find", "bulkWrite", "commitTransaction")
    before = {name: of("commands_total", command=name, result="ok") for name in kinds}
    stage.pay("a")
    for name, count in before.items():
        assert of("commands_total", command=name, result="ok") > count
        assert of("command_duration_seconds_count", command=name) == of(
            "commands_total", command=name, result="ok"
        )
    assert of("commands_total", command="other", result="ok") == 0
    assert of("pool_size") == of("connections_created_total") >= 1
    assert (of("pool_in_use"), of("pool_waiting")) == (0, 0)
    assert of("checkout_duration_seconds_count", result="ok") > 0
    assert of("reconnects_total") == 0
    stage.runner.run(stage.store.close())
    closed = of("connections_closed_total", reason="pool_closed")
    assert (of("pool_size"), closed) == (0, of("connections_created_total"))


def test_who_waits_for_a_connection_is_seen(tmp_path: Path) -> None:
    """With one connection for many units all others wait, and nobody at the end."""
    uri = uri_of(tmp_path) + "&maxPoolSize=1"
    metrics, most = Watched(), [0.0]

    async def crowd() -> None:
        store = await open_store(uri, create=True, meter=metrics)

        async def work(unit: UnitOfWork) -> None:
            most[0] = max(most[0], metrics.of("pool_waiting"))
            await unit.player("1")

        await asyncio.gather(*(store.transact(work) for _ in range(8)))
        await store.close()

    asyncio.run(crowd())
    assert most[0] >= 2
    assert metrics.of("pool_waiting") == 0
    assert metrics.of("connections_created_total") == 1


def test_one_outage_is_one_reconnect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many units it hits; the first connection and a quiet life are none."""
    of = stage.metrics.of
    stage.pay("a")
    for outage in (1, 2):
        monkeypatch.setattr(stage.store.patience, "seconds", 0.1)
        stage.proxy.down()
        for _ in range(2):
            with pytest.raises(Unavailable):
                stage.pay("b")
        assert of("reconnects_total") == outage - 1
        stage.proxy.up()
        monkeypatch.setattr(stage.store.patience, "seconds", PATIENCE_S)
        stage.pay(f"after {outage}")
        stage.runner.run(stage.metrics.reconnected())
        assert of("reconnects_total") == outage
    assert of("pool_cleared_total") >= 2
    assert of("primary_known") == 1
    lost = of("connections_closed_total", reason="error")
    assert lost + of("connections_closed_total", reason="stale") >= 2


def test_one_cut_connection_is_one_reconnect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose connection breaks gives up the pool; the unit runs again."""
    monkeypatch.setattr(stage.store.patience, "seconds", PATIENCE_S)
    with stage.proxy.cutting("bulkWrite", Cut.BEFORE):
        stage.pay("a")
    stage.runner.run(stage.metrics.reconnected())
    of = stage.metrics.of
    assert of("reconnects_total") == 1
    assert of("commands_total", command="bulkWrite", result="network") == 1
    assert of("unit_retries_total", reason="network") >= 1


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        (112, Trouble.CONFLICT),
        (10107, Trouble.NOT_PRIMARY),
        (91, Trouble.NOT_PRIMARY),
        (251, Trouble.NO_TRANSACTION),
        (262, Trouble.TIMEOUT),
        (246, Trouble.TRANSIENT),
    ],
)
def test_units_that_run_again_are_counted_by_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, code: int, trouble: Trouble
) -> None:
    """By what the server says, which the failed command counts as too."""
    monkeypatch.setattr(stage.store.patience, "seconds", PATIENCE_S)
    with failing(
        server_uri(), ("bulkWrite",), errorCode=code, errorLabels=TRANSIENT, mode={"times": 1}
    ):
        stage.pay("a")
    of = stage.metrics.of
    assert of("unit_retries_total", reason=trouble) == 1
    assert of("commands_total", command="bulkWrite", result=trouble) == 1


def test_what_passes_by_no_retry_is_refused(stage: Stage) -> None:
    """A unit that is refused for good isn't run again."""
    with (
        failing(server_uri(), ("bulkWrite",), errorCode=13, mode={"times": 1}),
        pytest.raises(Unavailable),
    ):
        stage.pay("a")
    of = stage.metrics.of
    assert of("commands_total", command="bulkWrite", result=Trouble.REFUSED) == 1
    assert sum(of("unit_retries_total", reason=each) for each in Trouble) == 0


def test_commits_whose_answer_was_lost_are_counted_by_outcome(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirmed when asked again, found by the marker, undone by another, or unknown."""
    uri, of = server_uri(), stage.metrics.of
    monkeypatch.setattr(stage.store.patience, "seconds", PATIENCE_S)
    refused = {"code": 91, "errmsg": "shutting down"}
    commit = ("commitTransaction",)
    with failing(uri, commit, writeConcernError=refused, mode={"times": 2}):
        stage.pay("a")
    assert of("lost_commits_total", outcome=Resolved.CONFIRMED) == 1
    lost = failing(uri, commit, errorCode=251, errorLabels=TRANSIENT, mode={"skip": 1})
    with stage.proxy.cutting("commitTransaction", Cut.AFTER), lost:
        stage.pay("b")
    assert of("lost_commits_total", outcome=Resolved.FOUND) == 1
    with failing(uri, commit, errorCode=251, errorLabels=TRANSIENT, mode={"times": 1}):
        stage.pay("c")
    assert of("lost_commits_total", outcome=Resolved.UNDONE) == 1
    monkeypatch.setattr(stage.store.patience, "seconds", 0.1)
    with (
        stage.proxy.cutting("commitTransaction", Cut.AFTER, then_down=True),
        pytest.raises(OutcomeUnknown),
    ):
        stage.pay("d")
    assert of("lost_commits_total", outcome=Resolved.UNKNOWN) == 1
    give(uri, {"killAllSessions": []})  # as the server does with what nobody ends


def environment(uri: str, folder: Path) -> dict[str, str]:
    """Return the environment of a service on a database."""
    return {"APP_ENV": "test", "AIBA_DATA_DIR": str(folder), "MONGO_URI": uri}


@pytest.mark.skipif(is_real(), reason="the server that was given isn't ours to kill")
def test_ready_names_the_primary_says_503_without_one_and_recovers(tmp_path: Path) -> None:
    """A killed server is one reconnect; no text of the metrics tells where it is or what it holds.

    The reason of a command that failed is a word.
    """
    folder = quick_folder()

    async def life(server: Server) -> tuple[list[httpx.Response], str]:
        uri = with_database(server.uri, "hidden_place") + "&serverSelectionTimeoutMS=500"
        async with open_service(load(environment(uri, tmp_path))) as app:
            transport = httpx.ASGITransport(cast("Any", app))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
                answers = [await http.get("/ready")]
                await asyncio.to_thread(server.kill)
                answers.append(await http.get("/ready"))
                await asyncio.to_thread(server.start)
                text = ""
                async with asyncio.timeout(PATIENCE_S):
                    # Each look waits for the server by itself, and the driver tells within 1 s.
                    while "aiba_mongo_reconnects_total 1.0" not in text:
                        answers.append(await http.get("/ready"))
                        text = (await http.get("/metrics")).text
                return answers, text

    with Server(folder) as server:
        (before, without, *_, after), text = asyncio.run(life(server))
        primary = f"127.0.0.1:{server.port}"
    shutil.rmtree(folder, ignore_errors=True)
    for answer in (before, after):
        assert answer.status_code == 200
        assert answer.json()["checks"]["store"] == {"ok": True, "primary": primary}
    assert without.status_code == 503
    assert without.json()["checks"]["store"]["ok"] is False
    assert "primary" not in without.json()["checks"]["store"]
    ours = "\n".join(line for line in text.splitlines() if "aiba_mongo" in line)
    assert 'aiba_mongo_commands_total{command="commitTransaction",result="ok"}' in ours
    assert "aiba_mongo_primary_known 1.0" in ours
    for hidden in ("hidden_place", str(server.port), "127.0.0.1", "players", "health"):
        assert hidden not in ours
