"""The real application as a site of a simulation: every request goes from the edge to the store."""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from dependency_injector import providers

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.telegram import sign
from aiba_adapters.ton.payloads import ProofPayloads
from aiba_domain.application.withdrawals import Withdrawals
from aiba_domain.claims.ports import ChainReader, Inventory, Sighting
from aiba_domain.ports import Reader, UnitOfWork, Verdict
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.simulation import Ask, Parts, Process, Told
from aiba_domain.testing.simulation.site import (
    ASKS_A_MINUTE,
    BATTLES_A_MINUTE,
    EPOCH_HOURS,
    OK,
    SESSION_MS,
)
from aiba_entry.container import Container
from aiba_entry.edge_settings import LIMITS, limit_variable
from aiba_entry.metering import make_metrics
from aiba_entry.service import create_application, rotate_if_due
from aiba_entry.settings import load
from aiba_entry.wallets import WalletDesk

T = TypeVar("T")
Json = Mapping[str, Any]

BOT_TOKEN: Final = "123456:a-bot-of-the-simulation-only"  # noqa: S105 - a made-up bot
"""The token of the bot whose launch data the simulated players carry."""

_ENVIRON: Final = {
    "APP_ENV": "prod",
    "CORS_ORIGIN": "https://simulated.example",
    "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
    "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    "SESSION_SECRET": "a session key of the simulation only",
    "SESSION_TTL_SECONDS": str(SESSION_MS // 1_000),
    "BATTLE_SEED_SECRET": "a root of seeds of the simulation only",
    "SEED_EPOCH_HOURS": str(EPOCH_HOURS),
    "RATE_LIMIT_PER_MINUTE": str(ASKS_A_MINUTE),
    "BATTLE_RATE_LIMIT_PER_MINUTE": str(BATTLES_A_MINUTE),
    **{limit_variable(name): str(ASKS_A_MINUTE) for name in LIMITS},
}
_ROUTES: Final[Mapping[str, tuple[str, str]]] = {
    "session": ("POST", "/api/auth/session"),
    "starter": ("POST", "/api/brokers/starter"),
    "battle": ("POST", "/api/battle/run"),
    "train": ("POST", "/api/brokers/train"),
    "repair": ("POST", "/api/brokers/repair"),
    "upgrade": ("POST", "/api/brokers/upgrade"),
    "combine": ("POST", "/api/brokers/combine"),
    "daily": ("POST", "/api/daily/claim"),
    "combo": ("POST", "/api/daily/combo-claim"),
    "wallet": ("POST", "/api/wallet/connect"),
    "claim": ("POST", "/api/economy/claim-aiba"),
    "school": ("PATCH", "/api/economy/me"),
    "me": ("GET", "/api/economy/me"),
}
_DONE: Final = (200, 201)
_TRACED: Final = b"simulated"
_MIN_GAS_NANO: Final = 1

_Sent = MutableMapping[str, Any]


class HttpSite:
    """Starts processes that are the whole application, all but its port and its logs.

    What is made from code alone, the routes and their validation, is made once for each name of a
    process; everything that a process remembers is new with each start.
    """

    name = "http"

    def __init__(self, served_by: type[Withdrawals] = Withdrawals) -> None:
        """Serve withdrawals by `served_by`."""
        self._served_by = served_by
        self._made: dict[str, HttpProcess] = {}

    def start(self, parts: Parts) -> Process:
        """Start a process with nothing in its memory."""
        process = self._made.get(parts.name)
        if process is None:
            process = self._made[parts.name] = HttpProcess(parts, self._served_by)
        else:
            process.restart(parts)
        return process

    def launch_data(self, player: str, at_s: int, *, genuine: bool = True) -> str:
        """Return initData signed by the bot, or by another one."""
        user = json.dumps({"id": int(player), "first_name": f"player {player}"})
        token = BOT_TOKEN if genuine else "654321:another-bot-than-this-service-knows"
        return sign({"auth_date": str(at_s), "user": user}, token)


class HttpProcess:
    """One process of the real application over ports that can be changed for those of a restart."""

    def __init__(self, parts: Parts, served_by: type[Withdrawals]) -> None:
        """Put the application together over the given ports."""
        self._parts = parts
        self._served_by = served_by
        self._limiter = MemoryRateLimiter()
        settings = load(_ENVIRON | {"AIBA_DATA_DIR": str(Path.cwd())})
        container = self._container = Container(settings=settings, store=_Store(self))
        container.metrics.override(providers.Object(make_metrics(())))
        container.clock.override(providers.Object(_Clock(self)))
        container.seeds.override(providers.Object(parts.seeds))
        container.limiter.override(providers.Object(_Limiter(self)))
        container.wallet_desk.override(providers.Object(self._wallet_desk()))
        self._open_vault()
        self._app = cast("Callable[..., Awaitable[None]]", create_application(container))

    @property
    def parts(self) -> Parts:
        """The ports of this life."""
        return self._parts

    @property
    def limiter(self) -> MemoryRateLimiter:
        """The limits counted in this life."""
        return self._limiter

    def restart(self, parts: Parts) -> None:
        """Start again with nothing in memory, over other ports."""
        self._parts = parts
        self._limiter = MemoryRateLimiter()
        self._open_vault()

    def _open_vault(self) -> None:
        parts, container = self._parts, self._container
        self._withdrawals = self._served_by(
            pipeline=container.pipeline(),
            store=parts.store,
            signer=parts.signer,
            chain=parts.chain,
            contracts=parts.contracts,
        )
        container.vaults().configure(
            withdrawals=self._withdrawals,
            chain=_Sights(parts.chain),
            contracts=parts.contracts,
            min_ton_nano=_MIN_GAS_NANO,
        )

    def _wallet_desk(self) -> WalletDesk:
        """Return a desk that takes a player's word for an address, as developers' machines may."""
        container = self._container
        return WalletDesk(
            pipeline=container.pipeline(),
            payloads=ProofPayloads(container.settings().session_secret.encode()),
            policy=None,
            without_proof=True,
            nonce=lambda: "0" * 32,
            metrics=container.metrics(),
        )

    async def call(self, ask: Ask) -> Told:
        """Send a request through the application. Raises Crash if the process died meanwhile."""
        parts = self._parts
        method, path = _ROUTES[ask.kind]
        answer = _Answer(_body_of(ask) if method != "GET" else b"")
        await self._app(_scope(method, path, ask), answer.receive, answer.send)
        if parts.is_dead():
            raise Crash("the answer")
        return answer.told()

    async def settle(self) -> int:
        """Settle the claims in flight."""
        return await self._withdrawals.settle_all()

    async def upkeep(self) -> bool:
        """Turn the seed epoch over if it is due, as the service does."""
        return await rotate_if_due(self._container)


class _Answer:
    """One request's body on its way in, and the answer on its way out."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._status = 0
        self._chunks: list[bytes] = []

    async def receive(self) -> _Sent:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: _Sent) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        else:
            self._chunks.append(message.get("body", b""))

    def told(self) -> Told:
        """Return the answer without its envelope. Raises KeyError if it wears none.

        An answer whose status and envelope disagree has a code that no auditor knows.
        """
        answer: Json = json.loads(b"".join(self._chunks))
        is_ok = self._status in _DONE
        if answer["ok"] is not is_ok:
            return Told(code=f"status {self._status}", body=answer)
        if not is_ok:
            error = answer["error"]
            return Told(code=error["code"], body=error.get("details") or {})
        body = answer.get("data", answer)
        outer = ("ok", "requestId") if body is answer else ()
        return Told(code=OK, body={name: body[name] for name in body if name not in outer})


def _body_of(ask: Ask) -> bytes:
    if ask.kind == "session":
        return json.dumps({"initData": ask.proof}).encode()
    key = {} if ask.key is None else {"requestId": ask.key}
    return json.dumps({**ask.body, **key}).encode()


def _scope(method: str, path: str, ask: Ask) -> _Sent:
    headers = [(b"host", b"simulated.example"), (b"x-request-id", _TRACED)]
    if method != "GET":
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(_body_of(ask))),
        ]
    if ask.proof and ask.kind != "session":
        headers.append((b"authorization", b"Bearer " + ask.proof.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (f"10.0.0.{ask.player}", 1),
        "server": ("simulated.example", 443),
        "state": {},
    }


class _Store:
    """The store of whichever life the process is in."""

    def __init__(self, process: HttpProcess) -> None:
        self._process = process

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        return await self._process.parts.store.transact(work)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        return await self._process.parts.store.read(work)

    async def check(self) -> None:
        await self._process.parts.store.check()

    async def close(self) -> None:
        await self._process.parts.store.close()


class _Clock:
    """The clock of whichever life the process is in."""

    def __init__(self, process: HttpProcess) -> None:
        self._process = process

    def now(self) -> int:
        return self._process.parts.clock.now()


class _Limiter:
    """The limits of whichever life the process is in."""

    def __init__(self, process: HttpProcess) -> None:
        self._process = process

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        return await self._process.limiter.hit(
            name, key, limit=limit, window_ms=window_ms, now_ms=now_ms
        )


class _Sights:
    """Shows a simulated chain as the vault's routes look at it."""

    def __init__(self, chain: ChainReader) -> None:
        self._chain = chain

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        seen = await self._chain.view(vault, recipient)
        return Sighting(view=seen, block=seen.time_s, age_ms=0)

    async def inventory(self, vault: str) -> Inventory:
        return await self._chain.inventory(vault)
