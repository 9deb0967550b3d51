"""Every route of admins names a role, and each role gets exactly what it covers."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from aiba_domain.administration.model import AdminRole
from aiba_entry.http.admin.guard import OPEN, RoleGuard
from tests.contract.game.support import Call, Game
from tests.support import admins
from tests.support.admins import Panel, refusal_of
from tests.support.stores import opener

ROOT = "/api/admin"
ID = "0123456789abcdef01234567"


@pytest.fixture(name="panels", scope="module")
def _panels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[AdminRole, Panel]]:
    """Return an admin of each role, over one service."""
    folder = tmp_path_factory.mktemp("roles")
    settings = {**admins.ENVIRON, "AIBA_DATA_DIR": str(folder)}
    game = Game(opener("memory", folder), environ=settings)
    root = Panel(game)
    viewer = root.make("viewer@game.example", "viewer")
    operator = root.make("operator@game.example", "operator")
    yield {
        AdminRole.VIEWER: viewer,
        AdminRole.OPERATOR: operator,
        AdminRole.SUPERADMIN: root,
    }
    game.close()


def routes(game: Game) -> list[tuple[str, str, HTTPRouteHandler]]:
    """List every admin route: method, path, handler."""
    app = game.app.app
    assert isinstance(app, Litestar)
    return [
        (method, route.path_format, handler)
        for route in app.routes
        if route.path_format.lower().startswith(ROOT)
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
        if method not in ("OPTIONS", "HEAD")
    ]


def role_of(handler: HTTPRouteHandler) -> AdminRole | None:
    """Return the least role that comes through a handler's guards, None where it is open."""
    guards = [guard for guard in handler.resolve_guards() if isinstance(guard, RoleGuard)]
    if handler.operation_id in OPEN:
        assert guards == []
        return None
    assert len(guards) == 1, f"{handler.operation_id} names {len(guards)} roles instead of one"
    return guards[0].role


def path_of(template: str) -> str:
    """Return a path that a template takes."""
    parts = [ID if part.startswith("{") else part for part in template.split("/")]
    return "/".join(parts)


def test_d78_every_admin_route_names_its_role(panels: dict[AdminRole, Panel]) -> None:
    """D-78: a route without a role fails this test; only the login is open."""
    found = routes(panels[AdminRole.VIEWER].game)
    assert {handler.operation_id for *_, handler in found} >= {"adminMe", "listAudit", "addAdmin"}
    roles = {handler.operation_id: role_of(handler) for *_, handler in found}
    assert [name for name, role in roles.items() if role is None] == list(OPEN)
    for method, _, handler in found:
        changes = method != "GET" and handler.operation_id not in {*OPEN, "adminLogOut"}
        role = roles[handler.operation_id]
        assert not changes or role in (AdminRole.OPERATOR, AdminRole.SUPERADMIN)


def test_nobody_comes_through_without_a_token(panels: dict[AdminRole, Panel]) -> None:
    """Each guarded route: 401 without a token, and for a text that is none."""
    game = panels[AdminRole.VIEWER].game
    for method, template, handler in routes(game):
        if role_of(handler) is None:
            continue
        for headers, code in (
            ({}, "admin auth required"),
            ({"Authorization": "Basic abc"}, "admin auth required"),
            ({"Authorization": "Bearer abc"}, "invalid admin token"),
            (game.as_player("42"), "invalid admin token"),
        ):
            call = Call(method=method, path=path_of(template), headers=headers, body={})
            assert refusal_of(game.send(call), 401) == code


def test_d78_each_role_gets_what_it_covers_and_no_more(panels: dict[AdminRole, Panel]) -> None:
    """D-78: 403 below the route's role, on record with who asked; anything else from it on."""
    tried = 0
    for method, template, handler in routes(panels[AdminRole.VIEWER].game):
        needed = role_of(handler)
        if needed is None or needed is AdminRole.VIEWER:
            continue
        for role, panel in panels.items():
            if role.covers(needed):
                continue
            answer = panel.call(method, path_of(template), {})
            assert refusal_of(answer, 403) == "insufficient role"
            assert answer.json()["error"]["details"] == {"needed": needed.value}
            tried += 1
    denied = [
        row
        for row in panels[AdminRole.SUPERADMIN].trail()
        if row["action"] == "admin.denied" and row["outcome"] == "insufficient role"
    ]
    assert min(tried, 190) <= len(denied) <= tried
    assert {row["adminRole"] for row in denied} <= {"viewer", "operator"}
    assert {row["status"] for row in denied} == {403}


def test_the_catalogue_says_which_routes_take_a_token(panels: dict[AdminRole, Panel]) -> None:
    """The API's description asks for a token exactly where a guard does."""
    game = panels[AdminRole.VIEWER].game
    described = {
        operation.schema["operationId"]: operation.schema.get("security")
        for operation in game.description.operations
        if operation.path.lower().startswith(ROOT)
    }
    for *_, handler in routes(game):
        taken: list[dict[str, list[str]]] = (
            [{}] if role_of(handler) is None else [{"admin": []}, {"adminToken": []}]
        )
        assert described[handler.operation_id] == taken, handler.operation_id
