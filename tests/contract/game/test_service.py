"""The service as it is opened: its data stay, its seeds turn over, its parts close."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import pytest

from aiba_domain.application.upkeep import open_epoch_of
from aiba_domain.testing.doubles import SettableClock
from aiba_entry.service import (
    open_container,
    open_service,
    rotate_if_due,
)
from aiba_entry.settings import Settings, load
from aiba_entry.stores import StoreUnusable, database_path
from tests.contract.game import ton
from tests.contract.game.support import BOT_TOKEN, ENVIRON, HOUR, launch_at

T = TypeVar("T")
KEY = {"requestId": "once"}


def settings_in(folder: Path, **environ: str) -> Settings:
    """Return production's settings over a folder."""
    return load({**ENVIRON, "AIBA_DATA_DIR": str(folder), **environ})


def served(settings: Settings, work: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """Open the whole service, let `work` call it, and close it."""

    async def run() -> T:
        async with (
            open_service(settings) as app,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(cast("Any", app)), base_url="http://api.example"
            ) as client,
        ):
            return await work(client)

    return asyncio.run(run())


async def play(client: httpx.AsyncClient) -> list[Any]:
    """Get a broker and fight a battle under one key, and return what the game shows."""
    session = await client.post("/api/auth/session", json={"initData": launch_at(None)})
    headers = {"Authorization": f"Bearer {session.json()['data']['token']}"}
    starter = await client.post("/api/brokers/starter", headers=headers, json={"requestId": "s"})
    broker = starter.json()["data"]["_id"]
    body = {**KEY, "brokerId": broker}
    battle = await client.post("/api/battle/run", headers=headers, json=body)
    me = await client.get("/api/economy/me", headers=headers)
    fairness = await client.get("/api/fairness")
    return [answer.json()["data"] for answer in (starter, battle, me, fairness)]


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """A service opened again on its data answers as before, under the same seed epoch."""
    settings = settings_in(tmp_path / "new" / "folder")
    first = served(settings, play)
    assert first[1]["score"] > 0
    assert served(settings, play) == first
    assert database_path(settings).exists()


def test_another_root_never_draws_under_an_old_promise(tmp_path: Path) -> None:
    """After a change of the root the epoch that was promised under the old one is closed."""
    before = served(settings_in(tmp_path), play)
    after = served(
        settings_in(tmp_path, BATTLE_SEED_SECRET="yet-another-horse-battery-staple-89"), play
    )
    assert after[:3] == before[:3]
    first, second = after[3]["epochs"]
    assert first["closedAt"] is not None
    assert first["revealedSecret"] is None
    assert second["closedAt"] is None


def test_epochs_turn_over_when_their_hours_are_over(tmp_path: Path) -> None:
    """An epoch lasts the hours that are configured, then the next one opens, once."""

    async def run() -> list[tuple[bool, int]]:
        seen = []
        async with open_container(settings_in(tmp_path, SEED_EPOCH_HOURS="2")) as container:
            opened = await open_epoch_of(container.store())
            assert opened is not None
            clock = SettableClock(opened.opened_at + 2 * HOUR - 1)
            container.clock.override(clock)
            container.reset_singletons()
            for step in (0, 1, 1, 2 * HOUR):
                clock.advance(step)
                rotated = await rotate_if_due(container)
                now_open = await open_epoch_of(container.store())
                assert now_open is not None
                seen.append((rotated, now_open.number))
        return seen

    assert asyncio.run(run()) == [(False, 1), (True, 2), (False, 2), (True, 3)]


def test_a_store_that_cannot_be_opened_says_where_and_why(tmp_path: Path) -> None:
    """A file that is no database, or a folder that is a file, is told with its place."""
    settings = settings_in(tmp_path)
    database_path(settings).write_bytes(b"no database at all" * 100)
    blocked = tmp_path / "file"
    blocked.write_text("")
    for bad in (settings, settings_in(blocked / "inside")):
        with pytest.raises(StoreUnusable, match=str(database_path(bad))):
            served(bad, play)


def test_a_later_schema_is_left_alone(tmp_path: Path) -> None:
    """Data of a later version are refused and not touched."""
    settings = settings_in(tmp_path)
    served(settings, play)
    with sqlite3.connect(database_path(settings)) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreUnusable, match="schema version 999"):
        served(settings, play)


def test_a_provider_that_is_down_stops_neither_the_start_nor_a_battle(tmp_path: Path) -> None:
    """The chain is opened without a word to it; what needs it is 503 until it answers."""

    async def ask(client: httpx.AsyncClient) -> tuple[list[Any], httpx.Response]:
        played = await play(client)
        return played, await client.get(f"/api/vault/last-seqno?to={ton.SHOP}")

    played, refused = served(settings_in(tmp_path, **ton.ENVIRON), ask)
    assert played[1]["rewardAiba"] > 0
    assert refused.status_code == 503
    assert refused.json()["error"]["details"]["retryAfterMs"] > 0


def test_two_services_in_one_process_are_apart(tmp_path: Path) -> None:
    """Each service has its own store, secrets and metrics."""
    one = served(settings_in(tmp_path / "1"), play)
    other = served(
        settings_in(tmp_path / "2", BATTLE_SEED_SECRET="yet-another-horse-battery-staple-89"), play
    )
    assert one[0]["_id"] == other[0]["_id"]
    assert one[1]["seedHex"] != other[1]["seedHex"]
    assert BOT_TOKEN not in str(one) + str(other)
