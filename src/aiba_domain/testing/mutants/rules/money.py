"""The rules of money: what emission may bring, what is spent, and that every unit is somewhere."""

from fractions import Fraction
from typing import Final

from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Repair, Train, Upgrade
from aiba_domain.brokers.model import Stat
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily, ClaimDailyCombo
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.guilds.model import Guild
from aiba_domain.money import Currency
from aiba_domain.testing.auditor import Auditor, utc_day
from aiba_domain.testing.mutants.service import HERO, RIVAL, Service
from aiba_domain.testing.playground import OPERATOR

_DAY: Final = 86_400_000
_HOUR: Final = 3_600_000
_CAPPED: Final = "daily cap reached"


def what_isnt_there_cannot_be_spent(service: Service) -> None:
    """A price above the balance is refused with what is there, and takes nothing."""
    broker = service.broker()
    service.fund(HERO, NEUR=24)
    command = Train(broker_id=broker.id, stat=Stat.SPEED)
    assert service.refusal(HERO, command, "k") == "insufficient NEUR"
    assert service.held(HERO) == 24
    assert service.stored(broker) == broker
    service.fund(HERO, NEUR=1)
    assert service.play(HERO, command, "k2").reply().balance == 0


def emission_stops_at_the_cap(service: Service) -> None:
    """The cap itself may be reached, and not passed by one unit."""
    service.change(daily_reward_neur=50, daily_cap_neur=100)
    for player in ("1", "2"):
        assert service.play(player, ClaimDaily()).reply().reward == 50
    service.change(daily_cap_neur=149)
    assert service.refusal("3", ClaimDaily()) == _CAPPED
    service.change(daily_cap_neur=150)
    assert service.play("3", ClaimDaily()).reply().reward == 50
    assert service.refusal("4", ClaimDaily()) == _CAPPED


def the_first_emission_of_a_day_is_capped(service: Service) -> None:
    """On a day that has emitted nothing a reward above the cap is refused too."""
    service.change(daily_reward_neur=50, daily_cap_neur=49)
    assert service.refusal(HERO, ClaimDaily()) == _CAPPED
    assert service.held(HERO) == 0


def an_arena_has_its_own_cap(service: Service) -> None:
    """An arena's cap holds although the day has room."""
    service.change(daily_reward_neur=50, daily_cap_neur_by_arena={"daily_login": 99})
    assert service.play("1", ClaimDaily()).reply().reward == 50
    assert service.refusal("2", ClaimDaily()) == _CAPPED


def a_cap_lasts_from_midnight_to_midnight_utc(service: Service) -> None:
    """What was emitted just after midnight counts until the last millisecond of the day."""
    service.change(daily_reward_neur=50, daily_cap_neur=50)
    midnight = service.clock.now() // _DAY * _DAY
    service.clock.instant = midnight + 1
    assert service.play("1", ClaimDaily()).reply().reward == 50
    service.clock.instant = midnight + _DAY - 1
    assert service.refusal("2", ClaimDaily()) == _CAPPED
    service.clock.instant = midnight + _DAY
    assert service.play("2", ClaimDaily()).reply().reward == 50


def a_closed_window_emits_nothing(service: Service) -> None:
    """Outside an arena's hours its rewards are refused; in the first of them they are paid."""
    hours = EmissionWindow(start_hour=8, end_hour=9)
    service.change(emission_windows=EmissionWindows(overrides={"daily_login": hours}))
    midnight = service.clock.now() // _DAY * _DAY
    for instant in (8 * _HOUR - 1, 9 * _HOUR):
        service.clock.instant = midnight + instant
        assert service.refusal(HERO, ClaimDaily()) == _CAPPED
    service.clock.instant = midnight + 8 * _HOUR
    assert service.play(HERO, ClaimDaily()).reply().reward > 0


def a_battle_at_the_cap_pays_nothing_and_is_fought(service: Service) -> None:
    """A refused emission is a reward of 0, never an error, and the fee buys a battle."""
    service.change(daily_cap_aiba=0)
    mode = service.mode(entry_neur=5)
    broker = service.broker()
    service.fund(HERO, NEUR=5)
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    battle = service.play(HERO, command, "k").reply().battle
    assert battle.receipt.outcome.proposed_aiba > 0
    assert battle.receipt.grant.aiba == 0
    assert service.held(HERO) == 0
    assert service.held(HERO, Currency.AIBA) == 0


def a_zero_is_a_zero(service: Service) -> None:
    """A price, a reward or a rate that is set to 0 is 0, and no default."""
    service.change(
        daily_reward_neur=0, repair_neur_cost=0, rewards=RewardRates(aiba_per_score=Fraction(0))
    )
    broker, mode = service.broker(), service.mode()
    assert service.play(HERO, ClaimDaily()).reply().reward == 0
    service.play(HERO, Repair(broker_id=broker.id), "k").reply()
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    assert service.play(HERO, command, "k").reply().battle.receipt.grant.aiba == 0
    assert service.balances(HERO).keys() <= {Currency.STARS, Currency.DIAMONDS}


def a_fraction_is_no_amount(service: Service) -> None:
    """A setting of half a unit is refused by name and changes nothing."""
    before = service.read(lambda read: read.policy())
    changes = {"upgrade_aiba_cost": 0.5}
    outcome = service.issue(OPERATOR, ChangePolicy(changes=changes)).outcome
    assert "upgrade_aiba_cost" in getattr(outcome, "details", {}), outcome
    assert service.read(lambda read: read.policy()) == before


def a_capped_reward_can_be_claimed_later(service: Service) -> None:
    """A day whose reward was refused is not used up."""
    service.change(daily_reward_neur=50, daily_cap_neur=0)
    assert service.refusal(HERO, ClaimDaily()) == _CAPPED
    service.change(daily_cap_neur=50)
    reply = service.play(HERO, ClaimDaily()).reply()
    assert (reply.already_claimed, reply.reward) == (False, 50)


def spending_counts_at_once(service: Service) -> None:
    """AIBA that was spent counts for the daily combo in the very next request."""
    service.change(upgrade_aiba_cost=100, daily_combo_requirement_aiba=100)
    broker = service.broker()
    service.fund(HERO, AIBA=100)
    service.play(HERO, Upgrade(broker_id=broker.id, stat=Stat.RISK), "k").reply()
    assert service.play(HERO, ClaimDailyCombo()).reply().bonus > 0


def a_guilds_share_adds_up(service: Service) -> None:
    """Player, leader and vault get together what the battle brought, the guild a fifth of it."""
    service.change(rewards=RewardRates(neur_per_score=Fraction(707, 100)))
    mode = service.mode(arena="guildWars")
    guild = Guild(
        id=f"{1:024x}",
        name="guild",
        owner_id=RIVAL,
        member_ids=(HERO, RIVAL),
        created_at=0,
        pooled=3,
    )
    service.put(guild)
    broker = service.broker()
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    grant = service.play(HERO, command, "k").reply().battle.receipt.grant
    vault = service.read(lambda read: read.balances(f"guild:{guild.id}"))[Currency.NEUR]
    assert grant.neur > 100
    assert service.held(HERO) + service.held(RIVAL) + vault == grant.neur
    assert service.held(RIVAL) + vault == grant.neur // 5
    used = service.read(lambda read: read.emitted(utc_day(service.clock.now())))
    assert used[Currency.NEUR].total == grant.neur


def rewards_are_emitted(service: Service) -> None:
    """What rewards bring stands as the day's emission, by arena, to the unit."""
    mode, broker = service.mode(arena="simulation"), service.broker()
    daily = service.play(HERO, ClaimDaily()).reply().reward
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    won = service.play(HERO, command, "k").reply().battle.receipt.grant.aiba
    used = service.read(lambda read: read.emitted(utc_day(service.clock.now())))
    emitted = {currency: dict(use.by_arena) for currency, use in used.items()}
    assert emitted.get(Currency.NEUR) == {"daily_login": daily}, emitted
    assert emitted.get(Currency.AIBA) == {"simulation": won}, emitted


def money_spent_is_gone_for_good(service: Service) -> None:
    """A price goes to the sink of its day and reason, and into nobody's account."""
    broker = service.broker()
    service.fund(HERO, NEUR=25)
    service.play(HERO, Train(broker_id=broker.id, stat=Stat.SPEED), "k").reply()
    accounts = service.read(lambda read: read.accounts())
    sink = f"sink:{utc_day(service.clock.now())}:train:training"
    assert accounts.get((sink, Currency.NEUR)) == 25, accounts


def postings_are_dated_by_utc(service: Service) -> None:
    """A posting's day is the UTC day on which it was written, a minute before midnight too."""
    midnight = service.clock.now() // _DAY * _DAY
    service.clock.instant = midnight + _DAY - 60_000
    broker = service.broker()
    service.fund(HERO, NEUR=25)
    service.play(HERO, ClaimDaily()).reply()
    service.play(HERO, Train(broker_id=broker.id, stat=Stat.SPEED), "k").reply()
    for entry in service.entries():
        for account in (entry.posting.debit, entry.posting.credit):
            if account.startswith(("emission:", "sink:")):
                assert account.split(":")[1] == utc_day(entry.at), f"{account} at {entry.at}"
                assert account.split(":")[1] == utc_day(midnight), account


def the_books_agree_after_play(service: Service) -> None:
    """After battles, rewards and prices the ledger explains every balance, and all sum to 0."""
    mode, broker = service.mode(entry_neur=3), service.broker()
    service.fund(HERO, NEUR=60, AIBA=60)
    service.play(HERO, ClaimDaily()).reply()
    for number in range(3):
        command = RunBattle(broker_id=broker.id, mode_key=mode.key)
        service.play(HERO, command, f"k{number}").reply()
    service.play(HERO, Upgrade(broker_id=broker.id, stat=Stat.RISK), "k").reply()
    books = Auditor()
    books.follow(service.entries(), service.read(lambda read: read.policy()))
    books.compare(service.read(lambda read: read.accounts()))
