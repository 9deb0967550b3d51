"""What a store owes of money: guarded accounts, exact balances, a ledger without gaps."""

from dataclasses import replace

import pytest
from hypothesis import given

from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import Posting
from aiba_domain.errors import InvariantViolation
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import same
from aiba_domain.testing.contracts.samples import (
    AT,
    movement,
    player,
    refusal,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad


class LedgerContract(StoreSuite):
    """The meaning of postings."""

    @pytest.mark.parametrize(
        "account", ["player:1", f"guild:{1:024x}", "treasury", "reserve", "claims", "sink:d:r:a"]
    )
    def test_guarded_account_never_goes_below_zero(self, desk: Desk, account: str) -> None:
        """A unit that would leave a guarded account owing is undone as a whole."""
        desk.write(movement(5, credit=account))
        before = desk.state()
        with pytest.raises(InvariantViolation):
            desk.write(
                movement(4, "chain", "player:2"),
                movement(6, account, "chain"),
                changed=(player("1"),),
                remember=refusal("k"),
            )
        same(desk.state(), before)
        same(desk.answer("k"), None)
        desk.write(movement(5, account, "chain"))
        same(desk.balance(account), 0)

    def test_order_of_postings_within_a_write_does_not_matter(self, desk: Desk) -> None:
        """Only the balances after the whole write are judged: money may pass through."""
        desk.write(movement(5, "player:1", "treasury"), movement(5, "chain", "player:1"))
        same(desk.balance("treasury"), 5)

    @pytest.mark.parametrize("account", ["emission:2026-01-01:prediction", "chain"])
    def test_sources_of_money_may_owe(self, desk: Desk, account: str) -> None:
        """Emission and the chain go below zero by what they brought."""
        desk.write(movement(7, account))
        same(desk.balance(account), -7)

    def test_balances_reach_the_largest_amount_and_no_further(self, desk: Desk) -> None:
        """2^63-1 is held exactly; one more is a broken invariant, and nothing is kept."""
        desk.write(movement(MAX_AMOUNT))
        same(desk.balance("player:1"), MAX_AMOUNT)
        same(desk.balance("chain"), -MAX_AMOUNT)
        before = desk.state()
        with pytest.raises(InvariantViolation):
            desk.write(movement(1, "emission:2026-01-01:a"))
        same(desk.state(), before)

    def test_every_currency_has_its_own_balance(self, desk: Desk) -> None:
        """Postings of one currency leave the others alone."""
        desk.write(*(movement(n, currency=each) for n, each in enumerate(Currency, 1)))
        same(
            desk.read(lambda read: read.balances("player:1")),
            {each: n for n, each in enumerate(Currency, 1)},
        )

    def test_accounts_lists_every_balance(self, desk: Desk) -> None:
        """The audit sees every account of every currency."""
        desk.write(movement(3), movement(2, "chain", "treasury", Currency.AIBA))
        same(
            desk.read(lambda read: read.accounts()),
            {
                ("chain", Currency.NEUR): -3,
                ("player:1", Currency.NEUR): 3,
                ("chain", Currency.AIBA): -2,
                ("treasury", Currency.AIBA): 2,
            },
        )

    def test_emitted_is_by_arena_of_one_day_and_currency(self, desk: Desk) -> None:
        """A day's emission counts neither other days, nor other currencies, nor similar names."""
        desk.write(
            movement(1, "emission:2026-01-01:prediction"),
            movement(2, "emission:2026-01-01:prediction"),
            movement(4, "emission:2026-01-01:guildWars"),
            movement(8, "emission:2026-01-02:prediction"),
            movement(16, "emission:2026-01-01:prediction", currency=Currency.AIBA),
            movement(32, "emission:2026-01-01x:prediction"),
        )
        used = desk.read(lambda read: read.emitted("2026-01-01"))
        same(
            used,
            {
                Currency.NEUR: EmissionUse(by_arena={"prediction": 3, "guildWars": 4}),
                Currency.AIBA: EmissionUse(by_arena={"prediction": 16}),
            },
        )
        same(used[Currency.NEUR].total, 7)

    def test_entries_are_numbered_in_commit_order(self, desk: Desk) -> None:
        """The ledger is numbered from 1 without gaps, and undone units leave none."""
        desk.write(movement(1), movement(2))
        with pytest.raises(InvariantViolation):
            desk.write(movement(50, "player:1", "treasury"))
        desk.write(movement(3))
        same(
            [(entry.number, entry.at, entry.posting) for entry in desk.entries()],
            [
                (1, AT, movement(1)),
                (2, AT, movement(2)),
                (3, AT, movement(3)),
            ],
        )

    @broad()
    @given(posting=strategies.postings(amount=strategies.amounts(1)))
    def test_postings_come_back_as_written(self, desk: Desk, posting: Posting) -> None:
        """Every text and amount of a posting survives."""
        source = replace(posting, debit="chain", credit=f"sink:{desk.fresh()}:r:a")
        back = replace(source, debit=source.credit, credit="chain")
        desk.write(source)
        same(desk.entries()[-1].posting, source)
        desk.write(back)
