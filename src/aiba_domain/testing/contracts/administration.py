"""What a store owes of admins: accounts, sessions, and an audit trail that only grows."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.administration.model import (
    DONE,
    LOG_IN,
    TOO_OFTEN,
    Act,
    AdminAccount,
    AdminSession,
    AuditFilter,
    AuditRow,
    Request,
    broken_seal,
    row_of,
)
from aiba_domain.errors import InvariantViolation
from aiba_domain.ports import Reader
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import contains, same
from aiba_domain.testing.contracts.samples import AT, refusal
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad

_ODD = ("Admin@game.example", "a.*", "(a+)+$", "$email", "%_", "ÄÖ", "straße", "\\", "'", "")
"""Texts that something other than a plain search would take for a pattern, or fold otherwise."""
_LONG_AFTER = 10**15


class AdministrationContract(StoreSuite):
    """The meaning of accounts, sessions and the audit trail."""

    @broad()
    @given(record=strategies.admin_accounts())
    def test_accounts_come_back_equal(self, desk: Desk, record: AdminAccount) -> None:
        """Every field of an account survives, and the next one takes its place."""
        for kept in (record, replace(record, generation=record.generation + 1)):
            desk.write(changed=(kept,))
            same(desk.read(lambda read: read.admin_account(record.email)), kept)
        everybody = desk.read(lambda read: read.admin_accounts())
        contains(everybody, kept, "all accounts")
        emails = [each.email for each in everybody]
        same(emails, sorted(set(emails)))

    @broad()
    @given(record=strategies.admin_sessions())
    def test_sessions_of_admins_come_back_equal(self, desk: Desk, record: AdminSession) -> None:
        """Every field of a session survives, and its revocation takes its place."""
        for kept in (record, replace(record, revoked_at=AT)):
            desk.write(changed=(kept,))
            same(desk.read(lambda read: read.admin_session(record.id)), kept)

    @broad()
    @given(acts=st.lists(strategies.acts(), min_size=1, max_size=3))
    def test_the_trail_is_kept_as_it_was_written(self, desk: Desk, acts: list[Act]) -> None:
        """Rows come back equal and in order, so that their seals hold."""
        last = desk.read(lambda read: read.last_audit_row())
        written: list[AuditRow] = []
        for act in acts:
            written.append(row_of(act, written[-1] if written else last))
            desk.write(changed=(written[-1],))
        same(desk.read(lambda read: read.last_audit_row()), written[-1])
        after = last.number if last else 0
        found = desk.read(lambda read: read.audit_trail(after=after, limit=9))
        same(list(found), written)
        same(broken_seal(found, last), None)
        same(list(desk.read(lambda read: read.audit_trail(after=after, limit=1))), written[:1])

    def test_a_row_is_written_once(self, desk: Desk) -> None:
        """A second row under a number is a broken invariant, also an equal one."""
        row = _row(desk, "somebody", "/path", AT)
        desk.write(changed=(row,))
        for other in (row, replace(row, email="somebody else")):
            with pytest.raises(InvariantViolation):
                desk.write(changed=(other,), remember=refusal("k"))
        same(desk.answer("k"), None)
        same(desk.read(lambda read: read.last_audit_row()), row)

    @broad()
    @given(
        emails=st.lists(st.sampled_from(_ODD), min_size=1, max_size=4),
        parts=st.tuples(st.sampled_from(_ODD), st.sampled_from(("", "/API", "/b", "$path"))),
        bounds=st.tuples(*[strategies.maybe(st.integers(0, 3))] * 2),
        place=st.tuples(st.integers(0, 2), st.integers(1, 3)),
    )
    def test_the_trail_is_searched_by_plain_texts(
        self,
        desk: Desk,
        emails: list[str],
        parts: tuple[str, str],
        bounds: tuple[int | None, int | None],
        place: tuple[int, int],
    ) -> None:
        """Parts in any case, instants inclusive, newest first, and the count of all."""
        for number, email in enumerate(emails):
            path = ("/api/a", "/api/b", "/$path")[number % 3]
            desk.write(changed=(_row(desk, email, path, _LONG_AFTER + number % 3),))
        since, until = (None if each is None else _LONG_AFTER + each for each in bounds)
        wanted = AuditFilter(email=parts[0], path=parts[1], since=since, until=until)
        offset, limit = place

        async def look(read: Reader) -> tuple[Sequence[AuditRow], int]:
            return await read.audit_rows(wanted, offset=offset, limit=limit)

        rows, total = desk.read(look)
        owed = [
            row
            for row in desk.read(lambda read: read.audit_trail(after=0, limit=10**6))
            if parts[0].casefold() in row.email.casefold()
            and parts[1].casefold() in row.path.casefold()
            and (since is None or since <= row.at)
            and (until is None or row.at <= until)
        ]
        owed.sort(key=lambda row: (row.at, row.number), reverse=True)
        same(total, len(owed))
        same(list(rows), owed[offset : offset + limit])

    @broad()
    @given(
        acts=st.lists(
            st.tuples(
                st.sampled_from(_ODD),
                st.integers(0, 3),
                st.sampled_from((LOG_IN, LOG_IN, "admin.log_out")),
                st.sampled_from((DONE, "invalid credentials", TOO_OFTEN)),
            ),
            min_size=1,
            max_size=6,
        ),
        since=st.integers(0, 4),
    )
    def test_attempts_are_those_that_a_password_was_tried_with(
        self, desk: Desk, acts: list[tuple[str, int, str, str]], since: int
    ) -> None:
        """Of exactly this email, not before an instant, the newest first, whatever came of them."""
        for email, at, action, outcome in acts:
            desk.write(changed=(_row(desk, email, "/p", _LONG_AFTER + at, action, outcome),))
        email, start = acts[0][0], _LONG_AFTER + since
        trail = desk.read(lambda read: read.audit_trail(after=0, limit=10**6))
        owed = [
            row
            for row in reversed(trail)
            if (row.email, row.action) == (email, LOG_IN)
            and row.outcome != TOO_OFTEN
            and row.at >= start
        ]
        same(list(desk.read(lambda read: read.attempts(email, since=start))), owed)


def _row(
    desk: Desk, email: str, path: str, at: int, action: str = "action", outcome: str = DONE
) -> AuditRow:
    """Return the row that comes next."""
    request = Request(id="r", method="POST", path=path, address="192.0.2.1")
    act = Act(at=at, email=email, action=action, outcome=outcome, request=request)
    return row_of(act, desk.read(lambda read: read.last_audit_row()))
