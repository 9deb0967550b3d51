"""What admins send, and what they are shown, on the wire."""

from typing import Annotated, Any, Final, Literal

import msgspec

from aiba_domain.administration.model import DONE, AdminAccount, AuditRow
from aiba_domain.instants import iso
from aiba_entry.http.errors import STATUS_OF_CODE
from aiba_entry.http.validation import Body, text

RoleName = Literal["viewer", "operator", "superadmin"]
NewPassword = Annotated[str, text(72, 12)]
_OK: Final = 200
_REFUSED: Final = 400


class LoginBody(Body):
    """An email and its password."""

    email: Annotated[str, text(200, 3)]
    password: Annotated[str, text(200)]


class AccountBody(Body):
    """A new account."""

    email: Annotated[str, text(200, 3)]
    role: RoleName
    password: NewPassword


class ChangeBody(Body):
    """What of an account changes; what is left out stays."""

    role: RoleName | None = None
    disabled: bool | None = None


class PasswordBody(Body):
    """A new password."""

    password: NewPassword


class TokenOut(msgspec.Struct):
    """A token, for `Authorization: Bearer` or `x-admin-token`."""

    token: str


class MeOut(msgspec.Struct):
    """Who is calling."""

    email: str
    role: RoleName


class RevokedOut(msgspec.Struct):
    """What became of a token."""

    revoked: bool


class AccountOut(msgspec.Struct, rename="camel"):
    """An admin's account; instants are ISO-8601."""

    email: str
    role: RoleName
    origin: Literal["environment", "store"]
    disabled_at: str | None
    addresses: list[str]
    created_at: str
    created_by: str
    updated_at: str


class ChangeOut(msgspec.Struct):
    """One thing that an act changed; null stands for what wasn't there."""

    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditOut(msgspec.Struct, rename="camel"):
    """A row of the audit trail.

    `action` is the command, `outcome` is `done` or the code of the refusal, `status` the HTTP
    status that either is answered with. `seal` covers the row and all before it.
    """

    id: str = msgspec.field(name="_id")
    admin_email: str
    admin_role: str
    action: str
    outcome: str
    status: int
    method: str
    path: str
    ip: str
    request_id: str
    query: dict[str, Any]
    params: dict[str, Any]
    body: Any
    changes: list[ChangeOut]
    created_at: str
    seal: str


class AuditPageOut(msgspec.Struct):
    """Rows, newest first, and how many there are in all."""

    items: list[AuditOut]
    total: int
    limit: int
    offset: int


def account_json(account: AdminAccount) -> AccountOut:
    """Show an account."""
    return AccountOut(
        email=account.email,
        role=account.role.value,
        origin=account.origin.value,
        disabled_at=None if account.disabled_at is None else iso(account.disabled_at),
        addresses=list(account.addresses),
        created_at=iso(account.created_at),
        created_by=account.created_by,
        updated_at=iso(account.updated_at),
    )


def audit_json(row: AuditRow) -> AuditOut:
    """Show a row of the audit trail."""
    status = _OK if row.outcome == DONE else STATUS_OF_CODE.get(row.outcome, _REFUSED)
    return AuditOut(
        id=str(row.number),
        admin_email=row.email,
        admin_role=row.role,
        action=row.action,
        outcome=row.outcome,
        status=status,
        method=row.method,
        path=row.path,
        ip=row.address,
        request_id=row.request_id,
        query=row.input.get("query", {}),
        params=row.input.get("params", {}),
        body=row.input.get("body", {}),
        changes=[
            ChangeOut(
                subject=change.subject,
                before=None if change.before is None else dict(change.before),
                after=None if change.after is None else dict(change.after),
            )
            for change in row.changes
        ],
        created_at=iso(row.at),
        seal=row.seal,
    )
