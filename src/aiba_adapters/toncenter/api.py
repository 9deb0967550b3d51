"""What is asked of a provider, in version 2 and in version 3, with every answer checked.

Both versions answer the same questions; where version 3 can't, version 2 of the same provider is
asked, as it stands beside it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiba_adapters.ton.addresses import Address
from aiba_adapters.toncenter.answers import (
    address_bag,
    items,
    mapping,
    natural,
    text,
    whole,
)
from aiba_adapters.toncenter.client import BadAnswer, NotThere, ToncenterClient
from aiba_adapters.toncenter.endpoints import Version
from aiba_domain.outage import Unavailable

MASTERCHAIN: Final = -1
WHOLE_SHARD: Final = "-9223372036854775808"
_SHARD_HEX: Final = "8000000000000000"
_SUCCESS: Final = (0, 1)
_NO_CODE: Final = (-13, -14, -256)
"""How a get method of an account without code ends, by what runs it."""

_PAGE: Final = 100
_MOST_PAGES: Final = 20
_UNUSED: Final = frozenset({"uninitialized", "uninit", "nonexist", "non_exist"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of the masterchain: number, time in seconds, and the global id of its network."""

    seqno: int
    time_s: int
    network: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAnswer:
    """What a get method left on the stack, and the masterchain block whose state it ran on.

    `has_code` False is an account that has no code to run. `block` is None where the provider
    doesn't say.
    """

    stack: Sequence[object]
    has_code: bool
    block: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An account's balance in nanoTON, whether it has come to life, and the block if it is told."""

    nano: int
    is_live: bool
    block: int | None


class Api(Protocol):
    """The questions. Every method raises Unavailable when the provider doesn't answer them."""

    async def run(self, account: Address, method: str, *arguments: Address) -> MethodAnswer:
        """Run a get method with addresses for arguments."""
        ...

    async def run_in_block(
        self, account: Address, method: str, *arguments: Address
    ) -> MethodAnswer:
        """Run a get method; the answer names its block."""
        ...

    async def block_until(self, seqno: int) -> Block:
        """Return the masterchain block of this number, or one before it."""
        ...

    async def last_block(self) -> Block:
        """Return the last masterchain block."""
        ...

    async def holding(self, account: Address) -> Holding:
        """Return what an account holds."""
        ...

    async def transaction(self, tx_hash: str, account: Address, since_s: int) -> object:
        """Return the bag of cells of the transaction of this hash, None if there is none.

        It is looked for on `account` back to `since_s`, unless it can be found by its hash.
        """
        ...


class V2Api:
    """Version 2: what a node says, each answer with the block it is from."""

    def __init__(self, client: ToncenterClient) -> None:
        self._client = client

    async def run(self, account: Address, method: str, *arguments: Address) -> MethodAnswer:
        """Run a get method with addresses for arguments."""
        call = {
            "address": account.raw,
            "method": method,
            "stack": [["tvm.Slice", address_bag(argument)] for argument in arguments],
        }
        answer = mapping(await self._client.v2("runGetMethod", call, post=True), "answer")
        return _method_answer(answer)

    async def run_in_block(
        self, account: Address, method: str, *arguments: Address
    ) -> MethodAnswer:
        """Run a get method; the answer names its block."""
        answer = await self.run(account, method, *arguments)
        if answer.block is None:
            raise BadAnswer("a get method's answer that names no block")
        return answer

    async def block_until(self, seqno: int) -> Block:
        """Return the masterchain block of this number."""
        which = {"workchain": MASTERCHAIN, "shard": WHOLE_SHARD, "seqno": seqno}
        header = mapping(await self._client.v2("getBlockHeader", which), "header")
        found = _masterchain_seqno(header.get("id"))
        if found != seqno:
            raise BadAnswer("the header of another block")
        return Block(
            seqno=found,
            time_s=natural(header.get("gen_utime"), "gen_utime"),
            network=whole(header.get("global_id"), "global_id"),
        )

    async def last_block(self) -> Block:
        """Return the last masterchain block."""
        info = mapping(await self._client.v2("getMasterchainInfo", {}), "masterchain info")
        return await self.block_until(_masterchain_seqno(info.get("last")))

    async def holding(self, account: Address) -> Holding:
        """Return what an account holds."""
        asked = {"address": account.raw}
        answer = mapping(await self._client.v2("getAddressInformation", asked), "account")
        block = answer.get("block_id")
        return Holding(
            nano=_balance(answer.get("balance")),
            is_live=text(answer.get("state"), "state") not in _UNUSED,
            block=None if block is None else _masterchain_seqno(block),
        )

    async def transaction(self, tx_hash: str, account: Address, since_s: int) -> object:
        """Return the bag of cells of one of an account's transactions, None if there is none.

        Goes back page by page to `since_s`. Raises Unavailable when that is too far to look.
        """
        place: Mapping[str, str] = {}
        before = None
        for _ in range(_MOST_PAGES):
            page = await self._transactions({"address": account.raw, "limit": _PAGE, **place})
            # A page that goes on from a transaction begins with it.
            fresh = [one for one in page if before is None or one.lt < before]
            for one in fresh:
                if one.tx_hash == tx_hash:
                    return one.bag
            if not fresh or fresh[-1].time_s < since_s:
                return None
            before = fresh[-1].lt
            place = {"lt": str(before), "hash": _base64(fresh[-1].tx_hash)}
        raise Unavailable("too many transactions since then")

    async def transaction_at(self, account: str, lt: int, tx_hash: str) -> object:
        """Return the bag of cells of the transaction at this place, None if there is none."""
        place = {"lt": str(lt), "hash": _base64(tx_hash)}
        page = await self._transactions({"address": account, "limit": 1, **place})
        return next((one.bag for one in page if one.tx_hash == tx_hash), None)

    async def _transactions(self, asked: Mapping[str, object]) -> "Sequence[_Listed]":
        answer = items(await self._client.v2("getTransactions", asked), "transactions")
        return [_listed(one) for one in answer]


class V3Api:
    """Version 3: what an index says. It finds transactions by hash, and names no blocks of states.

    The block of a get method's answer and a transaction's own cells come from version 2 beside it.
    """

    def __init__(self, client: ToncenterClient) -> None:
        self._client = client
        self._node = V2Api(client)
        self._names_blocks = True

    async def run(self, account: Address, method: str, *arguments: Address) -> MethodAnswer:
        """Run a get method with addresses for arguments."""
        call = {
            "address": account.raw,
            "method": method,
            "stack": [{"type": "slice", "value": address_bag(one)} for one in arguments],
        }
        return _method_answer(mapping(await self._client.v3("runGetMethod", body=call), "answer"))

    async def run_in_block(
        self, account: Address, method: str, *arguments: Address
    ) -> MethodAnswer:
        """Run a get method; the answer names its block, so version 2 is asked if 3 doesn't."""
        if self._names_blocks:
            answer = await self.run(account, method, *arguments)
            if answer.block is not None:
                return answer
            self._names_blocks = False
        return await self._node.run_in_block(account, method, *arguments)

    async def block_until(self, seqno: int) -> Block:
        """Return the masterchain block of this number, or the index's last where that is before."""
        last = await self.last_block()
        if last.seqno <= seqno:
            return last
        query: dict[str, str | int] = {"workchain": MASTERCHAIN, "shard": _SHARD_HEX}
        query |= {"seqno": seqno, "limit": 1}
        answer = mapping(await self._client.v3("blocks", query=query), "blocks")
        found = items(answer.get("blocks"), "blocks")
        block = _v3_block(found[0]) if found else None
        if block is None or block.seqno != seqno:
            raise BadAnswer("another block than the one asked for")
        return block

    async def last_block(self) -> Block:
        """Return the last masterchain block of the index."""
        info = mapping(await self._client.v3("masterchainInfo"), "masterchain info")
        return _v3_block(info.get("last"))

    async def holding(self, account: Address) -> Holding:
        """Return what an account holds."""
        query = {"address": account.raw}
        answer = mapping(await self._client.v3("addressInformation", query=query), "account")
        return Holding(
            nano=_balance(answer.get("balance")),
            is_live=text(answer.get("status"), "status") not in _UNUSED,
            block=None,
        )

    async def transaction(self, tx_hash: str, account: Address, since_s: int) -> object:
        """Return the bag of cells of the transaction of this hash, None if there is none."""
        del account, since_s  # it is found wherever it is, and judged by what it is
        try:
            query: dict[str, str | int] = {"hash": _base64(tx_hash), "limit": 1}
            answer = mapping(await self._client.v3("transactions", query=query), "transactions")
        except NotThere:
            return None
        found = items(answer.get("transactions"), "transactions")
        if not found:
            return None
        one = mapping(found[0], "transaction")
        where, lt = text(one.get("account"), "account"), natural(one.get("lt"), "lt")
        bag = await self._node.transaction_at(where, lt, tx_hash)
        if bag is None:
            raise BadAnswer("the index knows a transaction that the node doesn't")
        return bag


def api_of(client: ToncenterClient) -> Api:
    """Return the API of the version that a provider's URL asks for."""
    return V3Api(client) if client.endpoint.version is Version.V3 else V2Api(client)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """One of an account's transactions, as listed: enough to find it, to be believed in nothing."""

    tx_hash: str
    lt: int
    time_s: int
    bag: object


def _listed(value: object) -> _Listed:
    one = mapping(value, "transaction")
    place = mapping(one.get("transaction_id"), "transaction_id")
    try:
        found = base64.b64decode(text(place.get("hash"), "hash"), validate=True).hex()
    except ValueError:
        raise BadAnswer("a transaction's hash is no base64") from None
    return _Listed(
        tx_hash=found,
        lt=natural(place.get("lt"), "lt"),
        time_s=natural(one.get("utime"), "utime"),
        bag=one.get("data"),
    )


def _method_answer(answer: Mapping[str, object]) -> MethodAnswer:
    exit_code = whole(answer.get("exit_code"), "exit_code")
    if exit_code not in _SUCCESS and exit_code not in _NO_CODE:
        raise Unavailable(f"a get method ended with {exit_code}")
    block = answer.get("block_id")
    return MethodAnswer(
        stack=items(answer.get("stack"), "stack") if exit_code in _SUCCESS else (),
        has_code=exit_code in _SUCCESS,
        block=None if block is None else _masterchain_seqno(block),
    )


def _masterchain_seqno(value: object) -> int:
    block = mapping(value, "block id")
    if whole(block.get("workchain"), "workchain") != MASTERCHAIN:
        raise BadAnswer("a block of another chain than the masterchain")
    return natural(block.get("seqno"), "seqno")


def _v3_block(value: object) -> Block:
    block = mapping(value, "block")
    return Block(
        seqno=_masterchain_seqno(block),
        time_s=natural(block.get("gen_utime"), "gen_utime"),
        network=whole(block.get("global_id"), "global_id"),
    )


def _balance(value: object) -> int:
    """Return a balance; an account that nothing ever reached has -1 with some nodes."""
    return max(0, whole(value, "balance"))


def _base64(tx_hash: str) -> str:
    return base64.b64encode(bytes.fromhex(tx_hash)).decode()
