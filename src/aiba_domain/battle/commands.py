"""Running a battle: may it be fought, what does it cost, how does it end, what does it pay."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiba_domain.application.handler import Handler
from aiba_domain.battle.energy import cooldown_left_ms
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.battle.opponents import GuildStrength, choose_opponent
from aiba_domain.battle.receipt import Receipt, battle_id
from aiba_domain.battle.resolve import (
    BattleInputs,
    BattleOutcome,
    Emission,
    Grant,
    GuildMatch,
    resolve,
    settle,
)
from aiba_domain.brokers.commands import usable
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Command, Context, Record, Refused
from aiba_domain.economy.emission import NOTHING_EMITTED, EmissionResult, EmissionUse, judge
from aiba_domain.economy.ledger import (
    Posting,
    emission_account,
    guild_account,
    player_account,
)
from aiba_domain.economy.rewards import Bonuses, first_win_diamonds, win_stars
from aiba_domain.economy.spending import Price, pay, unaffordable
from aiba_domain.economy.streaks import next_win_streak
from aiba_domain.errors import InvariantViolation
from aiba_domain.events import AutoBanned, BattleFought, EmissionJudged, Event
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.ids import derive_id
from aiba_domain.instants import MINUTE, day_key
from aiba_domain.moderation.model import AUTO_BAN_REASON, Ban, Flag, Subject
from aiba_domain.money import Currency
from aiba_domain.ports import Reader

DEFAULT_ARENA = "prediction"
DEFAULT_LEAGUE = "rookie"
ANOMALY_RULE = "score_out_of_range"
_SYSTEM = "anomaly rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleReply:
    """The battle that was fought."""

    battle: Battle


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleKept:
    """What is remembered of a reply: battles never change, so the id says it all."""

    battle_id: str


def keep_battle(reply: BattleReply) -> BattleKept:
    """Return what is remembered of the reply."""
    return BattleKept(battle_id=reply.battle.id)


async def recall_battle(kept: BattleKept, read: Reader) -> BattleReply:
    """Return the reply again."""
    battle = await read.battle(kept.battle_id)
    if battle is None:
        raise InvariantViolation(f"battle {kept.battle_id} was answered and is gone")
    return BattleReply(battle=battle)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBattle(Command[BattleReply]):
    """Fight a battle with a broker in a mode, named by its key or by arena and league."""

    broker_id: str
    arena: str = DEFAULT_ARENA
    league: str = DEFAULT_LEAGUE
    mode_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """What a battle loads.

    `guild` and `rivals` are there only for a mode that needs them; `used` is what the day has
    emitted, for each capped currency.
    """

    broker: Broker | None
    mode: GameMode | None
    guild: Guild | None
    rivals: tuple[GuildStrength, ...]
    balances: Mapping[Currency, int]
    used: Mapping[Currency, EmissionUse]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A battle that may be fought: the rested broker, the mode, and the guilds if any."""

    broker: Broker
    mode: GameMode
    energy_cost: int
    guild: Guild | None
    match: GuildMatch | None


async def load_arena(command: RunBattle, context: Context, read: Reader) -> Arena:
    """Load the broker, the mode, the guilds where the mode needs them, and the money."""
    mode = await _find_mode(command, read)
    guild: Guild | None = None
    rivals: tuple[GuildStrength, ...] = ()
    if mode is not None and mode.needs_guild:
        guild = await read.guild_of(context.principal.id)
        rivals = tuple(await read.rivals_of(guild)) if guild else ()
    return Arena(
        broker=await read.broker(command.broker_id),
        mode=mode,
        guild=guild,
        rivals=rivals,
        balances=await read.balances(player_account(context.principal.id)),
        used=await read.emitted(day_key(context.now)),
    )


async def _find_mode(command: RunBattle, read: Reader) -> GameMode | None:
    """Find the mode by key, or the first enabled one of the arena and league in key order.

    One that was deleted is not enabled, and isn't found by its key.
    """
    if command.mode_key is not None:
        named = await read.mode(command.mode_key)
        return named if named is not None and named.deleted_at is None else None
    if command.league == DEFAULT_LEAGUE:
        usual = await read.mode(command.arena)
        if (
            usual
            and usual.enabled
            and (usual.arena, usual.league) == (command.arena, command.league)
        ):
            return usual
    wanted = (command.arena, command.league)
    for mode in await read.modes():
        if mode.enabled and (mode.arena, mode.league) == wanted:
            return mode
    return None


def decide_battle(
    state: Arena, command: RunBattle, context: Context
) -> Accepted[BattleReply] | Refused:
    """Decide a battle once, with all of its effects.

    Everything that can refuse it is checked before anything is taken, so no fee is ever kept for a
    battle that doesn't happen. Closed emission gives a reward of 0, not a refusal.
    """
    ready = _prepare(state, command, context)
    if isinstance(ready, Refused):
        return ready
    seed = context.seed
    if seed is None:
        msg = "a battle is decided under an open seed epoch"
        raise InvariantViolation(msg)
    inputs = _inputs(ready, context, seed.epoch)
    outcome = resolve(inputs, seed.secret)
    return _Settlement(ready, inputs, outcome, state, context).accepted()


def _prepare(state: Arena, command: RunBattle, context: Context) -> _Ready | Refused:
    """Check everything that can refuse the battle, in the order the wire documents."""
    mode = _playable(state.mode, command)
    if isinstance(mode, Refused):
        return mode
    if mode.needs_guild and state.guild is None:
        return Refused(code="guild required")
    broker = usable(state.broker, context)
    if isinstance(broker, Refused):
        return broker
    broker = broker.rested(context.policy, context.now)
    energy_cost = min(mode.energy_cost, context.policy.battle_max_energy)
    refusal = _unfit(broker, mode, energy_cost, context.now) or _cannot_enter(mode, state)
    if refusal:
        return refusal
    return _Ready(
        broker=broker,
        mode=mode,
        energy_cost=energy_cost,
        guild=state.guild,
        match=_match(state),
    )


def _playable(mode: GameMode | None, command: RunBattle) -> GameMode | Refused:
    """Return the mode if it is there and open."""
    if mode is None:
        wanted = f"no enabled mode for {command.arena}/{command.league}"
        reason = f"modeKey not found: {command.mode_key}" if command.mode_key else wanted
        return Refused(code="invalid_mode", details={"detail": reason})
    if not mode.enabled:
        return Refused(code="mode_disabled", details={"modeKey": mode.key})
    return mode


def _unfit(broker: Broker, mode: GameMode, energy_cost: int, now: int) -> Refused | None:
    """Return why the broker can't enter the mode now: its level, energy or cooldown."""
    if broker.level < mode.minimum_level:
        details = {"needLevel": mode.minimum_level, "haveLevel": broker.level}
        return Refused(code="league_locked", details=details)
    if broker.energy < energy_cost:
        return Refused(code="no energy", details={"need": energy_cost, "have": broker.energy})
    wait = cooldown_left_ms(broker.cooldowns, mode.key, mode.cooldown_seconds, now)
    if wait > 0:
        return Refused(code="cooldown", details={"retryAfterMs": wait})
    return None


def _cannot_enter(mode: GameMode, state: Arena) -> Refused | None:
    """Return which entry fee the player can't pay, NEUR first."""
    for price in _entry_prices(mode):
        if refusal := unaffordable(price, state.balances):
            return refusal
    return None


def _entry_prices(mode: GameMode) -> list[Price]:
    """Return the mode's entry fees, NEUR first."""
    fees = ((Currency.NEUR, mode.entry_neur), (Currency.AIBA, mode.entry_aiba))
    return [
        Price(
            currency=currency,
            amount=fee,
            reason="entry",
            arena=mode.arena,
            league=mode.league,
            source_type="battle",
        )
        for currency, fee in fees
        if fee
    ]


def _match(state: Arena) -> GuildMatch | None:
    """Return the guilds that meet, chosen by the stable rule and kept in the receipt."""
    mine = state.guild
    if mine is None:
        return None
    rival = choose_opponent(GuildStrength(guild_id=mine.id, pooled=mine.pooled), state.rivals)
    if rival is None:
        return GuildMatch(my_id=mine.id, my_count=mine.pooled)
    return GuildMatch(
        my_id=mine.id,
        my_count=mine.pooled,
        their_id=rival.guild_id,
        their_count=rival.pooled,
    )


def _inputs(ready: _Ready, context: Context, epoch: SeedEpoch) -> BattleInputs:
    """Gather every input of the outcome, as the receipt keeps them."""
    player, policy = context.acting_player(), context.policy
    premium = player.premium_until is not None and player.premium_until > context.now
    return BattleInputs(
        battle_id=battle_id(player.id, context.key, context.now),
        player_id=player.id,
        broker_id=ready.broker.id,
        request_id=context.key,
        at=context.now,
        epoch=epoch.number,
        commitment=epoch.commitment,
        fighter=ready.broker.fighter(),
        mode=ready.mode.terms(),
        guild=ready.match,
        policy_version=policy.version,
        rates=policy.rewards,
        bonuses=Bonuses(
            login_streak_days=player.login_streak_days,
            win_streak=player.win_streak,
            premium=premium,
        ),
        anomaly_limit=policy.battle_anomaly_score_max,
    )


class _Settlement:
    """The effects of a decided battle: fees, rewards, streaks, energy, cooldown, flags, record."""

    def __init__(
        self,
        ready: _Ready,
        inputs: BattleInputs,
        outcome: BattleOutcome,
        state: Arena,
        context: Context,
    ) -> None:
        self._ready = ready
        self._inputs = inputs
        self._outcome = outcome
        self._state = state
        self._context = context
        self._day = day_key(context.now)
        self._player = context.acting_player()
        self._broker = ready.broker
        self._postings: list[Posting] = []
        self._events: list[Event] = []
        self._flags: list[Flag] = []

    def accepted(self) -> Accepted[BattleReply]:
        """Apply every effect in turn and return the decision."""
        self._take_fees()
        grant = self._pay_rewards()
        stars, diamonds = self._pay_win()
        self._tire_broker()
        if self._outcome.is_anomaly:
            self._raise_flags()
        battle = Battle(
            id=self._inputs.battle_id,
            player_id=self._inputs.player_id,
            broker_id=self._inputs.broker_id,
            created_at=self._context.now,
            receipt=Receipt(inputs=self._inputs, outcome=self._outcome, grant=grant),
            stars=stars,
            diamonds=diamonds,
        )
        mode = self._ready.mode
        fought = BattleFought(
            battle_id=battle.id,
            player_id=battle.player_id,
            arena=mode.arena,
            league=mode.league,
            mode_key=mode.key,
            anomaly=self._outcome.is_anomaly,
        )
        changed: tuple[Record, ...] = (self._player, self._broker, battle, *self._flags)
        return Accepted(
            reply=BattleReply(battle=battle),
            postings=tuple(self._postings),
            changed=changed,
            events=(fought, *self._events),
        )

    def _take_fees(self) -> None:
        for price in _entry_prices(self._ready.mode):
            payment = pay(self._player, price, self._context)
            self._player = payment.player
            self._postings += payment.postings
            self._events += payment.events

    def _pay_rewards(self) -> Grant:
        """Pay what emission grants of each reward; an anomalous battle is recorded but not paid."""
        outcome = self._outcome
        if outcome.is_anomaly:
            outcome = replace(outcome, proposed_aiba=0, proposed_neur=0)
        neur = self._judge(Currency.NEUR, outcome.proposed_neur)
        aiba = self._judge(Currency.AIBA, outcome.proposed_aiba)
        grant = settle(self._inputs, outcome, aiba=aiba, neur=neur)
        player = player_account(self._player.id)
        self._emit(Currency.NEUR, grant.player_neur, player, "battle_reward")
        self._emit(Currency.AIBA, grant.aiba, player, "battle_reward")
        guild = self._ready.guild
        if guild is not None:
            leader = player_account(guild.owner_id)
            self._emit(Currency.NEUR, grant.leader_neur, leader, "guild_creator_earnings")
            self._emit(Currency.NEUR, grant.vault_neur, guild_account(guild.id), "guild_share")
        return grant

    def _judge(self, currency: Currency, proposed: int) -> Emission:
        """Let emission judge a proposed reward."""
        if proposed == 0:
            return Emission.NOTHING
        mode = self._ready.mode
        result = judge(
            self._context.policy,
            currency,
            proposed,
            arena=mode.arena,
            league=mode.league,
            now=self._context.now,
            used=self._state.used.get(currency, NOTHING_EMITTED),
        )
        self._events.append(
            EmissionJudged(
                currency=currency,
                amount=proposed,
                arena=mode.arena,
                league=mode.league,
                result=result,
            )
        )
        return Emission.GRANTED if result is EmissionResult.OK else Emission(result.value)

    def _emit(self, currency: Currency, amount: int, credit: str, reason: str) -> None:
        """Post new money to an account; an amount of 0 posts nothing."""
        if amount == 0:
            return
        mode = self._ready.mode
        self._postings.append(
            Posting(
                currency=currency,
                amount=amount,
                debit=emission_account(self._day, mode.arena),
                credit=credit,
                reason=reason,
                arena=mode.arena,
                league=mode.league,
                source_type="battle",
                source_id=self._inputs.request_id,
            )
        )

    def _pay_win(self) -> tuple[int, int]:
        """Count the win or loss; pay Stars for a win and Diamonds for the first one ever.

        An anomalous battle is neither: it ends no streak, and the first win is still to come.
        """
        player, now = self._player, self._context.now
        outcome, rates = self._outcome, self._inputs.rates
        if outcome.is_anomaly:
            self._player = player.seen(None, now)
            return 0, 0
        streak = next_win_streak(player.win_streak, player.last_win_at, now, won=outcome.is_win)
        has_won = player.first_win_at is not None
        self._player = replace(
            player,
            win_streak=streak,
            last_win_at=now if outcome.is_win else player.last_win_at,
            first_win_at=now if outcome.is_win and not has_won else player.first_win_at,
            last_seen_at=now,
            updated_at=now,
        )
        if not outcome.is_win:
            return 0, 0
        stars = win_stars(outcome.score, rates)
        diamonds = first_win_diamonds(outcome.score, rates, has_won_before=has_won)
        account = player_account(player.id)
        self._emit(Currency.STARS, stars, account, "battle_reward")
        self._emit(Currency.DIAMONDS, diamonds, account, "first_win")
        return stars, diamonds

    def _tire_broker(self) -> None:
        """Take the energy and start the mode's own cooldown."""
        now, broker = self._context.now, self._broker
        self._broker = replace(
            broker,
            energy=broker.energy - self._ready.energy_cost,
            last_battle_at=now,
            last_request_id=self._inputs.request_id,
            cooldowns={**broker.cooldowns, self._ready.mode.key: now},
            updated_at=now,
        )

    def _raise_flags(self) -> None:
        """Flag broker and player with the evidence; ban whoever reached the policy's count."""
        policy, now = self._context.policy, self._context.now
        broker = replace(self._broker, anomaly_flags=self._broker.anomaly_flags + 1)
        player = replace(self._player, anomaly_flags=self._player.anomaly_flags + 1)
        if broker.anomaly_flags >= policy.battle_auto_ban_broker_anomaly_flags:
            ban = Ban(reason=AUTO_BAN_REASON, by=_SYSTEM, since=now)
            broker = replace(broker, ban=ban)
            self._events.append(AutoBanned(subject=Subject.BROKER, subject_id=broker.id))
        if player.anomaly_flags >= policy.battle_auto_ban_user_anomaly_flags:
            until = now + policy.battle_auto_ban_user_minutes * MINUTE
            ban = Ban(reason=AUTO_BAN_REASON, by=_SYSTEM, since=now, until=until)
            player = replace(player, ban=ban)
            self._events.append(AutoBanned(subject=Subject.PLAYER, subject_id=player.id))
        self._broker, self._player = broker, player
        self._flags = [
            self._flag(Subject.BROKER, broker.id),
            self._flag(Subject.PLAYER, player.id),
        ]

    def _flag(self, subject: Subject, subject_id: str) -> Flag:
        return Flag(
            id=derive_id("flag", subject, self._inputs.battle_id),
            subject=subject,
            subject_id=subject_id,
            rule=ANOMALY_RULE,
            at=self._context.now,
            evidence={
                "battleId": self._inputs.battle_id,
                "score": self._outcome.score,
                "limit": self._outcome.score_limit,
            },
        )


HANDLERS = (
    Handler(
        name="battle.run",
        command=RunBattle,
        reply=BattleReply,
        load=load_arena,
        decide=decide_battle,
        draws=True,
        kept=BattleKept,
        keep=keep_battle,
        recall=recall_battle,
    ),
)
"""The handlers of this area's commands."""
