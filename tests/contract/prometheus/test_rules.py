"""The shipped rules: each fires and is silent where it should, and asks for what is exported."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import yaml

from tests.support.alerts import ALERTS, CASES, FOLDER, RECORDING, ROOT, faults, rules, series_of
from tests.support.exported import exported
from tests.support.promql import read
from tests.support.redis import needed

RULES: Final = {rule["alert"]: rule for rule in rules(ALERTS)}
TESTS: Final[list[dict[str, Any]]] = [
    test for file in CASES for test in yaml.decode(file.read_bytes())["tests"]
]
SEVERITIES: Final = {"critical", "warning"}
NAMED: Final = {
    "AibaAnomalySpike": {"aiba_battle_anomalies_total"},
    "AibaAutoBanSpike": {"aiba_auto_bans_total"},
    "AibaLedgerImbalance": {"aiba_ledger_audit_ok"},
    "AibaLedgerAuditStale": {"aiba_ledger_audit_last_success_timestamp_seconds"},
    "AibaVaultTonLow": {"aiba_vault_ton_nano", "aiba_vault_min_ton_nano"},
    "AibaVaultJettonsLow": {"aiba_vault_jettons"},
    "AibaMongoReconnects": {"aiba_mongo_reconnects_total"},
    "AibaApiErrors": {"aiba_http_request_duration_seconds_count"},
    "AibaBattleErrors": {"aiba_battle_runs_total"},
    "AibaRateLimitSpike": {"aiba_rate_limit_hits_total"},
    "AibaClaimsStuck": {"aiba_claims_oldest_open_age_seconds"},
    "AibaSignerRefusals": {"aiba_signer_requests_total"},
    "AibaTonProviderErrors": {"aiba_ton_requests_total"},
    "AibaOutboxStuck": {"aiba_outbox_lag_seconds"},
    "AibaInstanceDown": {"up"},
}
"""The alerts that operators must have, and what each goes by."""


def promtool(*arguments: str) -> str:
    """Run promtool in the rules' folder, and return what it said once it is content."""
    run = subprocess.run(  # noqa: S603 - Prometheus' own tool
        [needed("promtool"), *arguments],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def cases(alert: str, *, fires: bool) -> list[dict[str, Any]]:
    """Return the cases of an alert that expect it, or that expect it not."""
    return [
        test
        for test in TESTS
        for each in test["alert_rule_test"]
        if each["alertname"] == alert and bool(each["exp_alerts"]) is fires
    ]


def test_every_case_comes_out_as_it_says() -> None:
    """Prometheus' own evaluation of the shipped rules over each case's series."""
    promtool("check", "rules", ALERTS.name, RECORDING.name)
    told = promtool("test", "rules", *(f"tests/{file.name}" for file in CASES))
    assert told.count("SUCCESS") == len(CASES)


@pytest.mark.parametrize("second", ["idle", "busy"])
def test_every_case_comes_out_the_same_with_two_processes(second: str, tmp_path: Path) -> None:
    """No alert fires twice, and none is missed or made by adding up what both know.

    An idle process has counters that stand still. A busy one has done half of what was done, and
    knows what all share; alerts of one process by itself are left out there.
    """
    files = []
    for file in CASES:
        # As texts: YAML takes 0x20 for 32.
        text = re.sub(r"values: ([^'\n]+)", r"values: '\1'", file.read_text(encoding="utf-8"))
        whole = yaml.decode(text)
        whole["rule_files"] = [str(RECORDING), str(ALERTS)]
        whole["tests"] = [
            test
            for test in whole["tests"]
            if second == "idle" or not _is_of_one_process(test["alert_rule_test"][0]["alertname"])
        ]
        for test in whole["tests"]:
            given = test["input_series"]
            test["input_series"] = [one for each in given for one in _with_second(each, second)]
        files.append(tmp_path / file.name)
        files[-1].write_bytes(yaml.encode(whole))
    told = promtool("test", "rules", *map(str, files))
    assert told.count("SUCCESS") == len(CASES)


def _is_of_one_process(alert: str) -> bool:
    expression = RULES[alert]["expr"]
    return "instance" in read(expression).grouped_by or series_of(expression) == {"up"}


def _with_second(given: dict[str, str], second: str) -> list[dict[str, str]]:
    """Return a case's series as one process of two has it, and the other's."""
    series, values = given["series"], given["values"]
    other = re.sub(r'instance="([^"]*)"', r'instance="\1-second"', series)
    if re.match(r"aiba_\w+_(total|count|bucket|sum)[{]", series):
        if second == "idle":
            return [given, {"series": other, "values": "0x200"}]
        half = " ".join(map(_halved, values.split()))
        return [{"series": each, "values": half} for each in (series, other)]
    is_known = second == "busy" and not series.startswith("up")
    return [given, {"series": other, "values": values}] if is_known else [given]


def _halved(token: str) -> str:
    """Return a run of values, such as `0+90x60`, with each value halved."""
    run, _, times = token.partition("x")
    if run == "_":
        return token
    halves = "+".join(f"{float(each) / 2:g}" for each in run.split("+"))
    return f"{halves}x{times}" if times else halves


def test_the_configuration_that_is_shipped_is_one() -> None:
    """Prometheus takes it, with the files of rules that it names."""
    told = promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert "SUCCESS" in told
    shipped = yaml.decode((FOLDER / "prometheus.yml").read_bytes())
    assert shipped["rule_files"] == [RECORDING.name, ALERTS.name]
    assert {job["job_name"] for job in shipped["scrape_configs"]} == {"aiba", "aiba-signer"}


def test_every_alert_that_operators_must_have_is_there() -> None:
    """Each goes by the series that tells of what it is named for."""
    assert NAMED.keys() <= RULES.keys()
    for name, series in NAMED.items():
        assert series <= series_of(RULES[name]["expr"]), name


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_has_a_case_of_either_kind(alert: str) -> None:
    """The silent one has series of what the alert goes by, so it isn't silent for want of any."""
    fires, silent = cases(alert, fires=True), cases(alert, fires=False)
    assert fires
    assert silent
    wanted = series_of(RULES[alert]["expr"])
    for case in silent:
        given = {read(each["series"]).wanted[0].name for each in case["input_series"]}
        assert given & wanted
    for case in (*fires, *silent):
        for each in case["input_series"]:
            (series,) = read(each["series"]).wanted
            assert faults(_without_target(each["series"])) == [], series.name


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert: str) -> None:
    """A severity, two texts, and a page that has the four parts and names the alert."""
    rule = RULES[alert]
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page.parent == ROOT / "docs" / "runbook"
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:4] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert f"`{alert}`" in text


def test_no_two_alerts_share_a_page() -> None:
    """Whoever is woken by one finds a page of its own, and all of them in the index."""
    urls = [rule["annotations"]["runbook_url"] for rule in RULES.values()]
    assert len(set(urls)) == len(urls) == len(rules(ALERTS))
    index = (ROOT / "docs" / "runbook" / "README.md").read_text(encoding="utf-8")
    for alert, rule in RULES.items():
        page = rule["annotations"]["runbook_url"].rpartition("/")[2]
        assert f"[`{alert}`]({page})" in index


@pytest.mark.parametrize("rule", [*rules(ALERTS), *rules(RECORDING)], ids=str)
def test_every_rule_asks_for_what_is_exported(rule: dict[str, Any]) -> None:
    """Names, labels and values are ones that the real metrics have."""
    assert faults(rule["expr"]) == []


@pytest.mark.parametrize(
    "expression",
    [
        "aiba_battle_run_total",
        'aiba_battle_runs_total{outcome="error"}',
        'aiba_battle_runs_total{result="failed"}',
        'aiba_battle_runs_total{result=~"ok|failed"}',
        "sum by (result) (aiba_auto_bans_total)",
        "aiba:no_such:record > 1",
    ],
)
def test_what_nobody_exports_is_found(expression: str) -> None:
    """A name, a label, a value, one of several values, a grouping, a recorded name."""
    assert len(faults(expression)) == 1


def test_the_exported_names_are_those_of_a_registry() -> None:
    """Every kind of metric is there with its suffix."""
    for name in (
        "aiba_battle_runs_total",
        "aiba_http_request_duration_seconds_bucket",
        "aiba_ledger_audit_findings",
        "aiba_mongo_reconnects_total",
        "aiba_signer_requests_total",
        "aiba_build_info",
    ):
        assert name in exported()


def test_every_series_is_documented() -> None:
    """Whoever looks at a series finds in words what it counts."""
    pages = ("metrics.md", "scaling.md", "signer.md")
    text = "".join((ROOT / "docs" / page).read_text(encoding="utf-8") for page in pages)
    for name in exported():
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if not base.startswith(("aiba_process_", "aiba_signer_process_")):
            assert re.search(rf"`{base}[`{{]", text), name


def _without_target(series: str) -> str:
    """Return a case's series without the labels that a scrape gives."""
    return re.sub(r'(job|instance)="[^"]*",?', "", series).replace(",}", "}").replace("{}", "")
