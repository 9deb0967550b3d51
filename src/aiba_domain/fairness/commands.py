"""Opening, closing and revealing seed epochs."""

from dataclasses import dataclass, field
from typing import Final

from aiba_domain.administration.model import AuditChange
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context, Record, Refused, Role
from aiba_domain.fairness.epochs import SeedEpoch, close_epoch, keeps_promise, reveal_epoch
from aiba_domain.ports import Reader

MOVED_ON: Final = "seed epoch moved on"
"""The refusal of a rotation that another one has overtaken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReply:
    """The epoch now open, and the one that was closed for it."""

    opened: SeedEpoch
    closed: SeedEpoch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSeed(Command[EpochReply]):
    """Close the open epoch `closes` (0 for none yet) and open the next with its commitment.

    `secret` reveals the closed epoch; it may be left out when its root was lost or stolen.
    """

    closes: int
    commitment: str
    secret: str | None = field(default=None, repr=False)


async def load_epoch(_command: RotateSeed, _context: Context, read: Reader) -> SeedEpoch | None:
    """Load the open epoch."""
    return await read.epoch()


def decide_rotation(
    state: SeedEpoch | None, command: RotateSeed, context: Context
) -> Accepted[EpochReply] | Refused:
    """Open the next epoch, unless someone else has done so since the command was made."""
    number = state.number if state else 0
    if number != command.closes:
        return Refused(code=MOVED_ON, details={"open": number})
    now = max(context.now, state.opened_at) if state else context.now
    opened = SeedEpoch(number=number + 1, commitment=command.commitment, opened_at=now)
    if state is None:
        return Accepted(reply=EpochReply(opened=opened), changed=(opened,))
    closed = close_epoch(state, now)
    if command.secret is not None:
        if not keeps_promise(state.number, state.commitment, command.secret):
            return Refused(code="secret is not the committed one", details={"epoch": number})
        closed = reveal_epoch(closed, command.secret)
    changed: tuple[Record, ...] = (closed, opened)
    reply = EpochReply(opened=opened, closed=closed)
    return Accepted(reply=reply, changed=changed, audit=_told(state, opened, context))


def _told(before: SeedEpoch, after: SeedEpoch, context: Context) -> tuple[AuditChange, ...]:
    """Tell of an operator's rotation; the service's own are told by the epochs themselves."""
    if context.principal.role is not Role.OPERATOR:
        return ()
    shown = [{"number": each.number, "commitment": each.commitment} for each in (before, after)]
    return (AuditChange(subject="seed-epoch", before=shown[0], after=shown[1]),)


HANDLERS = (
    Handler(
        name="fairness.rotate",
        command=RotateSeed,
        reply=EpochReply,
        load=load_epoch,
        decide=decide_rotation,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
