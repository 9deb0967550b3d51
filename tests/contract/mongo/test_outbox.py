"""Two workers as processes, of which one is killed or paused on its way: nobody works twice."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Self, TypeVar

import pytest

from aiba_domain.application.deliveries import LOAN_MS
from aiba_domain.application.upkeep import prepare
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.commands import ConnectWallet, ReserveClaim
from aiba_domain.decision import Principal
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Backlog, Mailbox
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.doubles import NOON, FixedSeeds
from aiba_domain.testing.playground import OPERATOR
from aiba_domain.testing.strategies import wallet_of
from tests.support.mongo import server_uri
from tests.support.worker import FileClock, open_store, pipeline_on

T = TypeVar("T")
PLAYERS: Final = ("1", "2", "3")
REFUND: Final = "claim_refunded"
LEASE_MS: Final = 13_000
"""Longer than the lease of a worker that doesn't renew it."""


class Worker:
    """A worker's process, which is told to go rounds and tells what it came to."""

    def __init__(self, kind: str, folder: Path, holder: str, hang: str = "") -> None:
        """Start it, and wait until it is ready."""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "tests.support.worker"),
                *(kind, str(folder), str(folder / "clock"), holder, hang),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.told: list[str] = []
        self.wait_for("ready")

    def tell(self, line: str) -> None:
        """Tell it something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def wait_for(self, start: str) -> str:
        """Wait for a line that begins so; return the rest of it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.append(line.strip())
            if line.startswith(start):
                return line[len(start) :].strip()
        raise AssertionError(f"it ended before it told {start}: {self.told}")

    def round(self, what: str) -> str:
        """Let it go a round; return how that ended."""
        self.tell(what)
        return self.wait_for("done")

    def came_to(self) -> list[str]:
        """Return what it has come to, in order."""
        return [line[3:] for line in self.told if line.startswith("at ")]

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def pause(self) -> None:
        """Let it stand still."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Place:
    """A store that workers share, and the time that it is."""

    def __init__(self, kind: str, folder: Path) -> None:
        """Begin at noon."""
        self.kind = kind
        self.folder = folder
        self.clock = folder / "clock"
        self.clock.write_text(str(NOON))

    def on(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Work on the store."""

        async def run() -> T:
            store = await open_store(self.kind, self.folder)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def advance(self, ms: int) -> None:
        """Let time pass; the file is never half written."""
        later = self.folder / "later"
        later.write_text(str(int(self.clock.read_text()) + ms))
        later.replace(self.clock)

    def worker(self, holder: str, hang: str = "") -> Worker:
        """Start a worker."""
        return Worker(self.kind, self.folder, holder, hang)


@pytest.fixture(name="place")
def _place(kind: str, tmp_path: Path) -> Place:
    if kind == "mongo":
        server_uri()
    return Place(kind, tmp_path)


ENDS: Final = pytest.mark.parametrize(
    ("kind", "is_killed"),
    [
        pytest.param("mongo", True, id="mongo-killed"),
        pytest.param("sqlite", False, id="sqlite-paused"),
        pytest.param("mongo", False, id="mongo-paused", marks=pytest.mark.soak),
        pytest.param("sqlite", True, id="sqlite-killed", marks=pytest.mark.soak),
    ],
)
"""On which store, and whether the first worker is killed or only paused."""


async def write_letters(store: Store, clock: FileClock) -> None:
    """Let there be two letters to each player."""
    pipeline = pipeline_on(store, clock)
    await prepare(pipeline, store, FixedSeeds())
    for player in (*PLAYERS, *PLAYERS):
        await pipeline.execute(OPERATOR, BanPlayer(player_id=player, minutes=1, reason="r"))


@ENDS
def test_a_letter_is_with_one_worker_at_a_time(place: Place, *, is_killed: bool) -> None:
    """The other one waits for lease and loan; only what was on its way is sent twice."""
    place.on(lambda store: write_letters(store, FileClock(place.clock)))
    with place.worker("a", hang="player:2/1") as first, place.worker("b") as second:
        first.tell("letters")
        first.wait_for("at player:2/1")
        assert second.round("letters") == "elsewhere"
        first.kill() if is_killed else first.pause()
        assert second.round("letters") == "elsewhere"
        place.advance(LEASE_MS)
        assert second.round("letters") == "ok"
        assert second.came_to() == ["player:1/2"]  # the others are lent to the first one still
        place.advance(LOAN_MS)
        while place.on(_backlog).pending:
            assert second.round("letters") == "ok"
        if not is_killed:
            first.resume()
            first.tell("go on")
            assert first.wait_for("done") == "postponed"  # its lease is lost
        assert first.came_to() == ["player:1/1", "player:2/1"]
        seen = Counter([*first.came_to(), *second.came_to()])
        twice = [letter for letter, times in seen.items() if times > 1]
        assert (twice, max(seen.values())) == (["player:2/1"], 2)
        for player in PLAYERS:
            mine = [each for each in second.came_to() if each.startswith(f"player:{player}/")]
            assert mine == sorted(mine)
    boxes = place.on(_mailboxes)
    assert [(box.written, box.settled) for box in boxes if box is not None] == [(2, 2)] * 3


async def reserve_claims(store: Store, clock: FileClock) -> None:
    """Let each player have a claim that expires on the chain."""
    pipeline = pipeline_on(store, clock)
    await prepare(pipeline, store, FixedSeeds())

    async def deposit(unit: UnitOfWork) -> None:
        await unit.write(at=NOON, postings=[_deposit(player) for player in PLAYERS])

    await store.transact(deposit)
    for player in PLAYERS:
        principal, recipient = Principal(id=player), wallet_of(player)
        await pipeline.execute(principal, ConnectWallet(address=recipient), "wallet")
        claim = ReserveClaim(
            amount=5,
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            recipient=recipient,
            seen=ChainView(seqno=0, time_s=GENESIS_S),
        )
        (await pipeline.execute(principal, claim, "claim")).reply()


@ENDS
def test_a_claim_is_settled_by_one_worker(place: Place, *, is_killed: bool) -> None:
    """Whoever comes after it settles what is left, and what a late one has to say is refused."""
    place.on(lambda store: reserve_claims(store, FileClock(place.clock)))
    with place.worker("a", hang=wallet_of("2")) as first, place.worker("b") as second:
        first.tell("settle")
        first.wait_for(f"at {wallet_of('2')}")
        assert second.round("settle") == "elsewhere"
        first.kill() if is_killed else first.pause()
        settled = [each.credit for each in place.on(_entries) if each.reason == REFUND]
        assert second.round("settle") == "elsewhere"
        place.advance(LEASE_MS)
        assert second.round("settle") == "ok"
        if not is_killed:
            first.resume()
            first.tell("go on")
            assert first.wait_for("done") == "postponed"
        assert second.round("settle") == "ok"
        looked_at = {
            player_account(each) for each in PLAYERS if wallet_of(each) in second.came_to()
        }
        assert not looked_at & set(settled)
    entries = place.on(_entries)
    refunds = Counter(posting.credit for posting in entries if posting.reason == REFUND)
    assert refunds == {player_account(player): 1 for player in PLAYERS}


async def _backlog(store: Store) -> Backlog:
    async def look(read: Reader) -> Backlog:
        return await read.backlog()

    return await store.read(look)


async def _mailboxes(store: Store) -> list[Mailbox | None]:
    async def look(read: Reader) -> list[Mailbox | None]:
        return [await read.mailbox(f"player:{player}") for player in PLAYERS]

    return await store.read(look)


async def _entries(store: Store) -> list[Posting]:
    async def look(read: Reader) -> list[Posting]:
        return [entry.posting for entry in read.entries()]

    return await store.read(look)


def _deposit(player: str) -> Posting:
    return Posting(
        currency=Currency.AIBA,
        amount=100,
        debit=CHAIN,
        credit=player_account(player),
        reason="deposit",
        arena="chain",
        league="global",
        source_type="deposit",
        source_id=player,
    )
