"""One key, one effect, one answer: for every command, for ever, whoever asks again and when."""

from typing import Any

import pytest

from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Combine, Repair, Train, Upgrade
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Command
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily
from aiba_domain.errors import DomainError, InvalidInput, InvariantViolation
from aiba_domain.ids import derive_id
from aiba_domain.instants import DAY
from aiba_domain.money import Currency
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.machines import answer_of
from aiba_domain.testing.playground import Playground, call
from tests.support.arena import (
    accepted,
    battle,
    battles_of,
    broker_of,
    code,
    codes,
    entries,
    everything,
    fight,
    set_up,
    spare,
    starter,
    starters,
)


def keyed(broker_id: str, spare_id: str) -> tuple[Command[Any], ...]:
    """Return one of each command that costs money."""
    return (
        RunBattle(broker_id=broker_id, mode_key="sure"),
        Train(broker_id=broker_id, stat=Stat.SPEED),
        Repair(broker_id=broker_id),
        Upgrade(broker_id=broker_id, stat=Stat.RISK),
        Combine(base_broker_id=broker_id, sacrifice_broker_id=spare_id),
    )


def test_200_calls_with_one_key_have_one_effect_and_one_answer(play: Playground) -> None:
    """However many callers repeat a battle at once, it is fought once and all are told the same."""
    set_up(play)
    broker = starter(play, "1")
    results = play.together([battle("1", broker, "k")] * 200)
    assert codes(results) == {"ok": 200}
    replies = accepted(results)
    assert replies == [replies[0]] * 200
    assert play.balances("1") == {
        Currency.AIBA: 100,
        Currency.NEUR: 50,
        Currency.STARS: 1,
        Currency.DIAMONDS: 1,
    }
    assert len(battles_of(play, "1")) == 1


def test_d06_a_repeated_debit_hands_nothing_out_again(play: Playground) -> None:
    """Every paid command, repeated at once and years later, takes and gives once."""
    set_up(play)
    broker, sacrifice = starter(play, "1"), spare(play, "1")
    play.fund("1", NEUR=1_000, AIBA=1_000)
    for number, command in enumerate(keyed(broker, sacrifice)):
        first = play.play("1", command, f"k{number}")
        assert code(first) == "ok"
        after = everything(play, "1")
        for wait in (0, 8 * DAY, 1_000 * DAY):
            play.clock.advance(wait)
            again = play.play("1", command, f"k{number}")
            assert again.replayed
            assert answer_of(again.outcome) == answer_of(first.outcome)
            assert everything(play, "1") == after


def test_the_first_answer_outlives_what_it_speaks_of(play: Playground) -> None:
    """A battle's answer is the same after its broker was merged away and the rules changed."""
    set_up(play)
    base, broker = starter(play, "1"), spare(play, "1")
    play.fund("1", NEUR=1_000)
    first = fight(play, "1", broker, "k")
    play.play("1", Combine(base_broker_id=base, sacrifice_broker_id=broker), "c").reply()
    set_up(play, daily_cap_aiba=0)
    play.rotate_seed()
    assert play.play("1", battle("1", broker, "k").command, "k").reply().battle == first


def test_the_same_key_with_another_body_is_refused(play: Playground) -> None:
    """A key stands for one request: another one under it is an error and changes nothing."""
    set_up(play)
    broker, sacrifice = starter(play, "1"), spare(play, "1")
    play.fund("1", NEUR=1_000, AIBA=1_000)
    others: tuple[Command[Any], ...] = (
        RunBattle(broker_id=sacrifice, mode_key="sure"),
        Train(broker_id=broker, stat=Stat.RISK),
        Repair(broker_id=sacrifice),
        Upgrade(broker_id=broker, stat=Stat.SPEED),
        Combine(base_broker_id=sacrifice, sacrifice_broker_id=broker),
    )
    for command, other in zip(keyed(broker, sacrifice), others, strict=True):
        assert code(play.play("1", command, "k")) == "ok"
        before = everything(play, "1")
        with pytest.raises(DomainError) as refused:
            play.play("1", other, "k")
        assert refused.value.code == "requestId already used"
        assert everything(play, "1") == before


def test_of_two_bodies_at_once_under_one_key_one_wins(play: Playground) -> None:
    """A race for a key has one winner; the loser is told that the key is taken."""
    set_up(play)
    broker, other = starter(play, "1"), spare(play, "1")
    results = play.together([battle("1", broker, "k"), battle("1", other, "k")] * 10)
    assert codes(results) == {"ok": 10, "DomainError: requestId already used": 10}
    assert len(battles_of(play, "1")) == 1


def test_d81_two_players_may_use_the_same_key(play: Playground) -> None:
    """A key says nothing about another player's: no conflict, and nothing is learnt from it."""
    set_up(play)
    brokers = starters(play, 20)
    results = play.together([battle(player, broker, "k") for player, broker in brokers.items()])
    assert codes(results) == {"ok": 20}
    assert {reply.battle.player_id for reply in accepted(results)} == set(brokers)
    assert len({reply.battle.id for reply in accepted(results)}) == 20


def test_a_key_may_be_used_for_each_kind_of_command(play: Playground) -> None:
    """One key under several commands stands for several requests."""
    set_up(play)
    broker, sacrifice = starter(play, "1"), spare(play, "1")
    play.fund("1", NEUR=1_000, AIBA=1_000)
    for command in keyed(broker, sacrifice):
        answer = play.play("1", command, "k")
        assert (code(answer), answer.replayed) == ("ok", False)


@pytest.mark.parametrize("key", [None, "", " ", "a b", "ä", "a" * 129, "\x00", "a\n\nb"])
def test_d30_a_key_is_never_made_up(play: Playground, key: str | None) -> None:
    """A command that costs money is refused without a well-formed key, and charges nothing."""
    set_up(play)
    broker, sacrifice = starter(play, "1"), spare(play, "1")
    play.fund("1", NEUR=1_000, AIBA=1_000)
    before = everything(play, "1")
    for command in keyed(broker, sacrifice):
        with pytest.raises(DomainError) as refused:
            play.play("1", command, key)
        assert refused.value.code == "requestId required"
    assert everything(play, "1") == before


@pytest.mark.parametrize("key", [7, 1.5, True, ["k"], {"k": 1}, b"k"])
def test_d30_only_a_text_is_a_key(play: Playground, key: object) -> None:
    """A number or an object is not read as a key."""
    broker = starter(play, "1")
    with pytest.raises(InvalidInput):
        play.play("1", Train(broker_id=broker, stat=Stat.SPEED), key)


def test_a_malformed_key_is_refused_where_none_is_needed_too(play: Playground) -> None:
    """Whoever sends a key means it: a bad one isn't dropped in silence."""
    with pytest.raises(DomainError):
        play.play("1", ClaimDaily(), "a b")
    assert code(play.play("1", ClaimDaily(), "")) == "ok"


def test_d34_a_refusal_is_an_answer_and_leaves_no_key_stuck(play: Playground) -> None:
    """The key of a refused request gives the refusal again; the corrected retry has a new key."""
    set_up(play)
    broker, sacrifice = starter(play, "1"), spare(play, "1")
    missing = derive_id("nobody's")
    for command in (*keyed(broker, sacrifice)[1:], RunBattle(broker_id=missing, mode_key="sure")):
        first = play.play("1", command, "k1")
        assert code(first) not in {"ok", "in_progress"}
        again = play.play("1", command, "k1")
        assert again.replayed
        assert answer_of(again.outcome) == answer_of(first.outcome)
    play.fund("1", NEUR=1_000, AIBA=1_000)
    for command in keyed(broker, sacrifice):
        assert code(play.play("1", command, "k2")) == "ok"


def test_d34_an_exception_leaves_no_key_stuck(
    play: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an unexpected error the same key works at once, as if never used."""
    set_up(play)
    broker = starter(play, "1")
    before = everything(play, "1")

    def broken(*_: object, **__: object) -> None:
        msg = "a promise is broken"
        raise InvariantViolation(msg)

    with monkeypatch.context() as patch:
        patch.setattr("aiba_domain.battle.commands.settle", broken)
        with pytest.raises(InvariantViolation):
            fight(play, "1", broker, "k")
    assert play.seen.failures == ["battle.run"]
    assert everything(play, "1") == before
    answer = play.play("1", RunBattle(broker_id=broker, mode_key="sure"), "k")
    assert (code(answer), answer.replayed) == ("ok", False)


def test_d35_parallel_retries_of_a_failed_request_have_one_effect(play: Playground) -> None:
    """After a crash any number of retries at once do what one would have done."""
    broker = starter(play, "1")
    play.fund("1", NEUR=100)
    command = Train(broker_id=broker, stat=Stat.SPEED)
    play.faults.crash_at(3)
    with pytest.raises(Crash):
        play.play("1", command, "k")
    results = play.together([call("1", command, "k")] * 20)
    assert codes(results) == {"ok": 20}
    assert accepted(results) == [accepted(results)[0]] * 20
    assert broker_of(play, broker).speed == 51
    assert play.balances("1") == {Currency.NEUR: 75}


def test_events_are_told_once_and_replays_counted(play: Playground) -> None:
    """A repeated answer announces nothing; it is counted as a repetition."""
    set_up(play)
    broker = starter(play, "1")
    play.seen.events.clear()
    play.together([battle("1", broker, "k")] * 5)
    fought = [event for event in play.seen.events if type(event).__name__ == "BattleFought"]
    assert len(fought) == 1
    assert play.seen.replays == ["battle.run"] * 4


def test_what_is_refused_by_error_is_not_remembered(play: Playground) -> None:
    """A role that may not issue a command uses up no key and writes nothing."""
    before = entries(play)
    for _ in range(2):
        with pytest.raises(DomainError) as refused:
            play.play("1", ChangePolicy(changes={}), "k")
        assert refused.value.code == "forbidden"
    assert entries(play) == before
    assert play.read(lambda read: read.player("1")) is None
