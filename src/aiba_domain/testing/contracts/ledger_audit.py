"""What a store owes of audits: the ledger as it is stored, in pages, and a chain that grows."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.errors import InvariantViolation
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Batch, Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ledger_audit.rows import START, LedgerPage, Row, StoredBalances
from aiba_domain.ports import Entry, Reader
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import same
from aiba_domain.testing.contracts.samples import movement, refusal
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad


class LedgerAuditContract(StoreSuite):
    """The meaning of pages of the ledger, checkpoints, and where an audit stands."""

    @broad()
    @given(
        units=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        size=st.integers(1, 4),
        settled=st.booleans(),
    )
    def test_pages_are_the_ledger(
        self, desk: Desk, units: list[int], size: int, *, settled: bool
    ) -> None:
        """Pages of any size follow one another; the settled ones are all, or those that begin it.

        A page may end in the middle of a unit of work.
        """
        for count in units:
            desk.write(*(movement(each + 1) for each in range(count)))
        owed = [_row(entry) for entry in desk.entries()]
        found = _pages(desk, size, settled=settled)
        same(found, owed[: len(found)] if settled else owed)

    def test_a_page_goes_on_where_the_last_one_ended(self, desk: Desk) -> None:
        """What was written since is after the place of the last page, which had been the end."""
        desk.write(movement(1), movement(2))
        first = desk.read(lambda read: read.ledger(START, limit=9, settled=False))
        assert first.is_end
        desk.write(movement(3))
        page = desk.read(lambda read: read.ledger(first.place, limit=9, settled=False))
        same([row.amount for row in page.rows], [3])
        same([row.number for row in page.rows], [3])

    @broad(0.2)
    @given(size=st.integers(1, 3))
    def test_stored_balances_come_in_the_order_of_names(self, desk: Desk, size: int) -> None:
        """Every account is in one page, with all that it holds."""
        desk.write(
            movement(5, credit="treasury"),
            movement(2, "chain", "player:1"),
            movement(7, "chain", "player:10"),
        )
        found: list[StoredBalances] = []
        after = ""
        while page := desk.read(_balances_after(after, size)):
            found += page
            after = page[-1].account
        owed: dict[str, dict[str, int]] = {}
        for (account, currency), balance in sorted(desk.read(lambda r: r.accounts()).items()):
            owed.setdefault(account, {})[currency.value] = balance
        same({each.account: dict(each.held) for each in found}, owed)
        same([each.account for each in found], sorted(owed))

    @broad()
    @given(sealed=st.lists(strategies.checkpoints(), min_size=1, max_size=3))
    def test_checkpoints_come_back_equal(self, desk: Desk, sealed: list[Checkpoint]) -> None:
        """Every field survives, also a sum above 64 bits; they come by number, in pages."""
        last = desk.read(lambda read: read.last_checkpoint())
        before = last.number if last else 0
        for number, each in enumerate(sealed, start=before + 1):
            desk.write(changed=(replace(each, number=number),))
        owed = [replace(each, number=n) for n, each in enumerate(sealed, start=before + 1)]
        same(list(desk.read(lambda read: read.checkpoints(after=before, limit=9))), owed)
        same(list(desk.read(lambda read: read.checkpoints(after=before, limit=1))), owed[:1])
        same(desk.read(lambda read: read.last_checkpoint()), owed[-1])

    @broad(0.2)
    @given(sealed=strategies.checkpoints())
    def test_a_checkpoint_is_written_once(self, desk: Desk, sealed: Checkpoint) -> None:
        """A second one under a number is a broken invariant, and nothing of its unit is kept."""
        last = desk.read(lambda read: read.last_checkpoint())
        kept = replace(sealed, number=last.number + 1 if last else 1)
        desk.write(changed=(kept,))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(replace(kept, at=kept.at + 1),), remember=refusal("k"))
        same(desk.answer("k"), None)
        same(desk.read(lambda read: read.last_checkpoint()), kept)

    @broad(0.3)
    @given(
        players=st.lists(st.sampled_from("1234"), min_size=1, max_size=7),
        size=st.integers(1, 3),
        unsealed=st.integers(0, 2),
    )
    def test_checkpoints_are_found_by_account(
        self, desk: Desk, players: list[str], size: int, unsealed: int
    ) -> None:
        """Going back from the newest, all are found that cover an entry of an account's."""
        for player in players:
            desk.write(movement(1, "chain", f"player:{player}"), movement(2))
        sealed = _seal(desk, size, leave=unsealed)
        for player in "123":
            account = f"player:{player}"
            owed = [
                each.number
                for each, rows in reversed(sealed)
                if any(r.credit == account for r in rows)
            ]
            before = None
            for number in owed:
                found = desk.read(_checkpoint_of(account, before))
                same(found and found.number, number)
                before = number

    @broad(0.3)
    @given(kept=st.lists(strategies.audited(), min_size=1, max_size=4), size=st.integers(1, 3))
    def test_the_audits_own_balances_come_in_the_order_of_names(
        self, desk: Desk, kept: list[Audited], size: int
    ) -> None:
        """The last that was written of each account; in pages, or of some accounts."""
        desk.write(changed=tuple({each.account: each for each in kept}.values()))
        found: list[Audited] = []
        while page := desk.read(_audited_after(found[-1].account if found else "", size)):
            found += page
        same([each.account for each in found], sorted({each.account for each in found}))
        for account, each in {each.account: each for each in kept}.items():
            same([other for other in found if other.account == account], [each])
            same(list(desk.read(_audited_of([account, "player:x"]))), [each])

    @broad(0.3)
    @given(state=strategies.audit_states())
    def test_the_state_is_the_last_that_was_told(self, desk: Desk, state: AuditState) -> None:
        """Every field survives, and the next one takes its place."""
        for kept in (state, replace(state, round=state.round + 1)):
            desk.write(changed=(kept,))
            same(desk.read(lambda read: read.audit_state()), kept)

    @broad()
    @given(standing=strategies.ledger_standings())
    def test_the_standing_is_the_last_that_was_told(
        self, desk: Desk, standing: LedgerStanding
    ) -> None:
        """Every field survives, and the next one takes its place."""
        for kept in (standing, replace(standing, found=standing.found + 1)):
            desk.write(changed=(kept,))
            same(desk.read(lambda read: read.ledger_standing()), kept)


def _seal(desk: Desk, size: int, *, leave: int) -> list[tuple[Checkpoint, list[Row]]]:
    """Seal what no checkpoint covers, but for the last pages; return them with what they cover."""
    place, last = START, desk.read(lambda read: read.last_checkpoint())
    if last is not None:
        place = desk.read(_page_after(last.place, last.count)).place
    sealed: list[tuple[Checkpoint, list[Row]]] = []
    pages = []
    while (page := desk.read(_page_after(place, size))).rows:
        pages.append((place, list(page.rows)))
        place = page.place
    for start, rows in pages[: len(pages) - leave]:
        batch = Batch(start)
        batch.add(rows)
        last = batch.seal(last, {}, 0, 1)
        desk.write(changed=(last,))
        sealed.append((last, rows))
    return sealed


def _audited_of(accounts: list[str]) -> Callable[[Reader], Awaitable[list[Audited]]]:
    async def look(read: Reader) -> list[Audited]:
        return list(await read.audited_of(accounts))

    return look


def _page_after(place: str, size: int) -> Callable[[Reader], Awaitable[LedgerPage]]:
    async def look(read: Reader) -> LedgerPage:
        return await read.ledger(place, limit=size, settled=False)

    return look


def _checkpoint_of(
    account: str, before: int | None
) -> Callable[[Reader], Awaitable[Checkpoint | None]]:
    async def look(read: Reader) -> Checkpoint | None:
        return await read.checkpoint_of(account, before=before)

    return look


def _audited_after(after: str, size: int) -> Callable[[Reader], Awaitable[list[Audited]]]:
    async def look(read: Reader) -> list[Audited]:
        return list(await read.audited(after, limit=size))

    return look


def _balances_after(after: str, size: int) -> Callable[[Reader], Awaitable[list[StoredBalances]]]:
    async def look(read: Reader) -> list[StoredBalances]:
        return list(await read.stored_balances(after, limit=size))

    return look


def _pages(desk: Desk, size: int, *, settled: bool) -> list[Row]:
    """Return the whole ledger, read in pages of `size`."""
    found: list[Row] = []
    place = START

    async def look(read: Reader) -> bool:
        nonlocal place
        page = await read.ledger(place, limit=size, settled=settled)
        assert len(page.rows) <= size
        found.extend(page.rows)
        place = page.place
        return page.is_end and not page.rows

    while not desk.read(look):
        pass
    return found


def _row(entry: Entry) -> Row:
    posting = entry.posting
    return Row(
        entry.number,
        entry.at,
        posting.currency.value,
        posting.amount,
        posting.debit,
        posting.credit,
        posting.reason,
        posting.arena,
        posting.league,
        posting.source_type,
        posting.source_id,
    )
