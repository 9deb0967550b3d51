"""schemathesis lets operations follow one another: what one answers, the next one is asked with."""

import copy
from collections import Counter
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

from tests.contract.hostile.target import CASES, CHECKS, Target, described, kind_of, loaded

LINKS: Final = (
    ("getStarterBroker", "201", "runBattle", "brokerId", "/data/_id"),
    ("getStarterBroker", "201", "trainBroker", "brokerId", "/data/_id"),
    ("getStarterBroker", "201", "mintBroker", "brokerId", "/data/_id"),
    ("listMyBrokers", "200", "upgradeBroker", "brokerId", "/data/0/_id"),
    ("listMyBrokers", "200", "adminBanBroker", "brokerId", "/data/0/_id"),
    ("listMyBrokers", "200", "adminUnbanBroker", "brokerId", "/data/0/_id"),
    ("listMyBattles", "200", "getMyBattle", "battle_id", "/data/items/0/_id"),
    ("adminMakeMode", "201", "adminChangeMode", "mode_id", "/data/_id"),
    ("adminMakeMode", "201", "adminDeleteMode", "mode_id", "/data/_id"),
)
"""What is taken from an answer: operation, status, the next one, its field, and where from."""


def linked(document: dict[str, Any]) -> dict[str, Any]:
    """Return a description with these links in it."""
    made = copy.deepcopy(document)
    operations = {
        operation["operationId"]: operation
        for methods in made["paths"].values()
        for operation in methods.values()
    }
    for source, status, then, field, where in LINKS:
        value = f"$response.body#{where}"
        in_path = field in [each["name"] for each in operations[then].get("parameters", ())]
        taken = {"parameters": {field: value}} if in_path else {"requestBody": {field: value}}
        answer = operations[source]["responses"][status]
        answer.setdefault("links", {})[then] = {"operationId": then, **taken}
    return made


def test_what_follows_is_as_announced(tmp_path: Path) -> None:
    """Chains of operations, each with ids of the one before: no 5xx, nothing undescribed."""
    target = Target(tmp_path)
    seen: Counter[tuple[str, int]] = Counter()
    schema = loaded(linked(described(target.game)), "positive")
    # A chain that shuts its own admin out would find nothing more.
    machine = schema.exclude(path_regex="^/api/admin/(accounts|auth)").as_state_machine()

    class Chain(machine):  # type: ignore[misc, valid-type] # made at run time
        def call(self, case: Case[Any], **_: object) -> Response:
            operation = case.operation
            if isinstance(case.body, dict) and "modeKey" in case.body:
                case.body["modeKey"] = "prediction"
            headers = {} if kind_of(operation) == "anyone" else target.credentials(operation)
            response = target.send(case, headers)
            seen[operation.definition.raw["operationId"], response.status_code // 100] += 1
            return response

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            assert response.status_code < 500, response.text
            case.validate_response(response, checks=CHECKS)

    Chain.run(
        settings=settings(
            max_examples=CASES // 10,
            stateful_step_count=20,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
    )
    target.close()
    # Ids were handed on: what needs one of ours succeeds.
    assert all(seen[name, 2] for name in ("adminBanBroker", "adminUnbanBroker")), seen
