"""Stopping by signal: what was accepted is answered, nothing new is let in, the store is closed."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from signal import SIGINT, SIGTERM

import pytest

from aiba_entry.http import protocol
from tests.contract.process.support import (
    Answer,
    Line,
    Lost,
    Player,
    Server,
    aiba,
    answer_of,
    connect,
    mode,
    new_player,
    request_bytes,
    rows,
    save_modes,
    write_lock,
)

IN_FLIGHT = 20


def prepared(server: Server) -> Player:
    """Save the mode these tests fight in and return a player."""
    save_modes(server.environ, mode("free"))
    with server.client() as http:
        return new_player(http, 1)


def battle(player: Player, key: str) -> dict[str, str]:
    """Return the body of a battle."""
    return {"requestId": key, "brokerId": player.broker_id, "modeKey": "free"}


@contextlib.asynccontextmanager
async def lines(port: int, count: int) -> AsyncIterator[list[Line]]:
    """Open several connections."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect(port)) for _ in range(count)]


async def refused(port: int) -> None:
    """Wait until the server lets no new connection in."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with connect(port):
                    await asyncio.sleep(0.01)
            except Lost:
                return


@pytest.mark.parametrize(
    "signals",
    [(SIGTERM,), (SIGINT, SIGTERM, SIGINT)],
    ids=lambda signals: "+".join(number.name for number in signals),
)
def test_accepted_requests_are_answered_and_new_connections_refused(
    serve: Callable[..., Server], signals: Sequence[signal.Signals]
) -> None:
    """Further signals change nothing: it is the drain that counts, then exit code 0."""
    server = serve()
    player = prepared(server)

    async def work() -> list[Answer]:
        async with lines(server.port, IN_FLIGHT) as busy, connect(server.port) as idle:
            with write_lock(server.database):
                for number, line in enumerate(busy):
                    body = battle(player, f"k{number}")
                    await line.send("POST", "/api/battle/run", body, player.headers)
                for _ in range(2):  # answered only after what came before was taken in
                    await idle.call("GET", "/health")
                server.send(signals[0])
                await refused(server.port)
                for number in signals[1:]:
                    server.send(number)
                with pytest.raises(Lost):  # nobody waits for a silent connection
                    await idle.answer()
                assert server.process.poll() is None
            return await asyncio.gather(*(line.answer() for line in busy))

    answers = asyncio.run(work())
    assert server.wait() == 0
    acknowledged = {answer.data["_id"] for answer in answers}
    assert len(acknowledged) == IN_FLIGHT
    assert {id_ for (id_,) in rows(server.database, "SELECT id FROM battles")} == acknowledged
    assert not server.database.with_name("aiba.db-wal").exists()
    assert answer_of(aiba(server.environ, "audit", "--json"))["sound"] is True


def test_two_signals_at_once_on_an_idle_server(serve: Callable[..., Server]) -> None:
    """An impatient Ctrl-C, Ctrl-C ends with 0 too."""
    server = serve()
    server.send(SIGINT)
    server.send(SIGINT)
    assert server.wait() == 0
    assert "Traceback" not in server.logged.read_text()


def patched(**bounds: float) -> tuple[str, ...]:
    """Return a command that serves with shorter bounds than an operator would want."""
    changes = "".join(
        f"{'protocol' if hasattr(protocol, name) else 'server'}.{name} = {value};"
        for name, value in bounds.items()
    )
    program = (
        f"from aiba_entry.http import protocol, server; {changes}"
        "from aiba_entry.cli.main import main; main(['serve'])"
    )
    return (sys.executable, "-c", program)


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_half_sent_request_holds_nothing_up_beyond_its_bound(
    serve: Callable[..., Server], part: str
) -> None:
    """A client that stops in mid-request is cut off within the bound for arriving requests.

    The drain's own bound is longer than this test waits.
    """
    server = serve(command=patched(READ_SECONDS=1, DRAIN_SECONDS=10_000))
    player = prepared(server)
    whole = request_bytes("POST", "/api/battle/run", battle(player, "half"), player.headers)
    sent = whole[: whole.index(b"\r\n") + 20] if part == "head" else whole[:-10]

    async def work() -> None:
        async with connect(server.port) as stuck, connect(server.port) as other:
            await stuck.send_bytes(sent)
            await other.call("GET", "/health")
            server.send(SIGTERM)
            if part == "head":  # nobody waits for what isn't a request yet
                with pytest.raises(Lost):
                    await stuck.answer()
            else:
                assert (await stuck.answer()).body["error"]["code"] == "request timeout"

    asyncio.run(work())
    assert server.wait() == 0
    assert rows(server.database, "SELECT count(*) FROM battles") == [(0,)]


def test_a_half_sent_request_is_cut_off_while_serving_too(serve: Callable[..., Server]) -> None:
    """The bound isn't the drain's alone: silent connections don't pile up."""
    server = serve(command=patched(READ_SECONDS=1))

    async def work() -> None:
        async with connect(server.port) as stuck:
            await stuck.send_bytes(b"POST /api/battle/run HTTP/1.1\r\nhost: x\r\n")
            cut_off = await stuck.answer()
        assert (cut_off.status, cut_off.body["error"]["code"]) == (408, "request timeout")

    asyncio.run(work())
    assert server.stop() == 0


def test_what_timed_out_is_asked_for_again_with_its_key(serve: Callable[..., Server]) -> None:
    """A request that takes too long gets 503, and afterwards its key brings the one battle."""
    server = serve(REQUEST_TIMEOUT_SECONDS="1")
    player = prepared(server)

    async def work() -> list[Answer]:
        async with connect(server.port) as line, connect(server.port) as other:
            body = battle(player, "slow")
            with write_lock(server.database):
                late = await line.call("POST", "/api/battle/run", body, player.headers)
                await other.call("GET", "/health")
            again = [
                await each.call("POST", "/api/battle/run", body, player.headers)
                for each in (line, other)
            ]
            return [late, *again]

    late, first, second = asyncio.run(work())
    assert (late.status, late.body["error"]["code"]) == (503, "timed out")
    assert first.data == second.data
    assert rows(server.database, "SELECT count(*) FROM battles") == [(1,)]
    assert server.stop() == 0
    assert answer_of(aiba(server.environ, "audit", "--json"))["sound"] is True


def test_what_a_client_that_went_away_had_asked_for_counts_once(
    serve: Callable[..., Server],
) -> None:
    """Whoever leaves amid a commit finds its effect whole, and its answer under the key."""
    server = serve()
    player = prepared(server)
    body = battle(player, "left")

    async def work() -> list[Answer]:
        async with connect(server.port) as other:
            with write_lock(server.database):
                for _ in range(3):
                    async with connect(server.port) as gone:
                        await gone.send("POST", "/api/battle/run", body, player.headers)
                        await other.call("GET", "/health")
                        gone.writer.transport.abort()
                await other.call("GET", "/health")
            call = ("POST", "/api/battle/run", body, player.headers)
            return [await other.call(*call) for _ in range(2)]

    first, second = asyncio.run(work())
    assert first.data == second.data
    assert rows(server.database, "SELECT count(*) FROM battles") == [(1,)]
    assert server.stop() == 0
    assert answer_of(aiba(server.environ, "audit", "--json"))["sound"] is True


def test_what_outlasts_the_drain_is_cut_off_and_counts_once(serve: Callable[..., Server]) -> None:
    """A request beyond the drain's bound gets no answer; its key tells later what became of it."""
    server = serve(command=patched(DRAIN_SECONDS=1))
    player = prepared(server)

    async def work() -> None:
        async with connect(server.port) as stuck, connect(server.port) as other:
            with write_lock(server.database):
                body = battle(player, "late")
                await stuck.send("POST", "/api/battle/run", body, player.headers)
                await other.call("GET", "/health")
                server.send(SIGTERM)
                cut_off = await stuck.answer()
        assert (cut_off.status, cut_off.body["error"]["code"]) == (503, "unavailable")

    asyncio.run(work())
    assert server.wait() == 0
    again = serve()
    with again.client() as http:
        url, body = "/api/battle/run", battle(player, "late")
        replies = [http.post(url, json=body, headers=player.headers) for _ in range(2)]
    assert replies[0].json()["data"] == replies[1].json()["data"]
    assert rows(again.database, "SELECT count(*) FROM battles") == [(1,)]
