"""Secrets are changed under processes on one store: nobody is refused, also on the way back."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.telegram import sign
from aiba_domain.application.upkeep import rotate_seed
from aiba_domain.testing.doubles import SettableClock
from aiba_entry.cli.session import OPERATOR
from aiba_entry.container import Container
from aiba_entry.http.app import create_gate
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import Gate
from aiba_entry.service import create_application, open_container
from aiba_entry.settings import load
from tests.contract.process.support import (
    BOT_TOKEN,
    Json,
    Player,
    environment,
    init_data,
    mode,
    save_modes,
)
from tests.support import admins

OLD: Final = {
    "SESSION_SECRET": "rotation-session-7f3a9c51e8b24d60-old",
    "BATTLE_SEED_SECRET": "rotation-seed-root-1b8e4f72a6d93c05-old",
    "ADMIN_JWT_SECRET": "rotation-admin-52c7e01d9ab8f634-old",
}
NEW: Final = {name: f"{text[:-3]}new" for name, text in OLD.items()}


def beside(ending: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of what stands beside."""
    return {f"{name}{ending}": text for name, text in values.items()}


BEFORE: Final = OLD
ANNOUNCED: Final = {**OLD, **beside("_NEXT", NEW)}
IN_USE: Final = {**NEW, **beside("_PREVIOUS", OLD)}
AFTER: Final = NEW


class Door:
    """One process's part of it: its container over the store's file, and its API."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Start in an environment; `open` opens it."""
        self.settings = load(environ)
        self.life = contextlib.AsyncExitStack()

    async def open(self) -> "Door":
        """Prepare the store as a starting process does, and serve."""
        self.container: Container = await self.life.enter_async_context(
            open_container(self.settings)
        )
        app = cast("Any", create_application(self.container))
        self.http = await self.life.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.example")
        )
        return self

    async def call(self, method: str, path: str, token: str = "", **body: object) -> Json:
        """Return what an answer carries, which must not be a refusal."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.request(method, path, json=body or None, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def status(self, path: str, token: str) -> int:
        """Return how a read ends."""
        answer = await self.http.get(path, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code

    async def turn_epoch(self) -> None:
        """Close the open epoch and open the next, as any of the processes may."""
        container = self.container
        await rotate_seed(container.pipeline(), container.store(), container.seeds(), OPERATOR)


class Fleet:
    """Two processes that are restarted one after another, and a player and an admin in between."""

    def __init__(self, folder: Path) -> None:
        """Serve the store in a folder."""
        self.base = environment(folder / "data", **admins.ENVIRON)
        self.doors: list[Door] = []
        self.sessions: list[str] = []
        self.admins: list[str] = []
        self.keys = count(1)

    async def open(self, secrets: Mapping[str, str]) -> None:
        """Start both."""
        self.doors = [await Door({**self.base, **secrets}).open() for _ in range(2)]
        opened = await self.log_in(self.doors[0])
        broker = await self.doors[0].call(
            "POST", "/api/brokers/starter", opened, requestId="starter"
        )
        self.player = Player("1", opened, broker["_id"])

    async def log_in(self, door: Door) -> str:
        """Open a session of the player at a door and keep its token."""
        token: str = (await door.call("POST", "/api/auth/session", initData=init_data(1)))["token"]
        self.sessions.append(token)
        return token

    async def roll(self, secrets: Mapping[str, str]) -> None:
        """Restart one process after another; all goes on between and after."""
        for place, door in enumerate(self.doors):
            await door.life.aclose()
            self.doors[place] = await Door({**self.base, **secrets}).open()
            await self.goes_on()

    async def goes_on(self) -> None:
        """Whatever a process makes, each believes; and either may turn the epoch over."""
        for door in self.doors:
            await self.log_in(door)
            made = await door.call(
                "POST", "/api/admin/auth/login", email=admins.EMAIL, password=admins.PASSWORD
            )
            self.admins.append(made["token"])
        for turns in self.doors:
            await turns.turn_epoch()
            # Each with the session that the other one has opened.
            for door, session in zip(self.doors, reversed(self.sessions[-2:]), strict=True):
                await self.fight(door, session)
        for door in self.doors:
            for token in (*self.admins[:2], *self.admins[-2:]):
                await door.call("GET", "/api/admin/auth/me", token)
            for session in (*self.sessions[:2], *self.sessions[-2:]):
                await door.call("GET", "/api/economy/me", session)

    async def fight(self, door: Door, session: str) -> None:
        """Fight once, under whatever epoch is open."""
        body = {"brokerId": self.player.broker_id, "modeKey": "free"}
        await door.call("POST", "/api/battle/run", session, requestId=f"k{next(self.keys)}", **body)

    async def refuses(self, sessions: list[str], tokens: list[str]) -> None:
        """Tokens of a secret that has gone are worth nothing at either door."""
        for door in self.doors:
            for session in sessions:
                assert await door.status("/api/economy/me", session) == 401
            for token in tokens:
                assert await door.status("/api/admin/auth/me", token) == 401

    async def all_is_revealed(self) -> int:
        """Return how many epochs were closed, each with its secret."""
        *closed, last = (await self.doors[0].call("GET", "/api/fairness"))["epochs"]
        assert last["closedAt"] is None
        assert all(epoch["revealedSecret"] for epoch in closed)
        return len(closed)

    async def close(self) -> None:
        """Stop both."""
        for door in self.doors:
            await door.life.aclose()


def test_secrets_are_changed_under_two_processes_and_back(tmp_path: Path) -> None:
    """No battle, session or admin is refused, no epoch is lost, whoever turns it over and when."""

    async def rehearsal() -> None:
        fleet = Fleet(tmp_path)
        await fleet.open(BEFORE)
        try:
            await fleet.goes_on()
            old = list(fleet.sessions), list(fleet.admins)
            # The way back is through the same mixtures of processes as the way there.
            for step in (ANNOUNCED, IN_USE, ANNOUNCED, IN_USE):
                await fleet.roll(step)
            fleet.sessions.clear()
            fleet.admins.clear()
            await fleet.roll(AFTER)
            await fleet.refuses(*old)
            assert await fleet.all_is_revealed() > 20
        finally:
            await fleet.close()

    environ = environment(tmp_path / "data", **{**admins.ENVIRON, **BEFORE})
    save_modes(environ, mode("free"))
    asyncio.run(rehearsal())


OLD_BOT: Final = "734512:ROTATION-token-before_0123456789abc"


def test_the_bots_token_is_changed_without_anybody_losing_the_open_game(tmp_path: Path) -> None:
    """What Telegram signed before stays good for its age; what a thief signs later is nothing."""
    clock = SettableClock()

    def gate(**environ: str) -> Gate:
        given = environment(tmp_path, TELEGRAM_INITDATA_MAX_AGE_SECONDS="900", **environ)
        return create_gate(load(given), limiter=MemoryRateLimiter(), now_ms=clock.now)

    def signed(token: str, at_s: int) -> str:
        user = json.dumps({"id": 1, "first_name": "P"})
        return sign({"auth_date": str(at_s), "user": user}, token)

    start_s = clock.now() // 1000
    before, thief = signed(OLD_BOT, start_s - 600), signed(OLD_BOT, start_s + 200)
    overlap = gate(TELEGRAM_BOT_TOKEN_PREVIOUS=OLD_BOT)
    assert overlap.auth.identity(before).player_id == "1"
    with pytest.raises(ApiError):
        gate().auth.identity(before)
    clock.advance(200_000)
    assert overlap.auth.identity(signed(BOT_TOKEN, start_s + 200)).player_id == "1"
    with pytest.raises(ApiError):
        overlap.auth.identity(thief)
    clock.advance(200_000)
    with pytest.raises(ApiError):
        overlap.auth.identity(before)
    # The way back, for a token that was typed wrong: the one before was good all the time.
    back = gate(TELEGRAM_BOT_TOKEN=OLD_BOT)
    assert back.auth.identity(thief).player_id == "1"
