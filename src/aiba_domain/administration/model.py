"""Who administers the service, and the audit trail: what was done, by whom, before and after.

Audit rows are numbered without gaps, each sealed over the one before it, so that a row changed,
taken out or put in afterwards is found by whoever walks the trail (`broken_seal`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final

from aiba_domain.administration.redaction import redacted

NO_SEAL: Final = "0" * 64
"""What the first row's seal is made over."""

DONE: Final = "done"
"""The outcome of an act that took effect; any other is the code of its refusal."""


LOG_IN: Final = "admin.log_in"
"""The action of a login, whatever came of it."""

TOO_OFTEN: Final = "rate_limited"
"""The outcome of a login that was refused for being one too many, whatever its password."""


class AdminRole(StrEnum):
    """What an admin may do, in rising order; each may do all that the ones below it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    SUPERADMIN = "superadmin"

    def covers(self, needed: "AdminRole") -> bool:
        """Tell whether this role may do what `needed` may."""
        order = tuple(AdminRole)
        return order.index(self) >= order.index(needed)


class Origin(StrEnum):
    """Where an account comes from."""

    ENVIRONMENT = "environment"
    """ADMIN_EMAIL: its password is the environment's, its role the highest."""
    STORE = "store"
    """Made by a superadmin; its password's hash is kept in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAccount:
    """An admin, by the email in lower case.

    `password_hash` is bcrypt's, "" for the environment's account. A token of an older `generation`
    is valid no more. `credential` tells one password of the environment's from the next.
    `addresses` are the latest that it was logged in to from, the newest last.
    """

    email: str
    role: AdminRole
    origin: Origin
    password_hash: str = field(default="", repr=False)
    credential: str = field(default="", repr=False)
    generation: int = 1
    disabled_at: int | None = None
    addresses: tuple[str, ...] = ()
    created_at: int
    created_by: str
    updated_at: int

    @property
    def shown(self) -> Mapping[str, Any]:
        """Return what of the account may be shown and audited."""
        return {
            "email": self.email,
            "role": self.role.value,
            "origin": self.origin.value,
            "generation": self.generation,
            "disabledAt": self.disabled_at,
            "addresses": list(self.addresses),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSession:
    """One token that was issued: its `jti`, whose, and until when it is good."""

    id: str
    email: str
    generation: int
    issued_at: int
    expires_at: int
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChange:
    """One thing that an act changed: plain JSON values of it before and after.

    None stands for what wasn't there before, or isn't there any more. `subject` names the thing as
    `kind:id`. Secrets are taken out when the row is made, by the names of their fields.
    """

    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @classmethod
    def between(cls, subject: str, before: object | None, after: object | None) -> "AuditChange":
        """Return the change between two records: the fields that differ, as plain values.

        A record that is None wasn't there, or isn't any more; then all fields are shown.
        """
        old, new = _plain_record(before), _plain_record(after)
        if old is None or new is None:
            return cls(subject=subject, before=old, after=new)
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return cls(
            subject=subject,
            before={name: old.get(name) for name in names},
            after={name: new.get(name) for name in names},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Over what an admin's act came in: a request of the API, or a command line.

    `address` is the caller's as the trusted proxies tell it; `input` is what was sent (query, path
    parameters, body), from which the row leaves secrets out. `role` is None before a login.
    """

    id: str
    method: str
    path: str
    address: str
    role: AdminRole | None = None
    token_id: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One act, as the trail keeps it for ever.

    `action` is the command's name; `outcome` is `done` or the code of the refusal. `email` is the
    admin's, or what was given for it at a login, or the name of a command line. `seal` covers all
    of the row and the seal of the row before.
    """

    number: int
    at: int
    email: str
    role: str
    action: str
    outcome: str
    method: str
    path: str
    address: str
    request_id: str
    token_id: str
    changes: tuple[AuditChange, ...]
    input: Mapping[str, Any]
    before_seal: str
    seal: str

    @property
    def is_attempt(self) -> bool:
        """Whether it is of a login that was judged by its password."""
        return self.action == LOG_IN and self.outcome != TOO_OFTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a row tells, before it has its place in the trail."""

    at: int
    email: str
    action: str
    outcome: str
    changes: tuple[AuditChange, ...] = ()
    request: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which rows are asked for: parts of a text in any case, and instants, both inclusive."""

    email: str = ""
    path: str = ""
    since: int | None = None
    until: int | None = None

    def takes(self, row: AuditRow) -> bool:
        """Tell whether a row is asked for."""
        return (
            folded(self.email) in folded(row.email)
            and folded(self.path) in folded(row.path)
            and (self.since is None or row.at >= self.since)
            and (self.until is None or row.at <= self.until)
        )


def folded(text: str) -> str:
    """Return a text in the form in which parts of it are looked for whatever the case."""
    return text.casefold()


def row_of(act: Act, last: AuditRow | None) -> AuditRow:
    """Return the row of an act that follows the `last` one of the trail."""
    request = act.request
    row = AuditRow(
        number=last.number + 1 if last else 1,
        at=act.at,
        email=act.email,
        role=request.role.value if request and request.role else "",
        action=act.action,
        outcome=act.outcome,
        method=request.method if request else "",
        path=request.path if request else "",
        address=request.address if request else "",
        request_id=request.id if request else "",
        token_id=request.token_id if request else "",
        changes=tuple(_without_secrets(change) for change in act.changes),
        input=redacted(request.input) if request else {},
        before_seal=last.seal if last else NO_SEAL,
        seal="",
    )
    return replace(row, seal=_seal(row))


def broken_seal(rows: Iterable[AuditRow], last: AuditRow | None = None) -> int | None:
    """Return the number of the first row that doesn't follow, None if all do.

    `rows` come in rising order; `last` is the row before the first of them.
    """
    for row in rows:
        number, seal = (last.number, last.seal) if last else (0, NO_SEAL)
        if (row.number, row.before_seal, row.seal) != (number + 1, seal, _seal(row)):
            return row.number
        last = row
    return None


def _seal(row: AuditRow) -> str:
    told = {name: value for name, value in plain(row).items() if name != "seal"}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _without_secrets(change: AuditChange) -> AuditChange:
    before, after = change.before, change.after
    return AuditChange(
        subject=change.subject,
        before=None if before is None else redacted(before),
        after=None if after is None else redacted(after),
    )


def _plain_record(record: object | None) -> dict[str, Any] | None:
    return None if record is None else plain(record)


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON
    """Return a record, or a part of one, as plain JSON values; a fraction is the text `n/d`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple | list | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(each) for each in items]
    return value
