"""Whatever an admin sends to whatever route, it is answered in the envelope, and never by a 500."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.prices import PriceUnknown
from tests.contract.game.description import Operation
from tests.contract.game.support import ABSENT_ID, Game
from tests.support import admins
from tests.support.admins import Panel
from tests.support.stores import opener

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(("prediction", "77", "k", ABSENT_ID, "1e400", "\u0000", "%s"))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=5) | st.just("prediction"), inner, max_size=2)
    ),
    max_leaves=5,
)
# Logins count against a limit of their own, and accounts are tried elsewhere.
APART = ("/api/admin/auth/", "/api/admin/accounts")


@pytest.fixture(name="panel", scope="module")
def _panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    folder = tmp_path_factory.mktemp("any")
    environ = {**admins.ENVIRON, "AIBA_DATA_DIR": str(folder)}
    game = Game(opener("memory", folder), environ=environ)
    game.container.rates()._prices = _Nowhere()
    yield Panel(game)
    game.sound()
    game.close()


class _Nowhere:
    """A market that nobody can ask."""

    async def ton_usd(self) -> Fraction:
        """Raise as a market that is down does."""
        raise PriceUnknown("down")


def operations(game: Game) -> list[Operation]:
    """Return the admins' operations that are tried here."""
    return [
        each
        for each in game.description.operations
        if each.path.startswith("/api/admin/") and not each.path.startswith(APART)
    ]


def path_of(operation: Operation) -> str:
    """Return a path that an operation's template takes."""
    parts = operation.path.split("/")
    return "/".join(ABSENT_ID if part.startswith("{") else part for part in parts)


@settings(max_examples=max(60, settings().max_examples))
@given(data=st.data())
def test_any_body_is_answered_and_the_books_stay_sound(panel: Panel, data: st.DataObject) -> None:
    """By 2xx, or by a refusal; what is described is what comes, and all sums stay 0."""
    changing = [each for each in operations(panel.game) if each.changes]
    operation = data.draw(st.sampled_from(changing))
    shape = operation.body(panel.game.description.document)
    names = sorted(shape["properties"]) if shape else ["x"]
    body = data.draw(st.dictionaries(st.sampled_from((*names, "x")), VALUES, max_size=4))
    answer = panel.call(operation.method, path_of(operation), body)
    assert answer.status_code < 500 or answer.json()["error"]["code"] == "unavailable", answer.text


@settings(max_examples=max(40, settings().max_examples // 2))
@given(data=st.data())
def test_any_query_is_answered(panel: Panel, data: st.DataObject) -> None:
    """By what was asked for, or by a refusal that names what can't be read."""
    reading = [each for each in operations(panel.game) if not each.changes]
    operation = data.draw(st.sampled_from(reading))
    names = [
        each["name"] for each in operation.schema.get("parameters", ()) if each["in"] == "query"
    ]
    word = st.sampled_from(("1", "-1", "x", "", "true", "%00", "2026-01-01", "9" * 30, "AIBA"))
    asked = data.draw(st.dictionaries(st.sampled_from((*names, "x")), word, max_size=3))
    if "days" in asked or "players" in asked:
        asked = {**asked, "days": "1"}
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    answer = panel.get(f"{path_of(operation)}?{query}")
    assert answer.status_code in (200, 400, 404), answer.text
