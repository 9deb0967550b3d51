"""The stand-alone verifier of an exported ledger: it agrees with the audit, and shares no code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.ports import Store, UnitOfWork
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.playground import Playground
from aiba_entry.cli.audit_export import export_chain

TOOL = Path(__file__).parents[3] / "tools" / "verify_ledger.py"

Verify = Callable[..., tuple[int, str]]


async def _open() -> Store:
    return MemoryStore()


async def _breathe() -> None:
    return


def _export(path: Path, *, entries: bool) -> str:
    """Export a ledger with odd texts and large amounts, and return its head."""
    play = Playground(_open)

    async def post(unit: UnitOfWork) -> None:
        for number, text in enumerate(("r", "ä\ud800", '"\\', "\x00", "💰", "")):
            posting = movement(number + 1, "chain", f"player:{number}{text}")
            await unit.write(at=number // 2, postings=[posting])
        for each in (1, 2):
            big = movement(MAX_AMOUNT, f"legacy:{each}", f"player:{each}", Currency.AIBA)
            await unit.write(at=9, postings=[big])
        await unit.write(at=9, postings=[movement(1, "player:1", "claims", Currency.AIBA)])

    play.run(play.store.transact(post))
    auditor = LedgerAuditor(store=play.store, clock=play.clock, seal_after_ms=0, size=2)
    standing = play.run(auditor.go_round(play.pipeline, _breathe))
    assert play.run(export_chain(play.store, path, entries=entries)) == 5
    play.close()
    return standing.head


@pytest.fixture(name="chain", scope="module")
def _chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str]:
    path = tmp_path_factory.mktemp("export") / "chain.jsonl"
    head = _export(path, entries=True)
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text("ascii").splitlines(), head


@pytest.fixture(name="verify")
def _verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the tool in this process: no module of the package is there when it is read."""
    source = TOOL.read_text("utf-8")
    assert "aiba_" not in source.replace("AIBA", "")
    space: dict[str, Any] = {"__name__": "tool"}
    exec(compile(source, str(TOOL), "exec"), space)  # noqa: S102 - our own file

    def run(lines: list[str], *options: str) -> tuple[int, str]:
        path = tmp_path / "chain.jsonl"
        path.write_text("\n".join(lines) + "\n", "ascii")
        patched = pytest.MonkeyPatch()
        with patched.context() as context:
            context.setattr(sys, "argv", ["verify_ledger.py", str(path), *options])
            code: int = space["main"]()
        return code, capsys.readouterr().out

    return run


def test_a_genuine_chain_is_verified(verify: Verify, chain: tuple[list[str], str]) -> None:
    """With its entries, by itself or up to a hash that was kept."""
    lines, head = chain
    told = (0, f"ok 5 checkpoints, 9 entries, head {head}\n")
    assert verify(lines) == told
    first = json.loads(lines[1])["checkpoint"]["hash"]
    assert verify(lines, "--head", first) == told
    code, text = verify(lines, "--head", "0" * 64)
    assert (code, text) == (1, f"WRONG no checkpoint has the hash {'0' * 64}\n")


def test_it_runs_by_itself(chain: tuple[list[str], str], tmp_path: Path) -> None:
    """In an interpreter that knows no package but Python's own."""
    path = tmp_path / "chain.jsonl"
    path.write_text("\n".join(chain[0]) + "\n", "ascii")
    command = [sys.executable, "-I", "-S", str(TOOL), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("ok 5 checkpoints")


def test_without_entries_the_hashes_and_sums_are_verified(verify: Verify, tmp_path: Path) -> None:
    """Nobody is named in it, and it still is the chain of the head that is shown to everybody."""
    path = tmp_path / "public.jsonl"
    head = _export(path, entries=False)
    text = path.read_text("ascii")
    assert "player:" not in text
    assert verify(text.splitlines()) == (0, f"ok 5 checkpoints, 9 entries, head {head}\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_is_changed_is_found(
    verify: Verify, chain: tuple[list[str], str], data: st.DataObject
) -> None:
    """Any value of a checkpoint or an entry, a line taken out, doubled, or two in other places."""
    lines, head = chain
    place = data.draw(st.integers(1, len(lines) - 1))
    changed = list(lines)
    match data.draw(st.sampled_from(("value", "value", "cut", "double", "swap"))):
        case "value":
            document = json.loads(lines[place])
            parts = [document["checkpoint"], *document["entries"]]
            part = data.draw(st.sampled_from(parts))
            names = list(part) if isinstance(part, dict) else list(range(len(part)))
            name = data.draw(st.sampled_from(names))
            value = data.draw(st.integers(0, 9) | strategies.texts())
            if part[name] == value:
                return
            part[name] = value
            changed[place] = json.dumps(document)
        case "cut":
            del changed[place]
        case "double":
            changed.insert(place, lines[place])
        case "swap" if place > 1:
            changed[place - 1], changed[place] = lines[place], lines[place - 1]
        case _:
            return
    code, text = verify(changed, "--head", head)
    assert code == 1
    assert text.startswith("WRONG ")


@pytest.mark.parametrize("lines", [[], ["{}"], ["nonsense"], ['{"format": "other"}']])
def test_what_is_no_chain_is_told_so(verify: Verify, lines: list[str]) -> None:
    """No other file is taken for one."""
    code, text = verify(lines)
    assert code == 1
    assert text.startswith("WRONG ")
