"""The caps of a day hold at every instant: first emission, last one, midnight, 64 at once."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle
from typing import Any

import pytest

from aiba_domain.battle.resolve import Emission
from aiba_domain.economy.commands import ClaimDaily, ClaimDailyCombo
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.errors import DomainError
from aiba_domain.instants import DAY, HOUR, day_key
from aiba_domain.money import Currency
from aiba_domain.testing.auditor import Auditor
from aiba_domain.testing.playground import Playground, call
from tests.support.arena import (
    accepted,
    battle,
    battles_of,
    code,
    codes,
    entries,
    fight,
    guild,
    held,
    player_of,
    set_up,
    starter,
    starters,
    sure,
)

AIBA, NEUR = 100, 50
"""What one `sure` battle of a starter pays."""
TODAY, TOMORROW = "2026-01-01", "2026-01-02"


def emitted(play: Playground, currency: Currency, day: str = TODAY) -> int:
    """Return what a day has emitted of a currency."""
    used = play.read(lambda read: read.emitted(day))
    return used[currency].total if currency in used else 0


def caps_of(scope: str, cap: int) -> dict[str, Any]:
    """Return a cap of the day or of the arena as a change of the policy."""
    by_arena = {"daily_cap_aiba_by_arena": {"prediction": cap}}
    return {"daily_cap_aiba": cap} if scope == "day" else by_arena


def audit(play: Playground) -> None:
    """Let the auditor follow the whole ledger under the policy in force."""
    auditor = Auditor()
    auditor.follow(entries(play), play.read(lambda read: read.policy()))
    auditor.compare(play.read(lambda read: read.accounts()))


def paid(results: list[Any]) -> list[int]:
    """Return the AIBA that each accepted battle paid."""
    return [reply.battle.receipt.grant.aiba for reply in accepted(results)]


@pytest.mark.parametrize(
    ("cap", "granted"), [(0, 0), (1, 0), (AIBA - 1, 0), (AIBA, AIBA), (AIBA + 1, AIBA)]
)
@pytest.mark.parametrize("scope", ["day", "arena"])
def test_d05_first_emission_of_the_day_respects_the_cap(
    play: Playground, cap: int, granted: int, scope: str
) -> None:
    """On an empty day a reward above the cap is 0, at the cap it is paid; never an error."""
    set_up(play, **caps_of(scope, cap))
    grant = fight(play, "1", starter(play, "1"), "k").receipt.grant
    assert grant.aiba == granted
    assert grant.aiba_emission is (Emission.GRANTED if granted else Emission.CAP_EXCEEDED)
    assert emitted(play, Currency.AIBA) == granted
    # The other currency has a cap of its own.
    assert grant.neur == NEUR
    audit(play)


def test_d05_at_the_cap_battles_go_on_unpaid(play: Playground) -> None:
    """Once the cap is reached a battle is fought, recorded and unpaid, until midnight."""
    set_up(play, daily_cap_aiba=2 * AIBA + 1, daily_cap_neur=2 * NEUR)
    broker = starter(play, "1")
    grants = [fight(play, "1", broker, f"k{n}").receipt.grant for n in range(4)]
    assert [grant.aiba for grant in grants] == [AIBA, AIBA, 0, 0]
    assert [grant.neur for grant in grants] == [NEUR, NEUR, 0, 0]
    assert play.balances("1")[Currency.STARS] == 4
    play.clock.advance(12 * HOUR)
    assert fight(play, "1", broker, "k4").receipt.grant.aiba == AIBA
    audit(play)


def test_d05_a_smaller_reward_still_fits_under_the_cap(play: Playground) -> None:
    """A refused emission uses nothing up: what fits afterwards is paid."""
    half = sure("half", reward_multiplier_aiba=Fraction(1, 2))
    set_up(play, sure(), half, daily_cap_aiba=AIBA + AIBA // 2)
    broker = starter(play, "1")
    modes = ("sure", "sure", "half", "half")
    grants = [fight(play, "1", broker, f"k{n}", mode) for n, mode in enumerate(modes)]
    assert [each.receipt.grant.aiba for each in grants] == [AIBA, 0, AIBA // 2, 0]
    audit(play)


@pytest.mark.parametrize("scope", ["day", "arena"])
def test_d05_racing_first_emissions_stay_under_the_cap(play: Playground, scope: str) -> None:
    """Of two first emissions at once that exceed the cap together one is paid, none fails."""
    cap = AIBA + AIBA // 2
    set_up(play, **caps_of(scope, cap))
    brokers = starters(play, 2)
    results = play.together([battle(player, broker, "k") for player, broker in brokers.items()])
    assert sorted(paid(results)) == [0, AIBA]
    audit(play)


@pytest.mark.parametrize(
    ("caps", "limit"),
    [
        ({"daily_cap_aiba": 1_050}, 1_000),
        ({"daily_cap_aiba_by_arena": {"prediction": 1_050}}, 1_000),
        ({"daily_cap_aiba": 1_050, "daily_cap_aiba_by_arena": {"prediction": 450}}, 400),
        ({"daily_cap_aiba": 450, "daily_cap_aiba_by_arena": {"prediction": 1_050}}, 400),
        ({"daily_cap_aiba": 0}, 0),
    ],
)
def test_64_writers_stay_under_the_cap_and_reach_it(
    play: Playground, caps: dict[str, Any], limit: int
) -> None:
    """However many earn at once, the day gets exactly what whole rewards fit under its cap."""
    set_up(play, **caps)
    brokers = starters(play, 64)
    results = play.together([battle(player, broker, "k") for player, broker in brokers.items()])
    assert codes(results) == {"ok": 64}
    assert sum(paid(results)) == emitted(play, Currency.AIBA) == limit
    assert sum(play.balances(player).get(Currency.AIBA, 0) for player in brokers) == limit
    audit(play)


def test_64_writers_in_two_arenas_share_the_cap_of_the_day(play: Playground) -> None:
    """Each arena keeps its own cap, and all of them the day's."""
    set_up(
        play,
        sure(),
        sure("other", "simulation"),
        daily_cap_aiba=1_000,
        daily_cap_aiba_by_arena={"prediction": 250, "simulation": 900},
    )
    brokers = starters(play, 32)
    results = play.together(
        [
            battle(player, broker, mode, mode)
            for player, broker in brokers.items()
            for mode in ("sure", "other")
        ]
    )
    assert codes(results) == {"ok": 64}
    used = play.read(lambda read: read.emitted(TODAY))[Currency.AIBA]
    assert used.by_arena == {"prediction": 200, "simulation": 800}
    audit(play)


def test_at_midnight_each_day_keeps_its_own_cap(play: Playground) -> None:
    """A full day doesn't hold the next one up, and a clock set back finds it as full as before."""
    set_up(play, daily_cap_aiba=AIBA)
    broker = starter(play, "1")
    play.clock.advance(12 * HOUR - 1)
    assert day_key(play.clock.now()) == TODAY
    assert fight(play, "1", broker, "a").receipt.grant.aiba == AIBA
    assert fight(play, "1", broker, "b").receipt.grant.aiba == 0
    play.clock.advance(1)
    assert day_key(play.clock.now()) == TOMORROW
    assert fight(play, "1", broker, "c").receipt.grant.aiba == AIBA
    assert fight(play, "1", broker, "d").receipt.grant.aiba == 0
    play.clock.advance(-1)
    assert fight(play, "1", broker, "e").receipt.grant.aiba == 0
    assert (emitted(play, Currency.AIBA), emitted(play, Currency.AIBA, TOMORROW)) == (AIBA, AIBA)
    audit(play)


def test_64_writers_over_midnight_stay_under_both_caps(
    play: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the clock swings around midnight every reward is counted on the day it is dated."""
    set_up(play, daily_cap_aiba=1_050)
    brokers = starters(play, 64)
    midnight = play.clock.now() + 12 * HOUR
    swing: Iterator[int] = cycle((midnight - 1, midnight, midnight + 1, midnight - 2))
    monkeypatch.setattr(play.clock, "now", lambda: next(swing))
    results = play.together([battle(player, broker, "k") for player, broker in brokers.items()])
    assert sum(paid(results)) == 2_000
    assert (emitted(play, Currency.AIBA), emitted(play, Currency.AIBA, TOMORROW)) == (1_000, 1_000)
    audit(play)


def test_a_lowered_cap_stops_emission_and_takes_nothing_back(play: Playground) -> None:
    """A cap below what the day has emitted lets nothing more out."""
    set_up(play)
    broker = starter(play, "1")
    fight(play, "1", broker, "a")
    set_up(play, daily_cap_aiba=1)
    assert fight(play, "1", broker, "b").receipt.grant.aiba == 0
    assert play.balances("1")[Currency.AIBA] == AIBA


@pytest.mark.parametrize(
    ("start", "end", "hour", "is_open"),
    [
        (0, 24, 0, True),
        (12, 13, 12, True),
        (12, 13, 13, False),
        (12, 13, 11, False),
        (22, 2, 23, True),
        (22, 2, 1, True),
        (22, 2, 2, False),
        (8, 8, 8, False),
        (0, 0, 12, False),
    ],
)
def test_a_closed_window_is_a_reward_of_0(
    play: Playground, start: int, end: int, hour: int, *, is_open: bool
) -> None:
    """Outside an arena's hours battles are fought unpaid, also over midnight and with no hours."""
    window = EmissionWindow(start_hour=start, end_hour=end)
    set_up(play, emission_windows=EmissionWindows(overrides={"prediction": window}))
    broker = starter(play, "1")
    play.clock.advance((hour - 12) * HOUR)
    grant = fight(play, "1", broker, "k").receipt.grant
    assert (grant.aiba, grant.neur) == ((AIBA, NEUR) if is_open else (0, 0))
    if not is_open:
        assert grant.aiba_emission is grant.neur_emission is Emission.OUTSIDE_WINDOW
    audit(play)


def test_a_closed_window_refuses_the_daily_reward_and_leaves_the_day(play: Playground) -> None:
    """The daily reward has an arena of its own, whose hours count; later the day is still there."""
    closed = EmissionWindow(start_hour=13, end_hour=14)
    set_up(play, emission_windows=EmissionWindows(overrides={"daily_login": closed}))
    assert code(play.play("1", ClaimDaily())) == "daily cap reached"
    play.clock.advance(HOUR)
    assert play.play("1", ClaimDaily()).reply().reward == 50


def test_a_guild_reward_counts_once_towards_the_cap(play: Playground) -> None:
    """Player, leader and vault share one reward, which is judged and counted as a whole."""
    set_up(play, sure("war", "guildWars"), daily_cap_neur=NEUR)
    broker = starter(play, "1")
    play.put(guild(1, "leader", pooled=1, members=("1",)))
    first = fight(play, "1", broker, "a", "war").receipt.grant
    second = fight(play, "1", broker, "b", "war").receipt.grant
    assert (first.neur, second.neur) == (NEUR, 0)
    shares = (
        play.balances("1")[Currency.NEUR]
        + play.balances("leader").get(Currency.NEUR, 0)
        + held(play, f"guild:{1:024x}")[Currency.NEUR]
    )
    assert shares == NEUR == emitted(play, Currency.NEUR)
    audit(play)


def test_d68_parallel_daily_claims_count_one_emission(play: Playground) -> None:
    """Of 30 claims of a player at once one is granted, and the counter rises once."""
    results = play.together([call("1", ClaimDaily(), key) for key in [None, "a", "b"] * 10])
    assert codes(results) == {"ok": 30}
    assert sum(reply.reward for reply in accepted(results)) == 50
    assert emitted(play, Currency.NEUR) == 50
    assert play.balances("1") == {Currency.NEUR: 50}


def test_d68_a_claim_refused_by_the_cap_leaves_the_day_unclaimed(play: Playground) -> None:
    """Who is refused at the cap may claim as soon as the cap allows, on the same day."""
    set_up(play, daily_cap_neur=120)
    results = play.together([call(str(player), ClaimDaily()) for player in range(1, 5)])
    assert codes(results) == {"ok": 2, "daily cap reached": 2}
    assert emitted(play, Currency.NEUR) == 100
    refused = [str(n) for n in range(1, 5) if not play.balances(str(n))]
    set_up(play, daily_cap_neur=1_000)
    for player in refused:
        assert play.play(player, ClaimDaily()).reply().reward == 50
    audit(play)


def test_daily_reward_comes_once_a_day_whatever_the_clock_does(play: Playground) -> None:
    """Claimed on two days, a day that a clock set back shows again is claimed already."""
    play.clock.advance(12 * HOUR - 1)
    rewards = []
    for step in (0, 1, -1, 1, -DAY, 2 * DAY):
        play.clock.advance(step)
        rewards.append(play.play("1", ClaimDaily()).reply().reward)
    assert rewards == [50, 50, 0, 0, 0, 50]


def test_login_streak_counts_days_in_a_row(play: Playground) -> None:
    """A claim on the next day adds to the streak, a gap starts it again, a second claim nothing."""
    streaks = []
    for step in (0, 0, DAY, DAY, 2 * DAY, DAY):
        play.clock.advance(step)
        streaks.append(play.play("1", ClaimDaily()).reply().login_streak_days)
    assert streaks == [1, 1, 2, 3, 1, 2]
    assert player_of(play, "1").login_streak_days == 2


def test_combo_respects_the_cap_and_leaves_the_day(play: Playground) -> None:
    """The combo's bonus is emission too: refused at the cap, claimable when there is room."""
    set_up(play, daily_combo_requirement_aiba=0, daily_cap_aiba=499)
    assert code(play.play("1", ClaimDailyCombo())) == "daily cap reached"
    set_up(play, daily_combo_requirement_aiba=0, daily_cap_aiba=500)
    assert play.play("1", ClaimDailyCombo()).reply().bonus == 500
    assert play.play("1", ClaimDailyCombo()).reply().already_claimed
    audit(play)


def test_nothing_here_is_an_error(play: Playground) -> None:
    """At the cap every command that emits answers; none raises."""
    set_up(play, daily_cap_aiba=0, daily_cap_neur=0, daily_combo_requirement_aiba=0)
    broker = starter(play, "1")
    results = play.together(
        [battle("1", broker, "k"), call("1", ClaimDaily()), call("1", ClaimDailyCombo())]
    )
    assert not [result for result in results if isinstance(result, DomainError)]
    assert codes(results) == {"ok": 1, "daily cap reached": 2}
    assert [each.receipt.grant.aiba for each in battles_of(play, "1")] == [0]
