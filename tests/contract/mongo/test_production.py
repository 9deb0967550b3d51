"""Production on MongoDB, as processes: it starts on a replica set made ready, and not else."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_adapters.mongo import make_schema
from aiba_entry.passwords import hash_of
from aiba_entry.readiness.live import SHOWN
from tests.contract.process.support import (
    AIBA,
    BOT_TOKEN,
    Server,
    aiba,
    data_of,
    environment,
    new_player,
)
from tests.support.mongo import Server as MongoServer
from tests.support.mongo import empty_uri
from tests.support.ready import READY, SIGNER, VAULT

PASSWORD = "the password of production's admin"
COST = 10
"""The cheapest hash that production takes."""


def production(folder: Path, uri: str) -> dict[str, str]:
    """Return what production needs to serve a game without withdrawals, from a database."""
    left_out = dict.fromkeys((*VAULT, *SIGNER, "REDIS_URL"), "")
    of_its_own = {
        "MONGO_URI": uri,
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "ADMIN_PASSWORD_HASH": hash_of(PASSWORD, COST),
    }
    return environment(folder, **{**READY, **left_out, **of_its_own})


@pytest.fixture(name="uri")
def _uri() -> Iterator[str]:
    """Give a database that isn't there yet."""
    uri, end = empty_uri()
    yield uri
    end()


def test_production_starts_on_a_replica_set_that_was_made_ready(tmp_path: Path, uri: str) -> None:
    """Before that it says what is missing; then the doctor finds nothing, and players play."""
    environ = production(tmp_path / "data", uri)
    refused = aiba(environ, "serve")
    assert refused.returncode != 0
    assert "aiba mongo init" in refused.stderr
    asyncio.run(make_schema(uri))
    judged = aiba(environ, "doctor", "--live", "--json")
    told = json.loads(judged.stdout)
    assert (judged.returncode, told["ready"], told["prod"]) == (0, True, True)
    server = Server(tmp_path / "data", environ, (*AIBA, "serve"))
    try:
        with server.wait_until_ready().client() as http:
            assert http.get("/ready").status_code == 200
            player = new_player(http, 7)
            battle = {"requestId": "b", "brokerId": player.broker_id}
            data_of(http.post("/api/battle/run", json=battle, headers=player.headers))
            login = {"email": READY["ADMIN_EMAIL"], "password": PASSWORD}
            token = data_of(http.post("/api/admin/auth/login", json=login))["token"]
            stats = http.get("/api/admin/stats", headers={"Authorization": f"Bearer {token}"})
            assert data_of(stats)["totalBattles"] == 1
            assert http.get("/metrics").status_code == 401
            header = {"x-telegram-id": "7"}
            assert http.get("/api/economy/me", headers=header).status_code == 401
        assert server.stop() == 0
    finally:
        server.kill()


def test_production_refuses_a_standalone_server(tmp_path: Path) -> None:
    """It can't hold a transaction: nothing is served from it, whatever is asked to start."""
    with MongoServer(tmp_path, "--standalone") as alone:
        uri = alone.uri.replace("/?", "/aiba?")
        environ = production(tmp_path / "data", uri)
        refused = aiba(environ, "serve")
        assert refused.returncode != 0
        assert "standalone server" in refused.stderr
        unfit = aiba(environ, "doctor", "--live", "--json")
        errors = json.loads(unfit.stdout)["errors"]
        assert (unfit.returncode, {each["code"] for each in errors}) == (78, {"live_store_unfit"})
        assert len(errors) == SHOWN + 1, "it lacks the whole schema too, and says so in few words"
