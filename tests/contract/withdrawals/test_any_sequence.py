"""Any sequence of events: credits, claims, payments, time, outages, rotations, dying servers.

After each event the service's books are reconciled with the vault's own; at the end everything has
ended, and every unit that was withdrawn is in a wallet or back.
"""

import asyncio
import shutil
from collections.abc import Coroutine
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.contracts import pay_owed
from aiba_adapters.devnet.faults import Outage
from aiba_adapters.devnet.wallets import Order, WalletVersion
from aiba_domain.claims.claim import VALIDITY_S
from aiba_domain.economy.commands import ChangePolicy
from tests.contract.withdrawals.books import paid_by, place_of
from tests.contract.withdrawals.world import (
    LATE_S,
    PAID,
    REWARD,
    Json,
    Player,
    World,
    code_of,
    data_of,
    details_of,
)

EXITS: Final = {PAID, 24383, 51532, 17654, 48401, 57202}
"""How the vault may end a claim that the service gave out and a wallet sent."""

REFUSALS: Final = {"pending_claim", "insufficient AIBA"}
KINDS: Final = (WalletVersion.V4R2, WalletVersion.V5R1, WalletVersion.V4R2)
ANYBODY: Final = st.integers(0, len(KINDS) - 1)
MOST_REISSUES: Final = 2


class Events(RuleBasedStateMachine):
    """Players, a service, a vault and a provider, to whom things happen."""

    def __init__(self, prepared: Path, folder: Path) -> None:
        """Begin with players who have fought once."""
        super().__init__()
        self.folder = folder
        # So few jettons that some payouts bounce.
        self.world = World(prepared, folder / "0", vault_jettons=9 * REWARD)
        self.players = [self.world.player(kind, battles=1) for kind in KINDS]
        self.asked: list[tuple[Player, str, int, Json | None]] = []
        self.keys = count(1)
        self.reissues = 0
        self.wallets = [player.wallet for player in self.players]
        self.is_out = False

    @initialize(reissues=st.sampled_from([0, MOST_REISSUES]))
    def decide(self, reissues: int) -> None:
        """An operator says how often an expired claim is issued again."""
        self.reissues = reissues
        self.world.operate(ChangePolicy(changes={"claim_reissues": reissues}))

    # --- what players do ---

    @rule(who=ANYBODY, at_once=st.booleans())
    def fight(self, who: int, *, at_once: bool) -> None:
        """A battle is fought whatever the chain is like, and is worth REWARD."""
        player = self.players[who]
        before = self.world.balance(player)
        answer = data_of(self.world.fight(player, f"b{next(self.keys)}", autoClaim=at_once))
        claimed = int(answer["claim"]["amount"] or 0)
        assert claimed in ((0, REWARD) if at_once else (0,))
        # A refund may come in between, but nothing is ever missing.
        assert self.world.balance(player) >= before + REWARD - claimed

    @rule(who=ANYBODY, amount=st.sampled_from([1, REWARD, 3 * REWARD]))
    def withdraw(self, who: int, amount: int) -> None:
        """A claim is given out, or refused for a reason that holds."""
        player, key = self.players[who], f"k{next(self.keys)}"
        response = self.world.withdraw(player, key, amount=amount)
        claim = response.json()["claim"] if response.is_success else None
        if response.status_code == 503:
            assert self.may_be_unavailable
            assert code_of(response) == "unavailable"
            assert details_of(response)["retryAfterMs"] > 0
        elif claim is None:
            assert code_of(response) in REFUSALS
            assert code_of(response) != "insufficient AIBA" or self.world.balance(player) < amount
        else:
            assert (claim["amount"], claim["toAddress"]) == (str(amount), player.wallet.address.raw)
            assert claim["signatureBase64"]
        if response.status_code != 503:
            self.asked.append((player, key, amount, claim))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """The same key brings the same answer; a claim also while the chain can't be read."""
        player, key, amount, first = data.draw(st.sampled_from(self.asked), label="asked")
        again = self.world.withdraw(player, key, amount=amount)
        if again.status_code == 503:
            # A refusal is remembered behind a look at the chain, and a claim that is being issued
            # again at this moment is signed after one.
            assert self.may_be_unavailable
            assert first is None or self.reissues
            return
        if first is None:
            assert code_of(again) in REFUSALS
            return
        claim = again.json()["claim"]
        assert place_of(claim) == place_of(first)
        # It is the same to the letter unless it was issued again after the first had died.
        made_s = claim["validUntil"] - VALIDITY_S
        assert claim == first or made_s > first["validUntil"]

    @precondition(lambda self: self.asked)
    @rule(who=ANYBODY, step=st.integers(0, 12))
    def hang_up(self, who: int, step: int) -> None:
        """A client goes away at some step; what was begun is taken up or comes back."""
        player = self.players[who]

        async def ask() -> None:
            asked = asyncio.create_task(
                self.world.withdrawing(player, f"h{next(self.keys)}", amount=1)
            )
            await asyncio.sleep(0.0002 if step % 2 else 0)
            for _ in range(step):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

        self.world.run(ask())

    @precondition(lambda self: self.world.issued)
    @rule(data=st.data(), who=ANYBODY, is_mine=st.sampled_from([True, True, True, False]))
    def send(self, data: st.DataObject, who: int, *, is_mine: bool) -> None:
        """Any claim that was ever given out is sent, mostly by the one it is for."""
        claim = data.draw(st.sampled_from(self.world.issued[-6:]), label="claim")
        wallets = {wallet.address.raw: wallet for wallet in self.wallets}
        wallet = wallets[claim["toAddress"]] if is_mine else self.players[who].wallet
        trace = self.world.cashing(wallet, claim)
        if not self.world.chain.is_held:
            exit_code = trace.exit_code(self.world.arena.vault)
            assert exit_code in EXITS
            assert is_mine or exit_code != PAID or wallet.address.raw == claim["toAddress"]

    @rule(who=ANYBODY)
    def change_wallet(self, who: int) -> None:
        """A player proves another wallet; what is under way to the old one goes on."""
        player = self.players[who]
        wallet = self.world.arena.wallet(f"wallet {next(self.keys)}", version=KINDS[who])
        if not self.world.chain.is_held:
            assert self.world.connect(player, wallet).is_success
            self.wallets.append(wallet)

    # --- what happens to the chain ---

    @rule(seconds=st.sampled_from([1, 15, 45, 300, 601, LATE_S]))
    def let_time_pass(self, seconds: int) -> None:
        """Chain and service go on."""
        if seconds <= 60:
            self.world.wait(seconds)
        else:
            self.world.leap(seconds)

    @rule(outage=st.sampled_from([*Outage, None, None]))
    def change_the_providers_day(self, outage: Outage | None) -> None:
        """The provider goes out in some way, or comes back."""
        self.is_out = outage is not None
        if outage is None:
            self.world.devnet.faults.end()
        else:
            self.world.devnet.faults.begin(outage)

    @rule(is_held=st.booleans())
    def change_the_blocks(self, *, is_held: bool) -> None:
        """Blocks are late, or come again with all that waited."""
        if is_held:
            self.world.chain.hold()
        else:
            self.world.chain.release()

    @precondition(lambda self: not self.world.chain.is_held)
    @rule(is_told=st.booleans())
    def rotate(self, *, is_told: bool) -> None:
        """The owner names another key, and the operator gives it to the service at once or not."""
        key = self.world.rotate(f"oracle {next(self.keys)}")
        if is_told:
            self.world.restart(ORACLE_PRIVATE_KEY_HEX=bytes(key).hex())

    @precondition(lambda self: not self.world.chain.is_held)
    @rule(amount=st.integers(1, 5 * REWARD))
    def fill_the_vault(self, amount: int) -> None:
        """The owner makes jettons for the vault; who is owed any collects them."""
        self.world.arena.mint(self.world.arena.vault, amount)
        for wallet in self.wallets:
            if self.world.arena.owed(wallet.address):
                order = Order(destination=self.world.arena.vault, value=TON // 10, body=pay_owed())
                self.world.arena.send(wallet, order)

    # --- what happens to the service ---

    @rule(is_in_order=st.booleans())
    def restart(self, *, is_in_order: bool) -> None:
        """The server ends, in order or at once, and begins anew."""
        if is_in_order:
            self.world.restart()
        else:
            self.world.kill()

    @rule(who=ANYBODY, gate=st.sampled_from(["before", "after"]))
    def die_while_signing(self, who: int, gate: str) -> None:
        """The server dies with a claim reserved, or signed and not kept."""
        gates = self.world.gates
        setattr(gates, gate, asyncio.Event())
        asked = self.world.begin(
            self.world.withdrawing(self.players[who], f"d{next(self.keys)}", amount=1)
        )
        self.world.run(_first(asked, gates.reached.wait()))
        self.world.kill(asked)

    @rule()
    def settle(self) -> None:
        """The settlement has a round."""
        self.world.settle()

    # --- what always holds ---

    @invariant()
    def books_agree(self) -> None:
        """Debited = confirmed + refunded + in flight, as the vault's seqnos and jettons say."""
        self.world.reconcile()

    def teardown(self) -> None:
        """On a good day everything ends, and nothing is missing."""
        world = self.world
        try:
            world.devnet.faults.end()
            world.chain.release()
            for _ in range(MOST_REISSUES + 1):
                world.leap(LATE_S)
                world.settle()
            books = world.reconcile()
            assert books.in_flight == 0
            assert books.confirmed == sum(one.amount for one in paid_by(world.arena))
        finally:
            world.close()
            shutil.rmtree(self.folder)

    @property
    def may_be_unavailable(self) -> bool:
        """Whether the provider is out, or the chain may be too far behind to be believed."""
        return self.is_out or self.world.chain.is_held


async def _first(asked: "asyncio.Task[Any]", reached: Coroutine[Any, Any, Any]) -> None:
    """Wait until the gate is reached, or the request has ended before it."""
    waiting = asyncio.create_task(reached)
    await asyncio.wait((asked, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


def _run(prepared: Path, folder: Path, *, examples: int, steps: int) -> None:
    numbers = count(1)

    def make() -> Events:
        return Events(prepared, folder / f"{next(numbers)}")

    terms = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    run_state_machine_as_test(cast("Any", make), settings=terms)


def test_any_sequence_of_events(prepared: Path, tmp_path: Path) -> None:
    """A few short ones."""
    _run(prepared, tmp_path, examples=4, steps=12)


@pytest.mark.soak
def test_any_long_sequence_of_events(prepared: Path, tmp_path: Path) -> None:
    """Many long ones."""
    _run(prepared, tmp_path, examples=200, steps=40)
