"""The shipped dashboard: a whole one, that asks for what is exported, and for all that matters."""

import re
from collections import Counter

import pytest

from tests.support.alerts import ALERTS, faults, rules, series_of
from tests.support.dashboard import dashboard, panels, queries

ROWS = (
    "At a glance",
    "Economy",
    "Battles",
    "Claims and the chain",
    "Signer",
    "HTTP",
    "Stores",
    "Outbox and audit",
)
SHOWN = {
    "aiba_economy_day_emitted",
    "aiba_economy_day_cap",
    "aiba_economy_sinks_total",
    "aiba_economy_withdrawals_total",
    "aiba_claims_moved_aiba_total",
    "aiba_battle_runs_total",
    "aiba_claims_open",
    "aiba_http_request_duration_seconds_count",
    "aiba_mongo_commands_total",
    "aiba_redis_requests_total",
    "aiba_signer_requests_total",
    "aiba_outbox_lag_seconds",
    "aiba_ledger_audit_ok",
}
"""What an operator must see: emission against caps, sinks, withdrawals, and each part's life."""


@pytest.mark.parametrize("query", queries())
def test_every_panel_asks_for_what_is_exported(query: str) -> None:
    """Names, labels and values are ones that the real metrics have."""
    assert faults(query) == []


def test_every_legend_has_its_labels() -> None:
    """A label in a legend is one that the query leaves on its series."""
    for panel in panels():
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                kept = re.search(rf"by \([^)]*\b{label}\b[^)]*\)", target["expr"])
                bare = re.fullmatch(r"(rate\()?\w+(\[\$__rate_interval\]\))?", target["expr"])
                recorded = target["expr"].startswith("aiba:")
                assert kept or recorded or (bare and label == "instance"), (panel["title"], label)


def test_all_that_matters_is_shown() -> None:
    """Its rows are there, and so are the series of each alert but those of targets."""
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert tuple(rows) == ROWS
    shown = {series for query in queries() for series in series_of(query)}
    assert shown >= SHOWN
    for rule in rules(ALERTS):
        assert series_of(rule["expr"]) & shown, rule["alert"]


def test_it_is_a_dashboard_that_grafana_can_import() -> None:
    """Ids are unique, panels don't overlap, and no data source of ours is built in."""
    whole = dashboard()
    assert whole["uid"]
    assert Counter(panel["id"] for panel in whole["panels"]).most_common(1)[0][1] == 1
    places: set[tuple[int, int]] = set()
    for panel in whole["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & places, panel["title"]
        places |= taken
    sources = {
        part["datasource"]["uid"] for panel in panels() for part in (panel, *panel["targets"])
    }
    assert sources == {"${datasource}"}
