"""What a battle decides, field by field: the record, every posting, the broker, the player, events.

The score is set, so that everything that follows from it can be written down.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import pytest

from aiba_domain.battle import commands as battle_commands
from aiba_domain.battle.commands import (
    Arena,
    BattleKept,
    BattleReply,
    RunBattle,
    decide_battle,
    recall_battle,
)
from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.mode_commands import SaveMode, SeedModes, decide_save, decide_seed
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode, default_modes
from aiba_domain.battle.opponents import GuildStrength
from aiba_domain.battle.receipt import battle_id
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, Emission, GuildMatch, resolve
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Context, OpenSeed, Principal, Refused
from aiba_domain.economy.emission import EmissionResult, EmissionUse
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.rewards import Bonuses
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.errors import InvariantViolation
from aiba_domain.events import AutoBanned, BattleFought, EmissionJudged, MoneySpent
from aiba_domain.fairness.epochs import open_epoch
from aiba_domain.ids import derive_id
from aiba_domain.instants import DAY, MINUTE, SECOND
from aiba_domain.moderation.model import Ban, Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Reader
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import Playground
from tests.support.arena import PLAIN_RATES, fight, guild, held, set_up, starter, sure

TODAY = "2026-01-01"
SECRET = "the secret of the epoch under which these battles are drawn"
MY_GUILD, THEIRS = guild(1, "9", pooled=7, members=["7"]), guild(2, "8", pooled=3)
BATTLE_ID = battle_id("7", "key-1", NOON)
LOSING = ModeRules(intelligence_weight=0, speed_weight=0, risk_weight=0, variance_base=0)


def the_broker(**fields: Any) -> Broker:
    """Return a broker of player 7 that rests since noon."""
    usual: dict[str, Any] = {
        "id": "b1",
        "owner_id": "7",
        "created_at": 1,
        "updated_at": 1,
        "energy_updated_at": NOON,
        "cooldowns": {"other": 5},
        "last_battle_at": 5,
    }
    return Broker(**{**usual, **fields})


def the_arena(mode: GameMode | None = None, **fields: Any) -> Arena:
    """Return what a battle loads: a mode that takes 4 energy and 20 s of rest, and money."""
    usual: dict[str, Any] = {
        "broker": the_broker(),
        "mode": mode or sure(arena="ring", league="pro", energy_cost=4, cooldown_seconds=20, **LOW),
        "guild": None,
        "rivals": (),
        "balances": {Currency.NEUR: 1_000, Currency.AIBA: 1_000},
        "used": {},
    }
    return Arena(**{**usual, **fields})


LOW: dict[str, Any] = {"rules": ModeRules(variance_base=0, min_broker_level=1)}


def context(policy: Mapping[str, Any] | None = None, player: Player | None = None) -> Context:
    """Return what a decision for player 7 at noon may depend on, with plain rates."""
    rates = {"rewards": PLAIN_RATES, "version": 12}
    return Context(
        principal=Principal(id="7"),
        player=player or new_player("7", None, 1),
        policy=EconomyPolicy(**{**rates, **(policy or {})}),
        now=NOON,
        key="key-1",
        seed=OpenSeed(epoch=open_epoch(3, SECRET, 1), secret=SECRET),
    )


def fought(state: Arena, asked: Context) -> tuple[Accepted[BattleReply], Battle]:
    """Decide a battle that must be fought; return the decision and the battle."""
    decision = decide_battle(state, RunBattle(broker_id="b1"), asked)
    assert isinstance(decision, Accepted)
    return decision, decision.reply.battle


def refused(state: Arena, asked: Context | None = None, **command: Any) -> Refused:
    """Decide a battle that must be refused."""
    decision = decide_battle(state, RunBattle(broker_id="b1", **command), asked or context())
    assert isinstance(decision, Refused)
    return decision


def emitted(currency: Currency, amount: int, credit: str, reason: str, arena: str) -> Posting:
    """Return the posting of a battle's new money."""
    return Posting(
        currency=currency,
        amount=amount,
        debit=f"emission:{TODAY}:{arena}",
        credit=credit,
        reason=reason,
        arena=arena,
        league="pro",
        source_type="battle",
        source_id="key-1",
    )


def spent(currency: Currency, amount: int) -> Posting:
    """Return the posting of an entry fee in the ring."""
    return Posting(
        currency=currency,
        amount=amount,
        debit="player:7",
        credit=f"sink:{TODAY}:entry:ring",
        reason="entry",
        arena="ring",
        league="pro",
        source_type="battle",
        source_id="key-1",
    )


def judged(
    currency: Currency, amount: int, arena: str, result: EmissionResult = EmissionResult.OK
) -> EmissionJudged:
    """Return what is told of an emission."""
    return EmissionJudged(
        currency=currency, amount=amount, arena=arena, league="pro", result=result
    )


def told(mode: GameMode, *, anomaly: bool = False) -> BattleFought:
    """Return what is told of the battle."""
    return BattleFought(
        battle_id=BATTLE_ID,
        player_id="7",
        arena=mode.arena,
        league=mode.league,
        mode_key=mode.key,
        anomaly=anomaly,
    )


def test_a_win_has_all_of_its_effects() -> None:
    """A first win with fees: both taken, all paid, the streak begun, the broker tired."""
    state = the_arena(
        sure(
            arena="ring",
            league="pro",
            energy_cost=4,
            cooldown_seconds=20,
            entry_neur=11,
            entry_aiba=13,
            **LOW,
        )
    )
    asked = context()
    decision, battle = fought(state, asked)
    assert state.mode is not None
    assert battle.receipt.outcome.score == 55
    assert (battle.id, battle.player_id, battle.broker_id) == (BATTLE_ID, "7", "b1")
    assert (battle.created_at, battle.stars, battle.diamonds) == (NOON, 1, 1)
    assert decision.postings == (
        spent(Currency.NEUR, 11),
        spent(Currency.AIBA, 13),
        emitted(Currency.NEUR, 55, "player:7", "battle_reward", "ring"),
        emitted(Currency.AIBA, 110, "player:7", "battle_reward", "ring"),
        emitted(Currency.STARS, 1, "player:7", "battle_reward", "ring"),
        emitted(Currency.DIAMONDS, 1, "player:7", "first_win", "ring"),
    )
    entry: dict[str, Any] = {"reason": "entry", "arena": "ring", "league": "pro"}
    assert decision.events == (
        told(state.mode),
        MoneySpent(currency=Currency.NEUR, amount=11, **entry),
        MoneySpent(currency=Currency.AIBA, amount=13, **entry),
        judged(Currency.NEUR, 55, "ring"),
        judged(Currency.AIBA, 110, "ring"),
    )
    assert decision.changed == (
        replace(
            asked.acting_player(),
            win_streak=1,
            last_win_at=NOON,
            first_win_at=NOON,
            combo_spent_aiba=13,
            combo_spent_day=TODAY,
            last_seen_at=NOON,
            updated_at=NOON,
        ),
        replace(
            the_broker(),
            energy=6,
            last_battle_at=NOON,
            last_request_id="key-1",
            cooldowns={"other": 5, "sure": NOON},
            updated_at=NOON,
        ),
        battle,
    )


def test_the_receipt_holds_every_input() -> None:
    """As they were at that moment, whatever becomes of broker, mode, player and policy."""
    player = replace(
        new_player("7", None, 1), login_streak_days=9, win_streak=2, premium_until=NOON + 1
    )
    state = the_arena(broker=the_broker(intelligence=61, speed=62, risk=63, level=4))
    _decision, battle = fought(state, context({"battle_anomaly_score_max": 333}, player))
    assert state.mode is not None
    assert state.broker is not None
    assert battle.receipt.inputs == BattleInputs(
        battle_id=BATTLE_ID,
        player_id="7",
        broker_id="b1",
        request_id="key-1",
        at=NOON,
        epoch=3,
        commitment=open_epoch(3, SECRET, 1).commitment,
        fighter=state.broker.fighter(),
        mode=state.mode.terms(),
        guild=None,
        policy_version=12,
        rates=PLAIN_RATES,
        bonuses=Bonuses(login_streak_days=9, win_streak=2, premium=True),
        anomaly_limit=333,
    )


@pytest.mark.parametrize(
    ("until", "premium"), [(None, False), (NOON - 1, False), (NOON, False), (NOON + 1, True)]
)
def test_premium_counts_to_its_last_moment(until: int | None, *, premium: bool) -> None:
    """And not in the instant at which it ends."""
    player = replace(new_player("7", None, 1), premium_until=until)
    bonuses = fought(the_arena(), context(player=player))[1].receipt.inputs.bonuses
    assert bonuses is not None
    assert bonuses.premium is premium


def test_a_later_win_counts_up_and_brings_no_diamonds() -> None:
    """The first win stays the first."""
    player = replace(
        new_player("7", None, 1), win_streak=4, last_win_at=NOON - DAY + 1, first_win_at=6
    )
    decision, battle = fought(the_arena(), context(player=player))
    assert (battle.stars, battle.diamonds) == (1, 0)
    assert decision.changed[0] == replace(
        player, win_streak=5, last_win_at=NOON, last_seen_at=NOON, updated_at=NOON
    )
    assert [each.currency for each in decision.postings] == ["NEUR", "AIBA", "STARS"]


def test_a_loss_ends_the_streak_and_pays_nothing() -> None:
    """The broker is tired all the same, and the wins before stay where they were."""
    player = replace(new_player("7", None, 1), win_streak=4, last_win_at=5, first_win_at=6)
    mode = sure("lost", arena="ring", league="rookie", rules=LOSING)
    decision, battle = fought(the_arena(mode), context(player=player))
    assert decision.postings == ()
    assert decision.events == (told(mode),)
    assert decision.changed == (
        replace(player, win_streak=0, last_seen_at=NOON, updated_at=NOON),
        replace(
            the_broker(),
            last_battle_at=NOON,
            last_request_id="key-1",
            cooldowns={"other": 5, "lost": NOON},
            updated_at=NOON,
        ),
        battle,
    )
    assert (battle.stars, battle.diamonds) == (0, 0)
    assert battle.receipt.grant.aiba_emission is Emission.NOTHING


def guild_war(**fields: Any) -> Arena:
    """Return what a battle of guild 1 against guild 2 loads."""
    mode = sure("war", arena="guildWars", league="pro", **LOW)
    rivals = (
        GuildStrength(guild_id=MY_GUILD.id, pooled=7),
        GuildStrength(guild_id=THEIRS.id, pooled=3),
    )
    return the_arena(mode, **{"guild": MY_GUILD, "rivals": rivals, **fields})


def test_a_guild_s_reward_is_divided_and_its_leader_is_paid() -> None:
    """A fifth is the guild's, a part of that the leader's, in postings of their own."""
    rates = replace(PLAIN_RATES, guild_creator_share_bps=Fraction(5_000))
    decision, battle = fought(guild_war(), context({"rewards": rates}))
    # 50 * 1.1 and 3 for each of the 4 brokers that the guild has more.
    assert battle.receipt.outcome.score == 55 + 12
    assert battle.receipt.inputs.guild == GuildMatch(
        my_id=MY_GUILD.id, my_count=7, their_id=THEIRS.id, their_count=3
    )
    # A fifth of 67 NEUR is 13, of which the leader has half.
    assert decision.postings[:4] == (
        emitted(Currency.NEUR, 54, "player:7", "battle_reward", "guildWars"),
        emitted(Currency.AIBA, 134, "player:7", "battle_reward", "guildWars"),
        emitted(Currency.NEUR, 6, "player:9", "guild_creator_earnings", "guildWars"),
        emitted(Currency.NEUR, 7, f"guild:{MY_GUILD.id}", "guild_share", "guildWars"),
    )


@pytest.mark.parametrize(
    "rivals",
    [
        (),
        (GuildStrength(guild_id=MY_GUILD.id, pooled=7),),
        (GuildStrength(guild_id=THEIRS.id, pooled=0),),
    ],
)
def test_a_guild_without_an_opponent_fights_alone(rivals: tuple[GuildStrength, ...]) -> None:
    """It is no opponent of itself, and neither is a guild without a broker."""
    _decision, battle = fought(guild_war(rivals=rivals), context())
    assert battle.receipt.inputs.guild == GuildMatch(my_id=MY_GUILD.id, my_count=7)
    assert battle.receipt.outcome.score == 55


def test_a_guild_that_is_not_asked_for_takes_no_part(play: Playground) -> None:
    """Outside guild battles the receipt names none and the guild gets nothing."""
    set_up(play)
    broker = starter(play, "7")
    play.put(MY_GUILD, THEIRS)
    battle = fight(play, "7", broker, "k")
    assert battle.receipt.inputs.guild is None
    assert held(play, f"guild:{MY_GUILD.id}") == {}


@pytest.mark.parametrize(
    ("policy", "used", "neur", "aiba"),
    [
        ({"daily_cap_neur": 54}, {}, EmissionResult.CAP_EXCEEDED, EmissionResult.OK),
        (
            {"daily_cap_aiba": 200},
            {Currency.AIBA: EmissionUse(by_arena={"x": 91}), Currency.NEUR: EmissionUse()},
            EmissionResult.OK,
            EmissionResult.CAP_EXCEEDED,
        ),
        (
            {"daily_cap_neur_by_arena": {"ring": 60}, "daily_cap_aiba_by_arena": {"other": 0}},
            {Currency.NEUR: EmissionUse(by_arena={"ring": 6})},
            EmissionResult.CAP_EXCEEDED,
            EmissionResult.OK,
        ),
    ],
)
def test_a_capped_reward_is_0_and_is_told(
    policy: dict[str, Any],
    used: dict[Currency, EmissionUse],
    neur: EmissionResult,
    aiba: EmissionResult,
) -> None:
    """What emission refused isn't posted; the other currency is paid in full."""
    decision, battle = fought(the_arena(used=used), context(policy))
    assert judged(Currency.NEUR, 55, "ring", neur) in decision.events
    assert judged(Currency.AIBA, 110, "ring", aiba) in decision.events
    grant = battle.receipt.grant
    assert grant.neur == (55 if neur is EmissionResult.OK else 0)
    assert grant.aiba == (110 if aiba is EmissionResult.OK else 0)
    posted = {each.currency: each.amount for each in decision.postings}
    assert (posted.get(Currency.NEUR, 0), posted.get(Currency.AIBA, 0)) == (grant.neur, grant.aiba)
    for result, emission in ((neur, grant.neur_emission), (aiba, grant.aiba_emission)):
        assert emission.value == ("granted" if result is EmissionResult.OK else result.value)


@pytest.mark.parametrize(
    ("place", "paid"), [("ring:pro", 0), ("ring:rookie", 110), ("ring", 0), ("*", 0), ("x", 110)]
)
def test_a_window_closes_its_own_league(place: str, paid: int) -> None:
    """An operator's override of an arena and league counts for that league alone."""
    closed = EmissionWindow(start_hour=0, end_hour=0)
    policy = {"emission_windows": EmissionWindows(overrides={place: closed})}
    assert fought(the_arena(), context(policy))[1].receipt.grant.aiba == paid


# Refusals, in their order, each with its facts.


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        ({}, "no enabled mode for prediction/rookie"),
        ({"arena": "ring", "league": "pro"}, "no enabled mode for ring/pro"),
        ({"mode_key": "x", "arena": "ring"}, "modeKey not found: x"),
    ],
)
def test_a_mode_that_is_not_there(command: dict[str, Any], detail: str) -> None:
    """The refusal repeats what was asked for."""
    state = replace(the_arena(), mode=None)
    assert refused(state, **command) == Refused(code="invalid_mode", details={"detail": detail})


@pytest.mark.parametrize(
    ("state", "policy", "refusal"),
    [
        (
            the_arena(sure(enabled=False)),
            {},
            Refused(code="mode_disabled", details={"modeKey": "sure"}),
        ),
        (guild_war(guild=None, broker=None), {}, Refused(code="guild required")),
        (the_arena(broker=None), {}, Refused(code="broker not found")),
        (the_arena(broker=the_broker(owner_id="8")), {}, Refused(code="not your broker")),
        (
            the_arena(sure(league="elite", energy_cost=99), broker=the_broker(level=9)),
            {},
            Refused(code="league_locked", details={"needLevel": 10, "haveLevel": 9}),
        ),
        (
            the_arena(sure(energy_cost=11, cooldown_seconds=9)),
            {},
            Refused(code="no energy", details={"need": 11, "have": 10}),
        ),
        (
            the_arena(sure(energy_cost=900), broker=the_broker(energy=100, energy_updated_at=NOON)),
            {"battle_max_energy": 101},
            Refused(code="no energy", details={"need": 101, "have": 100}),
        ),
        (
            the_arena(
                sure(cooldown_seconds=9, entry_neur=1_001),
                broker=the_broker(cooldowns={"sure": NOON - 9 * SECOND + 1}),
            ),
            {},
            Refused(code="cooldown", details={"retryAfterMs": 1}),
        ),
        (
            the_arena(sure(entry_neur=1_001, entry_aiba=1_001)),
            {},
            Refused(code="insufficient NEUR", details={"need": 1_001, "have": 1_000}),
        ),
        (
            the_arena(sure(entry_aiba=1_001)),
            {},
            Refused(code="insufficient AIBA", details={"need": 1_001, "have": 1_000}),
        ),
    ],
)
def test_what_refuses_a_battle_says_so(
    state: Arena, policy: dict[str, Any], refusal: Refused
) -> None:
    """Code and facts are what the client shows."""
    assert refused(state, context(policy)) == refusal


@pytest.mark.parametrize(
    "state",
    [
        the_arena(sure(league="elite"), broker=the_broker(level=10)),
        the_arena(sure(energy_cost=10)),
        the_arena(
            sure(cooldown_seconds=9), broker=the_broker(cooldowns={"sure": NOON - 9 * SECOND})
        ),
        the_arena(sure(entry_neur=1_000, entry_aiba=1_000)),
    ],
)
def test_what_is_just_enough_is_enough(state: Arena) -> None:
    """At the level, with the energy, at the end of the rest, with the last unit."""
    fought(state, context())


def test_energy_that_came_back_is_counted_in() -> None:
    """The broker rests first and is tired from what it then has."""
    state = the_arena(broker=the_broker(energy=3, energy_updated_at=NOON - 2 * MINUTE - 1))
    broker = fought(state, context())[0].changed[1]
    assert isinstance(broker, Broker)
    assert (broker.energy, broker.energy_updated_at) == (1, NOON - 1)


def test_a_mode_that_costs_more_than_any_broker_can_have_takes_all() -> None:
    """The policy's maximum is the most that a mode can ask for."""
    state = the_arena(sure(energy_cost=900))
    broker = fought(state, context({"battle_max_energy": 7}))[0].changed[1]
    assert isinstance(broker, Broker)
    assert broker.energy == 3


def test_a_battle_without_an_epoch_stops_the_service() -> None:
    """It could not be drawn."""
    asked = replace(context(), seed=None)
    with pytest.raises(InvariantViolation) as broken:
        decide_battle(the_arena(), RunBattle(broker_id="b1"), asked)
    assert str(broken.value) == "a battle is decided under an open seed epoch"


def test_a_battle_that_was_answered_and_is_gone_stops_the_service() -> None:
    """The evidence names it."""

    class Empty:
        async def battle(self, battle_id: str) -> None:
            del battle_id

    async def recall() -> None:
        await recall_battle(BattleKept(battle_id="b9"), cast("Reader", Empty()))

    with pytest.raises(InvariantViolation) as broken:
        asyncio.run(recall())
    assert str(broken.value) == "battle b9 was answered and is gone"


# Anomalies.


@pytest.fixture(name="impossible")
def _impossible(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every battle end above what is possible, as a broken build would."""

    def broken(inputs: BattleInputs, secret: str) -> BattleOutcome:
        return replace(resolve(inputs, secret), score=500, score_limit=220, is_anomaly=True)

    return lambda: monkeypatch.setattr(battle_commands, "resolve", broken)


def flag(subject: Subject, subject_id: str) -> Flag:
    """Return the flag that an impossible battle raises."""
    return Flag(
        id=derive_id("flag", subject, BATTLE_ID),
        subject=subject,
        subject_id=subject_id,
        rule="score_out_of_range",
        at=NOON,
        evidence={"battleId": BATTLE_ID, "score": 500, "limit": 220},
    )


@pytest.mark.parametrize(
    ("broker_flags", "player_flags", "bans_broker", "bans_player"),
    [(0, 0, False, False), (3, 23, False, False), (4, 23, True, False), (3, 24, False, True)],
)
def test_an_anomaly_is_recorded_flagged_and_not_paid(
    impossible: Callable[[], None],
    broker_flags: int,
    player_flags: int,
    *,
    bans_broker: bool,
    bans_player: bool,
) -> None:
    """It ends no streak, and whoever reached the policy's count is banned and told of."""
    impossible()
    player = replace(new_player("7", None, 1), win_streak=4, anomaly_flags=player_flags)
    state = the_arena(broker=the_broker(anomaly_flags=broker_flags))
    decision, battle = fought(state, context(player=player))
    assert state.mode is not None
    by: dict[str, Any] = {
        "reason": "auto-banned (anomaly threshold)",
        "by": "anomaly rule",
        "since": NOON,
    }
    events: list[AutoBanned] = []
    if bans_broker:
        events.append(AutoBanned(subject=Subject.BROKER, subject_id="b1"))
    if bans_player:
        events.append(AutoBanned(subject=Subject.PLAYER, subject_id="7"))
    assert decision.postings == ()
    assert decision.events == (told(state.mode, anomaly=True), *events)
    assert decision.changed == (
        replace(
            player,
            anomaly_flags=player_flags + 1,
            ban=Ban(until=NOON + 1_440 * MINUTE, **by) if bans_player else None,
            last_seen_at=NOON,
            updated_at=NOON,
        ),
        replace(
            the_broker(),
            energy=6,
            last_battle_at=NOON,
            last_request_id="key-1",
            cooldowns={"other": 5, "sure": NOON},
            updated_at=NOON,
            anomaly_flags=broker_flags + 1,
            ban=Ban(**by) if bans_broker else None,
        ),
        battle,
        flag(Subject.BROKER, "b1"),
        flag(Subject.PLAYER, "7"),
    )
    assert (battle.stars, battle.diamonds) == (0, 0)
    assert battle.receipt.grant.aiba_emission is Emission.NOTHING


# Modes.


def test_the_defaults_that_are_missing_are_added() -> None:
    """What is there is left alone, in the order of the defaults."""
    every = default_modes(NOON)
    missing = (every[2], every[9])
    present = [mode for mode in every if mode not in missing]
    decision = decide_seed(present, SeedModes(), context())
    assert decision.reply.modes == missing
    assert decision.changed == missing


def test_a_mode_keeps_its_birth_when_it_is_saved_again() -> None:
    """A new one is born now; both changed now, whatever the operator wrote."""
    written = replace(sure("m"), created_at=77, updated_at=78)
    others = [replace(sure("n"), created_at=4), replace(sure("m"), created_at=5)]
    for state, born in ((others, 5), (others[:1], NOON)):
        kept = replace(written, created_at=born, updated_at=NOON)
        decision = decide_save(state, SaveMode(mode=written), context())
        assert (decision.reply.modes, decision.changed) == ((kept,), (kept,))


def test_defaults_present_themselves() -> None:
    """Each says where it is fought, and that nobody wrote it."""
    for mode in default_modes(NOON):
        assert mode.name == f"{mode.arena} ({mode.league})"
        assert mode.description == "Auto-generated default game mode"
        assert (mode.created_at, mode.updated_at, mode.enabled) == (NOON, NOON, True)


def test_ids_of_battles_and_flags_never_change() -> None:
    """A release that derived others would pay a repeated request twice."""
    assert BATTLE_ID == "695661c03616502793e0b758"
    assert flag(Subject.PLAYER, "7").id == "60223c750f1d70e91e8b46ea"
