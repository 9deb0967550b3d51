"""A whole site as processes: a chain, signers and an API that has no key."""

import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from click.testing import CliRunner
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.arena import TON, key_of
from aiba_adapters.devnet.wallets import Order, WalletVersion, make_wallet
from aiba_adapters.ton.addresses import parse_canonical
from aiba_entry.cli.main import main
from tests.contract.process.support import (
    PATIENCE_S,
    Player,
    Server,
    data_of,
    environment,
    new_player,
    rows,
    until,
)
from tests.support.forked import impatient

SCRIPTS: Final = Path(sys.executable).parent
EXPORT: Final = re.compile(r"\s*export (\w+)=(\S+)")
CHAIN_SETTINGS: Final = (
    "TON_NETWORK",
    "TON_PROVIDER_URL",
    "TON_REQUESTS_PER_SECOND",
    "ARENA_VAULT_ADDRESS",
    "AIBA_JETTON_MASTER",
    "TON_PROOF_DOMAINS",
    "AIBA_DEV_CHAIN_TIME",
)
POLICY: Final = """
[[allow]]
name = "arena"
network = "testnet"
vault = "{vault}"
jetton_master = "{master}"
limits = {{ claim = 1000000, recipient_day = 1000000, day = 1000000, lifetime = 1000000 }}
"""


class Process:
    """A command that runs until it is ended; its output and errors go to one file."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], said: Path) -> None:
        """Start it."""
        self._said = said
        with said.open("wb") as out:
            self.process = subprocess.Popen(  # noqa: S603 - this project's own command
                command, env=dict(environ), stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def text(self) -> str:
        """What it has said."""
        return self._said.read_text()

    def until_said(self, wanted: str) -> "Process":
        """Wait until it says something."""
        until(lambda: wanted in self.text or self.process.poll() is not None)
        assert self.process.poll() is None, self.text
        return self

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


class Site:
    """The processes, each started when a test says so, all of them ended with it."""

    def __init__(self, folder: Path) -> None:
        """Make the first key, a token and the signer's files; start the chain."""
        self.folder = folder
        self._running: list[Process | Server] = []
        self.environ = {
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "ORACLE_SIGNER_STORE": str(folder / "store" / "protection.db"),
            "ORACLE_SIGNER_LOG": str(self.log),
            "ORACLE_SIGNER_POLICY": str(folder / "policy.toml"),
            "SIGNER_TOKENS_FILE": str(folder / "tokens"),
            "OLD": str(folder / "old"),
            "NEW": str(folder / "new"),
        }
        for name in ("old", "new"):
            (folder / name).mkdir()
        public_key = self.here("new-key", str(folder / "old" / "oracle.key"))
        (folder / "old" / "oracle.pub").write_text(public_key)
        (folder / "tokens").write_text(self.here("new-token", "api", str(folder / "token")))
        self.here("init", "--network", "testnet", "--new-key")
        self.chain = self._start_chain()

    @property
    def old_key(self) -> bytes:
        """The seed of the key that the chain's vault believes at first."""
        return bytes.fromhex((self.folder / "old" / "oracle.key").read_text())

    @property
    def log(self) -> Path:
        """The log of the signers."""
        return self.folder / "log" / "audit.log"

    @property
    def token(self) -> str:
        """The API's token."""
        return (self.folder / "token").read_text().strip()

    def here(self, *words: str) -> str:
        """Run a command of `aiba signer` in this process, and return what it printed."""
        run = CliRunner().invoke(main, ["signer", *words], env=self.environ)
        assert run.exit_code == 0, run.output
        return run.stdout

    def run(self, command: str) -> str:
        """Run a line of shell to its end and return what it printed."""
        run = subprocess.run(  # noqa: S603 - a line of this repository's documents
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def start(self, command: str, name: str) -> Process:
        """Start a line of shell that goes on running."""
        shell = ("/bin/bash", "-euo", "pipefail", "-c", command)
        process = Process(shell, self.environ, self.folder / f"{name}.log")
        self._running.append(process)
        return process

    def start_signer(self) -> Process:
        """Start the first signer."""
        return self.start(
            'ORACLE_PRIVATE_KEY_HEX_FILE="$OLD/oracle.key" SIGNER_SOCKET="$OLD/signer.sock" '
            "exec aiba signer serve",
            "old-signer",
        ).until_said("signer ready")

    def api_environment(self, where: str, **more: str) -> dict[str, str]:
        """Return what the API is told: where a signer's socket is, and no key."""
        chain = {name: self.environ[name] for name in CHAIN_SETTINGS}
        signer = {
            "ORACLE_SIGNER_URL": f"unix:{self.folder}/{where}/signer.sock",
            "ORACLE_SIGNER_TOKEN": self.token,
        }
        return environment(self.folder / "data", **chain, **signer, **more)

    def start_api(self, where: str, **more: str) -> Server:
        """Start an API whose signer is in `old` or `new`; it settles claims at once.

        What the vault believes it reads for each signature.
        """
        environ = self.api_environment(where, **more)
        server = Server(self.folder / "data", environ, None, before=impatient)
        self._running.append(server)
        return server.wait_until_ready()

    def end(self) -> None:
        """End everything that still runs."""
        for one in self._running:
            one.kill()

    # The chain

    def _start_chain(self) -> Process:
        chain = self.start(
            'ORACLE_PRIVATE_KEY_HEX_FILE="$OLD/oracle.key" exec aiba devnet --port 0', "chain"
        ).until_said("AIBA_DEV_CHAIN_TIME")
        self.environ |= {
            found[1]: found[2] for line in chain.text.splitlines() if (found := EXPORT.match(line))
        }
        policy = POLICY.format(
            vault=self.environ["ARENA_VAULT_ADDRESS"], master=self.environ["AIBA_JETTON_MASTER"]
        )
        (self.folder / "policy.toml").write_text(policy)
        return chain

    def ask_chain(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Ask the chain's server."""
        base = self.environ["TON_PROVIDER_URL"].partition("/api/")[0]
        method = "GET" if body is None else "POST"
        answer = httpx.request(
            method, f"{base}{path}", json=body, trust_env=False, timeout=PATIENCE_S
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def believed(self) -> str:
        """Return the public key that the vault believes, in hex."""
        return str(self.ask_chain("/control/state")["oraclePublicKeyHex"])

    def send_as_owner(self, body: Cell) -> None:
        """Let the vault's owner send a message to the vault, through the provider's API."""
        owner = make_wallet(WalletVersion.V4R2, key_of("owner"), network_id=-3)
        asked = {"address": owner.address.raw, "method": "seqno", "stack": []}
        stack = self.ask_chain("/api/v2/runGetMethod", asked)["result"]["stack"]
        vault = parse_canonical(self.environ["ARENA_VAULT_ADDRESS"], field="vault")
        order = Order(destination=vault, value=TON // 20, body=body)
        message = owner.signed((order,), seqno=int(stack[0][1], 16), deploy=False)
        self.ask_chain("/api/v2/sendBoc", {"boc": b64encode(message.to_boc()).decode()})

    def let_pass(self, seconds: int) -> None:
        """Let chain time pass."""
        self.ask_chain("/control/time", {"advance": seconds})

    def pay(self, name: str, claimed: object) -> Any:  # noqa: ANN401 - JSON
        """Let a wallet send its claim; return what came of it."""
        return self.ask_chain(f"/control/wallet/{name}/claim", claimed)

    # Players

    def player(self, http: httpx.Client, number: int) -> Player:
        """Return a player with a wallet and something to withdraw."""
        player = new_player(http, number)
        payload = http.get("/api/wallet/proof-payload", headers=player.headers).json()
        proof = self.ask_chain(f"/control/wallet/{number}/proof", payload)
        data_of(http.post("/api/wallet/connect", json=proof, headers=player.headers))
        body = {"requestId": "battle", "brokerId": player.broker_id}
        won = data_of(http.post("/api/battle/run", json=body, headers=player.headers))
        assert won["rewardAiba"] > 0
        return player


def ask(http: httpx.Client, player: Player, key: str) -> httpx.Response:
    """Withdraw one AIBA."""
    body = {"requestId": key, "amount": 1}
    return http.post("/api/economy/claim-aiba", json=body, headers=player.headers)


def claim(http: httpx.Client, player: Player, key: str) -> Any:  # noqa: ANN401 - JSON
    """Withdraw one AIBA and return the signed claim's answer."""
    answer = ask(http, player, key)
    assert answer.status_code == 200, answer.text
    return answer.json()


def state_of(server: Server, player: Player, key: str) -> str:
    """Return how a claim stands in the API's books."""
    for (body,) in rows(server.database, "SELECT body FROM claims WHERE body LIKE ?", f'%"{key}"%'):
        found = json.loads(body)
        if f'"{player.id}"' in body:
            return str(found["state"])
    raise AssertionError(f"no claim {key}")
