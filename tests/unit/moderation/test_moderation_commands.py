"""Anomalies, flags and bans: honest play is never flagged, and every ban can be explained."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle import commands as battle_commands
from aiba_domain.battle.commands import ANOMALY_RULE, RunBattle
from aiba_domain.battle.engine import Fighter, ModeRules
from aiba_domain.battle.model import Battle
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, resolve
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.events import AutoBanned
from aiba_domain.instants import DAY, MINUTE
from aiba_domain.moderation.commands import BanBroker, BanPlayer, UnbanBroker, UnbanPlayer
from aiba_domain.moderation.model import AUTO_BAN_REASON, Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.testing import strategies
from aiba_domain.testing.playground import Playground
from tests.support.arena import (
    broker_of,
    code,
    fight,
    guild,
    player_of,
    set_up,
    spare,
    starter,
    sure,
)


@given(battle=strategies.battles(), limit=st.integers(1, 400), key=st.text("abc", max_size=5))
def test_d55_no_honest_battle_is_an_anomaly(battle: Battle, limit: int, key: str) -> None:
    """Whatever the broker, mode, guild bonus, draw and limit: what is played is legal."""
    inputs = replace(battle.receipt.inputs, anomaly_limit=limit, request_id=key)
    outcome = resolve(inputs, strategies.SECRET)
    assert not outcome.is_anomaly
    assert outcome.score <= outcome.score_limit
    assert outcome.score_limit >= limit


@given(level=st.integers(20, 40), limit=st.integers(1, 300), key=st.integers(0, 10**6))
def test_d55_the_best_broker_in_elite_is_never_flagged(level: int, limit: int, key: int) -> None:
    """The broker that a fixed limit of 220 banned: 100 in every stat, level 26 and up."""
    mode = sure("elite", league="elite", rules=ModeRules()).terms()
    top = Fighter(intelligence=100, speed=100, risk=100, level=level)
    inputs = BattleInputs(
        battle_id="b",
        player_id="1",
        broker_id="b",
        request_id=str(key),
        at=0,
        epoch=1,
        commitment="",
        fighter=top,
        mode=mode,
        guild=None,
        policy_version=1,
        rates=RewardRates(),
        bonuses=None,
        anomaly_limit=limit,
    )
    assert not resolve(inputs, strategies.SECRET).is_anomaly


def test_d55_honest_play_under_the_lowest_limit_leaves_no_flag(play: Playground) -> None:
    """Through the whole service too: 40 battles of a top broker, limit 1, nothing is held."""
    set_up(
        play,
        sure("war", "guildWars", league="elite", rules=ModeRules()),
        battle_anomaly_score_max=1,
        battle_auto_ban_broker_anomaly_flags=1,
        battle_auto_ban_user_anomaly_flags=1,
    )
    top = spare(play, "1", intelligence=100, speed=100, risk=100, level=26)
    play.put(guild(1, "leader", pooled=9, members=("1",)), guild(2, "x", pooled=1))
    for number in range(40):
        assert fight(play, "1", top, f"k{number}", "war").receipt.outcome.guild_bonus == 15
    assert (broker_of(play, top).anomaly_flags, player_of(play, "1").anomaly_flags) == (0, 0)
    assert broker_of(play, top).ban is None


# What no honest engine produces is made up from here on.


def flags_of(play: Playground, subject: Subject, subject_id: str) -> list[Flag]:
    """Return the stored flags of a subject."""
    return list(play.read(lambda read: read.flags_of(subject, subject_id)))


@pytest.fixture(name="cheat")
def _cheat(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Give a switch that makes every battle score beyond its limit."""
    switch = [True]

    def tampered(inputs: BattleInputs, secret: str) -> BattleOutcome:
        outcome = resolve(inputs, secret)
        if not switch[0]:
            return outcome
        return replace(outcome, score=outcome.score_limit + 1, is_anomaly=True)

    monkeypatch.setattr(battle_commands, "resolve", tampered)

    def turn(on: bool) -> None:  # noqa: FBT001 - a switch
        switch[0] = on

    return turn


def test_d55_a_flag_names_its_rule_and_keeps_its_evidence(
    play: Playground, cheat: Callable[[bool], None]
) -> None:
    """Broker and player are flagged with battle, score and limit; the battle pays nothing."""
    cheat(True)  # noqa: FBT003 - the switch
    set_up(play)
    broker = starter(play, "1")
    battle = fight(play, "1", broker, "k")
    outcome = battle.receipt.outcome
    evidence = {"battleId": battle.id, "score": outcome.score, "limit": outcome.score_limit}
    for subject, subject_id in ((Subject.BROKER, broker), (Subject.PLAYER, "1")):
        (flag,) = flags_of(play, subject, subject_id)
        assert (flag.rule, flag.at, dict(flag.evidence)) == (
            ANOMALY_RULE,
            play.clock.now(),
            evidence,
        )
    assert play.balances("1") == {}
    fight(play, "1", broker, "k")
    assert len(flags_of(play, Subject.PLAYER, "1")) == 1


def test_d55_a_broker_is_banned_at_its_count_and_an_unban_starts_the_count_anew(
    play: Playground, cheat: Callable[[bool], None]
) -> None:
    """The next hit after an unban is the first again; the flags stay as evidence."""
    cheat(True)  # noqa: FBT003 - the switch
    set_up(play, battle_auto_ban_broker_anomaly_flags=3)
    broker = starter(play, "1")
    for number in range(3):
        assert broker_of(play, broker).ban is None
        fight(play, "1", broker, f"a{number}")
    ban = broker_of(play, broker).ban
    assert ban is not None
    assert (ban.reason, ban.until) == (AUTO_BAN_REASON, None)
    assert AutoBanned(subject=Subject.BROKER, subject_id=broker) in play.seen.events
    assert code(play.play("1", RunBattle(broker_id=broker, mode_key="sure"), "b")) == (
        "broker banned"
    )
    standing = play.operate(UnbanBroker(broker_id=broker))
    assert standing.ban is None
    assert len(standing.flags) == 3
    for number in range(2):
        fight(play, "1", broker, f"c{number}")
        assert broker_of(play, broker).ban is None
    fight(play, "1", broker, "c2")
    assert broker_of(play, broker).ban is not None
    assert len(flags_of(play, Subject.BROKER, broker)) == 6


def test_d55_a_player_is_banned_at_the_count_for_the_configured_time(
    play: Playground, cheat: Callable[[bool], None]
) -> None:
    """Hits of all brokers count; the ban ends by itself, and an unban resets the count."""
    cheat(True)  # noqa: FBT003 - the switch
    set_up(play, battle_auto_ban_user_anomaly_flags=2, battle_auto_ban_user_minutes=10)
    brokers = [starter(play, "1"), spare(play, "1")]
    for number, broker in enumerate(brokers):
        fight(play, "1", broker, f"a{number}")
    ban = player_of(play, "1").ban
    assert ban is not None
    assert (ban.reason, ban.until) == (AUTO_BAN_REASON, play.clock.now() + 10 * MINUTE)
    command = RunBattle(broker_id=brokers[0], mode_key="sure")
    assert code(play.play("1", command, "b")) == "banned"
    play.operate(UnbanPlayer(player_id="1"))
    fight(play, "1", brokers[0], "c")
    assert player_of(play, "1").ban is None
    assert player_of(play, "1").anomaly_flags == 1
    fight(play, "1", brokers[0], "d")
    assert code(play.play("1", command, "e")) == "banned"
    play.clock.advance(10 * MINUTE)
    cheat(False)  # noqa: FBT003 - the switch
    fight(play, "1", brokers[0], "f")


def test_d55_a_later_hit_never_shortens_a_ban_by_an_operator(
    play: Playground, cheat: Callable[[bool], None]
) -> None:
    """A banned broker fights no battles, so no automatic ban replaces an operator's."""
    cheat(True)  # noqa: FBT003 - the switch
    set_up(play, battle_auto_ban_broker_anomaly_flags=1)
    broker = starter(play, "1")
    play.operate(BanBroker(broker_id=broker, reason="by hand"))
    assert code(play.play("1", RunBattle(broker_id=broker, mode_key="sure"), "k")) == (
        "broker banned"
    )
    ban = broker_of(play, broker).ban
    assert ban is not None
    assert (ban.reason, ban.by) == ("by hand", "operator")


def test_a_ban_says_by_whom_and_why(play: Playground) -> None:
    """An operator's ban is explained by name, reason and time, and shown with the flags."""
    standing = play.operate(BanPlayer(player_id="1", minutes=60, reason="bots"))
    assert standing.ban is not None
    assert (standing.ban.by, standing.ban.reason, standing.ban.since) == (
        "operator",
        "bots",
        play.clock.now(),
    )
    assert standing.ban.until == play.clock.now() + 60 * MINUTE
    assert player_of(play, "1").ban == standing.ban


def test_a_second_ban_replaces_the_first(play: Playground) -> None:
    """What the operator said last holds."""
    play.operate(BanPlayer(player_id="1", minutes=100_000, reason="long"))
    play.operate(BanPlayer(player_id="1", minutes=1, reason="short"))
    play.clock.advance(DAY)
    set_up(play)
    assert fight(play, "1", starter(play, "1"), "k").stars == 1


def test_what_is_not_there_cannot_be_unbanned(play: Playground) -> None:
    """Unbanning a stranger or banning no broker says so."""
    for command, expected in (
        (UnbanPlayer(player_id="9"), "user not found"),
        (UnbanBroker(broker_id="9"), "broker not found"),
        (BanBroker(broker_id="9", reason=""), "broker not found"),
    ):
        with pytest.raises(Exception, match=expected):
            play.operate(command)


def test_an_anomaly_is_recorded_unpaid_and_no_first_win(
    play: Playground, cheat: Callable[[bool], None]
) -> None:
    """Diamonds come with the first honest win, not with a suspicious one."""
    cheat(True)  # noqa: FBT003 - the switch
    set_up(play)
    broker = starter(play, "1")
    assert fight(play, "1", broker, "a").diamonds == 0
    cheat(False)  # noqa: FBT003 - the switch
    assert fight(play, "1", broker, "b").diamonds == 1
    cheat(True)  # noqa: FBT003 - the switch
    fight(play, "1", broker, "c")
    assert player_of(play, "1").win_streak == 1
    assert play.balances("1")[Currency.DIAMONDS] == 1
