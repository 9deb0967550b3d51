"""What every request passes: id, path, body bound, CORS, log line."""

import io
import json
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_entry.observability import configure_logging
from tests.contract.http.support import BROKER, Api, error_of, init_data

LIMIT = 2048


@pytest.fixture(name="api")
def _api() -> Api:
    return Api({"JSON_BODY_LIMIT": "2kb"})


@pytest.fixture(name="dev")
def _dev(tmp_path_factory: pytest.TempPathFactory) -> Api:
    folder = tmp_path_factory.mktemp("var")
    return Api({"APP_ENV": "dev", "CORS_ORIGIN": "", "AIBA_DATA_DIR": str(folder)})


@pytest.mark.parametrize("sent", ["abc", "A.b:c-d_9", "x" * 128, "  trimmed  "])
def test_request_id_is_taken_over(api: Api, sent: str) -> None:
    """A caller's trace id comes back in header and envelope."""
    response = api.call("GET", "/health", headers={"X-Request-Id": sent})
    assert response.headers["x-request-id"] == response.json()["requestId"] == sent.strip()


@pytest.mark.parametrize("sent", ["", " ", "two words", "x" * 129, 'a"b', "a\tb", "é"])
def test_request_id_is_made_where_none_is_usable(api: Api, sent: str) -> None:
    """An unusable trace id is replaced, never repeated."""
    response = api.call("GET", "/health", headers={"X-Request-Id": sent.encode()})
    made = response.headers["x-request-id"]
    assert UUID(made).version == 4
    assert response.json()["requestId"] == made


def test_d30_trace_id_is_no_idempotency_key(api: Api) -> None:
    """A trace id in a header never turns up as a command's key, and neither does a made one."""
    response = api.run(None, **{"X-Request-Id": "trace-1"})
    assert response.json()["data"]["body"]["requestId"] is None
    assert response.json()["requestId"] == "trace-1"


@pytest.mark.parametrize(
    "path", ["/api/game/run", "/API/Game/RUN", "/api/game/run/", "/Api/gamE/Run/", "/api//game/run"]
)
def test_paths_match_in_any_case_and_with_a_slash(api: Api, path: str) -> None:
    """Clients may write a path in any case, and end it with a slash."""
    response = api.call("POST", path, headers=api.as_player(), body={"brokerId": BROKER})
    assert response.status_code == 200


def test_ids_in_paths_are_left_as_they_came(api: Api) -> None:
    """Matching a path doesn't change what stands in a parameter's place."""
    assert api.call("GET", f"/API/game/BATTLES/{BROKER}").json()["id"] == BROKER
    response = api.call("GET", "/api/game/battles/Not-An-Id")
    assert error_of(response)["details"] == {"id": "objectId"}


def test_head_is_get_without_a_body(api: Api) -> None:
    """HEAD answers what GET would, without the body."""
    response = api.call("HEAD", "/health")
    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["content-type"] == "application/json"
    assert api.call("HEAD", "/nope").status_code == 404
    assert api.status_of("/health", method="HEAD") == 200


def test_unreadable_host_is_400(api: Api) -> None:
    """A host that is none is the caller's fault, and wears the envelope."""
    response = api.call("GET", "/health", headers={"Host": "a b"})
    assert response.status_code == 400
    assert error_of(response)["details"] == {"request": "invalid"}


async def chunks(size: int) -> AsyncIterator[bytes]:
    """Send a body in parts, without saying how long it will be."""
    for _ in range(size // 100):
        yield b" " * 100


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT * 4, LIMIT * 100])
def test_d62_oversize_body_is_413(api: Api, size: int) -> None:
    """A body over the limit is refused with the envelope, said to be that long or not."""
    responses = [
        api.call("POST", "/api/game/run", headers=api.as_player(), content=b" " * size),
        api.call("POST", "/api/game/run", headers=api.as_player(), content=chunks(size + 100)),
        api.call("POST", "/nope", content=b" " * size),
    ]
    for response in responses:
        assert response.status_code == 413
        error = error_of(response)
        assert error["code"] == "payload too large"
        assert error["details"] == {"body": f"maxLength:{LIMIT}"}


def test_body_within_the_limit_is_read(api: Api) -> None:
    """The limit itself is allowed, also in parts."""
    raw = json.dumps({"brokerId": BROKER}).encode()
    whole = raw + b" " * (LIMIT - len(raw))

    async def parts() -> AsyncIterator[bytes]:
        yield whole[:10]
        yield whole[10:]

    for content in (whole, parts()):
        response = api.call("POST", "/api/game/run", headers=api.as_player(), content=content)
        assert response.status_code == 200


def test_cors_allows_exactly_the_listed_origins(api: Api) -> None:
    """A listed page may call with credentials; a page that only looks like it may not."""
    allowed = api.call("GET", "/health", headers={"Origin": "https://game.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://game.example"
    assert allowed.headers["access-control-allow-credentials"] == "true"
    for origin in (
        "https://game.example.evil.example",
        "http://game.example",
        "https://game.example:8443",
        "https://game.example:443",
        "https://game.example.",
        "https://game.example/",
        "https://evil-game.example",
        "https://game.example@evil.example",
        "https://game.example, https://evil.example",
        "HTTPS://GAME.EXAMPLE",
        "game.example",
        "http://localhost:3000",
        "null",
        "*",
        "",
    ):
        refused = api.call("GET", "/health", headers={"Origin": origin})
        assert "access-control-allow-origin" not in refused.headers
        assert refused.headers["vary"] == "Origin"


def test_cors_answers_preflights(api: Api) -> None:
    """A preflight is answered at once, with the headers that were asked for."""
    ask = {
        "Origin": "https://game.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-telegram-init-data",
    }
    response = api.call("OPTIONS", "/api/game/run", headers=ask)
    assert response.status_code == 204
    assert response.headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert response.headers["access-control-allow-headers"] == "x-telegram-init-data"
    refused = api.call("OPTIONS", "/api/game/run", headers=ask | {"Origin": "https://evil.example"})
    assert not any(name.startswith("access-control") for name in refused.headers)


def test_cors_headers_are_on_errors_too(api: Api) -> None:
    """A page can read why it was refused."""
    response = api.call("GET", "/nope", headers={"Origin": "https://game.example"})
    assert response.headers["access-control-allow-origin"] == "https://game.example"


def test_d20_dev_reflects_only_this_machine(dev: Api) -> None:
    """With no list in dev, pages of this machine may call and no others."""
    for origin in ("http://localhost:3000", "http://127.0.0.1:8080", "https://[::1]"):
        response = dev.call("GET", "/health", headers={"Origin": origin})
        assert response.headers["access-control-allow-origin"] == origin
    for origin in (
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost@evil",
    ):
        response = dev.call("GET", "/health", headers={"Origin": origin})
        assert "access-control-allow-origin" not in response.headers


@given(st.binary(max_size=40))
def test_any_origin_is_judged(origin: bytes) -> None:
    """No origin header makes the edge fail."""
    response = API.call("GET", "/health", headers={"Origin": origin})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@given(st.text())
def test_any_path_is_answered(path: str) -> None:
    """No path makes the edge fail."""
    assert API.status_of(f"/{path}") in (404, 405)
    assert API.status_of(f"/api/game/{path}") in (404, 405)


@given(st.binary())
def test_any_length_is_answered(length: bytes) -> None:
    """A length that is no number is no way around the limit."""
    assert API.status_of("/api/game/optional", (b"content-length", length)) in (200, 413)


API = Api()


def test_log_line_holds_no_body_header_or_secret() -> None:
    """One line a request: what it was and how it ended, nothing of what it carried."""
    api = Api()
    stream = io.StringIO()
    configure_logging("DEBUG", stream=stream, secrets=api.settings.secrets)
    launch = init_data()
    api.call(
        "POST",
        "/api/game/run?secret=in-the-query",
        headers={"X-Telegram-Init-Data": launch, "X-Request-Id": "trace-7"},
        body={"brokerId": BROKER, "name": "body-text"},
    )
    api.call("GET", "/api/game/battles/" + BROKER, headers=api.as_player())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (first, second) = [line for line in lines if line["source"] == "aiba.http"]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/api/game/run", 200)
    assert first["request_id"] == "trace-7"
    assert second["path"] == "/api/game/battles/{battle_id}"
    for text in (launch[:20], "in-the-query", "body-text", api.token(), BROKER):
        assert text not in str(first) + str(second)


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "content-type",
        "idempotency-key",
        "origin",
        "x-admin-token",
        "x-telegram-id",
        "x-telegram-init-data",
    ],
)
def test_who_calls_and_what_is_said_once(api: Api, name: str) -> None:
    """Of two such headers a proxy may take one and this service the other: both are refused."""
    good = api.as_player()["Authorization"] if name == "authorization" else "application/json"
    for other in ("x", good):
        headers = [("Authorization", api.as_player()["Authorization"]), (name, good), (name, other)]
        if name == "authorization":
            headers = headers[1:]
        response = api.call("POST", "/api/game/run", headers=headers, body={"brokerId": BROKER})
        assert response.status_code == 400
        assert error_of(response)["details"] == {name: "repeated"}


def test_what_may_come_in_several_lines_does(api: Api) -> None:
    """Lists may be split over lines, and a header that nobody knows is nobody's business."""
    lines = [("X-Forwarded-For", "192.0.2.1"), ("Accept", "a/b"), ("X-Other", "c")]
    assert api.call("GET", "/health", headers=lines * 2).status_code == 200


def test_a_client_that_asks_whether_to_send_too_much_is_told_no(api: Api) -> None:
    """It waits with its body for a word; the word is 413, and nothing of the body is read."""
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b" ")
        yield b" " * (LIMIT + 1)

    headers = {"Expect": "100-continue", "Content-Length": str(LIMIT + 1)}
    response = api.call("POST", "/api/game/run", headers=headers, content=body())
    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    assert read == []
