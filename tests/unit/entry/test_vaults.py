"""How a claim stands: by the chain first, then by chain time, then by what the vault lacks."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.ports import Inventory, Sighting
from aiba_domain.errors import DomainError
from aiba_domain.ports import Unavailable
from aiba_entry.observability import Metrics
from aiba_entry.vaults import ClaimStanding, ClaimStatus, Vaults

VAULT = f"0:{'11' * 32}"
RECIPIENT = f"0:{'55' * 32}"
WALLET = f"0:{'66' * 32}"
LEAST = 1_000


def seen_as(view: ChainView) -> Sighting:
    """Return a view as it was seen half a second ago."""
    return Sighting(view=view, block=77, age_ms=500)


class Chain:
    """A chain that shows what it is told; None for an answer that doesn't come."""

    def __init__(self, seen: ChainView | None, held: Inventory | None) -> None:
        """Show `seen` of a recipient and `held` of the vault."""
        self.seen = seen
        self.held = held
        self.looks: list[tuple[str, ...]] = []

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        """Return what is seen of a recipient."""
        self.looks.append((vault, recipient))
        if self.seen is None:
            raise Unavailable("no view")
        return seen_as(self.seen)

    async def inventory(self, vault: str) -> Inventory:
        """Return what the vault holds."""
        self.looks.append((vault,))
        if self.held is None:
            raise Unavailable("no inventory")
        return self.held


def vaults_on(chain: Chain) -> Vaults:
    """Return vaults on a chain."""
    vaults = Vaults(Metrics(process=False))
    vaults.configure(
        # What issues claims is only handed through.
        withdrawals=cast("Withdrawals", "the withdrawals"),
        chain=chain,
        contracts=Contracts(vault=VAULT, jetton_master=WALLET),
        min_ton_nano=LEAST,
    )
    return vaults


def holding(ton_nano: int = LEAST, jettons: int = 100) -> Inventory:
    """Return an inventory."""
    return Inventory(ton_nano=ton_nano, jetton_wallet=WALLET, jettons=jettons)


def standing(chain: Chain, seqno: int = 5, valid_until_s: int = 600, amount: int = 0) -> Any:  # noqa: ANN401 - a standing, compared as a whole
    """Return how a claim stands on a chain."""
    judged: ClaimStanding = asyncio.run(
        vaults_on(chain).standing(
            RECIPIENT, seqno=seqno, valid_until_s=valid_until_s, amount=amount
        )
    )
    return judged


NEAR = st.integers(-1, 1)


@given(reached=NEAR, late=NEAR, gas=NEAR | st.none(), more=NEAR, amount=st.sampled_from([0, 40]))
def test_d17_every_way_a_claim_can_stand(
    reached: int, late: int, gas: int | None, more: int, amount: int
) -> None:
    """At each edge: reached, over, out of gas, out of jettons, in this order."""
    seen = ChainView(seqno=5 + reached, time_s=600 + late)
    held = None if gas is None else holding(ton_nano=LEAST + gas, jettons=40 + more)
    chain = Chain(seen, held)
    judged = standing(chain, amount=amount)
    faults = [
        (reached >= 0, ClaimStatus.CONFIRMED),
        (late > 0, ClaimStatus.EXPIRED),
        (gas is None, ClaimStatus.PENDING),
        (gas == -1, ClaimStatus.INSUFFICIENT_TON),
        (amount == 40 and more == -1, ClaimStatus.INSUFFICIENT_INVENTORY),
        (True, ClaimStatus.PENDING),
    ]
    assert judged.status is next(status for holds, status in faults if holds)
    assert judged.seen == seen_as(seen)
    is_over = reached >= 0 or late > 0
    assert judged.inventory == (None if is_over else held)
    # One look at the seqno, and none at the inventory where it doesn't matter.
    assert chain.looks == [(VAULT, RECIPIENT), *([] if is_over else [(VAULT,)])]


def test_d17_a_late_confirmation_is_one() -> None:
    """Paid is paid, with the chain a year past the claim's validity and the vault empty."""
    late = Chain(ChainView(seqno=5, time_s=600 + 365 * 86_400), holding(0, 0))
    assert standing(late, amount=1).status is ClaimStatus.CONFIRMED


def test_a_chain_that_can_t_be_read_is_no_state() -> None:
    """No view, no status; the reader's own word goes on to who asked."""
    down = Chain(None, holding())
    for work in (
        vaults_on(down).last_seqno(RECIPIENT),
        vaults_on(down).standing(RECIPIENT, seqno=1, valid_until_s=1, amount=1),
        vaults_on(Chain(None, None)).inventory(),
    ):
        with pytest.raises(Unavailable, match=r"no (view|inventory)"):
            asyncio.run(work)


def test_what_a_vault_answers() -> None:
    """Its address, its least TON, a recipient's seqno and its inventory, as the chain has them."""
    chain = Chain(ChainView(seqno=7, time_s=1), holding(5, 6))
    vaults = vaults_on(chain)
    assert vaults.is_configured
    assert (vaults.address, vaults.min_ton_nano) == (VAULT, LEAST)
    assert vaults.withdrawals() == cast("Withdrawals", "the withdrawals")
    assert asyncio.run(vaults.last_seqno(RECIPIENT)) == seen_as(ChainView(seqno=7, time_s=1))
    assert asyncio.run(vaults.inventory()) == holding(5, 6)
    assert chain.looks == [(VAULT, RECIPIENT), (VAULT,)]


def test_without_a_vault_each_question_says_so() -> None:
    """Nothing is answered by a vault that isn't there."""
    vaults = Vaults(Metrics(process=False))
    assert not vaults.is_configured
    later: list[Coroutine[Any, Any, object]] = [
        vaults.last_seqno(RECIPIENT),
        vaults.inventory(),
        vaults.standing(RECIPIENT, seqno=1, valid_until_s=1, amount=1),
    ]
    for work in later:
        with pytest.raises(DomainError, match="ARENA_VAULT_ADDRESS not configured"):
            asyncio.run(work)
    for ask in (lambda: vaults.address, lambda: vaults.min_ton_nano):
        with pytest.raises(DomainError, match="ARENA_VAULT_ADDRESS not configured"):
            ask()
    with pytest.raises(DomainError, match="vault not configured"):
        vaults.withdrawals()
