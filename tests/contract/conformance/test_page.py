"""The page "Judge a deployment" says what is so."""

import re
from pathlib import Path
from typing import Any

import pytest

from aiba_domain.testing.contracts.registry import Property, describe
from aiba_domain.testing.report import Outcome
from aiba_entry.cli.conformance import conformance
from aiba_entry.conformance import CAPABILITIES, HttpApiContract
from tests.contract.conformance.support import BOT_TOKEN, Site

PAGE = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")
CODE = re.compile(r"<!-- python: (.+?) -->\n```python\n(.*?)```", re.DOTALL)
SUITE = describe(HttpApiContract)


@pytest.mark.parametrize("one", SUITE.properties, ids=lambda one: one.name)
def test_the_page_tells_of_each_property(one: Property) -> None:
    """What it owes, what a failure means and what it needs are those of the suite."""
    owed, _, means = one.owed.partition(" A failure means that ")
    needs = "base" if one.is_base else ", ".join(f"`{each}`" for each in sorted(one.needs))
    assert f"\n| `{one.name}` | {owed} | {means} | {needs} |\n" in PAGE


def test_the_page_tells_of_each_capability_and_option() -> None:
    """Nothing that can be declared or given is left out, and nothing else is told."""
    for capability, text in CAPABILITIES.items():
        assert f"\n| `{capability}` | {text} |\n" in PAGE
    options = {name for each in conformance.params for name in each.opts} - {"--help"}
    assert options <= set(re.findall(r"--[a-z-]+", PAGE))
    assert set(re.findall(r"`test_\w+`", PAGE)) == {f"`{one.name}`" for one in SUITE.properties}


def test_the_code_of_the_page_runs(site: Site) -> None:
    """The class is a suite whose one fixture opens the deployment, with what it declares."""
    code = dict(CODE.findall(PAGE))
    assert len(code) == PAGE.count("```python")
    names: dict[str, Any] = {"url": "http://127.0.0.1:9", "token": BOT_TOKEN}
    exec(compile(code["the class"], "conformance.md", "exec"), names)  # noqa: S102 - our own page
    staging = names["TestStaging"]
    assert issubclass(staging, HttpApiContract)
    assert not staging.__abstractmethods__
    only = {"test_a_good_answer_wears_the_envelope"}
    report = site.judged(capabilities=staging.capabilities, only=only)
    assert report.counts()[Outcome.PASSED] == len(SUITE.base)
    imports = code["the call"].partition("\n\n")[0]
    exec(compile(imports, "conformance.md", "exec"), {})  # noqa: S102 - as above
