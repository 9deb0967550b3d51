"""A deployment with a fault fails at the property that the fault breaks, and shows the exchange."""

import pytest

from aiba_domain.testing.report import Outcome
from tests.contract.conformance.faults import FAULTS, alters, ask, behind, rounds_ids
from tests.contract.conformance.support import BOT_TOKEN, Site, failed


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fails_at_its_property(site: Site, name: str) -> None:
    """Each planted fault is found by the property named for it, with a call and its answer."""
    make, broken = FAULTS[name]
    report = site.judged(front=behind(make), only=broken)
    assert failed(report) == broken
    for result in report.failures():
        assert result.owed in report.text()
        assert "-> " in result.found, "it shows an exchange"
    assert BOT_TOKEN not in report.json()
    assert "hash=" not in report.json()


def test_what_builds_on_a_broken_base_is_blocked(site: Site) -> None:
    """Where players aren't told apart nothing else is tried, and nothing of it counts as passed."""
    report = site.judged(front=behind(alters(ask("/api/economy/me"), rounds_ids)))
    assert failed(report) == {"test_a_genuine_proof_names_its_player"}
    counts = report.counts()
    assert counts[Outcome.PASSED] == 2, "the other base properties"
    assert counts[Outcome.BLOCKED] > 50
    assert not report.is_green
