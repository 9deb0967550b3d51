"""Brokers' energy and rests, and players' streaks, followed battle by battle in commit order.

The rules are told again here in other words: a point of energy for each whole period, a mode rests
after each battle, a streak of days and one of wins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from aiba_domain.battle.model import Battle
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ports import Entry
from aiba_domain.testing.auditor import utc_day

_DAY_MS = 86_400_000


@dataclass(slots=True)
class _Body:
    """A broker's energy up to an instant, and the last use of each mode."""

    energy: int
    counted_to: int
    uses: dict[str, int]


@dataclass(slots=True)
class _Streaks:
    """Days in a row and wins in a row of one player."""

    days: int = 0
    last_day: str = ""
    wins: int = 0
    last_win: int | None = None


@dataclass(slots=True)
class News:
    """What happened to a player since the last look: battles, rewards of the day, repairs."""

    battles: Sequence[Battle] = ()
    entries: Sequence[Entry] = ()
    brokers: Sequence[Broker] = ()
    streaks: Mapping[str, int] = field(default_factory=dict)


class Stamina:
    """Follows brokers and streaks. Raises AssertionError at what the rules don't allow."""

    def __init__(self) -> None:
        """Start with nobody known."""
        self._bodies: dict[str, _Body] = {}
        self._streaks: dict[str, _Streaks] = {}

    def follow(self, player: str, news: News, policy: EconomyPolicy) -> None:
        """Take in what happened to a player, all decided under one policy.

        More than one change at a time has no known order: then what is stored is taken as it is.
        """
        repairs = [each for each in news.entries if each.posting.reason == "repair"]
        if len(news.battles) + len(repairs) > 1:
            self._adopt(player, news)
            return
        self._count_days(player, news.entries)
        for battle in news.battles:
            self._fight(player, battle, policy)
        self._check(news.brokers, repairs, policy)

    def _adopt(self, player: str, news: News) -> None:
        self._count_days(player, news.entries)
        streaks = self._streaks.setdefault(player, _Streaks())
        streaks.wins = -1
        for broker in news.brokers:
            self._bodies[broker.id] = _body(broker)

    def _count_days(self, player: str, entries: Iterable[Entry]) -> None:
        streaks = self._streaks.setdefault(player, _Streaks())
        for entry in entries:
            if entry.posting.reason == "daily_login":
                today = utc_day(entry.at)
                assert today > streaks.last_day, f"{player} got the reward of {today} too late"
                yesterday = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
                streaks.days = streaks.days + 1 if streaks.last_day == yesterday else 1
                streaks.last_day = today

    def _fight(self, player: str, battle: Battle, policy: EconomyPolicy) -> None:
        """Let a broker fight, if it may, and count the win."""
        inputs, at = battle.receipt.inputs, battle.created_at
        streaks = self._streaks[player]
        bonuses = inputs.bonuses
        assert bonuses is not None, battle.id
        stated = (bonuses.login_streak_days, bonuses.win_streak)
        wins = bonuses.win_streak if streaks.wins < 0 else streaks.wins
        assert stated == (streaks.days, wins), f"{battle.id}: streaks {stated} after {streaks}"
        if battle.receipt.outcome.score > 0:
            recent = streaks.last_win is not None and at - streaks.last_win < _DAY_MS
            streaks.wins = wins + 1 if recent or streaks.wins < 0 < wins else 1
            streaks.last_win = at
        else:
            streaks.wins = 0
        body = self._bodies.get(battle.broker_id)
        if body is None:
            return
        mode = inputs.mode
        rest_ms = mode.cooldown_seconds * 1_000
        last = body.uses.get(mode.key)
        rested = last is None or not rest_ms or at - last >= rest_ms
        assert rested, f"{battle.id} at {at}: {mode.key} was used at {last}, rests {rest_ms}"
        _gain(body, at, policy)
        body.energy -= min(mode.energy_cost, policy.battle_max_energy)
        assert body.energy >= 0, f"{battle.id} took energy that isn't there: {body}"
        body.uses[mode.key] = at

    def _check(
        self, brokers: Iterable[Broker], repairs: Sequence[Entry], policy: EconomyPolicy
    ) -> None:
        """Compare stored brokers with the model; one that was repaired is full and fresh."""
        for broker in brokers:
            body, stored = self._bodies.get(broker.id), _body(broker)
            if body is not None and repairs and stored != body:
                at = repairs[0].at
                body = _Body(policy.battle_max_energy, at, {})
            assert body in (None, stored), f"broker {broker.id} is {stored}, not {body}"
            self._bodies[broker.id] = stored


def _gain(body: _Body, at: int, policy: EconomyPolicy) -> None:
    """Give a broker the energy of the whole periods that have passed."""
    period = policy.battle_energy_regen_seconds_per_energy * 1_000
    periods = (at - body.counted_to) // period
    if periods > 0:
        full = policy.battle_max_energy
        body.energy = min(full, min(full, body.energy) + periods)
        body.counted_to += periods * period


def _body(broker: Broker) -> _Body:
    return _Body(broker.energy, broker.energy_updated_at, dict(broker.cooldowns))
