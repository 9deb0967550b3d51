"""One service and one chain in one virtual time: the service as it is run, the chain a real TVM.

The service is `open_service` over a database on disk, with the real signer, settlement and chain
reader. Two things stand in: its clock is the virtual one, and its requests to the provider reach
the local chain's server without a socket. Players act over HTTP and with wallets of their own.
"""

import asyncio
import json
import random
import shutil
from base64 import b64decode
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast
from unittest import mock

import httpx
from nacl.signing import SigningKey
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.arena import CLAIM_NANOTONS, TON, Arena
from aiba_adapters.devnet.cells import address_bits
from aiba_adapters.devnet.chain import LocalChain, Trace
from aiba_adapters.devnet.faults import Faults
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.devnet.wallets import Order, Wallet, WalletVersion
from aiba_adapters.signing.local import LocalSigner
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.system.clock import SystemClock
from aiba_adapters.telegram import sign
from aiba_adapters.ton.addresses import Address
from aiba_adapters.toncenter import open_reader
from aiba_domain.application.audit import audit_store
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim
from aiba_domain.decision import Command
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.ports import Entry, Reader
from aiba_domain.testing.playground import OPERATOR
from aiba_entry.chain import SETTLE_SECONDS
from aiba_entry.container import Container
from aiba_entry.service import open_container, open_service
from aiba_entry.settings import load
from aiba_entry.stores import DATABASE
from tests.contract.withdrawals.books import Books
from tests.support import virtual_time
from tests.support.arena import PLAIN_RATES, sure
from tests.support.limits import OPEN, UNLIMITED
from tests.support.wallets import DOMAIN, proof_of

T = TypeVar("T")
Json = dict[str, Any]

START_S: Final = 1_767_268_800
BOT_TOKEN: Final = "123456:TESTTESTTESTTESTTEST"
SHOP: Final = Address(0, b"\x5a" * 32)
PROVIDER: Final = "https://devnet.example/api/v2/jsonRPC"
REWARD: Final = 100
"""The AIBA that a battle of these tests brings."""

SESSION_S: Final = 86_400
PAID: Final = 0
SETTLED_S: Final = SETTLE_SECONDS + 6
"""After so many seconds the service has looked at every claim again, on a good day."""

LATE_S: Final = VALIDITY_S + EXPIRY_MARGIN_S + SETTLED_S
"""After so many seconds a claim that nobody sent has been refunded."""


@dataclass(slots=True)
class Player:
    """A player with a session, a broker and a wallet of their own."""

    id: str
    wallet: Wallet
    broker: str = ""
    token: str = ""
    until_s: float = 0.0


class Gates:
    """Where the signer can be stopped: before it signs, or after it did and before it answers."""

    def __init__(self) -> None:
        """Let everything pass."""
        self.before: asyncio.Event | None = None
        self.after: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.signed: list[ClaimTerms] = []

    async def through(
        self,
        original: Callable[..., Awaitable[SignedClaim]],
        signer: LocalSigner,
        terms: ClaimTerms,
    ) -> SignedClaim:
        """Sign as the signer does, stopping where a gate is shut."""
        if self.before is not None:
            self.reached.set()
            await self.before.wait()
        answer = await original(signer, terms)
        self.signed.append(terms)
        if self.after is not None:
            self.reached.set()
            await self.after.wait()
        return answer


class World:
    """The service, its chain and its players; close it when done."""

    def __init__(
        self,
        prepared: Path,
        folder: Path,
        *,
        vault_nanotons: int = 10 * TON,
        vault_jettons: int = 10**9,
        network_id: int = -239,
        **environ: str,
    ) -> None:
        """Deploy the contracts, and run the service on a copy of `prepared`."""
        self._runner = virtual_time.runner()
        self._leapt_s = 0.0
        self.chain = LocalChain(clock=self.seconds, network_id=network_id)
        self.arena = Arena(self.chain, vault_nanotons=vault_nanotons, vault_jettons=vault_jettons)
        self.given_back = 0
        self.devnet = Devnet(self.arena)
        self.devnet.faults = Faults(now=virtual_time.now)
        self.gates = Gates()
        self.folder = folder
        self.folder.mkdir(parents=True)
        shutil.copy(prepared, folder / DATABASE)
        self.environ = environment(self.arena) | environ
        self.players: list[Player] = []
        self.issued: list[Json] = []
        self._lives = 0
        self._closed = False
        self._patches = ExitStack()
        self._stand_in()
        try:
            self.start()
        except BaseException:
            self._runner.close()
            self._patches.close()
            raise

    def _stand_in(self) -> None:
        self.provider: Any = self.devnet.app

        async def reached(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
            await self.provider(scope, receive, send)

        transport = httpx.ASGITransport(app=reached)
        chance = random.Random(1)  # so that a sequence of events repeats exactly
        opened = partial(open_reader, transport=transport, chance=chance)
        gates, original = self.gates, LocalSigner.sign

        async def sign_through(signer: LocalSigner, terms: ClaimTerms) -> SignedClaim:
            return await gates.through(original, signer, terms)

        for patch in (
            mock.patch("aiba_entry.chain.open_reader", opened),
            mock.patch.object(SystemClock, "now", side_effect=self.now_ms),
            mock.patch.object(LocalSigner, "sign", sign_through),
        ):
            self._patches.enter_context(patch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the service and the time."""
        if not self._closed:
            self._closed = True
            self.stop()
            self._runner.close()
            self._patches.close()

    # --- time ---

    def seconds(self) -> float:
        """Return the time of service and chain, in seconds since the Unix epoch."""
        return START_S + self._runner.get_loop().time() + self._leapt_s

    def now_ms(self) -> int:
        """Return the service's clock in ms."""
        return int(self.seconds() * 1_000)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._runner.run(work)

    def wait(self, seconds: float) -> None:
        """Let time pass, and the service do what it does meanwhile."""
        self.run(asyncio.sleep(seconds))

    def leap_to(self, second: int) -> None:
        """Let it be that second at once, as for a machine that slept until then."""
        self._leapt_s += max(0.0, second + 0.001 - self.seconds())

    def leap(self, seconds: float) -> None:
        """Let so much time have passed at once, but the last part of it, and settle."""
        self._leapt_s += max(0.0, seconds - SETTLED_S)
        self.wait(SETTLED_S)

    def settle(self) -> None:
        """Give the settlement the time for one round."""
        self.wait(SETTLED_S)

    # --- the service's life ---

    def start(self, **environ: str) -> None:
        """Run the service in its environment, changed by `environ`."""
        self.environ |= environ
        self._lives += 1
        self.run(self._start())

    async def _start(self) -> None:
        settings = load({**self.environ, "AIBA_DATA_DIR": str(self.folder)})
        self._stack = AsyncExitStack()
        app = await self._stack.enter_async_context(open_service(settings))
        transport = httpx.ASGITransport(cast("Any", app), client=("192.0.2.1", 1))
        client = httpx.AsyncClient(transport=transport, base_url="http://api.example")
        self._http = await self._stack.enter_async_context(client)
        self._books = SqliteStore(self.folder / DATABASE)
        self._stack.push_async_callback(self._books.close)

    def stop(self) -> None:
        """Let the service end in order."""
        self.run(self._stack.aclose())

    def restart(self, **environ: str) -> None:
        """Let the service end in order and begin anew."""
        self.stop()
        self.start(**environ)

    def kill(self, *requests: "asyncio.Task[Any]", **environ: str) -> None:
        """Begin anew from what is on the disk at this moment; nothing after it has happened."""
        image = self.folder.with_name(f"{self.folder.name}-{self._lives}")
        image.mkdir()
        for file in self.folder.glob(f"{DATABASE}*"):
            shutil.copy(file, image)
        for request in requests:
            request.cancel()
        self.run(_ended(requests))
        self.stop()
        self.gates.before = self.gates.after = None
        self.gates.reached.clear()
        self.folder = image
        self.start(**environ)

    def operate(self, command: Command[Any]) -> None:
        """Issue an operator's command beside the running service, as `aiba` does."""
        settings = load({**self.environ, "AIBA_DATA_DIR": str(self.folder)})

        async def issue() -> None:
            async with open_container(settings) as container:
                (await container.pipeline().execute(OPERATOR, command)).reply()

        self.run(issue())

    # --- calls ---

    async def ask(
        self, method: str, path: str, player: Player | None = None, **body: object
    ) -> httpx.Response:
        """Make one request."""
        headers = {} if player is None else {"Authorization": f"Bearer {await self._token(player)}"}
        content = json.dumps(body).encode() if method == "POST" else None
        return await self._http.request(method, path, headers=headers, content=content)

    def get(self, path: str, player: Player | None = None) -> httpx.Response:
        """Read something."""
        return self.run(self.ask("GET", path, player))

    def post(self, path: str, player: Player | None = None, /, **body: object) -> httpx.Response:
        """Post a body."""
        return self.run(self.ask("POST", path, player, **body))

    def at_once(self, calls: Iterable[Awaitable[T]]) -> list[T]:
        """Make calls at the same time and return what each came to, in the order given."""

        async def gathered() -> list[T]:
            return await asyncio.gather(*calls)

        return self.run(gathered())

    def begin(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin a call and leave it under way."""
        return self._runner.get_loop().create_task(call)

    async def _token(self, player: Player) -> str:
        if self.seconds() >= player.until_s:
            user = json.dumps({"id": int(player.id), "first_name": "Ann", "username": "ann"})
            at_s = str(int(self.seconds()))
            data = sign({"auth_date": at_s, "user": user, "query_id": "AAH"}, BOT_TOKEN)
            response = await self.ask("POST", "/api/auth/session", initData=data)
            player.token = data_of(response)["token"]
            player.until_s = self.seconds() + SESSION_S
        return player.token

    # --- players ---

    def player(
        self, version: WalletVersion = WalletVersion.V4R2, *, battles: int = 0, nanotons: int = TON
    ) -> Player:
        """Return a new player with a wallet that was proven, and so many battles fought."""
        number = len(self.players) + 1
        wallet = self.arena.wallet(f"player {number}", version=version, nanotons=nanotons)
        player = Player(id=str(1000 + number), wallet=wallet)
        self.players.append(player)
        got = data_of(self.post("/api/brokers/starter", player, requestId="starter"), 201)
        player.broker = got["_id"]
        assert self.connect(player, wallet).status_code == 200
        for battle in range(battles):
            data_of(self.fight(player, f"battle-{battle}"))
        return player

    def connect(self, player: Player, wallet: Wallet) -> httpx.Response:
        """Prove a wallet and bind it to a player."""
        payload = data_of(self.get("/api/wallet/proof-payload", player))["payload"]
        proof = proof_of(wallet.state.cell, wallet.key, payload, int(self.seconds()))
        response = self.post("/api/wallet/connect", player, **proof)
        if response.is_success:
            player.wallet = wallet
        return response

    def fight(self, player: Player, key: str, **fields: object) -> httpx.Response:
        """Fight a battle, which is worth REWARD."""
        return self.run(self.fighting(player, key, **fields))

    async def fighting(self, player: Player, key: str, **fields: object) -> httpx.Response:
        """Fight a battle among other calls."""
        body = {"requestId": key, "brokerId": player.broker, "modeKey": "sure", **fields}
        response = await self.ask("POST", "/api/battle/run", player, **body)
        if response.is_success:
            self._note(data_of(response)["claim"])
        return response

    def withdraw(self, player: Player, key: str, **fields: object) -> httpx.Response:
        """Ask for a claim."""
        return self.run(self.withdrawing(player, key, **fields))

    async def withdrawing(self, player: Player, key: str, **fields: object) -> httpx.Response:
        """Ask for a claim among other calls."""
        response = await self.ask(
            "POST", "/api/economy/claim-aiba", player, requestId=key, **fields
        )
        if response.is_success:
            self._note(response.json()["claim"])
        return response

    def _note(self, claim: Json) -> None:
        if claim["signatureBase64"] and claim not in self.issued:
            self.issued.append(claim)

    def claim(self, player: Player, key: str, amount: int = REWARD) -> Json:
        """Return a claim that must be issued."""
        response = self.withdraw(player, key, amount=amount)
        assert response.status_code == 200, response.text
        claim: Json = response.json()["claim"]
        assert claim["signatureBase64"]
        return claim

    def claims(self, player: Player) -> list[Json]:
        """Return a player's claims as they are listed, newest first."""
        found: list[Json] = []
        path = "/api/economy/claims?limit=100"
        page = data_of(self.get(path, player))
        found += page["items"]
        while page["next"]:
            page = data_of(self.get(f"{path}&before={page['next']}", player))
            found += page["items"]
        return found

    def states(self, player: Player) -> list[str]:
        """Return the states of a player's claims, oldest first."""
        return [claim["state"] for claim in reversed(self.claims(player))]

    def balance(self, player: Player) -> int:
        """Return a player's AIBA."""
        balance: int = data_of(self.get("/api/economy/me", player))["aibaBalance"]
        return balance

    def standing(self, claim: Json) -> str:
        """Return how a claim stands, as the vault's page tells."""
        response = self.get(
            f"/api/vault/claim-status?to={claim['toAddress']}&seqno={claim['seqno']}"
            f"&validUntil={claim['validUntil']}&amount={claim['amount']}"
        )
        status: str = data_of(response)["status"]
        return status

    # --- the chain ---

    def cash(self, wallet: Wallet, claim: Json, *, value: int = CLAIM_NANOTONS) -> int | None:
        """Let a wallet send a claim as it was answered, and return how the vault ends."""
        return self.cashing(wallet, claim, value=value).exit_code(self.arena.vault)

    def cashing(self, wallet: Wallet, claim: Json, *, value: int = CLAIM_NANOTONS) -> Trace:
        """Do the same, and return all that came of it."""
        return self.arena.send(wallet, self.order(claim, value=value))

    def order(self, claim: Json, *, value: int = CLAIM_NANOTONS) -> Order:
        """Return the message that a wallet shall send for a claim."""
        return Order(destination=self.arena.vault, value=value, body=body_of(claim))

    def rotate(self, seed: str) -> SigningKey:
        """Let the owner of the vault name another key, and return it."""
        key = SigningKey(seed.encode().ljust(32, b"\0"))
        self.arena.rotate(key)
        assert self.arena.oracle_public_key() == bytes(key.verify_key)
        return key

    def jettons(self, player: Player) -> int:
        """Return the jettons in a player's wallet."""
        return self.arena.jettons(player.wallet.address)

    # --- the books ---

    def reconcile(self) -> Books:
        """Hold the service's books against the vault's own; return them."""
        before = None
        while before != (entries := self._read(_entries)):
            # What a client left under way may end between two looks.
            before, by_player = entries, {p.id: self.claims(p) for p in self.players}
        books = Books.of(entries, by_player)
        books.check_lists()
        books.check_chain(self.arena, self.given_back)
        books.check_signatures(self.arena, self.issued)
        assert self.run(audit_store(self._books)).faults == ()
        return books

    def _read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        return self.run(self._books.read(work))


def environment(arena: Arena) -> dict[str, str]:
    """Return the settings of a service for an arena."""
    return {
        "APP_ENV": "prod",
        "CORS_ORIGIN": "https://game.example",
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
        "SESSION_SECRET": "correct-horse-battery-staple-0123",
        "SESSION_TTL_SECONDS": str(SESSION_S),
        "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
        **UNLIMITED,
        **OPEN,
        "ARENA_VAULT_ADDRESS": arena.vault.raw,
        "AIBA_JETTON_MASTER": arena.jetton_master.raw,
        "ORACLE_PRIVATE_KEY_HEX": bytes(arena.oracle).hex(),
        "TON_PROVIDER_URL": PROVIDER,
        "TON_REQUESTS_PER_SECOND": "10000",
        "TON_PROOF_DOMAINS": DOMAIN,
        "CREATED_BROKERS_WALLET": SHOP.raw,
    }


def prepare_database(folder: Path) -> Path:
    """Return a database with a mode whose battles are worth REWARD."""
    settings = load(environment(Arena(LocalChain())) | {"AIBA_DATA_DIR": str(folder)})

    async def operate(container: Container, command: Command[Any]) -> None:
        (await container.pipeline().execute(OPERATOR, command)).reply()

    async def prepare() -> None:
        async with open_container(settings) as container:
            await operate(container, SaveMode(mode=sure()))
            await operate(container, ChangePolicy(changes={"rewards": PLAIN_RATES}))

    with mock.patch.object(SystemClock, "now", return_value=START_S * 1_000):
        asyncio.run(prepare())
    return folder / DATABASE


def body_of(claim: Mapping[str, Any]) -> Cell:
    """Return the message to the vault that a wallet makes of a claim as it was answered."""
    bits = b64decode(claim["signatureBase64"], validate=True)
    head = Builder().store_uint(0x3B5D2B44, 32)
    head.store_bits(address_bits(_address(claim["toAddress"])))
    head.store_coins(int(claim["amount"])).store_uint(claim["seqno"], 64)
    head.store_uint(claim["validUntil"], 32)
    cell: Cell = head.store_ref(Builder().store_bytes(bits).end_cell()).end_cell()
    return cell


def data_of(response: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401 - decoded JSON
    """Return the data of a good answer."""
    assert response.status_code == status, response.text
    return response.json()["data"]


def code_of(response: httpx.Response) -> str:
    """Return the code of a refusal, `ok` for a good answer."""
    body = response.json()
    code: str = "ok" if body["ok"] else body["error"]["code"]
    return code


def details_of(response: httpx.Response) -> Json:
    """Return what a refusal tells besides its code."""
    details: Json = response.json()["error"].get("details") or {}
    return details


def _address(raw: str) -> Address:
    workchain, _, digits = raw.partition(":")
    return Address(int(workchain), bytes.fromhex(digits))


async def _entries(read: Reader) -> list[Entry]:
    return list(read.entries())


async def _ended(requests: Iterable["asyncio.Task[Any]"]) -> None:
    await asyncio.gather(*requests, return_exceptions=True)
