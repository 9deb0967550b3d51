"""The ledger's audit by real processes: a server at work, the command line, and the verifier."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.ports import Store
from aiba_entry.container import Container
from tests.contract.process.support import (
    Server,
    aiba,
    answer_of,
    environment,
    new_player,
    until,
    with_container,
)

VERIFIER = Path(__file__).parents[3] / "tools" / "verify_ledger.py"


def seal(environ: dict[str, str]) -> str:
    """Seal all there is, and return the head."""

    async def breathe() -> None:
        return

    async def work(container: Container) -> str:
        store: Store = container.store()
        auditor = LedgerAuditor(store=store, clock=container.clock(), seal_after_ms=0, size=1)
        return (await auditor.go_round(container.pipeline(), breathe)).head

    return with_container(environ, work)


def verified(*options: str | Path) -> tuple[int, str]:
    """Run the verifier as a stranger does, without this package."""
    command = [sys.executable, "-I", "-S", str(VERIFIER), *map(str, options)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own
    return run.returncode, run.stdout


def test_a_server_audits_by_itself(serve: Callable[..., Server]) -> None:
    """Its metrics say so a moment after money has moved, and anyone sees how the vault stands."""
    server = serve(LEDGER_AUDIT_SECONDS="1")
    with server.client() as http:
        player = new_player(http, 7)
        http.post("/api/daily/claim", json={"requestId": "d"}, headers=player.headers)

        def is_audited() -> bool:
            text = http.get("/metrics").text
            return "aiba_ledger_audit_entries 1.0" in text and "aiba_ledger_audit_ok 1.0" in text

        until(is_audited)
        solvency = http.get("/api/solvency").json()["data"]
        assert (solvency["status"], solvency["solvent"]) == ("no_vault", None)
    assert server.stop() == 0


def test_the_chain_goes_to_a_stranger(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Exported beside a server, and verified; a changed row is found by both, and named."""
    server = serve(LEDGER_AUDIT_SECONDS="0")
    with server.client() as http:
        player = new_player(http, 7)
        http.post("/api/daily/claim", json={"requestId": "d"}, headers=player.headers)
    environ = environment(server.database.parent, LEDGER_AUDIT_SECONDS="0")
    head = seal(environ)
    path, public = tmp_path / "chain.jsonl", tmp_path / "public.jsonl"
    run = aiba(environ, "audit", "--export", str(path), "--head", head)
    assert run.returncode == 0, run.stderr
    assert f"head {head}" in run.stdout
    assert "1 checkpoints written" in run.stdout
    assert verified(path, "--head", head) == (0, f"ok 1 checkpoints, 1 entries, head {head}\n")
    proof = tmp_path / "answer.json"
    with server.client() as http:
        proof.write_bytes(http.get("/api/ledger/proof", headers=player.headers).content)
        assert http.get("/api/solvency").json()["data"]["liabilities"]["head"] == head
    mine = ("--proof", str(proof), "--head", head, "--account")
    assert verified(*mine, "player:7")[0] == 0
    assert verified(*mine, "player:8") == (1, "WRONG entry 1 isn't of player:8\n")
    run = aiba(environ, "audit", "--json", "--export", str(public), "--without-entries")
    document = answer_of(run)
    assert (document["checkpoints"], document["sealed"], document["head"]) == (1, 1, head)
    assert "player:7" not in public.read_text()
    assert verified(public)[0] == 0
    again = aiba(environ, "audit", "--export", str(path))
    assert again.returncode == 2
    assert "is there already" in again.stderr
    lost = aiba(environ, "audit", "--json", "--head", "0" * 64)
    assert lost.returncode == 1
    assert json.loads(lost.stdout)["faults"] == [f"no checkpoint has the hash {'0' * 64}"]
    forged = path.read_text().replace("player:7", "player:8")
    path.write_text(forged)
    code, text = verified(path)
    assert (code, text) == (1, "WRONG checkpoint 1: entry 1 was changed\n")
