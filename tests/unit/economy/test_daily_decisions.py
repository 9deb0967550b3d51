"""What a daily claim decides, field by field: the reply, the posting, the player and the event."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.administration.model import AuditChange
from aiba_domain.decision import Accepted, Context, Principal, Refused
from aiba_domain.economy.commands import (
    ChangePolicy,
    ClaimDaily,
    ClaimDailyCombo,
    ComboReply,
    DailyReply,
    PolicyReply,
    Purse,
    decide_combo,
    decide_daily,
    decide_policy,
)
from aiba_domain.economy.emission import EmissionResult, EmissionUse
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.events import EmissionJudged
from aiba_domain.instants import DAY, HOUR
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import Playground
from tests.support.arena import code, set_up

TODAY, YESTERDAY = "2026-01-01", "2025-12-31"
SPENT: dict[str, Any] = {"combo_spent_aiba": 100, "combo_spent_day": TODAY}
"""A player who spent today just what the combo asks for."""

balances = st.integers(0, 10**9)


def context(policy: EconomyPolicy | None = None, **player: Any) -> Context:
    """Return what a decision of player 7 at noon may depend on."""
    usual: dict[str, Any] = {"created_at": 1, "updated_at": 1, "last_seen_at": 1}
    return Context(
        principal=Principal(id="7"),
        player=Player(id="7", **{**usual, **player}),
        policy=policy or EconomyPolicy(),
        now=NOON,
        key="",
    )


def purse(emitted: dict[str, int] | None = None, **held: int) -> Purse:
    """Return what a player holds and the day has emitted by arena."""
    return Purse(
        balances={Currency(name): balance for name, balance in held.items()},
        used=EmissionUse(by_arena=emitted or {}),
    )


def reward(currency: Currency, amount: int, arena: str, source: str) -> Posting:
    """Return the posting of a daily reward of player 7."""
    return Posting(
        currency=currency,
        amount=amount,
        debit=f"emission:{TODAY}:{arena}",
        credit="player:7",
        reason=arena,
        arena=arena,
        league="global",
        source_type=source,
        source_id=TODAY,
    )


def judged(currency: Currency, amount: int, arena: str, result: EmissionResult) -> EmissionJudged:
    """Return what is told of an emission in the league of all arenas."""
    return EmissionJudged(
        currency=currency, amount=amount, arena=arena, league="global", result=result
    )


@given(balances, balances, st.sampled_from(["", YESTERDAY, "2025-12-30"]), st.integers(0, 400))
def test_a_daily_claim_pays_counts_and_tells(neur: int, aiba: int, last: str, days: int) -> None:
    """The reward is on top of the NEUR held, the streak goes on from yesterday alone."""
    asked = context(login_streak_days=days, login_streak_day=last)
    streak = days + 1 if last == YESTERDAY else 1
    assert decide_daily(purse(NEUR=neur, AIBA=aiba), ClaimDaily(), asked) == Accepted(
        reply=DailyReply(
            already_claimed=False, reward=50, balance=neur + 50, login_streak_days=streak
        ),
        postings=(reward(Currency.NEUR, 50, "daily_login", "daily_claim"),),
        changed=(
            replace(
                asked.acting_player(),
                login_streak_days=streak,
                login_streak_day=TODAY,
                daily_claimed_at=NOON,
                last_seen_at=NOON,
                updated_at=NOON,
            ),
        ),
        events=(judged(Currency.NEUR, 50, "daily_login", EmissionResult.OK),),
    )


@given(balances, st.sampled_from([0, 1, DAY // 2 - 1]), st.integers(0, 400))
def test_a_second_daily_claim_is_answered_and_changes_nothing(
    neur: int, later: int, days: int
) -> None:
    """The reply says so, with what is held and the streak as they stand; so after a clock set back.

    A purse without the currency holds 0 of it.
    """
    asked = context(daily_claimed_at=NOON + later, login_streak_days=days)
    for held, balance in ((purse(NEUR=neur, AIBA=3), neur), (purse(AIBA=3), 0)):
        assert decide_daily(held, ClaimDaily(), asked) == Accepted(
            reply=DailyReply(
                already_claimed=True, reward=0, balance=balance, login_streak_days=days
            )
        )


@given(balances, st.integers(0, 400))
def test_a_daily_reward_of_0_shows_what_is_held(neur: int, days: int) -> None:
    """Nothing is claimed, nothing is paid, and nothing else of the reply is made up."""
    asked = context(EconomyPolicy(daily_reward_neur=0), login_streak_days=days)
    assert decide_daily(purse(NEUR=neur), ClaimDaily(), asked) == Accepted(
        reply=DailyReply(already_claimed=False, reward=0, balance=neur, login_streak_days=days)
    )


@given(balances, balances)
def test_a_combo_pays_marks_the_day_and_tells(aiba: int, neur: int) -> None:
    """The bonus is on top of the AIBA held; the spending that earned it stays counted."""
    asked = context(**SPENT)
    assert decide_combo(purse(AIBA=aiba, NEUR=neur), ClaimDailyCombo(), asked) == Accepted(
        reply=ComboReply(already_claimed=False, bonus=500, balance=aiba + 500),
        postings=(reward(Currency.AIBA, 500, "daily_combo", "daily_combo"),),
        changed=(
            replace(
                asked.acting_player(), combo_claimed_at=NOON, last_seen_at=NOON, updated_at=NOON
            ),
        ),
        events=(judged(Currency.AIBA, 500, "daily_combo", EmissionResult.OK),),
    )


@pytest.mark.parametrize(
    ("policy", "player", "already"),
    [
        (EconomyPolicy(), {"combo_claimed_at": NOON}, True),
        (EconomyPolicy(), {"combo_claimed_at": NOON + DAY}, True),
        (EconomyPolicy(daily_combo_bonus_aiba=0), {}, False),
        (EconomyPolicy(daily_combo_bonus_aiba=0), {"combo_claimed_at": NOON}, True),
    ],
)
def test_a_combo_that_pays_nothing_shows_what_is_held(
    policy: EconomyPolicy, player: dict[str, Any], *, already: bool
) -> None:
    """Claimed before, or not configured: the two are told apart, and no money moves."""
    for held, balance in ((purse(AIBA=9, NEUR=3), 9), (purse(NEUR=3), 0)):
        assert decide_combo(
            held, ClaimDailyCombo(), context(policy, **SPENT, **player)
        ) == Accepted(reply=ComboReply(already_claimed=already, bonus=0, balance=balance))


@pytest.mark.parametrize(
    ("player", "spent"),
    [
        ({}, 0),
        ({"combo_spent_aiba": 99, "combo_spent_day": TODAY}, 99),
        ({"combo_spent_aiba": 10_000, "combo_spent_day": YESTERDAY}, 0),
    ],
)
def test_a_combo_tells_what_is_missing(player: dict[str, Any], spent: int) -> None:
    """Both numbers are told, and only today's spending counts."""
    assert decide_combo(purse(), ClaimDailyCombo(), context(**player)) == Refused(
        code="daily_combo_requirement_not_met", details={"spent": spent, "required": 100}
    )


CLOSED = EmissionWindows(usual=EmissionWindow(start_hour=13, end_hour=12))
"""Open at every hour but the one after noon."""


@pytest.mark.parametrize(
    ("policy", "emitted", "result"),
    [
        ({"emission_windows": CLOSED}, {}, EmissionResult.OUTSIDE_WINDOW),
        ({"daily_cap_neur": 1_000, "daily_cap_aiba": 1_000}, {"x": 951}, None),
        ({"daily_cap_neur_by_arena": {"daily_login": 49}}, {}, None),
        ({"daily_cap_neur_by_arena": {"daily_login": 60}}, {"daily_login": 11}, None),
    ],
)
def test_a_closed_emission_refuses_the_day_and_says_why(
    policy: dict[str, Any], emitted: dict[str, int], result: EmissionResult | None
) -> None:
    """The reason is in the refusal and in the event, and nothing is changed by either."""
    why = result or EmissionResult.CAP_EXCEEDED
    asked = context(EconomyPolicy(**policy))
    assert decide_daily(purse(emitted), ClaimDaily(), asked) == Refused(
        code="daily cap reached",
        details={"reason": why},
        events=(judged(Currency.NEUR, 50, "daily_login", why),),
    )


@pytest.mark.parametrize(
    ("policy", "emitted", "result"),
    [
        ({"emission_windows": CLOSED}, {}, EmissionResult.OUTSIDE_WINDOW),
        ({"daily_cap_aiba": 1_000}, {"x": 501}, None),
        ({"daily_cap_aiba_by_arena": {"daily_combo": 499}}, {}, None),
        ({"daily_cap_aiba_by_arena": {"daily_combo": 510}}, {"daily_combo": 11}, None),
    ],
)
def test_a_closed_emission_refuses_the_combo_and_says_why(
    policy: dict[str, Any], emitted: dict[str, int], result: EmissionResult | None
) -> None:
    """As for the day's NEUR."""
    why = result or EmissionResult.CAP_EXCEEDED
    asked = context(EconomyPolicy(**policy), **SPENT)
    assert decide_combo(purse(emitted), ClaimDailyCombo(), asked) == Refused(
        code="daily cap reached",
        details={"reason": why},
        events=(judged(Currency.AIBA, 500, "daily_combo", why),),
    )


def test_a_window_of_the_global_league_is_that_of_daily_rewards() -> None:
    """An operator closes the daily reward alone by its arena and the league `global`."""
    closed = EmissionWindow(start_hour=0, end_hour=0)
    for arena, is_open in (("daily_login:global", False), ("daily_login:rookie", True)):
        policy = EconomyPolicy(emission_windows=EmissionWindows(overrides={arena: closed}))
        decision = decide_daily(purse(), ClaimDaily(), context(policy))
        assert isinstance(decision, Accepted) is is_open


def test_the_caps_of_the_day_are_each_currency_s_own(play: Playground) -> None:
    """What NEUR has emitted takes nothing from AIBA; a claim adds to the player's own balance."""
    set_up(play, daily_cap_neur=60, daily_cap_aiba=600, daily_combo_requirement_aiba=0)
    play.fund("1", NEUR=7, AIBA=11)
    play.fund("2", NEUR=70, AIBA=110)
    assert play.play("1", ClaimDaily()).reply().balance == 57
    assert play.play("1", ClaimDailyCombo()).reply().balance == 511
    assert code(play.play("2", ClaimDaily())) == "daily cap reached"
    assert code(play.play("2", ClaimDailyCombo())) == "daily cap reached"
    play.clock.advance(DAY // 2 + HOUR)
    assert play.play("2", ClaimDaily()).reply().balance == 120
    assert play.play("2", ClaimDailyCombo()).reply().balance == 610


def test_a_changed_policy_is_answered_and_kept() -> None:
    """The next version, in force from the moment of the change; a refusal names the field."""
    asked = context(EconomyPolicy(version=4))
    policy = EconomyPolicy(version=5, effective_at=NOON, mint_aiba_cost=7)
    change = ChangePolicy(changes={"mint_aiba_cost": 7})
    kept = AuditChange(
        subject="policy:economy",
        before={"version": 4, "mintAibaCost": 100},
        after={"version": 5, "mintAibaCost": 7},
    )
    assert decide_policy(None, change, asked) == Accepted(
        reply=PolicyReply(policy=policy), changed=(policy,), audit=(kept,)
    )
    wrong = ChangePolicy(changes={"mint_aiba_cost": -1})
    assert decide_policy(None, wrong, asked) == Refused(
        code="validation_error", details={"mint_aiba_cost": "min:0"}
    )
