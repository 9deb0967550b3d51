"""The signer's token is changed under real processes while claims are made all the while.

An operator does it by `aiba keys`, with a way back at each step; no claim is ever refused.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import count

import httpx
import pytest
from click.testing import CliRunner

from aiba_entry.cli.doctor import read_env_file
from aiba_entry.cli.main import main
from aiba_entry.signer.tokens import load_tokens
from tests.contract.process.rolling import Door, Fleet, Traffic
from tests.contract.process.support import Player, init_data, until
from tests.contract.signer_service.site import Process, Site
from tests.support.forked import impatient

NAME = "ORACLE_SIGNER_TOKEN"
LINE = re.compile(r"api-\w+ sha256:\w+")


class Operator:
    """Somebody with the API's variables, the token's file, and the signer's file of tokens."""

    def __init__(self, site: Site, signer: Process) -> None:
        """Take the API's variables as they are at the site."""
        self.site = site
        self._signer = signer
        self._reads = 0
        self.file = site.folder / "token"
        self.env_file = site.folder / "service.env"
        given = site.api_environment("old")
        given.pop(NAME)
        given[f"{NAME}_FILE"] = str(self.file)
        self.env_file.write_text("".join(f"{name}={text}\n" for name, text in given.items()))

    def environ(self) -> Mapping[str, str]:
        """Return what an API process is started with now."""
        return read_env_file(self.env_file)

    def rotate(self, *step: str) -> str:
        """Do a step, and return the signer's line that it tells of."""
        words = ["keys", "rotate", NAME, "--env-file", str(self.env_file), *step]
        told = CliRunner().invoke(main, words)
        assert told.exit_code == 0, told.output
        lines = LINE.findall(told.output)
        return str(lines[0]) if lines else ""

    def know(self, line: str) -> None:
        """Let the signer in whoever has a line's token."""
        self._write([*self._lines(), line])

    def forget(self, line: str) -> None:
        """Let the signer know it no more, by whatever name it has it."""
        digest = line.split()[1]
        self._write([each for each in self._lines() if digest not in each])

    def _lines(self) -> list[str]:
        return (self.site.folder / "tokens").read_text().splitlines()

    def _write(self, lines: list[str]) -> None:
        draft = self.site.folder / "tokens.draft"
        draft.write_text("\n".join(lines) + "\n")
        load_tokens(draft)
        draft.replace(self.site.folder / "tokens")
        self._reads += 1
        until(lambda: self._signer.text.count("tokens read again") >= self._reads)

    def is_let_in(self, token: str) -> bool:
        """Tell whether the signer answers whoever shows a token; the claim itself is none."""
        socket = str(self.site.folder / "old" / "signer.sock")
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket)) as http:
            headers = {"Authorization": f"Bearer {token}"}
            return http.post("http://signer/sign", json={}, headers=headers).status_code != 401


class Claims(Traffic):
    """Players who come, win, and withdraw, at one door after another."""

    def __init__(self, site: Site, fleet: Fleet) -> None:
        """Let them come."""
        super().__init__(self.withdraw)
        self._site = site
        self._doors = [Door(fleet, place) for place in range(2)]
        self._numbers = count(100)

    def withdraw(self, number: int) -> None:
        """Let a new player claim at each door; each claim comes back signed."""
        del number
        for door in self._doors:
            player = self._player(door)
            claimed = door.data(
                "POST", "/api/economy/claim-aiba", player.token, requestId="claim", amount=1
            )
            assert claimed["claim"]["signatureBase64"]

    def _player(self, door: Door) -> Player:
        number = next(self._numbers)
        opened = door.data("POST", "/api/auth/session", initData=init_data(number))
        token = opened["token"]
        broker = door.data("POST", "/api/brokers/starter", token, requestId="starter")["_id"]
        payload = door.call("GET", "/api/wallet/proof-payload", token).json()
        proof = self._site.ask_chain(f"/control/wallet/{number}/proof", payload)
        door.data("POST", "/api/wallet/connect", token, **proof)
        door.data("POST", "/api/battle/run", token, requestId="battle", brokerId=broker)
        return Player(str(number), token, broker)


@pytest.fixture(name="fleets")
def _fleets() -> Iterator[list[Fleet]]:
    """End what a test has started."""
    fleets: list[Fleet] = []
    yield fleets
    for fleet in fleets:
        fleet.end()


def test_no_claim_is_refused_while_the_token_is_changed(site: Site, fleets: list[Fleet]) -> None:
    """Announced and dropped, announced and used, back, used again, and the one before let go."""
    signer = site.start_signer()
    operator = Operator(site, signer)
    old = site.token
    fleet = Fleet(site.folder / "data", operator.environ, before=impatient)
    fleets.append(fleet)
    claims = Claims(site, fleet)

    def goes_on() -> None:
        claims.goes_on(1)

    with claims.running():
        goes_on()
        line = operator.rotate()
        operator.know(line)
        goes_on()
        operator.forget(line)
        operator.rotate("--drop")
        goes_on()

        operator.know(operator.rotate())
        for step in ("--use", "--back", "--use"):
            operator.rotate(step)
            fleet.roll(goes_on)
            assert (site.token == old) == (step == "--back")
        operator.forget(operator.rotate("--finish"))
        goes_on()
        assert operator.is_let_in(site.token)
        assert not operator.is_let_in(old)
        goes_on()
    assert [server.stop() for server in fleet.servers] == [0, 0]
    assert signer.stop() == 0
    told = site.run('aiba signer audit verify "$ORACLE_SIGNER_LOG"')
    assert "refused" not in told
    assert site.token not in signer.text
    assert old not in signer.text
