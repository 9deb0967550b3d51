"""The commands of the economy: the daily rewards, and the change of the policy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiba_domain.application.handler import OPERATORS, Handler, nothing
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.economy.config import change_of
from aiba_domain.economy.emission import NOTHING_EMITTED, EmissionResult, EmissionUse, judge
from aiba_domain.economy.ledger import Posting, emission_account, player_account
from aiba_domain.economy.policy import EconomyPolicy, next_version
from aiba_domain.economy.streaks import next_login_streak
from aiba_domain.errors import InvalidInput
from aiba_domain.events import EmissionJudged
from aiba_domain.instants import day_key
from aiba_domain.money import Currency
from aiba_domain.ports import Reader

DAILY_ARENA = "daily_login"
COMBO_ARENA = "daily_combo"
GLOBAL_LEAGUE = "global"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReply:
    """What a daily claim gave; `already_claimed` says that the day's reward was given before."""

    already_claimed: bool
    reward: int
    balance: int
    login_streak_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComboReply:
    """What the daily combo gave."""

    already_claimed: bool
    bonus: int
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReply:
    """The policy now in force."""

    policy: EconomyPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDaily(Command[DailyReply]):
    """Claim the day's NEUR, once per UTC day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDailyCombo(Command[ComboReply]):
    """Claim the day's AIBA bonus for having spent enough AIBA today, once per UTC day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePolicy(Command[PolicyReply]):
    """Make the next version of the economy policy with `changes` by field name."""

    changes: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What a daily claim loads: the player's balances and the day's emission of the currency."""

    balances: Mapping[Currency, int]
    used: EmissionUse


def claimed_today(claimed_at: int | None, now: int) -> bool:
    """Tell whether a daily reward was claimed on the UTC day of `now`, or on a later one.

    A later one means that the clock was set back since, over a day that is claimed already.
    """
    return claimed_at is not None and day_key(claimed_at) >= day_key(now)


async def load_neur(_command: ClaimDaily, context: Context, read: Reader) -> Purse:
    """Load what a claim of NEUR needs."""
    return await _purse(Currency.NEUR, context, read)


async def load_aiba(_command: ClaimDailyCombo, context: Context, read: Reader) -> Purse:
    """Load what a claim of AIBA needs."""
    return await _purse(Currency.AIBA, context, read)


async def _purse(currency: Currency, context: Context, read: Reader) -> Purse:
    return Purse(
        balances=await read.balances(player_account(context.principal.id)),
        used=(await read.emitted(day_key(context.now))).get(currency, NOTHING_EMITTED),
    )


def decide_daily(
    state: Purse, _command: ClaimDaily, context: Context
) -> Accepted[DailyReply] | Refused:
    """Grant the day's NEUR and count the login streak, or refuse while emission is closed.

    A refusal leaves the day unclaimed. A reward set to 0 is not configured: nothing is claimed.
    """
    player = context.acting_player()
    balance = state.balances.get(Currency.NEUR, 0)
    if claimed_today(player.daily_claimed_at, context.now):
        days = player.login_streak_days
        reply = DailyReply(already_claimed=True, reward=0, balance=balance, login_streak_days=days)
        return Accepted(reply=reply)
    reward = context.policy.daily_reward_neur
    if reward == 0:
        days = player.login_streak_days
        reply = DailyReply(already_claimed=False, reward=0, balance=balance, login_streak_days=days)
        return Accepted(reply=reply)
    event = _judge(Currency.NEUR, reward, DAILY_ARENA, state, context)
    if event.result is not EmissionResult.OK:
        return Refused(code="daily cap reached", details={"reason": event.result}, events=(event,))
    today = day_key(context.now)
    streak = next_login_streak(player.login_streak_days, player.login_streak_day, today)
    player = replace(
        player,
        login_streak_days=streak,
        login_streak_day=today,
        daily_claimed_at=context.now,
    ).seen(None, context.now)
    reply = DailyReply(
        already_claimed=False, reward=reward, balance=balance + reward, login_streak_days=streak
    )
    posting = _emission(Currency.NEUR, reward, DAILY_ARENA, "daily_login", "daily_claim", context)
    return Accepted(reply=reply, postings=(posting,), changed=(player,), events=(event,))


def decide_combo(
    state: Purse, _command: ClaimDailyCombo, context: Context
) -> Accepted[ComboReply] | Refused:
    """Grant the day's AIBA bonus to a player who has spent the required AIBA today."""
    player, policy = context.acting_player(), context.policy
    balance = state.balances.get(Currency.AIBA, 0)
    bonus = policy.daily_combo_bonus_aiba
    already = claimed_today(player.combo_claimed_at, context.now)
    if already or bonus == 0:
        return Accepted(reply=ComboReply(already_claimed=already, bonus=0, balance=balance))
    today = day_key(context.now)
    spent = player.combo_spent_aiba if player.combo_spent_day == today else 0
    if spent < policy.daily_combo_requirement_aiba:
        details = {"spent": spent, "required": policy.daily_combo_requirement_aiba}
        return Refused(code="daily_combo_requirement_not_met", details=details)
    event = _judge(Currency.AIBA, bonus, COMBO_ARENA, state, context)
    if event.result is not EmissionResult.OK:
        return Refused(code="daily cap reached", details={"reason": event.result}, events=(event,))
    player = replace(player, combo_claimed_at=context.now).seen(None, context.now)
    posting = _emission(Currency.AIBA, bonus, COMBO_ARENA, "daily_combo", "daily_combo", context)
    reply = ComboReply(already_claimed=False, bonus=bonus, balance=balance + bonus)
    return Accepted(reply=reply, postings=(posting,), changed=(player,), events=(event,))


def decide_policy(
    _state: None, command: ChangePolicy, context: Context
) -> Accepted[PolicyReply] | Refused:
    """Make the next policy version, or refuse naming the field that is out of range."""
    try:
        policy = next_version(context.policy, command.changes, context.now)
    except InvalidInput as error:
        return Refused(code=error.code, details={error.field: error.reason})
    audit = (change_of(context.policy, policy),)
    return Accepted(reply=PolicyReply(policy=policy), changed=(policy,), audit=audit)


def _judge(
    currency: Currency, amount: int, arena: str, state: Purse, context: Context
) -> EmissionJudged:
    """Judge an emission and tell of it."""
    result = judge(
        context.policy,
        currency,
        amount,
        arena=arena,
        league=GLOBAL_LEAGUE,
        now=context.now,
        used=state.used,
    )
    return EmissionJudged(
        currency=currency, amount=amount, arena=arena, league=GLOBAL_LEAGUE, result=result
    )


def _emission(
    currency: Currency, amount: int, arena: str, reason: str, source: str, context: Context
) -> Posting:
    """Return the posting that brings a daily reward into being."""
    today = day_key(context.now)
    return Posting(
        currency=currency,
        amount=amount,
        debit=emission_account(today, arena),
        credit=player_account(context.principal.id),
        reason=reason,
        arena=arena,
        league=GLOBAL_LEAGUE,
        source_type=source,
        source_id=today,
    )


HANDLERS = (
    Handler(
        name="daily.claim",
        command=ClaimDaily,
        reply=DailyReply,
        load=load_neur,
        decide=decide_daily,
        keyed=False,
    ),
    Handler(
        name="daily.combo",
        command=ClaimDailyCombo,
        reply=ComboReply,
        load=load_aiba,
        decide=decide_combo,
        keyed=False,
    ),
    Handler(
        name="policy.change",
        command=ChangePolicy,
        reply=PolicyReply,
        load=nothing,
        decide=decide_policy,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
