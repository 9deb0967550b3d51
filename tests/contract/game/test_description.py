"""The API's description, as someone who writes a client from it needs it.

That every real answer agrees with it is checked at each call of these tests.
"""

import re
from pathlib import Path

import pytest

from tests.contract.game.description import leaves
from tests.contract.game.support import Call, Game

ROOT = Path(__file__).resolve().parents[3]
CALL = re.compile(r"\b(GET|POST|PATCH|PUT|DELETE) (/[\w/{}.-]+)")
PUBLIC = {
    ("POST", "/api/auth/session"),
    ("POST", "/api/admin/auth/login"),
    ("GET", "/api/game-modes"),
    ("GET", "/api/fairness"),
    ("GET", "/api/vault/last-seqno"),
    ("GET", "/api/vault/inventory"),
    ("GET", "/api/vault/claim-status"),
    ("GET", "/api/treasury/summary"),
    ("GET", "/api/treasury/ops"),
    ("GET", "/api/solvency"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
}


def test_every_route_has_a_name_a_summary_and_its_errors(arena: Game) -> None:
    """Each operation has a name of its own, says in a sentence what it does, and how it fails."""
    operations = arena.description.operations
    names = [operation.schema["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        where = f"{operation.method} {operation.path}"
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation.schema["operationId"]), where
        assert len(operation.schema["summary"].split()) >= 3, where
        answers = operation.schema["responses"]
        assert "500" in answers, where
        for status, answer in answers.items():
            assert answer["description"], where
            if int(status) >= 400 and (status, operation.path) != ("503", "/ready"):
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorEnvelope"}, where


def test_every_route_says_who_may_call(arena: Game) -> None:
    """All routes but the public ones ask who is calling, and can answer that it isn't proven."""
    operations = arena.description.operations
    assert {(op.method, op.path) for op in operations if not op.is_private} == PUBLIC
    for operation in operations:
        path = re.sub(r"\{\w+\}", "x", operation.path)
        status = arena.send(Call(method=operation.method, path=path)).status_code
        assert (status == 401) == operation.is_private, path


def test_every_change_can_be_refused_and_can_be_too_long(arena: Game) -> None:
    """A route that changes something has a body, whose faults and length it answers for."""
    changing = [each for each in arena.description.operations if each.changes]
    players = [each for each in changing if not each.path.startswith("/api/admin/")]
    assert len(players) == 14
    for operation in players:
        assert operation.body(arena.description.document) is not None
        assert {"400", "403", "413", "429", "503"} <= set(operation.schema["responses"])


def test_every_change_of_admins_can_be_refused(arena: Game) -> None:
    """One with a body answers for its faults and its length; each for whoever may not."""
    for operation in arena.description.operations:
        if not operation.changes or not operation.path.startswith("/api/admin/"):
            continue
        told = set(operation.schema["responses"])
        owed = {"401", "429", "503"}
        if operation.is_private:
            owed |= {"403"}
        if operation.body(arena.description.document) is not None:
            owed |= {"400", "413"}
        assert owed <= told, operation.path


def test_names_in_the_description_are_the_wires_own(arena: Game) -> None:
    """No name of a Python module or class with its package gets out."""
    texts = [text for _, text in leaves(arena.description.document) if isinstance(text, str)]
    assert not [text for text in texts if "aiba_entry" in text or "litestar" in text]


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_operations_routes_answer_as_described(arena: Game, path: str) -> None:
    """What an operator's monitor asks is described too."""
    assert arena.get(path).status_code == 200


def test_what_the_pages_call_is_there(arena: Game) -> None:
    """No page sends anybody to a route that isn't; the chain and the signer have their own."""

    def spelt(path: str) -> str:
        return re.sub(r"\{\w+\}", "{}", path).rstrip("/.")

    there = {(op.method, spelt(op.path)) for op in arena.description.operations}
    there |= {("GET", path) for path in ("/docs", "/verify", "/openapi.json")}
    told: dict[str, set[tuple[str, str]]] = {}
    for page in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")]):
        if page.stem not in {"devnet", "signer"}:
            calls = CALL.findall(page.read_text(encoding="utf-8"))
            told[page.name] = {(method, spelt(path)) for method, path in calls}
    assert {name: calls - there for name, calls in told.items() if calls - there} == {}
