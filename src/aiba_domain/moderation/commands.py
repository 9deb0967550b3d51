"""The commands of moderation: ban and unban players and brokers, and give badges."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from aiba_domain.administration.model import AuditChange, plain
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.instants import MINUTE
from aiba_domain.moderation.model import Ban, Flag, Subject
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Reader

MAX_BAN_MINUTES: Final = 100 * 525_600
"""The longest ban of a player: a hundred years, whose end is still a date."""
MAX_BADGES: Final = 50
MAX_BADGE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingReply:
    """The standing of a player or a broker: its ban, if any, and the flags that explain it."""

    subject: Subject
    subject_id: str
    ban: Ban | None
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BanPlayer(Command[StandingReply]):
    """Ban a player for some minutes, known to the service or not; parts of a ms are left out."""

    player_id: str
    minutes: int | Fraction
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnbanPlayer(Command[StandingReply]):
    """Lift a player's ban; the flags counted so far no longer count towards the next one."""

    player_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BanBroker(Command[StandingReply]):
    """Ban a broker until the ban is lifted."""

    broker_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnbanBroker(Command[StandingReply]):
    """Lift a broker's ban; the flags counted so far no longer count towards the next one."""

    broker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerReply:
    """A player after the command."""

    player: Player


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBadges(Command[PlayerReply]):
    """Give a player, known to the service or not, these badges in place of those there are."""

    player_id: str
    badges: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What moderation loads: the player or the broker, and the flags against it."""

    player: Player | None = None
    broker: Broker | None = None
    flags: Sequence[Flag] = ()


async def load_player(
    command: BanPlayer | UnbanPlayer | SetBadges, _context: Context, read: Reader
) -> Case:
    """Load a player's case."""
    return Case(
        player=await read.player(command.player_id),
        flags=await read.flags_of(Subject.PLAYER, command.player_id),
    )


async def load_broker(command: BanBroker | UnbanBroker, _context: Context, read: Reader) -> Case:
    """Load a broker's case."""
    return Case(
        broker=await read.broker(command.broker_id),
        flags=await read.flags_of(Subject.BROKER, command.broker_id),
    )


def decide_ban_player(
    state: Case, command: BanPlayer, context: Context
) -> Accepted[StandingReply] | Refused:
    """Ban the player from now on."""
    if command.minutes < 1:
        return Refused(code="validation_error", details={"minutes": "min:1"})
    if command.minutes > MAX_BAN_MINUTES:
        return Refused(code="validation_error", details={"minutes": f"max:{MAX_BAN_MINUTES}"})
    until = context.now + int(command.minutes * MINUTE)
    ban = Ban(reason=command.reason, by=context.principal.id, since=context.now, until=until)
    player = state.player or new_player(command.player_id, None, context.now)
    return _player_standing(replace(player, ban=ban, updated_at=context.now), state)


def decide_unban_player(
    state: Case, _command: UnbanPlayer, context: Context
) -> Accepted[StandingReply] | Refused:
    """Lift the ban and start the count of flags anew; the flags themselves stay on record."""
    if state.player is None:
        return Refused(code="user not found")
    player = replace(state.player, ban=None, anomaly_flags=0, updated_at=context.now)
    return _player_standing(player, state)


def decide_ban_broker(
    state: Case, command: BanBroker, context: Context
) -> Accepted[StandingReply] | Refused:
    """Ban the broker from now on."""
    if state.broker is None:
        return Refused(code="broker not found")
    ban = Ban(reason=command.reason, by=context.principal.id, since=context.now)
    return _broker_standing(replace(state.broker, ban=ban, updated_at=context.now), state)


def decide_unban_broker(
    state: Case, _command: UnbanBroker, context: Context
) -> Accepted[StandingReply] | Refused:
    """Lift the ban and start the count of flags anew; the flags themselves stay on record."""
    if state.broker is None:
        return Refused(code="broker not found")
    broker = replace(state.broker, ban=None, anomaly_flags=0, updated_at=context.now)
    return _broker_standing(broker, state)


def decide_badges(
    state: Case, command: SetBadges, context: Context
) -> Accepted[PlayerReply] | Refused:
    """Give the player these badges and no others; blank ones are left out, doubled ones too."""
    badges = tuple(dict.fromkeys(name for badge in command.badges if (name := badge.strip())))
    if len(badges) > MAX_BADGES:
        return Refused(code="validation_error", details={"badges": f"maxLength:{MAX_BADGES}"})
    if any(len(badge) > MAX_BADGE for badge in badges):
        return Refused(code="validation_error", details={"badges": f"maxLength:{MAX_BADGE}"})
    before = state.player or new_player(command.player_id, None, context.now)
    player = replace(before, badges=badges, updated_at=context.now)
    change = AuditChange(
        subject=f"player:{player.id}",
        before={"badges": list(before.badges)},
        after={"badges": list(badges)},
    )
    return Accepted(reply=PlayerReply(player=player), changed=(player,), audit=(change,))


def _standing(before: Player | Broker | None, after: Player | Broker) -> tuple[AuditChange, ...]:
    """Return what the audit trail tells of a ban that was set or lifted."""
    kind = "player" if isinstance(after, Player) else "broker"
    told = [None if one is None else _told(one) for one in (before, after)]
    return (AuditChange(subject=f"{kind}:{after.id}", before=told[0], after=told[1]),)


def _told(one: Player | Broker) -> dict[str, object]:
    return {"ban": plain(one.ban), "anomalyFlags": one.anomaly_flags}


def _player_standing(player: Player, state: Case) -> Accepted[StandingReply]:
    reply = StandingReply(
        subject=Subject.PLAYER, subject_id=player.id, ban=player.ban, flags=tuple(state.flags)
    )
    return Accepted(reply=reply, changed=(player,), audit=_standing(state.player, player))


def _broker_standing(broker: Broker, state: Case) -> Accepted[StandingReply]:
    reply = StandingReply(
        subject=Subject.BROKER, subject_id=broker.id, ban=broker.ban, flags=tuple(state.flags)
    )
    return Accepted(reply=reply, changed=(broker,), audit=_standing(state.broker, broker))


HANDLERS = (
    Handler(
        name="moderation.ban_player",
        command=BanPlayer,
        reply=StandingReply,
        load=load_player,
        decide=decide_ban_player,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="moderation.unban_player",
        command=UnbanPlayer,
        reply=StandingReply,
        load=load_player,
        decide=decide_unban_player,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="moderation.set_badges",
        command=SetBadges,
        reply=PlayerReply,
        load=load_player,
        decide=decide_badges,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="moderation.ban_broker",
        command=BanBroker,
        reply=StandingReply,
        load=load_broker,
        decide=decide_ban_broker,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="moderation.unban_broker",
        command=UnbanBroker,
        reply=StandingReply,
        load=load_broker,
        decide=decide_unban_broker,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
