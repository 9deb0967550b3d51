"""schemathesis lets operations follow one another: what one answers, the next one is asked with."""

import copy
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

from aiba_entry.http.links import LINKS, Link, link, links
from tests.contract.game.description import leaves
from tests.contract.hostile.target import CASES, CHECKS, Target, kind_of, loaded

STEPS: Final = 24
"""How many requests a chain has at the most."""

_BROKERS: Final = ("runBattle", "trainBroker", "repairBroker", "upgradeBroker", "mintBroker")
MORE: Final = (
    *links("listMyBrokers", 200, "/data/0/_id", "brokerId", *_BROKERS),
    Link(
        source="listMyBrokers",
        status=200,
        then="combineBrokers",
        takes={"baseBrokerId": "/data/0/_id", "sacrificeBrokerId": "/data/1/_id"},
    ),
    *links("listGameModes", 200, "/data/0/key", "modeKey", "runBattle"),
    *links("listMyBattles", 200, "/data/items/0/_id", "battle_id", "getMyBattle"),
    *links("listMyClaims", 200, "/data/items/0/claim/toAddress", "to", "getLastSeqno"),
    *links("adminListModes", 200, "/data/0/_id", "mode_id", "adminChangeMode", "adminDeleteMode"),
    *links("adminListBrokers", 200, "/data/0/_id", "broker_id", "adminLinkNft"),
    *links("adminListBrokers", 200, "/data/0/_id", "brokerId", "adminBanBroker"),
    *links("adminListBrokers", 200, "/data/0/ownerTelegramId", "telegramId", "adminGetUser"),
    *links("adminListMintJobs", 200, "/data/0/_id", "job_id", "adminCompleteMint", "adminFailMint"),
    *links("adminListFlaggedBrokers", 200, "/data/0/_id", "brokerId", "adminBanBroker"),
    *links("adminListAnomalies", 200, "/data/0/brokerId", "brokerId", "adminBanBroker"),
    *links("adminListFlaggedUsers", 200, "/data/0/telegramId", "telegramId", "adminBanUser"),
)
"""What is taken from lists besides. The description can't link it: a list may be empty."""

DEEP: Final = (
    "runBattle",
    "trainBroker",
    "repairBroker",
    "upgradeBroker",
    "mintBroker",
    "adminBanBroker",
    "adminUnbanBroker",
    "adminLinkNft",
    "adminDeleteMode",
    "resetAdminPassword",
    "revokeAdminTokens",
)
"""What needs something of ours, and succeeds in chains therefore: ids were handed on."""


class Chains:
    """Chains of requests to one service, each by a player who is new."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.count = 0
        self.faults: list[BaseException] = []
        self.machine = self._machine()

    def run(self, count: int) -> None:
        """Run at least so many chains, and raise what one of them found."""
        while self.count < count and not self.faults:
            # The service remembers what chains before did, so hypothesis may find that the same
            # draws lead elsewhere by now. That ends a run, and is no fault.
            with suppress(FlakyStrategyDefinition):
                self.machine.run(
                    settings=settings(
                        max_examples=max(2, count - self.count),
                        stateful_step_count=STEPS,
                        deadline=None,
                        phases=(Phase.generate,),
                        suppress_health_check=list(HealthCheck),
                    )
                )
        if self.faults:
            raise self.faults[0]

    def _machine(self) -> Any:  # noqa: ANN401 - made at run time
        chains, target = self, self.target
        document = copy.deepcopy(target.document)
        link(document, MORE)
        machine: Any = loaded(document, "positive").as_state_machine()

        class Chain(machine):  # type: ignore[misc] # as above
            def setup(self) -> None:
                chains.count += 1
                target.begin(has_starter=False)
                self.told: set[object] = set()

            def call(self, case: Case[Any], **_: object) -> Response:
                target.name(case, self.told)
                response = target.send(case, target.credentials(case.operation))
                if response.headers["content-type"] == ["application/json"]:
                    told = (text for _, text in leaves(response.json()) if isinstance(text, str))
                    self.told.update(filter(None, told))
                return response

            def step(self, input: Any) -> Any:  # noqa: A002, ANN401 - schemathesis' own
                try:
                    return super().step(input)
                except BaseException as fault:
                    chains.faults.append(fault)
                    raise

            def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
                assert response.status_code < 500, response.text
                if kind_of(case.operation) != "anyone":
                    assert response.status_code != 401, response.text
                case.validate_response(response, checks=CHECKS)

        return Chain


@pytest.mark.parametrize("kind", ["memory", pytest.param("sqlite", marks=pytest.mark.soak)])
def test_what_follows_is_as_announced(kind: str, tmp_path: Path) -> None:
    """Chains along the description's own links: no 5xx, nothing undescribed, money is right."""
    target = Target(tmp_path, kind=kind)
    Chains(target).run(CASES // 6)
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
    for each in (*LINKS, *MORE):
        where = f"{each.source} -> {each.then}"
        source, then = operations[each.source], operations[each.then]
        answer = source["responses"][str(each.status)]
        assert (each in MORE) == (each.then not in answer.get("links", {})), where
        shape = answer["content"]["application/json"]["schema"]
        for field, pointer in each.takes.items():
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
