"""The whole service as a client meets it: the real application over a real store, over HTTP."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import httpx

from aiba_adapters.telegram import sign
from aiba_domain.application.audit import AuditReport
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.ledger_audit.chain import MAX_BATCH
from aiba_domain.ports import Store
from aiba_domain.testing.playground import Playground
from aiba_entry.container import Container
from aiba_entry.metering import make_metrics
from aiba_entry.service import create_application
from aiba_entry.settings import Settings, load
from tests.contract.game import ton
from tests.contract.game.description import Description
from tests.contract.game.ton import SHOP, Ton
from tests.support.limits import OPEN, UNLIMITED
from tests.support.wallets import Wallet

BOT_TOKEN: Final = "123456:TESTTESTTESTTESTTEST"
ENVIRON: Final[Mapping[str, str]] = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://game.example",
    "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    "SESSION_SECRET": "correct-horse-battery-staple-0123",
    "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
    "ADMIN_JWT_SECRET": "a-third-horse-battery-staple-8901",
    "ADMIN_EMAIL": "nobody@game.example",
    "ADMIN_PASSWORD_HASH": "$2b$10$gZM7nslBiKtBg4HkpHJmwu5VWaRpEMGbRAZbxFOhe8AZid1TpN4Ty",
    # Most tests are about anything but limits; those that are set their own.
    **UNLIMITED,
    **OPEN,
}
ABSENT_ID: Final = "0123456789abcdef01234567"
QUERIES: Final[Mapping[str, str]] = {
    "/api/vault/last-seqno": f"to={SHOP}",
    "/api/vault/claim-status": f"to={SHOP}&seqno=1&validUntil=1",
}
"""A good query of each path that needs one."""

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

Json = dict[str, Any]
Tables = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request; `body` is sent as JSON, `content` as it is."""

    method: str
    path: str
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    body: object = None
    content: Any = None

    def raw(self) -> Any:  # noqa: ANN401 - whatever httpx takes as content
        """Return the bytes to send."""
        if self.content is None and self.body is not None:
            return json.dumps(self.body).encode()
        return self.content


class Game(Playground):
    """The service over a store and a chain in memory, at a time that the test sets.

    Every answer is held against the API's own description. What the service writes it writes
    through `faults`, so that it can be made to crash there.
    """

    _description: ClassVar[Description | None] = None

    def __init__(
        self,
        open_store: Callable[[], Awaitable[Store]],
        *,
        environ: Mapping[str, str] | None = None,
        database: Path | None = None,
    ) -> None:
        """Open the store and put the application over it; `database` is where SQLite keeps it."""
        super().__init__(open_store)
        self._environ = {**ENVIRON, **ton.ENVIRON, **(environ or {})}
        self._database = database
        self._watch: sqlite3.Connection | None = None
        self.ton = Ton()
        self._serve()
        self._ids = count(1001)
        self._wallets = count(1)
        self._sessions: dict[str, tuple[str, int]] = {}
        self.description = self._described()

    def _described(self) -> Description:
        """Return what the API says of itself, read once: all games have the same routes."""
        if Game._description is None:
            Game._description = Description(self.get("/openapi.json").json())
        return Game._description

    def close(self) -> None:
        """Close the client, the store and the loop."""
        if self._watch is not None:
            self._watch.close()
        self.run(self._http.aclose())
        super().close()

    def restart(self, **environ: str) -> None:
        """Serve the same store in another environment."""
        self.run(self._http.aclose())
        self._environ |= environ
        self._serve()

    def _serve(self) -> None:
        self.settings: Settings = load(self._environ)
        self.container = Container(settings=self.settings, store=self.faults)
        self.container.clock.override(self.clock)
        self.container.seeds.override(self.seeds)
        keys = self.read(lambda read: read.modes())
        self.container.metrics.override(make_metrics(tuple(mode.key for mode in keys)))
        self.ton.serve(self.container)
        self.app = create_application(self.container)
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(cast("Any", self.app), client=("192.0.2.1", 1)),
            base_url="http://api.example",
        )

    # --- calls ---

    def send(self, call: Call) -> httpx.Response:
        """Make one request."""
        return self.run(self._send(call))

    def at_once(self, calls: Iterable[Call]) -> list[httpx.Response]:
        """Make requests at the same time and return the answers in the order given."""

        async def gathered() -> list[httpx.Response]:
            return await asyncio.gather(*(self._send(call) for call in calls))

        return self.run(gathered())

    async def _send(self, call: Call) -> httpx.Response:
        headers = [
            (name.encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in call.headers.items()
        ]
        response = await self._http.request(
            call.method, call.path, headers=headers, content=call.raw()
        )
        if call.path.split("?")[0] != "/openapi.json":
            self.description.check(response)
        return response

    def get(self, path: str, player: str | None = None, **headers: str) -> httpx.Response:
        """Read something, as a player with a session or as nobody."""
        sent = (self.as_player(player) if player else {}) | headers
        return self.send(Call(method="GET", path=path, headers=sent))

    def post(self, path: str, player: str | None = None, /, **body: object) -> httpx.Response:
        """Post a body, as a player with a session or as nobody."""
        return self.send(self.posting(path, player, **body))

    def looking(self, path: str, player: str | None = None) -> httpx.Response:
        """Read a path as it is described, with a good query where it needs one."""
        query = QUERIES.get(path)
        return self.get(f"{path}?{query}" if query else path, player)

    def posting(self, path: str, player: str | None = None, /, **body: object) -> Call:
        """Return the call that `post` makes."""
        headers = self.as_player(player) if player else {}
        return Call(method="POST", path=path, headers=headers, body=body)

    # --- players ---

    def newcomer(self) -> str:
        """Return a player id that nobody has used."""
        return str(next(self._ids))

    def launch(self, player_id: str) -> str:
        """Return genuine launch data of this moment."""
        return launch_at(self.clock.now(), player_id)

    def as_player(self, player_id: str) -> dict[str, str]:
        """Return the headers of a player with a session that lives."""
        token, until = self._sessions.get(player_id, ("", 0))
        if self.clock.now() >= until:
            response = self.post("/api/auth/session", initData=self.launch(player_id))
            token = data_of(response)["token"]
            self._sessions[player_id] = token, self.clock.now() + self.settings.session_ttl_s * 1000
        return {"Authorization": f"Bearer {token}"}

    def starter(self, player_id: str) -> str:
        """Get a player's free broker and return its id."""
        broker_id: str = data_of(self.post("/api/brokers/starter", player_id), 201)["_id"]
        return broker_id

    def fighter(self, **money: int) -> tuple[str, str]:
        """Return a new player with some money, and that player's broker."""
        player = self.newcomer()
        broker = self.starter(player)
        if money:
            self.fund(player, **money)
        return player, broker

    def give_broker(self, player_id: str, number: int = 1, **fields: Any) -> str:
        """Give a player one more broker, made `number` ms from now, and return its id."""
        at = self.clock.now() + number
        broker_id = f"{int(player_id):012x}{number:012x}"
        made = dict.fromkeys(("created_at", "updated_at", "energy_updated_at"), at)
        self.put(Broker(id=broker_id, owner_id=player_id, **made | fields))
        return broker_id

    def fight(self, player: str, broker: str, key: str, **fields: object) -> httpx.Response:
        """Run a battle."""
        return self.post("/api/battle/run", player, requestId=key, brokerId=broker, **fields)

    def wallet(self, kind: str = "v4r2") -> Wallet:
        """Return a wallet that nobody has."""
        return Wallet(next(self._wallets), kind)

    def proven(self, player: str, wallet: Wallet) -> Json:
        """Return the body that connects a wallet to a player, with a payload asked for just now."""
        payload = data_of(self.get("/api/wallet/proof-payload", player))["payload"]
        return wallet.proof(payload, self.clock.now() // 1000)

    def bind(self, player: str, wallet: Wallet | None = None) -> Wallet:
        """Connect a wallet, by default a new one, and return it."""
        wallet = wallet or self.wallet()
        data_of(self.post("/api/wallet/connect", player, **self.proven(player, wallet)))
        return wallet

    def holder(self, aiba: int = 0) -> tuple[str, Wallet]:
        """Return a new player with a wallet and some AIBA, and the wallet."""
        player = self.newcomer()
        wallet = self.bind(player)
        if aiba:
            self.fund(player, AIBA=aiba)
        return player, wallet

    def withdraw(self, player: str, key: str = "k", **fields: object) -> httpx.Response:
        """Ask for a claim."""
        return self.post("/api/economy/claim-aiba", player, requestId=key, **fields)

    def claims(self, player: str) -> list[Json]:
        """Return a player's claims as they are listed."""
        return cast("list[Json]", data_of(self.get("/api/economy/claims", player))["items"])

    def settle(self) -> int:
        """Settle claims as the service does from time to time; return how many ended."""
        assert self.ton.withdrawals is not None
        return self.run(self.ton.withdrawals.settle_all())

    def me(self, player: str) -> Json:
        """Return a player's own economy document."""
        return cast("Json", data_of(self.get("/api/economy/me", player)))

    def broker(self, player: str, broker_id: str) -> Json:
        """Return one of a player's brokers as it is listed."""
        listed = data_of(self.get("/api/brokers/mine", player))
        return next(each for each in listed if each["_id"] == broker_id)

    # --- operators ---

    def set_policy(self, **changes: object) -> None:
        """Make the next version of the economy policy."""
        self.operate(ChangePolicy(changes=changes))

    def seal(self, *, size: int = MAX_BATCH) -> str:
        """Let the ledger's audit go round and seal all of it; return the chain's head."""

        async def breathe() -> None:
            return

        auditor = LedgerAuditor(store=self.store, clock=self.clock, seal_after_ms=0, size=size)
        return self.run(auditor.go_round(self.container.pipeline(), breathe)).head

    def save_mode(self, key: str, **fields: Any) -> None:
        """Save a mode that costs no time and no energy unless `fields` say otherwise."""
        defaults: dict[str, Any] = {
            "id": mode_id(key),
            "name": key,
            "arena": "prediction",
            "energy_cost": 0,
            "cooldown_seconds": 0,
            "created_at": self.clock.now(),
            "updated_at": self.clock.now(),
        }
        self.operate(SaveMode(mode=GameMode(key=key, **defaults | fields)))

    # --- the store itself ---

    def tables(self) -> Tables:
        """Return how many rows each table holds, read past the store."""
        assert self._database is not None, "only SQLite has tables"
        with closing(sqlite3.connect(self._database)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
                for (name,) in names.fetchall()
            }

    def commits(self) -> int:
        """Return a number that changes with every commit that changed anything."""
        if self._watch is None:
            assert self._database is not None, "only SQLite counts them"
            self._watch = sqlite3.connect(self._database)
        number: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        return number

    def sound(self) -> AuditReport:
        """Audit the ledger and return the report, which has no fault."""
        report = self.audit()
        assert report.faults == ()
        return report


def launch_at(now_ms: int | None, player_id: str = "42") -> str:
    """Return genuine launch data of an instant, None for this one."""
    user = json.dumps({"id": int(player_id), "first_name": "Ann", "username": "ann"})
    at_s = int(time.time()) if now_ms is None else now_ms // 1000
    return sign({"auth_date": str(at_s), "user": user, "query_id": "AAH"}, BOT_TOKEN)


def data_of(response: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401 - decoded JSON
    """Return the data of a successful answer, having checked its envelope."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"ok", "data", "requestId"}
    assert body["ok"] is True
    assert body["requestId"] == response.headers["x-request-id"]
    return body["data"]


def flat_of(response: httpx.Response) -> Json:
    """Return a successful flat answer without its `ok`."""
    assert response.status_code == 200, response.text
    body: Json = response.json()
    assert body.pop("ok") is True
    return body


def error_of(response: httpx.Response, status: int, code: str) -> Any:  # noqa: ANN401 - JSON
    """Return the details of a refusal, None without any, having checked its envelope."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"ok", "error", "requestId"}
    assert body["ok"] is False
    assert body["requestId"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    error = body["error"]
    assert set(error) <= {"code", "message", "details"}
    assert (error["code"], error["message"]) == (code, code), response.text
    return error.get("details")
