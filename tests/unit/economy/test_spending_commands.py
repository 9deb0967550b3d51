"""Spending: never more than there is, never lost in a crowd, and all of it accounted for."""

from fractions import Fraction
from typing import Any

import pytest

from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Combine, Repair, Train, Upgrade
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Command, Refused
from aiba_domain.economy.commands import ClaimDaily, ClaimDailyCombo
from aiba_domain.ids import derive_id
from aiba_domain.instants import DAY
from aiba_domain.money import Currency
from aiba_domain.testing.playground import Playground, call
from tests.support.arena import (
    accepted,
    battle,
    broker_of,
    code,
    codes,
    entries,
    everything,
    fight,
    held,
    player_of,
    set_up,
    spare,
    starter,
    starters,
    sure,
)

BROKER, OTHER = derive_id("starter", "1"), derive_id("spare", "1", "1")
PAID: dict[str, tuple[Command[Any], Currency, int]] = {
    "train": (Train(broker_id=BROKER, stat=Stat.SPEED), Currency.NEUR, 25),
    "repair": (Repair(broker_id=BROKER), Currency.NEUR, 15),
    "upgrade": (Upgrade(broker_id=BROKER, stat=Stat.SPEED), Currency.AIBA, 50),
    "combine": (
        Combine(base_broker_id=BROKER, sacrifice_broker_id=OTHER),
        Currency.NEUR,
        50,
    ),
    "battle-neur": (RunBattle(broker_id=BROKER, mode_key="neur"), Currency.NEUR, 30),
    "battle-aiba": (RunBattle(broker_id=BROKER, mode_key="aiba"), Currency.AIBA, 40),
}
"""Every way to spend, with its price."""


@pytest.fixture(name="ready")
def _ready(play: Playground) -> Playground:
    """Give player 1 two brokers and no money, in modes that cost and pay nothing back."""
    unpaid: dict[str, Any] = {
        "reward_multiplier_aiba": Fraction(0),
        "reward_multiplier_neur": Fraction(0),
    }
    set_up(play, sure("neur", entry_neur=30, **unpaid), sure("aiba", entry_aiba=40, **unpaid))
    starter(play, "1")
    spare(play, "1")
    return play


@pytest.mark.parametrize("way", PAID)
@pytest.mark.parametrize("short", [0, 1])
def test_d01_a_debit_without_cover_is_refused(ready: Playground, way: str, short: int) -> None:
    """Without money, or one unit short, nothing is sold and nothing changes."""
    command, currency, price = PAID[way]
    have = (price - 1) * short
    if have:
        ready.fund("1", **{currency: have})
    before = everything(ready, "1")
    outcome = ready.play("1", command, "k").outcome
    assert outcome == Refused(
        code=f"insufficient {currency}", details={"need": price, "have": have}
    )
    assert everything(ready, "1") == before


@pytest.mark.parametrize("way", PAID)
def test_d01_the_last_unit_can_be_spent_and_no_other(ready: Playground, way: str) -> None:
    """With the exact price the sale takes place and leaves 0; the next one is refused."""
    command, currency, price = PAID[way]
    ready.fund("1", **{currency: price})
    assert code(ready.play("1", command, "a")) == "ok"
    assert ready.balances("1").get(currency, 0) == 0
    assert code(ready.play("1", command, "b")) != "ok"
    assert held(ready, "player:1").get(currency, 0) == 0


def test_d01_parallel_debits_spend_what_is_there_and_no_more(ready: Playground) -> None:
    """Of 40 trainings at once with money for three, three take place."""
    ready.fund("1", NEUR=3 * 25 + 24)
    results = ready.together(
        [call("1", Train(broker_id=BROKER, stat=Stat.SPEED), f"k{n}") for n in range(40)]
    )
    assert codes(results) == {"ok": 3, "insufficient NEUR": 37}
    assert sorted(reply.balance for reply in accepted(results)) == [24, 49, 74]
    assert ready.balances("1") == {Currency.NEUR: 24}
    assert broker_of(ready, BROKER).speed == 53


def test_d08_debits_of_many_players_at_once_are_never_insufficient(play: Playground) -> None:
    """64 players with just enough all get what they pay for, though one day counts them all."""
    brokers = starters(play, 64)
    for player in brokers:
        play.fund(player, NEUR=25)
    results = play.together(
        [
            call(player, Train(broker_id=broker, stat=Stat.SPEED), "k")
            for player, broker in brokers.items()
        ]
    )
    assert codes(results) == {"ok": 64}
    assert held(play, "sink:2026-01-01:train:training") == {Currency.NEUR: 64 * 25}


def test_d08_no_credit_is_lost_among_many(play: Playground) -> None:
    """64 battles at once pay exactly what their records say, to each player."""
    set_up(play)
    brokers = starters(play, 64)
    results = play.together([battle(player, broker, "k") for player, broker in brokers.items()])
    for reply in accepted(results):
        grant = reply.battle.receipt.grant
        assert grant.aiba == 100
        assert play.balances(reply.battle.player_id) == {
            Currency.AIBA: grant.aiba,
            Currency.NEUR: grant.player_neur,
            Currency.STARS: reply.battle.stars,
            Currency.DIAMONDS: reply.battle.diamonds,
        }


def test_d08_debits_and_credits_of_one_player_at_once_all_count(play: Playground) -> None:
    """A player who earns and spends at the same moment ends with the exact difference."""
    set_up(play)
    broker = starter(play, "1")
    play.fund("1", NEUR=1_000)
    results = play.together(
        [
            one
            for n in range(20)
            for one in (
                battle("1", broker, f"b{n}"),
                call("1", Train(broker_id=broker, stat=Stat.RISK), f"t{n}"),
            )
        ]
    )
    assert codes(results) == {"ok": 40}
    earned = sum(
        reply.battle.receipt.grant.neur for reply in accepted(results) if hasattr(reply, "battle")
    )
    assert play.balances("1")[Currency.NEUR] == 1_000 + earned - 20 * 25
    assert broker_of(play, broker).risk == 70


def test_d43_stars_and_diamonds_are_in_the_ledger_and_idempotent(play: Playground) -> None:
    """They are postings like any other money: in the history, once a key."""
    set_up(play)
    broker = starter(play, "1")
    for _ in range(3):
        won = fight(play, "1", broker, "k")
    found = [
        (each.posting.currency, each.posting.amount, each.posting.reason, each.posting.source_id)
        for each in entries(play)
        if each.posting.currency in {Currency.STARS, Currency.DIAMONDS}
    ]
    assert found == [
        (Currency.STARS, won.stars, "battle_reward", "k"),
        (Currency.DIAMONDS, won.diamonds, "first_win", "k"),
    ]
    assert (won.stars, won.diamonds) == (1, 1)


def test_d56_the_days_reconcile_with_what_is_held(play: Playground) -> None:
    """Per day and currency: emitted minus spent is what all holders gained, to the unit."""
    set_up(play, sure(), sure("dear", "simulation", entry_neur=3, entry_aiba=2))
    brokers = starters(play, 5)
    for day in range(3):
        calls = []
        for player, broker in brokers.items():
            key = f"{day}"
            calls += [
                battle(player, broker, key),
                battle(player, broker, f"{key}-dear", "dear"),
                call(player, ClaimDaily()),
                call(player, Train(broker_id=broker, stat=Stat.SPEED), key),
                call(player, Upgrade(broker_id=broker, stat=Stat.RISK), key),
                call(player, ClaimDailyCombo()),
                call(player, Repair(broker_id=broker), key),
            ]
        play.together(calls)
        play.clock.advance(DAY)
    accounts = play.read(lambda read: read.accounts())
    for currency in Currency:
        emitted, spent = [], []
        for today in ("2026-01-01", "2026-01-02", "2026-01-03"):
            emitted.append(
                -sum(
                    balance
                    for (name, each), balance in accounts.items()
                    if each is currency and name.startswith(f"emission:{today}:")
                )
            )
            spent.append(
                sum(
                    balance
                    for (name, each), balance in accounts.items()
                    if each is currency and name.startswith(f"sink:{today}:")
                )
            )
        players = sum(play.balances(player).get(currency, 0) for player in brokers)
        assert sum(emitted) - sum(spent) == players
        if currency in {Currency.AIBA, Currency.NEUR}:
            assert all(emitted)
            assert all(spent)


def test_d69_spending_counts_for_the_combo_at_once(play: Playground) -> None:
    """A combo claimed right after the purchase sees it, however many were bought at once."""
    broker = starter(play, "1")
    play.fund("1", AIBA=1_000)
    assert code(play.play("1", ClaimDailyCombo())) == "daily_combo_requirement_not_met"
    results = play.together(
        [call("1", Upgrade(broker_id=broker, stat=Stat.SPEED), f"k{n}") for n in range(2)]
        + [call("1", ClaimDailyCombo())]
    )
    assert codes(results) == {"ok": 3}
    assert player_of(play, "1").combo_spent_aiba == 100
    assert play.balances("1") == {Currency.AIBA: 1_000 - 100 + 500}


def test_d69_parallel_spending_loses_nothing(play: Playground) -> None:
    """Twenty purchases at once count twenty prices."""
    broker = starter(play, "1")
    play.fund("1", AIBA=20 * 50)
    play.together(
        [call("1", Upgrade(broker_id=broker, stat=Stat.SPEED), f"k{n}") for n in range(20)]
    )
    assert player_of(play, "1").combo_spent_aiba == 20 * 50


def test_d69_only_what_was_paid_today_counts(play: Playground) -> None:
    """Refused purchases don't count, repeated ones count once, and yesterday's are over."""
    broker = starter(play, "1")
    play.fund("1", AIBA=99)
    for key in ("a", "a", "b", "c"):
        play.play("1", Upgrade(broker_id=broker, stat=Stat.SPEED), key)
    assert player_of(play, "1").combo_spent_aiba == 50
    play.clock.advance(DAY)
    outcome = play.play("1", ClaimDailyCombo()).outcome
    assert isinstance(outcome, Refused)
    assert outcome.details == {"spent": 0, "required": 100}


def test_d69_a_combo_is_claimed_once_by_parallel_claims(play: Playground) -> None:
    """Of 20 claims at once one brings the bonus."""
    broker = starter(play, "1")
    play.fund("1", AIBA=100)
    for key in ("a", "b"):
        play.play("1", Upgrade(broker_id=broker, stat=Stat.SPEED), key)
    results = play.together([call("1", ClaimDailyCombo())] * 20)
    assert codes(results) == {"ok": 20}
    assert sum(reply.bonus for reply in accepted(results)) == 500
    assert play.balances("1") == {Currency.AIBA: 500}
