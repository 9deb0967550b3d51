"""Processes that are restarted one after another, and traffic to all of them all the while."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.contract.process.support import PATIENCE_S, Server, until

_REST = 3
"""How many times longer traffic rests than it takes: most of the machine is for those who start."""

_AHEAD = 4
"""How often something is done without being waited for, so that a slow machine isn't worn out."""

_LOOK_S = 0.05
"""How long it waits then before it looks again."""


class Fleet:
    """Some servers on one store, restarted as an operator's balancer and supervisor do it."""

    def __init__(
        self,
        data_dir: Path,
        environ: Callable[[], Mapping[str, str]],
        *,
        size: int = 2,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Start them in the environment that there is at the moment of each start.

        `known` is what each process knows since then, by its number.
        """
        self._data_dir = data_dir
        self._environ = environ
        self._before = before
        self.http = httpx.Client(trust_env=False, timeout=PATIENCE_S)
        self.known: dict[int, Mapping[str, str]] = {}
        self.servers = [self._start() for _ in range(size)]
        for server in self.servers:
            server.wait_until_ready()

    def roll(self, seen: Callable[[], None]) -> None:
        """Restart one after another, each once the one before is ready; see all go on meanwhile."""
        for place, server in enumerate(self.servers):
            assert server.stop() == 0, server.logged.read_text()
            seen()
            self.servers[place] = self._start().wait_until_ready()
            seen()

    def end(self) -> None:
        """End them all."""
        self.http.close()
        for server in self.servers:
            server.kill()

    def _start(self) -> Server:
        environ = self._environ()
        server = Server(self._data_dir, environ, None, before=self._before)
        self.known[server.process.pid] = in_full(environ)
        return server


def in_full(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment with what its files hold now, in their place."""
    found = {name: text for name, text in environ.items() if not name.endswith("_FILE")}
    for name, path in environ.items():
        if name.endswith("_FILE"):
            found[name.removesuffix("_FILE")] = Path(path).read_text().strip()
    return found


class Door:
    """Calls one server, and where it is gone whichever other is there, as a balancer does.

    An answer is final: only a call that nobody has answered goes to another.
    """

    def __init__(self, fleet: Fleet, place: int) -> None:
        """Prefer one of the servers; `address` is whose call it passes on."""
        self._fleet = fleet
        self._place = place
        self.address = "10.0.0.1"

    def call(self, method: str, path: str, token: str = "", **body: object) -> httpx.Response:
        """Return the answer to a call; what is sent twice has one effect, by its key."""
        headers = {"X-Forwarded-For": self.address}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        for attempt in range(1_000):
            server = self._fleet.servers[(self._place + attempt) % len(self._fleet.servers)]
            try:
                return self._fleet.http.request(
                    method, f"{server.base_url}{path}", json=body or None, headers=headers
                )
            except httpx.TransportError:
                continue
        raise AssertionError("no server is there")

    def data(self, method: str, path: str, token: str = "", **body: object) -> Any:  # noqa: ANN401 - JSON
        """Return what an answer carries. Raises Refused where it is a refusal."""
        answer = self.call(method, path, token, **body)
        if not answer.is_success:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json().get("data", answer.json())


class Refused(Exception):  # noqa: N818 - the state of a call
    """A call was refused that nobody may refuse."""


class Traffic:
    """Something that is done again and again in a thread, and must never be refused."""

    def __init__(self, act: Callable[[int], None]) -> None:
        """Do `act` with a number that rises."""
        self._act = act
        self._stop = threading.Event()
        self._fault: BaseException | None = None
        self.done = self._wanted = 0
        self._thread = threading.Thread(target=self._run)

    def goes_on(self, times: int = 2) -> None:
        """See it done some more times, or raise what was wrong."""
        aim = self._wanted = self.done + times
        until(lambda: self.done >= aim or self._fault is not None)
        self._check()

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                if self.done < self._wanted + _AHEAD:
                    self._act(self.done)
                    self.done += 1
                self._stop.wait(max(_LOOK_S, _REST * (time.monotonic() - began)))
        except BaseException as fault:  # noqa: BLE001 - told by whoever waits for it
            self._fault = fault

    @contextmanager
    def running(self) -> Iterator["Traffic"]:
        """Let it run while entered; afterwards nothing was refused."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join(PATIENCE_S)
        self._check()
