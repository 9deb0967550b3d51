"""Any sequence of events: credits, claims, payments, time, outages, rotations, dying servers.

After each event the service's books are reconciled with the vault's own; at the end everything has
ended, and every unit that was withdrawn is in a wallet or back.
"""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
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

Draw = Callable[[st.SearchStrategy[Any]], Any]

EXITS: Final = {PAID, 24383, 51532, 17654, 48401, 57202}
"""How the vault may end a claim that the service gave out and a wallet sent."""

REFUSALS: Final = {"pending_claim", "insufficient AIBA"}
KINDS: Final = (WalletVersion.V4R2, WalletVersion.V5R1, WalletVersion.V4R2)
MOST_REISSUES: Final = 2
RECOVERY_S: Final = 15
"""After so many seconds no look at the chain is under way that was begun in an outage."""


WEIGHTS: Final = {
    "withdraw": 6,
    "send": 6,
    "fight": 3,
    "let_time_pass": 4,
    "settle": 3,
    "ask_again": 2,
    "hang_up": 1,
    "change_wallet": 1,
    "change_the_providers_day": 2,
    "change_the_blocks": 1,
    "rotate": 1,
    "fill_the_vault": 1,
    "restart": 1,
    "die_while_signing": 1,
}
"""How often each event happens, by the name of its method."""

EVENTS: Final = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


class Events(RuleBasedStateMachine):
    """Players, a service, a vault and a provider, to whom things happen.

    There is one rule, since of many Hypothesis leaves out some in each run, and most runs would be
    without claims.
    """

    def __init__(self, prepared: Path, folder: Path) -> None:
        """Begin with players who have fought."""
        super().__init__()
        self.folder = folder
        # So few jettons that some payouts bounce.
        self.world = World(prepared, folder / "0", vault_jettons=9 * REWARD)
        self.players = [self.world.player(kind, battles=2) for kind in KINDS]
        self.wallets = [player.wallet for player in self.players]
        self.asked: list[tuple[Player, str, int, Json | None]] = []
        self.keys = count(1)
        self.reissues = 0
        self.is_out = False

    @initialize(reissues=st.sampled_from([0, MOST_REISSUES]))
    def decide(self, reissues: int) -> None:
        """An operator says how often an expired claim is issued again."""
        self.reissues = reissues
        self.world.operate(ChangePolicy(changes={"claim_reissues": reissues}))

    @rule(name=st.sampled_from(EVENTS), data=st.data())
    def something_happens(self, name: str, data: st.DataObject) -> None:
        """One of the events below."""
        getattr(self, name)(data.draw)

    # --- what players do ---

    def fight(self, draw: Draw) -> None:
        """A battle is fought whatever the chain is like, and is worth REWARD."""
        player, at_once = draw(self.anybody), draw(st.booleans())
        before = self.world.balance(player)
        answer = data_of(self.world.fight(player, f"b{next(self.keys)}", autoClaim=at_once))
        claimed = int(answer["claim"]["amount"] or 0)
        assert claimed in ((0, REWARD) if at_once else (0,))
        # A refund may come in between, but nothing is ever missing.
        assert self.world.balance(player) >= before + REWARD - claimed

    def withdraw(self, draw: Draw) -> None:
        """A claim is given out, or refused for a reason that holds."""
        player, amount = draw(self.anybody), draw(st.sampled_from([1, REWARD, 3 * REWARD]))
        key = f"k{next(self.keys)}"
        response = self.world.withdraw(player, key, amount=amount)
        claim = response.json()["claim"] if response.is_success else None
        if response.status_code == 503:
            assert self.may_be_unavailable
            assert code_of(response) == "unavailable"
            assert details_of(response)["retryAfterMs"] > 0
            return
        self.asked.append((player, key, amount, claim))
        if claim is None:
            assert code_of(response) in REFUSALS
            assert code_of(response) != "insufficient AIBA" or self.world.balance(player) < amount
        else:
            assert (claim["amount"], claim["toAddress"]) == (str(amount), player.wallet.address.raw)
            assert claim["signatureBase64"]

    def ask_again(self, draw: Draw) -> None:
        """The same key brings the same answer, also while the chain can't be read."""
        if not self.asked:
            return
        player, key, amount, first = draw(st.sampled_from(self.asked))
        again = self.world.withdraw(player, key, amount=amount)
        if again.status_code == 503:
            # A claim that is being issued again at this moment is signed after a look at the chain.
            assert self.may_be_unavailable
            assert first is not None
            assert self.reissues
            return
        if first is None:
            assert code_of(again) in REFUSALS
            return
        claim = again.json()["claim"]
        assert place_of(claim) == place_of(first)
        # It is the same to the letter unless it was issued again after the first had died.
        made_s = claim["validUntil"] - VALIDITY_S
        assert claim == first or made_s > first["validUntil"]

    def hang_up(self, draw: Draw) -> None:
        """A client goes away at some step; what was begun is taken up or comes back."""
        player, step = draw(self.anybody), draw(st.integers(0, 12))
        key = f"h{next(self.keys)}"

        async def ask() -> None:
            asked = asyncio.create_task(self.world.withdrawing(player, key, amount=1))
            await asyncio.sleep(0.0002 if step % 2 else 0)
            for _ in range(step):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

        self.world.run(ask())

    def send(self, draw: Draw) -> None:
        """Any claim that was given out is sent, mostly the last, mostly by the one it is for."""
        if not self.world.issued:
            return
        back = draw(st.integers(1, min(6, len(self.world.issued))))
        claim = self.world.issued[-back]
        wallets = {wallet.address.raw: wallet for wallet in self.wallets}
        is_mine = draw(st.sampled_from([True, True, True, False]))
        wallet = wallets[claim["toAddress"]] if is_mine else draw(self.anybody).wallet
        trace = self.world.cashing(wallet, claim)
        if not self.world.chain.is_held:
            exit_code = trace.exit_code(self.world.arena.vault)
            assert exit_code in EXITS
            assert exit_code != PAID or wallet.address.raw == claim["toAddress"]

    def change_wallet(self, draw: Draw) -> None:
        """A player proves another wallet; what is under way to the old one goes on."""
        player = draw(self.anybody)
        kind = draw(st.sampled_from(WalletVersion))
        if self.world.chain.is_held:
            return
        wallet = self.world.arena.wallet(f"wallet {next(self.keys)}", version=kind)
        assert self.world.connect(player, wallet).is_success
        self.wallets.append(wallet)

    # --- what happens to the chain ---

    def let_time_pass(self, draw: Draw) -> None:
        """Chain and service go on."""
        seconds = draw(st.sampled_from([1, 15, 45, 300, 601, LATE_S]))
        if seconds <= 60:
            self.world.wait(seconds)
        else:
            self.world.leap(seconds)

    def change_the_providers_day(self, draw: Draw) -> None:
        """The provider goes out in some way, or comes back."""
        outage = draw(st.sampled_from([None, None, None, *Outage]))
        self.is_out = outage is not None
        if outage is None:
            self.world.devnet.faults.end()
            self.world.wait(RECOVERY_S)
        else:
            self.world.devnet.faults.begin(outage)

    def change_the_blocks(self, _draw: Draw) -> None:
        """Blocks are late, or come again with all that waited."""
        if self.world.chain.is_held:
            self.world.chain.release()
            self.world.wait(RECOVERY_S)
        else:
            self.world.chain.hold()

    def rotate(self, draw: Draw) -> None:
        """The owner names another key, and the operator gives it to the service at once or not."""
        is_told = draw(st.booleans())
        if self.world.chain.is_held:
            return
        key = self.world.rotate(f"oracle {next(self.keys)}")
        if is_told:
            self.world.restart(ORACLE_PRIVATE_KEY_HEX=bytes(key).hex())

    def fill_the_vault(self, draw: Draw) -> None:
        """The owner makes jettons for the vault; who is owed any collects them."""
        amount = draw(st.integers(1, 5 * REWARD))
        if self.world.chain.is_held:
            return
        self.world.arena.mint(self.world.arena.vault, amount)
        for wallet in self.wallets:
            if self.world.arena.owed(wallet.address):
                order = Order(destination=self.world.arena.vault, value=TON // 10, body=pay_owed())
                self.world.arena.send(wallet, order)

    # --- what happens to the service ---

    def restart(self, draw: Draw) -> None:
        """The server ends, in order or at once, and begins anew."""
        if draw(st.booleans()):
            self.world.restart()
        else:
            self.world.kill()

    def die_while_signing(self, draw: Draw) -> None:
        """The server dies with a claim reserved, or signed and not kept."""
        player, gate = draw(self.anybody), draw(st.sampled_from(["before", "after"]))
        gates = self.world.gates
        setattr(gates, gate, asyncio.Event())
        asked = self.world.begin(self.world.withdrawing(player, f"d{next(self.keys)}", amount=1))
        self.world.run(_first(asked, gates.reached.wait()))
        self.world.kill(asked)

    def settle(self, _draw: Draw) -> None:
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
    def anybody(self) -> st.SearchStrategy[Player]:
        """One of the players."""
        return st.sampled_from(self.players)

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
    _run(prepared, tmp_path, examples=5, steps=16)


@pytest.mark.soak
def test_any_long_sequence_of_events(prepared: Path, tmp_path: Path) -> None:
    """Many long ones."""
    _run(prepared, tmp_path, examples=200, steps=40)
