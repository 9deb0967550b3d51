"""A command that dies anywhere has happened whole or not at all, and its retry completes it."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from aiba_domain.battle.commands import BattleReply, RunBattle
from aiba_domain.brokers.commands import Combine, GetStarter, Train
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Command
from aiba_domain.economy.commands import ClaimDaily
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.playground import Playground
from tests.support.arena import (
    battles_of,
    brokers_of,
    code,
    entries,
    everything,
    guild,
    held,
    set_up,
    spare,
    starter,
    sure,
)

KEY = "k"


def crashes(play: Playground, prepare: Any, command_of: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Crash a command at its first point, its second and so on, each time for a new player.

    Yields the player and the answer to the retry, once for each point there is.
    """
    point = 0
    while True:
        point += 1
        player = f"{point}"
        prepare(player)
        command: Command[Any] = command_of(player)
        before = everything(play, player)
        play.faults.crash_at(point)
        try:
            play.play(player, command, KEY)
        except Crash as crash:
            done = str(crash) == "the commit"
            assert (everything(play, player) == before) != done
        else:
            assert play.faults.disarm()
            assert point > 5
            return
        retry = play.play(player, command, KEY)
        assert retry.replayed == done
        after = everything(play, player)
        again = play.play(player, command, KEY)
        assert again.replayed
        assert code(retry) == code(again) == "ok"
        assert again.reply() == retry.reply()
        assert everything(play, player) == after
        yield player, retry.reply()


def test_d42_a_battle_retried_after_a_crash_pays_once_what_it_records(play: Playground) -> None:
    """Guild share, Stars, Diamonds, fees and streak too: the retry is the battle, to the unit."""
    mode = sure("war", "guildWars", entry_neur=7, entry_aiba=3, energy_cost=1)
    rates = RewardRates(neur_per_score=Fraction(3), guild_creator_share_bps=Fraction(1_000))
    set_up(play, mode, rewards=rates)
    play.put(guild(9, "leader", pooled=2))

    def prepare(player: str) -> None:
        starter(play, player)
        play.fund(player, NEUR=10, AIBA=10)
        play.put(guild(int(player) + 100, f"leader of {player}", pooled=2, members=(player,)))

    def command_of(player: str) -> RunBattle:
        return RunBattle(broker_id=derive_id("starter", player), mode_key="war")

    records = set()
    for player, reply in crashes(play, prepare, command_of):
        assert isinstance(reply, BattleReply)
        battle, grant = reply.battle, reply.battle.receipt.grant
        assert battles_of(play, player) == [battle]
        records.add((grant, battle.stars, battle.diamonds, battle.receipt.outcome.score))
        assert play.balances(player) == {
            Currency.NEUR: 10 - 7 + grant.player_neur,
            Currency.AIBA: 10 - 3 + grant.aiba,
            Currency.STARS: battle.stars,
            Currency.DIAMONDS: battle.diamonds,
        }
        assert play.balances(f"leader of {player}") == {Currency.NEUR: grant.leader_neur}
        assert held(play, f"guild:{int(player) + 100:024x}") == {Currency.NEUR: grant.vault_neur}
    # Wherever it crashed, the same battle came out.
    assert len(records) == 1


@pytest.mark.parametrize("funds", [25, 10_000])
def test_d07_a_debit_retried_after_a_crash_is_never_insufficient(
    play: Playground, funds: int
) -> None:
    """Whoever could pay before the crash has paid after the retry, with the last unit too."""

    def prepare(player: str) -> None:
        starter(play, player)
        play.fund(player, NEUR=funds)

    def command_of(player: str) -> Train:
        return Train(broker_id=derive_id("starter", player), stat=Stat.RISK)

    for player, reply in crashes(play, prepare, command_of):
        assert reply.broker.risk == 51
        assert play.balances(player).get(Currency.NEUR, 0) == reply.balance == funds - 25


def test_d50_base_and_sacrifice_change_together_wherever_it_crashes(play: Playground) -> None:
    """No crash leaves both brokers, or neither."""

    def prepare(player: str) -> None:
        starter(play, player)
        spare(play, player, intelligence=100)
        play.fund(player, NEUR=50)

    def command_of(player: str) -> Combine:
        return Combine(
            base_broker_id=derive_id("starter", player),
            sacrifice_broker_id=derive_id("spare", player, "1"),
        )

    for player, reply in crashes(play, prepare, command_of):
        assert brokers_of(play, player) == [reply.broker]
        assert reply.broker.intelligence == 75
        assert play.balances(player) == {}


def test_d68_a_daily_claim_that_crashes_is_claimed_by_the_retry(play: Playground) -> None:
    """The day is marked as claimed exactly when the reward is there."""

    def command_of(_player: str) -> ClaimDaily:
        return ClaimDaily()

    count = 0
    for player, reply in crashes(play, lambda _player: None, command_of):
        count += 1
        assert (reply.already_claimed, reply.reward) == (False, 50)
        assert play.balances(player) == {Currency.NEUR: 50}
    used = play.read(lambda read: read.emitted("2026-01-01"))
    # One more than crashed: the last call met no crash.
    assert used[Currency.NEUR].by_arena == {"daily_login": 50 * (count + 1)}


def test_d11_a_starter_request_that_crashes_gives_one_broker(play: Playground) -> None:
    """The grant and the note that it was granted are one."""

    def command_of(_player: str) -> GetStarter:
        return GetStarter()

    for player, reply in crashes(play, lambda _player: None, command_of):
        assert brokers_of(play, player) == [reply.broker]
    assert entries(play) == []
