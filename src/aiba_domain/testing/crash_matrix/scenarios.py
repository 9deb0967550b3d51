"""The scenarios: every command with a key and without one, and every flow that talks to a port.

Each begins on the stage and comes to an end, whatever strikes meanwhile: clients ask until they are
answered, and the settlement runs. A new port call needs a scenario here that reaches it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from aiba_domain.application.audit import audit_store
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.upkeep import rotate_seed
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Train
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.claim import Claim
from aiba_domain.claims.commands import BY_BATTLE, RecordSignature
from aiba_domain.decision import Command, Principal
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily
from aiba_domain.errors import DomainError
from aiba_domain.fairness.commands import MOVED_ON
from aiba_domain.players.commands import OpenSession
from aiba_domain.ports import Unavailable
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import Lock
from aiba_domain.testing.crash_matrix.bench import Bench, Process
from aiba_domain.testing.crash_matrix.calls import calls
from aiba_domain.testing.crash_matrix.parts import Need
from aiba_domain.testing.crash_matrix.stage import (
    AMOUNT,
    BATTLE,
    COMMANDS,
    HERO,
    KEY,
    PAYMENT,
    STARTER,
    WAITING,
    terms_of,
)
from aiba_domain.testing.playground import OPERATOR

Act = Callable[[Bench], Awaitable[None]]

_MINUTE_MS: Final = 60_000
_DAY_S: Final = 86_400


async def nothing(_bench: Bench) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something that happens, and the port calls that it is here for.

    `prepare` is what nothing strikes at. `begins_empty`: without the stage. `may_differ` names the
    parts of the final state that a fault may change, and says why that is right.
    """

    name: str
    act: Act
    reaches: tuple[str, ...]
    prepare: Act = nothing
    needs: frozenset[Need] = frozenset()
    begins_empty: bool = False
    commands: tuple[type[Command[Any]], ...] = ()
    may_differ: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_command(self) -> bool:
        """Whether it is one command under a key."""
        return [kind.__name__ for kind in self.commands] == [self.name]


# Commands.


async def _issue(kind: type[Command[Any]], key: str | None, bench: Bench) -> None:
    principal, command = COMMANDS[kind]
    await bench.request(principal, command, key)


async def _sign_beforehand(bench: Bench) -> None:
    """Let the signature that is recorded be one that was made."""
    bench.released.append(terms_of(WAITING[0]))


def _commands() -> list[Scenario]:
    """Return each command under a key, and without one where it needs none."""
    found = []
    for kind in COMMANDS:
        prepare = _sign_beforehand if kind is RecordSignature else nothing
        keys = (KEY,) if HANDLERS[kind].keyed else (KEY, None)
        for key in keys:
            again = {"policy": "a change that is made again makes one more version, of the same"}
            found.append(
                Scenario(
                    name=kind.__name__ if key else f"{kind.__name__} without a key",
                    act=partial(_issue, kind, key),
                    reaches=("Store.transact", "UnitOfWork.write", "Clock.now"),
                    prepare=prepare,
                    commands=(kind,),
                    may_differ=again if kind is ChangePolicy and key is None else {},
                )
            )
    return found


async def _send_twice(bench: Bench) -> None:
    """Send a battle and a payment twice; both answers are made of what is stored."""
    for _ in range(2):
        await bench.request(Principal(id=HERO), BATTLE, KEY)
        await bench.request(*COMMANDS[CreateBrokerWithTon])


async def _battle_by_arena(bench: Bench) -> None:
    await bench.request(Principal(id=HERO), RunBattle(broker_id=STARTER, arena="trials"), KEY)


# The life of a service.


async def _start(bench: Bench) -> None:
    await bench.ask(lambda _process: bench.start_up())


async def _rotate(bench: Bench) -> None:
    """Turn the epoch over as the upkeep does: it looks first whether that is due."""

    async def turn(process: Process) -> None:
        if len(await process.queries.epochs()) > 1:
            return
        try:
            await rotate_seed(process.pipeline, process.store, process.seeds)
        except DomainError as refusal:
            if refusal.code != MOVED_ON:
                raise

    await bench.ask(turn)


async def _check(bench: Bench) -> None:
    await bench.ask(lambda process: process.store.check())
    await _issue(Train, KEY, bench)


async def _shut_down(bench: Bench) -> None:
    """Play, stop in good order, start again, and play on."""
    await _issue(Train, KEY, bench)
    await bench.stop(lambda process: process.store.close())
    await _issue(ClaimDaily, KEY, bench)


# Reading.


async def _look_around(bench: Bench) -> None:
    await bench.request(Principal(id=HERO), BATTLE, KEY)

    async def look(process: Process) -> list[object]:
        queries = process.queries
        battles = await queries.battles(HERO, before=None, limit=1)
        return [
            battles,
            await queries.battle(HERO, battles.items[0].id),
            await queries.holdings(HERO),
            await queries.brokers(HERO),
            await queries.modes(arena=None, league=None),
            await queries.claims(WAITING[0], before=None, limit=1),
            await queries.epochs(),
            await queries.policy(),
            await queries.daily(HERO),
            await process.withdrawals.in_flight(),
        ]

    bench.answers.append(await bench.ask(look))


async def _audit(bench: Bench) -> None:
    bench.answers.append(await bench.ask(lambda process: audit_store(process.store)))


async def _look_at_the_vault(bench: Bench) -> None:
    terms = terms_of(HERO)

    async def look(process: Process) -> list[object]:
        return [
            await process.vault.sighting(terms.vault, terms.recipient),
            await process.vault.inventory(terms.vault),
            await process.chain.inventory(terms.vault),
        ]

    bench.answers.append(await bench.ask(look))
    await _withdraw(bench)


# Withdrawals.


async def _withdraw(bench: Bench) -> Claim:
    return await bench.withdraw(HERO, AMOUNT, "w")


async def _withdraw_paid(bench: Bench) -> None:
    bench.pay(await _withdraw(bench))
    await bench.settle()


async def _withdraw_twice(bench: Bench) -> None:
    """Withdraw, be paid, and withdraw again under the next seqno."""
    await _withdraw_paid(bench)
    bench.pay(await bench.withdraw(HERO, AMOUNT, "w2"))
    await bench.settle()


async def _withdraw_expired(bench: Bench) -> None:
    await _withdraw(bench)
    bench.expire()
    await bench.settle()


async def _allow_reissues(bench: Bench) -> None:
    change = ChangePolicy(changes={"claim_reissues": 1})
    await bench.process.pipeline.execute(OPERATOR, change)


async def _withdraw_reissued(bench: Bench) -> None:
    """Withdraw, let it expire, be given it again under its seqno, and be paid."""
    await _withdraw_expired(bench)
    bench.pay(await _withdraw(bench))
    await bench.settle()


async def _withdraw_through_an_outage(bench: Bench) -> None:
    bench.reader.down.add(0)
    await bench.try_once(lambda process: process.withdrawals.claim(Principal(id=HERO), AMOUNT, "w"))
    bench.reader.down.clear()
    await _withdraw_paid(bench)


async def _withdraw_a_reward(bench: Bench) -> None:
    """Fight a battle whose reward is withdrawn at once; ask again until the claim is there."""

    async def fight(process: Process) -> Claim:
        principal = Principal(id=HERO)
        battle = (await process.pipeline.execute(principal, BATTLE, KEY)).reply().battle
        reward = battle.receipt.grant.aiba
        claim = await process.withdrawals.claim_battle(principal, reward, KEY)
        if claim is None:
            raise Unavailable("the reward stays in the balance for now")
        return claim

    claim = await bench.ask(fight)
    assert claim.source_type == BY_BATTLE
    bench.pay(claim)
    await bench.settle()


async def _bring_a_payment(bench: Bench) -> None:
    bench.payments.known[PAYMENT.hash] = PAYMENT


async def _buy_a_broker(bench: Bench) -> None:
    for _ in range(2):
        await bench.ask(
            lambda process: process.purchases.create_broker(Principal(id=HERO), PAYMENT.hash)
        )


# The front door.


async def _log_in(bench: Bench) -> None:
    """Open a session by a proof, and play by its token."""
    door = bench.parts.front_door
    assert door is not None
    now_ms = bench.clock.now()
    proof = door.prove(HERO, now_ms // 1_000)

    async def enter(process: Process) -> str:
        assert process.identities is not None
        assert process.sessions is not None
        await _count(process, proof, now_ms)
        who = process.identities.identify(proof, now_s=now_ms // 1_000, max_age_s=_DAY_S)
        lives_ms = who.auth_date * 1_000 + _DAY_S * 1_000 - now_ms
        command = OpenSession(init_data_digest=who.digest, lifetime_ms=lives_ms)
        answer = await process.pipeline.execute(Principal(id=who.player_id), command)
        session = answer.reply().session
        return process.sessions.issue(who.player_id, session.id, session.expires_at)

    token = await bench.ask(enter)
    bench.answers.append(token)

    async def play(process: Process) -> object:
        assert process.sessions is not None
        await _count(process, token, now_ms)
        session = process.sessions.read(token, now_ms)
        principal, command = Principal(id=session.player_id), COMMANDS[Train][1]
        answer = await process.pipeline.execute(principal, command, KEY)
        return session.session_id, session.expires_at_ms, answer.reply()

    bench.answers.append(await bench.ask(play))


async def _count(process: Process, caller: str, now_ms: int) -> None:
    assert process.limiter is not None
    verdict = await process.limiter.hit(
        "requests", caller, limit=20, window_ms=_MINUTE_MS, now_ms=now_ms
    )
    assert verdict.allowed, f"a client within the limit is refused: {verdict}"


# The isolated signer.


async def _start_signing(bench: Bench) -> None:
    """Start a process whose signer begins with an empty memory, and withdraw."""
    await bench.restart()
    await _withdraw_paid(bench)


async def _signed_elsewhere(bench: Bench) -> None:
    """Let the first claim be signed by another memory, and paid."""
    memory, bench.memory = bench.memory, None
    await bench.connect()
    await _withdraw_paid(bench)
    bench.memory = memory
    await bench.connect()
    bench.asked.clear()


async def _withdraw_over_a_gap(bench: Bench) -> None:
    """Withdraw under a seqno whose predecessor the signer knows nothing of but from the chain."""
    bench.pay(await bench.withdraw(HERO, AMOUNT, "w2"))
    await bench.settle()


async def _lock_and_unlock(bench: Bench) -> None:
    """Sign, lock the memory, open it again by its log and an export, and sign on."""
    await _withdraw_paid(bench)

    async def lock(process: Process) -> Protection:
        assert process.memory is not None
        await process.memory.transact(lambda unit: unit.lock(Lock.OPERATOR))
        return await process.memory.transact(lambda unit: unit.dump())

    export = await bench.ask(lock)

    async def unlock(process: Process) -> None:
        isolated = bench.parts.isolated
        assert isolated is not None
        assert process.memory is not None
        assert process.signing_chain is not None
        log = list(isolated.log(bench.folder))
        await isolated.unlock(process.memory, process.signing_chain, log, export)

    await bench.ask(unlock)
    bench.expire()
    bench.pay(await bench.withdraw(HERO, AMOUNT, "w2"))
    await bench.settle()


async def _close_the_memory(bench: Bench) -> None:
    """Sign, close the memory in good order, start again, and give the same signature."""
    claim = await _withdraw(bench)

    async def close(process: Process) -> None:
        assert process.memory is not None
        await process.memory.close()

    await bench.stop(close)
    bench.pay(claim)
    await bench.settle()


_DOOR: Final = frozenset({Need.FRONT_DOOR})
_ISOLATED: Final = frozenset({Need.ISOLATED})

_FLOWS: Final = (
    Scenario(
        name="a battle by its arena",
        act=_battle_by_arena,
        reaches=("Reader.modes", "SeedSecrets.secret"),
        commands=(RunBattle,),
    ),
    Scenario(
        name="requests sent twice",
        act=_send_twice,
        reaches=(
            "Observer.committed",
            "Observer.replayed",
            "Reader.battle",
            "Reader.guild_of",
            "Reader.listing",
            "Reader.rivals_of",
            "UnitOfWork.remembered",
        ),
        commands=(RunBattle, CreateBrokerWithTon),
    ),
    Scenario(
        name="a first start",
        act=_start,
        reaches=("Reader.epoch", "Reader.modes", "SeedSecrets.secret"),
        begins_empty=True,
    ),
    Scenario(name="a new seed epoch", act=_rotate, reaches=("Reader.epochs",)),
    Scenario(name="a check of health", act=_check, reaches=("Store.check",)),
    Scenario(
        name="a stop in good order",
        act=_shut_down,
        reaches=("Store.close",),
        needs=frozenset({Need.REOPEN}),
    ),
    Scenario(
        name="a look around",
        act=_look_around,
        reaches=(
            "Reader.battles_of",
            "Reader.brokers_of",
            "Reader.claims_of",
            "Reader.open_claims",
            "Store.read",
        ),
    ),
    Scenario(name="an audit", act=_audit, reaches=("Reader.accounts", "Reader.entries")),
    Scenario(
        name="a look at the vault",
        act=_look_at_the_vault,
        reaches=("ChainReader.inventory", "VaultReader.inventory", "VaultReader.sighting"),
    ),
    Scenario(
        name="a withdrawal, paid",
        act=_withdraw_paid,
        reaches=("ChainReader.view", "Reader.claim", "Reader.open_claims", "Signer.sign"),
    ),
    Scenario(
        name="two withdrawals, paid",
        act=_withdraw_twice,
        reaches=("Reader.confirmed_seqno", "Reader.open_claim", "Reader.claimed"),
    ),
    Scenario(
        name="a withdrawal, expired",
        act=_withdraw_expired,
        reaches=("ChainReader.view", "Signer.sign"),
    ),
    Scenario(
        name="a withdrawal, issued again",
        act=_withdraw_reissued,
        reaches=("ChainReader.view", "Signer.sign"),
        prepare=_allow_reissues,
    ),
    Scenario(
        name="a withdrawal through an outage",
        act=_withdraw_through_an_outage,
        reaches=("Observer.failed",),
    ),
    Scenario(
        name="a reward, withdrawn at once",
        act=_withdraw_a_reward,
        reaches=("ChainReader.view", "Signer.sign"),
        commands=(RunBattle,),
    ),
    Scenario(
        name="a broker for TON",
        act=_buy_a_broker,
        reaches=("PaymentReader.payment", "Reader.payment_use"),
        prepare=_bring_a_payment,
        commands=(CreateBrokerWithTon,),
    ),
    Scenario(
        name="a session",
        act=_log_in,
        reaches=tuple(
            name
            for name, call in calls().items()
            if call.port in {"Identity", "Identities", "SessionClaim", "Sessions", "RateLimiter"}
        ),
        needs=_DOOR,
    ),
    Scenario(
        name="an isolated signer",
        act=_start_signing,
        reaches=(
            "Key.public_key",
            "Key.sign",
            "ProtectionStore.transact",
            "ProtectionUnit.note",
            "ProtectionUnit.protect",
            "ProtectionUnit.standing",
            "Signer.sign",
            "SigningChain.time_s",
        ),
        needs=_ISOLATED,
    ),
    Scenario(
        name="an isolated signer over a gap",
        act=_withdraw_over_a_gap,
        reaches=("ProtectionUnit.raise_mark", "SigningChain.view"),
        prepare=_signed_elsewhere,
        needs=_ISOLATED,
    ),
    Scenario(
        name="an isolated signer, locked and unlocked",
        act=_lock_and_unlock,
        reaches=(
            "ProtectionUnit.dump",
            "ProtectionUnit.learned",
            "ProtectionUnit.lock",
            "ProtectionUnit.recipients",
            "ProtectionUnit.restore",
            "ProtectionUnit.state",
            "ProtectionUnit.unlock",
            "SigningChain.view",
        ),
        needs=_ISOLATED,
    ),
    Scenario(
        name="an isolated signer, stopped",
        act=_close_the_memory,
        reaches=("ProtectionStore.close",),
        needs=_ISOLATED,
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.name: scenario for scenario in (*_commands(), *_FLOWS)
}
"""All scenarios by name, the commands' first."""
