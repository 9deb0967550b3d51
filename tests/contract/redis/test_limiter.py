"""The rate limiter over a real Redis: its contract, and what only a server elsewhere can do."""

import asyncio
import itertools
import random
import socket
import socketserver
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.redis import Operation, RedisRateLimiter, Result, open_client
from aiba_adapters.redis.ratelimit import KEPT_MS, PREFIX
from aiba_domain.ports import RateLimiter, Unavailable, Verdict
from aiba_domain.testing.contracts import Capability, RateLimiterContract
from tests.support.redis import PATIENCE_S, RedisServer, certificates

T = TypeVar("T")

MINUTE = 60_000
NOW = 1_767_268_800_000
FRESH = itertools.count()


@pytest.mark.usefixtures("server")
class TestRedisRateLimiter(RateLimiterContract):
    """Every folder stands for a deployment of its own, told apart by its prefix."""

    capabilities = frozenset({Capability.SERIALIZABLE, Capability.SHARED, Capability.REOPEN})

    @pytest.fixture(autouse=True)
    def _url(self, server: RedisServer) -> None:
        self.url = server.url

    async def open_limiter(self, folder: Path) -> RedisRateLimiter:
        """Open a limiter."""
        return RedisRateLimiter(
            open_client(self.url, patience_s=PATIENCE_S), prefix=f"{PREFIX}{folder}:"
        )

    async def release(self, adapter: RedisRateLimiter) -> None:
        """Close its connections."""
        await adapter.close()


class Told:
    """Keeps what a meter is told."""

    def __init__(self) -> None:
        """Have been told nothing."""
        self.requests: list[tuple[Operation, Result]] = []

    def request(self, operation: Operation, result: Result, seconds: float) -> None:
        """Keep a request."""
        assert seconds >= 0
        self.requests.append((operation, result))


def limited(
    url: str, work: Callable[[RedisRateLimiter], Awaitable[T]], told: Told | None = None, **how: Any
) -> T:
    """Do something with a limiter that counts what no other one does."""

    async def run() -> T:
        prefix = f"{PREFIX}test-{next(FRESH)}:"
        limiter = RedisRateLimiter(
            open_client(url, **{"patience_s": PATIENCE_S, **how}), meter=told, prefix=prefix
        )
        try:
            return await work(limiter)
        finally:
            await limiter.close()

    return asyncio.run(run())


async def hit(
    limiter: RateLimiter, key: str = "k", *, limit: int = 3, now_ms: int = NOW
) -> Verdict:
    """Hit a key once."""
    return await limiter.hit("name", key, limit=limit, window_ms=MINUTE, now_ms=now_ms)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.integers(-150_000, 90_000), max_size=25))
def test_it_rules_as_the_limiter_of_one_process_does(server: RedisServer, moves: list[int]) -> None:
    """Whatever the callers' clocks do, backwards too: every verdict on a key is the same."""

    async def compare(limiter: RedisRateLimiter) -> None:
        memory, now = MemoryRateLimiter(), NOW
        for move in moves:
            now += move
            assert await hit(limiter, now_ms=now) == await hit(memory, now_ms=now)

    limited(server.url, compare)


def test_keys_end_by_themselves_and_name_nobody(server: RedisServer) -> None:
    """Each lives as long as its window and a minute, and shows neither player nor address."""

    async def look(limiter: RedisRateLimiter) -> None:
        keys = ("tg:42", "ip:203.0.113.9", "\x00", "x" * 10_000)
        for _ in range(2):
            for key in keys:
                await hit(limiter, key)
        client: Redis = limiter._client
        found = [key async for key in client.scan_iter(limiter._prefix + "*")]
        assert len(found) == len(keys)
        for key in found:
            assert 0 < await client.pttl(key) <= MINUTE + KEPT_MS
            assert len(key) == len(limiter._prefix) + 64

    limited(server.url, look)


def test_hits_that_are_given_up_spoil_no_other(server: RedisServer) -> None:
    """A caller that goes away meanwhile leaves no answer for the next one on its connection."""

    async def storm(limiter: RedisRateLimiter) -> None:
        draw = random.Random(5)
        for turn in range(40):
            tasks = [asyncio.create_task(hit(limiter, f"{turn}-{each}")) for each in range(6)]
            for _ in range(draw.randrange(12)):
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for verdict in ended[1::2]:
                assert isinstance(verdict, Verdict)
                assert verdict.remaining == 2

    limited(server.url, storm, max_connections=4)


def test_a_kill_of_redis_in_the_middle_lets_nobody_past_the_limit(server: RedisServer) -> None:
    """What isn't answered says so; afterwards the same limiter goes on where it was."""
    limit, told = 60, Told()

    async def through_a_kill(limiter: RedisRateLimiter) -> tuple[int, int]:
        allowed = lost = 0
        is_under_way, is_killed = asyncio.Event(), asyncio.Event()

        async def storm(hits: int) -> None:
            nonlocal allowed, lost
            for _ in range(hits):
                try:
                    verdict = await hit(limiter, limit=limit)
                except Unavailable:
                    lost += 1
                else:
                    allowed += verdict.allowed
                    if allowed == 40:
                        is_under_way.set()
                await asyncio.sleep(0)

        async def until_killed() -> None:
            while not is_killed.is_set():
                await storm(1)
            await storm(1)

        await asyncio.gather(*(storm(5) for _ in range(6)))
        assert allowed == 30
        storms = [asyncio.create_task(until_killed()) for _ in range(6)]
        await is_under_way.wait()
        await asyncio.to_thread(server.kill)
        is_killed.set()
        await asyncio.gather(*storms)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*(storm(20) for _ in range(6)))
        return allowed, lost

    allowed, lost = limited(server.url, through_a_kill, told)
    assert lost > 0
    assert limit - lost - 6 <= allowed <= limit
    assert {result for _, result in told.requests} <= {*Result} - {Result.REFUSED}
    assert told.requests[-1] == (Operation.HIT, Result.OK)


def test_a_restart_without_a_file_costs_no_answer(tmp_path: Path) -> None:
    """Every connection is dead and the script forgotten; the next hits are counted all the same."""
    server = RedisServer(tmp_path / "forgetful").start()

    async def restart(limiter: RedisRateLimiter) -> list[int]:
        await asyncio.gather(*(hit(limiter) for _ in range(8)))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        return [(await hit(limiter)).remaining for _ in range(3)]

    try:
        assert limited(server.url, restart) == [2, 1, 0]
    finally:
        server.kill()


@pytest.fixture(name="deaf")
def _deaf() -> Iterator[int]:
    """Give the port of somebody who takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


def test_a_redis_that_never_answers_is_given_up(deaf: int) -> None:
    """After a while that is bounded, also for those who wait for a free connection."""
    told = Told()

    async def ask(limiter: RedisRateLimiter) -> list[object]:
        hits = (hit(limiter, str(each)) for each in range(8))
        return await asyncio.gather(*hits, limiter.check(), return_exceptions=True)

    url = f"redis://127.0.0.1:{deaf}"
    ended = limited(url, ask, told, patience_s=0.05, max_connections=3)
    assert all(isinstance(each, Unavailable) for each in ended)
    assert {operation for operation, _ in told.requests} == {*Operation}
    assert Result.TIMEOUT in {result for _, result in told.requests}
    assert Result.OK not in {result for _, result in told.requests}


def test_a_redis_that_is_not_there_is_told_as_such() -> None:
    """Nobody listens: nothing is counted, and the caller may come again."""
    told = Told()
    with pytest.raises(Unavailable, match="redis: unreachable"):
        limited("redis://127.0.0.1:1", hit, told)
    assert told.requests == [(Operation.HIT, Result.UNREACHABLE)]


def test_passwords_are_sent_and_never_told(tmp_path: Path) -> None:
    """In the URL or beside it; a wrong one is refused, and no error shows it."""
    server = RedisServer(tmp_path, options=("--requirepass", "right-password")).start()
    told = Told()
    try:
        inside = server.url.replace("//", "//:right-password@")
        assert limited(inside, hit).allowed
        assert limited(server.url, hit, password="right-password").allowed
        with pytest.raises(Unavailable) as refused:
            limited(server.url, hit, told, password="wrong-password")
        assert "wrong-password" not in f"{refused.value!r} {refused.value.__cause__!r}"
        with pytest.raises(Unavailable):
            limited(server.url, hit, told)
        assert {result for _, result in told.requests} == {Result.REFUSED}
    finally:
        server.kill()


def test_tls_is_checked(tmp_path: Path) -> None:
    """A certificate by the given authority is believed, by no known one it is not."""
    made = certificates(tmp_path / "tls")
    files = ("--tls-cert-file", "server.pem", "--tls-key-file", "server.key")
    absolute = [str(made / word) if word.startswith("server") else word for word in files]
    options = (*absolute, "--tls-ca-cert-file", str(made / "ca.pem"), "--tls-auth-clients", "no")
    server = RedisServer(tmp_path / "data", options=options, tls=True).start()
    try:
        assert limited(server.url, hit, ca=made / "ca.pem").allowed
        with pytest.raises(Unavailable, match="redis: unreachable"):
            limited(server.url, hit)
        with pytest.raises(Unavailable):
            limited(server.url.replace("rediss:", "redis:"), hit)
    finally:
        server.kill()


def test_a_full_redis_is_told_as_such(tmp_path: Path) -> None:
    """It evicts nothing here, so it refuses to count: nobody gets a new window by that."""
    server = RedisServer(tmp_path, options=("--maxmemory", "1")).start()
    told = Told()
    try:
        with pytest.raises(Unavailable, match="redis: refused"):
            limited(server.url, hit, told)
        assert told.requests == [(Operation.HIT, Result.REFUSED)]
    finally:
        server.kill()


def test_a_refusal_that_repeats_the_password_is_not_passed_on() -> None:
    """A Redis whose AUTH is renamed repeats what it was asked; its code is told, and no more."""
    word = "a-word-that-nobody-must-see"

    class Renamed(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                told = f"-ERR unknown command 'AUTH', with args beginning with: '{word}'\r\n"
                self.wfile.write(told.encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Renamed) as renamed:
        threading.Thread(target=renamed.serve_forever, args=(0.05,)).start()
        with pytest.raises(Unavailable, match="redis: refused") as failed:
            limited(f"redis://:{word}@127.0.0.1:{renamed.server_address[1]}/0", hit)
        renamed.shutdown()
    assert word not in "".join(traceback.format_exception(failed.value))
