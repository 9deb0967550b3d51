"""Strategies for admins: accounts and sessions, the audit trail, and what may be asked for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from aiba_domain.administration.account_commands import (
    AddAdmin,
    AllowAddress,
    ChangeAdmin,
    ResetPassword,
    RevokeTokens,
)
from aiba_domain.administration.commands import Deny, LogIn, LogOut
from aiba_domain.administration.model import (
    Act,
    AdminAccount,
    AdminRole,
    AdminSession,
    AuditChange,
    AuditRow,
    Origin,
    Request,
    row_of,
)
from aiba_domain.decision import Command
from aiba_domain.testing.strategies.basics import SMALL, ids, instants, maybe, texts

_EMAILS: Final = ("root@game.example", "viewer@game.example", "nobody@game.example")
_NUMBERS: Final = st.sampled_from((0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)))


def emails() -> st.SearchStrategy[str]:
    """Emails of a few admins, some of whom there aren't."""
    return st.sampled_from(_EMAILS)


def plain_fields() -> st.SearchStrategy[dict[str, Any]]:
    """What an act is told with: JSON, nested, with odd names."""
    leaves = texts() | _NUMBERS | st.booleans() | st.none()
    nested = st.recursive(
        leaves, lambda part: st.lists(part, max_size=2) | _fields(part), max_leaves=4
    )
    return _fields(nested)


def admin_accounts() -> st.SearchStrategy[AdminAccount]:
    """Accounts of either origin, enabled or not."""
    return st.builds(
        AdminAccount,
        email=ids().map(lambda name: f"{name}@game.example"),
        role=st.sampled_from(AdminRole),
        origin=st.sampled_from(Origin),
        password_hash=texts(),
        credential=texts(),
        generation=st.integers(1, SMALL),
        disabled_at=maybe(instants()),
        addresses=st.lists(texts(), max_size=3).map(tuple),
        created_at=instants(),
        created_by=texts(),
        updated_at=instants(),
    )


def admin_sessions() -> st.SearchStrategy[AdminSession]:
    """Sessions of tokens, revoked or not."""
    return st.builds(
        AdminSession,
        id=ids(),
        email=emails(),
        generation=st.integers(1, SMALL),
        issued_at=instants(),
        expires_at=instants(),
        revoked_at=maybe(instants()),
    )


def admin_requests() -> st.SearchStrategy[Request]:
    """What admins' acts come in over."""
    return st.builds(
        Request,
        id=texts(),
        method=st.sampled_from(("GET", "POST")),
        path=texts(),
        address=texts(),
        role=maybe(st.sampled_from(AdminRole)),
        token_id=ids(),
        input=plain_fields(),
    )


def acts() -> st.SearchStrategy[Act]:
    """What there may be to tell of."""
    changes = st.builds(
        AuditChange, subject=texts(), before=maybe(plain_fields()), after=maybe(plain_fields())
    )
    return st.builds(
        Act,
        at=instants(),
        email=texts() | emails(),
        action=texts(),
        outcome=texts(),
        changes=st.lists(changes, max_size=2).map(tuple),
        request=maybe(admin_requests()),
    )


def audit_rows() -> st.SearchStrategy[AuditRow]:
    """Rows of a trail, each the first of one, under any number."""
    numbers = st.integers(1, 2**62)
    return st.builds(lambda act, number: replace(row_of(act, None), number=number), acts(), numbers)


def admin_commands() -> Mapping[type[Command[Any]], st.SearchStrategy[Any]]:
    """Return a strategy for each command on admins."""
    hashes = st.sampled_from(("hash", "another hash"))
    roles = st.sampled_from(AdminRole)
    return {
        LogIn: st.builds(
            LogIn,
            session_id=ids(),
            lifetime_ms=st.just(3_600_000),
            origin=st.sampled_from(Origin),
            credential=maybe(hashes),
            too_often=st.booleans(),
        ),
        LogOut: st.builds(LogOut, session_id=ids()),
        Deny: st.builds(Deny, needed=roles),
        AddAdmin: st.builds(AddAdmin, email=emails(), role=roles, password_hash=hashes),
        ChangeAdmin: st.builds(
            ChangeAdmin, email=emails(), role=maybe(roles), disabled=maybe(st.booleans())
        ),
        ResetPassword: st.builds(ResetPassword, email=emails(), password_hash=hashes),
        RevokeTokens: st.builds(RevokeTokens, email=emails()),
        AllowAddress: st.builds(
            AllowAddress, email=emails(), address=texts(8), credential=maybe(hashes)
        ),
    }


def _fields(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(texts(8), values, max_size=3)
