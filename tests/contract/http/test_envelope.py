"""Every answer wears the envelope, whatever happened."""

import io
import json
from typing import Any

import pytest

from aiba_domain.errors import DomainError
from aiba_entry.http.errors import STATUS_OF_CODE
from aiba_entry.observability import configure_logging
from tests.contract.http.support import BOT_TOKEN, BROKER, Api, error_of


@pytest.fixture(name="api")
def _api() -> Api:
    return Api()


def test_d02_every_request_is_answered(api: Api) -> None:
    """With the global limit in front of everything, plain requests still get their answers."""
    for path in ("/health", "/ready", "/metrics", f"/api/game/battles/{BROKER}"):
        assert api.call("GET", path).status_code == 200
    assert api.run().status_code == 200


def test_data_answer(api: Api) -> None:
    """A result comes under `data`, with the trace id beside it."""
    response = api.run()
    body = response.json()
    assert set(body) == {"ok", "data", "requestId"}
    assert body["ok"] is True
    assert body["requestId"] == response.headers["x-request-id"]
    assert response.headers["content-length"] == str(len(response.content))


def test_flat_answer_keeps_its_own_request_id(api: Api) -> None:
    """A flat answer's own `requestId` is the idempotency key and is not overwritten."""
    body = api.call("GET", f"/api/game/battles/{BROKER}").json()
    assert body == {"ok": True, "id": BROKER, "limit": 20, "requestId": "own-key"}
    absent = api.call("POST", "/api/game/optional")
    assert absent.json() == {
        "ok": True,
        "empty": True,
        "requestId": absent.headers["x-request-id"],
    }


def test_d61_refusals_carry_their_facts(api: Api) -> None:
    """What a client may act on is in `details`, and `details` is absent when there is nothing."""
    response = api.call("GET", "/api/game/fail/domain")
    assert response.status_code == 429
    assert error_of(response) == {
        "code": "cooldown",
        "message": "cooldown",
        "details": {"retryAfterMs": 1500, "modeKey": "m"},
    }
    assert set(error_of(api.call("GET", "/nope"))) == {"code", "message"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not found"),
        ("POST", "/", 404, "not found"),
        ("GET", "/api/game/battles", 404, "not found"),
        ("GET", f"/api/game/battles/{BROKER}/x", 404, "not found"),
        ("GET", "/api/%00/%ff/..", 404, "not found"),
        ("GET", "/docs/nope", 404, "not found"),
        ("GET", "/api/game/run", 405, "method not allowed"),
        ("DELETE", "/health", 405, "method not allowed"),
        ("BREW", "/health", 405, "method not allowed"),
        ("GET", "/api/game/fail/unavailable", 503, "unavailable"),
    ],
)
def test_d62_unknown_paths_and_methods_wear_the_envelope(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    """No path, method or failure gets an answer of another shape."""
    response = api.call(method, path)
    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("content", [b"{", b"{]", b"\xff\xfe", b"a=b", b'{"brokerId"'])
def test_d62_malformed_json_is_400(api: Api, content: bytes) -> None:
    """A body that is no JSON is the caller's fault, and is said to be it."""
    response = api.call("POST", "/api/game/run", headers=api.as_player(), content=content)
    assert response.status_code == 400
    error = error_of(response)
    assert error["code"] == "validation_error"
    assert error["details"] == {"body": "malformed JSON"}


def test_validation_names_the_fields(api: Api) -> None:
    """Faults of body, path and query are named alike."""
    assert error_of(api.run({"stat": "luck"}))["details"] == {
        "stat": "enum",
        "brokerId": "required",
    }
    response = api.call("GET", "/api/game/battles/xyz")
    assert error_of(response)["details"] == {"id": "objectId"}
    response = api.call("GET", f"/api/game/battles/{BROKER}?limit=0")
    assert error_of(response)["details"] == {"limit": "min:1"}
    response = api.call("GET", f"/api/game/battles/{BROKER}?limit=many")
    assert error_of(response)["details"] == {"limit": "integer"}


def test_blank_query_fields_count_as_absent(api: Api) -> None:
    """`?limit=` asks for no limit in particular."""
    response = api.call("GET", f"/api/game/battles/{BROKER}?limit=&x=1&y=")
    assert response.json()["limit"] == 20


@pytest.mark.parametrize("how", ["crash", "os"])
def test_d58_no_text_of_an_exception_reaches_the_wire(api: Api, how: str) -> None:
    """A failure answers one fixed text; its own stays in the log, once, without secrets."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, secrets=api.settings.secrets)
    response = api.call("GET", f"/api/game/fail/{how}", headers=api.as_player())
    assert response.status_code == 500
    assert error_of(response) == {
        "code": "internal server error",
        "message": "internal server error",
    }
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    failures = [line for line in lines if "exception" in line]
    assert len(failures) == 1
    assert failures[0]["request_id"] == response.headers["x-request-id"]
    assert "Traceback" in failures[0]["exception"]
    assert BOT_TOKEN not in stream.getvalue()


def test_crash_of_the_application_itself_is_answered_and_logged_once(api: Api) -> None:
    """What fails outside every handler still gets the envelope."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream)

    async def broken(*_: Any) -> None:
        raise LookupError("beyond")

    api.edge.app = broken
    response = api.call("GET", "/health")
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal server error"
    assert stream.getvalue().count("Traceback") == 1


def test_every_code_of_the_table_is_a_refusal() -> None:
    """Each code has one status, and none of them says that all went well."""
    assert all(400 <= status < 600 for status in STATUS_OF_CODE.values())
    assert DomainError("cooldown").code in STATUS_OF_CODE


def test_two_applications_in_one_process_share_nothing() -> None:
    """Each application has its own limits, metrics, secrets and routes."""
    first, second = Api({"RATE_LIMIT_PER_MINUTE": "1"}), Api({"RATE_LIMIT_PER_MINUTE": "1"})
    assert first.run().status_code == 200
    assert first.run().status_code == 429
    assert second.run().status_code == 200
    assert b'status_code="429"' not in second.metrics.render()
