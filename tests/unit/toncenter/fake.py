"""A toncenter without a network: several servers behind one name, each as far as it is.

Answers have the form that the real service gives them. Which faults it has is up to the test.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from aiba_adapters.ton.addresses import Address, parse
from aiba_adapters.toncenter import Meter, Provider, ToncenterReader, open_reader
from aiba_adapters.toncenter.answers import address_bag, stack_address
from aiba_adapters.toncenter.client import Limits
from aiba_adapters.toncenter.reader import Freshness
from tests.support.virtual_time import now

MAINNET: Final = -239
START_S: Final = 1_767_268_800
VAULT: Final = Address(0, b"\x01" * 32)
RECIPIENT: Final = Address(0, b"\x02" * 32)
OTHER: Final = Address(-1, b"\x03" * 32)
WALLET: Final = Address(0, b"\x04" * 32)
TRANSACTIONS: Final = json.loads(
    (Path(__file__).parent / "transactions.json").read_text(encoding="utf-8")
)["transactions"]
KEY: Final = "a-key-nobody-may-see"
_ZERO: Final = base64.b64encode(bytes(32)).decode()
_NO_CODE: Final = -13

Json = dict[str, Any]
Fault = Callable[[httpx.Request], Awaitable[httpx.Response | None] | httpx.Response | None]


def status(code: int, body: object = None, **headers: str) -> Fault:
    """Return the fault of answering with a status."""
    return lambda _request: httpx.Response(code, json=body, headers=headers)


def text(body: str, code: int = 200) -> Fault:
    """Return the fault of answering with a text."""
    return lambda _request: httpx.Response(code, text=body)


def broken(_request: httpx.Request) -> httpx.Response:
    """Fail as a connection that is cut does."""
    raise httpx.ConnectError("cut")


async def silent(_request: httpx.Request) -> httpx.Response:
    """Never answer."""
    await asyncio.sleep(10**6)
    raise AssertionError("somebody waited for ever")


@dataclass
class FakeToncenter:
    """One provider. Blocks come every second of the loop's time, from `START_S` on.

    `lags` holds how many blocks each server is behind; the servers take turns. `faults` are used
    up one by one, by the next requests; `rate` is what it answers a second, None for any.
    """

    lags: Sequence[int] = (0,)
    rate: float | None = None
    network: int = MAINNET
    names_blocks_in_v3: bool = False
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    paid: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    ton_nano: object = "5000000000"
    jettons: object = "0x3e8"
    listed: list[str] = field(default_factory=list)
    has_wallet: bool = True
    requests: list[httpx.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refused: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    _turn: int = 0
    _allowed_at: float = 0.0

    def pay(self, seqno: int, *, at_block: int, to: Address = RECIPIENT) -> None:
        """Let the vault have paid a recipient up to `seqno`, from a block on."""
        self.paid.setdefault(to.raw, []).append((at_block, seqno))

    def block(self) -> int:
        """Return the number of the last block: the time passed, as each takes a second."""
        return 1_000 + int(now())

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        self.times.append(now())
        if self.rate is not None:
            if now() < self._allowed_at:
                self.refused += 1
                return httpx.Response(
                    429, json={"ok": False, "result": "Ratelimit exceed", "code": 429}
                )
            # A little less strict than the rate itself, as clocks differ.
            self._allowed_at = now() + 0.99 / self.rate
        for fault in [*self.faults[:1], *filter(None, [self.always])]:
            self.faults[:1] = []
            answer = fault(request)
            answer = await answer if isinstance(answer, Awaitable) else answer
            if answer is not None:
                return answer
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        tip = self.block() - self.lags[self._turn % len(self.lags)]
        self._turn += 1
        path = request.url.path
        body: Json = json.loads(request.content) if request.content else {}
        query: Json = dict(request.url.params)
        if path.endswith("/jsonRPC"):
            return self._v2(body["method"], body["params"], tip)
        version, _, method = path.rpartition("/")
        if version.endswith("/api/v2"):
            return self._v2(method, body or query, tip)
        return self._v3(method, body or query, tip)

    # Version 2

    def _v2(self, method: str, asked: Json, tip: int) -> httpx.Response:
        self.calls[f"v2 {method}"] += 1
        answers: Mapping[str, Callable[[Json, int], Any]] = {
            "runGetMethod": self._v2_run,
            "getMasterchainInfo": lambda _asked, tip: {
                "@type": "blocks.masterchainInfo",
                "last": block_id(tip),
                "state_root_hash": _ZERO,
                "init": block_id(0),
            },
            "getBlockHeader": self._v2_header,
            "getAddressInformation": self._v2_account,
            "getTransactions": self._v2_transactions,
        }
        result = answers[method](asked, tip)
        if result is None:
            error = "LITE_SERVER_NOTREADY: cannot find block: seqno not in db"
            return httpx.Response(500, json={"ok": False, "error": error, "code": 500})
        return httpx.Response(200, json={"ok": True, "result": result, "@extra": "1:0:1"})

    def _v2_run(self, asked: Json, tip: int) -> Json:
        stack = [self._v2_argument(one) for one in asked["stack"]]
        exit_code, found = self._run(asked["address"], asked["method"], stack, tip)
        return {
            "@type": "smc.runResult",
            "gas_used": 2_000,
            "stack": [self._v2_entry(one) for one in found],
            "exit_code": exit_code,
            "@extra": "1:0:1",
            "block_id": block_id(tip),
            "last_transaction_id": {"@type": "internal.transactionId", "lt": "1", "hash": _ZERO},
        }

    def _v2_argument(self, entry: list[Any]) -> Address:
        assert entry[0] == "tvm.Slice"
        address = stack_address(["slice", {"bytes": entry[1]}])
        assert address is not None
        return address

    def _v2_entry(self, value: object) -> list[object]:
        if isinstance(value, Address):
            bag = address_bag(value)
            return ["cell", {"bytes": bag, "object": {"data": {"b64": "", "len": 267}, "refs": []}}]
        return ["num", hex(value) if isinstance(value, int) else value]

    def _v2_header(self, asked: Json, tip: int) -> Json | None:
        assert (int(asked["workchain"]), str(asked["shard"])) == (-1, "-9223372036854775808")
        seqno = int(asked["seqno"])
        if seqno > tip:
            return None
        return {
            "@type": "blocks.header",
            "id": block_id(seqno),
            "global_id": self.network,
            "gen_utime": time_of(seqno),
        }

    def _v2_account(self, asked: Json, tip: int) -> Json:
        known = parse(asked["address"], allow_testnet=None) != WALLET or self.has_wallet
        return {
            "@type": "raw.fullAccountState",
            "balance": self.ton_nano if known else -1,
            "block_id": block_id(tip),
            "sync_utime": time_of(tip),
            "state": "active" if known else "uninitialized",
        }

    def _v2_transactions(self, asked: Json, _tip: int) -> list[Json]:
        account = parse(asked["address"], allow_testnet=None).raw
        mine = [one for name in self.listed if (one := TRANSACTIONS[name])["account"] == account]
        mine.sort(key=lambda one: int(one["lt"]), reverse=True)
        if "lt" in asked:
            place = (int(asked["lt"]), base64.b64decode(asked["hash"]).hex())
            mine = mine[[(one["lt"], one["hash"]) for one in mine].index(place) :]
        return [listed(one) for one in mine[: min(int(asked["limit"]), 3)]]

    # Version 3

    def _v3(self, method: str, asked: Json, tip: int) -> httpx.Response:
        self.calls[f"v3 {method}"] += 1
        answers: Mapping[str, Callable[[Json, int], Any]] = {
            "runGetMethod": self._v3_run,
            "masterchainInfo": lambda _asked, tip: {"last": self._v3_block(tip), "first": {}},
            "blocks": lambda asked, tip: {
                "blocks": [self._v3_block(int(asked["seqno"]))]
                if int(asked["seqno"]) <= tip
                else []
            },
            "addressInformation": lambda asked, tip: {
                "balance": self._v2_account(asked, tip)["balance"],
                "status": self._v2_account(asked, tip)["state"].replace("uninitialized", "uninit"),
            },
            "transactions": self._v3_transactions,
        }
        result = answers[method](asked, tip)
        if result is None:
            return httpx.Response(404, json={"error": "transactions not found"})
        return httpx.Response(200, json=result)

    def _v3_run(self, asked: Json, tip: int) -> Json:
        stack = []
        for one in asked["stack"]:
            assert one["type"] == "slice"
            stack.append(stack_address(one))
        found: Sequence[object]
        exit_code, found = self._run(asked["address"], asked["method"], stack, tip)
        return {
            "gas_used": 2_000,
            "exit_code": exit_code,
            "stack": [self._v3_entry(one) for one in found],
            **({"block_id": block_id(tip)} if self.names_blocks_in_v3 else {}),
        }

    def _v3_entry(self, value: object) -> Json:
        if isinstance(value, Address):
            return {"type": "slice", "value": address_bag(value)}
        return {"type": "num", "value": hex(value) if isinstance(value, int) else value}

    def _v3_block(self, seqno: int) -> Json:
        return {
            "workchain": -1,
            "shard": "8000000000000000",
            "seqno": seqno,
            "global_id": self.network,
            "gen_utime": str(time_of(seqno)),
        }

    def _v3_transactions(self, asked: Json, _tip: int) -> Json | None:
        tx_hash = base64.b64decode(asked["hash"]).hex()
        found = [one for name in self.listed if (one := TRANSACTIONS[name])["hash"] == tx_hash]
        rows = [
            {
                "account": one["account"].upper().replace("X", "x"),
                "hash": base64.b64encode(bytes.fromhex(one["hash"])).decode(),
                "lt": str(one["lt"]),
                "now": one["time_s"],
                "mc_block_seqno": 1,
            }
            for one in found
        ]
        return {"transactions": rows, "address_book": {}} if rows else None

    # Both

    def _run(
        self, account: str, method: str, arguments: Sequence[object], tip: int
    ) -> tuple[int, Sequence[object]]:
        """Return exit code and stack of a get method on the state of block `tip`."""
        called = parse(account, allow_testnet=None)
        if called == VAULT and method == "getLastSeqno":
            (recipient,) = arguments
            assert isinstance(recipient, Address)
            paid = [seqno for at, seqno in self.paid.get(recipient.raw, []) if at <= tip]
            return 0, [max(paid, default=0)]
        if called == VAULT and method == "getVaultJettonWallet":
            return 0, [WALLET]
        if called == WALLET and method == "get_wallet_data" and self.has_wallet:
            return 0, [self.jettons, VAULT, OTHER, WALLET]
        return _NO_CODE, []


def block_id(seqno: int) -> Json:
    """Return the id of a masterchain block."""
    return {
        "@type": "ton.blockIdExt",
        "workchain": -1,
        "shard": "-9223372036854775808",
        "seqno": seqno,
        "root_hash": _ZERO,
        "file_hash": _ZERO,
    }


def listed(transaction: Json) -> Json:
    """Return a transaction as `getTransactions` lists it."""
    tx_hash = base64.b64encode(bytes.fromhex(transaction["hash"])).decode()
    return {
        "@type": "ext.transaction",
        "address": {"@type": "accountAddress", "account_address": transaction["account"]},
        "account": transaction["account"],
        "utime": transaction["time_s"],
        "data": transaction["data"],
        "transaction_id": {
            "@type": "internal.transactionId",
            "lt": str(transaction["lt"]),
            "hash": tx_hash,
        },
        # What the JSON says of the money is never believed, so here it lies.
        "in_msg": {"source": OTHER.raw, "destination": OTHER.raw, "value": "99", "message": "lies"},
    }


def time_of(seqno: int) -> int:
    """Return the time of a block in seconds."""
    return START_S + seqno - 1_000


class LoopClock:
    """The service's clock, in step with the virtual time."""

    def __init__(self, ahead_s: int = 0) -> None:
        """Start `ahead_s` ahead of the chain."""
        self.ahead_s = ahead_s

    def now(self) -> int:
        """Return the instant in ms, UTC."""
        return int((START_S + self.ahead_s + now()) * 1_000)


def reader(
    *providers: FakeToncenter,
    url: str = "https://toncenter.example/api/v2",
    network: int | None = MAINNET,
    per_s: float = 0.0,
    key: str | None = KEY,
    limits: Limits | None = None,
    freshness: Freshness | None = None,
    ahead_s: int = 0,
    meter: Meter | None = None,
) -> ToncenterReader:
    """Return a reader over fake providers, unpaced unless a rate is given."""
    scheme, _, rest = url.partition("//")
    places = [f"{scheme}//n{number}.{rest}" for number in range(len(providers))]

    async def route(request: httpx.Request) -> httpx.Response:
        return await providers[int(request.url.host[1 : request.url.host.index(".")])](request)

    return open_reader(
        [Provider(url=place, api_key=key, requests_per_s=per_s) for place in places],
        clock=LoopClock(ahead_s),
        network=network,
        limits=limits,
        freshness=freshness,
        transport=httpx.MockTransport(route),
        meter=meter,
    )
