"""What a reader of vaults owes: facts as a chain reader does, with the block that they are of."""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given

from aiba_domain.claims.ports import Sighting, VaultReader
from aiba_domain.ports import Unavailable
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


class VaultStage(MovedChain, Protocol):
    """A chain that the author can move, with the reader of its vault."""

    @property
    def reader(self) -> VaultReader:
        """Return the adapter."""
        ...


class VaultWatch(Facts[VaultStage]):
    """Looks at a vault, and remembers which block showed what."""

    def __init__(self, runner: asyncio.Runner, stage: VaultStage) -> None:
        """Watch `stage`, which was opened inside `runner`."""
        super().__init__(runner, stage)
        self._shown: dict[tuple[str, int], tuple[int, int]] = {}

    def look(self, recipient: str) -> Sighting:
        """Look, and check the answer against what happened and what its block showed before."""
        seen = self.runner.run(self.stage.reader.sighting(self.stage.vault, recipient))
        self.check(seen.view, recipient)
        same((type(seen.block), type(seen.age_ms)), (int, int), "the types of block and age")
        holds(seen.block >= 0, "a block's number is not negative")
        holds(seen.age_ms >= 0, "an age is not negative")
        least, most = self._shown.get((recipient, seen.block), (seen.view.seqno,) * 2)
        same((least, most), (seen.view.seqno,) * 2, f"what block {seen.block} shows of a recipient")
        self._shown[recipient, seen.block] = (least, most)
        return seen


class VaultReaderContract(PortContract):
    """Subclass and say how to open a stage: a chain that can be moved, and the vault's reader.

    `late-blocks`: the stage's `hold` keeps news back. `faults`: `outage(stage)` lets everything
    that the reader asks fail while it is entered.
    """

    port = "VaultReader"
    version = "1.0"

    @abstractmethod
    async def open_stage(self, folder: Path) -> VaultStage:
        """Open a stage with a vault that has paid nobody yet; `release` closes it."""

    @pytest.fixture(name="watch")
    def _watch(
        self, runner: asyncio.Runner, opening: Opening, tmp_path: Path
    ) -> Iterator[VaultWatch]:
        with opening:
            stage = runner.run(self.open_stage(tmp_path))
        yield VaultWatch(runner, stage)
        runner.run(self.release(stage))

    @base
    def test_nobody_was_paid_at_first(self, watch: VaultWatch) -> None:
        """The seqno of a wallet that never claimed is 0."""
        for recipient in watch.stage.recipients:
            same(watch.look(recipient).view.seqno, 0, "the seqno before any payment")

    def test_a_payment_is_seen_in_a_later_block(self, watch: VaultWatch) -> None:
        """Its recipient's seqno rises by one, nobody else's, and the block is another one."""
        one, other = watch.stage.recipients[:2]
        before = watch.look(one)
        for seqno in (1, 2):
            watch.pay(one)
            watch.wait(60)
            seen = watch.look(one)
            same(seen.view.seqno, seqno, f"the seqno a minute after payment {seqno}")
            holds(seen.block > before.block, "what is new is of a later block")
            before = seen
        same(watch.look(other).view.seqno, 0, "another recipient's seqno")

    def test_what_was_just_read_is_fresh(self, watch: VaultWatch) -> None:
        """A minute after the last look, what is told is younger than that."""
        one = watch.stage.recipients[0]
        watch.look(one)
        watch.wait(60)
        holds(watch.look(one).age_ms < 60_000, "an answer isn't that of a minute ago")

    @broad(0.2)
    @given(steps=STEPS)
    def test_every_sighting_is_a_fact(
        self, watch: VaultWatch, steps: list[tuple[str, int, int]]
    ) -> None:
        """Whatever happens between looks, none contradicts the chain or another of its block."""
        for step, whom, seconds in steps:
            recipient = watch.stage.recipients[whom]
            if step == "pay":
                watch.pay(recipient)
            elif step == "wait":
                watch.wait(seconds)
            else:
                watch.look(recipient)

    def test_the_vaults_jettons_are_counted(self, watch: VaultWatch) -> None:
        """Before and after a payment."""
        for _ in range(2):
            held = watch.runner.run(watch.stage.reader.inventory(watch.stage.vault))
            same(held.jettons, watch.runner.run(watch.stage.jettons()), "the vault's jettons")
            holds(held.ton_nano >= 0, "nanoTON are not negative")
            holds(held.jetton_wallet, "the wallet of the jettons has an address")
            watch.pay(watch.stage.recipients[0])
            watch.wait(60)

    @needs(Capability.LATE_BLOCKS)
    def test_late_news_are_no_news(self, watch: VaultWatch) -> None:
        """While news are late an old answer is old in its time too, or there is none."""
        one = watch.stage.recipients[0]
        watch.runner.run(watch.stage.hold(on=True))
        watch.pay(one)
        for _ in range(3):
            watch.wait(60)
            with contextlib.suppress(Unavailable):
                watch.look(one)
        watch.runner.run(watch.stage.hold(on=False))
        watch.wait(60)
        same(watch.look(one).view.seqno, 1, "the seqno once the news are there")

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable_and_leaves_no_trace(self, watch: VaultWatch) -> None:
        """Never the state from before it; afterwards the state is the chain's again."""
        one = watch.stage.recipients[0]
        watch.look(one)
        with self.outage(watch.stage):
            watch.pay(one)
            watch.wait(60)
            with pytest.raises(Unavailable):
                watch.runner.run(watch.stage.reader.sighting(watch.stage.vault, one))
            with pytest.raises(Unavailable):
                watch.runner.run(watch.stage.reader.inventory(watch.stage.vault))
        watch.wait(60)
        same(watch.look(one).view.seqno, 1, "the seqno after an outage")
