"""What happens in the scenarios: requests, and every flow that talks to a port.

Whatever strikes meanwhile, each comes to its end: clients ask until they are answered, and the
settlement runs.
"""

from typing import Any, Final

from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.deliveries import Deliveries
from aiba_domain.application.upkeep import rotate_seed
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Train
from aiba_domain.brokers.mint_commands import LinkNft
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.claim import Claim
from aiba_domain.claims.commands import BY_BATTLE
from aiba_domain.decision import Command, Principal
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily
from aiba_domain.economy.ledger import player_account
from aiba_domain.economy.treasury_commands import Pot
from aiba_domain.errors import DomainError
from aiba_domain.fairness.commands import MOVED_ON
from aiba_domain.instants import day_key
from aiba_domain.moderation.leader_commands import SyncTopLeaderBadges
from aiba_domain.players.commands import OpenSession
from aiba_domain.ports import Unavailable
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import MAX_AHEAD_S, Lock
from aiba_domain.testing.crash_matrix.bench import Bench, Process
from aiba_domain.testing.crash_matrix.letters import bring_all
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
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR

_MINUTE_MS: Final = 60_000
_DAY_S: Final = 86_400


async def nothing(_bench: Bench) -> None:
    """Do nothing."""


# Commands.


async def issue(kind: type[Command[Any]], key: str | None, bench: Bench) -> None:
    """Issue the call of a command."""
    principal, command = COMMANDS[kind]
    await bench.request(principal, command, key)


async def sign_beforehand(bench: Bench) -> None:
    """Let the signature that is recorded be one that was made."""
    bench.released.append(terms_of(WAITING[0]))


async def send_twice(bench: Bench) -> None:
    """Send a battle and a payment twice; both answers are made of what is stored."""
    for _ in range(2):
        await bench.request(Principal(id=HERO), BATTLE, KEY)
        await bench.request(*COMMANDS[CreateBrokerWithTon])


async def battle_by_arena(bench: Bench) -> None:
    """Fight a battle whose mode is found by arena and league."""
    await bench.request(Principal(id=HERO), RunBattle(broker_id=STARTER, arena="trials"), KEY)


# The life of a service.


async def start(bench: Bench) -> None:
    """Start on an empty store."""
    await bench.ask(lambda _process: bench.start_up())


async def rotate(bench: Bench) -> None:
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


async def check(bench: Bench) -> None:
    """Check the store, then play."""
    await bench.ask(lambda process: process.store.check())
    await issue(Train, KEY, bench)


async def shut_down(bench: Bench) -> None:
    """Play, stop in good order, start again, and play on."""
    await issue(Train, KEY, bench)
    await bench.stop(lambda process: process.store.close())
    await issue(ClaimDaily, KEY, bench)


# Reading.


async def look_around(bench: Bench) -> None:
    """Fight, then ask everything that a player can look at."""
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


async def look_as_operator(bench: Bench) -> None:
    """Fight, lead and link an NFT, then ask everything that an operator can look at."""
    await bench.request(Principal(id=HERO), BATTLE, KEY)
    await bench.request(*COMMANDS[SyncTopLeaderBadges], KEY)
    await bench.request(*COMMANDS[LinkNft], KEY)

    async def look(process: Process) -> list[object]:
        queries = AdminQueries(process.store, bench.clock)
        return [
            await queries.policies(before=None, limit=2),
            await queries.day(day_key(NOON)),
            await queries.movements(player_account(HERO), limit=9),
            await queries.pot(Pot.TREASURY),
            await queries.brought_in(),
            await queries.modes(),
            await queries.brokers(owner=None, minted=True, limit=9),
            await queries.mint_jobs(status=None, limit=9),
            await queries.flagged_brokers(least=1, limit=9),
            await queries.flagged_players(least=1, limit=9),
            await queries.anomalies(limit=9),
            await queries.player(HERO),
            await queries.dashboard(),
        ]

    bench.answers.append(await bench.ask(look))


async def look_at_the_vault(bench: Bench) -> None:
    """Look at what the vault holds and has paid, then withdraw."""
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


async def withdraw_paid(bench: Bench) -> None:
    """Withdraw, bring the claim to the vault, and settle."""
    bench.pay(await _withdraw(bench))
    await bench.settle()


async def withdraw_twice(bench: Bench) -> None:
    """Withdraw, be paid, and withdraw again under the next seqno."""
    await withdraw_paid(bench)
    bench.pay(await bench.withdraw(HERO, AMOUNT, "w2"))
    await bench.settle()


async def withdraw_expired(bench: Bench) -> None:
    """Withdraw, let the claim expire, and settle."""
    await _withdraw(bench)
    bench.expire()
    await bench.settle()


async def allow_reissues(bench: Bench) -> None:
    """Let an expired claim be issued again once."""
    change = ChangePolicy(changes={"claim_reissues": 1})
    await bench.process.pipeline.execute(OPERATOR, change)


async def withdraw_reissued(bench: Bench) -> None:
    """Withdraw, let it expire, be given it again under its seqno, and be paid."""
    await withdraw_expired(bench)
    bench.pay(await _withdraw(bench))
    await bench.settle()


async def settle_under_a_lease(bench: Bench) -> None:
    """Withdraw, bring the claim to the vault, and let a worker settle that holds the lease."""
    bench.pay(await _withdraw(bench))

    async def work(process: Process) -> None:
        lease = await process.leases.acquire("settlement", "worker", _MINUTE_MS)
        assert lease is not None
        await process.withdrawals.under(lease).settle_all()
        renewed = await process.leases.renew(lease, _MINUTE_MS)
        assert renewed is not None
        await process.leases.release(renewed)

    await bench.ask(work)


async def bring_letters(bench: Bench) -> None:
    """Win a battle, and let a worker that holds the lease bring its letter to the player."""
    await bench.request(Principal(id=HERO), BATTLE, KEY)

    async def work(process: Process) -> None:
        lease = await process.leases.acquire("letters", "worker", _MINUTE_MS)
        assert lease is not None
        deliveries = Deliveries(
            pipeline=process.pipeline, store=process.store, notifier=process.notifier
        )
        await bring_all(deliveries.under(lease), bench.postman, bench.clock.advance)
        await process.leases.release(lease)

    await bench.ask(work)


async def withdraw_through_an_outage(bench: Bench) -> None:
    """Withdraw while the chain is down, and again when it is back."""
    bench.reader.down.add(0)
    await bench.try_once(lambda process: process.withdrawals.claim(Principal(id=HERO), AMOUNT, "w"))
    bench.reader.down.clear()
    await withdraw_paid(bench)


async def withdraw_a_reward(bench: Bench) -> None:
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


async def bring_a_payment(bench: Bench) -> None:
    """Let a payment come in on the chain."""
    bench.payments.known[PAYMENT.hash] = PAYMENT


async def buy_a_broker(bench: Bench) -> None:
    """Bring the payment forward twice."""
    for _ in range(2):
        await bench.ask(
            lambda process: process.purchases.create_broker(Principal(id=HERO), PAYMENT.hash)
        )


# The front door.


async def log_in(bench: Bench) -> None:
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


async def start_signing(bench: Bench) -> None:
    """Start a process whose signer begins with an empty memory, and withdraw."""
    await bench.restart()
    await withdraw_paid(bench)


async def signed_elsewhere(bench: Bench) -> None:
    """Let the first claim be signed by another memory, and paid."""
    memory, bench.memory = bench.memory, None
    await bench.connect()
    await withdraw_paid(bench)
    bench.memory = memory
    await bench.connect()
    bench.asked.clear()


async def withdraw_over_a_gap(bench: Bench) -> None:
    """Withdraw under a seqno whose predecessor the signer knows nothing of but from the chain."""
    bench.pay(await bench.withdraw(HERO, AMOUNT, "w2"))
    await bench.settle()


async def lock_and_unlock(bench: Bench) -> None:
    """Sign, lock the memory, open it again by its log and an export, and sign on."""
    await withdraw_paid(bench)

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
    # Told twice, it may rather wait until all that it might have signed has expired.
    bench.expire(MAX_AHEAD_S)
    bench.pay(await bench.withdraw(HERO, AMOUNT, "w2"))
    await bench.settle()


async def close_the_memory(bench: Bench) -> None:
    """Sign, close the memory in good order, start again, and give the same signature."""
    claim = await _withdraw(bench)

    async def close(process: Process) -> None:
        assert process.memory is not None
        await process.memory.close()

    await bench.stop(close)
    bench.pay(claim)
    await bench.settle()
