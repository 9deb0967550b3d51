"""Health, readiness, metrics and the API's description."""

import asyncio
import re

import pytest

from aiba_entry.http.health import Probe
from aiba_entry.observability import METRICS_CONTENT_TYPE, Metrics
from aiba_entry.service_metrics import Ruling
from tests.contract.http.support import BROKER, Api

SEVEN = {
    "aiba_http_request_duration_seconds",
    "aiba_battle_runs",
    "aiba_battle_anomalies",
    "aiba_auto_bans",
    "aiba_economy_emissions",
    "aiba_economy_sinks",
    "aiba_economy_withdrawals",
}


async def fine() -> None:
    """Find a dependency working."""


async def down() -> None:
    """Find a dependency down."""
    raise ConnectionError("db.internal:5432 refused, password hunter2")


async def stuck() -> None:
    """Never find out."""
    await asyncio.sleep(3600)


def series(metrics: Metrics) -> set[str]:
    """Return every series there is, without its value."""
    lines = metrics.render().decode().splitlines()
    return {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")}


def test_health_touches_nothing() -> None:
    """The process is alive also when all that it needs is down."""
    api = Api(probes=[Probe(name="store", check=down)])
    response = api.call("GET", "/health")
    assert response.status_code == 200
    assert response.json() == {"ok": True, "requestId": response.headers["x-request-id"]}


def test_ready_lists_every_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    """One dependency down makes it 503, each is listed, and no raw text leaks."""
    monkeypatch.setattr("aiba_entry.http.health.PROBE_SECONDS", 0.01)
    api = Api(probes=[Probe(name="store", check=fine)])
    response = api.call("GET", "/ready")
    assert response.status_code == 200
    assert response.json()["checks"] == {"store": {"ok": True}}
    checks = {"store": fine, "seeds": down, "cache": stuck}
    api = Api(probes=[Probe(name=name, check=check) for name, check in checks.items()])
    response = api.call("GET", "/ready")
    assert response.status_code == 503
    assert response.json()["ok"] is False
    assert response.json()["checks"] == {
        "store": {"ok": True},
        "seeds": {"ok": False, "detail": "unavailable"},
        "cache": {"ok": False, "detail": "timed out"},
    }
    assert "hunter2" not in response.text


def test_metrics_have_exactly_the_known_names() -> None:
    """Monitors find the seven names, and beside them only the process's own."""
    api = Api()
    response = api.call("GET", "/metrics")
    assert response.headers["content-type"] == METRICS_CONTENT_TYPE
    metrics = Metrics(process=True)
    names = set(re.findall(r"^# TYPE (\S+)", metrics.render().decode(), re.MULTILINE))
    own = {name for name in names if not name.startswith("aiba_process_")}
    assert {name.removesuffix("_total") for name in own} == SEVEN


def test_metrics_count_routes_not_paths() -> None:
    """A request counts under its route's template, with the status it really had."""
    api = Api()
    api.call("GET", f"/API/game/battles/{BROKER}/")
    api.call("GET", "/api/game/run")
    api.call("POST", "/api/game/run")
    text = api.call("GET", "/metrics").text
    for labels in (
        'method="GET",path="/api/game/battles/{battle_id}",status_code="200"',
        'method="GET",path="/api/game/run",status_code="405"',
        'method="POST",path="/api/game/run",status_code="401"',
    ):
        assert f"aiba_http_request_duration_seconds_count{{{labels}}} 1.0" in text
    assert BROKER not in text


def test_d64_random_paths_methods_and_labels_add_no_series() -> None:
    """10,000 random paths, and any label text, leave the series as they were."""
    api = Api()
    metrics = api.metrics

    def strange(number: int) -> None:
        text = f"x{number}"
        metrics.observe_request(f"M{number}", api.edge._paths.match(f"/{text}").template, 404, 0.1)
        metrics.battle(text, text, text, text)
        metrics.anomaly(text, text, text)
        metrics.auto_ban(text)
        metrics.emission(text, text, text, text)
        metrics.sink(text, text, text, text, 5)
        metrics.withdrawal(text)
        metrics.service.replayed(text)
        metrics.service.ruling(text, Ruling.REFUSED)
        metrics.service.emitted(text, text, 5)
        metrics.chain.claim_moved(text, 5)
        metrics.chain.payment(text)

    api.call("GET", "/nope")
    strange(0)
    before = series(metrics)
    for number in range(1, 10_000):
        strange(number)
    for number in range(50):
        api.call("GET", f"/nope/{number}")
        api.call("GET", f"/api/game/battles/{number}/{number}")
    assert series(metrics) == before


def test_metrics_keep_known_labels_and_amounts() -> None:
    """What is in the closed sets counts under its own name."""
    metrics = Metrics(
        arenas=["prediction"],
        leagues=["pro"],
        mode_keys=["p-pro"],
        reasons=["train"],
        process=False,
    )
    metrics.battle("prediction", "pro", "p-pro", "ok")
    metrics.sink("NEUR", "train", "prediction", "pro", 250)
    metrics.sink("NEUR", "train", "prediction", "pro", 50)
    text = metrics.render().decode()
    battle = '{arena="prediction",league="pro",mode_key="p-pro",result="ok"} 1.0'
    sink = '{arena="prediction",currency="NEUR",league="pro",reason="train"} 300.0'
    assert f"aiba_battle_runs_total{battle}" in text
    assert f"aiba_economy_sinks_total{sink}" in text
    assert "_created" not in text


def test_description_covers_bodies_answers_and_identity() -> None:
    """The OpenAPI description knows each route's body, answers and ways to prove who calls."""
    described = Api().call("GET", "/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    run = described["paths"]["/api/game/run"]["post"]
    schemas = described["components"]["schemas"]
    reference = run["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = schemas[reference.rsplit("/", 1)[1]]
    assert body["required"] == ["brokerId"]
    assert {"requestId", "brokerId", "stat", "name", "amount", "autoClaim"} <= set(
        body["properties"]
    )
    assert set(run["responses"]) >= {"200", "400", "401", "429"}
    assert run["security"] == [{"session": []}, {"initData": []}]
    assert "security" not in described["paths"]["/health"]["get"]
    schemes = {"session", "initData", "admin", "adminToken"}
    assert set(described["components"]["securitySchemes"]) == schemes
    assert "/health" in described["paths"]
    assert not any(path.startswith("/docs") for path in described["paths"])


def test_docs_page_loads_nothing_from_elsewhere() -> None:
    """Everything the page loads is served by this process, and it forbids itself the rest."""
    api = Api()
    page = api.call("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "//" not in page.text.replace("<!DOCTYPE html>", "")
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(loaded) == 3
    for path in loaded:
        asset = api.call("GET", path)
        assert asset.status_code == 200
        assert len(asset.content) > 100
    etag = api.call("GET", loaded[0]).headers["etag"]
    again = api.call("GET", loaded[0], headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_that_verifies_battles_brings_all_it_needs() -> None:
    """It names no address, and forbids itself every one."""
    page = Api().call("GET", "/verify")
    assert page.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.text
    assert re.findall(r'(?:src|href|action)="([^"]*)"', page.text) == ["data:,"]
