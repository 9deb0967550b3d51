"""The server is killed and loses its rank under processes that fight and withdraw."""

import asyncio
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from pymongo import MongoClient

from aiba_adapters.mongo import MongoStore, open_store
from aiba_domain.application.audit import audit_store
from aiba_domain.claims.commands import BY_REQUEST, claim_id
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_domain.ports import Entry, Scope, UnitOfWork
from aiba_domain.testing.auditor import Auditor
from tests.support.mongo import Server, failing, is_real, quick_folder, with_database
from tests.support.mongo_load import CAP, make_ready

ROUNDS: Final = int(os.environ.get("AIBA_KILL_ROUNDS", "3"))
PROCESSES: Final = 2
ROOT: Final = Path(__file__).parents[3]
ANSWERS: Final = 15
"""After how many more answers something happens to the server."""

COMMANDS: Final = {"battle": "battle.run", "claim": "claim.reserve"}
"""The names of the commands that have keys."""

_DEMOTED: Final = {
    "errorCode": 10107,
    "errorLabels": ["TransientTransactionError", "RetryableWriteError"],
}
_EACH: Final = ("find", "insert", "update", "delete", "commitTransaction", "abortTransaction")
_PATIENCE_S: Final = 120.0


class Players:
    """Processes of players, and what they say they were answered."""

    def __init__(self, uri: str) -> None:
        """Start them."""
        self.told: Counter[tuple[str, ...]] = Counter()
        self.again: Counter[str] = Counter()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._running = [self._start(uri, number) for number in range(PROCESSES)]
        self._open = PROCESSES

    def _start(self, uri: str, number: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 - this test's own module
            [sys.executable, "-m", "tests.support.mongo_load", uri, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def more(self, count: int) -> None:
        """Wait for so many more answers."""
        goal = self.told.total() + count
        while self.told.total() < goal:
            assert self._hear(), "the players have gone"

    def from_all(self) -> None:
        """Wait until each process has answered somebody."""
        while len({key.partition("-")[0] for _, _, key in self.told}) < PROCESSES:
            assert self._hear(), "the players have gone"

    def _hear(self) -> bool:
        """Hear one line; return whether anybody is left to be heard."""
        line = self._lines.get(timeout=_PATIENCE_S)
        if line is None:
            self._open -= 1
        else:
            kind, player, key = line.split()
            if kind == "again":
                self.again[key] += 1
            else:
                self.told[kind, player, key] += 1
        return self._open > 0

    def end(self) -> None:
        """Let everybody come to the end of what they do."""
        for process in self._running:
            assert process.stdin is not None
            process.stdin.close()
        while self._hear():
            pass
        for process in self._running:
            assert process.wait(_PATIENCE_S) == 0

    def kill(self) -> None:
        """End those who are still there."""
        for process in self._running:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def playing(uri: str) -> Iterator[Players]:
    """Let players play for a while."""
    players = Players(uri)
    try:
        yield players
    finally:
        players.kill()


async def ready(uri: str) -> None:
    """Make a database with all the players in it."""
    store = await open_store(uri, create=True)
    await make_ready(store, PROCESSES)
    await store.close()


@pytest.mark.skipif(is_real(), reason="the server that was given isn't ours to kill")
@pytest.mark.kill
@pytest.mark.usefixtures("strays")
def test_no_answer_is_lost_or_doubled_by_a_server_that_dies_and_is_demoted() -> None:
    """Battles at the cap and claims by several processes: all that was answered is there once.

    In each round the server says for a while that it isn't the primary, and is then killed.
    """
    folder = quick_folder()
    with Server(folder) as server:
        uri = with_database(server.uri, "killed")
        asyncio.run(ready(uri))
        with playing(uri) as players:
            players.from_all()
            for _ in range(ROUNDS):
                with failing(server.uri, _EACH, mode={"times": 40}, **_DEMOTED):
                    players.more(ANSWERS)
                players.more(ANSWERS)
                server.kill()
                server.start()
                players.more(ANSWERS)
            players.end()
        told = players.told
        print(f"{ROUNDS} rounds, {told.total()} answers, asked again: {dict(players.again)}")  # noqa: T201
        asyncio.run(judge(uri, told))
    shutil.rmtree(folder, ignore_errors=True)


async def judge(uri: str, told: Counter[tuple[str, ...]]) -> None:
    """Hold what was told against what there is."""
    assert not [each for each in told if each[0] == "refused"]
    assert set(told.values()) == {1}
    counts = Counter(kind for kind, _, _ in told)
    assert counts["battle"] > 0
    assert counts["claim"] == counts["settled"] > 0
    with MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        assert database.battles.count_documents({}) == counts["battle"]
        claims = {each["_id"] for each in database.claims.find({}, projection=["_id"])}
    owed = {claim_id(player, BY_REQUEST, key) for kind, player, key in told if kind == "claim"}
    assert claims == owed == {key for kind, _, key in told if kind == "settled"}
    store = await open_store(uri)
    scopes = [
        Scope(principal=f"player:{player}", command=COMMANDS[kind], key=key)
        for kind, player, key in told
        if kind in COMMANDS
    ]
    assert [scope for scope in scopes if not await is_known(store, scope)] == []
    await books(store, counts["battle"])
    await store.close()


async def is_known(store: MongoStore, scope: Scope) -> bool:
    """Tell whether an answer is remembered."""

    async def look(unit: UnitOfWork) -> bool:
        return await unit.remembered(scope) is not None

    return await store.transact(look)


async def books(store: MongoStore, battles: int) -> None:
    """Check the ledger with the service's own audit, and with one that shares no code with it."""
    report = await audit_store(store)
    assert report.is_sound, report.faults

    async def all_of_it(unit: UnitOfWork) -> tuple[list[Entry], Any, EconomyPolicy]:
        return list(unit.entries()), await unit.accounts(), await unit.policy()

    entries, accounts, policy = await store.transact(all_of_it)
    assert policy.daily_cap_aiba == CAP
    auditor = Auditor()
    auditor.follow(entries, policy)
    for (account, currency), balance in accounts.items():
        assert auditor.history[account, str(currency)] == balance
    paid = Counter(
        (each.posting.source_id, each.posting.reason, each.posting.currency, each.posting.credit)
        for each in entries
        if each.posting.debit.startswith("emission:")
    )
    assert set(paid.values()) == {1}
    rewards = [
        each.posting
        for each in entries
        if each.posting.debit.startswith("emission:") and each.posting.currency is Currency.AIBA
    ]
    assert 0 < sum(each.amount for each in rewards) <= CAP
    assert len({each.source_id for each in rewards}) < battles, "the cap was never reached"
