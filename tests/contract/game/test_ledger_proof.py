"""A player's own entries, proven to be in the ledger whose head anyone sees."""

import json
from typing import Any

from tests.contract.game.support import Game, data_of

PATH = "/api/ledger/proof"
Json = Any


def test_own_entries_are_proven_back_to_the_first(game: Game) -> None:
    """From the newest checkpoint that has some, and on by `older`; the head is the public one."""
    for amount in (1, 2, 3):
        game.fund("7", NEUR=amount)
        game.fund("8", NEUR=amount)
    game.seal(size=2)
    found: list[Json] = []
    query = ""
    while True:
        proof = data_of(game.get(f"{PATH}{query}", player="7"))
        found += [json.loads(each["line"]) for each in reversed(proof["entries"])]
        assert json.loads(proof["checkpoint"]["sealed"])["number"] == proof["checkpoint"]["number"]
        if proof["older"] is None:
            break
        query = f"?checkpoint={proof['older']}"
    assert [entry[3] for entry in found] == [3, 2, 1]
    assert all("player:7" in entry[4:6] for entry in found)
    head = data_of(game.get("/api/solvency"))["liabilities"]["head"]
    assert proof["head"]["hash"] == head


def test_who_has_no_sealed_entry_has_no_proof(game: Game) -> None:
    """Nor is there one of a checkpoint that there isn't."""
    game.fund("8", NEUR=1)
    assert game.get(PATH, player="7").status_code == 404
    game.seal(size=2)
    assert game.get(PATH, player="7").status_code == 404
    assert game.get(f"{PATH}?checkpoint=9", player="7").status_code == 404
    assert data_of(game.get(f"{PATH}?checkpoint=1", player="7"))["entries"] == []


def test_only_players_ask_and_for_a_number(game: Game) -> None:
    """Anyone else is told so, before anything is read."""
    assert game.get(PATH).status_code == 401
    for wrong in ("0", "-1", "x", "9007199254740993"):
        assert game.get(f"{PATH}?checkpoint={wrong}", player="7").status_code == 400
