"""The runbook of rotating the oracle's key, done as it says on a local chain."""

import re
from base64 import b64decode
from functools import partial
from pathlib import Path

from pytoniq_core.boc.cell import Cell

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from tests.contract.process.support import Player, Server, until
from tests.contract.signer_service.site import Site, ask, claim, state_of

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook" / "rotate-oracle-key.md"
STEP = re.compile(r"<!-- step: (\w+) -->\n```console\n(.*?)```", re.DOTALL)
STEPS = {
    name: "\n".join(line.removeprefix("$ ") for line in text.splitlines())
    for name, text in STEP.findall(RUNBOOK.read_text(encoding="utf-8"))
}


def has_state(state: str, server: Server, player: Player, key: str) -> bool:
    """Tell whether a claim has come to a state."""
    return state_of(server, player, key) == state


def test_the_key_is_rotated_and_all_claims_end_well(site: Site) -> None:
    """Paid before; signed before and sent too late, so refunded; paid after, and once more back."""
    old = site.start_signer()
    server = site.start_api("old")
    with server.client() as http:
        players = [site.player(http, number) for number in (1, 2, 3)]
        paid, late, waiting = players
        assert site.pay("1", claim(http, paid, "before"))["exitCode"] == 0
        unsent = claim(http, late, "before")

        site.run(STEPS["key"])
        new = site.start(STEPS["serve"], "new-signer").until_said("signer ready")
        assert site.run(STEPS["ready"]) == '{"ready":true}'

        site.run(STEPS["order"])
        order = b64decode((site.folder / "new" / "order.boc").read_text())
        site.send_as_owner(Cell.one_from_boc(order))
        assert site.believed() == (site.folder / "new" / "oracle.pub").read_text().strip()

        assert site.pay("2", unsent)["exitCode"] != 0
        refused = ask(http, waiting, "meanwhile")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert server.stop() == 0

    server = site.start_api("new")
    with server.client() as http:
        assert old.stop() == 0
        for player, key, name in ((waiting, "meanwhile", "3"), (paid, "after", "1")):
            assert site.pay(name, claim(http, player, key))["exitCode"] == 0
            until(partial(has_state, "confirmed", server, player, key))
        assert state_of(server, paid, "before") == "confirmed"

        site.let_pass(VALIDITY_S + EXPIRY_MARGIN_S + 1)
        until(lambda: state_of(server, late, "before") == "refunded")
        again = claim(http, late, "again")
        assert again["claim"]["seqno"] == unsent["claim"]["seqno"]
        assert site.pay("2", again)["exitCode"] == 0
        until(lambda: state_of(server, late, "again") == "confirmed")
    assert server.stop() == 0
    assert new.stop() == 0
    log = site.run(STEPS["audit"])
    assert "started 2" in log

    site.run(STEPS["back"])
    site.send_as_owner(Cell.one_from_boc(b64decode((site.folder / "old/order.boc").read_text())))
    assert site.believed() == (site.folder / "old" / "oracle.pub").read_text().strip()
    old, server = site.start_signer(), site.start_api("old")
    with server.client() as http:
        assert site.pay("3", claim(http, waiting, "back"))["exitCode"] == 0
        until(partial(has_state, "confirmed", server, waiting, "back"))
    assert server.stop() == old.stop() == 0
