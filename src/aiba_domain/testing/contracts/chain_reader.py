"""What a chain reader owes: "this late, and still below this seqno" is a fact, or no answer at all.

A refund hangs on it. So for every answer: by the block time it names, the vault had paid no more
than the seqno it names; and it names no payment that was not made.
"""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.ports import ChainReader
from aiba_domain.ports import Unavailable
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(("pay", "wait", "wait", "view", "view")),
        st.integers(0, 1),  # whom
        st.sampled_from((1, 5, 60)),  # how long
    ),
    max_size=8,
)
"""What happens on a stage: something is paid, time passes, or somebody looks."""


class MovedChain(Protocol):
    """A chain that the author can move.

    `vault` is the vault's raw address, `recipients` those of two wallets that it never paid.
    """

    @property
    def vault(self) -> str:
        """Return the vault's raw address."""
        ...

    @property
    def recipients(self) -> Sequence[str]:
        """Return the raw addresses of two wallets."""
        ...

    async def pay(self, recipient: str) -> None:
        """Let the vault pay the recipient's next seqno one jetton, in a block that is made now."""
        ...

    async def wait(self, seconds: int) -> None:
        """Let so much time pass, on the chain as for the reader, and a block be made."""
        ...

    async def time_s(self) -> int:
        """Return the time of the chain's newest block, in seconds since the Unix epoch."""
        ...

    async def jettons(self) -> int:
        """Return what the vault holds."""
        ...

    async def hold(self, *, on: bool) -> None:
        """Keep the chain's news from what the reader asks from now on, or no longer.

        Asked for with the capability `late-blocks` only.
        """
        ...


S = TypeVar("S", bound=MovedChain)


class ChainStage(MovedChain, Protocol):
    """A chain that the author can move, with the reader that looks at it."""

    @property
    def reader(self) -> ChainReader:
        """Return the adapter."""
        ...


class Facts(Generic[S]):
    """Notes what really happened on a stage, and holds what was seen against it."""

    def __init__(self, runner: asyncio.Runner, stage: S) -> None:
        """Watch `stage`, which was opened inside `runner`."""
        self.runner = runner
        self.stage = stage
        self.paid: dict[str, list[int]] = {one: [] for one in stage.recipients}

    def pay(self, recipient: str) -> None:
        """Let the vault pay, and note when."""
        self.runner.run(self.stage.pay(recipient))
        self.paid[recipient].append(self.runner.run(self.stage.time_s()))

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.runner.run(self.stage.wait(seconds))

    def check(self, seen: ChainView, recipient: str) -> ChainView:
        """Check an answer about a recipient against what happened, and return it."""
        paid = self.paid[recipient]
        newest = self.runner.run(self.stage.time_s())
        by_then = sum(at < seen.time_s for at in paid)
        same(type(seen.seqno), int, "the type of a seqno")
        same(type(seen.time_s), int, "the type of a block time")
        holds(seen.seqno <= len(paid), f"seqno {seen.seqno} was paid; only {len(paid)} were")
        holds(
            seen.seqno >= by_then,
            f"by {seen.time_s} no more than seqno {seen.seqno} was paid; {by_then} were",
        )
        holds(seen.time_s <= newest, f"{seen.time_s} is no later than the newest block's {newest}")
        return seen


class Watch(Facts[ChainStage]):
    """Looks by a chain reader."""

    def view(self, recipient: str) -> ChainView:
        """Look, and check the answer against what happened."""
        seen = self.runner.run(self.stage.reader.view(self.stage.vault, recipient))
        return self.check(seen, recipient)


class ChainReaderContract(PortContract):
    """Subclass and say how to open a stage: a chain that can be moved, and the reader of it.

    `late-blocks`: the stage's `hold` keeps news back. `faults`: `outage(stage)` lets everything
    that the reader asks fail while it is entered.
    """

    port = "ChainReader"
    version = "1.0"

    @abstractmethod
    async def open_stage(self, folder: Path) -> ChainStage:
        """Open a stage with a vault that has paid nobody yet; `release` closes it."""

    @pytest.fixture(name="watch")
    def _watch(self, runner: asyncio.Runner, opening: Opening, tmp_path: Path) -> Iterator[Watch]:
        with opening:
            stage = runner.run(self.open_stage(tmp_path))
        yield Watch(runner, stage)
        runner.run(self.release(stage))

    @base
    def test_nobody_was_paid_at_first(self, watch: Watch) -> None:
        """The seqno of a wallet that never claimed is 0."""
        for recipient in watch.stage.recipients:
            same(watch.view(recipient).seqno, 0, "the seqno before any payment")

    def test_each_payment_raises_its_recipients_seqno(self, watch: Watch) -> None:
        """By one, and nobody else's."""
        one, other = watch.stage.recipients[:2]
        for seqno in (1, 2, 3):
            watch.pay(one)
            watch.wait(60)
            same(watch.view(one).seqno, seqno, f"the seqno a minute after payment {seqno}")
        same(watch.view(other).seqno, 0, "another recipient's seqno")

    def test_time_passes_with_the_chains(self, watch: Watch) -> None:
        """A claim can expire: after ten minutes the block time is later by about as much."""
        one = watch.stage.recipients[0]
        before = watch.view(one).time_s
        watch.wait(600)
        watch.wait(60)
        holds(watch.view(one).time_s >= before + 540, "block time follows the chain")

    @broad(0.2)
    @given(steps=STEPS)
    def test_every_answer_is_a_fact(self, watch: Watch, steps: list[tuple[str, int, int]]) -> None:
        """Whatever happens between the looks, no answer contradicts the chain; or none is given."""
        for step, whom, seconds in steps:
            recipient = watch.stage.recipients[whom]
            if step == "pay":
                watch.pay(recipient)
            elif step == "wait":
                watch.wait(seconds)
            else:
                watch.view(recipient)

    def test_the_vaults_jettons_are_counted(self, watch: Watch) -> None:
        """Before and after a payment."""
        for _ in range(2):
            held = watch.runner.run(watch.stage.reader.inventory(watch.stage.vault))
            same(held.jettons, watch.runner.run(watch.stage.jettons()), "the vault's jettons")
            holds(held.ton_nano >= 0, "nanoTON are not negative")
            holds(held.jetton_wallet, "the wallet of the jettons has an address")
            watch.pay(watch.stage.recipients[0])
            watch.wait(60)

    @needs(Capability.LATE_BLOCKS)
    def test_late_news_are_no_news(self, watch: Watch) -> None:
        """While news are late an old answer is old in its time too, or there is none."""
        one = watch.stage.recipients[0]
        watch.runner.run(watch.stage.hold(on=True))
        watch.pay(one)
        for _ in range(3):
            watch.wait(60)
            with contextlib.suppress(Unavailable):
                watch.view(one)
        watch.runner.run(watch.stage.hold(on=False))
        watch.wait(60)
        same(watch.view(one).seqno, 1, "the seqno once the news are there")

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable_and_leaves_no_trace(self, watch: Watch) -> None:
        """Never the state from before it; afterwards the state is the chain's again."""
        one = watch.stage.recipients[0]
        watch.view(one)
        with self.outage(watch.stage):
            watch.pay(one)
            watch.wait(60)
            with pytest.raises(Unavailable):
                watch.runner.run(watch.stage.reader.view(watch.stage.vault, one))
            with pytest.raises(Unavailable):
                watch.runner.run(watch.stage.reader.inventory(watch.stage.vault))
        watch.wait(60)
        same(watch.view(one).seqno, 1, "the seqno after an outage")
