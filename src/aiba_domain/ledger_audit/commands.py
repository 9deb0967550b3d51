"""What the auditor writes: the checkpoints it has sealed, and where it stands."""

from dataclasses import dataclass

from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint, broken_link
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecorded:
    """The hash of the newest checkpoint."""

    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAudit(Command[AuditRecorded]):
    """Keep checkpoints that follow the newest one, if any, and where the audit stands, if told.

    `audited` and `state` are the audit's own balances that have changed, and how far they have
    come; they are kept with the checkpoints or not at all. Refused with `checkpoint out of order`
    if those don't follow: somebody else was first. Sent again after it took effect it is accepted
    and changes nothing.
    """

    checkpoints: tuple[Checkpoint, ...] = ()
    audited: tuple[Audited, ...] = ()
    state: AuditState | None = None
    standing: LedgerStanding | None = None


OUT_OF_ORDER = "checkpoint out of order"
"""The refusal of checkpoints that don't follow the newest one."""


async def load_last(_command: RecordAudit, _context: Context, reader: Reader) -> Checkpoint | None:
    """Load the newest checkpoint."""
    return await reader.last_checkpoint()


def decide_recording(
    state: Checkpoint | None, command: RecordAudit, _context: Context
) -> Accepted[AuditRecorded] | Refused:
    """Keep what follows."""
    sealed = command.checkpoints
    own = (*command.audited, *((command.state,) if command.state else ()))
    if sealed and sealed[-1] == state:
        sealed, own = (), ()
    wrong = broken_link(sealed, state)
    if wrong is not None:
        return Refused(code=OUT_OF_ORDER, details={"number": wrong})
    last = sealed[-1] if sealed else state
    told = (command.standing,) if command.standing else ()
    reply = AuditRecorded(head=last.hash if last else "")
    return Accepted(reply=reply, changed=(*sealed, *own, *told))


HANDLERS = (
    Handler(
        name="audit.record",
        command=RecordAudit,
        reply=AuditRecorded,
        load=load_last,
        decide=decide_recording,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
