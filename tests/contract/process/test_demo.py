"""`aiba demo`: it holds on a genuine run, and it would say so if anything didn't."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from aiba_entry.cli import demo_server
from aiba_entry.cli.demo import demo
from aiba_entry.cli.demo_player import Api, Refusal
from aiba_entry.cli.demo_server import DemoFailed
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
    """Several battles of two players, each verified; the ledger is sound; nothing is left over."""
    run = aiba(environ, "demo", "--json", "--players", "2")
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
    assert [*tmp_path.iterdir()] == []


def test_the_demo_shows_tables(environ: dict[str, str]) -> None:
    """Without --json people get tables and one closing sentence."""
    run = aiba(environ, "demo")
    assert run.returncode == 0, run.stderr
    for heading in ("Battles", "Score", "Verified", "Balances", "Audit of the ledger", "All held:"):
        assert heading in run.stdout
    assert "NO" not in run.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_server_behind(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """Whoever stops the demo stops its server, and its folder is gone."""
    demo = subprocess.Popen(  # noqa: S603 - this project's own command
        [*AIBA, "demo", "--json", "--players", "500"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: bool([*tmp_path.glob("aiba-demo-*/aiba.db")]))
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
    server = children.read_text().split()[0] if children.exists() else None
    demo.send_signal(number)
    printed, said = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
    assert printed == ""
    assert said == "interrupted; the server was stopped\n"
    assert [*tmp_path.iterdir()] == []
    assert server is None or not Path(f"/proc/{server}").exists()


def run_demo(monkeypatch: pytest.MonkeyPatch, program: str) -> Result:
    """Run the demo with another program in place of `aiba`."""
    monkeypatch.setattr(demo_server, "_AIBA", (sys.executable, "-c", program))
    return CliRunner().invoke(demo, ["--json"])


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
    result = run_demo(monkeypatch, CHEATS)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    *battles, money = report["failures"]
    assert len(battles) == report["battles"] > 0
    assert report["verified"] == 0
    for failure in battles:
        assert "score was answered as 99" in failure
        assert "grant.aiba is" in failure
    assert "the answers add up to" in money
    assert result.stderr.splitlines() == [f"FAILED {failure}" for failure in report["failures"]]


def test_a_server_that_does_not_start_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of its log says why, also in the one JSON document."""
    result = run_demo(monkeypatch, "raise SystemExit('no licence to play')")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    assert "no licence to play" in json.loads(result.stdout)["failures"][0]
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
