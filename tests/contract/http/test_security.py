"""What browsers are told, who sees what isn't for players, and what a request may take."""

import asyncio
import base64
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import get
from litestar.di import Provide

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_entry.edge_settings import LIMITS
from aiba_entry.http.app import create_app
from aiba_entry.http.envelope import Reply, data_reply
from aiba_entry.http.health import Probe
from aiba_entry.http.routes import GAME_ROUTES
from aiba_entry.http.routes.brokers import Brokers
from aiba_entry.http.routes.claims import Claims
from aiba_entry.http.routes.sessions import Sessions
from aiba_entry.http.routes.solvency import SolvencyRoutes
from aiba_entry.http.routes.vault import Vault
from aiba_entry.http.routes.wallets import Wallets
from aiba_entry.observability import Metrics
from aiba_entry.settings import load
from tests.contract.http.support import Api, error_of
from tests.contract.http.test_limits import PROXIES

TOKEN: Final = "metrics-6e0b95d1c8f7423a-Pl-tests"
CLOSED: Final = {"METRICS_ALLOW": "", "DOCS_ALLOW": ""}
OWN_PAGES: Final = ("/metrics", "/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui.css")
ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def policy_of(response: httpx.Response) -> dict[str, str]:
    """Return what an answer's policy says, by directive."""
    parts = [part.split(None, 1) for part in response.headers["content-security-policy"].split(";")]
    return {part[0]: part[1] if len(part) > 1 else "" for part in parts}


# --- what browsers are told ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/nope"),
        ("POST", "/api/game/run"),
        ("GET", "/api/game/fail/crash"),
        ("DELETE", "/docs"),
        ("OPTIONS", "/api/game/run"),
        ("HEAD", "/health"),
    ],
)
def test_an_answer_of_the_api_is_nothing_to_a_browser(method: str, path: str) -> None:
    """It is kept nowhere, runs and loads nothing, and is in nobody's frame, whatever its status."""
    response = Api().call(method, path, headers={"Access-Control-Request-Method": "POST"})
    assert ALWAYS.items() <= dict(response.headers).items()
    assert response.headers["cache-control"] == "no-store"
    policy = policy_of(response)
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert not {"server", "x-powered-by", "strict-transport-security"} & set(response.headers)


def test_each_header_is_sent_once() -> None:
    """Two policies would be a riddle, and two cache controls a bet."""
    for path in (*OWN_PAGES, "/verify", "/health"):
        names = [name for name, _ in Api().call("GET", path).headers.raw]
        assert len(names) == len(set(names)), path


def test_the_docs_run_scripts_of_this_server_alone() -> None:
    """No inline script, nothing from elsewhere, no form, no frame."""
    api = Api()
    page = api.call("GET", "/docs")
    policy = policy_of(page)
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=", page.text)
    assert api.call("GET", "/docs/start.js").headers["cache-control"] == "no-cache"


def test_the_page_that_verifies_runs_the_one_script_it_names() -> None:
    """Its header says what its head says, and what only a header can say."""
    page = Api().call("GET", "/verify")
    told = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page.text)
    assert told is not None
    assert page.headers["content-security-policy"].startswith(told[1])
    policy = policy_of(page)
    assert policy["default-src"] == policy["connect-src"] == policy["frame-ancestors"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", policy["script-src"])
    assert "unsafe" not in page.headers["content-security-policy"]


def test_browsers_are_kept_to_tls_where_that_is_said() -> None:
    """On every answer, pages and refusals included; not a word of it by default."""
    api = Api({"HSTS_SECONDS": "31536000"})
    for path in ("/health", "/verify", "/docs", "/nope"):
        response = api.call("GET", path)
        assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_the_description_names_the_public_address() -> None:
    """Whoever generates a client from it calls the right server."""
    for base, expected in (
        ("https://api.game.example/v1/", "https://api.game.example/v1"),
        ("", "/"),
    ):
        described = Api({"PUBLIC_BASE_URL": base}).call("GET", "/openapi.json").json()
        assert described["servers"] == [{"url": expected}]


# --- pages that are not for players ---


def test_d58_in_production_pages_that_nobody_opened_are_closed() -> None:
    """The metrics and the description are as if there were none; what players need is there."""
    api = Api(CLOSED)
    for path in OWN_PAGES:
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}):
            response = api.call("GET", path, headers=headers)
            assert (response.status_code, error_of(response)["code"]) == (404, "not found")
    assert {api.call("GET", path).status_code for path in ("/health", "/ready", "/verify")} == {200}


@pytest.mark.parametrize("page", ["METRICS", "DOCS"])
def test_a_token_opens_its_own_page_and_no_other(page: str) -> None:
    """By `Bearer`, or as the password that a browser asks for; anything else is 401."""
    api = Api({**CLOSED, f"{page}_TOKEN": TOKEN})
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    mine = {path for path in OWN_PAGES if (path == "/metrics") == (page == "METRICS")}
    for path in OWN_PAGES:
        for shown in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", f"Basic {basic}"):
            response = api.call("GET", path, headers={"Authorization": shown})
            assert response.status_code == (200 if path in mine else 404)
        wrong = ("", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Token {TOKEN}", "Basic !", TOKEN)
        for shown in wrong:
            refused = api.call("GET", path, headers={"Authorization": shown})
            assert refused.status_code == (401 if path in mine else 404), shown
            assert refused.headers.get("www-authenticate", "Basic").startswith("Basic")
            assert TOKEN not in refused.text


@given(st.binary(max_size=60))
def test_no_text_opens_a_page_but_its_token(shown: bytes) -> None:
    """Whatever stands in the header is answered, and with a refusal."""
    response = GUARDED.call("GET", "/metrics", headers={"Authorization": shown})
    assert response.status_code == 401


def test_addresses_open_a_page_where_they_are_sure() -> None:
    """A call that was passed on counts as its caller's by a trusted proxy, else as nobody's."""
    environ = {**CLOSED, "METRICS_ALLOW": "10.1.0.0/16, 2001:db8:5::/48"}
    api, behind = Api(environ), Api({**environ, "TRUSTED_PROXIES": "10.1.0.9"})

    def status(server: Api, peer: str, **headers: str) -> int:
        server.peer = peer
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return server.call("GET", "/metrics", headers=named).status_code

    assert status(api, "10.1.2.3") == 200
    assert status(api, "2001:db8:5:1::1") == 200
    assert status(api, "10.2.0.1") == 404
    for header in ("x_forwarded_for", "forwarded", "x_real_ip"):
        assert status(api, "10.1.2.3", **{header: "10.1.2.3"}) == 404
    assert status(behind, "10.1.0.9", x_forwarded_for="10.1.2.3") == 200
    assert status(behind, "10.1.0.9", x_forwarded_for="10.1.2.3, 192.0.2.1") == 404
    assert status(behind, "10.1.0.9", x_forwarded_for="10.1.2.3, junk") == 404
    assert status(behind, "10.1.0.9") == 200
    for header in ("forwarded", "x_real_ip"):  # a proxy that names the caller where nobody looks
        assert status(behind, "10.1.0.9", **{header: "192.0.2.1"}) == 404
    assert status(behind, "10.1.0.8", x_forwarded_for="10.1.2.3") == 404


@given(st.text(max_size=30), st.text(st.characters(max_codepoint=255), max_size=60))
def test_a_stranger_is_never_sure_by_their_own_word(peer: str, text: str) -> None:
    """No header of a caller who is no proxy makes an address out of it."""
    headers = [(b"x-forwarded-for", text.encode("latin-1"))]
    assert PROXIES.sure("192.0.2.1", headers) is None
    found = PROXIES.sure(peer, [])
    assert found is None or found == ip_address(peer)


def test_d26_guessing_at_a_token_is_bounded() -> None:
    """By address; who has the token isn't held up."""
    api = Api({**CLOSED, "METRICS_TOKEN": TOKEN, "RATE_LIMIT_PER_MINUTE": "3"})
    bad = {"Authorization": "Bearer nope"}
    statuses = [api.call("GET", "/metrics", headers=bad).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert api.call("GET", "/metrics", headers=good).status_code == 200


# --- limits ---


def test_d26_what_costs_most_has_a_limit_of_its_own() -> None:
    """Claims, wallets, payments, logins and whatever asks the chain; by player, or by address."""
    api = Api({f"{name.upper()}_RATE_LIMIT_PER_MINUTE": "2" for name in LIMITS})
    calls = {
        (Claims, "POST", "/api/economy/claim-aiba"): True,
        (Wallets, "POST", "/api/wallet/connect"): True,
        (Brokers, "POST", "/api/brokers/create-with-ton"): True,
        (Sessions, "POST", "/api/auth/session"): False,
        (Vault, "GET", "/api/vault/inventory"): False,
        (SolvencyRoutes, "GET", "/api/solvency"): False,
    }
    assert len(calls) > len(LIMITS)
    for (controller, method, path), is_by_player in calls.items():
        assert controller in GAME_ROUTES
        limited = _with(api, controller)
        # Bodies are empty: what is wrong with a call is looked at after it was counted.
        mine = [limited.call(method, path, headers=api.as_player(), body={}) for _ in range(3)]
        assert [each.headers["x-ratelimit-limit"] for each in mine] == ["2"] * 3, path
        assert [each.status_code == 429 for each in mine] == [False, False, True], path
        limited.peer = "192.0.2.77"
        again = limited.call(method, path, headers=api.as_player(), body={})
        assert (again.status_code == 429) == is_by_player, path


def _with(api: Api, controller: Any) -> Api:  # noqa: ANN401 - a class of the framework's
    """Return the application with routes whose parts are missing: only what is before them runs."""
    limited = Api()
    limited.edge = create_app(
        api.settings,
        routes=[controller],
        limiter=MemoryRateLimiter(),
        metrics=Metrics(process=False),
        now_ms=lambda: api.now_ms,
        dependencies={name: Provide(lambda: None, sync_to_thread=False) for name in PARTS},
    )
    return limited


# --- time ---


def test_d02_a_request_that_never_ends_is_answered() -> None:
    """After its time it gets 503 with a code of its own, counted and cut off."""
    cut_off: list[bool] = []

    @get("/stuck")
    async def stuck() -> Reply:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            cut_off.append(True)
            raise
        return data_reply({}, "never")

    api = Api()
    api.edge = create_app(
        load({**ENVIRON, "REQUEST_TIMEOUT_SECONDS": "1"}),
        routes=[stuck],
        limiter=api.limiter,
        metrics=api.metrics,
        now_ms=lambda: api.now_ms,
    )
    api.edge._deadline_s = 0.01
    response = api.call("GET", "/stuck")
    assert (response.status_code, error_of(response)["code"]) == (503, "timed out")
    assert response.headers["retry-after"] == "1"
    assert ALWAYS.items() <= dict(response.headers).items()
    assert cut_off == [True]
    counted = (
        'aiba_http_request_duration_seconds_count{method="GET",path="/stuck",status_code="503"}'
    )
    assert f"{counted} 1.0" in api.metrics.render().decode()


def test_a_flood_of_questions_is_one_look() -> None:
    """However many ask at once whether the service works, its dependencies are asked once."""
    looks: list[int] = []

    async def look() -> None:
        looks.append(1)
        await asyncio.sleep(0.01)

    api = Api(probes=[Probe(name="store", check=look)])

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(api.edge)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as http:
            answers = await asyncio.gather(*(http.get("/ready") for _ in range(20)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200] * 20
    assert len(looks) == 1
    assert api.call("GET", "/ready").status_code == 200
    assert len(looks) == 2


ENVIRON: Final[Mapping[str, str]] = {"APP_ENV": "test", "AIBA_DATA_DIR": "/nonexistent"} | {
    "TELEGRAM_BOT_TOKEN": "123456:TESTTESTTESTTESTTEST",
    "SESSION_SECRET": "correct-horse-battery-staple-0123",
    "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
}
GUARDED: Final = Api({**CLOSED, "METRICS_TOKEN": TOKEN, "RATE_LIMIT_PER_MINUTE": "1000000"})

PARTS: Final = ("vaults", "wallets", "shop", "desk", "pipeline", "queries", "solvency")
