"""A forecast of emission: synthetic players fight real battles under a policy, day after day.

Scores, rewards, windows and caps are judged by the rules that the service plays by; only the
players are made up, from one seed, so the same question has the same answer. A day's battles are
sampled: each that is fought stands for as many alike as it takes to make up the day's number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiba_domain.battle.engine import Fighter
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.prng import draws
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, GuildMatch, resolve
from aiba_domain.economy.commands import DAILY_ARENA, GLOBAL_LEAGUE
from aiba_domain.economy.emission import EmissionResult, EmissionUse, judge
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.rewards import Bonuses, win_stars
from aiba_domain.economy.streaks import next_win_streak
from aiba_domain.errors import InvalidInput
from aiba_domain.instants import DAY, day_key
from aiba_domain.money import Currency

MAX_DAYS: Final = 365
MAX_PLAYERS: Final = 1_000_000
MAX_AVERAGE: Final = 1_000
MAX_FOUGHT: Final = 10_000
"""How many battles are fought in all, at the most: what bounds a forecast's time."""

_ROSTER: Final = 200
"""How many different players are made up."""
_STATS: Final = 101
_LEVELS: Final = 30
_STREAKS: Final = 40
_POOLED: Final = 20
_PREMIUM_OF: Final = 10
"""One player in so many has premium."""
_CAPPED: Final = (Currency.AIBA, Currency.NEUR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is forecast: `players` fight `average` battles each, on each of `days` days.

    Raises InvalidInput naming the field out of its range.
    """

    days: int = 30
    players: int = 500
    average: int = 10
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse any value outside its range."""
        bounds = {"days": MAX_DAYS, "players": MAX_PLAYERS, "average": MAX_AVERAGE}
        for name, highest in bounds.items():
            value = getattr(self, name)
            if not 1 <= value <= highest:
                raise InvalidInput(name, f"integer of 1..{highest}")

    @property
    def battles(self) -> int:
        """How many battles a day has."""
        return self.players * self.average

    @property
    def fought(self) -> int:
        """How many of them are fought."""
        return min(self.battles, max(1, MAX_FOUGHT // self.days))


@dataclass(frozen=True, slots=True, kw_only=True)
class DayForecast:
    """One day: what was emitted of each capped currency, what caps and windows refused, and fees.

    Amounts are whole units by currency; `score` is the sum over all of the day's battles.
    """

    day: str
    emitted: Mapping[Currency, int]
    refused: Mapping[Currency, int]
    fees: Mapping[Currency, int]
    stars: int
    score: int


@dataclass(slots=True)
class _Someone:
    """A made-up player with a broker."""

    number: int
    fighter: Fighter
    modes: Sequence[GameMode]
    premium: bool
    login_days: int
    win_streak: int = 0
    last_win_at: int | None = None


@dataclass(slots=True)
class _Tally:
    """What a day comes to so far."""

    used: dict[Currency, dict[str, int]] = field(
        default_factory=lambda: {currency: {} for currency in _CAPPED}
    )
    refused: dict[Currency, int] = field(default_factory=lambda: dict.fromkeys(_CAPPED, 0))
    fees: dict[Currency, int] = field(default_factory=lambda: dict.fromkeys(_CAPPED, 0))
    stars: int = 0
    score: int = 0


class Forecast:
    """The days of a scenario, each worked out when it is asked for."""

    def __init__(
        self, scenario: Scenario, policy: EconomyPolicy, modes: Sequence[GameMode], start: int
    ) -> None:
        """Play in the modes that are open, from the UTC day of `start`, an instant in ms."""
        self.scenario = scenario
        self.policy = policy
        self._modes = [mode for mode in modes if mode.enabled and mode.deleted_at is None]
        self._terms = {mode.key: mode.terms() for mode in self._modes}
        self._first = start // DAY * DAY
        self._chance = draws(scenario.seed)
        self._roster = [self._someone(number) for number in range(_ROSTER)]

    def days(self) -> Iterator[DayForecast]:
        """Go through the days in order; a second time they would be other ones."""
        for number in range(self.scenario.days):
            yield self._day(self._first + number * DAY)

    def _someone(self, number: int) -> _Someone:
        level = 1 + self._below(_LEVELS)
        return _Someone(
            number=number,
            fighter=Fighter(
                intelligence=self._below(_STATS),
                speed=self._below(_STATS),
                risk=self._below(_STATS),
                level=level,
            ),
            modes=[mode for mode in self._modes if level >= mode.minimum_level],
            premium=self._below(_PREMIUM_OF) == 0,
            login_days=self._below(_STREAKS),
        )

    def _day(self, start: int) -> DayForecast:
        tally = _Tally()
        scenario = self.scenario
        self._emit(
            tally,
            Currency.NEUR,
            self.policy.daily_reward_neur,
            scenario.players,
            (DAILY_ARENA, GLOBAL_LEAGUE, start),
        )
        each, more = divmod(scenario.battles, scenario.fought)
        for number in range(scenario.fought):
            weight = each + (1 if number < more else 0)
            self._fight(tally, start + number * DAY // scenario.fought, weight)
        for someone in self._roster:
            someone.login_days += 1
        return DayForecast(
            day=day_key(start),
            emitted={currency: sum(used.values()) for currency, used in tally.used.items()},
            refused=tally.refused,
            fees=tally.fees,
            stars=tally.stars,
            score=tally.score,
        )

    def _fight(self, tally: _Tally, at: int, weight: int) -> None:
        """Fight a battle and count it `weight` times."""
        someone = self._roster[self._below(len(self._roster))]
        if not someone.modes:
            return
        mode = someone.modes[self._below(len(someone.modes))]
        outcome = self._outcome(someone, mode, at)
        tally.score += weight * outcome.score
        tally.fees[Currency.AIBA] += weight * mode.entry_aiba
        tally.fees[Currency.NEUR] += weight * mode.entry_neur
        tally.stars += weight * win_stars(outcome.score, self.policy.rewards)
        proposals = {
            Currency.AIBA: outcome.proposed_aiba,
            Currency.NEUR: outcome.proposed_neur,
        }
        for currency, proposed in proposals.items():
            self._emit(tally, currency, proposed, weight, (mode.arena, mode.league, at))
        someone.win_streak = next_win_streak(
            someone.win_streak, someone.last_win_at, at, won=outcome.is_win
        )
        if outcome.is_win:
            someone.last_win_at = at

    def _outcome(self, someone: _Someone, mode: GameMode, at: int) -> BattleOutcome:
        guild = None
        if mode.needs_guild:
            mine, theirs = self._below(_POOLED), self._below(_POOLED)
            # A guild that has pooled nothing is nobody's opponent.
            rival = "b" if theirs else ""
            guild = GuildMatch(my_id="a", my_count=mine, their_id=rival, their_count=theirs)
        inputs = BattleInputs(
            battle_id="",
            player_id=str(someone.number),
            broker_id=str(someone.number),
            request_id=str(self._below(2**32)),
            at=at,
            epoch=1,
            commitment="",
            fighter=someone.fighter,
            mode=self._terms[mode.key],
            guild=guild,
            policy_version=self.policy.version,
            rates=self.policy.rewards,
            bonuses=Bonuses(
                login_streak_days=someone.login_days,
                win_streak=someone.win_streak,
                premium=someone.premium,
            ),
            anomaly_limit=self.policy.battle_anomaly_score_max,
        )
        return resolve(inputs, f"forecast {self.scenario.seed}")

    def _emit(
        self,
        tally: _Tally,
        currency: Currency,
        amount: int,
        times: int,
        place: tuple[str, str, int],
    ) -> None:
        """Emit an amount so many times, one after another, as far as emission grants it."""
        if amount == 0 or times == 0:
            return
        arena, league, at = place
        by_arena = tally.used[currency]

        def is_granted(count: int) -> bool:
            result = judge(
                self.policy,
                currency,
                amount * count,
                arena=arena,
                league=league,
                now=at,
                used=EmissionUse(by_arena=by_arena),
            )
            return result is EmissionResult.OK

        granted, refused = (times, times + 1) if is_granted(times) else (0, times)
        while refused - granted > 1:
            middle = (granted + refused) // 2
            granted, refused = (middle, refused) if is_granted(middle) else (granted, middle)
        if granted:
            by_arena[arena] = by_arena.get(arena, 0) + amount * granted
        tally.refused[currency] += amount * (times - granted)

    def _below(self, bound: int) -> int:
        return next(self._chance) * bound >> 32
