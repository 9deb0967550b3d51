"""schemathesis lets operations follow one another: what one answers, the next one is asked with."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

from aiba_entry.http.links import LINKS
from tests.contract.game.description import leaves
from tests.contract.hostile.target import CASES, CHECKS, Target, kind_of, loaded

STEPS: Final = 24
"""How many requests a chain has at the most."""

DEEP: Final = (
    "runBattle",
    "trainBroker",
    "repairBroker",
    "upgradeBroker",
    "mintBroker",
    "connectWallet",
    "adminBanBroker",
    "adminUnbanBroker",
    "adminLinkNft",
    "adminChangeMode",
    "adminDeleteMode",
    "resetAdminPassword",
    "revokeAdminTokens",
)
"""What needs something of ours, and succeeds in chains therefore: ids were handed on."""


@pytest.mark.parametrize("kind", ["memory", pytest.param("sqlite", marks=pytest.mark.soak)])
def test_what_follows_is_as_announced(kind: str, tmp_path: Path) -> None:
    """Chains along the description's own links: no 5xx, nothing undescribed, money is right."""
    target = Target(tmp_path, kind=kind)
    machine: Any = loaded(target.document, "positive").as_state_machine()

    class Chain(machine):  # type: ignore[misc] # made at run time
        def setup(self) -> None:
            target.begin(has_starter=False)
            self.told: set[object] = set()

        def call(self, case: Case[Any], **_: object) -> Response:
            target.name(case, self.told)
            response = target.send(case, target.credentials(case.operation))
            if response.headers["content-type"] == ["application/json"]:
                told = (text for _, text in leaves(response.json()) if isinstance(text, str))
                self.told.update(filter(None, told))
            return response

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            assert response.status_code < 500, response.text
            if kind_of(case.operation) != "anyone":
                assert response.status_code != 401, response.text
            case.validate_response(response, checks=CHECKS)

    Chain.run(
        settings=settings(
            max_examples=CASES // 6,
            stateful_step_count=STEPS,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
    )
    target.close()
    sys.stdout.write(target.table())
    assert all(target.told[name, 2] for name in DEEP), target.table()


def test_every_link_leads_from_a_field_to_a_field(target: Target) -> None:
    """What a link takes is in the answer that it is a link of, and where it goes is a field."""
    document = target.game.description.document
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    for link in LINKS:
        where = f"{link.source} -> {link.then}"
        source, then = operations[link.source], operations[link.then]
        answer = source["responses"][str(link.status)]
        assert answer["links"][link.then]["operationId"] == link.then
        shape = answer["content"]["application/json"]["schema"]
        for field, pointer in link.takes.items():
            assert _at(shape, pointer, document), f"{where}: {pointer}"
            assert not field or field in _fields(then, document), f"{where}: {field}"


def _fields(operation: Mapping[str, Any], document: Mapping[str, Any]) -> set[str]:
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    content = operation.get("requestBody", {}).get("content", {})
    shape = content.get("application/json", {}).get("schema", {})
    return parameters | set(_resolved(shape, document).get("properties", ()))


def _at(shape: Mapping[str, Any], pointer: str, document: Mapping[str, Any]) -> bool:
    """Tell whether a document of this shape has something at a pointer."""
    for part in pointer.split("/")[1:]:
        shape = _resolved(shape, document)
        found = shape.get("items") if part.isdecimal() else shape.get("properties", {}).get(part)
        if found is None:
            return False
        shape = found
    return True


def _resolved(shape: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    name = shape.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else shape
