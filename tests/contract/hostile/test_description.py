"""schemathesis against the API's description: what is announced is what comes, whoever asks."""

from contextlib import suppress
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation

from tests.contract.hostile.target import CASES, CHECKS, Headers, Target, kind_of

PARTS: Final = 8
"""The operations are shared out over so many tests, which may run at once."""
BREAKING: Final = CASES // 30
"""How many generated cases break the description: each costs many times what another does."""
UNINVITED: Final = 30
"""One case in so many is also sent by those who have no right to the operation."""

Query = dict[str, str]
NOTHING: Final = st.builds(Query)
MOST: Final = 1_000_000
"""What is above this is refused, so it is sent as it is."""
WORDS: Final = st.text(max_size=12)
UNDESCRIBED: Final = st.dictionaries(
    st.text("abcdefghijklmnopqrstuvwxyz_$[]", min_size=1, max_size=8), WORDS, max_size=3
)
QUICK: Final = settings(
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


class Trial:
    """One operation's cases; `run` makes them and counts requests with the right to be answered."""

    def __init__(self, target: Target, operation: APIOperation[Any, Any, Any, Any]) -> None:
        self.target = target
        self.operation = operation
        self.kind = kind_of(operation)
        self.count = 0

    def run(self) -> int:
        """Try what stands at the schema's edges, what breaks it, and what fits it."""
        self.edges()
        self.generated(GenerationMode.NEGATIVE, BREAKING)
        self.generated(GenerationMode.POSITIVE, CASES - self.count)
        # Where the description names little, what it doesn't name makes the difference.
        self.generated(GenerationMode.POSITIVE, CASES - self.count, UNDESCRIBED)
        return self.count

    def edges(self) -> None:
        """Try each bound, each absent field, each wrong type and other methods."""
        schema = self.operation.schema
        for case in schema.iter_coverage_cases(
            self.operation,
            generation_modes=list(GenerationMode),
            generation_config=schema.config.generation_for(operation=self.operation),
        ):
            self.one(case)

    def generated(
        self, mode: GenerationMode, count: int, extras: st.SearchStrategy[Query] = NOTHING
    ) -> None:
        """Try generated cases, with names that mean something in some of them."""
        if count <= 0:
            return
        good: dict[str, Any] = self.target.known()

        @settings(QUICK, max_examples=count)
        @given(self.operation.as_strategy(generation_mode=mode), st.booleans(), extras)
        def tried(case: Case[Any], named: bool, extras: Query) -> None:  # noqa: FBT001 - drawn
            for part in (case.path_parameters, case.query, case.body):
                if named and isinstance(part, dict):
                    part.update({name: good[name] for name in part if name in good})
            case.query.update(extras)
            self.one(case)

        # A path that takes any text can't be broken.
        with suppress(Unsatisfiable):
            tried()

    def one(self, case: Case[Any]) -> None:
        """Send a case with the right to it, and now and then without."""
        lighten(case)
        answer = self.checked(case, self.target.credentials(self.operation))
        if self.kind != "anyone":
            assert answer.status_code != 401, f"{self.operation.label}: {answer.text}"
        self.count += 1
        if self.kind != "anyone" and self.count % UNINVITED == 0:
            self.uninvited(case)

    def checked(self, case: Case[Any], headers: Headers) -> Response:
        """Send a case and hold the answer against the description."""
        response = self.target.send(case, headers)
        where = f"{case.method} {self.operation.path} {response.status_code}"
        assert response.status_code < 500, f"{where}: {response.text}"
        case.validate_response(response, checks=CHECKS)
        return response

    def uninvited(self, case: Case[Any]) -> None:
        """Whoever has no right to an operation is refused before anything is done."""
        if case.method != self.operation.method.upper():
            return
        target = self.target
        good = target.credentials(self.operation)
        token = good["Authorization"]
        others = target.root.headers if self.kind == "player" else target.game.as_player("77")
        for headers in (
            {},
            {"Authorization": token[:-1] + ("A" if token[-1] != "A" else "B")},
            {"Authorization": token.removeprefix("Bearer ")},
            {"X-Admin-Token": "x", "X-Telegram-Id": target.player},
            others,
        ):
            before = target.units
            answer = self.checked(case, headers)
            assert answer.status_code == 401, f"{self.operation.label}: {answer.text}"
            assert target.units == before
        is_own = self.operation.path.endswith("/logout")
        if self.kind == "admin" and case.method != "GET" and not is_own:
            answer = self.checked(case, target.viewer.headers)
            assert answer.status_code == 403, f"{self.operation.label}: {answer.text}"


def lighten(case: Case[Any]) -> None:
    """Let no forecast of a year run: each takes seconds, and says the same in three days."""
    if not case.path.endswith("/simulate"):
        return
    for name in ("days", "players", "avgBattles"):
        value = case.query.get(name, MOST)
        if isinstance(value, int) and 3 < value <= MOST:
            case.query[name] = value % 3 + 1


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_announced_is_what_comes(target: Target, part: int) -> None:
    """Each operation, tried so often: no 5xx, nothing undescribed, nothing without the right."""
    every = [cast("Ok[Any]", found).ok() for found in target.schema.get_all_operations()]
    for operation in every[part::PARTS]:
        assert Trial(target, operation).run() >= CASES, operation.label
