"""Every method on every route: what isn't meant is refused in the envelope, and moves nothing."""

import re
from typing import Final

from tests.contract.game.support import QUERIES, Game

ODD: Final = ("TRACE", "PUT", "PROPFIND", "QUERY", "PURGE", "LINK")
PAGES: Final = ("/docs", "/docs/start.js", "/verify", "/openapi.json", "/nope", "/")


def test_no_method_on_any_route_is_a_way_in(arena: Game) -> None:
    """405 with the methods that there are, or 404; HEAD says what GET says, and OPTIONS no more."""
    described = {op.path: set[str]() for op in arena.description.operations}
    for operation in arena.description.operations:
        described[operation.path].add(operation.method)
    for template in (*described, *PAGES):
        path = re.sub(r"\{\w+\}", "x", template)
        url = f"{path}?{QUERIES[path]}" if path in QUERIES else path

        def call(method: str, url: str = url) -> tuple[int, str]:
            answer = arena.run(arena._http.request(method, url))
            if answer.status_code >= 400 and method != "HEAD":
                assert answer.json()["ok"] is False, f"{method} {url}"
            if method == "HEAD":
                assert answer.content == b""
            return answer.status_code, answer.headers.get("allow", "")

        known = described.get(template, {"GET"})
        got = call("GET")
        assert call("HEAD")[0] == got[0], path
        for method in {"GET", "POST", "PATCH", "DELETE", *ODD} - known:
            status, allowed = call(method)
            assert status == (404 if template in ("/nope", "/") else 405), f"{method} {path}"
            assert status == 404 or known <= set(allowed.split(", ")), f"{method} {path}: {allowed}"
        assert call("OPTIONS")[0] in (204, 401, 404), path
