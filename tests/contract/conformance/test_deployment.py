"""Our own service passes whole; what can't be judged says why; what isn't declared is no pass."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_domain.testing.contracts.registry import SUITES, describe
from aiba_domain.testing.contracts.suite import Capability
from aiba_domain.testing.report import Outcome, Report
from aiba_entry.cli.conformance import conformance
from aiba_entry.cli.session import OPERATOR
from aiba_entry.conformance import (
    CAPABILITIES,
    Deployment,
    HttpApiContract,
    Unusable,
    judge,
    scout,
)
from tests.contract.conformance.support import BOT_TOKEN, URL, Site, failed
from tests.contract.process.support import (
    BOT_TOKEN as SERVED_TOKEN,
)
from tests.contract.process.support import (
    Server,
    aiba,
    environment,
)

EVERYTHING = frozenset(CAPABILITIES)
SHARED = {
    "test_a_genuine_proof_names_its_player": "IdentityContract",
    "test_a_proof_by_another_secret_is_refused": "IdentityContract",
    "test_a_proof_counts_for_its_time_and_no_longer": "IdentityContract",
    "test_a_proof_of_the_future_is_refused": "IdentityContract",
    "test_a_changed_proof_is_refused_or_the_same": "IdentityContract",
    "test_any_text_is_refused_without_another_error": "IdentityContract",
    "test_no_other_spelling_of_a_token_is_genuine": "SessionsContract",
    "test_first_answer_is_never_replaced": "StoreContract",
    "test_answers_are_remembered_per_principal_command_and_key": "StoreContract",
    "test_guarded_account_never_goes_below_zero": "StoreContract",
    "test_only_one_of_many_units_can_take_the_last_unit": "StoreContract",
    "test_concurrent_units_are_serial": "StoreContract",
    "test_read_follows_the_units_that_were_answered": "StoreContract",
    "test_pages_of_battles_are_the_whole": "StoreContract",
    "test_modes_are_ordered_by_arena_league_and_key": "StoreContract",
    "test_epochs_are_ordered_and_the_last_is_open": "StoreContract",
    "test_a_wallet_has_one_player": "StoreContract",
    "test_a_second_claim_in_flight_to_one_recipient_is_undone": "StoreContract",
    "test_the_same_terms_give_the_same_answer": "SignerContract",
    "test_every_answer_is_a_fact": "ChainReaderContract",
    "test_hits_are_allowed_up_to_the_limit": "RateLimiterContract",
    "test_keys_and_names_count_apart": "RateLimiterContract",
}
"""Properties that a port's suite has too, under the same name and with the same meaning."""


UNSEEN = {Capability.WALLETS, Capability.VAULT, Capability.DAILY_CAPS, Capability.ROTATION}
"""What a server that is just started can't do, so that it is tried in this process."""


@pytest.fixture(name="report", scope="module")
def _report(site: Site) -> Report:
    """Return what came of the properties that need a vault, caps or rotation."""
    properties = describe(HttpApiContract).properties
    with telling(site, {Currency.AIBA: 10**9}):
        return site.judged(only={one.name for one in properties if one.needs & UNSEEN})


@contextlib.contextmanager
def telling(site: Site, caps: Mapping[Currency, int]) -> Iterator[None]:
    """Tell of daily caps for a while."""
    before = site.deployment.terms
    site.deployment.terms = replace(before, daily_caps=caps)
    yield
    site.deployment.terms = before


def other(answers: Mapping[str, object], status: int = 200) -> Deployment:
    """Return a deployment of something else: it answers some paths, and 404 for all others."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        return httpx.Response(status if path in answers else 404, json=answers.get(path))

    transport = httpx.MockTransport(answer)
    return Deployment(URL, bot_token=BOT_TOKEN, transport=transport)


# --- what passes ---


def test_a_service_with_a_vault_passes_what_needs_one(report: Report) -> None:
    """Wallets, withdrawals, caps and verified receipts: all is tried, and all passes."""
    assert frozenset(report.capabilities) == EVERYTHING
    needs = {one.name: one.needs for one in describe(HttpApiContract).properties}
    tried = {one.case: one.outcome for one in report.results if needs[one.name] & UNSEEN}
    assert set(tried.values()) == {Outcome.PASSED}, report.text()
    assert len(tried) == 13


def test_the_report_names_what_was_judged(report: Report) -> None:
    """The suite with its version, the deployment with the one it tells, and no secret."""
    document = json.loads(report.json())
    assert (document["suite"], document["suiteVersion"]) == ("HttpApiContract", "1.0")
    assert (document["adapter"], document["adapterVersion"]) == (URL, "0.1.0")
    assert document["isGreen"] is False, "what wasn't asked for wasn't tried"
    assert BOT_TOKEN not in report.json() + report.junit() + report.text()


def test_shared_properties_are_those_of_the_ports() -> None:
    """A property that is visible from outside has the name that its port's suite gives it."""
    mine = {one.name for one in describe(HttpApiContract).properties}
    for name, suite in SHARED.items():
        assert name in mine
        assert name in {one.name for one in describe(SUITES[suite]).properties}


def test_every_property_says_what_it_owes_and_what_a_failure_means() -> None:
    """Whoever reads a report sees what is at stake, and the suite names every capability."""
    suite = describe(HttpApiContract)
    for one in suite.properties:
        assert "A failure means that " in one.owed
        assert not one.owed.startswith("A failure means")
    assert suite.capabilities == EVERYTHING
    assert all(f"`{each}`" in (HttpApiContract.__doc__ or "") for each in suite.capabilities)


# --- what isn't tried ---


def test_what_is_not_declared_is_never_passed(site: Site) -> None:
    """Where an operator declares little, little is tried, and the rest is told as not declared."""
    report = site.judged(
        capabilities=[Capability.HISTORY], only={"test_a_bad_page_is_refused_by_name"}
    )
    needs = {one.name: one.needs for one in describe(HttpApiContract).properties}
    for result in report.results:
        lacking = not needs[result.name] <= {Capability.HISTORY}
        assert (result.outcome is Outcome.NOT_DECLARED) is lacking, result
    assert report.counts()[Outcome.NOT_DECLARED] > 40
    assert report.counts()[Outcome.PASSED] == 3 + 7


def test_what_is_declared_and_not_there_fails(site: Site) -> None:
    """A declared vault that refuses every claim is a failure, not a gap."""
    broken = {"test_a_claim_is_what_was_asked"}
    report = site.judged(
        capabilities=EVERYTHING, only=broken, front=without("/api/economy/claim-aiba")
    )
    assert failed(report) == broken


def without(path: str) -> Any:  # noqa: ANN401 - a front
    """Return what hides a path."""

    def front(app: Any) -> Any:  # noqa: ANN401 - ASGI
        async def served(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            gone = {"path": "/gone", "raw_path": b"/gone"}
            await app({**scope, **gone} if scope["path"] == path else scope, receive, send)

        return served

    return front


def test_withdrawals_are_blocked_where_no_wallet_can_be_bound(site: Site) -> None:
    """Told another domain than the service lets wallets sign for, one property says so."""
    told = site.deployment.terms
    site.deployment.terms = replace(told, wallet_domain="elsewhere.example")
    first, later = "test_a_wallet_is_bound_by_its_owners_proof", "test_a_claim_is_what_was_asked"
    report = site.judged(only={first, later})
    site.deployment.terms, site.deployment.binds_wallets = told, True
    assert failed(report) == {first}
    assert "made for another domain" in report.text()
    found = {one.name: (one.outcome, one.found) for one in report.results}
    assert found[later] == (Outcome.BLOCKED, f"blocked: {first}")


def test_a_run_out_of_bounds_is_blocked_not_green(site: Site) -> None:
    """What the bounds leave untried is blocked; nothing of it counts as passed."""
    usual, most = site.deployment.bounds, site.deployment.sent + 60
    site.deployment.bounds = replace(usual, requests=most)
    report = site.judged()
    site.deployment.bounds = usual
    blocked = [one for one in report.results if one.outcome is Outcome.BLOCKED]
    assert failed(report) == set()
    assert {one.found for one in blocked} == {f"blocked: the run has made its {most} requests"}
    assert site.deployment.sent <= most
    assert not report.is_green


def test_a_cap_that_is_passed_is_found(site: Site) -> None:
    """Told a smaller cap than the service keeps, the run finds more emitted."""
    broken = {"test_what_a_day_emits_is_within_its_cap"}
    with telling(site, {Currency.AIBA: 5}):
        assert failed(site.judged(only=broken)) == broken


def test_closed_emission_is_no_failure(site: Site) -> None:
    """Where a day's cap is reached nothing can be bought: those properties aren't declared."""
    only = {"test_a_flat_answer_is_flat", "test_a_price_is_what_is_taken"}
    usual = EconomyPolicy()
    change(site, daily_cap_neur=1, daily_cap_aiba=1)
    report = site.judged(only=only)
    change(site, daily_cap_neur=usual.daily_cap_neur, daily_cap_aiba=usual.daily_cap_aiba)
    assert failed(report) == set()
    found = {one.name: one.outcome for one in report.results}
    assert {found[name] for name in only} == {Outcome.NOT_DECLARED}


def change(site: Site, **policy: int) -> None:
    """Make the next version of the economy's policy."""
    command = ChangePolicy(changes=policy)
    site.deployment.run(site.container.pipeline().execute(OPERATOR, command))


def test_a_seed_draws_the_same(site: Site) -> None:
    """What is drawn depends on the seed alone, whatever the service answers."""
    drawn = []
    for seed in (7, 7, 8):
        site.judged(only={"test_any_text_is_refused_without_another_error"}, seed=seed)
        drawn.append(site.deployment.attempted("any text"))
    assert drawn[0] == drawn[1] != drawn[2]


# --- what can't be judged ---


def test_another_service_is_told_as_that() -> None:
    """A service that answers something else isn't judged, and the message shows its answer."""
    for answers in (
        {},
        {"/api/game-modes": {"hello": "world"}},
        {"/api/game-modes": {"ok": True, "data": ["x"]}},
    ):
        deployment = other(answers)
        with pytest.raises(Unusable, match=r"is not this API: GET /api/game-modes"):
            judge(deployment)
        deployment.close()


def test_a_game_without_accounts_is_told_as_that() -> None:
    """Modes alone make no API: the balances are named that are missing."""
    good = {"ok": True, "data": []}
    deployment = other({"/api/game-modes": good, "/api/economy/me": good})
    with pytest.raises(Unusable, match=r"is not this API: GET /api/economy/me"):
        scout(deployment)
    deployment.close()


def test_a_refused_bot_token_is_told_as_that(site: Site) -> None:
    """A token of another bot gets nobody in, and isn't shown."""
    token = "999:of-another-bot-entirely-0123456789"
    deployment = Deployment(
        URL, bot_token=token, transport=httpx.ASGITransport(site.app, client=("192.0.2.7", 1))
    )
    with pytest.raises(Unusable, match=r"refuses the bot token") as refusal:
        scout(deployment)
    deployment.close()
    assert token not in str(refusal.value)
    assert "hash=" not in str(refusal.value)


# --- the command ---


def test_the_command_judges_a_server_on_a_socket(tmp_path: Path) -> None:
    """`aiba serve` as it is started passes; the report is written, and the secrets are nowhere."""
    data = tmp_path / "data"
    environ = environment(data, RATE_LIMIT_PER_MINUTE="600", BATTLE_RATE_LIMIT_PER_MINUTE="25")
    server = Server(data, environ)
    try:
        url = server.wait_until_ready().base_url
        token = tmp_path / "token"
        token.write_text(SERVED_TOKEN)
        files = {"--json": tmp_path / "report.json", "--junit": tmp_path / "report.xml"}
        words = [str(word) for pair in files.items() for word in pair]
        run = aiba(
            {"PATH": environ["PATH"], "CI": "1"},
            *("conformance", "--url", url, "--bot-token-file", str(token), *words),
        )
    finally:
        server.kill()
    assert run.returncode == 0, run.stdout + run.stderr
    document = json.loads(files["--json"].read_text())
    assert document["counts"]["failed"] == document["counts"]["blocked"] == 0
    assert document["isGreen"] is True
    assert document["counts"]["passed"] >= 94
    assert document["counts"]["not declared"] == 13
    assert "not declared: vault" in run.stdout
    assert "declared  battles, funds, history, limits, receipts, sessions" in run.stdout
    told = run.stdout + run.stderr + "".join(each.read_text() for each in files.values())
    assert SERVED_TOKEN not in told
    assert "seed 0, run " in run.stdout
    assert "asked for: 0 s" in run.stdout, "nobody runs into a limit unless it is to be met"


@pytest.mark.parametrize(
    ("words", "environ", "text"),
    [
        ([], {}, "--url is needed"),
        (["--url", "ftp://x"], {}, "--url is needed"),
        (["--url", "http://127.0.0.1:9"], {}, "bot's token is needed"),
        (
            ["--url", "http://127.0.0.1:9"],
            {"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_BOT_TOKEN_FILE": "x"},
            "is given twice",
        ),
        (
            ["--url", "http://u:secret@127.0.0.1:9"],
            {"TELEGRAM_BOT_TOKEN": BOT_TOKEN},
            "http://127.0.0.1:9 can't be reached",
        ),
        (
            ["--url", "http://127.0.0.1:9", "--capability", "magic"],
            {"TELEGRAM_BOT_TOKEN": BOT_TOKEN},
            "there are sessions",
        ),
        (
            ["--url", "http://127.0.0.1:9", "--only", "test_magic"],
            {"TELEGRAM_BOT_TOKEN": BOT_TOKEN},
            "see --list",
        ),
        (
            ["--url", "http://127.0.0.1:9", "--daily-cap", "GOLD=1"],
            {"TELEGRAM_BOT_TOKEN": BOT_TOKEN},
            "is no currency",
        ),
    ],
)
def test_what_cannot_be_run_is_a_clear_message(
    words: list[str], environ: dict[str, str], text: str
) -> None:
    """A wrong option or nobody at the other end ends with 2 and one message, no traceback."""
    names = ("TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN_FILE")
    run = CliRunner().invoke(conformance, words, env={**dict.fromkeys(names), **environ})
    assert run.exit_code == 2, run.output
    assert text in run.output
    assert "Traceback" not in run.output
    assert "secret" not in run.output
    assert BOT_TOKEN not in run.output
