"""One run: the world outside a process, the process itself, and the clients that ask again."""

import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.application.purchases import Cashier, Purchases
from aiba_domain.application.queries import Queries
from aiba_domain.application.upkeep import prepare
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView, Claim
from aiba_domain.claims.commands import ClaimReply
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import (
    ChainReader,
    SignedClaim,
    Signer,
    SignerUnavailable,
    VaultReader,
)
from aiba_domain.decision import Command, Principal
from aiba_domain.leases.ports import Leases
from aiba_domain.outbox.news import news_of
from aiba_domain.outbox.ports import Notifier
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.payments.ports import PaymentReader
from aiba_domain.players.ports import Identities, Sessions
from aiba_domain.ports import (
    Clock,
    Observer,
    RateLimiter,
    SeedSecrets,
    Store,
    Unavailable,
)
from aiba_domain.signing.ports import (
    Key,
    KeyUnavailable,
    ProtectionStore,
    ProtectionUnavailable,
    SigningChain,
)
from aiba_domain.testing.chain import (
    JETTON_MASTER,
    VAULT,
    Cheque,
    ModelChain,
    ModelReader,
    signature_of,
)
from aiba_domain.testing.crash_matrix.letters import Postman
from aiba_domain.testing.crash_matrix.parts import OpenStore, Parts
from aiba_domain.testing.crash_matrix.wiring import Injector, Wiring
from aiba_domain.testing.doubles import FixedSeeds, SettableClock, Tally
from aiba_domain.testing.faults import Crash

T = TypeVar("T")
R = TypeVar("R")

NETWORK: Final = -3
"""The global id of the chain that payments come in on."""
SHOP: Final = f"0:{'33' * 32}"
"""The wallet that brokers are paid to."""

_TRIES: Final = 4
_OUTAGES: Final = (Unavailable, SignerUnavailable, KeyUnavailable, ProtectionUnavailable)


class Unanswered(AssertionError):  # noqa: N818 - it tells what a client came to
    """A client asked again and again, and got no answer though nothing was broken any more."""


class KnownPayments:
    """A reader of the payments it was told of."""

    def __init__(self) -> None:
        """Know of none."""
        self.known: dict[str, IncomingPayment] = {}

    async def payment(self, tx_hash: str, *, to: str, since_s: int) -> IncomingPayment | None:
        """Return a payment to an account since a time, if it is known."""
        found = self.known.get(tx_hash)
        is_asked_for = found is not None and found.destination == to and found.time_s >= since_s
        return found if is_asked_for else None


class OwnChain:
    """The chain as an isolated signer sees it."""

    def __init__(self, reader: ModelReader, chain: ModelChain) -> None:
        """See what a reader sees."""
        self._reader = reader
        self._chain = chain

    async def time_s(self) -> int:
        """Return the time of the newest block."""
        return self._chain.now_s

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return what was paid to a recipient."""
        return await self._reader.view(vault, recipient)


class Witness:
    """A signer whose every answer is noted: `answers` by the terms they were asked for."""

    def __init__(
        self,
        inner: Signer,
        answers: dict[ClaimTerms, set[SignedClaim]],
        released: list[ClaimTerms] | None = None,
    ) -> None:
        """Note what `inner` answers, and in `released` what it signs if it doesn't note that."""
        self._inner = inner
        self._answers = answers
        self._released = [] if released is None else released

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign."""
        signed = await self._inner.sign(terms)
        self._answers[terms].add(signed)
        self._released.append(signed.terms)
        return signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process: its ports, through each of which a fault may strike, and what stands on them.

    The ports of a front door and of an isolated signer are there where the author has them.
    """

    wiring: Wiring
    store: Store
    clock: Clock
    seeds: SeedSecrets
    chain: ChainReader
    vault: VaultReader
    pipeline: Pipeline
    withdrawals: Withdrawals
    purchases: Purchases
    queries: Queries
    leases: Leases
    notifier: Notifier
    identities: Identities | None = None
    sessions: Sessions | None = None
    limiter: RateLimiter | None = None
    memory: ProtectionStore | None = None
    signing_chain: SigningChain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request under a key, how it is made again, and the first answer that its client saw."""

    name: str
    issue: Callable[[Process], Awaitable[Answer[Any]]]
    answer: Answer[Any]


class Bench:
    """The world of one run. `process` is the one running now; a crash puts another in its place.

    Clients ask until they are answered: `ask` and `request` try again after a crash, with a new
    process, and after an outage. What was answered under a key is kept in `asked`, other answers
    that matter in `answers`.
    """

    def __init__(self, open_store: OpenStore, parts: Parts, folder: Path) -> None:
        """Prepare a run in a folder; nothing is open yet."""
        self.parts = parts
        self.folder = folder
        self.injector = Injector()
        self.clock = SettableClock()
        self.seeds = FixedSeeds()
        self.seen = Tally()
        self.chain = ModelChain()
        self.reader = parts.reader(self.chain)
        self.payments = KnownPayments()
        self.postman = Postman()
        self.released: list[ClaimTerms] = []
        self.signed: dict[ClaimTerms, set[SignedClaim]] = defaultdict(set)
        self.asked: list[Asked] = []
        self.answers: list[object] = []
        self.store: Store
        self.memory: ProtectionStore | None = None
        self.process: Process
        self.look: Callable[[], Awaitable[None]] = _look_away
        self._open_store = open_store

    # A process's life.

    async def open(self, *, is_isolated: bool = False) -> None:
        """Open what is behind the ports, and let the first process connect to it."""
        self.store = await self._open_store(self.folder)
        isolated = self.parts.isolated
        if is_isolated and isolated is not None:
            self.memory = await isolated.open_memory(self.folder)
        await self.connect()

    async def close(self) -> None:
        """Close what is open."""
        await self.store.close()
        if self.memory is not None:
            await self.memory.close()

    async def connect(self) -> None:
        """Let a process begin with nothing in its memory."""
        wiring = Wiring(self.injector)
        signer = await self._signer(wiring)
        store = wiring.connect(self.store, Store)
        clock = wiring.connect(self.clock, Clock)
        seeds = wiring.connect(self.seeds, SeedSecrets)
        chain: ChainReader = wiring.connect(self.reader, ChainReader)
        pipeline = self.parts.pipeline(
            store=store,
            clock=clock,
            seeds=seeds,
            observer=wiring.connect(self.seen, Observer),
            handlers=self.parts.handlers,
            announce=news_of,
        )
        withdrawals = self.parts.withdrawals(
            pipeline=pipeline,
            store=store,
            signer=wiring.connect(signer, Signer),
            chain=chain,
            contracts=Contracts(vault=VAULT, jetton_master=JETTON_MASTER),
        )
        purchases = Purchases(
            pipeline=pipeline,
            store=store,
            payments=wiring.connect(self.payments, PaymentReader),
            cashier=Cashier(network=NETWORK, created_brokers_wallet=SHOP),
        )
        door = self.parts.front_door
        self.process = Process(
            wiring=wiring,
            store=store,
            clock=clock,
            seeds=seeds,
            chain=chain,
            vault=wiring.connect(self.reader, VaultReader),
            pipeline=pipeline,
            withdrawals=withdrawals,
            purchases=purchases,
            queries=Queries(store, clock),
            leases=wiring.connect(StoreLeases(pipeline), Leases),
            notifier=wiring.connect(self.postman, Notifier),
            identities=wiring.connect(door.identities, Identities) if door else None,
            sessions=wiring.connect(door.sessions, Sessions) if door else None,
            limiter=wiring.connect(door.open_limiter(), RateLimiter) if door else None,
            memory=wiring.connect(self.memory, ProtectionStore) if self.memory else None,
            signing_chain=self._signing_chain(wiring),
        )

    async def start_up(self) -> None:
        """Do what a process does at its start."""
        process = self.process
        await prepare(process.pipeline, process.store, process.seeds)

    async def restart(self) -> None:
        """Put a new process in the place of a dead one, with what is durable as it is."""
        for _ in range(_TRIES):
            await self._reopen()
            try:
                await self.connect()
                await self.start_up()
            except (Crash, *_OUTAGES):
                continue
            return
        raise Unanswered("a process can't start")

    async def _reopen(self) -> None:
        """Open again what is durable; what isn't stays as it is, as if it lived elsewhere."""
        if self.parts.reopens:
            await self.store.close()
            self.store = await self._open_store(self.folder)
        isolated = self.parts.isolated
        if self.memory is not None and isolated is not None:
            await self.memory.close()
            self.memory = await isolated.open_memory(self.folder)

    async def _signer(self, wiring: Wiring) -> Signer:
        """Return the signer: isolated where the run is about one, else as new as the process."""
        isolated = self.parts.isolated
        if self.memory is None or isolated is None:
            return Witness(self.parts.make_signer(self.released), self.signed)
        key = wiring.connect(isolated.key, Key)
        memory = wiring.connect(self.memory, ProtectionStore)
        started = await isolated.start(key, memory, self._signing_chain(wiring))
        return Witness(started, self.signed, self.released)

    def _signing_chain(self, wiring: Wiring) -> SigningChain:
        return wiring.connect(OwnChain(self.reader, self.chain), SigningChain)

    # What clients do.

    async def ask(self, work: Callable[[Process], Awaitable[T]]) -> T:
        """Ask until there is an answer, and let the auditors look after every attempt.

        Raises Unanswered, and whatever a working service must not answer.
        """
        for _ in range(_TRIES):
            answers = await self.try_once(work)
            if answers:
                return answers[0]
        raise Unanswered(f"no answer in {_TRIES} attempts")

    async def try_once(self, work: Callable[[Process], Awaitable[T]]) -> list[T]:
        """Ask once; return the answer, or nothing after a crash or an outage."""
        answers: list[T] = []
        try:
            answers.append(await work(self.process))
        except Crash:
            await self.restart()
        except _OUTAGES:
            pass
        await self.look()
        return answers

    async def stop(self, work: Callable[[Process], Awaitable[None]]) -> None:
        """Let a process stop in good order, whatever strikes meanwhile, and start another one."""
        with contextlib.suppress(Crash, *_OUTAGES):
            await work(self.process)
        await self.restart()
        await self.look()

    async def request(
        self, principal: Principal, command: Command[R], key: str | None = None
    ) -> Answer[R]:
        """Issue a command until it is answered."""

        def issue(process: Process) -> Awaitable[Answer[R]]:
            return process.pipeline.execute(principal, command, key)

        return await self._answered(issue, key, type(command).__name__)

    async def withdraw(self, player: str, amount: int, key: str) -> Claim:
        """Withdraw until there is a signed claim."""

        def issue(process: Process) -> Awaitable[Answer[ClaimReply]]:
            return process.withdrawals.claim(Principal(id=player), amount, key)

        return (await self._answered(issue, key, "withdrawal")).reply().claim

    async def settle(self) -> None:
        """Let the settlement run until it has got through."""
        await self.ask(lambda process: process.withdrawals.settle_all())

    async def _answered(
        self, issue: Callable[[Process], Awaitable[Answer[R]]], key: str | None, name: str
    ) -> Answer[R]:
        answer = await self.ask(issue)
        if key is not None:
            self.asked.append(Asked(name=f"{name} under {key}", issue=issue, answer=answer))
        return answer

    # What the chain does.

    def pay(self, claim: Claim) -> None:
        """Let the claim's owner bring it to the vault, which pays if it is the signer's."""
        terms = claim.terms
        known = {one.signature for one in self.signed[terms]}
        signature = claim.signature or ""
        # An isolated signer's key isn't the vault's: what it signed is as good as signed here.
        if self.memory is not None and signature in known:
            signature = signature_of(terms)
        self.chain.send(Cheque(sender=terms.recipient, terms=terms, signature=signature))
        self.chain.block()
        self.chain.sync()

    def expire(self, validity_s: int = VALIDITY_S) -> None:
        """Let chain time pass until everything has expired that is valid so long, in seconds."""
        self.chain.block(validity_s + EXPIRY_MARGIN_S + 1)
        self.chain.sync()


async def _look_away() -> None:
    """Look at nothing."""
