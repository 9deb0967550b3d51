"""The shipped dashboard of Grafana, and what its panels ask for."""

import json
from typing import Any, Final

from tests.support.alerts import ROOT

FILE: Final = ROOT / "deploy" / "grafana" / "aiba.json"
RATE_INTERVAL: Final = "$__rate_interval"
"""Grafana's own variable for a window that fits the picture and the scrape interval."""


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something, rows left out."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Return every expression, as Grafana sends it for a window of a minute."""
    return [
        target["expr"].replace(RATE_INTERVAL, "1m")
        for panel in panels()
        for target in panel["targets"]
    ]
