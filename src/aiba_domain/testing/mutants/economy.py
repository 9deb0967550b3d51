"""Faults of the economy: caps, windows, prices and rewards that are judged or posted wrongly."""

from dataclasses import replace
from typing import Any, Final

from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Combine, Repair, Train, Upgrade, Workshop
from aiba_domain.decision import Accepted, Context, Refused
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily, ClaimDailyCombo, DailyReply
from aiba_domain.economy.ledger import CHAIN, TREASURY, Posting
from aiba_domain.economy.windows import EmissionWindows
from aiba_domain.errors import InvariantViolation
from aiba_domain.instants import HOUR
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Reader
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.patching import (
    Decision,
    Load,
    Outcome,
    asked,
    ending,
    in_context,
    knowing,
    loaded,
    under,
)
from aiba_domain.testing.mutants.properties import LifeProperty, MachineProperty, RuleProperty
from aiba_domain.testing.mutants.rules import money

_ZONE_MS: Final = 3 * HOUR
_EMITTING: Final = (ClaimDaily, ClaimDailyCombo, RunBattle)
_PRICED: Final = (Train, Repair, Upgrade, Combine)


def _sees_plenty(state: Workshop) -> Workshop:
    return replace(state, balances=dict.fromkeys(Currency, MAX_AMOUNT))


def _first_is_free(made: Decision) -> Outcome:
    """Insert the first emission of a day whatever its amount."""
    if made.state.used.total:
        return made.outcome
    policy = replace(made.context.policy, daily_cap_neur=MAX_AMOUNT)
    return made.again(context=replace(made.context, policy=policy))


def _collides_at_the_cap(made: Decision) -> Outcome:
    """Fail where emission refuses, as an insert does that finds the day's row there already."""
    if isinstance(made.outcome, Accepted):
        receipt = made.outcome.reply.battle.receipt
        if receipt.outcome.proposed_aiba and not receipt.grant.aiba:
            raise InvariantViolation("duplicate key: day")
    return made.outcome


def _of_a_local_day(load: Load) -> Load:
    async def faulty(command: Any, context: Context, read: Reader) -> Any:  # noqa: ANN401 - of any command
        return await load(command, replace(context, now=context.now + _ZONE_MS), read)

    return faulty


def _uses_up_the_day(made: Decision) -> Outcome:
    """Mark the day as claimed although its reward was refused."""
    if not isinstance(made.outcome, Refused):
        return made.outcome
    player = replace(made.context.acting_player(), daily_claimed_at=made.context.now)
    balance = made.state.balances.get(Currency.NEUR, 0)
    reply = DailyReply(already_claimed=False, reward=0, balance=balance, login_streak_days=0)
    return Accepted(reply=reply, changed=(player,))


def _past_the_emission(posting: Posting) -> Posting:
    is_new = posting.debit.startswith("emission:")
    return replace(posting, debit=CHAIN) if is_new else posting


def _whole(command: ChangePolicy, _context: Context) -> ChangePolicy:
    changes = {
        name: int(value) if isinstance(value, float) else value
        for name, value in command.changes.items()
    }
    return replace(command, changes=changes)


def _spends_nothing(made: Decision) -> Outcome:
    """Leave the day's spending to a later write, which never comes."""
    before = made.context.acting_player()

    def as_before(player: Player) -> Player:
        spent, day = before.combo_spent_aiba, before.combo_spent_day
        return replace(player, combo_spent_aiba=spent, combo_spent_day=day)

    return made.with_records(Player, as_before)


def _loses_the_remainder(posting: Posting) -> Posting:
    is_share = posting.credit.startswith("guild:")
    return replace(posting, amount=posting.amount - 1) if is_share else posting


def _later(context: Context) -> Context:
    return replace(context, now=context.now + HOUR)


ECONOMY_MUTANTS: Final = (
    Mutant(
        id="overdraft",
        breaks="a price is taken without a look at the balance",
        plant=knowing(*_PRICED, as_if=_sees_plenty),
        killed_by=RuleProperty(rule=money.what_isnt_there_cannot_be_spent),
        defects=("D-01",),
    ),
    Mutant(
        id="cap-off-by-one",
        breaks="a day may emit one unit more than its cap",
        plant=under(
            ClaimDaily,
            policy=lambda policy: replace(policy, daily_cap_neur=policy.daily_cap_neur + 1),
        ),
        killed_by=RuleProperty(rule=money.emission_stops_at_the_cap),
        defects=("D-05",),
    ),
    Mutant(
        id="cap-starts-late",
        breaks="the first emission of a day is not held against the cap",
        plant=ending(ClaimDaily, change=_first_is_free),
        killed_by=RuleProperty(rule=money.the_first_emission_of_a_day_is_capped),
        defects=("D-05",),
    ),
    Mutant(
        id="cap-outage",
        breaks="a battle fails, fee and all, once the day's cap is reached",
        plant=ending(RunBattle, change=_collides_at_the_cap),
        killed_by=RuleProperty(rule=money.a_battle_at_the_cap_pays_nothing_and_is_fought),
        defects=("D-05",),
    ),
    Mutant(
        id="cap-ignored",
        breaks="emission is never refused for its cap",
        plant=under(
            *_EMITTING,
            policy=lambda policy: replace(
                policy, daily_cap_neur=MAX_AMOUNT, daily_cap_aiba=MAX_AMOUNT
            ),
        ),
        killed_by=MachineProperty(rule="the_books_agree"),
        budget=8,
        defects=("D-05",),
    ),
    Mutant(
        id="cap-of-no-arena",
        breaks="an arena's own cap is ignored",
        plant=under(ClaimDaily, policy=lambda policy: replace(policy, daily_cap_neur_by_arena={})),
        killed_by=RuleProperty(rule=money.an_arena_has_its_own_cap),
        defects=("D-56",),
    ),
    Mutant(
        id="cap-midnight",
        breaks="a cap starts anew at midnight of another time zone",
        plant=loaded(ClaimDaily, by=_of_a_local_day),
        killed_by=RuleProperty(rule=money.a_cap_lasts_from_midnight_to_midnight_utc),
    ),
    Mutant(
        id="window-ignored",
        breaks="the hours at which an arena emits are ignored",
        plant=under(
            ClaimDaily, policy=lambda policy: replace(policy, emission_windows=EmissionWindows())
        ),
        killed_by=RuleProperty(rule=money.a_closed_window_emits_nothing),
    ),
    Mutant(
        id="zero-is-default",
        breaks="a reward that is set to 0 is read as the default",
        plant=under(
            ClaimDaily,
            policy=lambda policy: replace(policy, daily_reward_neur=policy.daily_reward_neur or 50),
        ),
        killed_by=RuleProperty(rule=money.a_zero_is_a_zero),
        defects=("D-54",),
    ),
    Mutant(
        id="fraction-rounded",
        breaks="a setting of half a unit is rounded and taken",
        plant=asked(ChangePolicy, as_if=_whole),
        killed_by=RuleProperty(rule=money.a_fraction_is_no_amount),
        defects=("D-57",),
    ),
    Mutant(
        id="reward-past-emission",
        breaks="a reward comes into being past the day's emission, its counters and its caps",
        plant=ending(*_EMITTING, change=lambda made: made.with_postings(_past_the_emission)),
        killed_by=RuleProperty(rule=money.rewards_are_emitted),
        defects=("D-56",),
    ),
    Mutant(
        id="price-to-treasury",
        breaks="what is spent is booked as income of the operator, and as burned",
        plant=ending(
            *_PRICED,
            change=lambda made: made.with_postings(
                lambda posting: replace(posting, credit=TREASURY)
            ),
        ),
        killed_by=RuleProperty(rule=money.money_spent_is_gone_for_good),
        defects=("D-56",),
    ),
    Mutant(
        id="day-used-up",
        breaks="a daily reward that emission refused is marked as claimed",
        plant=ending(ClaimDaily, change=_uses_up_the_day),
        killed_by=RuleProperty(rule=money.a_capped_reward_can_be_claimed_later),
        defects=("D-68",),
    ),
    Mutant(
        id="spending-later",
        breaks="what was spent today is counted in a write of its own, which gets lost",
        plant=ending(Upgrade, change=_spends_nothing),
        killed_by=RuleProperty(rule=money.spending_counts_at_once),
        defects=("D-69",),
    ),
    Mutant(
        id="remainder-lost",
        breaks="a guild's share loses a unit by being rounded twice",
        plant=ending(RunBattle, change=lambda made: made.with_postings(_loses_the_remainder)),
        killed_by=RuleProperty(rule=money.a_guilds_share_adds_up),
        defects=("D-70",),
    ),
    Mutant(
        id="wrong-day",
        breaks="the day of a posting is that of a clock an hour ahead",
        plant=in_context(ClaimDaily, *_PRICED, as_if=_later),
        killed_by=RuleProperty(rule=money.postings_are_dated_by_utc),
    ),
    Mutant(
        id="clock-skew",
        breaks="rules and ledger look at clocks that are an hour apart",
        plant=in_context(*_EMITTING, *_PRICED, as_if=_later),
        killed_by=LifeProperty(),
        budget=2,
    ),
)
"""The faults of the economy."""
