"""Battles as players run them: once, for what they cost, with all of their effects."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.receipt import verify
from aiba_domain.battle.resolve import GuildMatch
from aiba_domain.decision import Refused
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.ids import derive_id
from aiba_domain.instants import DAY, HOUR, MINUTE, SECOND
from aiba_domain.money import Currency
from aiba_domain.testing.playground import Playground, call
from tests.support.arena import (
    accepted,
    battle,
    battles_of,
    broker_of,
    code,
    codes,
    everything,
    fight,
    guild,
    held,
    player_of,
    set_up,
    spare,
    starter,
    starters,
    sure,
)

LOSING = ModeRules(intelligence_weight=0, speed_weight=0, risk_weight=0, variance_base=0)
"""Rules under which nobody ever scores."""


def refusal(play: Playground, command: RunBattle, key: str = "k") -> Refused:
    """Run a battle that must be refused, and see that it changed nothing."""
    before = everything(play, "1")
    outcome = play.play("1", command, key).outcome
    assert isinstance(outcome, Refused)
    assert everything(play, "1") == before
    return outcome


def revealed(play: Playground) -> str:
    """Turn the seed epoch over and return the secret of the closed one."""
    closed = play.rotate_seed().closed
    assert closed is not None
    assert closed.revealed_secret is not None
    return closed.revealed_secret


# The first win.


def test_d09_the_first_win_answers_and_brings_diamonds_once(play: Playground) -> None:
    """The battle of the first win is answered like any other; only the first one has Diamonds."""
    set_up(play)
    broker = starter(play, "1")
    diamonds = [fight(play, "1", broker, key).diamonds for key in ("a", "a", "b", "c")]
    assert diamonds == [1, 1, 0, 0]
    assert play.balances("1")[Currency.DIAMONDS] == 1
    assert player_of(play, "1").first_win_at == play.clock.now()


def test_d09_of_many_first_wins_at_once_one_brings_diamonds(play: Playground) -> None:
    """20 battles at once with two brokers: all answered, Diamonds once."""
    set_up(play)
    brokers = [starter(play, "1"), spare(play, "1")]
    results = play.together([battle("1", brokers[n % 2], f"k{n}") for n in range(20)])
    assert codes(results) == {"ok": 20}
    assert sorted(reply.battle.diamonds for reply in accepted(results)) == [0] * 19 + [1]
    assert play.balances("1")[Currency.DIAMONDS] == 1


def test_d09_a_loss_is_no_first_win(play: Playground) -> None:
    """The first win comes after any number of losses, and pays then."""
    set_up(play, sure(), sure("lost", rules=LOSING))
    broker = starter(play, "1")
    lost = fight(play, "1", broker, "a", "lost")
    assert (lost.stars, lost.diamonds, lost.receipt.outcome.score) == (0, 0, 0)
    assert play.balances("1") == {}
    assert player_of(play, "1").first_win_at is None
    assert fight(play, "1", broker, "b").diamonds == 1


# Energy and cooldown.


def test_d32_of_25_battles_at_once_with_energy_for_one_one_is_fought(play: Playground) -> None:
    """Energy is taken where it is checked: 24 are refused, one is paid, energy ends at 0."""
    set_up(play, sure(energy_cost=10))
    broker = starter(play, "1")
    results = play.together([battle("1", broker, f"k{n}") for n in range(25)])
    assert codes(results) == {"ok": 1, "no energy": 24}
    assert len(battles_of(play, "1")) == 1
    assert broker_of(play, broker).energy == 0
    assert play.balances("1")[Currency.STARS] == 1


def test_d32_of_25_battles_at_once_under_a_cooldown_one_is_fought(play: Playground) -> None:
    """The cooldown is started where it is checked, so energy to spare doesn't help."""
    set_up(play, sure(cooldown_seconds=30))
    broker = starter(play, "1")
    results = play.together([battle("1", broker, f"k{n}") for n in range(25)])
    assert codes(results) == {"ok": 1, "cooldown": 24}
    assert len(battles_of(play, "1")) == 1


def test_d32_brokers_tire_on_their_own(play: Playground) -> None:
    """One battle each for ten brokers at once, however often each is sent."""
    set_up(play, sure(energy_cost=10))
    brokers = starters(play, 10)
    results = play.together(
        [battle(player, broker, f"k{n}") for n in range(3) for player, broker in brokers.items()]
    )
    assert codes(results) == {"ok": 10, "no energy": 20}


def test_energy_comes_back_and_no_battle_is_fought_on_credit(play: Playground) -> None:
    """A point returns each minute; a refused battle takes nothing of it."""
    set_up(play, sure(energy_cost=2))
    broker = starter(play, "1")
    for number in range(5):
        fight(play, "1", broker, f"a{number}")
    play.clock.advance(2 * MINUTE - 1)
    outcome = refusal(play, RunBattle(broker_id=broker, mode_key="sure"))
    assert outcome == Refused(code="no energy", details={"need": 2, "have": 1})
    play.clock.advance(1)
    fight(play, "1", broker, "b")
    assert broker_of(play, broker).energy == 0
    play.clock.advance(DAY)
    fight(play, "1", broker, "c")
    assert broker_of(play, broker).energy == 98


def test_a_mode_rests_on_its_own(play: Playground) -> None:
    """A battle in one mode doesn't block another, and the first rests to the millisecond."""
    set_up(play, sure("a", cooldown_seconds=30), sure("b", cooldown_seconds=45))
    broker = starter(play, "1")
    fight(play, "1", broker, "1", "a")
    fight(play, "1", broker, "2", "b")
    play.clock.advance(30 * SECOND - 1)
    outcome = refusal(play, RunBattle(broker_id=broker, mode_key="a"))
    assert outcome == Refused(code="cooldown", details={"retryAfterMs": 1})
    play.clock.advance(1)
    fight(play, "1", broker, "3", "a")
    outcome = refusal(play, RunBattle(broker_id=broker, mode_key="b"), "k2")
    assert outcome.details == {"retryAfterMs": 15 * SECOND}


def test_a_clock_set_back_gives_no_energy_and_no_battle_for_nothing(play: Playground) -> None:
    """Going back and forth in time never adds to what time itself gives."""
    set_up(play, sure(energy_cost=10))
    broker = starter(play, "1")
    fight(play, "1", broker, "a")
    for step in (-HOUR, HOUR, -DAY, DAY):
        play.clock.advance(step)
        assert code(play.play("1", battle("1", broker, "b").command, f"b{step}")) == "no energy"
    play.clock.advance(10 * MINUTE)
    fight(play, "1", broker, "c")
    assert broker_of(play, broker).energy == 0


# Fees.


def test_d36_no_fee_is_kept_for_a_battle_that_is_refused(play: Playground) -> None:
    """With NEUR enough and AIBA short the battle is refused and both are untouched."""
    set_up(play, sure(entry_neur=10, entry_aiba=5, energy_cost=1))
    broker = starter(play, "1")
    play.fund("1", NEUR=100, AIBA=4)
    outcome = refusal(play, RunBattle(broker_id=broker, mode_key="sure"))
    assert outcome == Refused(code="insufficient AIBA", details={"need": 5, "have": 4})
    assert play.balances("1") == {Currency.NEUR: 100, Currency.AIBA: 4}
    assert held(play, "sink:2026-01-01:entry:prediction") == {}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (RunBattle(broker_id="b", mode_key="nowhere"), "invalid_mode"),
        (RunBattle(broker_id="b", arena="nowhere"), "invalid_mode"),
        (RunBattle(broker_id="b", mode_key="off"), "mode_disabled"),
        (RunBattle(broker_id="b", mode_key="war"), "guild required"),
        (RunBattle(broker_id="0" * 24, mode_key="dear"), "broker not found"),
        (RunBattle(broker_id=derive_id("starter", "2"), mode_key="dear"), "not your broker"),
        (RunBattle(broker_id=derive_id("starter", "1"), mode_key="elite"), "league_locked"),
        (RunBattle(broker_id=derive_id("starter", "1"), mode_key="tiring"), "no energy"),
    ],
)
def test_d36_whatever_refuses_a_battle_comes_before_its_fee(
    play: Playground, command: RunBattle, expected: str
) -> None:
    """No refusal of any kind costs anything."""
    fees: dict[str, Any] = {"entry_neur": 10, "entry_aiba": 10}
    set_up(
        play,
        sure("dear", **fees),
        sure("off", enabled=False, **fees),
        sure("war", "guildWars", **fees),
        sure("elite", league="elite", **fees),
        sure("tiring", energy_cost=11, **fees),
    )
    starters(play, 2)
    play.fund("1", NEUR=100, AIBA=100)
    assert refusal(play, command).code == expected


def test_fees_are_taken_once_from_whoever_fights(play: Playground) -> None:
    """Both fees go to the day's sink of the arena, and AIBA counts for the combo."""
    set_up(play, sure(entry_neur=10, entry_aiba=5))
    broker = starter(play, "1")
    play.fund("1", NEUR=10, AIBA=5)
    results = play.together([battle("1", broker, "k")] * 5)
    grant = accepted(results)[0].battle.receipt.grant
    assert held(play, "sink:2026-01-01:entry:prediction") == {
        Currency.NEUR: 10,
        Currency.AIBA: 5,
    }
    assert play.balances("1")[Currency.NEUR] == grant.player_neur
    assert player_of(play, "1").combo_spent_aiba == 5


# Streaks.


def test_d77_parallel_wins_all_count(play: Playground) -> None:
    """20 wins at once are a streak of 20, in whichever order."""
    set_up(play)
    broker = starter(play, "1")
    results = play.together([battle("1", broker, f"k{n}") for n in range(20)])
    assert codes(results) == {"ok": 20}
    assert player_of(play, "1").win_streak == 20
    counted = {reply.battle.receipt.inputs.bonuses.win_streak for reply in accepted(results)}
    assert counted == set(range(20))


def test_d77_a_loss_ends_a_streak_and_a_day_without_a_win_too(play: Playground) -> None:
    """The streak is what the last battles say."""
    set_up(play, sure(), sure("lost", rules=LOSING))
    broker = starter(play, "1")
    streaks = []
    steps = (("sure", 0), ("sure", 0), ("lost", 0), ("sure", 0), ("sure", DAY - 1), ("sure", DAY))
    for number, (mode, wait) in enumerate(steps):
        play.clock.advance(wait)
        fight(play, "1", broker, f"k{number}", mode)
        streaks.append(player_of(play, "1").win_streak)
    assert streaks == [1, 2, 0, 1, 2, 1]


def test_rewards_follow_the_streak_recorded_with_the_battle(play: Playground) -> None:
    """Each win raises the next reward by the policy's share, up to five."""
    set_up(play, rewards=RewardRates(win_streak_bonus_bps=Fraction(1_000)))
    broker = starter(play, "1")
    grants = [fight(play, "1", broker, f"k{n}").receipt.grant.aiba for n in range(7)]
    assert grants == [100, 110, 120, 130, 140, 150, 150]


# Guild wars.


def guilds_of(play: Playground, number: int) -> GuildMatch:
    """Fight a guild battle and return whom it met."""
    match = fight(play, "1", derive_id("starter", "1"), f"k{number}", "war").receipt.inputs.guild
    assert match is not None
    return match


@pytest.fixture(name="war")
def _war(play: Playground) -> Playground:
    """Put player 1 into a guild of 3 brokers that meets one of 5."""
    set_up(play, sure("war", "guildWars"))
    starter(play, "1")
    play.put(guild(5, "leader", pooled=3, members=("1",)), guild(6, "rival", pooled=5))
    return play


def test_d31_creating_guilds_changes_neither_opponent_nor_replay(war: Playground) -> None:
    """Any number of empty guilds, with smaller and larger ids, change nothing."""
    first = guilds_of(war, 0)
    assert (first.their_id, first.their_count, first.bonus) == (f"{6:024x}", 5, -6)
    for number in (1, 2, 3, 4, 7, 8, 9):
        war.put(guild(number, f"founder {number}", pooled=0))
        assert guilds_of(war, number) == first
    secret = revealed(war)
    for each in battles_of(war, "1"):
        assert verify(each.receipt, secret) == ()


def test_d31_the_opponent_is_the_nearest_with_brokers(war: Playground) -> None:
    """Nearest in strength, then smallest id; one's own and inactive guilds don't count."""
    met = [guilds_of(war, 0).their_id]
    for number, (pooled, active) in enumerate([(4, True), (2, True), (3, False)], 1):
        war.put(replace(guild(9 - number, "x", pooled=pooled), active=active))
        met.append(guilds_of(war, number).their_id)
    assert [int(each, 16) for each in met] == [6, 8, 7, 7]


def test_d31_every_input_of_a_guild_battle_is_recorded(war: Playground) -> None:
    """After the guilds changed the old battle still verifies: it holds what it was decided by."""
    guilds_of(war, 0)
    before = battles_of(war, "1")
    war.put(guild(5, "leader", pooled=9, members=("1",)), guild(6, "rival", pooled=0))
    secret = revealed(war)
    assert battles_of(war, "1") == before
    assert verify(before[0].receipt, secret) == ()


def test_a_guild_without_rivals_fights_without_a_bonus(play: Playground) -> None:
    """Where no other guild has a broker, strength counts for nothing."""
    set_up(play, sure("war", "guildWars"))
    starter(play, "1")
    play.put(guild(5, "leader", pooled=9, members=("1",)), guild(6, "x", pooled=0))
    match = guilds_of(play, 0)
    assert (match.my_count, match.their_id, match.bonus) == (9, "", 0)


# The record.


def test_battles_verify_under_their_own_epoch_for_ever(play: Playground) -> None:
    """Three epochs later each battle verifies with the secret of its own, and no other's."""
    broker = starter(play, "1")
    # Whole and broken factors, as operators write them.
    rules = ModeRules(variance_base=30, speed_weight=1, risk_weight=0.1)
    set_up(play, sure(rules=rules))
    secrets: dict[int, str] = {}
    for number in range(3):
        fight(play, "1", broker, f"k{number}")
        secrets[number + 1] = revealed(play)
    for each in battles_of(play, "1"):
        epoch = each.receipt.inputs.epoch
        for number, secret in secrets.items():
            assert (verify(each.receipt, secret) == ()) == (number == epoch)


def test_the_mode_is_found_by_key_or_by_place(play: Playground) -> None:
    """By arena and league the usual mode comes first, then the first enabled one by key."""
    broker = starter(play, "1")
    set_up(play, sure("prediction"), sure("a-prediction"))

    def mode_of(key: str, **wanted: str) -> str:
        command = RunBattle(broker_id=broker, **wanted)
        found: str = play.play("1", command, key).reply().battle.receipt.inputs.mode.key
        return found

    assert mode_of("1") == "prediction"
    play.operate(SaveMode(mode=sure("prediction", enabled=False)))
    assert mode_of("2") == "a-prediction"
    assert mode_of("3", arena="simulation") == "simulation"


def test_battles_of_one_moment_are_all_told_apart(play: Playground) -> None:
    """Different keys are different battles with different draws, though all else is the same."""
    set_up(play, sure(rules=ModeRules(variance_base=100)))
    broker = starter(play, "1")
    results = play.together([battle("1", broker, f"k{n}") for n in range(30)])
    receipts = [reply.battle.receipt for reply in accepted(results)]
    assert len({receipt.outcome.seed_hex for receipt in receipts}) == 30
    assert len({receipt.outcome.score for receipt in receipts}) > 5
    assert len(battles_of(play, "1")) == 30


def test_money_of_a_battle_is_what_its_record_says(play: Playground) -> None:
    """Over many battles of chance the balance is the sum of the records, to the unit."""
    set_up(play, sure(rules=ModeRules(variance_base=100)), daily_cap_aiba=1_500)
    broker = starter(play, "1")
    play.together([battle("1", broker, f"k{n}") for n in range(40)])
    totals: Mapping[str, int] = {
        "aiba": sum(each.receipt.grant.aiba for each in battles_of(play, "1")),
        "neur": sum(each.receipt.grant.player_neur for each in battles_of(play, "1")),
        "stars": sum(each.stars for each in battles_of(play, "1")),
    }
    balances = play.balances("1")
    assert balances[Currency.AIBA] == totals["aiba"] <= 1_500
    assert balances[Currency.NEUR] == totals["neur"]
    assert balances[Currency.STARS] == totals["stars"]
    assert any(each.receipt.grant.aiba == 0 for each in battles_of(play, "1"))


def test_another_players_broker_fights_for_nobody_else(play: Playground) -> None:
    """Two players who name one broker at once: only its owner fights."""
    set_up(play)
    broker = starter(play, "1")
    results = play.together(
        [call(player, RunBattle(broker_id=broker, mode_key="sure"), "k") for player in "123"]
    )
    assert codes(results) == {"ok": 1, "not your broker": 2}
