"""A real Prometheus over two running servers of one game, with the rules that are shipped."""

from collections.abc import Iterator

import pytest

from tests.contract.process.support import (
    Server,
    data_of,
    environment,
    mode,
    new_player,
    save_modes,
)
from tests.support.alerts import ALERTS, rules
from tests.support.dashboard import queries
from tests.support.prometheus import Prometheus

LIMIT = 60
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


def test_it_answers_every_query_of_the_dashboard(prometheus: Prometheus) -> None:
    """Each is one that Prometheus can work out; those of a game that is played show something."""
    for query in queries():
        prometheus.ask("query", query=query)
    for query in (
        "max by (currency) (aiba_economy_day_cap)",
        "aiba:day_use:ratio",
        "sum by (result) (rate(aiba_battle_runs_total[1m]))",
        "aiba:http_errors:ratio10m",
        "min(aiba_ledger_audit_ok)",
        'sum(up{job="aiba"})',
    ):
        assert query in queries()
        prometheus.until_it_is(f"count({query}) > bool 0", 1)


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
