"""The local chain that the demo starts for itself, as wallets and explorers see it."""

import asyncio
import contextlib
import importlib.util
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from aiba_adapters.signing.local import KEY_VARIABLE
from aiba_adapters.ton.addresses import Address, parse_canonical
from aiba_adapters.toncenter.answers import items, mapping, stack_address, stack_number, text, whole
from aiba_adapters.toncenter.api import MethodAnswer, V2Api
from aiba_adapters.toncenter.client import ToncenterClient
from aiba_adapters.toncenter.endpoints import Provider
from aiba_domain.ports import Unavailable
from aiba_entry.cli.demo_process import Child, DemoFailed, kept_environment, running

PAID: Final = 0
"""How the vault ends a claim that it pays."""

EXPIRED: Final = 24383
"""How the vault ends a claim that comes after its validity."""

_VAULT_JETTONS: Final = 10**9
_REQUESTS_PER_S: Final = 1000.0
_SETTINGS: Final = (
    "TON_NETWORK",
    "TON_PROVIDER_URL",
    "TON_REQUESTS_PER_SECOND",
    "ARENA_VAULT_ADDRESS",
    "AIBA_JETTON_MASTER",
    "CREATED_BROKERS_WALLET",
    "TON_PROOF_DOMAINS",
    "AIBA_DEV_CHAIN_TIME",
)
_EXPORT: Final = re.compile(r"export ([A-Z_]+)=(\S+)")
_INDEX_SECONDS: Final = 10.0
_INDEX_PAUSE_SECONDS: Final = 0.1
_CONTROL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A transaction on the vault: its hash in base64, and how the vault's code ended."""

    hash: str
    exit_code: int


def why_left_out() -> str | None:
    """Return why there can be no chain on this machine, None where there can."""
    if importlib.util.find_spec("tonpy") is not None:
        return None
    return (
        "the extra devnet is not installed (pip install 'aiba-arena[devnet]'; "
        "it is built for Linux on x86-64 only)"
    )


class DemoChain:
    """A running `aiba devnet`, spoken to as toncenter. Belongs to one event loop.

    Every method raises DemoFailed when the chain gives no answer, or none that can be.
    """

    def __init__(self, child: Child, settings: Mapping[str, str]) -> None:
        """Take over a chain that has announced what a server needs."""
        self._child = child
        self.settings = settings
        url = settings["TON_PROVIDER_URL"]
        self._client = ToncenterClient(
            Provider(url=url, requests_per_s=_REQUESTS_PER_S),
            transport=httpx.AsyncHTTPTransport(),  # past any proxy: the chain is on this machine
        )
        self._api = V2Api(self._client)
        self._http = httpx.AsyncClient(
            base_url=url.partition("/api/")[0], timeout=_CONTROL_SECONDS, trust_env=False
        )
        self.vault = parse_canonical(settings["ARENA_VAULT_ADDRESS"], field="vault")
        self.jetton_master = parse_canonical(settings["AIBA_JETTON_MASTER"], field="jetton master")

    async def stop(self) -> int:
        """Interrupt the chain as Ctrl-C does and return its exit code."""
        return await self._child.stop()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._http.aclose()

    # What only a local chain does

    async def give(self, address: Address, nanotons: int) -> None:
        """Give an account TON out of the faucet."""
        await self._control("faucet", address=address.raw, nanotons=nanotons)

    async def move_to(self, time_s: int) -> None:
        """Let time pass until the chain's is `time_s`, in seconds since the Unix epoch."""
        now = await self._control("time", advance=0)
        await self._control("time", advance=max(0, time_s - whole(now.get("time"), "time")))

    # What every chain does

    async def send(self, boc: str) -> None:
        """Send a message from outside, a bag of cells in base64."""
        with _answering():
            await self._client.v2("sendBoc", {"boc": boc}, post=True)

    async def wallet_seqno(self, wallet: Address) -> int | None:
        """Return the number of a wallet's next message, None for one not deployed yet."""
        answer = await self._run(wallet, "seqno")
        return _number(answer) if answer.has_code else None

    async def last_seqno(self, recipient: Address) -> int:
        """Return the seqno of the last claim of a recipient that the vault took."""
        return _number(await self._run(self.vault, "getLastSeqno", recipient))

    async def jettons(self, owner: Address) -> int:
        """Return how many jettons an owner has, as `get_wallet_data` of their wallet tells."""
        told = await self._run(self.jetton_master, "get_wallet_address", owner)
        with _answering():
            wallet = stack_address(_top(told))
        if wallet is None:
            raise DemoFailed("the jetton's master names no wallet")
        data = await self._run(wallet, "get_wallet_data")
        return _number(data) if data.has_code else 0

    async def taken(self, message: bytes) -> Taken:
        """Return the vault's transaction that a message to a wallet led to.

        `message` is the hash of the message from outside. An index may be behind the chain.
        """
        with _answering():
            sent = await self._transaction(message.hex())
            outs = [mapping(out, "message") for out in items(sent.get("out_msgs"), "out_msgs")]
            to_vault = [out for out in outs if _destination(out) == self.vault.raw]
            if not to_vault:
                raise DemoFailed("the wallet sent nothing to the vault")
            found = await self._transaction(text(to_vault[0].get("hash"), "hash"))
            description = mapping(found.get("description"), "description")
            phase = mapping(description.get("compute_ph"), "compute_ph")
            return Taken(
                hash=text(found.get("hash"), "hash"),
                exit_code=whole(phase.get("exit_code"), "exit_code"),
            )

    async def _transaction(self, message_hash: str) -> Mapping[str, object]:
        """Return the transaction that took a message in, once the index has it."""
        query = {"msg_hash": message_hash, "direction": "in"}
        last = time.monotonic() + _INDEX_SECONDS
        while time.monotonic() < last:
            page = mapping(await self._client.v3("transactionsByMessage", query=query), "answer")
            found = items(page.get("transactions"), "transactions")
            if found:
                return mapping(found[0], "transaction")
            await asyncio.sleep(_INDEX_PAUSE_SECONDS)
        raise DemoFailed("a message that was sent is nowhere on the chain")

    async def _run(self, account: Address, method: str, *arguments: Address) -> MethodAnswer:
        with _answering():
            return await self._api.run(account, method, *arguments)

    async def _control(self, name: str, **body: object) -> Mapping[str, object]:
        try:
            response = await self._http.post(f"/control/{name}", json=body)
            response.raise_for_status()
            return mapping(response.json(), "answer")
        except (httpx.HTTPError, ValueError) as fault:
            raise DemoFailed(f"the chain's {name} gave no answer: {fault!r}") from None


@contextlib.asynccontextmanager
async def start_chain(folder: Path) -> AsyncIterator[DemoChain]:
    """Start a chain whose vault believes a key made for it; kill it at the end if it still runs.

    Its `settings` are a server's, that key included. Raises DemoFailed with the end of its log if
    it doesn't come up.
    """
    environ = kept_environment() | {KEY_VARIABLE: secrets.token_hex(32)}
    command = ("devnet", "--port", "0", "--vault-jettons", str(_VAULT_JETTONS))
    log = folder / "chain.log"
    async with running("the chain", *command, environ=environ, log=log) as child:
        settings: dict[str, str] = {}

        def is_last(line: str) -> bool:
            if match := _EXPORT.fullmatch(line):
                settings[match[1]] = match[2]
            return settings.keys() >= {*_SETTINGS}

        await child.read_until(is_last)
        chain = DemoChain(child, settings | {KEY_VARIABLE: environ[KEY_VARIABLE]})
        try:
            yield chain
        finally:
            await chain.close()


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn what the provider's client raises into the demo's own words."""
    try:
        yield
    except Unavailable as fault:
        raise DemoFailed(f"the chain gave no answer that can be used: {fault}") from None


def _top(answer: MethodAnswer) -> object:
    if not answer.stack:
        raise DemoFailed("a get method left nothing on the stack")
    return answer.stack[0]


def _number(answer: MethodAnswer) -> int:
    with _answering():
        return stack_number(_top(answer))


def _destination(message: Mapping[str, object]) -> str:
    return str(message.get("destination")).lower()
