"""What a store owes of withdrawals: one in flight to a recipient, one for a seqno."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.claims.model import MAX_SEQNO
from aiba_domain.errors import InvariantViolation
from aiba_domain.instants import DAY, day_key
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.ports import Reader
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.samples import (
    AT,
    ClaimBook,
    claim,
    movement,
    refusal,
    turned,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import broad


class ClaimsContract(StoreSuite):
    """The meaning of claims."""

    @broad()
    @given(record=strategies.claims())
    def test_claims_come_back_equal(self, desk: Desk, record: Claim) -> None:
        """Every field of a claim survives, the largest seqno and amount too."""
        terms = replace(record.terms, vault=desk.fresh())
        record = replace(record, id=desk.fresh(), player_id=desk.fresh(), terms=terms)
        desk.write(changed=(record,))
        same(desk.read(lambda read: read.claim(record.id)), record)
        same(desk.claims(record.player_id), [record])

    def test_a_second_claim_in_flight_to_one_recipient_is_undone(self, desk: Desk) -> None:
        """Whoever it is for and whatever its seqno; once the first has ended the next may fly."""
        desk.write(changed=(claim("a"),))
        for state in (ClaimState.RESERVED, ClaimState.SIGNED):
            with pytest.raises(InvariantViolation):
                desk.write(
                    movement(5),
                    changed=(claim("b", state, player_id="2", seqno=2),),
                    remember=refusal("k"),
                )
        same(desk.read(lambda read: read.claim("b")), None)
        same(desk.entries(), [])
        same(desk.answer("k"), None)
        same(desk.read(lambda read: read.open_claim("v", "r")), claim("a"))
        desk.write(changed=(claim("c", vault="v2"), claim("d", recipient="r2")))
        desk.write(changed=(claim("a", ClaimState.CONFIRMED), claim("b", seqno=2)))
        same(desk.read(lambda read: read.open_claim("v", "r")), claim("b", seqno=2))

    def test_a_seqno_stands_for_one_claim_until_it_is_refunded(self, desk: Desk) -> None:
        """What was paid under a seqno is never claimed again; what was refunded may be."""
        desk.write(changed=(claim("a", ClaimState.REFUNDED),))
        desk.write(changed=(claim("b", ClaimState.CONFIRMED),))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(claim("c"),))
        same(desk.read(lambda read: read.claim("c")), None)
        same(desk.read(lambda read: read.confirmed_seqno("v", "r")), 1)

    @pytest.mark.parametrize("seqno", [9, 10, 2**63 - 1, 2**63, MAX_SEQNO])
    def test_seqnos_are_numbers_however_large(self, desk: Desk, seqno: int) -> None:
        """Of two confirmed seqnos the larger one counts, and what is open doesn't."""
        made = [
            claim("a", ClaimState.CONFIRMED, seqno=seqno),
            claim("b", ClaimState.CONFIRMED, seqno=seqno - 1),
            claim("c", ClaimState.CONFIRMED, seqno=seqno - 2, recipient="r2"),
            claim("d", seqno=1),
        ]
        desk.write(changed=made)
        same(desk.read(lambda read: read.confirmed_seqno("v", "r")), seqno)
        same(desk.read(lambda read: read.confirmed_seqno("v", "r2")), seqno - 2)
        same(desk.read(lambda read: read.confirmed_seqno("v2", "r")), 0)

    def test_what_was_refunded_counts_for_no_limit(self, desk: Desk) -> None:
        """A day counts what is reserved, signed or confirmed, up to the largest amounts."""
        made = [
            claim(state.value, state, recipient=state.value, amount=MAX_AMOUNT, player_id=who)
            for state, who in zip(ClaimState, ("1", "2", "1", "2"), strict=True)
        ]
        desk.write(changed=(*made, claim("old", ClaimState.CONFIRMED, created_at=AT - DAY)))
        day = day_key(AT)
        same(desk.read(lambda read: read.claimed(day, None)), 3 * MAX_AMOUNT)
        same(desk.read(lambda read: read.claimed(day, "1")), 2 * MAX_AMOUNT)
        same(desk.read(lambda read: read.claimed(day, "2")), MAX_AMOUNT)
        same(desk.read(lambda read: read.claimed(day, "3")), 0)
        same(desk.read(lambda read: read.claimed(day_key(AT - DAY), "1")), 5)
        ended = turned(made[0], ClaimState.REFUNDED)
        desk.write(changed=(ended,))
        same(desk.read(lambda read: read.claimed(day, "1")), MAX_AMOUNT)

    @broad()
    @given(
        moves=st.lists(
            st.tuples(
                st.integers(0, 5),  # which claim
                st.sampled_from(ClaimState),
                st.integers(0, 1),  # whose
                st.integers(0, 1),  # to whom
                st.integers(1, 2),  # under which seqno
                st.integers(0, 3),  # of which half-day
            ),
            max_size=12,
        ),
        size=st.integers(1, 3),
    )
    def test_claims_are_found_as_the_port_says(
        self, desk: Desk, moves: list[tuple[int, ClaimState, int, int, int, int]], size: int
    ) -> None:
        """Whatever was written and whatever was refused, every question has the plain answer."""
        vault, start = desk.fresh(), int(desk.fresh(), 16) * 2 * DAY
        ids = [desk.fresh() for _ in range(6)]
        players = [desk.fresh() for _ in range(2)]
        book = ClaimBook()
        for which, state, whose, whom, seqno, half in moves:
            made = book.claims.get(ids[which]) or claim(
                ids[which],
                vault=vault,
                player_id=players[whose],
                recipient=f"r{whom}",
                seqno=seqno,
                amount=which + 1,
                created_at=start + half * DAY // 2,
            )
            made = turned(made, state)
            fits = book.admits(made)
            with contextlib.nullcontext() if fits else pytest.raises(InvariantViolation):
                desk.write(changed=(made,))
            if fits:
                book.claims[made.id] = made
        self._compare_claims(desk, book, vault, start, size)
        for name in players:
            self._compare_player(desk, book, name, start, size)

    def _compare_claims(
        self, desk: Desk, book: ClaimBook, vault: str, start: int, size: int
    ) -> None:
        """Compare what is asked about a vault, and all that is in flight."""

        async def look(read: Reader) -> None:
            for whom in ("r0", "r1", "r2"):
                mine = book.where(lambda one, whom=whom: one.terms.recipient == whom)  # type: ignore[misc]
                flying = next((one for one in mine if one.is_open), None)
                same(await read.open_claim(vault, whom), flying)
                paid = [one.terms.seqno for one in mine if one.state is ClaimState.CONFIRMED]
                same(await read.confirmed_seqno(vault, whom), max(paid, default=0))
                same(await read.open_claim("another", whom), None)

        desk.read(look)
        pages, after = [], (start - 1, "")
        flying = book.where(lambda one: one.is_open)
        while page := desk.flying(after, size):
            holds(len(page) <= size, f"a page of {size} holds no more")
            pages += page
            holds(len(pages) <= len(flying), "no page goes back over one before")
            after = (page[-1].created_at, page[-1].id)
        same(pages, flying)

    def _compare_player(
        self, desk: Desk, book: ClaimBook, name: str, start: int, size: int
    ) -> None:
        """Compare what is asked about a player, and about a day."""
        mine = book.where(lambda one: one.player_id == name)
        pages: list[Claim] = []
        before: tuple[int, str] | None = None
        while page := desk.claims(name, before, size):
            holds(len(page) <= size, f"a page of {size} holds no more")
            pages += page
            holds(len(pages) <= len(mine), "no page goes back over one before")
            before = (page[-1].created_at, page[-1].id)
        same(pages, mine[::-1])

        async def look(read: Reader) -> None:
            for at in (start, start + DAY, start + 2 * DAY):
                day = day_key(at)
                counting = book.where(
                    lambda one: (
                        day_key(one.created_at) == day  # noqa: B023 - called at once
                        and one.state is not ClaimState.REFUNDED
                    )
                )
                own = sum(one.terms.amount for one in counting if one.player_id == name)
                same(await read.claimed(day, name), own)
                same(await read.claimed(day, None), sum(one.terms.amount for one in counting))

        desk.read(look)
