"""Solvency: what the ledger says is owed, and what the vault holds, for anyone to see."""

from typing import Any

import pytest

from aiba_domain.instants import iso
from aiba_domain.testing.chain import VAULT
from aiba_entry.solvency import KEPT_MS
from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import Game, data_of
from tests.contract.game.ton import WITHOUT

Json = dict[str, Any]


def ask(game: Game) -> Json:
    """Ask once an earlier answer isn't kept any more."""
    game.clock.advance(KEPT_MS)
    found: Json = data_of(game.get("/api/solvency"))
    return found


def hold(game: Game, jettons: int) -> None:
    """Let the vault hold so many jettons."""
    game.ton.chain.vault.jettons = jettons


def test_both_sides(game: Game) -> None:
    """What players and withdrawals are owed, the operator's own apart, and the vault's jettons."""
    player, _ = game.holder(100)
    game.fund("77", AIBA=50, NEUR=9)
    game.withdraw(player, amount=40)
    head = game.seal()
    hold(game, 300)
    found = ask(game)
    owed = found["liabilities"]
    assert owed["head"] == head
    assert owed["auditedAt"] == owed["at"] == iso(game.clock.now() - KEPT_MS)
    assert (owed["players"]["AIBA"], owed["players"]["NEUR"]) == ("110", "9")
    assert owed["claims"]["AIBA"] == "40"
    assert (owed["totalAiba"], owed["withdrawableAiba"]) == ("150", "150")
    assert (found["status"], found["solvent"], found["ratioBps"]) == ("ok", True, "20000")
    assets = found["assets"]
    assert (assets["vaultAddress"], assets["jettons"], assets["gasOk"]) == (VAULT, "300", True)
    assert isinstance(assets["blockSeqno"], int)


def test_one_jetton_short_is_not_solvent(game: Game) -> None:
    """The line is exact."""
    game.fund("77", AIBA=10_000)
    game.seal()
    for jettons, solvent, ratio in ((10_000, True, "10000"), (9_999, False, "9999")):
        hold(game, jettons)
        found = ask(game)
        assert (found["solvent"], found["ratioBps"]) == (solvent, ratio)


def test_nothing_owed_is_solvent(game: Game) -> None:
    """There is no ratio to nothing."""
    game.fund("77", NEUR=1)
    game.seal()
    found = ask(game)
    assert (found["solvent"], found["ratioBps"]) == (True, None)


def test_what_is_not_known_is_null(game: Game, make_game: MakeGame) -> None:
    """Without an audit, without a chain that answers, and without a vault; each says so."""
    hold(game, 1)
    found = ask(game)
    assert (found["status"], found["liabilities"], found["solvent"]) == ("not_audited", None, None)
    assert found["assets"]["jettons"] == "1"
    game.fund("77", AIBA=1)
    game.seal()
    game.ton.reader.inventory_is_down = True
    found = ask(game)
    told = (found["status"], found["assets"], found["solvent"])
    assert told == ("chain_unavailable", None, None)
    assert found["liabilities"]["totalAiba"] == "1"
    bare = make_game(**WITHOUT)
    bare.fund("77", AIBA=3)
    bare.seal()
    found = ask(bare)
    assert (found["status"], found["assets"]) == ("no_vault", None)
    assert found["liabilities"]["totalAiba"] == "3"


def test_nobody_makes_us_ask_the_chain_often(game: Game) -> None:
    """However many ask, one answer is computed for all of them, and kept for a while."""
    game.fund("77", AIBA=1)
    game.seal()
    before = game.ton.reader.asked
    answers = [game.get("/api/solvency").content for _ in range(20)]
    once = game.ton.reader.asked - before
    bodies = {answer.partition(b'"requestId"')[0] for answer in answers}
    assert len(bodies) == 1
    game.clock.advance(KEPT_MS)
    game.get("/api/solvency")
    assert game.ton.reader.asked - before == 2 * once


def test_an_outage_is_not_hammered_either(game: Game) -> None:
    """That the chain doesn't answer is an answer too, and kept as long."""
    game.ton.reader.down.add(0)
    for _ in range(3):
        assert data_of(game.get("/api/solvency"))["status"] == "chain_unavailable"
    game.ton.reader.down.discard(0)
    assert data_of(game.get("/api/solvency"))["status"] == "chain_unavailable"
    assert ask(game)["status"] == "not_audited"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_only_the_newest_checkpoint_is_read(make_game: MakeGame, kind: str) -> None:
    """No matter how long the ledger: neither entries nor accounts are gone through."""
    game = make_game(kind)
    game.fund("77", AIBA=1)
    game.seal()
    game.fund("77", AIBA=10)
    assert ask(game)["liabilities"]["totalAiba"] == "1"
    game.seal()
    assert ask(game)["liabilities"]["totalAiba"] == "11"
