"""The service with two routes that do nothing, started as a process of its own.

`python -m bench.service PLAYERS` serves the database in `$AIBA_DATA_DIR` and prints one line of
JSON once it listens: its port, and the players with their brokers.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop
from litestar import Controller, Request, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from aiba_entry.container import Container
from aiba_entry.edge_settings import LIMITS, limit_variable
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply
from aiba_entry.http.limits import BATTLE, admit_player
from aiba_entry.http.routes.battles import BattleBody
from aiba_entry.http.server import listen, serve
from aiba_entry.observability import configure_logging
from aiba_entry.service import create_application, open_container
from aiba_entry.settings import load
from bench.play import lift_limits, seat_players

NO_OP: Final = "/bench/no-op"
GUARDED_NO_OP: Final = "/bench/guarded-no-op"
SECRETS: Final = {
    "TELEGRAM_BOT_TOKEN": "1:a-token-that-no-bot-has-0123",
    "SESSION_SECRET": "sessions of a benchmark, worth nothing",
    "BATTLE_SEED_SECRET": "seeds of a benchmark, worth nothing",
}
_MOST: Final = "1000000"
_STOP_SECONDS: Final = 60


class NoOps(Controller):
    """Routes made like `battle/run`, without the battle."""

    path = "/bench"

    @post("/no-op", status_code=200)
    async def no_op(self, data: JSONBody[BattleBody], request: Request[Any, Any, Any]) -> Reply:
        """Validate the body and answer."""
        return _answer(data, request)

    @post("/guarded-no-op", before_request=admit_player(BATTLE), status_code=200)
    async def guarded(self, data: JSONBody[BattleBody], request: Request[Any, Any, Any]) -> Reply:
        """Find out who is calling and whether too often, validate the body, and answer."""
        return _answer(data, request)


def _answer(data: BattleBody, request: Request[Any, Any, Any]) -> Reply:
    fields = {"requestId": data.request_id, "brokerId": data.broker_id}
    return data_reply(fields, context_of(request).request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running service: its process, where it listens, and which broker each player has."""

    pid: int
    port: int
    brokers: Mapping[str, str]


@contextmanager
def started(
    data_dir: Path,
    *,
    players: int,
    more: Mapping[str, str] | None = None,
    program: Sequence[str] = ("bench.service",),
) -> Iterator[Served]:
    """Run the service on a database as a process; end it with a signal and wait for it.

    `more` are variables of its environment besides the usual ones, `program` is a module that
    serves as this one does, and its first arguments.
    """
    environ = {
        **os.environ,
        **SECRETS,
        "APP_ENV": "test",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "AIBA_DATA_DIR": str(data_dir),
        "RATE_LIMIT_PER_MINUTE": _MOST,
        "BATTLE_RATE_LIMIT_PER_MINUTE": _MOST,
        **{limit_variable(name): _MOST for name in LIMITS},
        "LOG_LEVEL": "INFO",
        **(more or {}),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *program, str(players)],
        env=environ,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise RuntimeError("the service did not start; its own words are above")
        yield Served(pid=process.pid, **json.loads(line))
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    """Let a service drain and end."""
    with process:
        process.terminate()
        process.wait(_STOP_SECONDS)


async def _run(players: int) -> None:
    async with open_container(load(os.environ)) as container:
        await serve_players(container, players, extra_routes=(NoOps,))


async def serve_players(
    container: Container, players: int, extra_routes: Sequence[ControllerRouterHandler] = ()
) -> None:
    """Seat the players and serve until a signal; print where, and who has which broker."""
    settings = container.settings()
    brokers = await _prepared(container, players)
    app = create_application(container, extra_routes=extra_routes)

    def ready(_host: str, port: int) -> None:
        print(json.dumps({"port": port, "brokers": brokers}), flush=True)

    listener = listen(settings.host, settings.port)
    await serve(app, listener=listener, started=ready)


async def _prepared(container: Container, players: int) -> dict[str, str]:
    pipeline = container.pipeline()
    await lift_limits(pipeline)
    return {seat.player.id: seat.broker_id for seat in await seat_players(pipeline, players)}


def main() -> None:
    """Serve until a signal. The log is written as in production, to nowhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        lines = configure_logging("INFO", stream=nowhere, secrets=tuple(SECRETS.values()))
        with lines.gathered(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(int(sys.argv[1])))


if __name__ == "__main__":
    main()
