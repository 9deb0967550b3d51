"""Claims that meet each other, and claims whose process dies: nothing twice, nothing lost."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from aiba_domain.application.pipeline import Answer
from aiba_domain.battle.commands import RunBattle
from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.claims.commands import BY_BATTLE
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError
from aiba_domain.ids import derive_id
from aiba_domain.testing.chain import Exit, ModelReader, ModelSigner
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.strategies import wallet_of
from tests.support.arena import set_up, starter
from tests.unit.claims.support import LATE_S, Bank, cheque

REWARD = 100
"""What a starter wins in a `sure` mode, in AIBA."""


class FragileSigner(ModelSigner):
    """A signer that dies before or after it signs, and looks at what is stored when it is asked."""

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.bank = bank
        self.dies = ""
        self.stored: list[bool] = []

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign unless it dies, and note whether the reservation was durable."""
        open_claim = await self.bank.play.store.read(
            lambda read: read.open_claim(terms.vault, terms.recipient)
        )
        self.stored.append(open_claim is not None and open_claim.terms == terms)
        if self.dies == "before":
            raise Crash("before the signature")
        signed = await super().sign(terms)
        if self.dies == "after":
            raise Crash("after the signature")
        return signed


def fragile(bank: Bank) -> FragileSigner:
    """Give a bank a fragile signer."""
    signer = FragileSigner(bank)
    bank.signer = bank.withdrawals._signer = signer
    return signer


async def fight_and_claim(bank: Bank, player: str, broker: str, key: str) -> Claim | None:
    """Fight a battle and withdraw its reward, as the route of battles does."""
    principal = Principal(id=player)
    command = RunBattle(broker_id=broker, mode_key="sure")
    answer = await bank.play.pipeline.execute(principal, command, key)
    reward = answer.reply().battle.receipt.grant.aiba
    assert reward == REWARD
    return await bank.withdrawals.claim_battle(principal, reward, key)


def dying(
    bank: Bank, prepare: Callable[[str], None], act: Callable[[str], object]
) -> Iterator[str]:
    """Let `act` die at its first point, its second and so on, each time for a new player.

    Yields each player for whom it died.
    """
    for point in count(1):
        player = str(point)
        prepare(player)
        bank.play.faults.crash_at(point)
        with contextlib.suppress(Crash):
            act(player)
        if bank.play.faults.disarm():
            assert point > 5
            return
        yield player


# D-10: two claims with one seqno.


@pytest.mark.parametrize("seconds", [0, 30])
def test_d10_a_claim_and_an_auto_claim_at_once_never_share_a_seqno(
    bank: Bank, seconds: int
) -> None:
    """One of them is reserved, the other told to wait or left in the balance; seqno 2 is next."""
    set_up(bank.play)
    bank.open("1", 500)
    broker = starter(bank.play, "1")
    bank.wait(seconds)

    async def together() -> list[Any]:
        asked = [bank.asking("1", 10 + number, f"request-{number}") for number in range(3)]
        fights = [fight_and_claim(bank, "1", broker, f"battle-{number}") for number in range(3)]
        return list(await asyncio.gather(*asked, *fights, return_exceptions=True))

    results = bank.play.run(together())
    (claim,) = bank.claims("1")
    granted = [
        result.reply().claim if isinstance(result, Answer) else result
        for result in results
        if result is not None and not isinstance(result, DomainError)
    ]
    assert granted == [claim]
    refusals = [result.code for result in results if isinstance(result, DomainError)]
    assert set(refusals) <= {"pending_claim"}
    assert bank.aiba("1") == 500 + 3 * REWARD - claim.terms.amount
    assert bank.send(claim) is Exit.PAID
    bank.settle()
    assert bank.claim("1", 1, "next").terms.seqno == 2


class SlowReader(ModelReader):
    """A reader whose answers come late: what was seen is old when it arrives."""

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Look, and wait until the answer may arrive."""
        seen = await super().view(vault, recipient)
        self.looked.set()
        await self.arrives.wait()
        return seen

    def hold(self) -> None:
        """Hold the next answers back."""
        self.looked, self.arrives = asyncio.Event(), asyncio.Event()


def test_d10_a_view_from_before_another_claim_gives_its_seqno_to_nobody(bank: Bank) -> None:
    """A request that read the chain before another claim was made and paid gets seqno 2."""
    bank.open("1", 100)
    quick, slow = bank.reader, SlowReader(bank.chain)

    async def overtaken() -> Claim:
        slow.hold()
        bank.withdrawals._chain = slow
        late = asyncio.create_task(bank.asking("1", 10, "late"))
        await slow.looked.wait()
        bank.withdrawals._chain = quick
        first = (await bank.asking("1", 20, "first")).reply().claim
        bank.chain.send(cheque(first))
        assert bank.chain.block() == [Exit.PAID]
        bank.chain.sync()
        assert await bank.withdrawals.settle_all() == 1
        slow.arrives.set()
        return (await late).reply().claim

    claim = bank.play.run(overtaken())
    assert claim.terms.seqno == 2
    assert bank.send(claim) is Exit.PAID
    assert bank.settle() == 1
    assert (bank.aiba("1"), bank.in_flight()) == (70, 0)


# D-79: signed before it was debited.


def test_d79_nothing_is_signed_before_its_reservation_is_durable(bank: Bank) -> None:
    """Wherever a claim dies, a signature exists only for what is stored; the key brings it."""
    signer = fragile(bank)

    def prepare(player: str) -> None:
        bank.open(player, 100)

    def act(player: str) -> object:
        return bank.claim(player, 40)

    for player in dying(bank, prepare, act):
        reserved = bank.claims(player)
        assert [claim.terms.amount for claim in reserved] in ([], [40])
        assert bank.aiba(player) == 100 - 40 * len(reserved)
        mine = [terms for terms in signer.released if terms.recipient == wallet_of(player)]
        assert mine in ([], [claim.terms for claim in reserved])
        claim = bank.claim(player, 40)
        assert (claim.state, bank.aiba(player)) == (ClaimState.SIGNED, 60)
        assert bank.claims(player) == [claim]
    assert signer.stored
    assert all(signer.stored)


@pytest.mark.parametrize("refused", ["insufficient AIBA", "amount must be > 0", "pending_claim"])
def test_d79_a_claim_that_is_refused_is_not_signed(bank: Bank, refused: str) -> None:
    """The signer never hears of what can't be debited."""
    bank.open("1", 100)
    if refused == "pending_claim":
        bank.claim("1", 1, "open")
    signed = list(bank.signer.released)
    amount = {"insufficient AIBA": 101, "amount must be > 0": 0}.get(refused, 5)
    assert bank.refusal("1", amount, "k").code == refused
    assert bank.signer.released == signed


# D-80: an auto-claim lost in a crash.


def test_d80_a_battle_and_its_claim_survive_a_crash_anywhere(bank: Bank) -> None:
    """Between and within battle, reservation and signature: the key brings one signed claim."""
    set_up(bank.play)
    signer = fragile(bank)

    def prepare(player: str) -> None:
        bank.open(player)
        starter(bank.play, player)

    def act(player: str) -> Claim | None:
        broker = derive_id("starter", player)
        return bank.play.run(fight_and_claim(bank, player, broker, "k"))

    for player in dying(bank, prepare, act):
        won = bank.aiba(player) + sum(claim.terms.amount for claim in bank.claims(player))
        assert won in {0, REWARD}
        claim = act(player)
        assert claim is not None
        assert (claim.state, claim.source_type) == (ClaimState.SIGNED, BY_BATTLE)
        assert (claim.terms.amount, bank.aiba(player)) == (REWARD, 0)
        assert bank.claims(player) == [claim]
        assert bank.send(claim) is Exit.PAID
    assert all(signer.stored)


@pytest.mark.parametrize("dies", ["before", "after"])
def test_d80_a_crash_of_the_signer_loses_no_claim(bank: Bank, dies: str) -> None:
    """Signed or not when it died: the same key brings the claim with the one signature."""
    bank.open("1", 100)
    signer = fragile(bank)
    signer.dies = dies
    with pytest.raises(Crash):
        bank.claim("1", 40)
    assert [claim.state for claim in bank.claims("1")] == [ClaimState.RESERVED]
    signer.dies = ""
    claim = bank.claim("1", 40)
    assert claim.state is ClaimState.SIGNED
    assert bank.aiba("1") == 60
    assert set(signer.released) == {claim.terms}
    assert bank.send(claim) is Exit.PAID


@pytest.mark.parametrize("down", ["chain", "signer"])
def test_d80_an_outage_leaves_the_reward_for_the_next_try(bank: Bank, down: str) -> None:
    """The battle is won all the same; its claim comes with the same key once all is up again."""
    set_up(bank.play)
    bank.open("1")
    broker = starter(bank.play, "1")
    bank.signer.is_down = down == "signer"
    bank.reader.down = {0} if down == "chain" else set()
    assert bank.play.run(fight_and_claim(bank, "1", broker, "k")) is None
    assert bank.aiba("1") + bank.in_flight() == REWARD
    bank.signer.is_down = False
    bank.reader.down.clear()
    claim = bank.play.run(fight_and_claim(bank, "1", broker, "k"))
    assert claim is not None
    assert (claim.terms.amount, bank.aiba("1")) == (REWARD, 0)
    assert bank.send(claim) is Exit.PAID


def test_d80_a_reward_that_can_t_be_claimed_stays_in_the_balance(bank: Bank) -> None:
    """Without a wallet, or with a claim open, a battle with auto-claim is just a battle."""
    set_up(bank.play)
    broker = starter(bank.play, "1")
    assert bank.play.run(fight_and_claim(bank, "1", broker, "a")) is None
    bank.open("1")
    bank.claim("1", 10, "open")
    assert bank.play.run(fight_and_claim(bank, "1", broker, "b")) is None
    assert bank.aiba("1") == 2 * REWARD - 10
    bank.wait(LATE_S)
    bank.settle()
    assert bank.claim("1", None, "rest").terms.amount == 2 * REWARD


@pytest.mark.parametrize("is_paid", [True, False])
def test_d80_a_settlement_that_crashes_anywhere_is_done_by_the_next(
    bank: Bank, *, is_paid: bool
) -> None:
    """Wherever a settlement dies, the claim is open or ended, and its money is where it says."""

    def prepare(player: str) -> None:
        bank.open(player, 10)
        claim = bank.claim(player)
        if is_paid:
            bank.send(claim)
        bank.wait(LATE_S)

    for player in dying(bank, prepare, lambda _player: bank.settle()):
        (claim,) = bank.claims(player)
        assert bank.in_flight() == (10 if claim.is_open else 0)
        bank.settle()
        assert bank.in_flight() == 0
        assert bank.aiba(player) == (0 if is_paid else 10)
