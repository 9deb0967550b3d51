"""The forecast of emission: real battles of made-up players, within the policy's caps."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_domain.application import forecast
from aiba_domain.application.forecast import MAX_FOUGHT, Forecast, Scenario
from aiba_domain.battle.commands import Arena, RunBattle, decide_battle
from aiba_domain.battle.modes import default_modes
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, resolve
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Context, OpenSeed, Principal
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.money import Currency
from aiba_domain.players.model import new_player
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.strategies.commands import policy_changes

MODES = default_modes(NOON)
SMALL = Scenario(days=2, players=10, average=3)


@settings(max_examples=15)
@given(changes=policy_changes(), seed=st.integers(0, 2**32 - 1))
def test_no_day_emits_more_than_its_caps(changes: dict[str, object], seed: int) -> None:
    """Whatever the policy: of the day, and of each currency."""
    try:
        policy = replace(EconomyPolicy(), **changes)  # type: ignore[arg-type]
    except InvalidInput:
        return
    scenario = Scenario(days=1, players=9, average=5, seed=seed)
    for day in Forecast(scenario, policy, MODES, NOON).days():
        assert day.emitted[Currency.AIBA] <= policy.daily_cap_aiba
        assert day.emitted[Currency.NEUR] <= policy.daily_cap_neur


def test_the_same_seed_is_the_same_forecast() -> None:
    """And what is asked is what is told: one day after the other, beginning with today's."""
    first, again = (list(Forecast(SMALL, EconomyPolicy(), MODES, NOON).days()) for _ in range(2))
    assert first == again
    other = replace(SMALL, seed=2)
    assert list(Forecast(other, EconomyPolicy(), MODES, NOON).days()) != first
    assert [day.day for day in first] == ["2026-01-01", "2026-01-02"]


def test_a_sample_stands_for_all_battles() -> None:
    """Where more are asked for than are fought, each counts for so many more."""
    huge = Scenario(days=100, players=1_000, average=100)
    assert (huge.battles, huge.fought) == (100_000, MAX_FOUGHT // 100)
    day = next(Forecast(huge, EconomyPolicy(), MODES, NOON).days())
    assert day.stars > huge.battles // 2
    assert day.emitted[Currency.AIBA] <= 1_000_000
    assert day.emitted[Currency.AIBA] + day.refused[Currency.AIBA] > 5_000_000
    # Rewards are all or nothing, so a cap is filled but for less than one of them.
    assert day.emitted[Currency.AIBA] > 1_000_000 - 2_000


def test_nothing_is_emitted_outside_the_window_or_without_modes() -> None:
    """All of it is refused, or there is nothing to refuse."""
    shut = EmissionWindows(usual=EmissionWindow(start_hour=0, end_hour=0))
    closed = replace(EconomyPolicy(), emission_windows=shut)
    day = next(Forecast(SMALL, closed, MODES, NOON).days())
    assert day.emitted == {Currency.AIBA: 0, Currency.NEUR: 0}
    assert day.refused[Currency.AIBA] > 0
    nowhere = next(Forecast(SMALL, EconomyPolicy(), (), NOON).days())
    assert nowhere.emitted[Currency.AIBA] == 0
    gone = [replace(mode, deleted_at=NOON) for mode in MODES]
    assert next(Forecast(SMALL, EconomyPolicy(), gone, NOON).days()) == nowhere


def arena_of(inputs: BattleInputs, used: dict[Currency, dict[str, int]]) -> Arena:
    """Return what the service would load for a battle of the forecast's."""
    fighter, match = inputs.fighter, inputs.guild
    broker = Broker(
        id=inputs.broker_id,
        owner_id=inputs.player_id,
        intelligence=int(fighter.intelligence),
        speed=int(fighter.speed),
        risk=int(fighter.risk),
        level=int(fighter.level),
        energy=1_000,
        energy_updated_at=inputs.at,
        created_at=inputs.at,
        updated_at=inputs.at,
    )
    guild: Guild | None = None
    rivals: tuple[GuildStrength, ...] = ()
    if match is not None:
        guild = Guild(
            id=match.my_id,
            name="mine",
            owner_id="leader",
            member_ids=(inputs.player_id,),
            created_at=NOON,
            pooled=match.my_count,
        )
        rivals = (GuildStrength(guild_id="b", pooled=match.their_count),)
    return Arena(
        broker=broker,
        mode=next(mode for mode in MODES if mode.key == inputs.mode.key),
        guild=guild,
        rivals=rivals,
        balances={},
        used={each: EmissionUse(by_arena=dict(held)) for each, held in used.items()},
    )


def test_the_service_would_decide_every_battle_as_the_forecast_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under the same seed: the same scores and rewards, granted and refused by the same caps."""
    policy = replace(
        EconomyPolicy(), daily_cap_aiba=9_000, daily_cap_aiba_by_arena={"prediction": 1_000}
    )
    fought: list[tuple[BattleInputs, str, BattleOutcome]] = []

    def noted(inputs: BattleInputs, secret: str) -> BattleOutcome:
        fought.append((inputs, secret, resolve(inputs, secret)))
        return fought[-1][2]

    monkeypatch.setattr(forecast, "resolve", noted)
    scenario = Scenario(days=1, players=40, average=5)
    day = next(Forecast(scenario, policy, MODES, NOON).days())
    assert len(fought) == scenario.battles == scenario.fought
    logins = policy.daily_reward_neur * scenario.players
    used = {Currency.AIBA: dict[str, int](), Currency.NEUR: {"daily_login": logins}}
    for number, (inputs, secret, outcome) in enumerate(fought):
        bonuses = inputs.bonuses
        assert bonuses is not None
        player = replace(
            new_player(inputs.player_id, None, NOON),
            login_streak_days=bonuses.login_streak_days,
            win_streak=bonuses.win_streak,
            premium_until=inputs.at + 1 if bonuses.premium else None,
        )
        context = Context(
            principal=Principal(id=player.id),
            player=player,
            policy=policy,
            now=inputs.at,
            key=inputs.request_id,
            seed=OpenSeed(epoch=SeedEpoch(number=1, commitment="", opened_at=NOON), secret=secret),
        )
        command = RunBattle(broker_id=inputs.broker_id, mode_key=inputs.mode.key)
        decided = decide_battle(arena_of(inputs, used), command, context)
        assert isinstance(decided, Accepted), (number, decided)
        assert decided.reply.battle.receipt.outcome == outcome
        for posting in decided.postings:
            if posting.debit.startswith("emission:") and posting.currency in used:
                held = used[posting.currency]
                held[posting.arena] = held.get(posting.arena, 0) + posting.amount
    assert {each: sum(held.values()) for each, held in used.items()} == day.emitted
    assert day.refused[Currency.AIBA] > 0
    assert used[Currency.AIBA]["prediction"] > 0


@pytest.mark.parametrize("field", ["days", "players", "average"])
def test_a_scenario_is_bounded(field: str) -> None:
    """So that a forecast's time is."""
    for value in (0, -1, 10**9):
        with pytest.raises(InvalidInput, match=field):
            replace(SMALL, **{field: value})
