"""Pages that need no internet: the API's description, and one that verifies battles."""

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, Contact, SecurityScheme, Server, Tag
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

from aiba_entry.http.envelope import JSON, Reply
from aiba_entry.http.limits import allow_anyone
from aiba_entry.http.links import link
from aiba_entry.http.private import docs_guard
from aiba_entry.http.security_headers import BUNDLE, DOCS, START, STYLE, VERIFY

_ASSETS: Final = {STYLE: b"text/css; charset=utf-8", BUNDLE: b"text/javascript; charset=utf-8"}
# What the page says of itself stands in its head; that nobody frames it only a header can say.
_OWN_POLICY: Final = re.compile(rb'http-equiv="Content-Security-Policy" content="([^"]+)"')
_HTML: Final = b"text/html; charset=utf-8"
_PAGE: Final = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AIBA Arena API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<noscript>This page needs JavaScript. The description itself is at /openapi.json.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = b"""SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
# Litestar names an envelope by its module too, which is nobody's business.
_MODULES: Final = re.compile(rb"(DataEnvelope_(?:list_)?)[a-z_]+(?:\.[a-z_]+)+\.(\w+)_")
_SCRIPT: Final = b"text/javascript; charset=utf-8"


def openapi_config(version: str, base_url: str | None = None) -> OpenAPIConfig:
    """Return how the API describes itself, at `base_url` if it is given."""
    return OpenAPIConfig(
        title="AIBA Arena",
        version=version,
        description=(
            "Battles anyone can replay, and money that can't be lost or made. Every answer is an"
            " envelope: `{ok: true, data, requestId}` or `{ok: false, error: {code, message,"
            " details}, requestId}`. A command that moves money needs a `requestId` of the caller"
            " in its body: the same one again gets the same answer and moves nothing."
        ),
        servers=[Server(url=base_url or "/")],
        contact=Contact(name="AIBA Arena"),
        components=Components(
            security_schemes={
                "session": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="The token of `POST /api/auth/session`",
                ),
                "admin": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="The token of `POST /api/admin/auth/login`",
                ),
                "adminToken": SecurityScheme(
                    type="apiKey",
                    name="x-admin-token",
                    security_scheme_in="header",
                    description="The same token, where the header above isn't free",
                ),
                "initData": SecurityScheme(
                    type="apiKey",
                    name="x-telegram-init-data",
                    security_scheme_in="header",
                    description="Telegram's launch data, within its age",
                ),
            }
        ),
        tags=[Tag(name="operations", description="For whoever runs the service")],
        use_handler_docstrings=True,
        path="/docs/schema",
    )


def docs_routes() -> list[HTTPRouteHandler]:
    """Return the routes `/openapi.json`, `/docs` with what the page loads, and `/verify`.

    The description is built at the first request for it, the pages' files are read at theirs.
    """
    described: dict[str, bytes] = {}

    @get("/openapi.json", guards=[docs_guard], include_in_schema=False)
    async def openapi(request: Request[Any, Any, Any]) -> Reply:
        """Answer the API's description."""
        if "json" not in described:
            text = msgspec.json.encode(_described(request.app))
            described["json"] = _MODULES.sub(rb"\1\2", text)
        return Reply(described["json"], media_type=JSON)

    @get(DOCS, guards=[docs_guard], include_in_schema=False)
    async def page() -> Reply:
        """Answer the page to read it on."""
        return Reply(_PAGE, media_type=_HTML)

    @get(START, guards=[docs_guard], include_in_schema=False)
    async def start() -> Reply:
        """Answer the script that starts the page."""
        return Reply(_START, media_type=_SCRIPT)

    @get(VERIFY, guards=[allow_anyone], include_in_schema=False)
    async def verify() -> Reply:
        """Answer the page that verifies battles; it states itself what it may load: nothing."""
        return Reply(_verifier(), media_type=_HTML, headers={"Content-Security-Policy": _policy()})

    return [openapi, page, start, verify, *(_asset_route(path) for path in _ASSETS)]


@cache
def _verifier() -> bytes:
    return files("aiba_entry.http").joinpath("data", "verify.html").read_bytes()


@cache
def _policy() -> str:
    own = _OWN_POLICY.search(_verifier())
    if own is None:
        raise RuntimeError("the page that verifies battles has no policy of its own")
    return f"{own[1].decode()}; connect-src 'none'; frame-ancestors 'none'"


def _described(app: Litestar) -> dict[str, Any]:
    """Return the description, with its links.

    A route that may answer 401 asks who is calling unless it says otherwise; the first sentence of
    its docstring is its summary.
    """
    schema = app.openapi_schema.to_schema()
    for methods in schema["paths"].values():
        for operation in methods.values():
            told = operation.get("description", operation["summary"])
            operation["summary"] = told.partition(".")[0]
            if "401" in operation["responses"]:
                operation.setdefault("security", [{"session": []}, {"initData": []}])
    link(schema)
    return schema


def _asset_route(path: str) -> HTTPRouteHandler:
    kept: list[tuple[bytes, str]] = []

    @get(path, guards=[docs_guard], include_in_schema=False, sync_to_thread=False)
    def asset(request: Request[Any, Any, Any]) -> Reply:
        """Answer one of the page's files; a browser asks again only whether it changed."""
        if not kept:
            content = swagger_ui_path.joinpath(path.rpartition("/")[2]).read_bytes()
            kept.append((content, f'"{sha256(content).hexdigest()[:32]}"'))
        content, etag = kept[0]
        headers = {"ETag": etag}
        if request.headers.get("if-none-match") == etag:
            return Reply(b"", 304, headers=headers)
        return Reply(content, media_type=_ASSETS[path], headers=headers)

    return asset
