"""Who has the leaders' badge after a command: the leaders, and nobody else."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.decision import Context
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvalidInput
from aiba_domain.moderation.commands import SetBadges
from aiba_domain.moderation.leader_commands import (
    LEADER_BADGE,
    LeaderBadgesReply,
    Standings,
    SyncTopLeaderBadges,
    decide_leader_badges,
)
from aiba_domain.players.model import Player, new_player
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR, Playground
from tests.support.arena import fight, player_of, set_up, starters

_worn = st.lists(st.sampled_from((LEADER_BADGE, "early", "x")), max_size=4).map(tuple)


def _context() -> Context:
    return Context(principal=OPERATOR, player=None, policy=EconomyPolicy(), now=NOON, key="")


def _loaded(players: Sequence[Player], leaders: frozenset[str], most: int) -> Standings:
    """Return what would be loaded of players, looking at so many holders."""
    holders = [each for each in players if LEADER_BADGE in each.badges][:most]
    known = {each.id for each in holders}
    newcomers = [each for each in players if each.id in leaders and each.id not in known]
    return Standings(leaders=leaders, holders=holders, newcomers=newcomers)


@given(
    worn=st.lists(_worn, max_size=6),
    leading=st.sets(st.integers(0, 6).map(str)).map(frozenset),
)
def test_leaders_have_the_badge_and_others_have_not(
    worn: list[tuple[str, ...]], leading: frozenset[str]
) -> None:
    """Other badges stay as they are; who is right already isn't written; twice changes nothing."""
    players = {
        str(number): replace(new_player(str(number), None, 0), badges=badges)
        for number, badges in enumerate(worn)
    }
    before = [each.id for each in players.values() if LEADER_BADGE in each.badges]
    due = sorted(leading & players.keys())
    done = decide_leader_badges(
        _loaded(list(players.values()), leading, 99), SyncTopLeaderBadges(), _context()
    )
    assert done.reply == LeaderBadgesReply(removed=len(before), granted=len(due))
    written = [each for each in done.changed if isinstance(each, Player)]
    assert {each.id for each in written} == set(before) ^ set(due)
    for each in written:
        kept = [badge for badge in players[each.id].badges if badge != LEADER_BADGE]
        assert [badge for badge in each.badges if badge != LEADER_BADGE] == kept
        players[each.id] = each
    assert sorted(each.id for each in players.values() if LEADER_BADGE in each.badges) == due
    if written:
        (change,) = done.audit
        assert (change.before, change.after) == ({"holders": before}, {"holders": due})
    again = decide_leader_badges(
        _loaded(list(players.values()), leading, 99), SyncTopLeaderBadges(), _context()
    )
    assert again.reply == LeaderBadgesReply(removed=len(due), granted=len(due))
    assert (again.changed, again.audit) == ((), ())


@given(holding=st.integers(0, 12), leaders=st.integers(0, 3), most=st.integers(4, 6))
def test_more_holders_than_are_looked_at_become_fewer(
    holding: int, leaders: int, most: int
) -> None:
    """Each command takes the badge from some, until the leaders alone have it."""
    players = {
        f"{number:02}": replace(new_player(f"{number:02}", None, 0), badges=(LEADER_BADGE,))
        for number in range(holding)
    }
    leading = frozenset(sorted(players)[:leaders])
    for _ in range(holding):
        loaded = _loaded(list(players.values()), leading, most)
        done = decide_leader_badges(loaded, SyncTopLeaderBadges(), _context())
        players |= {each.id: each for each in done.changed if isinstance(each, Player)}
    assert {each.id for each in players.values() if each.badges} == leading


def test_the_policy_says_how_many_lead(play: Playground) -> None:
    """Of as high ones the smaller id leads; 0 leaves nobody, and more than fought are all."""
    set_up(play)
    for player, brokers in starters(play, 3).items():
        for battle in range(1 if player == "1" else 2):
            fight(play, player, brokers, str(battle))
    play.operate(SetBadges(player_id="9", badges=("x", LEADER_BADGE)))
    rounds: tuple[tuple[int, int, set[str]], ...] = (
        (1, 1, {"2"}),
        (2, 1, {"2", "3"}),
        (0, 2, set()),
        (9, 0, {"1", "2", "3"}),
    )
    for count, removed, due in rounds:
        play.operate(ChangePolicy(changes={"top_leader_badge_top_n": count}))
        reply = play.operate(SyncTopLeaderBadges())
        assert reply == LeaderBadgesReply(removed=removed, granted=len(due))
        badges = {each: player_of(play, each).badges for each in ("1", "2", "3", "9")}
        assert badges.pop("9") == ("x",)
        assert badges == {each: (LEADER_BADGE,) if each in due else () for each in badges}


@pytest.mark.parametrize("count", [-1, 1_001])
def test_there_are_at_most_a_thousand_leaders(count: int) -> None:
    """A policy with more is none."""
    with pytest.raises(InvalidInput, match="top_leader_badge_top_n"):
        EconomyPolicy(top_leader_badge_top_n=count)
