"""The economy's routes of admins: configuration, money, ledger, days, forecasts, oracle."""

import asyncio
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from aiba_adapters.prices import PriceUnknown
from aiba_domain.economy.config import NAMES, STAMPS
from aiba_domain.money import MAX_AMOUNT
from tests.contract.game.support import DAY, MINUTE, Call, Game, data_of, error_of, flat_of
from tests.support import admins
from tests.support.admins import Panel
from tests.support.stores import opener

CONFIG = "/api/admin/economy/config"
CREDIT = "/api/admin/economy/credit-user"
MakeGame = Callable[..., Game]


@pytest.fixture(name="shared", scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """Return a panel that the tests share which change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    environ = {**admins.ENVIRON, "AIBA_DATA_DIR": str(folder)}
    game = Game(opener("memory", folder), environ=environ)
    yield Panel(game)
    game.close()


def config(panel: Panel) -> dict[str, Any]:
    """Return the configuration document."""
    document: dict[str, Any] = data_of(panel.get(CONFIG))
    return document


def save(panel: Panel, document: object) -> Any:  # noqa: ANN401 - the answer's data
    """Send a document back."""
    return data_of(panel.call("PATCH", CONFIG, document))


# --- the configuration ---


def test_d51_the_panel_can_save_the_whole_document_it_was_given(make_game: MakeGame) -> None:
    """Sent back as it came it changes nothing; edited in one field it changes that, and no other.

    Nor is anything lost where the panel keeps numbers in doubles.
    """
    panel = Panel(make_game())
    document = config(panel)
    assert save(panel, document) == document
    through_doubles = json.loads(json.dumps(document), parse_int=lambda text: int(float(text)))
    assert save(panel, through_doubles) == document
    edited = {**document, "trainNeurCost": 31, "createdAt": "2026-01-01T00:00:00Z"}
    after = save(panel, edited)
    assert (after["version"], after["trainNeurCost"]) == (2, 31)
    stamps = {"_id", "version", "createdAt", "updatedAt"}
    changed = {name for name in document if document[name] != after[name]}
    assert changed == stamps | {"trainNeurCost"}


def test_d51_unknown_fields_are_refused_by_all_their_names(root: Panel) -> None:
    """No field is dropped in silence, and nothing of the rest is saved."""
    before = config(root)
    document = {"trainNeurCost": 9, "stakingMinAiba": 5, "nonsense": {}, "__proto__": 1}
    refused = root.call("PATCH", CONFIG, document)
    assert set(error_of(refused, 400, "unknown_fields")) == set(document) - {"trainNeurCost"}
    assert config(root) == before


def test_two_admins_edits_of_one_document_don_t_take_each_other_back(root: Panel) -> None:
    """Each saves the whole document as it was before; a field that both edited is refused."""
    first, second = config(root), config(root)
    save(root, {**first, "trainNeurCost": 1})
    after = save(root, {**second, "repairNeurCost": 2})
    assert (after["trainNeurCost"], after["repairNeurCost"]) == (1, 2)
    clash = root.call("PATCH", CONFIG, {**second, "trainNeurCost": 3})
    assert error_of(clash, 409, "config changed meanwhile") == {"trainNeurCost": "changed"}


def test_d52_every_field_that_is_taken_takes_effect(root: Panel) -> None:
    """Each setting that the document shows becomes what it is set to; no other is taken."""
    document = config(root)
    assert set(document) == NAMES | STAMPS
    for name in sorted(NAMES):
        now = document[name]
        wanted: object = (not now) if isinstance(now, bool) else None
        if isinstance(now, int | float) and not isinstance(now, bool):
            wanted = now - 1 if now in (24, 10**10) else now + 1
            wanted = 5 if now == MAX_AMOUNT else wanted
        elif isinstance(now, dict):
            hours = {"startHourUtc": 1, "endHourUtc": 2}
            wanted = {"prediction": hours if "Windows" in name else 7}
        after = save(root, {name: wanted})
        assert after[name] == wanted, name


def test_d52_changes_are_kept_with_before_and_after(root: Panel) -> None:
    """In the history of versions, and on record under the admin's name."""
    for cost in (26, 27):
        save(root, {"trainNeurCost": cost})
    history = data_of(root.get(f"{CONFIG}/history?limit=2"))
    assert [each["changed"] for each in history["items"]] == [
        {"trainNeurCost": 27},
        {"trainNeurCost": 26},
    ]
    rest = data_of(root.get(f"{CONFIG}/history?before={history['next']}"))
    assert [each["version"] for each in rest["items"]] == [1]
    row = next(row for row in root.trail() if row["action"] == "config.patch")
    change = row["changes"][0]
    assert change["before"] == {"version": 2, "trainNeurCost": 26}
    assert change["after"] == {"version": 3, "trainNeurCost": 27}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("upgradeAibaCost", 0.5),
        ("upgradeAibaCost", -1),
        ("upgradeAibaCost", 2**63),
        ("upgradeAibaCost", "5"),
        ("upgradeAibaCost", True),
        ("createBrokerCostTonNano", 10**10 + 1),
        ("createBrokerCostTonNano", 10**9 - 1),
        ("emissionEndHourUtc", 25),
        ("guildCreatorShareBps", -0.1),
        ("guildCreatorShareBps", 10**7),
        ("oracleUpdateIntervalMinutes", 1441),
        ("claimsPaused", 1),
        ("emissionWindowsUtc", []),
        ("dailyCapAibaByArena", 5),
    ],
)
def test_d57_no_setting_takes_a_fraction_or_a_value_out_of_range(
    shared: Panel, field: str, value: object
) -> None:
    """The refusal names the field as the wire does, and nothing changes."""
    before = config(shared)
    refused = shared.call("PATCH", CONFIG, {field: value})
    assert set(error_of(refused, 400, "validation_error")) == {field}
    assert config(shared) == before


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("dailyCapAibaByArena", {"prediction": -1}, "dailyCapAibaByArena.prediction"),
        ("dailyCapNeurByArena", {"nowhere": 1}, "dailyCapNeurByArena.nowhere"),
        ("dailyCapAibaByArena", {"prediction": "many"}, "dailyCapAibaByArena"),
        ("dailyCapNeurByArena", {"prediction": 0.5}, "dailyCapNeurByArena"),
        ("emissionWindowsUtc", {"prediction": {"startHourUtc": 1}}, "emissionWindowsUtc"),
        (
            "emissionWindowsUtc",
            {"nowhere:pro": {"startHourUtc": 1, "endHourUtc": 2}},
            "emissionWindowsUtc.nowhere:pro",
        ),
    ],
)
def test_a_map_s_entry_is_refused_by_its_name(
    shared: Panel, field: str, value: object, where: str
) -> None:
    """An entry that would have no effect isn't dropped in silence."""
    refused = shared.call("PATCH", CONFIG, {field: value})
    assert set(error_of(refused, 400, f"invalid {field}")) == {where}


def test_what_is_no_map_or_not_alone_is_a_field_s_fault(shared: Panel) -> None:
    """Only entries of a map have a code of their own, and only where nothing else is wrong."""
    for body, fields in (
        ({"dailyCapAibaByArena": 5}, {"dailyCapAibaByArena"}),
        ({"emissionWindowsUtc": []}, {"emissionWindowsUtc"}),
        (
            {"dailyCapAibaByArena": {"prediction": "x"}, "trainNeurCost": "x"},
            {"dailyCapAibaByArena", "trainNeurCost"},
        ),
    ):
        refused = shared.call("PATCH", CONFIG, body)
        assert set(error_of(refused, 400, "validation_error")) == fields


def test_a_map_is_replaced_whole_and_cleared_by_an_empty_one(root: Panel) -> None:
    """Daily rewards have arenas too, which can be capped."""
    caps = {"prediction": 5, "daily_login": 0}
    assert save(root, {"dailyCapNeurByArena": caps})["dailyCapNeurByArena"] == caps
    game = root.game
    player = game.newcomer()
    refused = game.post("/api/daily/claim", player)
    assert error_of(refused, 503, "daily cap reached") == {"reason": "cap_exceeded"}
    assert save(root, {"dailyCapNeurByArena": {}})["dailyCapNeurByArena"] == {}
    assert flat_of(game.post("/api/daily/claim", player))["neurReward"] == 50


def test_exact_numbers_are_kept_to_every_digit(root: Panel) -> None:
    """A decimal is read as it is written, not as the double nearest to it."""
    sent = b'{"baseRewardAibaPerScore": 0.100000000000000005}'
    call = Call(method="PATCH", path=CONFIG, headers=root.headers, content=sent)
    data_of(root.game.send(call))
    policy = root.game.read(lambda read: read.policy())
    assert policy.rewards.aiba_per_score == Fraction("0.100000000000000005")
    assert save(root, config(root))["version"] == 2


# --- credits and funds ---


def test_d48_a_credit_is_given_once_under_its_key(root: Panel) -> None:
    """However often and at once it is asked for; the answer says that it repeats."""
    body = {"requestId": "gift-1", "telegramId": "77", "aibaDelta": 5, "neurDelta": 7}
    call = Call(method="POST", path=CREDIT, headers=root.headers, body=body)
    answers = [flat_of(answer) for answer in root.game.at_once([call] * 5)]
    assert sorted(answer.get("duplicate", False) for answer in answers) == [False] + [True] * 4
    assert {answer["requestId"] for answer in answers} == {"gift-1"}
    user = data_of(root.get("/api/admin/mod/user?telegramId=77"))
    assert (user["aibaBalance"], user["neurBalance"]) == (5, 7)
    other = root.call("POST", CREDIT, {**body, "aibaDelta": 6})
    error_of(other, 409, "requestId already used")
    assert root.game.sound().entries == 2


def test_d48_a_credit_of_nothing_uses_its_key_up(root: Panel) -> None:
    """The key is remembered though no money moves."""
    body = {"requestId": "none", "telegramId": "77"}
    assert "duplicate" not in flat_of(root.call("POST", CREDIT, body))
    assert flat_of(root.call("POST", CREDIT, body))["duplicate"] is True
    error_of(root.call("POST", CREDIT, {**body, "neurDelta": 1}), 409, "requestId already used")


def test_d48_no_balance_goes_below_zero_and_both_deltas_move_or_none(root: Panel) -> None:
    """A debit of more than there is is refused with what there is."""
    data = {"telegramId": "77", "aibaDelta": 5, "neurDelta": 5}
    flat_of(root.call("POST", CREDIT, {**data, "requestId": "a"}))
    taking = {"telegramId": "77", "aibaDelta": -5, "neurDelta": -6, "requestId": "b"}
    refused = root.call("POST", CREDIT, taking)
    assert error_of(refused, 403, "insufficient NEUR") == {"need": 6, "have": 5}
    user = data_of(root.get("/api/admin/mod/user?telegramId=77"))
    assert (user["aibaBalance"], user["neurBalance"]) == (5, 5)
    taken = flat_of(root.call("POST", CREDIT, {**taking, "neurDelta": -5, "requestId": "c"}))
    assert (taken["user"]["aibaBalance"], taken["user"]["neurBalance"]) == (0, 0)


@pytest.mark.parametrize("delta", [0.5, -0.5, 1e30, 10**12 + 1, -(10**12) - 1, "x", [1]])
def test_d57_deltas_are_whole_and_bounded(shared: Panel, delta: object) -> None:
    """A fraction of a unit isn't rounded away in silence."""
    body = {"requestId": "k", "telegramId": "77", "aibaDelta": delta}
    assert set(error_of(shared.call("POST", CREDIT, body), 400, "validation_error")) == {
        "aibaDelta"
    }


def test_a_credit_without_a_key_is_refused(shared: Panel) -> None:
    """No key is made up for money."""
    refused = shared.post(CREDIT, telegramId="77", aibaDelta=1)
    error_of(refused, 400, "requestId required")
    error_of(shared.post("/api/admin/treasury/fund", aibaDelta=1), 400, "requestId required")


def test_a_banned_player_can_be_credited_and_all_is_on_record(root: Panel) -> None:
    """The audit row tells the balances before and after; the reason stands in the ledger."""
    root.post("/api/admin/mod/ban-user", telegramId="77")
    body = {"requestId": "k", "telegramId": "77", "neurDelta": 3, "reason": "contest"}
    flat_of(root.call("POST", CREDIT, body))
    row = next(row for row in root.trail() if row["action"] == "treasury.credit_user")
    assert row["changes"] == [
        {
            "subject": "account:player:77",
            "before": {"AIBA": 0, "NEUR": 0},
            "after": {"AIBA": 0, "NEUR": 3},
        }
    ]
    ledger = data_of(root.get("/api/admin/economy/ledger?telegramId=77"))
    assert [(each["reason"], each["direction"], each["amount"]) for each in ledger] == [
        ("contest", "credit", 3)
    ]
    assert ledger[0]["sourceType"] == "admin_credit_user"
    assert ledger[0]["sourceId"] == "k"


@pytest.mark.parametrize(
    ("path", "aiba"),
    [
        ("treasury", "balanceAiba"),
        ("treasury/reserve", "aibaBalance"),
        ("treasury/buyback", "aibaBalance"),
    ],
)
def test_pots_are_funded_once_and_never_owe(root: Panel, path: str, aiba: str) -> None:
    """What comes in is in the ledger, what goes out is at most what is there; all sums to 0."""
    fund = f"/api/admin/{path}/fund"
    body = {"requestId": "k", "aibaDelta": 9, "neurDelta": 2}
    for _ in range(3):
        assert data_of(root.call("POST", fund, body))[aiba] == 9
    out = root.post(fund, requestId="k2", aibaDelta=-10)
    assert error_of(out, 403, "insufficient AIBA") == {"need": 10, "have": 9}
    assert data_of(root.post(fund, requestId="k3", aibaDelta=-4))[aiba] == 5
    assert data_of(root.get(f"/api/admin/{path}"))[aiba] == 5
    purpose = {"treasury": "treasury_fund"}.get(path, f"{path.rpartition('/')[2]}_fund")
    summary = data_of(root.get("/api/admin/treasury-ops/metrics"))["summary"]
    assert summary[purpose] == 5
    assert root.game.sound().faults == ()


def test_a_fund_s_key_may_come_from_a_proxy_and_never_from_nowhere(root: Panel) -> None:
    """The header counts where the body has none; a trace's id is no key, and none is made up."""
    fund = "/api/admin/treasury/fund"
    keyed = {"Idempotency-Key": "0f" * 16}
    for body, aiba in (
        ({"aibaDelta": 9}, 9),
        ({"aibaDelta": 9}, 9),
        ({"aibaDelta": 9, "requestId": "b"}, 18),
    ):
        assert data_of(root.call("POST", fund, body, **keyed))["balanceAiba"] == aiba
    for headers in ({}, {"X-Request-Id": "trace"}):
        refused = root.call("POST", fund, {"aibaDelta": 9}, **headers)
        assert error_of(refused, 400, "requestId required") == {"requestId": "required"}


def test_the_treasury_asks_for_some_delta(root: Panel) -> None:
    """Nothing to move is a mistake, but for the reserve and the buyback, as ever."""
    refused = root.post("/api/admin/treasury/fund", requestId="k")
    error_of(refused, 400, "aibaDelta or neurDelta required")
    data_of(root.post("/api/admin/treasury/reserve/fund", requestId="k2"))


def test_the_public_treasury_names_nobody(root: Panel) -> None:
    """Everyone sees what is held and what moved, and not who moved it."""
    root.post("/api/admin/treasury/fund", requestId="secret-key", aibaDelta=9)
    root.post("/api/admin/treasury/fund", requestId="k2", aibaDelta=-2, neurDelta=5)
    game = root.game
    summary = data_of(game.get("/api/treasury/summary"))
    assert (summary["balanceAiba"], summary["balanceNeur"]) == (7, 5)
    answer = game.get("/api/treasury/ops")
    ops = data_of(answer)["ops"]
    assert [(op["type"], op["amountAiba"], op["source"]) for op in ops] == [
        ("treasury_fund", -2, "operator"),
        ("treasury_fund", 9, "operator"),
    ]
    assert "secret-key" not in answer.text
    assert root.email not in answer.text


# --- looking ---


def test_a_day_shows_what_came_and_went(root: Panel) -> None:
    """Emission by arena, spending by reason and by arena, of that day alone."""
    game = root.game
    player, broker = game.fighter(NEUR=100, AIBA=100)
    game.post("/api/daily/claim", player)
    game.post("/api/brokers/train", player, requestId="t", brokerId=broker, stat="risk")
    game.post("/api/brokers/upgrade", player, requestId="u", brokerId=broker, stat="risk")
    day = data_of(root.get("/api/admin/economy/day?day=2026-01-01"))
    assert day["emittedNeurByArena"] == {"daily_login": 50}
    assert (day["spentNeur"], day["spentNeurByReason"], day["spentNeurByArena"]) == (
        25,
        {"train": 25},
        {"training": 25},
    )
    assert (day["burnedAiba"], day["burnedAibaByReason"]) == (50, {"upgrade": 50})
    other = data_of(root.get("/api/admin/economy/day?day=2025-12-31"))
    assert (other["emittedNeur"], other["spentNeur"]) == (0, 0)
    for wrong in ("yesterday", "2026-13-01", "2026-1-1"):
        refused = root.get(f"/api/admin/economy/day?day={wrong}")
        assert set(error_of(refused, 400, "validation_error")) == {"day"}


def test_the_ledger_is_read_by_account_currency_and_reason(root: Panel) -> None:
    """Newest first; of all accounts each posting shows both of its sides."""
    game = root.game
    player, broker = game.fighter(NEUR=100)
    game.post("/api/brokers/train", player, requestId="t", brokerId=broker, stat="risk")
    game.post("/api/daily/claim", player)
    path = "/api/admin/economy/ledger"
    mine = data_of(root.get(f"{path}?telegramId={player}"))
    assert [row["reason"] for row in mine][:2] == ["daily_login", "train"]
    assert all(row["telegramId"] == player for row in mine)
    trained = data_of(root.get(f"{path}?telegramId={player}&reason=train"))
    assert [(row["direction"], row["amount"]) for row in trained] == [("debit", 25)]
    assert data_of(root.get(f"{path}?telegramId={player}&currency=AIBA")) == []
    everything = data_of(root.get(f"{path}?limit=3"))
    assert len(everything) == 3
    assert [row["direction"] for row in everything] == ["credit", "debit", "credit"]
    assert len({row["_id"] for row in data_of(root.get(path))}) == len(data_of(root.get(path)))
    refused = root.get(f"{path}?account=sink:2026-01-01:train:training")
    assert set(error_of(refused, 400, "validation_error")) == {"account"}


def test_a_forecast_is_the_same_twice_and_keeps_the_caps(root: Panel) -> None:
    """By the caps in force, whatever is asked; another seed plays another game."""
    save(root, {"dailyCapAiba": 1_000, "dailyCapAibaByArena": {"prediction": 100}})
    path = "/api/admin/economy/simulate?days=2&players=20&avgBattles=5"
    first, again = data_of(root.get(path)), data_of(root.get(path))
    assert first == again
    assert data_of(root.get(f"{path}&seed=2")) != first
    assert [day["day"] for day in first["projection"]] == ["2026-01-01", "2026-01-02"]
    assert all(day["emittedAiba"] <= 1_000 for day in first["projection"])
    assert first["summary"]["totalEmittedAiba"] == first["projection"][-1]["cumulativeAiba"]
    assert first["params"]["capAiba"] == 1_000
    assert first["summary"]["totalRefusedAiba"] > 0
    assert root.game.sound().entries == 0


def test_one_forecast_at_a_time(root: Panel) -> None:
    """A second one meanwhile is asked to come back, and other requests are answered."""
    call = Call(method="GET", path="/api/admin/economy/simulate?days=9", headers=root.headers)
    answers = root.game.at_once([call, call, Call(method="GET", path="/health")])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429]


def test_cap_automation_sets_the_cap_where_it_is_on(root: Panel) -> None:
    """By the yearly target within its bounds; a change below a hundredth isn't made."""
    run = "/api/admin/economy-automation/run"
    assert data_of(root.post(run)) == {"adjusted": False}
    save(root, {"automationEnabled": True, "automationTargetEmissionPercentPerYear": 0.05})
    target = 10**12 * 5 // (100 * 100 * 365)
    assert data_of(root.post(run)) == {"adjusted": True, "cap": target, "previous": 1_000_000}
    assert data_of(root.post(run)) == {"adjusted": False, "cap": target}
    assert config(root)["dailyCapAiba"] == target
    shares = data_of(root.get("/api/admin/economy-automation/allocation"))
    assert sum(value for name, value in shares.items() if name.endswith("Pct")) == 100
    assert sum(value for name, value in shares.items() if name.endswith("Amount")) == 10**12


# --- the oracle ---


class Market:
    """A market whose price the test sets; None is one that doesn't answer."""

    def __init__(self) -> None:
        """Begin without a price."""
        self.price: Fraction | None = None

    async def ton_usd(self) -> Fraction:
        """Return the price."""
        await asyncio.sleep(0)
        if self.price is None:
            raise PriceUnknown("down")
        return self.price


def test_d66_the_updater_uses_the_configured_price_of_an_aiba(make_game: MakeGame) -> None:
    """The configuration's where the environment says none; with neither, there is no rate."""
    game = make_game()
    market = Market()
    market.price = Fraction("5.25")
    desk = game.container.rates()
    desk._prices = market
    panel = Panel(game)
    update = "/api/admin/oracle/update"
    error_of(panel.post(update), 400, "no_rate")
    save(panel, {"oracleAibaUsd": 0.002})
    told = data_of(panel.post(update))
    assert told == {
        "oracleAibaPerTon": 2_625,
        "tonUsd": 5.25,
        "aibaUsd": 0.002,
        "usedFallback": False,
        "autoEnabled": False,
    }
    save(panel, {"oracleMaxAibaPerTon": 2_000})
    assert data_of(panel.post(update))["oracleAibaPerTon"] == 2_000
    market.price = None
    save(panel, {"oracleFallbackAibaPerTon": 1_500})
    told = data_of(panel.post(update))
    assert (told["oracleAibaPerTon"], told["usedFallback"], told["tonUsd"]) == (1_500, True, None)


def test_d66_the_environment_s_price_goes_before_the_configured_one(make_game: MakeGame) -> None:
    """ORACLE_AIBA_USD is exact, and a blank one is none."""
    game = make_game(ORACLE_AIBA_USD="0.005")
    assert game.settings.oracle_aiba_usd == Fraction("0.005")
    market = Market()
    market.price = Fraction(5)
    game.container.rates()._prices = market
    panel = Panel(game)
    save(panel, {"oracleAibaUsd": 0.002})
    told = data_of(panel.post("/api/admin/oracle/update"))
    assert (told["oracleAibaPerTon"], told["aibaUsd"]) == (1_000, 0.005)
    assert make_game(ORACLE_AIBA_USD=" ").settings.oracle_aiba_usd is None


def test_d76_a_rate_is_usable_for_its_age_and_no_longer(root: Panel) -> None:
    """The status says why a rate isn't; setting it by hand makes it new."""
    status = "/api/admin/oracle/status"
    told = data_of(root.get(status))
    assert (told["usable"], told["refusal"]) == (False, "AIBA/TON rate not set")
    patched = root.patch("/api/admin/treasury/oracle", oracleAibaPerTon=500, oracleNeurPerAiba=3)
    assert data_of(patched)["oracleAibaPerTon"] == 500
    assert data_of(root.get(status))["usable"] is True
    root.game.clock.advance(DAY)
    assert data_of(Panel(root.game).get(status))["usable"] is True
    root.game.clock.advance(MINUTE)
    told = data_of(Panel(root.game).get(status))
    assert (told["usable"], told["refusal"]) == (False, "AIBA/TON rate too old")


def test_rates_by_hand_need_one(shared: Panel) -> None:
    """An empty body changes nothing."""
    refused = shared.patch("/api/admin/treasury/oracle")
    error_of(refused, 400, "oracleAibaPerTon or oracleNeurPerAiba required")


def test_d66_the_rate_is_updated_by_itself_where_that_is_on(make_game: MakeGame) -> None:
    """Once an interval, in the service's own name."""
    game = make_game()
    market = Market()
    market.price = Fraction(4)
    desk = game.container.rates()
    desk._prices = market
    panel = Panel(game)
    assert game.run(desk.update_if_due()) is False
    save(panel, {"oracleAutoUpdateEnabled": True, "oracleAibaUsd": 0.01})
    assert game.run(desk.update_if_due()) is True
    assert config(panel)["oracleAibaPerTon"] == 400
    assert game.run(desk.update_if_due()) is False
    game.clock.advance(15 * MINUTE)
    market.price = Fraction(5)
    assert game.run(desk.update_if_due()) is True
    assert config(panel)["oracleAibaPerTon"] == 500


def test_the_document_s_numbers_are_json_numbers(root: Panel) -> None:
    """A client that reads them with every digit sees what was set."""
    save(root, {"streakMultiplierAt7Days": 1.1, "oracleAibaUsd": 0.0000001})
    raw = json.loads(root.get(CONFIG).text, parse_float=Decimal)["data"]
    assert raw["streakMultiplierAt7Days"] == Decimal("1.1")
    assert Decimal(raw["oracleAibaUsd"]) == Decimal("1e-7")
