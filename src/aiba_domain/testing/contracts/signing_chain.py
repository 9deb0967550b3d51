"""What a signer's view of the chain owes: a time that is never ahead, and seqnos that are facts.

A signature that is made too early hangs on it: other terms are signed once the chain's time is past
the first ones' validity. An old time only makes a signer stricter; one that is ahead makes it lie.
"""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given

from aiba_domain.claims.claim import ChainView
from aiba_domain.ports import Unavailable
from aiba_domain.signing.ports import SigningChain
from aiba_domain.testing.contracts.chain_reader import STEPS, Facts, MovedChain
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)


class SigningStage(MovedChain, Protocol):
    """A chain that the author can move, with the signer's view of it."""

    @property
    def adapter(self) -> SigningChain:
        """Return the adapter."""
        ...


class SignersWatch(Facts[SigningStage]):
    """Looks as a signer does."""

    def view(self, recipient: str) -> ChainView:
        """Look, and check the answer against what happened."""
        seen = self.runner.run(self.stage.adapter.view(self.stage.vault, recipient))
        return self.check(seen, recipient)

    def time_s(self) -> int:
        """Return the time, which is never later than the newest block's."""
        found = self.runner.run(self.stage.adapter.time_s())
        newest = self.runner.run(self.stage.time_s())
        same(type(found), int, "the type of a time")
        holds(found <= newest, f"{found} is no later than the newest block's {newest}")
        return found


class SigningChainContract(PortContract):
    """Subclass and say how to open a stage: a chain that can be moved, and a signer's view of it.

    `late-blocks`: the stage's `hold` keeps news back. `faults`: `outage(stage)` lets everything
    that the view asks fail while it is entered.
    """

    port = "SigningChain"
    version = "1.0"

    @abstractmethod
    async def open_stage(self, folder: Path) -> SigningStage:
        """Open a stage with a vault that has paid nobody yet; `release` closes it."""

    @pytest.fixture(name="watch")
    def _watch(
        self, runner: asyncio.Runner, opening: Opening, tmp_path: Path
    ) -> Iterator[SignersWatch]:
        with opening:
            stage = runner.run(self.open_stage(tmp_path))
        yield SignersWatch(runner, stage)
        runner.run(self.release(stage))

    @base
    def test_there_is_a_time_and_nobody_was_paid(self, watch: SignersWatch) -> None:
        """The time is in seconds since 1970, and the seqno of a wallet that never claimed is 0."""
        holds(10**9 < watch.time_s() < 2**32, "the time is in seconds since 1970")
        for recipient in watch.stage.recipients:
            same(watch.view(recipient).seqno, 0, "the seqno before any payment")

    def test_each_payment_raises_its_recipients_seqno(self, watch: SignersWatch) -> None:
        """By one, and nobody else's."""
        one, other = watch.stage.recipients[:2]
        for seqno in (1, 2, 3):
            watch.pay(one)
            watch.wait(60)
            same(watch.view(one).seqno, seqno, f"the seqno a minute after payment {seqno}")
        same(watch.view(other).seqno, 0, "another recipient's seqno")

    def test_time_passes_with_the_chains(self, watch: SignersWatch) -> None:
        """A claim can expire: after ten minutes the time is later by about as much."""
        before = watch.time_s()
        watch.wait(600)
        watch.wait(60)
        holds(watch.time_s() >= before + 540, "the time follows the chain")

    @broad(0.2)
    @given(steps=STEPS)
    def test_every_answer_is_a_fact(
        self, watch: SignersWatch, steps: list[tuple[str, int, int]]
    ) -> None:
        """Whatever happens between the looks, no seqno and no time contradicts the chain."""
        for step, whom, seconds in steps:
            recipient = watch.stage.recipients[whom]
            if step == "pay":
                watch.pay(recipient)
            elif step == "wait":
                watch.wait(seconds)
            else:
                watch.time_s()
                watch.view(recipient)
                watch.time_s()

    def test_many_may_ask_at_once(self, watch: SignersWatch) -> None:
        """Each is answered, with a time of the chain."""

        async def at_once() -> list[int]:
            return await asyncio.gather(*(watch.stage.adapter.time_s() for _ in range(16)))

        newest = watch.runner.run(watch.stage.time_s())
        holds(max(watch.runner.run(at_once())) <= newest, "no time is later than the newest block")

    @needs(Capability.LATE_BLOCKS)
    def test_late_news_are_no_news(self, watch: SignersWatch) -> None:
        """While news are late an old answer is old in its time too, or there is none."""
        one = watch.stage.recipients[0]
        watch.runner.run(watch.stage.hold(on=True))
        watch.pay(one)
        for _ in range(3):
            watch.wait(60)
            with contextlib.suppress(Unavailable):
                watch.time_s()
                watch.view(one)
        watch.runner.run(watch.stage.hold(on=False))
        watch.wait(60)
        same(watch.view(one).seqno, 1, "the seqno once the news are there")

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable_and_leaves_no_trace(self, watch: SignersWatch) -> None:
        """A seqno is never guessed; a time is an old one, or there is none. Then all is as ever."""
        one = watch.stage.recipients[0]
        watch.view(one)
        with self.outage(watch.stage):
            watch.pay(one)
            for _ in range(3):
                watch.wait(60)
                with pytest.raises(Unavailable):
                    watch.runner.run(watch.stage.adapter.view(watch.stage.vault, one))
                with contextlib.suppress(Unavailable):
                    watch.time_s()
        watch.wait(60)
        same(watch.view(one).seqno, 1, "the seqno after an outage")
        newest = watch.runner.run(watch.stage.time_s())
        holds(watch.time_s() >= newest - 60, "the time follows the chain after an outage")
