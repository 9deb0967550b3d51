"""Brokers: one starter each, and every improvement paid for once, whole and in order."""

import pytest

from aiba_domain.brokers.commands import Combine, GetStarter, Repair, Train, Upgrade
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Refused
from aiba_domain.money import Currency
from aiba_domain.testing.playground import Playground, call
from tests.support.arena import (
    accepted,
    broker_of,
    brokers_of,
    code,
    codes,
    everything,
    fight,
    set_up,
    spare,
    starter,
    sure,
)

FUNDS = 10_000


def test_d11_a_player_gets_one_starter(play: Playground) -> None:
    """The second request is refused and names the broker that was granted."""
    first = play.play("1", GetStarter()).reply().broker
    outcome = play.play("1", GetStarter()).outcome
    assert outcome == Refused(code="starter already granted", details={"brokerId": first.id})
    assert brokers_of(play, "1") == [first]


def test_d11_of_50_requests_at_once_one_is_granted(play: Playground) -> None:
    """Whether they carry no key, one key or a key each."""
    keys = [None, "same", *(f"k{n}" for n in range(23))] * 2
    results = play.together([call("1", GetStarter(), key) for key in keys])
    brokers = {reply.broker.id for reply in accepted(results)}
    assert len(brokers) == 1
    assert set(codes(results)) == {"ok", "starter already granted"}
    assert [each.id for each in brokers_of(play, "1")] == list(brokers)


def test_d11_a_starter_that_was_sacrificed_is_not_granted_again(play: Playground) -> None:
    """The grant is remembered with the player, not by the broker's being there."""
    set_up(play)
    sacrificed, base = starter(play, "1"), spare(play, "1")
    play.fund("1", NEUR=FUNDS)
    command = Combine(base_broker_id=base, sacrifice_broker_id=sacrificed)
    play.play("1", command, "k").reply()
    assert code(play.play("1", GetStarter())) == "starter already granted"
    assert [each.id for each in brokers_of(play, "1")] == [base]


def test_d11_every_player_gets_a_broker_of_their_own(play: Playground) -> None:
    """Starters of different players are different brokers, at once too."""
    results = play.together([call(f"{n}", GetStarter()) for n in range(20)])
    assert len({reply.broker.id for reply in accepted(results)}) == 20


def test_d50_parallel_trainings_gain_what_they_cost(play: Playground) -> None:
    """20 trainings at once cost 20 fees and add 20 points, of all stats together."""
    broker = starter(play, "1")
    play.fund("1", NEUR=FUNDS)
    stats = [Stat.SPEED, Stat.RISK, Stat.INTELLIGENCE, Stat.SPEED]
    results = play.together(
        [call("1", Train(broker_id=broker, stat=stats[n % 4]), f"k{n}") for n in range(20)]
    )
    assert codes(results) == {"ok": 20}
    after = broker_of(play, broker)
    assert (after.speed, after.risk, after.intelligence) == (60, 55, 55)
    assert after.xp == 100
    assert play.balances("1") == {Currency.NEUR: FUNDS - 20 * 25}


def test_d50_different_improvements_at_once_are_all_there(play: Playground) -> None:
    """Training, upgrade, repair and battle of one broker at once lose nothing of each other."""
    set_up(play, sure(energy_cost=1))
    broker = starter(play, "1")
    play.fund("1", NEUR=FUNDS, AIBA=FUNDS)
    play.together(
        [
            one
            for n in range(5)
            for one in (
                call("1", Train(broker_id=broker, stat=Stat.SPEED), f"a{n}"),
                call("1", Upgrade(broker_id=broker, stat=Stat.SPEED), f"b{n}"),
            )
        ]
    )
    fight(play, "1", broker, "c")
    after = broker_of(play, broker)
    assert (after.speed, after.level, after.xp) == (50 + 5 + 10, 6, 5 * 5 + 5 * 10)
    assert after.energy == 9


def test_d50_one_sacrifice_serves_one_combination(play: Playground) -> None:
    """Two combinations at once with one sacrifice and different bases: one takes place."""
    first, second, sacrifice = (spare(play, "1", n) for n in range(3))
    play.fund("1", NEUR=FUNDS)
    results = play.together(
        [
            call("1", Combine(base_broker_id=base, sacrifice_broker_id=sacrifice), base)
            for base in (first, second)
        ]
    )
    assert codes(results) == {"ok": 1, "sacrifice broker not found": 1}
    assert {each.id for each in brokers_of(play, "1")} == {first, second}
    assert play.balances("1") == {Currency.NEUR: FUNDS - 50}


def test_d50_two_brokers_cannot_swallow_each_other(play: Playground) -> None:
    """Each combined into the other at once: one remains, never none or both."""
    first, second = spare(play, "1", 1), spare(play, "1", 2)
    play.fund("1", NEUR=FUNDS)
    results = play.together(
        [
            call("1", Combine(base_broker_id=first, sacrifice_broker_id=second), "a"),
            call("1", Combine(base_broker_id=second, sacrifice_broker_id=first), "b"),
        ]
    )
    assert sorted(codes(results).values()) == [1, 1]
    assert len(brokers_of(play, "1")) == 1


def test_d50_base_and_sacrifice_are_one_step(play: Playground) -> None:
    """Stats are averaged, half rounded up, experience is added, the sacrifice is gone."""
    base = spare(play, "1", 1, intelligence=50, speed=51, risk=0, xp=3, level=4)
    sacrifice = spare(play, "1", 2, intelligence=51, speed=51, risk=1, xp=4, level=9)
    play.fund("1", NEUR=50)
    command = Combine(base_broker_id=base, sacrifice_broker_id=sacrifice)
    after = play.play("1", command, "k").reply().broker
    assert (after.intelligence, after.speed, after.risk) == (51, 51, 1)
    assert (after.xp, after.level) == (27, 4)
    assert brokers_of(play, "1") == [after]
    assert play.balances("1") == {}


def test_d50_a_broker_in_a_guild_is_no_sacrifice(play: Playground) -> None:
    """What is lent to a guild can't be used up."""
    base, lent = spare(play, "1", 1), spare(play, "1", 2, guild_id="0" * 24)
    play.fund("1", NEUR=50)
    before = everything(play, "1")
    command = Combine(base_broker_id=base, sacrifice_broker_id=lent)
    assert code(play.play("1", command, "k")) == "withdraw broker from guild first"
    assert everything(play, "1") == before


def test_d50_a_broker_is_not_combined_with_itself(play: Playground) -> None:
    """Base and sacrifice are two brokers."""
    base = spare(play, "1")
    play.fund("1", NEUR=50)
    command = Combine(base_broker_id=base, sacrifice_broker_id=base)
    assert code(play.play("1", command, "k")) == "base and sacrifice must be different brokers"
    assert len(brokers_of(play, "1")) == 1


@pytest.mark.parametrize("stat", Stat)
def test_d50_no_fee_is_taken_for_a_stat_at_its_maximum(play: Playground, stat: Stat) -> None:
    """The point up to 100 is sold, the one after is refused, for nothing."""
    broker = spare(play, "1", **{stat.value: 99})
    play.fund("1", NEUR=FUNDS)
    assert play.play("1", Train(broker_id=broker, stat=stat), "a").reply().broker.stat(stat) == 100
    before = everything(play, "1")
    outcome = play.play("1", Train(broker_id=broker, stat=stat), "b").outcome
    assert outcome == Refused(code="stat at maximum", details={"stat": stat, "max": 100})
    assert everything(play, "1") == before


def test_an_upgrade_stops_at_the_maximum_and_still_raises_the_level(play: Playground) -> None:
    """The level is what an upgrade is for; the stat gains what fits."""
    broker = spare(play, "1", speed=99)
    play.fund("1", AIBA=FUNDS)
    for number in range(2):
        play.play("1", Upgrade(broker_id=broker, stat=Stat.SPEED), f"k{number}").reply()
    after = broker_of(play, broker)
    assert (after.speed, after.level, after.xp) == (100, 3, 20)


def test_a_repair_fills_energy_and_clears_cooldowns(play: Playground) -> None:
    """A tired, resting broker can fight at once, up to the maximum in force."""
    set_up(play, sure(energy_cost=10, cooldown_seconds=60), battle_max_energy=30)
    broker = starter(play, "1")
    play.fund("1", NEUR=15)
    fight(play, "1", broker, "a")
    after = play.play("1", Repair(broker_id=broker), "r").reply().broker
    assert (after.energy, dict(after.cooldowns)) == (30, {})
    fight(play, "1", broker, "b")
    assert broker_of(play, broker).energy == 20


@pytest.mark.parametrize("kind", ["train", "repair", "upgrade", "base", "sacrifice"])
@pytest.mark.parametrize("whose", ["another's", "nobody's"])
def test_only_the_owner_can_use_a_broker(play: Playground, kind: str, whose: str) -> None:
    """Another's broker and one that isn't there are refused, for nothing."""
    mine = starter(play, "1")
    other = starter(play, "2") if whose == "another's" else "0" * 24
    play.fund("1", NEUR=FUNDS, AIBA=FUNDS)
    command = {
        "train": Train(broker_id=other, stat=Stat.SPEED),
        "repair": Repair(broker_id=other),
        "upgrade": Upgrade(broker_id=other, stat=Stat.SPEED),
        "base": Combine(base_broker_id=other, sacrifice_broker_id=mine),
        "sacrifice": Combine(base_broker_id=mine, sacrifice_broker_id=other),
    }[kind]
    before = everything(play, "1", "2")
    found = code(play.play("1", command, "k"))
    assert found == "not your broker" if whose == "another's" else found.endswith("not found")
    assert everything(play, "1", "2") == before
