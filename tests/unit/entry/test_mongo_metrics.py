"""Every series of MongoDB's store is in docs/metrics.md, with its labels and all their values."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_adapters.mongo_meter import (
    COMMANDS,
    OTHER,
    Closed,
    Connections,
    NoConnection,
    Resolved,
    Trouble,
)
from aiba_entry.mongo_metrics import OK, MongoMetrics
from aiba_entry.observability import Metrics

TEXT = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text().partition("## MongoDB")[2]


@pytest.fixture(name="told")
def _told() -> MongoMetrics:
    """Return metrics that were told everything that can be told."""
    metrics = MongoMetrics()
    metrics.watch(Connections())
    metrics.connected()
    metrics.cleared()
    metrics.reconnect()
    metrics.primary_changed()
    for name in (*COMMANDS, OTHER):
        for trouble in (None, *Trouble):
            metrics.command(name, 0.1, trouble)
    for closed in Closed:
        metrics.disconnected(closed)
    for missed in (None, *NoConnection):
        metrics.checkout(0.1, missed)
    for trouble in Trouble:
        metrics.retry(trouble)
    for outcome in Resolved:
        metrics.lost_commit(outcome)
    return metrics


def documented() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Give every documented metric with its kind and labels."""
    for line in TEXT.splitlines():
        if line.startswith("| `aiba_"):
            names, kind, labels, _ = (cell.strip() for cell in line.strip("|").split("|"))
            outside = re.sub(r"\([^)]*\)", "", labels)
            for name in re.findall(r"`(\w+)`", names):
                yield name, kind, frozenset(re.findall(r"`(\w+)`", outside))


def counted(metrics: MongoMetrics) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Give every metric that is there with its kind and labels."""
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        yield name, family.type, frozenset(labels)


def test_every_metric_is_documented_and_no_other(told: MongoMetrics) -> None:
    """By its name, kind and labels."""
    assert set(documented()) == set(counted(told))


def test_every_value_of_a_label_is_documented(told: MongoMetrics) -> None:
    """All but the commands' names, which are the server's."""
    values = {
        value
        for family in told.registry.collect()
        for sample in family.samples
        for label, value in sample.labels.items()
        if label not in ("le", "command")
    }
    assert values == {OK, *Trouble, *Closed, *NoConnection, *Resolved}
    assert {value for value in values if f"`{value}`" not in TEXT} == set()


def test_it_is_shown_beside_what_else_is_counted(told: MongoMetrics) -> None:
    """Joined, it is in the one text that is scraped; a client's gauges are as of the scrape."""
    connections = Connections(open=3, in_use=2, primary=("db", 1))
    metrics, ours = Metrics(process=False), MongoMetrics()
    ours.watch(connections)
    metrics.join(ours.registry)
    assert b"aiba_mongo_pool_size 3.0" in metrics.render()
    connections.open, connections.primary = 4, None
    text = metrics.render()
    assert b"aiba_mongo_pool_size 4.0" in text
    assert b"aiba_mongo_primary_known 0.0" in text
    assert b"aiba_mongo_pool_in_use 2.0" in text
    assert b"aiba_http" in text
    assert told.registry is not ours.registry
