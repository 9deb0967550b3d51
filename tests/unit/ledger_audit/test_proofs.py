"""Proofs of entries: every entry has one, the stand-alone verifier takes it and no other."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.application.ledger_proofs import proof_for
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ports import Store, Unavailable, UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.playground import Playground
from aiba_entry.http.routes.ledger import proof_out

TOOL = Path(__file__).parents[3] / "tools" / "verify_ledger.py"
SIZE = 3
PLAYERS = "1213231112333132"
"""Who is paid by each entry; all but the last are sealed, SIZE by SIZE."""

Verify = Callable[..., tuple[int, str]]


async def _open() -> Store:
    return MemoryStore()


async def _breathe() -> None:
    return


@pytest.fixture(name="play", scope="module")
def _play() -> Iterator[Playground]:
    play = Playground(_open)

    async def post(unit: UnitOfWork) -> None:
        for number, player in enumerate(PLAYERS):
            posting = movement(number + 1, "chain", f"player:{player}")
            await unit.write(at=number, postings=[posting])

    play.run(play.store.transact(post))
    auditor = LedgerAuditor(store=play.store, clock=play.clock, seal_after_ms=10**15, size=SIZE)
    standing = play.run(auditor.go_round(play.pipeline, _breathe))
    assert standing.checkpoints == len(PLAYERS) // SIZE
    yield play
    play.close()


def answer(play: Playground, player: str, number: int | None = None) -> dict[str, Any]:
    """Return what the service answers."""
    proof = play.run(proof_for(play.store, player, number=number))
    assert proof is not None
    found: dict[str, Any] = json.loads(msgspec.json.encode({"data": proof_out(proof)}))
    return found


@pytest.fixture(name="verify", scope="module")
def _verify(tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Run the tool in this process: no module of the package is there when it is read."""
    space: dict[str, Any] = {"__name__": "tool"}
    exec(compile(TOOL.read_text("utf-8"), str(TOOL), "exec"), space)  # noqa: S102 - our own file
    path = tmp_path_factory.mktemp("proof") / "answer.json"

    def run(document: dict[str, Any], head: str, account: str) -> tuple[int, str]:
        path.write_text(json.dumps(document), "utf-8")
        arguments = ["verify_ledger.py", "--proof", str(path), "--head", head]
        said: list[str] = []
        with pytest.MonkeyPatch.context() as context:
            context.setattr(sys, "argv", [*arguments, "--account", account])
            context.setitem(space, "print", said.append)
            code: int = space["main"]()
        return code, "\n".join(said)

    return run


def test_every_sealed_entry_of_a_player_is_proven(play: Playground, verify: Verify) -> None:
    """Going back from the newest checkpoint, all of them are found, and nobody else's."""
    for player in "123":
        found: list[int] = []
        number: int | None = None
        while True:
            document = answer(play, player, number)
            head = document["data"]["head"]["hash"]
            code, text = verify(document, head, f"player:{player}")
            assert code == 0, text
            found += [json.loads(each["line"])[0] for each in document["data"]["entries"]][::-1]
            number = document["data"]["older"]
            if number is None:
                break
        sealed = PLAYERS[: len(PLAYERS) // SIZE * SIZE]
        owed = [place for place, each in enumerate(sealed, start=1) if each == player]
        assert found == owed[::-1]


def test_a_checkpoint_without_own_entries_proves_none(play: Playground) -> None:
    """There is nothing in it, and the older one is told."""
    number = next(
        place // SIZE + 1
        for place in range(0, 15, SIZE)
        if "1" not in PLAYERS[place : place + SIZE]
    )
    document = answer(play, "1", number)["data"]
    assert document["entries"] == []
    assert document["older"] < number
    assert play.run(proof_for(play.store, "9", number=None)) is None
    assert play.run(proof_for(play.store, "1", number=99)) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_nothing_of_a_proof_can_be_another(
    play: Playground, verify: Verify, data: st.DataObject
) -> None:
    """Whatever of an answer is changed, it proves nothing for the head that was kept."""
    number = data.draw(st.integers(1, len(PLAYERS) // SIZE))
    document = answer(play, data.draw(st.sampled_from("123")), number)
    head = document["data"]["head"]["hash"]
    proof = document["data"]
    if not proof["entries"]:
        return
    entry = data.draw(st.sampled_from(proof["entries"]))
    spot = data.draw(
        st.sampled_from(
            [
                (entry, "line"),
                (entry, "place"),
                *((entry["path"], place) for place in range(len(entry["path"]))),
                *((proof["history"], place) for place in range(len(proof["history"]))),
                *(
                    (proof[part], name)
                    for part in ("checkpoint", "head")
                    for name in ("sealed", "hash")
                ),
            ]
        )
    )
    part, name = spot
    before = part[name]
    if isinstance(before, int):
        part[name] = data.draw(st.integers(-1, 9).filter(lambda each: each != before))
    else:
        place = data.draw(st.integers(0, len(before) - 1))
        part[name] = before[:place] + chr(ord(before[place]) ^ 1) + before[place + 1 :]
    code, text = verify(document, head, "player:1")
    assert code == 1
    assert text.startswith("WRONG ")


def test_another_players_proof_is_not_mine(play: Playground, verify: Verify) -> None:
    """A proof is held against the account that it is asked for, and against the head."""
    document = answer(play, "1")
    head = document["data"]["head"]["hash"]
    assert verify(document, head, "player:2")[0] == 1
    assert verify(document, "0" * 64, "player:1")[0] == 1


def test_a_chain_with_a_gap_proves_nothing() -> None:
    """What is missing is told as an outage: there is no proof to be had."""
    play = Playground(_open)

    async def fill(unit: UnitOfWork) -> None:
        for number in range(8):
            await unit.write(at=number, postings=[movement(1)])

    play.run(play.store.transact(fill))
    auditor = LedgerAuditor(store=play.store, clock=play.clock, seal_after_ms=0, size=1)
    play.run(auditor.go_round(play.pipeline, _breathe))
    state = play.store._state  # type: ignore[attr-defined] # somebody tampers with it
    sealed: dict[object, Any] = state.records[Checkpoint]
    kept = sealed.pop(3)
    with pytest.raises(Unavailable, match="checkpoint 3"):
        play.run(proof_for(play.store, "1", number=4))
    sealed[3], sealed[4] = kept, replace(sealed[4], trees=())
    with pytest.raises(Unavailable):
        play.run(proof_for(play.store, "1", number=1))
    play.close()
