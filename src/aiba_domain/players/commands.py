"""The commands of players on themselves: open a session, name a school."""

from dataclasses import dataclass, replace

from aiba_domain.application.handler import Handler, nothing
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.ids import derive_id, is_id
from aiba_domain.players.model import Session
from aiba_domain.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReply:
    """An open session."""

    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession(Command[SessionReply]):
    """Open the session of one initData, known by the digest of its text.

    `lifetime_ms` is how long a new session lives.
    """

    init_data_digest: str
    lifetime_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolReply:
    """The school a player belongs to."""

    school_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSchool(Command[SchoolReply]):
    """Say which school the player belongs to."""

    school_id: str


async def load_session(command: OpenSession, context: Context, read: Reader) -> Session | None:
    """Load the session that this initData opened before, if it did."""
    return await read.session(_session_id(command, context))


def decide_session(
    state: Session | None, command: OpenSession, context: Context
) -> Accepted[SessionReply] | Refused:
    """Give the same session while it lives, refuse afterwards: one initData opens one session."""
    if state is not None:
        if state.expires_at <= context.now:
            return Refused(code="telegram auth expired", details={"reason": "session over"})
        return Accepted(reply=SessionReply(session=state))
    session = Session(
        id=_session_id(command, context),
        player_id=context.principal.id,
        opened_at=context.now,
        expires_at=context.now + command.lifetime_ms,
    )
    player = context.acting_player().seen(context.principal.profile, context.now)
    return Accepted(reply=SessionReply(session=session), changed=(player, session))


def decide_school(
    _state: None, command: SetSchool, context: Context
) -> Accepted[SchoolReply] | Refused:
    """Keep the school; a text that is no id is refused and leaves the stored one as it is."""
    if not is_id(command.school_id):
        return Refused(code="validation_error", details={"schoolId": "objectId"})
    player = replace(context.acting_player(), school_id=command.school_id)
    reply = SchoolReply(school_id=command.school_id)
    return Accepted(reply=reply, changed=(player.seen(None, context.now),))


def _session_id(command: OpenSession, context: Context) -> str:
    return derive_id("session", context.principal.id, command.init_data_digest)


HANDLERS = (
    Handler(
        name="session.open",
        command=OpenSession,
        reply=SessionReply,
        load=load_session,
        decide=decide_session,
        keyed=False,
    ),
    Handler(
        name="player.school",
        command=SetSchool,
        reply=SchoolReply,
        load=nothing,
        decide=decide_school,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
