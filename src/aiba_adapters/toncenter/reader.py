"""The chain reader over one or more providers.

Providers are several servers behind one name, and some lag. So an answer is only believed together
with the block it is from: the seqno of a recipient counts as read in the masterchain block that the
same answer names, and the time reported with it is the time of that block or of an earlier one.
Nothing is concluded from two answers that may come from different servers. A block that is old by
our clock is refused, and an answer from an earlier block than one already given never takes its
place.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import httpx

from aiba_adapters.ton.addresses import Address, parse_canonical
from aiba_adapters.toncenter.answers import stack_address, stack_number
from aiba_adapters.toncenter.api import Api, Block, MethodAnswer, api_of
from aiba_adapters.toncenter.client import BadAnswer, Limits, ToncenterClient
from aiba_adapters.toncenter.endpoints import Provider
from aiba_adapters.toncenter.meter import Meter, Outcome, Question, Role, Unmetered
from aiba_adapters.toncenter.pacing import SingleFlight
from aiba_adapters.toncenter.transactions import payment_of
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import MAX_SEQNO
from aiba_domain.claims.ports import Inventory, Sighting
from aiba_domain.outage import Clock, Unavailable
from aiba_domain.payments.model import IncomingPayment

T = TypeVar("T")

_MS: Final = 1_000
_WALLET_DATA: Final = 4
_KEY_BYTES: Final = 32
_MOST_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How long answers are good for, in seconds.

    An answer about a recipient is given again for `view_s`, a vault's inventory for `inventory_s`;
    the last block's time is good for `head_s`, and where a vault's jetton wallet is for `wallet_s`.
    A block more than `lag_s` behind our clock is refused, None for a chain with a time of its own.
    A provider that failed is asked last for `rest_s`.
    """

    view_s: float = 2.0
    inventory_s: float = 5.0
    head_s: float = 5.0
    wallet_s: float = 300.0
    lag_s: int | None = 120
    rest_s: float = 15.0


class _Stale(Unavailable):
    """A provider's last block is too old to believe what it says now."""


class _OtherNetwork(Unavailable):
    """A provider is on another network."""


_OUTCOMES: Final[Sequence[tuple[type[Unavailable], Outcome]]] = (
    (_Stale, Outcome.STALE),
    (_OtherNetwork, Outcome.WRONG_NETWORK),
    (BadAnswer, Outcome.NONSENSE),
    (Unavailable, Outcome.UNAVAILABLE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A view with the block it is of, and the loop's time when it was made."""

    view: ChainView
    block: int
    at: float


@dataclass(slots=True)
class _Source:
    """A provider and what is known of it: until when it is asked last, and its last block."""

    client: ToncenterClient
    api: Api
    rests_until: float = 0.0
    head: Block | None = None
    head_at: float = 0.0


class ToncenterReader:
    """Reads the chain for withdrawals and payments. Belongs to one event loop; close it when done.

    Is a ChainReader, a VaultReader and a PaymentReader. The first provider is the one that is
    asked; the others are for when it doesn't answer.
    """

    def __init__(
        self,
        clients: Sequence[ToncenterClient],
        *,
        clock: Clock,
        network: int | None,
        freshness: Freshness | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Read by `clients`. `network` is the global id that all must be on, None for any."""
        if not clients:
            raise ValueError("no provider")
        self._sources = [_Source(client=client, api=api_of(client)) for client in clients]
        self._served_by = self._sources[0]
        self._clock = clock
        self._network = network
        self._fresh = freshness or Freshness()
        self._meter = meter or Unmetered()
        self._views: OrderedDict[tuple[str, str], _Seen] = OrderedDict()
        self._inventories: dict[str, tuple[Inventory, float]] = {}
        self._wallets: dict[str, tuple[Address, float]] = {}
        self._sightings: SingleFlight[_Seen] = SingleFlight()
        self._counts: SingleFlight[Inventory] = SingleFlight()

    async def close(self) -> None:
        """End what is under way and close the connections."""
        await self._sightings.close()
        await self._counts.close()
        for source in self._sources:
            await source.client.close()

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return the last seqno paid to a recipient, with a block time not later than its block."""
        return (await self._seen(vault, recipient)).view

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        """Return the same with its block and its age."""
        seen = await self._seen(vault, recipient)
        age_ms = int((_now() - seen.at) * _MS)
        return Sighting(view=seen.view, block=seen.block, age_ms=age_ms)

    async def inventory(self, vault: str) -> Inventory:
        """Return what a vault holds."""
        kept = self._inventories.get(vault)
        if kept is not None and _now() - kept[1] <= self._fresh.inventory_s:
            return kept[0]
        address = parse_canonical(vault, field="vault")
        return await self._counts.join(vault, lambda: self._count(address))

    async def payment(self, tx_hash: str, *, to: str, since_s: int) -> IncomingPayment | None:
        """Return the payment that a transaction brought, None if there is no such transaction."""
        account = parse_canonical(to, field="to")

        async def ask(source: _Source) -> IncomingPayment | None:
            # First how far the provider is: only then "not there" is more than "not there yet".
            head = await self._head(source)
            bag = await source.api.transaction(tx_hash, account, since_s)
            return None if bag is None else payment_of(bag, tx_hash, head.network)

        return await self._first(Question.PAYMENT, ask)

    async def oracle_key(self, vault: str) -> bytes:
        """Return the 32 bytes of the public key that a vault believes now."""
        address = parse_canonical(vault, field="vault")

        async def ask(source: _Source) -> bytes:
            await self._head(source)
            answer = await source.api.run(address, "getOraclePublicKey")
            if not answer.has_code:
                raise Unavailable("there is no vault at this address")
            key = stack_number(_top(answer))
            if not 0 <= key < 2 ** (8 * _KEY_BYTES):
                raise BadAnswer("a key of another length")
            return key.to_bytes(_KEY_BYTES, "big")

        return await self._first(Question.ORACLE_KEY, ask)

    # A recipient's seqno

    async def _seen(self, vault: str, recipient: str) -> _Seen:
        key = (vault, recipient)
        kept = self._views.get(key)
        if kept is not None and _now() - kept.at <= self._fresh.view_s:
            return kept
        contract = parse_canonical(vault, field="vault")
        account = parse_canonical(recipient, field="recipient")

        async def look() -> _Seen:
            seen = await self._first(
                Question.SEQNO, lambda source: self._look(source, contract, account)
            )
            self._meter.block(seen.block)
            return self._newer(key, seen)

        return await self._sightings.join(key, look)

    async def _look(self, source: _Source, vault: Address, recipient: Address) -> _Seen:
        """Read a recipient's seqno, and the time of its block or of one before."""
        answer = await source.api.run_in_block(vault, "getLastSeqno", recipient)
        if not answer.has_code or answer.block is None:
            raise Unavailable("there is no vault at this address")
        seqno = stack_number(_top(answer))
        if not 0 <= seqno <= MAX_SEQNO:
            raise BadAnswer("a seqno outside 64 bits")
        block = await self._block(source, answer.block)
        view = ChainView(seqno=seqno, time_s=block.time_s)
        return _Seen(view=view, block=answer.block, at=_now())

    def _newer(self, key: tuple[str, str], seen: _Seen) -> _Seen:
        """Keep what is of the later block: what was read there is not unsaid by one before it.

        Only for a while, so that a local chain that began anew is seen as it is.
        """
        kept = self._views.get(key)
        longest = self._fresh.view_s if self._fresh.lag_s is None else self._fresh.lag_s
        if kept is not None and kept.block > seen.block and seen.at - kept.at <= longest:
            return kept
        self._views[key] = seen
        self._views.move_to_end(key)
        if len(self._views) > _MOST_KEPT:
            self._views.popitem(last=False)
        return seen

    # What a vault holds

    async def _count(self, vault: Address) -> Inventory:
        inventory = await self._first(
            Question.INVENTORY, lambda source: self._inventory(source, vault)
        )
        self._inventories[vault.raw] = (inventory, _now())
        self._meter.inventory(inventory)
        return inventory

    async def _inventory(self, source: _Source, vault: Address) -> Inventory:
        await self._head(source)
        holding = await source.api.holding(vault)
        if holding.block is not None:
            await self._block(source, holding.block)
        wallet = await self._jetton_wallet(source, vault)
        jettons = await self._jettons(source, vault, wallet)
        return Inventory(ton_nano=holding.nano, jetton_wallet=wallet.raw, jettons=jettons)

    async def _jetton_wallet(self, source: _Source, vault: Address) -> Address:
        kept = self._wallets.get(vault.raw)
        if kept is not None and _now() - kept[1] <= self._fresh.wallet_s:
            return kept[0]
        answer = await source.api.run(vault, "getVaultJettonWallet")
        if not answer.has_code:
            raise Unavailable("there is no vault at this address")
        wallet = stack_address(_top(answer))
        if wallet is None:
            raise Unavailable("the vault knows no jetton wallet")
        self._wallets[vault.raw] = (wallet, _now())
        return wallet

    async def _jettons(self, source: _Source, vault: Address, wallet: Address) -> int:
        """Return a jetton wallet's balance: four entries lie on the stack, the first is it."""
        answer = await source.api.run(wallet, "get_wallet_data")
        if answer.block is not None:
            await self._block(source, answer.block)
        if not answer.has_code:
            # A wallet that nobody sent jettons to isn't there yet; any other answer is a fault.
            if (await source.api.holding(wallet)).is_live:
                raise Unavailable("the vault's jetton wallet has no code")
            return 0
        if len(answer.stack) != _WALLET_DATA:
            raise BadAnswer("get_wallet_data of another shape")
        jettons = stack_number(answer.stack[0])
        if jettons < 0 or stack_address(answer.stack[1]) != vault:
            raise BadAnswer("get_wallet_data of another wallet")
        return jettons

    # Blocks

    async def _block(self, source: _Source, seqno: int) -> Block:
        """Return block `seqno` or an earlier one that is still fresh.

        The last block seen of this provider serves for all after it, so that many readings at once
        need its header once.
        """
        head = source.head
        if head is None or head.seqno > seqno or _now() - source.head_at > self._fresh.head_s:
            head = self._checked(source, await source.api.block_until(seqno))
        if head.seqno > seqno:
            raise BadAnswer("a later block than the one asked for")
        return head

    async def _head(self, source: _Source) -> Block:
        """Return a recent block of a provider, which shows that it is on the network and awake."""
        head = source.head
        if head is None or _now() - source.head_at > self._fresh.head_s:
            head = self._checked(source, await source.api.last_block())
        return head

    def _checked(self, source: _Source, block: Block) -> Block:
        """Refuse a block of another network or one that is old; keep the last."""
        host = source.client.endpoint.host
        if self._network is not None and block.network != self._network:
            raise _OtherNetwork(f"{host} is on network {block.network}")
        lag_s = self._clock.now() // _MS - block.time_s
        if self._fresh.lag_s is not None and lag_s > self._fresh.lag_s:
            raise _Stale(f"{host} is {lag_s} s behind")
        if source.head is None or block.seqno >= source.head.seqno or self._is_old(source):
            source.head, source.head_at = block, _now()
        return block

    def _is_old(self, source: _Source) -> bool:
        return _now() - source.head_at > self._fresh.head_s

    # Providers

    async def _first(self, question: Question, ask: Callable[[_Source], Awaitable[T]]) -> T:
        """Return the answer of the first provider that gives one; those that failed come last."""
        now = _now()
        failures: list[Unavailable] = []
        for source in sorted(self._sources, key=lambda one: one.rests_until > now):
            try:
                answer = await ask(source)
            except Unavailable as failure:
                source.rests_until = _now() + self._fresh.rest_s
                failures.append(failure)
                self._meter.answer(source.client.role, question, _outcome_of(failure))
            else:
                source.rests_until = 0.0
                self._meter.answer(source.client.role, question, Outcome.OK)
                if source is not self._served_by:
                    self._served_by = source
                    self._meter.switch()
                return answer
        reasons = "; ".join(str(failure) for failure in failures)
        soonest = min(failure.retry_after_ms for failure in failures)
        raise Unavailable(reasons, retry_after_ms=soonest)


def open_reader(
    providers: Sequence[Provider],
    *,
    clock: Clock,
    network: int | None,
    limits: Limits | None = None,
    freshness: Freshness | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    meter: Meter | None = None,
    chance: random.Random | None = None,
) -> ToncenterReader:
    """Return a reader over providers, the first before the others; nothing is sent yet.

    Raises ValueError for a URL that can't be read. `transport` stands in for the network in tests,
    and `chance` for what spreads the retries.
    """
    clients = [
        ToncenterClient(
            one,
            limits=limits,
            transport=transport,
            meter=meter,
            chance=chance,
            role=Role.FALLBACK if position else Role.PRIMARY,
        )
        for position, one in enumerate(providers)
    ]
    return ToncenterReader(clients, clock=clock, network=network, freshness=freshness, meter=meter)


def _outcome_of(failure: Unavailable) -> Outcome:
    return next(outcome for kind, outcome in _OUTCOMES if isinstance(failure, kind))


def _top(answer: MethodAnswer) -> object:
    """Return the one entry that a get method left."""
    if len(answer.stack) != 1:
        raise BadAnswer("a stack of another height")
    return answer.stack[0]


def _now() -> float:
    return asyncio.get_running_loop().time()
