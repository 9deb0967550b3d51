"""A real Prometheus over two running servers of one game, with the rules that are shipped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import cycle
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.process.support import (
    Server,
    data_of,
    environment,
    mode,
    new_player,
    save_modes,
)
from tests.support.alerts import ALERTS, recorded, rules
from tests.support.dashboard import queries
from tests.support.exported import Told
from tests.support.prometheus import Prometheus
from tests.support.promql import Wanted, read, takes

LIMIT = 60
MOST_QUERIES = len(queries())
Pair = tuple[Server, Server]


@pytest.fixture(name="servers", scope="module")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Start two processes on one store, with a mode to fight in for ever and a low limit."""
    data_dir = tmp_path_factory.mktemp("pair") / "data"
    environ = environment(data_dir, RATE_LIMIT_PER_MINUTE=str(LIMIT), LEDGER_AUDIT_SECONDS="1")
    save_modes(environ, mode("free"))
    first, second = (Server(data_dir, environ) for _ in range(2))
    try:
        yield first.wait_until_ready(), second.wait_until_ready()
    finally:
        first.kill()
        second.kill()


@pytest.fixture(name="prometheus", scope="module")
def _prometheus(servers: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrape both, each at its own address."""
    targets = [f"127.0.0.1:{server.port}" for server in servers]
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus") / "data", {"aiba": targets})
    try:
        yield prometheus.start()
    finally:
        prometheus.kill()


@contextmanager
def scraped(tell: Callable[[], bytes]) -> Iterator[str]:
    """Let metrics be scraped while the context lasts; return at which address.

    One of two tellings at a time: a counter that falls is one of a process that began anew.
    """
    pages = cycle([tell(), tell()])

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base's name
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(next(pages))

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def refusals(server: Server, times: int) -> None:
    """Ask more often than an address may."""
    with server.client() as http:
        answers = [http.get("/api/fairness").status_code for _ in range(times)]
    assert answers[-1] == 429


def test_it_takes_every_rule_and_none_fails(prometheus: Prometheus) -> None:
    """All that is shipped is loaded, judged, and without an error over the real series."""

    def judged() -> list[dict[str, str]]:
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    prometheus.until(lambda: all(rule["health"] != "unknown" for rule in judged()))
    assert {rule["health"] for rule in judged()} == {"ok"}
    shipped = {rule["alert"] for rule in rules(ALERTS)}
    assert {rule["name"] for rule in judged() if rule["type"] == "alerting"} == shipped


def test_two_processes_add_up_to_one_game(servers: Pair, prometheus: Prometheus) -> None:
    """Counters summed over both are what was done; what both know of the store isn't doubled."""
    fought, paid = 0, 0
    for number, server in enumerate(servers, 1):
        with server.client() as http:
            player = new_player(http, number)
            for turn in range(4 * number):
                body = {"requestId": f"k{turn}", "brokerId": player.broker_id, "modeKey": "free"}
                for _ in range(2):
                    won = data_of(http.post("/api/battle/run", json=body, headers=player.headers))
                fought, paid = fought + 1, paid + won["rewardAiba"]
    for expression, value in (
        ("sum(aiba_battle_runs_total)", fought),
        ('sum(aiba_economy_emitted_total{currency="AIBA"})', paid),
        ('sum(aiba_idempotent_replays_total{command="battle.run"})', fought),
        ("count(aiba_build_info)", 2),
        ('count(aiba_economy_day_cap{currency="AIBA"})', 2),
        ('max(aiba_economy_day_cap{currency="AIBA"})', 1_000_000),
        ("count(aiba_ledger_audit_ok)", 1),
        ("min(aiba_ledger_audit_ok)", 1),
        ('sum(up{job="aiba"})', 2),
    ):
        prometheus.until_it_is(expression, value)
    assert "AibaLedgerImbalance" not in prometheus.firing()


def test_the_dashboard_shows_a_game_that_is_played(servers: Pair, prometheus: Prometheus) -> None:
    """Each query of what these servers export has an answer, and Prometheus takes all others."""
    with servers[0].client() as http:
        families = text_string_to_metric_families(http.get("/metrics").text)
        samples = [(each.name, each.labels) for family in families for each in family.samples]

    def is_there(wanted: Wanted) -> bool:
        """Tell whether a series that is asked for is exported, with its labels."""
        if wanted.name == "up" or wanted.name in recorded():
            through = recorded().get(wanted.name)
            return through is None or all(map(is_there, read(through).wanted))
        return any(
            name == wanted.name
            and all(
                takes(how, text, labels.get(it, "")) for it, (how, text) in wanted.labels.items()
            )
            for name, labels in samples
        )

    shown = [query for query in queries() if all(map(is_there, read(query).wanted))]
    assert len(shown) > MOST_QUERIES // 4
    for query in queries():
        prometheus.ask("query", query=query)
    for query in shown:
        prometheus.until_it_is(f"count({query}) > bool 0", 1)


def test_the_dashboard_shows_all_that_can_be_exported(tmp_path: Path) -> None:
    """With everything that the metrics of a service and a signer can be told, no panel is empty."""
    told = Told()
    with scraped(told.service) as service, scraped(told.signer) as signer:
        targets = {"aiba": [service], "aiba-signer": [signer]}
        prometheus = Prometheus(tmp_path / "prometheus", targets)
        try:
            prometheus.start()
            for query in queries():
                prometheus.until_it_is(f"count({query}) > bool 0", 1)
        finally:
            prometheus.kill()


def test_a_flood_at_the_door_fires_its_alert(servers: Pair, prometheus: Prometheus) -> None:
    """Refusals are seen by Prometheus' own evaluation of the rule as it is shipped."""
    assert "AibaRateLimitSpike" not in prometheus.firing()
    server, _ = servers
    refusals(server, LIMIT + 5)
    seen = 'sum(aiba_rate_limit_hits_total{limit="global",result="refused"})'
    prometheus.until(lambda: (prometheus.value(seen) or 0) > 0)
    refusals(server, 500)
    prometheus.until(lambda: "AibaRateLimitSpike" in prometheus.firing())
    (alert,) = (
        alert
        for alert in prometheus.ask("alerts")["alerts"]
        if alert["labels"]["alertname"] == "AibaRateLimitSpike"
    )
    assert alert["labels"] == {
        "alertname": "AibaRateLimitSpike",
        "limit": "global",
        "severity": "warning",
    }
    assert alert["annotations"]["runbook_url"] == "docs/runbook/rate-limit-spike.md"


def test_a_process_that_dies_fires_its_alert(servers: Pair, prometheus: Prometheus) -> None:
    """One of two is a warning; both are an outage."""
    assert not prometheus.firing() & {"AibaInstanceDown", "AibaServiceDown"}
    first, second = servers
    second.kill()
    prometheus.until(lambda: "AibaInstanceDown" in prometheus.firing())
    assert "AibaServiceDown" not in prometheus.firing()
    first.kill()
    prometheus.until(lambda: "AibaServiceDown" in prometheus.firing())
