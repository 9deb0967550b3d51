"""The runbook of rotating the oracle's key, done as it says on a local chain."""

import json
import re
from base64 import b64decode
from functools import partial
from pathlib import Path

import httpx
from click.testing import CliRunner
from nacl.signing import SigningKey
from pytoniq_core.boc.cell import Cell

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from aiba_entry.cli.main import main
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


AUDIT_KEYS = [SigningKey(bytes(range(number, number + 32))) for number in (40, 41)]


def log_keys(site: Site, **keys: SigningKey) -> None:
    """Tell the signers that start from now on by which keys the log is signed."""
    for ending, name in (("", "used"), ("_PREVIOUS", "before")):
        variable = f"ORACLE_SIGNER_AUDIT_KEY_HEX{ending}"
        site.environ.pop(variable, None)
        if name in keys:
            site.environ[variable] = bytes(keys[name]).hex()


def reissue(site: Site, times: int) -> None:
    """Let claims that expire be issued again."""
    (site.folder / "policy.json").write_text(json.dumps({"claim_reissues": times}))
    words = ["policy", "change", str(site.folder / "policy.json")]
    changed = CliRunner().invoke(main, words, env=site.api_environment("old"))
    assert changed.exit_code == 0, changed.output


class Rotation:
    """The rotation on a site, with players whose claims are at every point of it."""

    def __init__(self, site: Site) -> None:
        """Start with the old key, which signs claims that are paid, and one that is kept."""
        self.site = site
        log_keys(site, used=AUDIT_KEYS[0])
        self.old = site.start_signer()
        self.server = site.start_api("old")
        with self.server.client() as http:
            players = [site.player(http, number) for number in (1, 2, 3)]
            self.paid, self.late, self.waiting = players
            self.pay(http, self.paid, "before")
            self.unsent = claim(http, self.late, "before")

    def pay(self, http: httpx.Client, player: Player, key: str) -> None:
        """Claim, let the vault pay it, and see it settled."""
        assert self.site.pay(player.id, claim(http, player, key))["exitCode"] == 0
        until(partial(has_state, "confirmed", self.server, player, key))

    def order(self, name: str) -> None:
        """Let the owner name the key of a signer."""
        order = b64decode((self.site.folder / name / "order.boc").read_text())
        self.site.send_as_owner(Cell.one_from_boc(order))
        public_key = (self.site.folder / name / "oracle.pub").read_text().strip()
        assert self.site.believed() == public_key

    def there(self) -> None:
        """Name the new key: what the old one signed, and wasn't sent, is worth nothing now.

        The log's key is changed too: the second signer takes the log over while the first works.
        """
        site = self.site
        with self.server.client() as http:
            site.run(STEPS["key"])
            log_keys(site, used=AUDIT_KEYS[1], before=AUDIT_KEYS[0])
            new = site.start(STEPS["serve"], "new-signer").until_said("signer ready")
            # Until the vault knows the new key, the way back is to stop its signer.
            assert new.stop() == 0
            self.pay(http, self.paid, "not-yet")
            self.new = site.start(STEPS["serve"], "new-signer").until_said("signer ready")
            assert site.run(STEPS["ready"]) == '{"ready":true}'
            site.run(STEPS["order"])
            self.order("new")
            assert site.pay(self.late.id, self.unsent)["exitCode"] != 0
            refused = ask(http, self.waiting, "meanwhile")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert self.server.stop() == 0

    def after(self) -> None:
        """Pay by the new key what waited, what is new, and what came back from the old one."""
        self.server = self.site.start_api("new")
        with self.server.client() as http:
            assert self.old.stop() == 0
            self.pay(http, self.waiting, "meanwhile")
            self.pay(http, self.paid, "after")
            assert state_of(self.server, self.paid, "before") == "confirmed"
            self.site.let_pass(VALIDITY_S + EXPIRY_MARGIN_S + 1)
            until(lambda: state_of(self.server, self.late, "before") == "refunded")
            again = claim(http, self.late, "again")
            assert again["claim"]["seqno"] == self.unsent["claim"]["seqno"]
            self.pay(http, self.late, "again")
            self.unsent = claim(http, self.paid, "unsent")
        assert self.server.stop() == 0
        assert self.new.stop() == 0

    def log_is_whole(self) -> None:
        """Whoever knows either of the log's keys finds all of it signed."""
        assert "started 3" in self.site.run(STEPS["audit"])
        for key in AUDIT_KEYS:
            known = ("--key", bytes(key.verify_key).hex())
            log = self.site.here("audit", "verify", str(self.site.log), *known)
            assert "handed_over 1" in log
            assert "; 0 after it" in log

    def back(self) -> None:
        """Go back, and see what the new key signed issued again by the old one, if it may be."""
        site = self.site
        site.run(STEPS["back"])
        self.order("old")
        assert site.pay(self.paid.id, self.unsent)["exitCode"] != 0
        reissue(site, 1)
        self.old, self.server = site.start_signer(), site.start_api("old")
        with self.server.client() as http:
            self.pay(http, self.waiting, "back")
            site.let_pass(VALIDITY_S + EXPIRY_MARGIN_S + 1)
            until(lambda: self.is_issued_again(http))
            again = claim(http, self.paid, "unsent")
            assert again["claim"]["seqno"] == self.unsent["claim"]["seqno"]
            self.pay(http, self.paid, "unsent")
        assert self.server.stop() == self.old.stop() == 0

    def is_issued_again(self, http: httpx.Client) -> bool:
        """Tell whether a claim that was kept has another signature now."""
        answer = ask(http, self.paid, "unsent")
        return answer.is_success and answer.json()["claim"] != self.unsent["claim"]


def test_the_key_is_rotated_and_all_claims_end_well(site: Site) -> None:
    """Paid before and after; signed before and sent too late, so refunded or issued again."""
    rotation = Rotation(site)
    rotation.there()
    rotation.after()
    rotation.log_is_whole()
    rotation.back()
