"""`aiba demo`: it holds on a genuine run, and it would say so if anything didn't."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from aiba_entry.cli import demo_process, demo_withdrawals
from aiba_entry.cli.demo import demo
from aiba_entry.cli.demo_chain import DemoChain
from aiba_entry.cli.demo_player import Api, Refusal
from aiba_entry.cli.demo_process import DemoFailed
from tests.contract.process.support import AIBA, PATIENCE_S, Json, aiba, answer_of, until

CURRENCIES = ("AIBA", "NEUR", "STARS", "DIAMONDS")


@pytest.fixture(name="environ")
def _environ(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose own settings must not matter, and whose /tmp is known."""
    return {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(tmp_path),
        "APP_ENV": "prod",
        "PORT": "1",
        "MONGO_URI": "mongodb://elsewhere",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }


def test_the_demo_plays_and_verifies_everything(environ: dict[str, str], tmp_path: Path) -> None:
    """Battles of two players, verified; withdrawals, paid or refunded; nothing is left over."""
    # The server settles claims every 10 s, and the demo waits for it twice.
    run = aiba(environ, "demo", "--json", "--players", "2", patience_s=3 * PATIENCE_S)
    report = answer_of(run)
    assert run.stderr == ""
    assert report["ok"] is True
    assert report["failures"] == []
    assert report["audit"]["sound"] is True
    assert report["audit"]["totals"] == dict.fromkeys(CURRENCIES, 0)
    assert report["server"] == {"exitCode": 0}
    assert [epoch["revealedSecret"] is not None for epoch in report["epochs"]] == [True, False]
    assert len(report["players"]) == 2
    for player in report["players"]:
        assert player["balancesAgree"] is True
        assert {"train", "repair"} <= player["deeds"].keys()
        battles = player["battles"]
        assert len({battle["_id"] for battle in battles}) == len(battles) >= 5
        assert len({battle["modeKey"] for battle in battles}) >= 4
        assert all(battle["verified"] for battle in battles)
    assert (
        report["verified"]
        == report["battles"]
        == sum(len(player["battles"]) for player in report["players"])
    )
    check_withdrawals(report)
    assert [*tmp_path.iterdir()] == []


def check_withdrawals(report: Json) -> None:
    """Each player's AIBA went into two claims: what was paid is on the chain, the rest is back."""
    chain = report["chain"]
    assert report["chainLeftOut"] is None
    assert chain["exitCode"] == 0
    claims = chain["claims"]
    assert len({claim["wallet"] for claim in claims}) == len(claims) == 4
    assert len({claim["transactionHash"] for claim in claims}) == len(claims)
    for claim in claims:
        assert claim["holds"] is True
        assert claim["seqno"] == 1
        assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", claim["transactionHash"])
    for player in report["players"]:
        mine = [claim for claim in claims if claim["telegramId"] == player["telegramId"]]
        ended = {claim["state"]: claim for claim in mine}
        paid, kept = ended["confirmed"], ended["refunded"]
        assert (paid["status"], paid["vaultExitCode"], paid["lastSeqno"]) == ("confirmed", 0, 1)
        assert (kept["status"], kept["vaultExitCode"], kept["lastSeqno"]) == ("expired", 24383, 0)
        assert paid["jettonBalance"] == paid["amount"] > kept["amount"] > 0
        assert kept["jettonBalance"] == 0
        assert player["balances"]["AIBA"] == kept["amount"]
        assert (player["deeds"]["withdraw"], player["deeds"]["refund"]) == (2, 1)
        assert {paid["walletVersion"], kept["walletVersion"]} == {"v4r2", "v5r1"}
    totals = {
        state: sum(claim["amount"] for claim in claims if claim["state"] == state)
        for state in ("confirmed", "refunded")
    }
    assert totals == {"confirmed": chain["withdrawn"], "refunded": chain["refunded"]}


def test_the_demo_shows_tables_and_does_without_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --json people get tables; where there can be no chain they are told, and it holds."""
    monkeypatch.setitem(sys.modules, "tonpy", None)
    run = CliRunner().invoke(demo)
    assert run.exit_code == 0, run.output
    for heading in ("Battles", "Score", "Verified", "Balances", "Audit of the ledger", "All held:"):
        assert heading in run.stdout
    assert "The chain was left out: the extra devnet is not installed" in run.stdout
    assert "Withdrawals" not in run.stdout
    assert "NO" not in run.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_server_behind(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """Whoever stops the demo stops its server and its chain, and its folder is gone."""
    demo = subprocess.Popen(  # noqa: S603 - this project's own command
        [*AIBA, "demo", "--json", "--players", "500"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: bool([*tmp_path.glob("aiba-demo-*/aiba.db")]))
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
    started = children.read_text().split() if children.exists() else []
    demo.send_signal(number)
    printed, said = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
    assert printed == ""
    assert said == "interrupted; all that it had started was stopped\n"
    assert [*tmp_path.iterdir()] == []
    assert len(started) in {0, 2}
    assert not any(Path(f"/proc/{child}").exists() for child in started)


def run_demo(monkeypatch: pytest.MonkeyPatch, program: str, *options: str) -> Result:
    """Run the demo with another program in place of `aiba`."""
    monkeypatch.setattr(demo_process, "_AIBA", (sys.executable, "-c", program))
    return CliRunner().invoke(demo, ["--json", *options])


CHEATS = """
from aiba_entry.cli.main import main
from aiba_entry.http.routes import battles, economy

fought, receipt, holdings = battles.fought_json, battles.receipt_json, economy.holdings_json

def better_answer(battle, claim):
    return fought(battle, claim) | {"score": 99}

def edited_receipt(battle):
    shown = receipt(battle)
    shown["receipt"]["grant"]["aiba"] += 1
    return shown

def grown_balance(player_id, held):
    shown = holdings(player_id, held)
    return shown | {"aibaBalance": shown["aibaBalance"] + 1}

battles.fought_json, battles.receipt_json = better_answer, edited_receipt
economy.holdings_json = grown_balance
main(prog_name="aiba")
"""


def test_the_demo_catches_a_cheating_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered otherwise than recorded, edited, or grew by itself fails the demo."""
    result = run_demo(monkeypatch, CHEATS, "--no-chain")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert report["chain"] is None
    assert report["chainLeftOut"] == "--no-chain was given"
    *battles, money = report["failures"]
    assert len(battles) == report["battles"] > 0
    assert report["verified"] == 0
    for failure in battles:
        assert "score was answered as 99" in failure
        assert "grant.aiba is" in failure
    assert "the answers add up to" in money
    assert result.stderr.splitlines() == [f"FAILED {failure}" for failure in report["failures"]]


UNSOUND_CHAIN = """
import sys
from functools import partial

from aiba_domain.claims import commands
from aiba_domain.claims.claim import ClaimState
from aiba_entry import chain
from aiba_entry.cli.main import main

chain.SETTLE_SECONDS = 0.2
chain.Freshness = partial(chain.Freshness, view_s=0.1, head_s=0.1)
verdict = commands.verdict

def hasty(claim, seen):
    is_unpaid = claim.is_open and seen.seqno < claim.terms.seqno
    if is_unpaid and claim.player_id.endswith("2"):
        return ClaimState.REFUNDED
    return verdict(claim, seen)

commands.verdict = hasty
if "devnet" in sys.argv:
    sys.argv[sys.argv.index("--vault-jettons") + 1] = "1"
main(prog_name="aiba")
"""


def test_the_demo_catches_an_empty_vault_and_an_early_refund(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A vault that takes the claim and pays less, and money that is back too soon, fail it."""
    result = run_demo(monkeypatch, UNSOUND_CHAIN, "--players", "2")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    paid, kept, _, hasty = report["chain"]["claims"]
    assert paid["state"] == paid["status"] == "confirmed"
    assert paid["problems"] == [f"the wallet's jettons: 0, should be {paid['amount']}"]
    assert (kept["state"], kept["holds"]) == ("refunded", True)
    assert "it was refunded before it could end" in hasty["problems"]
    told = " ".join(report["failures"])
    assert f"the claim of {paid['amount']} AIBA to trader-1's v5r1: the wallet's jettons" in told
    assert f"the claim of {hasty['amount']} AIBA to trader-2's v4r2: it was refunded" in told
    assert all(player["balancesAgree"] for player in report["players"])
    assert report["audit"]["sound"] is True


def test_the_demo_says_that_a_claim_is_never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the chain is in outage no claim ends: the demo waits for so long, then says so."""
    move_to = DemoChain.move_to

    async def move_into_outage(chain: DemoChain, time_s: int) -> None:
        await move_to(chain, time_s)
        async with httpx.AsyncClient(trust_env=False) as http:
            place = chain.settings["TON_PROVIDER_URL"].partition("/api/")[0]
            outage = {"mode": "error", "status": 502}
            (await http.post(f"{place}/control/outage", json=outage)).raise_for_status()

    monkeypatch.setattr(DemoChain, "move_to", move_into_outage)
    monkeypatch.setattr(demo_withdrawals, "_PATIENCE_SECONDS", 1.0)
    result = CliRunner().invoke(demo, ["--json"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    kept = report["chain"]["claims"][-1]
    assert kept["state"] == "signed"
    assert kept["problems"] == [
        "it wasn't settled within 1 s",
        "it is signed, should be refunded",
    ]
    assert report["players"][0]["balancesAgree"] is True
    assert report["audit"]["sound"] is True
    assert result.stderr.splitlines() == [f"FAILED {failure}" for failure in report["failures"]]


@pytest.mark.parametrize("options", [(), ("--no-chain",)], ids=["chain", "server"])
def test_what_does_not_start_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """The end of its log says why, also in the one JSON document."""
    result = run_demo(monkeypatch, "raise SystemExit('no licence to play')", *options)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    what = "server" if options else "chain"
    (failure,) = json.loads(result.stdout)["failures"]
    assert failure == f"the {what} didn't start; its log ends with\nno licence to play"
    assert "no licence to play" in result.stderr


def call(*answers: httpx.Response | Exception) -> tuple[Json, list[bytes]]:
    """Make one call of a service that answers as given; return what it gave and what was sent."""
    left, sent = [*answers], list[bytes]()

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def run() -> Json:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            return await Api(http).post("/api/battle/run", requestId="k")

    return asyncio.run(run()), sent


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    """Return an error in the service's envelope."""
    error = {"code": code, "message": code, "details": {"retryAfterMs": 5}}
    return httpx.Response(status, json={"ok": False, "error": error}, headers=headers)


def test_too_fast_is_waited_out_with_the_same_key() -> None:
    """Where the service says when to come back, the same request comes back."""
    done = httpx.Response(200, json={"ok": True, "data": 1})
    limited = refusal(429, "rate_limited", **{"retry-after": "0"})
    busy = refusal(503, "unavailable", **{"retry-after": "0"})
    answer, sent = call(limited, busy, done)
    assert answer["data"] == 1
    assert len(sent) == 3
    assert len({*sent}) == 1


@pytest.mark.parametrize(("status", "code"), [(429, "cooldown"), (403, "no energy")])
def test_a_decision_is_not_asked_for_again(status: int, code: str) -> None:
    """A refusal of the game is an answer; the same key would give it for ever."""
    with pytest.raises(Refusal) as caught:
        call(refusal(status, code))
    assert (caught.value.code, caught.value.details) == (code, {"retryAfterMs": 5})


def test_an_endless_wait_ends() -> None:
    """A service that puts the demo off for minutes fails it."""
    with pytest.raises(Refusal):
        call(refusal(429, "rate_limited", **{"retry-after": "3600"}))


@pytest.mark.parametrize(
    "broken", [httpx.Response(502, text="<html>"), httpx.ConnectError("refused")]
)
def test_no_answer_fails_the_demo(broken: httpx.Response | Exception) -> None:
    """What isn't the service's own answer is never taken for one."""
    with pytest.raises(DemoFailed, match="/api/battle/run got no answer"):
        call(broken)
