"""The commands on admins' accounts: to make one, change it, give it a password, end its tokens."""

from dataclasses import dataclass, replace

from aiba_domain.administration.commands import environment_account, known_at
from aiba_domain.administration.model import AdminAccount, AdminRole, AuditChange, Origin
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReply:
    """An account as it is after a command."""

    account: AdminAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAdmin(Command[AccountReply]):
    """Make an account; `email` is in lower case, `password_hash` bcrypt's."""

    email: str
    role: AdminRole
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAdmin(Command[AccountReply]):
    """Give an account another role, or disable it or let it in again; None leaves as it is."""

    email: str
    role: AdminRole | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPassword(Command[AccountReply]):
    """Give an account another password, which ends all of its tokens."""

    email: str
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTokens(Command[AccountReply]):
    """End all tokens of an account."""

    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowAddress(Command[AccountReply]):
    """Let an account have attempts of its own from an address, as if it had logged in from there.

    `credential` is the environment's where the account is: then it needn't have logged in yet.
    """

    email: str
    address: str
    credential: str | None = None


_OnAccount = AddAdmin | ChangeAdmin | ResetPassword | RevokeTokens | AllowAddress


async def load_account(command: _OnAccount, _context: Context, read: Reader) -> AdminAccount | None:
    """Load the account that the command is about."""
    return await read.admin_account(command.email)


def decide_add(
    state: AdminAccount | None, command: AddAdmin, context: Context
) -> Accepted[AccountReply] | Refused:
    """Make the account."""
    if state is not None:
        return Refused(code="admin already exists")
    account = AdminAccount(
        email=command.email,
        role=command.role,
        origin=Origin.STORE,
        password_hash=command.password_hash,
        created_at=context.now,
        created_by=context.principal.id,
        updated_at=context.now,
    )
    return _written(None, account)


def decide_change(
    state: AdminAccount | None, command: ChangeAdmin, context: Context
) -> Accepted[AccountReply] | Refused:
    """Change the account; disabling it ends its tokens for good."""
    if command.role is None and command.disabled is None:
        return Refused(code="no valid fields to update")
    if state is None:
        return Refused(code="admin not found")
    if state.origin is Origin.ENVIRONMENT:
        return Refused(code="environment account")
    if command.email == context.principal.id:
        return Refused(code="own account")
    account = replace(state, role=command.role or state.role)
    if command.disabled is True and state.disabled_at is None:
        account = replace(account, disabled_at=context.now, generation=state.generation + 1)
    elif command.disabled is False:
        account = replace(account, disabled_at=None)
    if account == state:
        return Accepted(reply=AccountReply(account=state))
    return _written(state, replace(account, updated_at=context.now))


def decide_reset(
    state: AdminAccount | None, command: ResetPassword, context: Context
) -> Accepted[AccountReply] | Refused:
    """Change the password; who had a token by the old one has none now."""
    if state is None:
        return Refused(code="admin not found")
    if state.origin is Origin.ENVIRONMENT:
        return Refused(code="environment account")
    if state.password_hash == command.password_hash:
        return Accepted(reply=AccountReply(account=state))
    account = replace(
        state,
        password_hash=command.password_hash,
        generation=state.generation + 1,
        updated_at=context.now,
    )
    return _written(state, account)


def decide_revoke(
    state: AdminAccount | None, _command: RevokeTokens, context: Context
) -> Accepted[AccountReply] | Refused:
    """End all tokens, also those of the environment's account."""
    if state is None:
        return Refused(code="admin not found")
    account = replace(state, generation=state.generation + 1, updated_at=context.now)
    return _written(state, account)


def decide_allow(
    state: AdminAccount | None, command: AllowAddress, context: Context
) -> Accepted[AccountReply] | Refused:
    """Remember the address with those that the account was logged in to from."""
    account = state
    if command.credential is not None:
        account = environment_account(state, command.email, command.credential, context.now)
    if account is None:
        return Refused(code="admin not found")
    account = known_at(account, command.address, context.now)
    if account == state:
        return Accepted(reply=AccountReply(account=account))
    return _written(state, account)


def _written(before: AdminAccount | None, after: AdminAccount) -> Accepted[AccountReply]:
    change = AuditChange(
        subject=f"admin:{after.email}",
        before=before.shown if before else None,
        after=after.shown,
    )
    return Accepted(reply=AccountReply(account=after), changed=(after,), audit=(change,))


HANDLERS = (
    Handler(
        name="admin.add",
        command=AddAdmin,
        reply=AccountReply,
        load=load_account,
        decide=decide_add,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="admin.change",
        command=ChangeAdmin,
        reply=AccountReply,
        load=load_account,
        decide=decide_change,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="admin.reset_password",
        command=ResetPassword,
        reply=AccountReply,
        load=load_account,
        decide=decide_reset,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="admin.revoke_tokens",
        command=RevokeTokens,
        reply=AccountReply,
        load=load_account,
        decide=decide_revoke,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="admin.allow_address",
        command=AllowAddress,
        reply=AccountReply,
        load=load_account,
        decide=decide_allow,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
