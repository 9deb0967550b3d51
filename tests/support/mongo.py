"""A MongoDB for tests: a real one by `AIBA_TEST_MONGO_URI`, else SecantusDB as a process.

SecantusDB speaks MongoDB's wire protocol over WiredTiger; docs/mongodb.md says what that is worth.
It is only ever run, never imported: its packages are in a virtual environment of their own, made
once per machine from `secantusdb.lock`.
"""

import asyncio
import atexit
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest
from hypothesis import settings
from pymongo import MongoClient
from pymongo.database import Database

from aiba_adapters.mongo import MongoStore, open_store

LOCK: Final = Path(__file__).with_name("secantusdb.lock")
GIVEN: Final = "AIBA_TEST_MONGO_URI"
"""The variable that names a real server, with no database in its path."""

FEWER: Final = 8
"""By how much fewer examples are drawn than on other stores."""

_SETTINGS: Final = "_hypothesis_internal_use_settings"
_STARTED: Final = "AIBA_TEST_MONGO_STARTED"
_OPTIONS: Final = "heartbeatFrequencyMS=500"
_PATIENCE_S: Final = 60.0


def cache() -> Path:
    """Return where this machine keeps what is made once."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "aiba-tests"


def program() -> Path:
    """Return the server's program, installing it at the first time."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache() / f"secantusdb-{digest}"
    found = folder / "bin" / "secantusd-py"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "secantusdb.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(folder)
            (folder / "ready").touch()
    return found


def _install(folder: Path) -> None:
    """Make the environment; pip fills it from outside, for Debian's python3 has no ensurepip."""
    for words in (
        ["-m", "venv", "--without-pip", str(folder)],
        [
            *("-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-qq"),
            *("--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)),
        ],
    ):
        subprocess.run([sys.executable, *words], check=True, timeout=600)  # noqa: S603 - ours


class Server:
    """One server with its data in a folder; `uri` names no database."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start on a free port, which it keeps when it is started again."""
        self._folder = folder
        self._options = options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"mongodb://127.0.0.1:{self.port}/?{_OPTIONS}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = [
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--storage-path", str(self._folder / "data"), "--enable-test-commands"),
            "--sync-on-commit",  # it doesn't heed the `j` of a transaction's commit
            *self._options,
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this machine's own server
                [str(program()), *words], stdout=log, stderr=log, cwd=self._folder
            )
        self.command({"ping": 1}, patience_s=_PATIENCE_S)

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        return None if self._process is None else self._process.pid

    def kill(self) -> None:
        """End it with SIGKILL, as a machine that loses its power does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it stand still, with every connection open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, words: dict[str, Any], *, patience_s: float = 10.0) -> Mapping[str, Any]:
        """Give the server a command on its `admin` database."""
        return give(self.uri, words, patience_s=patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def give(uri: str, words: dict[str, Any], *, patience_s: float = 10.0) -> Mapping[str, Any]:
    """Give a server a command on its `admin` database."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri, serverSelectionTimeoutMS=int(patience_s * 1_000)) as client:
        answer: dict[str, Any] = client.admin.command(words)
        return answer


def quick_folder() -> Path:
    """Make a folder, in memory where the machine has one: what dies here are processes."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder is made in it under a new name
    return Path(tempfile.mkdtemp(prefix="aiba-mongo-", dir=shared if shared.is_dir() else None))


def server_uri() -> str:
    """Return the URI of the server for this run, for all of its processes; start one if need be."""
    given = os.environ.get(GIVEN) or os.environ.get(_STARTED)
    if given:
        return given
    folder = quick_folder()
    server = Server(folder)

    def end() -> None:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    os.environ[_STARTED] = server.uri
    return server.uri


def is_real() -> bool:
    """Tell whether the server is a real MongoDB."""
    return bool(os.environ.get(GIVEN))


def with_database(uri: str, name: str) -> str:
    """Return a URI with a database in its path."""
    head, _, options = uri.partition("?")
    return f"{head.rstrip('/')}/{name}" + (f"?{options}" if options else "")


class _Databases:
    """Empty databases, used again by later tests: to make one takes longer than to empty it."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, Path]] = {}

    def empty(self, uri: str, folder: Path) -> str:
        """Return the name of a database with the schema and the first policy alone, for a folder.

        One is free again when its folder is gone, or its test is over.
        """
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        for name, (by, of) in self._taken.items():
            if (by != test and test) or not of.exists():
                self._taken[name] = (test, folder)
                _empty(uri, name)
                return name
        name = f"aiba_{uuid.uuid4().hex[:12]}"
        self._taken[name] = (test, folder)
        return name


_databases = _Databases()


def _empty(uri: str, name: str) -> None:
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client[name]
        for collection in database.list_collection_names():
            keep = {"_id": {"$ne": 1}} if collection in {"policies", "steps"} else {}
            database[collection].delete_many(keep)


def uri_of(folder: Path) -> str:
    """Return the URI of a folder's own database, an empty one at the first time.

    Its name is kept in the folder, by which other processes find it too.
    """
    uri, note = server_uri(), folder / "mongo-database"
    if not note.exists():
        note.write_text(_databases.empty(uri, folder))
    return with_database(uri, note.read_text())


def empty_uri() -> tuple[str, Callable[[], None]]:
    """Return the URI of a database that isn't there, and what removes it if it is made."""
    uri, name = server_uri(), f"aiba_{uuid.uuid4().hex[:12]}"

    def end() -> None:
        client: MongoClient[dict[str, Any]]
        with MongoClient(uri) as client:
            client.drop_database(name)

    return with_database(uri, name), end


async def open_mongo(folder: Path, *, patience_ms: int = 10_000) -> MongoStore:
    """Open the store of a folder."""
    return await open_store(uri_of(folder), create=True, patience_ms=patience_ms)


@contextmanager
def failing(uri: str, commands: Sequence[str], **how: Any) -> Iterator[None]:
    """Let commands fail while entered: `closeConnection=True`, or `errorCode=91` and the like."""
    data = {"failCommands": list(commands), **how}
    mode = how.pop("mode", "alwaysOn")
    data.pop("mode", None)
    give(uri, {"configureFailPoint": "failCommand", "mode": mode, "data": data})
    try:
        yield
    finally:
        give(uri, {"configureFailPoint": "failCommand", "mode": "off"})


def fewer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw fewer examples in one test: a server answers a thousand times slower than a dictionary.

    The suites' settings are on functions that the other stores share, so it ends with the test.
    """
    test = getattr(request.function, "__func__", request.function)
    drawn = getattr(test, _SETTINGS, None)
    if drawn is not None:
        most = max(1, drawn.max_examples // FEWER)
        monkeypatch.setattr(test, _SETTINGS, settings(drawn, max_examples=most))


def run(work: Any) -> Any:  # noqa: ANN401 - whatever is awaited
    """Run a coroutine on an event loop of its own."""
    with asyncio.Runner() as runner:
        return runner.run(work)
