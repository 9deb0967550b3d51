"""The admins of the stage: who they are, what each of their commands does there, and the trail."""

from typing import Any, Final

from aiba_domain.administration.account_commands import (
    AddAdmin,
    AllowAddress,
    ChangeAdmin,
    ResetPassword,
    RevokeTokens,
)
from aiba_domain.administration.commands import Deny, LogIn, LogOut
from aiba_domain.administration.model import (
    AdminAccount,
    AdminRole,
    AdminSession,
    AuditFilter,
    Origin,
    Request,
)
from aiba_domain.application.admin_records import AdminRecords
from aiba_domain.decision import Command, Principal, Record, Role
from aiba_domain.instants import HOUR
from aiba_domain.ports import Reader
from aiba_domain.testing.crash_matrix.bench import Bench, Process
from aiba_domain.testing.doubles import NOON

ROOT_EMAIL: Final = "root@game.example"
VIEWER_EMAIL: Final = "viewer@game.example"
NEW_EMAIL: Final = "new@game.example"
_SESSION: Final = "session"
_HASH: Final = "hash"

ROOT: Final = Principal(
    id=ROOT_EMAIL,
    role=Role.OPERATOR,
    request=Request(
        id="request",
        method="POST",
        path="/api/admin",
        address="192.0.2.1",
        role=AdminRole.SUPERADMIN,
        token_id=_SESSION,
    ),
)
"""A superadmin who is logged in."""

ADMIN_RECORDS: Final[tuple[Record, ...]] = (
    *(
        AdminAccount(
            email=email,
            role=role,
            origin=Origin.STORE,
            password_hash=_HASH,
            created_at=NOON,
            created_by="cli",
            updated_at=NOON,
        )
        for email, role in ((ROOT_EMAIL, AdminRole.SUPERADMIN), (VIEWER_EMAIL, AdminRole.VIEWER))
    ),
    AdminSession(
        id=_SESSION, email=ROOT_EMAIL, generation=1, issued_at=NOON, expires_at=NOON + HOUR
    ),
)
"""What the store holds of them at first."""

ADMIN_COMMANDS: Final[tuple[tuple[Principal, Command[Any]], ...]] = (
    (
        ROOT,
        LogIn(
            session_id="another session",
            lifetime_ms=HOUR,
            origin=Origin.STORE,
            credential=_HASH,
        ),
    ),
    (ROOT, LogOut(session_id=_SESSION)),
    (ROOT, Deny(needed=AdminRole.SUPERADMIN)),
    (ROOT, AddAdmin(email=NEW_EMAIL, role=AdminRole.VIEWER, password_hash=_HASH)),
    (ROOT, ChangeAdmin(email=VIEWER_EMAIL, disabled=True)),
    (ROOT, ResetPassword(email=VIEWER_EMAIL, password_hash=f"another {_HASH}")),
    (ROOT, RevokeTokens(email=VIEWER_EMAIL)),
    (ROOT, AllowAddress(email=VIEWER_EMAIL, address="192.0.2.9")),
)
"""A call of each of their commands, and who issues it."""


async def look_at_admins(bench: Bench) -> None:
    """Let two admins' acts happen, then read accounts and trail, and walk along it."""
    for number, (principal, command) in enumerate(ADMIN_COMMANDS[2:4]):
        await bench.request(principal, command, f"act-{number}")

    async def look(process: Process) -> list[object]:
        records = AdminRecords(store=process.store)
        page = await records.audit(AuditFilter(path="ADMIN"), offset=0, limit=9)
        attempts = await process.store.read(lambda read: read.attempts(ROOT_EMAIL, since=0))
        return [list(await records.accounts()), page, await records.verify_trail(), list(attempts)]

    bench.answers.append(await bench.ask(look))


async def admins_of(read: Reader) -> list[object]:
    """Return what of admins a run can have changed; their tokens are in it."""
    sessions = [await read.admin_session(each) for each in (_SESSION, "another session")]
    return [list(await read.admin_accounts()), sessions]
