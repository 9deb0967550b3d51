"""How often a login may be tried: by one address, and by all strangers together."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.administration.lockout import (
    AT_ONE_ACCOUNT,
    AT_ONE_ADDRESS,
    WINDOW_MS,
    locked_until,
)
from aiba_domain.administration.model import LOG_IN, Act, AuditRow, Request, row_of

NOW = 10 * WINDOW_MS
HOME = "192.0.2.1"
ELSEWHERE = [f"203.0.113.{number}" for number in range(8)]


def tried(address: str, at: int) -> AuditRow:
    """Return the row of an attempt."""
    request = Request(id="r", method="POST", path="/login", address=address)
    outcome = "invalid credentials"
    act = Act(at=at, email="root@game.example", action=LOG_IN, outcome=outcome, request=request)
    return row_of(act, None)


attempts = st.lists(
    st.builds(
        tried,
        st.sampled_from([HOME, *ELSEWHERE]),
        st.integers(NOW - 2 * WINDOW_MS, NOW),
    ),
    max_size=60,
)


def counted(rows: Sequence[AuditRow], now: int, *addresses: str) -> int:
    """Count the rows of addresses that still count at an instant."""
    return sum(row.at > now - WINDOW_MS for row in rows if row.address in addresses)


@given(rows=attempts)
def test_one_address_has_its_own_attempts_where_it_is_known(rows: list[AuditRow]) -> None:
    """Whatever strangers do: only its own attempts keep an owner's address out."""
    until = locked_until(rows, address=HOME, known=(HOME,), now=NOW)
    assert (until is not None) == (counted(rows, NOW, HOME) >= AT_ONE_ADDRESS)


@given(rows=attempts, known=st.sets(st.sampled_from(ELSEWHERE)))
def test_strangers_share_theirs(rows: list[AuditRow], known: set[str]) -> None:
    """Twenty of all unknown addresses, five of each; those of known ones don't count."""
    strangers = [each for each in (HOME, *ELSEWHERE) if each not in known]
    locked = (
        counted(rows, NOW, HOME) >= AT_ONE_ADDRESS
        or counted(rows, NOW, *strangers) >= AT_ONE_ACCOUNT
    )
    until = locked_until(rows, address=HOME, known=known, now=NOW)
    assert (until is not None) == locked


@given(rows=attempts, known=st.sets(st.sampled_from([HOME, *ELSEWHERE])))
def test_a_lock_ends_when_it_says(rows: list[AuditRow], known: set[str]) -> None:
    """At that instant the account can be tried again, and not one millisecond before."""
    until = locked_until(rows, address=HOME, known=known, now=NOW)
    if until is not None:
        assert NOW < until <= NOW + WINDOW_MS
        assert locked_until(rows, address=HOME, known=known, now=until - 1) == until
        assert locked_until(rows, address=HOME, known=known, now=until) is None
