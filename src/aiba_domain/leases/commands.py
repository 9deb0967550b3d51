"""The commands of workers: take a lease, and keep it or let go of it."""

from dataclasses import dataclass, replace

from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.instants import iso
from aiba_domain.leases.model import (
    HELD,
    LOST,
    MAX_TTL_MS,
    Lease,
    is_lease_text,
    is_ttl,
    let_go,
    take,
)
from aiba_domain.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseReply:
    """A lease as it stands."""

    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeLease(Command[LeaseReply]):
    """Hold the lease `name` for `ttl_ms` from now on, if nobody else holds it."""

    name: str
    holder: str
    ttl_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLease(Command[LeaseReply]):
    """Hold a lease for `ttl_ms` from now on, or let go of it with 0.

    `number` is the one that it was taken under. A lease that has ended is kept all the same if
    nobody has taken it since.
    """

    name: str
    holder: str
    number: int
    ttl_ms: int


async def load_lease(
    command: TakeLease | KeepLease, _context: Context, read: Reader
) -> Lease | None:
    """Load the lease."""
    return await read.lease(command.name)


def decide_taking(
    state: Lease | None, command: TakeLease, context: Context
) -> Accepted[LeaseReply] | Refused:
    """Give the lease to whoever asks, unless another one holds it."""
    for name, text in (("name", command.name), ("holder", command.holder)):
        if not is_lease_text(text):
            return Refused(code="validation_error", details={name: "pattern"})
    if not is_ttl(command.ttl_ms):
        return Refused(code="validation_error", details={"ttlMs": f"range:1..{MAX_TTL_MS}"})
    until = context.now + command.ttl_ms
    taken = take(state, name=command.name, holder=command.holder, until=until, now=context.now)
    if taken is None:
        details = {"lease": command.name}
        if state is not None:
            details["until"] = iso(state.expires_at)
        return Refused(code=HELD, details=details)
    return Accepted(reply=LeaseReply(lease=taken), changed=(taken,))


def decide_keeping(
    state: Lease | None, command: KeepLease, context: Context
) -> Accepted[LeaseReply] | Refused:
    """Renew the lease of the one whose it is, or end it; refuse anyone else."""
    if command.ttl_ms != 0 and not is_ttl(command.ttl_ms):
        return Refused(code="validation_error", details={"ttlMs": f"range:0..{MAX_TTL_MS}"})
    if state is None or (state.holder, state.number) != (command.holder, command.number):
        return Refused(code=LOST, details={"lease": command.name})
    if command.ttl_ms == 0:
        kept = let_go(state, context.now)
    else:
        kept = replace(state, expires_at=context.now + command.ttl_ms)
    return Accepted(reply=LeaseReply(lease=kept), changed=(kept,))


HANDLERS = (
    Handler(
        name="lease.take",
        command=TakeLease,
        reply=LeaseReply,
        load=load_lease,
        decide=decide_taking,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="lease.keep",
        command=KeepLease,
        reply=LeaseReply,
        load=load_lease,
        decide=decide_keeping,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
