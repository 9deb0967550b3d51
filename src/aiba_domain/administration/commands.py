"""The commands of administration: to log in and out, and to be refused for want of a role."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.administration.lockout import WINDOW_MS, locked_until
from aiba_domain.administration.model import (
    LOG_IN,
    TOO_OFTEN,
    AdminAccount,
    AdminRole,
    AdminSession,
    AuditChange,
    AuditRow,
    Origin,
)
from aiba_domain.application.handler import OPERATORS, Handler, nothing
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.instants import SECOND
from aiba_domain.ports import Reader

MAX_ADDRESSES: Final = 8
"""How many addresses of an account's logins are remembered, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginReply:
    """A login: the session that its token names, and what its holder may do."""

    session: AdminSession
    role: AdminRole


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn(Command[LoginReply]):
    """Log in as the principal, whose password was compared outside the core.

    `credential` is what it was found equal to: the environment's digest, or the account's hash;
    None for a password that was wrong, or wasn't tried. One too many (`lockout`) is refused
    whatever it was; `too_often` says that the address is turned away before the account is seen.
    """

    session_id: str
    lifetime_ms: int
    origin: Origin
    credential: str | None
    too_often: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOut(Command[AdminSession]):
    """Revoke one token of the principal."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny(Command[None]):
    """Refuse the principal for want of a role, on record."""

    needed: AdminRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What a login finds: the account, None for an unknown email, and the attempts at it lately."""

    account: AdminAccount | None
    attempts: Sequence[AuditRow]


async def load_door(command: LogIn, context: Context, read: Reader) -> Door:
    """Load the account that is logged in to, and what was tried at it within the window."""
    email = context.principal.id
    if command.too_often:
        return Door(account=None, attempts=())
    return Door(
        account=await read.admin_account(email),
        attempts=await read.attempts(email, since=context.now - WINDOW_MS),
    )


async def load_session(command: LogOut, _context: Context, read: Reader) -> AdminSession | None:
    """Load the session that is logged out of."""
    return await read.admin_session(command.session_id)


def decide_log_in(state: Door, command: LogIn, context: Context) -> Accepted[LoginReply] | Refused:
    """Open a session, unless it was tried too often.

    The environment's account is made, or made to match, as it is used.
    """
    before = state.account
    if command.too_often:
        return Refused(code=TOO_OFTEN)
    if (until := _locked_until(state, context)) is not None:
        seconds = -(-(until - context.now) // SECOND)
        return Refused(code=TOO_OFTEN, details={"retryAfterSec": seconds})
    if command.credential is None:
        return Refused(code="invalid credentials")
    if command.origin is Origin.ENVIRONMENT:
        email = context.principal.id
        account = environment_account(before, email, command.credential, context.now)
    elif before is None or not is_good(before, command.credential):
        # Disabled, or given another password, since the comparison.
        return Refused(code="invalid credentials")
    else:
        account = before
    request = context.principal.request
    if request is not None:
        account = known_at(account, request.address, context.now)
    session = AdminSession(
        id=command.session_id,
        email=account.email,
        generation=account.generation,
        issued_at=context.now,
        expires_at=context.now + command.lifetime_ms,
    )
    reply = LoginReply(session=session, role=account.role)
    if account == before:
        return Accepted(reply=reply, changed=(session,))
    change = AuditChange(
        subject=f"admin:{account.email}",
        before=before.shown if before else None,
        after=account.shown,
    )
    return Accepted(reply=reply, changed=(account, session), audit=(change,))


def _locked_until(door: Door, context: Context) -> int | None:
    request = context.principal.request
    return locked_until(
        door.attempts,
        address=request.address if request else "",
        known=door.account.addresses if door.account else (),
        now=context.now,
    )


def is_good(account: AdminAccount, password_hash: str) -> bool:
    """Tell whether an account of the store may be used with the password of a hash."""
    return (
        account.origin is Origin.STORE
        and account.disabled_at is None
        and account.password_hash == password_hash
    )


def known_at(account: AdminAccount, address: str, now: int) -> AdminAccount:
    """Return an account that remembers an address as one that it was logged in to from."""
    if address in account.addresses:
        return account
    latest = (*account.addresses, address)[-MAX_ADDRESSES:]
    return replace(account, addresses=latest, updated_at=now)


def environment_account(
    before: AdminAccount | None, email: str, credential: str, now: int
) -> AdminAccount:
    """Return the environment's account; with another password it is of a new generation."""
    if before is None:
        return AdminAccount(
            email=email,
            role=AdminRole.SUPERADMIN,
            origin=Origin.ENVIRONMENT,
            credential=credential,
            created_at=now,
            created_by="environment",
            updated_at=now,
        )
    if before.origin is Origin.ENVIRONMENT and before.credential == credential:
        return before
    return replace(
        before,
        role=AdminRole.SUPERADMIN,
        origin=Origin.ENVIRONMENT,
        password_hash="",
        credential=credential,
        generation=before.generation + 1,
        disabled_at=None,
        updated_at=now,
    )


def decide_log_out(
    state: AdminSession | None, _command: LogOut, context: Context
) -> Accepted[AdminSession] | Refused:
    """Revoke the token; one that is revoked stays as it is."""
    if state is None or state.email != context.principal.id:
        return Refused(code="invalid admin token")
    if state.revoked_at is not None:
        return Accepted(reply=state)
    revoked = replace(state, revoked_at=context.now)
    change = AuditChange(
        subject=f"admin:{revoked.email}",
        before={"revokedAt": None},
        after={"revokedAt": revoked.revoked_at},
    )
    return Accepted(reply=revoked, changed=(revoked,), audit=(change,))


def decide_deny(_state: None, command: Deny, _context: Context) -> Accepted[None] | Refused:
    """Refuse."""
    return Refused(code="insufficient role", details={"needed": command.needed.value})


HANDLERS = (
    Handler(
        name=LOG_IN,
        command=LogIn,
        reply=LoginReply,
        load=load_door,
        decide=decide_log_in,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="admin.log_out",
        command=LogOut,
        reply=AdminSession,
        load=load_session,
        decide=decide_log_out,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="admin.denied",
        command=Deny,
        reply=type(None),
        load=nothing,
        decide=decide_deny,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
