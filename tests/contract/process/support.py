"""Real servers as processes of their own, what operators run beside them, and raw connections."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from aiba_adapters.telegram import sign
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_entry.cli.session import OPERATOR
from aiba_entry.container import Container
from aiba_entry.service import open_container
from aiba_entry.settings import load
from aiba_entry.stores import DATABASE
from tests.support.forked import Forked
from tests.support.limits import UNLIMITED

T = TypeVar("T")
Json = Any

BOT_TOKEN = "734512:PROCESS-TESTS-token_0123456789abcdef"
SESSION_SECRET = "process-tests-session-7f3a9c51e8b24d60"
SEED_SECRET = "process-tests-seed-root-1b8e4f72a6d93c05"
SECRETS = (BOT_TOKEN, SESSION_SECRET, SEED_SECRET)

AIBA = (sys.executable, "-m", "aiba_entry.cli")
PATIENCE_S = 60
"""When a test stops waiting for a process: a guard against a hang, not a measurement."""


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Return everything a process is told: known secrets, a free port, no limit in the way."""
    return {
        "PATH": os.environ["PATH"],
        "APP_ENV": "test",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "AIBA_DATA_DIR": str(data_dir),
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "SESSION_SECRET": SESSION_SECRET,
        "BATTLE_SEED_SECRET": SEED_SECRET,
        **UNLIMITED,
    } | more


def aiba(
    environ: Mapping[str, str], *arguments: str, patience_s: int = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run `aiba` to its end, as an operator does; it never prints a secret it was given."""
    run = subprocess.run(  # noqa: S603 - this project's own command
        [*AIBA, *arguments],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=patience_s,
        check=False,
    )
    for name in ("TELEGRAM_BOT_TOKEN", "SESSION_SECRET", "BATTLE_SEED_SECRET"):
        assert name not in environ or environ[name] not in run.stdout + run.stderr
    return run


def answer_of(run: subprocess.CompletedProcess[str]) -> Json:
    """Return the JSON that a command printed, once it is known to have succeeded."""
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


class Server:
    """A running `aiba serve`."""

    def __init__(
        self,
        data_dir: Path,
        environ: Mapping[str, str],
        command: Sequence[str] | None = (*AIBA, "serve"),
        *,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Start it; `wait_until_ready` tells when it listens.

        Without a command it is forked from a process that has its modules loaded, after `before`.
        """
        self.data_dir = data_dir
        self.environ = dict(environ)
        self.printed = Path(f"{data_dir}.{time.monotonic_ns()}.out")
        self.logged = self.printed.with_suffix(".err")
        self.process: subprocess.Popen[bytes] | Forked
        if command is None:
            self.printed.touch()
            self.process = Forked(
                ["serve"], environ=self.environ, out=self.printed, err=self.logged, before=before
            )
        else:
            with self.printed.open("wb") as out, self.logged.open("wb") as err:
                self.process = subprocess.Popen(  # noqa: S603 - this project's own command
                    command, env=self.environ, stdout=out, stderr=err
                )
        self.base_url = ""

    def wait_until_ready(self) -> "Server":
        """Wait for the addresses it prints."""
        until(lambda: "Metrics" in self.printed.read_text() or self.process.poll() is not None)
        lines = dict(line.rsplit(maxsplit=1) for line in self.printed.read_text().splitlines())
        assert self.process.poll() is None, self.logged.read_text()
        self.base_url = lines["Health"].removesuffix("/health")
        return self

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.base_url.rpartition(":")[2])

    @property
    def database(self) -> Path:
        """The file of its store."""
        return self.data_dir / DATABASE

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to end, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def log_lines(self) -> list[Json]:
        """Return its log, each line read as the JSON it must be."""
        return [json.loads(line) for line in self.logged.read_text().splitlines()]

    @contextlib.contextmanager
    def client(self, **headers: str) -> Iterator[httpx.Client]:
        """Return a client of its API."""
        with httpx.Client(
            base_url=self.base_url, headers=headers, trust_env=False, timeout=PATIENCE_S
        ) as http:
            yield http


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    last = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < last, "it never came true"
        time.sleep(0.01)


def init_data(player_id: int) -> str:
    """Return genuine launch data, signed now."""
    user = json.dumps({"id": player_id, "first_name": "P", "username": f"player{player_id}"})
    return sign({"auth_date": str(int(time.time())), "user": user}, BOT_TOKEN)


@dataclass(frozen=True, slots=True)
class Player:
    """A player with an open session and a broker, known by the token."""

    id: str
    token: str
    broker_id: str

    @property
    def headers(self) -> dict[str, str]:
        """The header that says who calls."""
        return {"Authorization": f"Bearer {self.token}"}


def new_player(http: httpx.Client, player_id: int) -> Player:
    """Open a session and get the starter broker."""
    opened = data_of(http.post("/api/auth/session", json={"initData": init_data(player_id)}))
    headers = {"Authorization": f"Bearer {opened['token']}"}
    starter = {"requestId": "starter"}
    broker = data_of(http.post("/api/brokers/starter", json=starter, headers=headers))
    return Player(str(player_id), opened["token"], broker["_id"])


def data_of(response: httpx.Response) -> Json:
    """Return what a successful answer carries."""
    assert response.is_success, response.text
    return response.json()["data"]


def mode(key: str, **terms: int) -> GameMode:
    """Return a mode without energy or cooldown, so that a broker can fight in it for ever."""
    free: dict[str, Any] = {"energy_cost": 0, "cooldown_seconds": 0}
    return GameMode(
        id=mode_id(key),
        key=key,
        name=key,
        arena="prediction",
        created_at=0,
        updated_at=0,
        **(free | terms),
    )


def save_modes(environ: Mapping[str, str], *modes: GameMode) -> None:
    """Save modes as an operator does, also while servers run."""

    async def work(container: Container) -> None:
        for each in modes:
            (await container.pipeline().execute(OPERATOR, SaveMode(mode=each))).reply()

    with_container(environ, work)


def with_container(environ: Mapping[str, str], work: Callable[[Container], Awaitable[T]]) -> T:
    """Run `work` on the store of an environment, beside whatever server uses it."""

    async def run() -> T:
        async with open_container(load(environ)) as container:
            return await work(container)

    return asyncio.run(run())


@contextlib.contextmanager
def write_lock(database: Path) -> Iterator[None]:
    """Hold the write lock of a store: whatever commands are accepted meanwhile must wait."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def rows(database: Path, query: str, *values: object) -> list[Any]:
    """Read the store's file around the store."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(query, values).fetchall()


class Lost(Exception):  # noqa: N818 - the state of a call: nobody knows what became of it
    """The connection ended before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: Json

    @property
    def data(self) -> Json:
        """What a successful answer carries."""
        assert self.status in {200, 201}, self.body
        return self.body["data"]


class Line:
    """One connection that is kept alive, down to its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use an open connection."""
        self.reader, self.writer = reader, writer

    async def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return its whole answer. Raises Lost."""
        await self.send(method, path, body, headers)
        return await self.answer()

    async def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole request. Raises Lost."""
        await self.send_bytes(request_bytes(method, path, body, headers))

    async def send_bytes(self, raw: bytes) -> None:
        """Send bytes as they are. Raises Lost."""
        try:
            self.writer.write(raw)
            await self.writer.drain()
        except OSError as error:
            raise Lost from error

    async def answer(self) -> Answer:
        """Return the next whole answer. Raises Lost."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.lower().split("\r\n")
            lengths = [int(line[15:]) for line in lines if line.startswith("content-length:")]
            body = await self.reader.readexactly(lengths[0])
        except (OSError, EOFError) as error:
            raise Lost from error
        return Answer(int(head.split()[1]), json.loads(body))


def request_bytes(
    method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return a request as it stands on the wire."""
    content = b"" if body is None else json.dumps(body).encode()
    fields = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "content-length": str(len(content)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


@contextlib.asynccontextmanager
async def connect(port: int) -> AsyncIterator[Line]:
    """Open a connection and see it accepted. Raises Lost."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise Lost from error
    try:
        line = Line(reader, writer)
        await line.call("GET", "/health")
        yield line
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
