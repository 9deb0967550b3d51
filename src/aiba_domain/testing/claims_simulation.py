"""Withdrawals under everything that goes wrong, from a seed: the same seed is the same life.

The service, its store, a signer, a chain with servers that lag, players and their wallets live on
one event loop under a scheduler that decides who goes on next. Whoever reaches a port waits there,
and may find it down, die before it, inside it, or after it with the effect done and the answer
lost. An independent auditor looks after every step.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any, Final

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE, prepare
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.commands import GetStarter
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, Claim, ClaimState
from aiba_domain.claims.commands import BY_BATTLE, BY_REQUEST, ConnectWallet
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import ChainReader, SignerUnavailable
from aiba_domain.decision import Principal
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import DomainError
from aiba_domain.ids import derive_id
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.ports import Entry, Reader, Store, Unavailable, UnitOfWork
from aiba_domain.testing.auditor import Auditor
from aiba_domain.testing.chain import (
    GENESIS_S,
    JETTON_MASTER,
    VAULT,
    Cheque,
    ModelChain,
    ModelReader,
    ModelSigner,
)
from aiba_domain.testing.claims_auditor import Chain, ClaimsAuditor
from aiba_domain.testing.doubles import FixedSeeds, SettableClock, Tally
from aiba_domain.testing.faults import Crash, FaultyStore
from aiba_domain.testing.gates import Gate, GatedReader, GatedSigner, GatedStore

PLAYERS: Final = ("1", "2", "3")
SERVERS: Final = 3

_WALLETS: Final = tuple(f"0:{number:064x}" for number in range(1, 6))
_FUNDS: Final = 500
_MOST_TASKS: Final = 8
_POINTS_OF_A_UNIT: Final = 24
_MOST_REISSUES: Final = 2
_LAST_LINES: Final = 30
_REFUSALS: Final = frozenset(
    {
        "amount must be > 0",
        "claim limit",
        "claim not signed",
        "claim refunded",
        "claims paused",
        "insufficient AIBA",
        "pending_claim",
        "wallet already connected",
        "wallet_required",
    }
)
"""What a player may be told; any other refusal is a fault."""

_CAPS: Final = EconomyPolicy()
"""A policy with the emission caps of every run."""

_OUTAGES: Final[dict[str, Callable[[str], Exception]]] = {
    "store.transact": Unavailable,
    "store.read": Unavailable,
    "chain.view": Unavailable,
    "chain.viewed": Unavailable,
    "signer.sign": SignerUnavailable,
    "signer.signed": SignerUnavailable,
}
"""What a port raises where it doesn't answer. Who waits for it may also die, there or anywhere."""

_MODE: Final = GameMode(
    id=mode_id("claims"),
    key="claims",
    name="claims",
    arena="prediction",
    energy_cost=0,
    cooldown_seconds=0,
    rules=ModeRules(variance_base=0),
    created_at=0,
    updated_at=0,
)


class SimulationFailed(AssertionError):  # noqa: N818 - it tells how a run ended
    """A rule was broken; the text names the seed that breaks it again, and the last steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did: each step as a line of `trace`, and how often each thing happened."""

    seed: int
    trace: bytes
    counts: dict[str, int]

    @property
    def digest(self) -> str:
        """A short name for the trace, equal exactly for equal runs."""
        return sha256(self.trace).hexdigest()


def simulate(
    seed: int,
    steps: int,
    open_store: Callable[[], Store],
    *,
    served_by: type[Withdrawals] = Withdrawals,
    read_by: type[ModelReader] = ModelReader,
) -> Report:
    """Live through `steps` seeded steps over an empty store, then let everything come to its end.

    The store must be one whose units of work never suspend. Raises SimulationFailed. `served_by`
    and `read_by` take the place of the service and of the chain's reader, to see that faults in
    them are found.
    """
    world = _World(seed, served_by, read_by)

    async def live() -> None:
        await world.begin(open_store())
        for _ in range(steps):
            await world.step()
        await world.end()

    try:
        asyncio.run(live())
    except Exception as failure:
        lines = "\n  ".join(world.trace[-_LAST_LINES:])
        raise SimulationFailed(
            f"seed {seed} fails within {steps} steps: {failure!r}\n  {lines}"
        ) from failure
    trace = "\n".join(world.trace).encode()
    return Report(seed=seed, trace=trace, counts=dict(sorted(world.counts.items())))


@dataclass(slots=True, eq=False)
class _Process:
    """One running service and what it is doing, all of which is lost when it dies."""

    name: str
    pipeline: Pipeline
    withdrawals: Withdrawals
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)


_Work = Callable[[_Process], Coroutine[Any, Any, None]]


@dataclass(slots=True, eq=False)
class _Order:
    """A withdrawal as the player remembers it: what was asked for, and what was answered."""

    player: str
    key: str
    source: str
    amount: int | None
    claim: Claim | None = None
    refusal: str | None = None


class _World:
    """Everything that lives in one run, and what can happen to it."""

    def __init__(self, seed: int, served_by: type[Withdrawals], read_by: type[ModelReader]) -> None:
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        self._random = Random(seed)  # noqa: S311 - a seed that replays, no cryptography
        self._served_by = served_by
        self._chain = ModelChain(servers=SERVERS)
        self._reader = read_by(self._chain, lambda: self._random.randrange(SERVERS))
        self._released: list[ClaimTerms] = []
        self._clock = SettableClock(GENESIS_S * 1_000)
        self._gate = Gate()
        self._processes: list[_Process] = []
        self._orders: list[_Order] = []
        self._cheques: list[Cheque] = []
        self._signer_down = False
        self._faults: list[BaseException] = []
        self._auditor, self._claims_auditor = Auditor(), ClaimsAuditor()

    # The beginning, one step, and the end.

    async def begin(self, store: Store) -> None:
        """Start one process or two, with a mode to win AIBA in, brokers, wallets and funds."""
        self._store, self._faulty = store, FaultyStore(store)
        seeds = FixedSeeds()
        self._quiet = self._pipeline(store)
        await prepare(self._quiet, store, seeds)
        await self._quiet.execute(SERVICE, SaveMode(mode=_MODE))
        for player, wallet in zip(PLAYERS, _WALLETS, strict=False):
            await self._quiet.execute(Principal(id=player), GetStarter())
            await self._quiet.execute(Principal(id=player), ConnectWallet(address=wallet))
            await self._fund(player, _FUNDS)
        reissues = self._random.randint(0, _MOST_REISSUES)
        await self._change_policy(claims_paused=False, limit=MAX_AMOUNT, claim_reissues=reissues)
        # A signer beside the service remembers; one inside a process forgets when that dies.
        self._beside = ModelSigner(self._released) if self._random.random() < 0.5 else None
        for number in range(self._random.choice((1, 2))):
            self._processes.append(self._start(f"process {number + 1}"))
        await self._audit()

    async def step(self) -> None:
        """Let one thing happen, and look at everything."""
        happens = self._random.choices(_HAPPENINGS, _WEIGHTS)[0]
        self.trace.append(happens.__name__)
        await happens(self)
        await self._gate.rest()
        if self._faults:
            raise self._faults[0]
        await self._look()

    async def end(self) -> None:
        """Stop breaking things: everything ends, nothing is lost, and nobody is stuck."""
        self._signer_down = False
        self._reader.down.clear()
        self._chain.sync()
        await self._calm(self._settle_all)
        await self._change_policy(claims_paused=False, limit=MAX_AMOUNT)
        for order in self._orders:
            if order.claim is None and order.refusal is None:
                await self._calm(partial(self._ask, order))
        self._chain.pending += self._cheques
        for _ in range(1 + _MOST_REISSUES):
            await self._pass_time()
        self._claims_auditor.ended()
        for player in PLAYERS:
            await self._withdraw_once_more(player)
        self._claims_auditor.ended()
        self.counts["claims reissued"] = self._claims_auditor.reissued
        self.trace.append(
            f"debited {self._claims_auditor.debited}, confirmed {self._claims_auditor.confirmed}"
        )

    async def _pass_time(self) -> None:
        """Let blocks be made until nothing can be paid any more, then settle what is open."""
        self._chain.block()
        self._chain.block(2 * (VALIDITY_S + EXPIRY_MARGIN_S))
        self._chain.sync()
        await self._calm(self._settle_all)
        await self._audit()

    async def _withdraw_once_more(self, player: str) -> None:
        """A player whose earlier withdrawals have all ended withdraws a last unit."""
        order = _Order(player=player, key=f"last-{player}", source=BY_REQUEST, amount=1)
        await self._fund(player, 1)
        await self._calm(partial(self._ask, order))
        assert order.claim is not None, f"player {player} is stuck: {order.refusal}"
        assert order.claim.signature is not None, order.claim
        self._chain.send(_cheque(order.claim))
        await self._pass_time()
        ended = [claim for claim in await self._claims() if claim.id == order.claim.id]
        assert ended[0].state is ClaimState.CONFIRMED, ended

    async def _calm(self, work: _Work) -> None:
        """Do some work to its end, and all that was under way, with nothing going wrong."""
        task = asyncio.create_task(self._guarded(self._processes[-1], work))
        await self._gate.rest()
        while self._gate.waiting:
            await self._gate.open(0)
            await self._look()
        await task
        if self._faults:
            raise self._faults[0]

    # What the service is.

    def _pipeline(self, store: Store) -> Pipeline:
        return Pipeline(
            store=store,
            clock=self._clock,
            seeds=FixedSeeds(),
            observer=Tally(),
            handlers=HANDLERS,
        )

    def _start(self, name: str) -> _Process:
        """Start a process with nothing in its memory."""
        store = GatedStore(self._faulty, self._gate)
        pipeline = self._pipeline(store)
        chain: ChainReader = GatedReader(self._reader, self._gate)
        withdrawals = self._served_by(
            pipeline=pipeline,
            store=store,
            signer=GatedSigner(self._beside or ModelSigner(self._released), self._gate),
            chain=chain,
            contracts=Contracts(vault=VAULT, jetton_master=JETTON_MASTER),
        )
        return _Process(name, pipeline, withdrawals)

    # What can happen.

    async def somebody_goes_on(self) -> None:
        """Whoever waits at a gate goes on, or something goes wrong there."""
        if not self._gate.waiting:
            await self.a_block_is_made()
            return
        position = self._random.randrange(len(self._gate.waiting))
        place = self._gate.waiting[position]
        error: Exception | None = None
        # Few gates are a signer's, so more goes wrong at each.
        chance = self._random.random() / (3 if place.startswith("signer.") else 1)
        outage = _OUTAGES.get(place)
        if chance < 0.02:
            error = Crash(place)
        elif outage and (chance < 0.045 or (self._signer_down and place == "signer.sign")):
            error = outage("out of order")
        elif chance > 0.97 and place == "store.transact":
            self._faulty.crash_at(self._random.randint(1, _POINTS_OF_A_UNIT))
        self._tell(f"{place}: {error!r}" if error else place)
        self.counts[f"{type(error).__name__} at {place}" if error else place] += 1
        await self._gate.open(position, error)

    async def a_player_asks(self) -> None:
        """A player withdraws some AIBA, or all, or fights and withdraws the reward."""
        player = self._random.choice(PLAYERS)
        source = self._random.choice((BY_REQUEST, BY_REQUEST, BY_BATTLE))
        amount = self._random.choice((None, 1, *[self._random.randint(1, 90)] * 4, _FUNDS * 9))
        key = f"{player}-{len(self._orders)}"
        order = _Order(player=player, key=key, source=source, amount=amount)
        self._orders.append(order)
        self._spawn(f"{source} {key} of {amount}", partial(self._ask, order))

    async def a_player_asks_again(self) -> None:
        """A player sends a request once more, whether it was answered or not."""
        if self._orders:
            order = self._random.choice(self._orders[-12:])
            self._spawn(f"again {order.key}", partial(self._ask, order))

    async def a_wallet_is_connected(self) -> None:
        """A player binds another wallet, which may be somebody else's."""
        player, wallet = self._random.choice(PLAYERS), self._random.choice(_WALLETS)

        async def connect(process: _Process) -> None:
            command = ConnectWallet(address=wallet)
            answer = await process.pipeline.execute(Principal(id=player), command)
            answer.reply()
            self.counts["wallet changed"] += 1

        self._spawn(f"{player} connects {wallet[-1]}", connect)

    async def claims_are_settled(self) -> None:
        """The worker of a process looks at all claims in flight."""
        self._spawn("settle", self._settle_all)

    async def a_cheque_is_sent(self) -> None:
        """A wallet sends a signed claim, maybe not for the first time."""
        if self._cheques:
            cheque = self._random.choice(self._cheques[-3:])
            if self._random.random() < 0.8:
                self._cheques.remove(cheque)
            self._tell(f"{cheque.terms.recipient[-1]} sends seqno {cheque.terms.seqno}")
            self._chain.send(cheque)

    async def a_block_is_made(self) -> None:
        """A block takes some of the messages: soon, late, or just when a claim expires."""
        chain = self._chain
        later_s = self._random.choice((0, 3, 5, 5, 5, 20, 60))
        if self._released and self._random.random() < 0.06:
            edge = self._random.choice((-1, 0, 1, EXPIRY_MARGIN_S, EXPIRY_MARGIN_S + 1))
            wanted_s = self._random.choice(self._released[-4:]).valid_until_s + edge
            later_s = wanted_s - chain.now_s if wanted_s >= chain.now_s else later_s
        self._random.shuffle(chain.pending)
        exits = chain.block(
            later_s, taken=len(chain.pending) - self._random.choice((0, 0, 0, 1, 2, 9))
        )
        self._gate.touched = True
        self._tell(f"{later_s} s later: {[each.name for each in exits]}")
        self.counts.update(f"vault {each.name}" for each in exits)
        self._clock.advance(later_s * 1_000)

    async def a_server_learns(self) -> None:
        """A server catches up with the chain, in part or whole."""
        server, blocks = self._random.randrange(SERVERS), self._random.choice((1, 2, None))
        self._chain.sync(server, blocks=blocks)
        self._tell(f"server {server} at {self._chain.heights[server]} of {self._chain.height}")

    async def something_goes_down(self) -> None:
        """A server or the signer stops answering; or all of them answer again."""
        which = self._random.randrange(SERVERS + 1)
        if self._signer_down or self._reader.down:
            self._signer_down = False
            self._reader.down.clear()
        elif which == SERVERS:
            self._signer_down = True
        else:
            self._reader.down.add(which)
        self._tell(f"down: {sorted(self._reader.down)}, signer {self._signer_down}")

    async def a_process_dies(self) -> None:
        """A process ends with all it was doing, and starts again with nothing in its memory."""
        place = self._random.randrange(len(self._processes))
        old = self._processes[place]
        lost = [task for task in old.tasks if not task.done()]
        for task in lost:
            task.cancel()
        self.counts["request lost by a death"] += len(lost)
        self._tell(f"{old.name} dies with {len(lost)} requests")
        self._processes[place] = self._start(old.name)

    async def the_clock_moves(self) -> None:
        """The service's clock goes its own way: no claim's end may depend on it."""
        self._clock.advance(self._random.choice((-7_200_000, -1_000, 1_000, 60_000, 86_400_000)))
        self._tell(f"clock {self._clock.now()}")

    async def the_operator_changes_limits(self) -> None:
        """Claims are paused or go on, under other limits."""
        paused = self._random.random() < 0.2
        limit = self._random.choice((0, 60, 300, *[MAX_AMOUNT] * 5))
        reissues = self._random.randint(0, _MOST_REISSUES)
        self._tell(f"paused {paused}, at most {limit}, {reissues} reissues")
        await self._change_policy(claims_paused=paused, limit=limit, claim_reissues=reissues)

    async def a_player_gets_funds(self) -> None:
        """A player gets AIBA to withdraw."""
        await self._fund(self._random.choice(PLAYERS), self._random.randint(1, 200))

    # How it is done.

    def _spawn(self, what: str, work: _Work) -> None:
        """Begin something in one of the processes, unless they are busy enough."""
        process = self._random.choice(self._processes)
        process.tasks = [task for task in process.tasks if not task.done()]
        if len(process.tasks) < _MOST_TASKS:
            self._tell(f"{process.name}: {what}")
            process.tasks.append(asyncio.create_task(self._guarded(process, work)))

    async def _guarded(self, process: _Process, work: _Work) -> None:
        """Do it; outages, deaths and expected refusals are part of life, anything else a fault."""
        try:
            await work(process)
        except (Crash, Unavailable) as failure:
            self.counts[f"request lost by {type(failure).__name__}"] += 1
        except DomainError as refusal:
            self.counts[f"refused: {refusal.code}"] += 1
            if refusal.code not in _REFUSALS:
                self._faults.append(refusal)
        except Exception as fault:  # noqa: BLE001 - told by the step
            self._faults.append(fault)

    async def _ask(self, order: _Order, process: _Process) -> None:
        """Ask for a withdrawal, and compare the answer with earlier ones under its key."""
        principal = Principal(id=order.player)
        claim: Claim | None
        try:
            if order.source == BY_BATTLE:
                claim = await self._fight(process, principal, order)
            else:
                answer = await process.withdrawals.claim(principal, order.amount, order.key)
                claim = answer.reply().claim
        except DomainError as refusal:
            self._refuse(order, refusal.code)
            raise
        if claim is not None:
            self._receive(order, claim)

    def _refuse(self, order: _Order, code: str) -> None:
        """Keep a refusal, which is the first one again; a signer's is none of the service.

        A claim may be refunded whose last issue was never signed, though one before was.
        """
        if code == "claim refunded" and order.claim is not None:
            return
        if code != "claim not signed":
            assert order.claim is None, f"{order.claim}, then {code}"
            assert order.refusal in (None, code), f"{order.refusal}, then {code}"
            order.refusal = code

    async def _fight(self, process: _Process, principal: Principal, order: _Order) -> Claim | None:
        """Fight under the order's key and withdraw the reward, as the route of battles does."""
        command = RunBattle(broker_id=derive_id("starter", order.player), mode_key=_MODE.key)
        answer = await process.pipeline.execute(principal, command, order.key)
        reward = answer.reply().battle.receipt.grant.aiba
        return await process.withdrawals.claim_battle(principal, reward, order.key)

    def _receive(self, order: _Order, claim: Claim) -> None:
        """Keep an answer, which is the first one again, and decide what to do with it.

        A claim that expired may have been issued again: the same but for validity and signature.
        """
        first = order.claim
        assert order.refusal is None, f"{order.refusal}, then {claim}"
        if first is not None and claim.reissues > first.reissues:
            same = replace(first.terms, valid_until_s=claim.terms.valid_until_s)
            assert claim.terms == same, f"{first}, then {claim}"
            assert first.terms.valid_until_s < claim.terms.valid_until_s, f"{first}, then {claim}"
            self.counts["answered anew"] += 1
        elif first is not None:
            assert first.reissues == claim.reissues, f"{first}, then {claim}"
            assert first.terms == claim.terms, f"{first}, then {claim}"
            assert first.signature in (None, claim.signature), f"{first}, then {claim}"
        order.claim = claim
        self.counts[f"answered {claim.state}"] += 1
        if claim.signature is None or (first is not None and first.signature == claim.signature):
            return
        cheque = _cheque(claim)
        self._cheques += [cheque] * self._random.choice((0, 1, 1, 1, 2))
        if self._random.random() < 0.2:
            self._cheques.append(
                Cheque(sender=_WALLETS[-1], terms=cheque.terms, signature=cheque.signature)
            )

    async def _settle_all(self, process: _Process) -> None:
        ended = await process.withdrawals.settle_all()
        self._tell(f"{ended} ended")
        self.counts["claims settled"] += ended

    async def _change_policy(self, *, claims_paused: bool, limit: int, **others: int) -> None:
        changes = {
            **others,
            "claims_paused": claims_paused,
            "claim_max_aiba": limit,
            "claim_player_day_max_aiba": limit,
        }
        await self._quiet.execute(SERVICE, ChangePolicy(changes=changes))

    async def _fund(self, player: str, amount: int) -> None:
        """Give a player AIBA that came from the chain."""
        posting = Posting(
            currency=Currency.AIBA,
            amount=amount,
            debit=CHAIN,
            credit=player_account(player),
            reason="deposit",
            arena="chain",
            league="global",
            source_type="deposit",
            source_id=player,
        )

        async def deposit(unit: UnitOfWork) -> None:
            await unit.write(at=self._clock.now(), postings=(posting,))

        await self._store.transact(deposit)
        self._gate.touched = True

    def _tell(self, what: str) -> None:
        self.trace.append(f"  {what}")

    # What must hold.

    async def _look(self) -> None:
        """Audit, if anything can have changed."""
        if self._gate.touched:
            self._gate.touched = False
            await self._audit()

    async def _audit(self) -> None:
        """Hold ledger, claims, signatures and chain against each other."""

        async def look(read: Reader) -> tuple[list[Entry], Any]:
            return list(read.entries())[self._auditor.seen :], await read.accounts()

        entries, accounts = await self._store.read(look)
        self._auditor.follow(entries, _CAPS)
        self._auditor.compare(accounts)
        claims = await self._claims()
        chain = Chain(now_s=self._chain.now_s, paid=self._chain.vault.paid)
        self._claims_auditor.audit(entries, claims, self._released, chain)
        flying = sum(claim.terms.amount for claim in claims if claim.is_open)
        assert accounts.get(("claims", Currency.AIBA), 0) == flying

    async def _claims(self) -> list[Claim]:
        async def look(read: Reader) -> list[Claim]:
            found: list[Claim] = []
            for player in PLAYERS:
                found += await read.claims_of(player, before=None, limit=10_000)
            return found

        return await self._store.read(look)


def _cheque(claim: Claim) -> Cheque:
    """Return the message by which a claim's recipient sends it."""
    return Cheque(sender=claim.terms.recipient, terms=claim.terms, signature=claim.signature or "")


_HAPPENINGS: Final = (
    _World.somebody_goes_on,
    _World.a_player_asks,
    _World.a_player_asks_again,
    _World.a_wallet_is_connected,
    _World.claims_are_settled,
    _World.a_cheque_is_sent,
    _World.a_block_is_made,
    _World.a_server_learns,
    _World.something_goes_down,
    _World.a_process_dies,
    _World.the_clock_moves,
    _World.the_operator_changes_limits,
    _World.a_player_gets_funds,
)
_WEIGHTS: Final = (300, 10, 4, 3, 12, 30, 16, 30, 4, 2, 3, 2, 4)
