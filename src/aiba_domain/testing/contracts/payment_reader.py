"""What a reader of payments owes: the facts of the chain, each the same whenever it is asked."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import pytest

from aiba_domain.payments.model import IncomingPayment
from aiba_domain.payments.ports import PaymentReader
from aiba_domain.ports import Unavailable
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import Capability, Opening, PortContract, base, needs

_TON: Final = 10**9
_COMMENT: Final = "aiba:create-broker:42 \u00e9\U0001f600"


class PaymentStage(Protocol):
    """A chain that payments can be made on, with the reader that looks at it.

    `shop` is the raw address that is paid, `payer` of the one who pays, `network` the chain's id.
    """

    @property
    def reader(self) -> PaymentReader:
        """Return the adapter."""
        ...

    @property
    def shop(self) -> str:
        """Return the raw address that is paid."""
        ...

    @property
    def payer(self) -> str:
        """Return the raw address of the one who pays."""
        ...

    @property
    def network(self) -> int:
        """Return the chain's global id."""
        ...

    async def pay(self, value_nano: int, comment: str, *, bounced: bool) -> tuple[str, int]:
        """Pay the shop; return the hash of the shop's transaction and its block time in seconds.

        `comment` may be `""`. `bounced`: the money is sent back.
        """
        ...

    async def outgoing(self) -> tuple[str, str]:
        """Return an account and the hash of a transaction of it that no other account caused."""
        ...


class Counter:
    """A stage with synchronous helpers around it, on one event loop."""

    def __init__(self, runner: asyncio.Runner, stage: PaymentStage) -> None:
        """Serve `stage`, which was opened inside `runner`."""
        self.runner = runner
        self.stage = stage

    def pay(self, value_nano: int, comment: str = "", *, bounced: bool = False) -> IncomingPayment:
        """Pay the shop; return the payment as it is owed."""
        paid = self.stage.pay(value_nano, comment, bounced=bounced)
        tx_hash, time_s = self.runner.run(paid)
        return IncomingPayment(
            hash=tx_hash,
            network=self.stage.network,
            source=self.stage.payer,
            destination=self.stage.shop,
            value_nano=value_nano,
            comment=comment,
            is_bounced=bounced,
            time_s=time_s,
        )

    def look(self, tx_hash: str) -> IncomingPayment | None:
        """Read a payment to the shop, however old."""
        return self.runner.run(self.stage.reader.payment(tx_hash, to=self.stage.shop, since_s=0))


class PaymentReaderContract(PortContract):
    """Subclass and say how to open a stage: a chain to pay on, and the reader of it.

    `faults`: `outage(stage)` lets everything that the reader asks fail while it is entered.
    """

    port = "PaymentReader"
    version = "1.0"

    @abstractmethod
    async def open_stage(self, folder: Path) -> PaymentStage:
        """Open a stage without a payment; `release` closes it."""

    @pytest.fixture(name="till")
    def _till(self, runner: asyncio.Runner, opening: Opening, tmp_path: Path) -> Iterator[Counter]:
        with opening:
            stage = runner.run(self.open_stage(tmp_path))
        yield Counter(runner, stage)
        runner.run(self.release(stage))

    @base
    def test_a_payment_is_read_as_the_chain_holds_it(self, till: Counter) -> None:
        """Every fact of it, a comment of any letters too."""
        for owed in (till.pay(_TON), till.pay(_TON - 1, _COMMENT)):
            same(till.look(owed.hash), owed, "the payment")

    def test_a_payment_is_the_same_whenever_it_is_asked(self, till: Counter) -> None:
        """Others in between change nothing of it."""
        first = till.pay(_TON, "first")
        for number in range(3):
            till.pay(_TON, f"other {number}")
            same(till.look(first.hash), first, "the first payment")

    def test_a_payment_that_was_sent_back_says_so(self, till: Counter) -> None:
        """Its money did not stay."""
        owed = till.pay(_TON, bounced=True)
        found = till.look(owed.hash)
        holds(found is not None and found.is_bounced, "a payment that was sent back says so")

    def test_an_unknown_hash_is_nothing(self, till: Counter) -> None:
        """None, where the chain was read and holds no such transaction."""
        till.pay(_TON)
        for digit in "0f":
            same(till.look(digit * 64), None)

    def test_what_nobody_sent_is_no_payment(self, till: Counter) -> None:
        """A transaction that no other account's message caused."""
        account, tx_hash = till.runner.run(till.stage.outgoing())
        reader = till.stage.reader
        same(till.runner.run(reader.payment(tx_hash, to=account, since_s=0)), None)

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable_never_nothing(self, till: Counter) -> None:
        """The words "there is no such payment" are not said while the chain can't be read."""
        paid = till.pay(_TON)
        with self.outage(till.stage):
            for tx_hash in (paid.hash, "0" * 64):
                with pytest.raises(Unavailable):
                    till.look(tx_hash)
        same(till.look(paid.hash), paid, "the payment after an outage")
