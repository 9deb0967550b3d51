"""Secrets are changed under two real processes, restarted one after the other by `aiba keys`.

Traffic with old and new credentials goes to both all the while; nothing of it is ever refused.
"""

import json
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from aiba_adapters.telegram import sign
from aiba_domain.application.upkeep import rotate_seed
from aiba_entry.cli.doctor import read_env_file
from aiba_entry.cli.main import main
from aiba_entry.cli.session import OPERATOR
from aiba_entry.container import Container
from aiba_entry.overlap import NEXT, PREVIOUS
from tests.contract.process.rolling import Door, Fleet, Traffic
from tests.contract.process.support import environment, mode, save_modes, with_container
from tests.support import admins
from tests.support.mongo import empty_uri

OLD: Final = {
    "SESSION_SECRET": "rolling-session-7f3a9c51e8b24d60-old",
    "BATTLE_SEED_SECRET": "rolling-seed-root-1b8e4f72a6d93c05-old",
    "ADMIN_JWT_SECRET": "rolling-admin-52c7e01d9ab8f634-old",
    "TELEGRAM_BOT_TOKEN": "734512:ROLLING-token-before_0123456789abc",
}
BOT: Final = "TELEGRAM_BOT_TOKEN"
NEW_BOT: Final = "734512:ROLLING-token-behind_0123456789abc"
ROLLED: Final = tuple(name for name in OLD if name != BOT)
MAX_AGE_S: Final = 900


class Operator:
    """Somebody with the service's variables, and its secrets in files, who changes them."""

    def __init__(self, folder: Path, **more: str) -> None:
        """Write them."""
        self.folder = folder / "secrets"
        self.folder.mkdir()
        self.env_file = folder / "service.env"
        given = environment(folder / "data", **admins.ENVIRON, **more) | {
            "TELEGRAM_INITDATA_MAX_AGE_SECONDS": str(MAX_AGE_S),
            "TRUSTED_PROXIES": "127.0.0.1",
        }
        for name, text in OLD.items():
            (self.folder / name).write_text(text)
            given.pop(name)
            given[f"{name}_FILE"] = str(self.folder / name)
        self.env_file.write_text("".join(f"{name}={text}\n" for name, text in given.items()))

    def environ(self) -> Mapping[str, str]:
        """Return what a process is started with now."""
        return read_env_file(self.env_file)

    def rotate(self, *step: str, names: tuple[str, ...] = tuple(OLD)) -> None:
        """Do a step of several changes."""
        for name in names:
            arguments = ["keys", "rotate", name, "--env-file", str(self.env_file), *step]
            told = CliRunner().invoke(main, arguments, input=f"{NEW_BOT}\n")
            assert told.exit_code == 0, told.output

    def secret(self, name: str) -> str:
        """Return a secret as it is in the files."""
        return Path(self.environ()[f"{name}_FILE"]).read_text().strip()


class Game(Traffic):
    """One player and one admin at both doors, with what they were given at the first and last."""

    def __init__(self, operator: Operator, fleet: Fleet) -> None:
        """Prepare a player; launch data is signed before anything changes."""
        super().__init__(self.play)
        self.doors = [Door(fleet, place) for place in range(2)]
        self._fleet = fleet
        self._operator = operator
        now_s = int(time.time())
        self._early = [launch(OLD[BOT], now_s - 1 - back) for back in range(200)]
        self.sessions = [self._session(self._early[0])]
        self._ends = False
        self._logins, self._turns = count(), count()
        self._known: set[int] = set()
        self.admins = [self._admin(self.doors[0])]
        broker = self.doors[0].data(
            "POST", "/api/brokers/starter", self.sessions[0], requestId="starter"
        )
        self._broker = broker["_id"]

    def play(self, number: int) -> None:
        """Let everything that is promised be done once, at each door by what the other has made."""
        if self._ends:
            # Here, so that nothing of it is under way meanwhile.
            self.sessions, self.admins = self.sessions[1:] * 2, self.admins[1:] * 2
            self._ends = False
        for place, door in enumerate(self.doors):
            other = self.doors[1 - place]
            early = self._early[(2 * number + place) % len(self._early)]
            self.sessions = [self.sessions[0], self._session(early, at=door)]
            self._log_in_at(door, self._fleet.servers[place].process.pid)
            for session in self.sessions:
                other.data("GET", "/api/economy/me", session)
            for token in self.admins:
                other.data("GET", "/api/admin/auth/me", token)
            fight = {"brokerId": self._broker, "modeKey": "free"}
            for at, session in zip((door, other), self.sessions, strict=True):
                key = f"{number}-{place}-{at is door}"
                at.data("POST", "/api/battle/run", session, requestId=key, **fight)

    def _log_in_at(self, door: Door, process: int) -> None:
        """Let the admin log in once at each process that comes up: an account has few attempts."""
        if process not in self._known:
            self._known.add(process)
            self.admins = [self.admins[0], self._admin(door)]

    def turn_epoch(self) -> None:
        """Close the open epoch and open the next, by the roots of one of the processes in turn."""

        async def turn(container: Container) -> None:
            seeds = container.seeds()
            await rotate_seed(container.pipeline(), container.store(), seeds, OPERATOR)

        running = [each for each in self._fleet.servers if each.process.poll() is None]
        server = running[next(self._turns) % len(running)]
        with_container(self._fleet.known[server.process.pid], turn)

    def seen(self) -> None:
        """See it go on, also after the epoch was turned over."""
        self.goes_on(1)
        self.turn_epoch()
        self.goes_on(1)

    def forget(self) -> None:
        """Let go of what was made with secrets that are about to go, as time would."""
        now_s = int(time.time())
        token = self._operator.secret(BOT)
        self._early = [launch(token, now_s - back) for back in range(60)]
        self.goes_on()
        self._ends = True
        self.goes_on()

    def refused(self, sessions: list[str], tokens: list[str], launched: str) -> None:
        """See that nothing of the secrets that have gone is believed at either door."""
        for door in self.doors:
            for session in sessions:
                assert door.call("GET", "/api/economy/me", session).status_code == 401
            for token in tokens:
                assert door.call("GET", "/api/admin/auth/me", token).status_code == 401
            answer = door.call("POST", "/api/auth/session", initData=launched)
            assert answer.status_code == 401

    def revealed(self) -> int:
        """Return how many epochs were closed, each with its secret."""
        *closed, last = self.doors[0].data("GET", "/api/fairness")["epochs"]
        assert last["closedAt"] is None
        assert all(epoch["revealedSecret"] for epoch in closed)
        return len(closed)

    def _session(self, launched: str, at: Door | None = None) -> str:
        door = at or self.doors[0]
        token: str = door.data("POST", "/api/auth/session", initData=launched)["token"]
        return token

    def _admin(self, door: Door) -> str:
        # An address has fewer attempts still.
        door.address = f"10.1.{next(self._logins) // 4}.1"
        login = {"email": admins.EMAIL, "password": admins.PASSWORD}
        token: str = door.data("POST", "/api/admin/auth/login", **login)["token"]
        return token


def launch(token: str, at_s: int) -> str:
    """Return launch data of the player."""
    user = json.dumps({"id": 1, "first_name": "P"})
    return sign({"auth_date": str(at_s), "user": user}, token)


@pytest.fixture(name="fleets")
def _fleets() -> Iterator[list[Fleet]]:
    """End what a test has started."""
    fleets: list[Fleet] = []
    yield fleets
    for fleet in fleets:
        fleet.end()


def rehearse(operator: Operator, fleets: list[Fleet], folder: Path, *, with_back: bool) -> None:
    """Change all secrets in steps, and back on the way if wanted."""
    save_modes(operator.environ(), mode("free"))
    fleet = Fleet(folder / "data", operator.environ)
    fleets.append(fleet)
    game = Game(operator, fleet)
    old_session, old_admin = game.sessions[0], game.admins[0]
    with game.running():
        operator.rotate(names=ROLLED)
        fleet.roll(game.seen)
        for step in ("--use", "--back", "--use") if with_back else ("--use",):
            operator.rotate(step, names=ROLLED)
            operator.rotate(*(["--back"] if step == "--back" else []), names=(BOT,))
            fleet.roll(game.seen)
        used = {name: operator.secret(name) for name in OLD}
        assert not set(used.values()) & set(OLD.values())
        game.turn_epoch()
        game.forget()
        operator.rotate("--finish")
        fleet.roll(game.seen)
        game.refused([old_session], [old_admin], launch(OLD[BOT], int(time.time())))
    assert game.revealed() > 10
    assert {name: operator.secret(name) for name in OLD} == used
    assert not [name for name in operator.environ() if NEXT in name or PREVIOUS in name]
    assert [server.stop() for server in fleet.servers] == [0, 0]


def test_on_one_machine_nobody_is_refused_there_or_back(
    tmp_path: Path, fleets: list[Fleet]
) -> None:
    """Seeds, sessions, admins and the bot; whoever turns the epoch over, none is lost."""
    rehearse(Operator(tmp_path), fleets, tmp_path, with_back=True)


@pytest.mark.parametrize(
    "with_back", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["there", "and back"]
)
def test_on_mongodb_nobody_is_refused(
    tmp_path: Path, fleets: list[Fleet], *, with_back: bool
) -> None:
    """The same over a store of several machines."""
    uri, end = empty_uri()
    try:
        rehearse(Operator(tmp_path, MONGO_URI=uri), fleets, tmp_path, with_back=with_back)
    finally:
        for fleet in fleets:
            fleet.end()
        end()
