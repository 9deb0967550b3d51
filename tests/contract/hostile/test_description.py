"""schemathesis against the API's description: what is announced is what comes, whoever asks."""

import sys
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

from aiba_domain.application import forecast
from tests.contract.game.support import Call, data_of, error_of
from tests.contract.hostile.target import CASES, CHECKS, Headers, Target, kind_of, name_of

PARTS: Final = 8
"""The operations are shared out over so many tests, which may run at once."""
BREAKING: Final = CASES // 30
"""How many generated cases break the description: each costs many times what another does."""
AT_ONCE: Final = 10
"""How many requests one example has: what an example costs beside them isn't little."""
UNINVITED: Final = 30
"""One case in so many is also sent by those who have no right to the operation."""

NEWCOMERS: Final = 40
"""After so many requests of a player another one goes on."""
LEAST: Final = 5
"""How often each operation succeeds at least."""
FOUGHT: Final = forecast.MAX_FOUGHT
"""How many battles a forecast really fights at the most."""

Query = dict[str, str]
NOTHING: Final = st.builds(Query)
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
        self.has_starter = name_of(operation) != "getStarterBroker"
        self.count = 0

    def run(self) -> int:
        """Try what stands at the schema's edges, what breaks it, and what fits it."""
        self.target.begin(has_starter=self.has_starter)
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
        one = st.tuples(self.operation.as_strategy(generation_mode=mode), st.booleans(), extras)

        @settings(QUICK, max_examples=-(-count // AT_ONCE))
        @given(st.lists(one, min_size=AT_ONCE, max_size=AT_ONCE))
        def tried(several: list[tuple[Case[Any], bool, Query]]) -> None:
            for case, is_named, more in several:
                if is_named:
                    self.target.name(case)
                case.query.update(more)
                self.one(case)

        # A path that takes any text can't be broken.
        with suppress(Unsatisfiable):
            tried()

    def one(self, case: Case[Any]) -> None:
        """Send a case with the right to it, and now and then without."""
        lighten(case)
        if self.kind == "player" and self.count % NEWCOMERS == NEWCOMERS - 1:
            self.target.known.begin(has_starter=self.has_starter)
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
    """Let most forecasts be of some days: one of a year says no more, and takes long."""
    days = case.query.get("days")
    if name_of(case.operation) == "adminSimulate" and isinstance(days, int) and 7 < days < 360:
        case.query["days"] = days % 7 + 1


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_announced_is_what_comes(target: Target, part: int) -> None:
    """Each operation, tried so often: no 5xx, nothing undescribed, nothing without the right.

    Each succeeds now and then: what is only ever refused isn't tried.
    """
    every = [cast("Ok[Any]", found).ok() for found in target.schema.get_all_operations()]
    # Metrics are long once much was counted.
    every.sort(key=lambda operation: name_of(operation) != "getMetrics")
    for operation in every[part::PARTS]:
        assert Trial(target, operation).run() >= CASES, operation.label
        assert target.told[name_of(operation), 2] >= LEAST, target.table()
    sys.stdout.write(target.table())


def test_a_forecast_has_bounds(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest and largest forecast there is, as the service works it out: it ends."""
    monkeypatch.setattr(forecast, "MAX_FOUGHT", FOUGHT)
    largest = f"days={forecast.MAX_DAYS}&players={forecast.MAX_PLAYERS}"
    path = f"/api/admin/economy/simulate?{largest}&avgBattles={forecast.MAX_AVERAGE}"
    told = data_of(target.root.get(path))
    assert len(told["projection"]) == forecast.MAX_DAYS
    assert told["params"]["foughtPerDay"] * forecast.MAX_DAYS <= FOUGHT
    for name in ("days", "players", "avgBattles", "seed"):
        for value in (-1, 2**32, 2**64):
            assert target.root.get(f"{path}&{name}={value}").status_code == 400


def test_a_refusal_names_a_query_as_it_was_sent(target: Target) -> None:
    """Each text of a query, one character too long: the fault stands under its own name."""
    document, tried = target.game.description.document, 0
    player = target.game.as_player(target.player)
    for path, methods in document["paths"].items():
        headers = target.root.headers if "/admin/" in path else player
        parameters = methods.get("get", {}).get("parameters", ())
        for parameter in parameters:
            name, longest = parameter["name"], parameter["schema"].get("maxLength")
            others = [each for each in parameters if each["required"] and each is not parameter]
            if parameter["in"] != "query" or longest is None or others:
                continue
            query = f"{path}?{name}={'1' * (longest + 1)}"
            refused = target.game.send(Call(method="GET", path=query, headers=headers))
            assert name in error_of(refused, 400, "validation_error"), query
            tried += 1
    assert tried > 8
