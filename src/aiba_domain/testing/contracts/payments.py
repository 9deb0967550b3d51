"""What a store owes of payments in TON: each is used once."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given

from aiba_domain.errors import InvariantViolation
from aiba_domain.payments.model import Purpose, UsedPayment
from aiba_domain.ports import UnitOfWork
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import same
from aiba_domain.testing.contracts.samples import (
    AT,
    movement,
    refusal,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import Capability, broad, needs


class PaymentsContract(StoreSuite):
    """The meaning of used payments."""

    @broad()
    @given(use=strategies.used_payments(), other=strategies.used_payments())
    def test_d19_a_payment_is_used_once_whatever_for(
        self, desk: Desk, use: UsedPayment, other: UsedPayment
    ) -> None:
        """A second use of one hash is a broken invariant and undone whole; the first one stays."""
        use = replace(use, hash=desk.fresh())
        desk.write(changed=(use,))
        for second in (use, replace(other, hash=use.hash)):
            with pytest.raises(InvariantViolation):
                desk.write(movement(1), changed=(second,), remember=refusal("k"))
            same(desk.answer("k"), None)
        same(desk.read(lambda read: read.payment_use(use.hash)), use)

    @needs(Capability.SERIALIZABLE)
    def test_d19_of_many_uses_of_a_payment_at_once_one_is_kept(self, desk: Desk) -> None:
        """Units that all saw the payment unused still use it once."""
        tx_hash = desk.fresh()

        def use(purpose: Purpose) -> UsedPayment:
            return UsedPayment(hash=tx_hash, purpose=purpose, player_id="1", at=AT)

        async def spend(purpose: Purpose) -> bool:
            async def work(unit: UnitOfWork) -> bool:
                seen = await unit.payment_use(tx_hash)
                if seen is None:
                    await unit.write(at=AT, changed=(use(purpose),))
                return seen is None

            return await desk.store.transact(work)

        async def all_at_once() -> list[bool]:
            return await asyncio.gather(*(spend(purpose) for purpose in [*Purpose] * 4))

        same(desk.run(all_at_once()).count(True), 1)
