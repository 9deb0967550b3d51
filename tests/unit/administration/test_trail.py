"""The audit trail's values: what a row tells and leaves out, and how a changed one is found."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.administration.model import (
    Act,
    AdminRole,
    AuditChange,
    AuditRow,
    broken_seal,
    row_of,
)
from aiba_domain.administration.redaction import REDACTED, redacted
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.testing import strategies

SECRET = "canary-7f3a"


def trail_of(acts: list[Act]) -> list[AuditRow]:
    """Return the trail of some acts."""
    rows: list[AuditRow] = []
    for act in acts:
        rows.append(row_of(act, rows[-1] if rows else None))
    return rows


TRAILS = st.lists(strategies.acts(), min_size=1, max_size=5).map(trail_of)


@given(rows=TRAILS, data=st.data())
def test_a_row_that_was_changed_taken_out_or_put_in_is_found(
    rows: list[AuditRow], data: st.DataObject
) -> None:
    """Every seal covers its row and the one before; the rest of the trail tells what is missing."""
    assert broken_seal(rows) is None
    place = data.draw(st.integers(0, len(rows) - 1))
    field, value = data.draw(
        st.sampled_from(
            [("at", rows[place].at + 1), ("email", "x" + rows[place].email), ("changes", None)]
        )
    )
    change = AuditChange(subject="s", before=None, after={"more": 1})
    value = (*rows[place].changes, change) if field == "changes" else value
    told: dict[str, Any] = {field: value}
    changed = [*rows]
    changed[place] = replace(rows[place], **told)
    assert broken_seal(changed) == rows[place].number
    assert broken_seal([*rows[: place + 1], *rows[place:]]) is not None
    if place + 1 < len(rows):
        assert broken_seal([*rows[:place], *rows[place + 1 :]]) == rows[place + 1].number


@given(rows=TRAILS)
def test_a_part_of_the_trail_is_checked_from_the_row_before(rows: list[AuditRow]) -> None:
    """Each part follows the row before it, and no other."""
    for place in range(1, len(rows)):
        assert broken_seal(rows[place:], rows[place - 1]) is None
        assert broken_seal(rows[place:]) == rows[place].number


NAMES = (
    *("password", "newPassword", "pass_phrase", "passwordHash", "TOKEN", "refreshToken", "secret"),
    *("Authorization", "authorisation", "cookie", "set-cookie", "apiKey", "api_key", "access-key"),
    *("privateKey", "ORACLE_PRIVATE_KEY_HEX", "mnemonic", "initData", "init_data", "jwt", "seed"),
)


@given(name=st.sampled_from(NAMES), depth=st.integers(0, 6), in_list=st.booleans())
def test_secrets_are_left_out_by_their_names_at_any_depth(
    name: str, depth: int, *, in_list: bool
) -> None:
    """The value of such a field is gone, whatever it is and wherever it stands."""
    value: Any = {name: SECRET, "kept": 1}
    for _ in range(depth):
        value = {"part": [value] if in_list else value}
    kept = redacted(value)
    text = json.dumps(kept)
    assert SECRET not in text
    assert depth > 3 or REDACTED in text
    assert redacted({name: {"deeper": [SECRET]}}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name", ["key", "modeKey", "txHash", "energyCost", "seedEpochHours", "keys"]
)
def test_d60_what_is_no_secret_is_kept(name: str) -> None:
    """The key of a game mode and the hash of a transaction are what an operator looks for."""
    assert redacted({name: "x"}) == {name: "x"}


@given(fields=strategies.admin_requests().map(lambda request: request.input))
def test_plain_fields_without_secrets_are_kept_as_they_are(fields: dict[str, Any]) -> None:
    """Redacting twice is redacting once, and names are all kept."""
    once = redacted(fields)
    assert redacted(once) == once
    assert list(once) == list(fields)


def test_what_is_too_much_is_cut() -> None:
    """Depth, number and length have bounds, so that no request bloats the trail."""
    deep: Any = SECRET
    for _ in range(50):
        deep = [deep]
    wide = {str(number): number for number in range(5_000)}
    kept = redacted({"deep": deep, "long": "x" * 10_000, "big": 10**30, "odd": "\ud800", **wide})
    text = json.dumps(kept)
    assert SECRET not in text
    assert len(text) < 30_000
    assert json.loads(text.encode()) == kept


def test_a_change_tells_the_fields_that_differ() -> None:
    """As plain values: a fraction is its text, and what wasn't there is None."""
    before = EconomyPolicy()
    rewards = replace(before.rewards, aiba_per_score=Fraction(7, 2))
    after = replace(before, rewards=rewards, version=2)
    change = AuditChange.between("policy", before, after)
    assert set(change.before or {}) == set(change.after or {}) == {"rewards", "version"}
    assert (change.after or {})["rewards"]["aiba_per_score"] == "7/2"
    made = AuditChange.between("policy", None, after)
    assert made.before is None
    assert (made.after or {})["version"] == 2
    assert AuditChange.between("policy", after, None).after is None


def test_roles_cover_those_below() -> None:
    """In the order viewer, operator, superadmin."""
    roles = list(AdminRole)
    for place, role in enumerate(roles):
        assert [role.covers(each) for each in roles] == [True] * (place + 1) + [False] * (
            len(roles) - place - 1
        )
