"""What a store owes of the memory of answers."""

from dataclasses import replace

import pytest
from hypothesis import given

from aiba_domain.brokers.commands import BrokerReply
from aiba_domain.decision import Accepted
from aiba_domain.errors import InvariantViolation
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.ports import Remembered
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import same
from aiba_domain.testing.contracts.samples import (
    broker,
    movement,
    refusal,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad


class IdempotencyContract(StoreSuite):
    """The first answer under a key is the answer, for ever."""

    def test_answers_are_remembered_per_principal_command_and_key(self, desk: Desk) -> None:
        """A key of one principal and command says nothing about any other."""
        kept = refusal("k")
        desk.write(remember=kept)
        for other in ("k2", "K", ""):
            same(desk.answer(other), None)
        for scope in (
            replace(kept.scope, principal="player:2"),
            replace(kept.scope, command="broker.repair"),
        ):
            same(desk.remembered(scope), None)
        same(desk.answer("k"), kept)

    def test_accepted_answers_come_back_equal(self, desk: Desk) -> None:
        """The reply is remembered as a value of its own type, for units and for reads."""
        reply = BrokerReply(broker=broker("b"), currency=Currency.NEUR, balance=MAX_AMOUNT)
        kept = replace(refusal("k"), outcome=Accepted(reply=reply))
        desk.write(remember=kept)
        same(desk.answer("k"), kept)
        same(desk.read(lambda read: read.remembered(kept.scope)), kept)

    def test_first_answer_is_never_replaced(self, desk: Desk) -> None:
        """A second answer under one key is a broken invariant; the first one stays."""
        desk.write(remember=refusal("k"))
        with pytest.raises(InvariantViolation):
            desk.write(movement(1), remember=refusal("k", fingerprint="other"))
        same(desk.answer("k"), refusal("k"))
        same(desk.balance("player:1"), 0)

    @broad()
    @given(kept=strategies.answers())
    def test_odd_answers_come_back_equal(self, desk: Desk, kept: Remembered) -> None:
        """Keys, digests and details of any text survive."""
        kept = replace(kept, scope=replace(kept.scope, key=desk.fresh()))
        desk.write(remember=kept)
        same(desk.remembered(kept.scope), kept)
