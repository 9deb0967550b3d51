"""Everything that lives in one simulation: clients, network, processes, store, signer, chain, time.

What happens in it is chosen in `happenings`; here is how it is done, and what is looked at after.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar
from zlib import crc32

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE, prepare, rotate_seed
from aiba_domain.application.withdrawals import Contracts
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import default_modes
from aiba_domain.claims.commands import ConnectWallet
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.decision import Command, Principal, Record
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import Posting
from aiba_domain.errors import DomainError
from aiba_domain.fairness.commands import MOVED_ON
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.leases.model import LOST
from aiba_domain.ports import Reader, Store, Unavailable, UnitOfWork
from aiba_domain.testing.chain import (
    JETTON_MASTER,
    VAULT,
    Cheque,
    ModelChain,
    ModelReader,
    ModelSigner,
    signature_of,
)
from aiba_domain.testing.claims_auditor import Chain
from aiba_domain.testing.doubles import FixedSeeds, Tally
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.simulation import cast
from aiba_domain.testing.simulation.books import Books, Look
from aiba_domain.testing.simulation.clients import Client, Manner, Order
from aiba_domain.testing.simulation.dice import Dice
from aiba_domain.testing.simulation.scheduler import (
    Gate,
    Life,
    Lost,
    ScheduledReader,
    ScheduledSigner,
    ScheduledStore,
    Waiting,
)
from aiba_domain.testing.simulation.signers import Isolated, SignerPool
from aiba_domain.testing.simulation.site import Ask, Parts, Process, Site, Told

R = TypeVar("R")

SERVERS: Final = 3
"""How many servers of the chain are asked."""

AGAIN: Final = (
    "rate_limited",
    "telegram auth expired",
    "telegram auth failed",
    "telegram auth required",
    "unavailable",
)
"""Refusals after which a client asks the same again."""

_ERRORS: Final = (Lost, Crash, Unavailable, asyncio.CancelledError)


class SimulatedClock:
    """A process's clock: the world's time, and what it is off by, in ms."""

    def __init__(self, world: "World", name: str) -> None:
        """Show the time of `world` to the process with a name."""
        self._world = world
        self._name = name

    def now(self) -> int:
        """Return the instant in ms."""
        return self._world.now + self._world.skews[self._name]


@dataclass(slots=True, eq=False)
class Running:
    """A process as it runs: its life, what answers, and its store, which may crash in a unit."""

    name: str
    life: Life
    process: Process
    store: ScheduledStore


class World:
    """One simulation. `dice` are those of the step under way."""

    def __init__(
        self, seed: int, site: Site, players: int, isolated: Isolated | None = None
    ) -> None:
        """Prepare the world of a seed, with nothing in it yet.

        Claims are signed by a model, or by replicas of an isolated signer if there is one.
        """
        self.dice = Dice(seed, 0)
        self.players = tuple(str(number) for number in range(1, players + 1))
        self.now = cast.START
        self.skews: Counter[str] = Counter()
        self.is_straight = True
        self.gate = Gate()
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        self.clients = {
            player: Client(player, tuple(Manner)[number % len(Manner)])
            for number, player in enumerate(self.players)
        }
        modes = {mode.key: mode for mode in (*default_modes(0), *cast.MODES)}
        self.books = Books(self.players, modes)
        self.chain = ModelChain(servers=SERVERS, now_s=cast.START // 1_000)
        self.reader = ModelReader(self.chain, lambda: self.dice.below(SERVERS))
        self.chain_is_late = False
        self.cheques: list[Cheque] = []
        self.last_cheque: Cheque | None = None
        self.released: list[ClaimTerms] = []
        self.signer_is_down = False
        self.processes: list[Running] = []
        self._site = site
        self._seeds = FixedSeeds()
        self._beside = ModelSigner(self.released) if self.dice.chance(500) else None
        self.signers = (
            SignerPool(
                isolated, self.gate, self.reader, self.released, self.counts, lambda: self.dice
            )
            if isolated is not None
            else None
        )
        self._chain_moved = False
        self.banned_brokers: list[str] = []
        self.number = 0
        self.is_over = False

    # The beginning.

    async def begin(self, store: Store) -> None:
        """Make the store ready for play, and start one process or two."""
        self.store = store
        self.quiet = Pipeline(
            store=store,
            clock=SimulatedClock(self, "operator"),
            seeds=self._seeds,
            observer=Tally(),
            handlers=HANDLERS,
        )
        await prepare(self.quiet, store, self._seeds)
        for mode in cast.MODES:
            await self.operate(SaveMode(mode=mode))
        await self.change_policy(cast.TIGHT)
        brokers = [broker for player in self.players for broker in cast.spares_of(player)]
        await self.put(*brokers, *cast.guilds_of(self.players))
        for player, wallet in zip(self.players, cast.WALLETS, strict=False):
            await self.quiet.execute(Principal(id=player), ConnectWallet(address=wallet))
            for currency, amount in cast.FUNDS.items():
                await self.post(cast.deposit(player, currency, amount, "first"))
        for number in range(self.dice.between(1, 2)):
            self.processes.append(self._start(f"process {number + 1}"))
        await self._look_at_epochs()
        await self._look(self.players, whole=True)

    def _start(self, name: str) -> Running:
        """Start a process with nothing in its memory; a signer beside the service remembers."""
        life = Life(name)
        store = ScheduledStore(self.store, self.gate, life)
        signer = self.signers or self._beside or ModelSigner(self.released)
        parts = Parts(
            name=name,
            store=store,
            clock=SimulatedClock(self, name),
            seeds=self._seeds,
            signer=ScheduledSigner(signer, self.gate, life, lambda: self.signer_is_down),
            chain=ScheduledReader(self.reader, self.gate, life),
            contracts=Contracts(vault=VAULT, jetton_master=JETTON_MASTER),
            is_dead=lambda: life.is_dead,
        )
        return Running(name, life, self._site.start(parts), store)

    # What a step is made of.

    async def step(self, number: int, dice: Dice, happens: "Happening") -> None:
        """Let one thing happen, and look at what it changed."""
        self.dice, self.number = dice, number
        self.trace.append(f"{number} {happens.__name__}")
        await happens(self)
        await self.settle_down()

    async def settle_down(self) -> None:
        """Start again who died, tell of what nobody expected, and let the auditor look."""
        who = self.gate.who
        for place, one in enumerate(self.processes):
            if one.life.is_dead:
                await self.die(place)
        for place, signer in enumerate(self.signers.lives if self.signers else ()):
            if signer.is_dead:
                await self.die_signing(place)
        if self.gate.faults:
            raise self.gate.faults[0]
        if not (self.gate.touched or self._chain_moved):
            return
        player, _, what = who.partition(" ")
        if player == "upkeep":
            await self._look_at_epochs()
        if player not in self.players:
            await self._look(self.players, claims=True)
        else:
            claims = what.startswith(("claim", "battle")) or self._chain_moved
            await self._look((player,), claims=claims)

    def tell(self, detail: str) -> None:
        """Add a line to the trace, unless the run is over and tasks only come to their end."""
        if not self.is_over:
            self.trace.append(f"  {detail}")

    async def _look(
        self, players: tuple[str, ...], *, claims: bool = False, whole: bool = False
    ) -> None:
        self.gate.touched = self._chain_moved = False
        look = Look(players=players, claims=claims, whole=whole, is_straight=self.is_straight)
        chain = Chain(now_s=self.chain.now_s, paid=self.chain.vault.paid)
        entries = await self.books.look(self.store, look, chain, self.released)
        if entries:
            self.tell(f"entries to {self.books.ledger.seen}")

    async def _look_at_epochs(self) -> None:
        async def look(read: Reader) -> tuple[SeedEpoch, ...]:
            return tuple(await read.epochs())

        self.counts["battles recounted"] += self.books.epochs(await self.store.read(look))

    # Clients and the network.

    def sends(self, order: Order, ask: Ask | None = None) -> Awaitable[None]:
        """Send an order's request; whoever awaits this carries it there and the answer back."""
        ask = ask or self.clients[order.ask.player].renewed(order)
        self.books.asked(ask)
        self.counts[f"{ask.kind} sent"] += 1
        return self._carry(order, ask)

    async def _carry(self, order: Order, ask: Ask) -> None:
        """Bring a request to a process and the answer back, unless something is lost on the way."""
        try:
            await self.gate.reach("net.request", None)
            told = await self.dice.pick(self.processes).process.call(ask)
            await self.gate.reach("net.answer", None)
        except _ERRORS as failure:
            self.counts[f"{ask.kind} lost"] += 1
            self.tell(f"{name_of(ask)} is lost: {type(failure).__name__} {failure}")
            return
        self.hear(order, ask, told)

    def hear(self, order: Order, ask: Ask, told: Told) -> None:
        """Let a client take an answer in, and the auditor."""
        digest = crc32(repr(told.body).encode())
        self.tell(f"{name_of(ask)}: {told.code} {digest:08x}")
        self.counts[f"{ask.kind} answered {told.code}"] += 1
        try:
            first_signature = self._signature(ask)
            self.books.told(ask, told)
        except AssertionError as fault:
            for one in self.processes:
                if one.life.last_error is not None:
                    fault.add_note(f"{one.name} had {one.life.last_error!r}")
            raise
        self.clients[ask.player].heard(ask, told)
        order.is_settled |= told.code not in AGAIN
        signature = self._signature(ask)
        if signature and signature != first_signature:
            self._got_claim(ask, signature)

    def _signature(self, ask: Ask) -> str:
        if ask.key is None:
            return ""
        first = self.books.answers.first.get((ask.player, ask.kind, ask.key))
        return first.signature if first else ""

    def _got_claim(self, ask: Ask, signature: str) -> None:
        """Decide what a wallet does with a claim: send it, forget it, send it twice, lend it."""
        terms = next(each for each in reversed(self.released) if signature_of(each) == signature)
        cheque = Cheque(sender=terms.recipient, terms=terms, signature=signature)
        self.last_cheque = cheque
        self.cheques += [cheque] * self.dice.pick((0, 1, 1, 1, 2))
        if self.dice.chance(150):
            self.cheques.append(replace(cheque, sender=cast.WALLETS[-1]))
        self.counts["claims signed"] += 1
        self.tell(f"{name_of(ask)} is signed: seqno {terms.seqno} for {terms.amount}")

    async def log_in(self, client: Client) -> None:
        """Open a client's session, at once; it may fail as anything may."""
        proof = self._site.launch_data(client.player, self.now // 1_000)
        ask = Ask(player=client.player, kind="session", proof=proof)
        told = await self.at_once(ask)
        if told is not None and told.is_ok:
            client.opened(told, self.now)

    async def at_once(self, ask: Ask) -> Told | None:
        """Ask with nobody in between; None if the process died over it."""
        process = self.dice.pick(self.processes).process
        try:
            told = await self.gate.at_once(name_of(ask), process.call(ask))
        except _ERRORS as failure:
            self.tell(f"{name_of(ask)} is lost: {type(failure).__name__} {failure}")
            return None
        self.hear(Order(ask), ask, told)
        return told

    def forge(self, client: Client) -> str:
        """Return launch data that proves nothing."""
        return self._site.launch_data(client.player, self.now // 1_000, genuine=False)

    # Processes.

    async def work(self, one: Running, what: str) -> None:
        """Let a process do what it does by itself: settle claims, or turn the seed epoch over."""
        try:
            done = await (one.process.settle() if what == "settle" else one.process.upkeep())
        except _ERRORS as failure:
            self.tell(f"{one.name} can't {what}: {type(failure).__name__} {failure}")
        except DomainError as refusal:
            # A slow worker may come to sign an issue of a claim that was issued again meanwhile.
            if refusal.code not in (MOVED_ON, LOST, "claim not signed"):
                raise
            self.tell(f"{one.name}: {refusal.code}")
        else:
            self.tell(f"{one.name} {what}: {int(done)}")
            self.counts[f"{what} did"] += int(done)

    async def die(self, place: int) -> None:
        """End a process with all that it was doing, and start it with nothing in its memory."""
        old = self.processes[place]
        old.life.is_dead = True
        lost = 0
        while inside := [each for each in self.gate.waiting if each.life is old.life]:
            await self.gate.open(self.gate.waiting.index(inside[0]), asyncio.CancelledError())
            lost += 1
        self.counts["deaths"] += 1
        self.tell(f"{old.name} dies with {lost} under way")
        self.processes[place] = self._start(old.name)

    async def die_signing(self, place: int) -> None:
        """End a replica of the isolated signer with all that it was doing, and start it anew."""
        assert self.signers is not None
        lost = await self.signers.restart(place)
        self.counts["signer deaths"] += 1
        self.tell(f"{self.signers.lives[place].name} dies with {lost} under way")

    def process_of(self, waiting: Waiting) -> Running | None:
        """Return the process that somebody waits in."""
        return next((each for each in self.processes if each.life is waiting.life), None)

    # Operators.

    async def operate(self, command: Command[R]) -> R:
        """Let an operator change something, at once."""
        return (await self.quiet.execute(SERVICE, command)).reply()

    async def change_policy(self, changes: Mapping[str, object]) -> None:
        """Let an operator change the policy."""
        reply = await self.operate(ChangePolicy(changes=changes))
        self.books.changed(reply.policy)

    async def put(self, *records: Record) -> None:
        """Keep records as another part of the service would have made them."""

        async def keep(unit: UnitOfWork) -> None:
            await unit.write(at=self.now, changed=records)

        await self.store.transact(keep)

    async def post(self, posting: Posting) -> None:
        """Bring money in."""

        async def bring(unit: UnitOfWork) -> None:
            await unit.write(at=self.now, postings=(posting,))

        await self.store.transact(bring)
        self.gate.touched = True

    async def rotate(self) -> None:
        """Turn the seed epoch over, so that the last one is revealed."""
        await rotate_seed(self.quiet, self.store, self._seeds)
        await self._look_at_epochs()

    # Time and the chain.

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass, and blocks be made unless the chain is late."""
        self.now += milliseconds
        later_s = self.now // 1_000 - self.chain.now_s
        if later_s > 0 and not self.chain_is_late:
            self.make_block(later_s, taken=len(self.chain.pending))
            for server in range(SERVERS):
                if self.dice.chance(800):
                    self.chain.sync(server)

    def make_block(self, later_s: int, *, taken: int) -> None:
        """Make a block with the first messages that wait."""
        exits = self.chain.block(later_s, taken=taken)
        self.counts.update(f"vault {each.name}" for each in exits)
        self._chain_moved = True
        if exits:
            self.tell(f"block at {self.chain.now_s}: {[each.name for each in exits]}")


Happening = Callable[[World], Awaitable[None]]


def name_of(ask: Ask) -> str:
    """Return how the trace names a request; it begins with the player."""
    return f"{ask.player} {ask.kind} {ask.key or ''}".rstrip()
