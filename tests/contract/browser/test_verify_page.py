"""The page that verifies battles: opened from a file, in a browser, without a network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiba_domain.battle.receipt import to_json
from tests.support.browser import ENTER, Browser, chromium
from tests.support.verifiers import ROOT_FOLDER, needed, random_receipts
from tests.unit.battles import COMMITMENT, EPOCH, SECRET

PAGE = ROOT_FOLDER / "src" / "aiba_entry" / "http" / "data" / "verify.html"
BUILD = ROOT_FOLDER / "tools" / "verify_page" / "build.py"
FAIRNESS = {"epochs": [{"number": EPOCH, "commitment": COMMITMENT, "revealedSecret": SECRET}]}
PUBLISHED = json.dumps({"ok": True, "data": FAIRNESS})


def _receipt() -> dict[str, Any]:
    """Return a receipt with a guild, bonuses and rules of its own."""
    return to_json(next(random_receipts(52, 1)))


@pytest.fixture(name="browser", scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary, driver = needed("chromium"), needed("chromedriver")
    with chromium(binary, driver, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(name="page")
def _page(browser: Browser) -> Browser:
    """Return the browser with the page just opened, and its logs emptied of what was before."""
    browser.open("about:blank")
    browser.events()
    browser.complaints()
    browser.open(PAGE.as_uri())
    return browser


def _verify(page: Browser, receipt: str, fairness: str = "", secret: str = "") -> str:
    for selector, text in (("#receipt", receipt), ("#fairness", fairness), ("#secret", secret)):
        if text:
            page.paste(selector, text)
    page.click("button[type=submit]")
    return page.text("#verdict")


def test_the_page_is_what_its_sources_give() -> None:
    """Who changes the verifier builds the page anew."""
    done = subprocess.run(  # noqa: S603 - this repository's own file
        [sys.executable, str(BUILD), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_genuine_battle_is_shown_step_by_step(page: Browser) -> None:
    """Seed, draw, score, rewards, payment and energy, with nothing that differs."""
    entry = _receipt()
    verdict = _verify(page, json.dumps({"ok": True, "data": {"receipt": entry}}), PUBLISHED)
    assert verdict.startswith("Genuine\n")
    outcome, grant = entry["outcome"], entry["grant"]
    assert f"score {outcome['score']}, {grant['aiba']} AIBA and {grant['neur']} NEUR" in verdict
    assert "Caution" not in verdict
    steps = page.text("#steps")
    for shown in (
        outcome["seedHex"],
        f"First draw of mulberry32 {outcome['draw']} {outcome['draw']}",
        f"Score {outcome['score']} {outcome['score']}",
        f"AIBA won {outcome['proposedAiba']} {outcome['proposedAiba']}",
        f"Bonus multiplier {outcome['multiplier']} {outcome['multiplier']}",
        f"Energy {entry['inputs']['mode']['energyCost']}",
    ):
        assert shown in steps
    assert "differs" not in steps


def test_what_was_changed_is_named(page: Browser) -> None:
    """In words, with both values, and marked among the steps."""
    entry = _receipt()
    honest = entry["outcome"]["score"]
    entry["outcome"]["score"] = honest + 1
    verdict = _verify(page, json.dumps(entry), PUBLISHED)
    assert verdict.startswith("Not genuine\n")
    assert f"The score is not right: the receipt says {honest + 1}" in verdict
    assert f"the formulas give {honest}." in verdict
    assert f"Score {honest} {honest + 1} (differs)" in page.text("#steps")


def test_large_amounts_are_exact(page: Browser) -> None:
    """One unit more than a double can tell from its neighbour."""
    entry = _receipt()
    entry["grant"]["aiba"] = 2**53 + 1
    assert f"says {2**53 + 1}, the formulas give" in _verify(page, json.dumps(entry), PUBLISHED)


@pytest.mark.parametrize(
    ("receipt", "fairness", "complaint"),
    [
        ("", "", "The receipt: it is empty"),
        ("no JSON", "", "The receipt: line 1, column 1: no JSON value"),
        ('{\n "inputs": {]}', "", "The receipt: line 2, column 13: a name in double quotes"),
        ('{}\n{"inputs": 1}\n{oops', "", "The receipt: text 3: line 1, column 2"),
        ("[]", "", "The receipt: no receipt found"),
        ('{"inputs": 1, "inputs": 2}', "", 'The receipt: duplicate key "inputs"'),
        ('{"inputs": {}}', "{", "The fairness document: line 1, column 2"),
        ('{"inputs": {}}', "{}", "The fairness document: epochs: not a list"),
    ],
)
def test_garbage_gets_a_clear_error(
    page: Browser, receipt: str, fairness: str, complaint: str
) -> None:
    """Where it is and what is wrong; the field is marked and has the focus."""
    verdict = _verify(page, receipt, fairness)
    assert verdict.startswith("Not readable\n")
    assert complaint in verdict
    field = "fairness" if fairness else "receipt"
    assert page.run("return document.activeElement.id") == field
    assert page.run("return document.querySelector('[aria-invalid=true]').id") == field
    _verify(page, json.dumps(_receipt()), PUBLISHED)
    assert page.run("return document.querySelector('[aria-invalid]')") is None


def test_a_malformed_receipt_names_the_field(page: Browser) -> None:
    """And an element in it stays text."""
    entry = _receipt()
    entry["inputs"]["at"] = "<img src=x onerror=alert(1)>"
    verdict = _verify(page, json.dumps(entry), PUBLISHED)
    assert "The receipt is not well formed. receipt.inputs.at: not a whole number" in verdict
    entry = _receipt()
    entry["inputs"]["battleId"] = "<img src=x>"
    assert "other player" not in _verify(page, json.dumps(entry), PUBLISHED)
    assert "battle <img src=x>" in page.text("#steps")
    assert page.run("return document.images.length") == 0


def test_a_secret_that_nobody_published_is_cautioned(page: Browser) -> None:
    """A receipt can bring its own secret; what was promised before is what counts."""
    verdict = _verify(page, json.dumps({**_receipt(), "revealedSecret": SECRET}))
    assert verdict.startswith("Genuine\n")
    assert "Caution: no published promise was compared" in verdict
    assert "not known" in _verify(page, json.dumps(_receipt()))
    verdict = _verify(page, json.dumps(_receipt()), secret=SECRET)
    assert verdict.startswith("Genuine\n")


def test_many_battles_are_judged_one_by_one(page: Browser) -> None:
    """One forgery among them is found, and named by its battle."""
    entries = [to_json(receipt) for receipt in random_receipts(1, 3)]
    lines = "\n".join(map(json.dumps, entries))
    assert _verify(page, lines, PUBLISHED).startswith("Genuine: 3 of 3 battles are genuine\n")
    entries[1]["version"] = 2
    verdict = _verify(page, "\n".join(map(json.dumps, entries)))
    assert verdict.startswith("Not genuine: 2 of 3 battles are genuine\n")
    inputs: Any = entries[1]["inputs"]
    assert f"{inputs['battleId']}: The receipt is not well formed. receipt.version" in verdict


def test_files_can_be_opened_instead(page: Browser, tmp_path: Path) -> None:
    """Both documents."""
    for name, text in (("receipt", json.dumps(_receipt())), ("fairness", PUBLISHED)):
        path = tmp_path / f"{name}.json"
        path.write_text(text, encoding="utf-8")
        page.press(f"#{name}-file", str(path))
        page.wait_for("document.getElementById(arguments[0]).value !== ''", name)
    page.click("button[type=submit]")
    assert page.text("#verdict").startswith("Genuine\n")
    page.click("button[type=reset]")
    assert page.text("#verdict") == "Nothing is verified yet."
    assert page.text("#steps") == ""


def test_it_is_used_with_keyboard_and_screen_reader(page: Browser) -> None:
    """Every field says what it is, the result is announced, and Enter verifies."""
    assert page.label("#receipt") == "Receipt"
    assert page.label("#fairness") == "Fairness document"
    assert page.label("#secret") == "Secret of the epoch"
    assert "open a file with receipts" in page.label("#receipt-file")
    assert "fairness document" in page.label("#fairness-file")
    assert page.label("button[type=submit]") == "Verify"
    assert (page.role("#verdict"), page.role("main")) == ("status", "main")
    page.paste("#receipt", json.dumps(_receipt()))
    page.press("#secret", SECRET + ENTER)
    assert page.text("#verdict").startswith("Genuine\n")


def test_it_fits_a_phone(page: Browser) -> None:
    """Nothing scrolls sideways, the longest step included."""
    page.narrow(320, 640)
    _verify(page, json.dumps(_receipt()), PUBLISHED)
    wide, there = page.run("return [document.scrollingElement.scrollWidth, innerWidth]")
    assert there == 320
    assert wide <= there


def test_nothing_is_asked_of_any_network(page: Browser) -> None:
    """The page is the only request, and it could make no other."""
    _verify(page, json.dumps(_receipt()), PUBLISHED)
    asked = [
        event["params"]["request"]["url"]
        for event in page.events()
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [PAGE.as_uri()]
    assert page.complaints() == []
    page.run(
        "addEventListener('securitypolicyviolation', (e) => { kept = e.effectiveDirective });"
        "fetch(arguments[0]).catch(() => 0)",
        "http://127.0.0.1:9/",
    )
    page.wait_for("window.kept")
    assert page.run("return window.kept") == "connect-src"
