"""Players: sessions opened once per initData, and what they say of themselves."""

from typing import Any

import pytest

from aiba_domain.decision import Principal, Refused
from aiba_domain.players.commands import OpenSession, SetSchool
from aiba_domain.players.model import Profile
from aiba_domain.testing.playground import Call, Playground, call
from tests.support.arena import accepted, code, codes, everything, player_of

OPEN = OpenSession(init_data_digest="d", lifetime_ms=1_000)
SCHOOL = "0123456789abcdef01234567"


def test_one_init_data_gives_one_session_while_it_lives(play: Playground) -> None:
    """The same session to the last millisecond, and none afterwards."""
    first = play.play("1", OPEN).reply().session
    assert first.expires_at == first.opened_at + 1_000
    play.clock.advance(999)
    assert play.play("1", OPEN).reply().session == first
    play.clock.advance(1)
    outcome = play.play("1", OPEN).outcome
    assert outcome == Refused(code="telegram auth expired", details={"reason": "session over"})


def test_parallel_logins_share_the_session(play: Playground) -> None:
    """Twenty exchanges of one initData at once open one session."""
    results = play.together([call("1", OPEN)] * 20)
    assert codes(results) == {"ok": 20}
    assert len({reply.session.id for reply in accepted(results)}) == 1


def test_sessions_of_other_init_data_and_players_are_others(play: Playground) -> None:
    """A digest says nothing about another player's session."""
    other = OpenSession(init_data_digest="e", lifetime_ms=1_000)
    results = play.together([call("1", OPEN), call("1", other), call("2", OPEN)])
    assert len({reply.session.id for reply in accepted(results)}) == 3


def test_a_login_keeps_what_telegram_says_of_the_player(play: Playground) -> None:
    """The newest profile is kept, and later commands don't blank it."""
    for name in ("Ann", "Änn \U0001f600"):
        profile = Profile(username="ann", first_name=name)
        one = OpenSession(init_data_digest=name, lifetime_ms=1_000)
        play.issue(Principal(id="1", profile=profile), one).reply()
        assert player_of(play, "1").profile == profile
    play.play("1", SetSchool(school_id=SCHOOL)).reply()
    assert player_of(play, "1").profile.username == "ann"


@pytest.mark.parametrize("school", ["", "x" * 24, SCHOOL.upper(), SCHOOL + "0", "0" * 23])
def test_a_bad_school_is_refused_and_clears_nothing(play: Playground, school: str) -> None:
    """The stored school stays."""
    play.play("1", SetSchool(school_id=SCHOOL)).reply()
    before = everything(play, "1")
    assert code(play.play("1", SetSchool(school_id=school))) == "validation_error"
    assert everything(play, "1") == before
    assert player_of(play, "1").school_id == SCHOOL


def test_commands_of_a_new_player_at_once_make_one_player(play: Playground) -> None:
    """First commands in parallel lose nothing of each other."""
    other = OpenSession(init_data_digest="e", lifetime_ms=1_000)
    ann = Principal(id="1", profile=Profile(username="ann"))
    school = SetSchool(school_id=SCHOOL)
    calls: list[Call[Any]] = [call("1", school), Call(principal=ann, command=other)]
    assert codes(play.together([*calls, call("1", OPEN)])) == {"ok": 3}
    found = player_of(play, "1")
    assert (found.school_id, found.profile.username) == (SCHOOL, "ann")
