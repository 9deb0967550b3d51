"""`aiba serve --local-chain`: the whole loop without network or account, through any restart."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from nacl.signing import SigningKey

from aiba_entry.dev_secrets import FILE_NAME, dev_oracle_key
from aiba_entry.stores import DATABASE
from tests.contract.process.support import (
    AIBA,
    PATIENCE_S,
    Json,
    Player,
    Server,
    aiba,
    data_of,
    environment,
    new_player,
    rows,
    until,
)

COMMAND = (*AIBA, "serve", "--local-chain")
ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(find_spec("tonpy") is None, reason="the TVM isn't built for it")

Serve = Callable[..., Server]


def chain_of(server: Server) -> str:
    """Return where the server says that its chain is."""
    lines = server.printed.read_text().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["API docs", "Health", "Metrics", "Chain"]
    return lines[-1].split()[-1]


def chain_pid(server: Server) -> int:
    """Return the process of the server's chain: its only child."""
    own = server.process.pid
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    (child,) = map(int, children)
    return child


def control(server: Server, deed: str, body: object = None) -> Json:
    """Use a control of the chain."""
    method = "GET" if body is None else "POST"
    answer = httpx.request(
        method, f"{chain_of(server)}/control/{deed}", json=body, trust_env=False, timeout=PATIENCE_S
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be buried doesn't."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def connect(server: Server, http: httpx.Client, player: Player) -> None:
    """Bind the player's wallet, as its application does."""
    payload = http.get("/api/wallet/proof-payload", headers=player.headers).json()
    proof = control(server, f"wallet/{player.id}/proof", payload)
    bound = data_of(http.post("/api/wallet/connect", json=proof, headers=player.headers))
    assert bound["wallet"] == proof["address"]


def earn(http: httpx.Client, player: Player, key: str) -> None:
    """Win some AIBA in a battle."""
    body = {"requestId": key, "brokerId": player.broker_id}
    assert data_of(http.post("/api/battle/run", json=body, headers=player.headers))["rewardAiba"]


def claim(http: httpx.Client, player: Player, key: str, amount: int) -> Json:
    """Withdraw AIBA and return the service's answer."""
    body = {"requestId": key, "amount": amount}
    answer = http.post("/api/economy/claim-aiba", json=body, headers=player.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def standing(http: httpx.Client, claimed: Json) -> str:
    """Return how a claim stands on the chain."""
    terms = claimed["claim"]
    asked = {"to": terms["toAddress"], "seqno": terms["seqno"], "validUntil": terms["validUntil"]}
    status: str = data_of(http.get("/api/vault/claim-status", params=asked))["status"]
    return status


def state_in_store(server: Server, key: str) -> str:
    """Return a claim's state as the service has it."""
    ((body,),) = rows(server.database, "SELECT body FROM claims WHERE body LIKE ?", f'%"{key}"%')
    state: str = json.loads(body)["state"]
    return state


@pytest.fixture(name="impatient")
def _impatient(tmp_path: Path) -> Sequence[str]:
    """Return the command with a settlement that looks at the chain more often."""
    script = tmp_path / "impatient.py"
    script.write_text(
        "import aiba_entry.chain\n"
        "aiba_entry.chain.SETTLE_SECONDS = 0.1\n"
        "from aiba_entry.cli.main import main\n"
        "main(['serve', '--local-chain'])\n"
    )
    return AIBA[0], str(script)


def interrupted(server: Server, chain: int) -> None:
    """End both as Ctrl-C does."""
    del chain
    server.send(signal.SIGINT)
    assert server.wait() == 0


def killed(server: Server, chain: int) -> None:
    """End the API as a crash does; the chain follows."""
    del chain
    server.kill()


def bereft(server: Server, chain: int) -> None:
    """End the chain as a crash does; the API follows, and says why."""
    os.kill(chain, signal.SIGKILL)
    assert server.wait() == 1
    *_, said = server.logged.read_text().splitlines()
    assert said == "Error: the local chain ended while the API was running: exit code -9"


@pytest.mark.parametrize("end", [interrupted, killed, bereft])
def test_chain_and_database_agree_after_a_restart(
    serve: Serve, impatient: Sequence[str], end: Callable[[Server, int], None]
) -> None:
    """A paid claim is confirmed, its jettons are there, and the next one has the next seqno."""
    server = serve(command=COMMAND)
    with server.client() as http:
        player = new_player(http, 7)
        connect(server, http, player)
        earn(http, player, "battle-1")
        first = claim(http, player, "claim-1", 1)
        paid = control(server, "wallet/7/claim", first)
        assert (paid["address"], paid["exitCode"]) == (first["claim"]["toAddress"], 0)
        assert paid["jettons"] == "1"
    assert state_in_store(server, "claim-1") == "signed"
    before, chain = control(server, "state"), chain_pid(server)
    end(server, chain)
    until(lambda: not is_alive(chain))

    server = serve(command=impatient)
    after = control(server, "state")
    for name in ("vault", "jettonMaster", "owner", "oraclePublicKeyHex"):
        assert after[name] == before[name]
    assert (after["time"], after["block"]) >= (before["time"], before["block"])
    with server.client() as http:
        assert claim(http, player, "claim-1", 1)["claim"] == first["claim"]
        assert standing(http, first) == "confirmed"
        until(lambda: state_in_store(server, "claim-1") == "confirmed")
        second = claim(http, player, "claim-2", 1)
        assert second["claim"]["seqno"] == first["claim"]["seqno"] + 1
        paid = control(server, "wallet/7/claim", second)
        assert (paid["exitCode"], paid["jettons"]) == (0, "2")
        until(lambda: state_in_store(server, "claim-2") == "confirmed")
    chain = chain_pid(server)
    assert server.stop() == 0
    assert not is_alive(chain)
    assert not [line for line in server.log_lines() if line["level"] in {"error", "critical"}]


def test_a_chain_that_cannot_start_is_said_in_one_line(tmp_path: Path) -> None:
    """A damaged journal is named with its line; another oracle's chain isn't used."""
    from aiba_adapters.devnet.chain import TESTNET  # noqa: PLC0415 - where the TVM is built
    from aiba_adapters.devnet.durable import Terms, open_arena  # noqa: PLC0415 - as above

    data_dir = tmp_path / "data"
    environ = environment(data_dir)
    key = SigningKey(bytes.fromhex(dev_oracle_key(data_dir)))
    chain = data_dir / "chain"
    open_arena(chain, Terms(network_id=TESTNET, oracle=key), clock=time.time).close()
    journal = chain / "chain.journal"
    whole = journal.read_bytes()
    journal.write_bytes(b"x" + whole[1:])
    run = aiba(environ, "serve", "--local-chain")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        f"Error: the local chain can't start: {journal}, line 1: it isn't what was written there\n"
    )
    journal.write_bytes(whole)
    (data_dir / FILE_NAME).unlink()
    run = aiba(environ, "serve", "--local-chain")
    assert run.returncode == 1
    assert f"{journal}, line 1: this chain's vault believes the oracle key" in run.stderr
    assert dev_oracle_key(data_dir) not in run.stderr


def test_claims_in_flight_elsewhere_are_not_left_behind(
    serve: Serve, impatient: Sequence[str]
) -> None:
    """A new chain is refused while money is in flight at another vault, and welcome afterwards."""
    server = serve(command=COMMAND)
    with server.client() as http:
        player = new_player(http, 7)
        connect(server, http, player)
        earn(http, player, "battle-1")
        first = claim(http, player, "claim-1", 1)
    old = first["claim"]["vaultAddress"]
    assert server.stop() == 0
    away = server.data_dir / "elsewhere"
    (server.data_dir / "chain").rename(away)
    run = aiba(server.environ, "serve", "--local-chain")
    assert run.returncode == 1
    assert run.stderr.startswith(
        f"Error: {server.data_dir / DATABASE} has claims in flight at the vault {old}, "
    )
    shutil.rmtree(server.data_dir / "chain")
    away.rename(server.data_dir / "chain")
    server = serve(command=impatient)
    assert control(server, "wallet/7/claim", first)["exitCode"] == 0
    until(lambda: state_in_store(server, "claim-1") == "confirmed")
    assert server.stop() == 0

    shutil.rmtree(server.data_dir / "chain")
    server = serve(command=COMMAND)
    with server.client() as http:
        second = claim(http, player, "claim-2", 1)
        assert second["claim"]["vaultAddress"] != old
        assert second["claim"]["seqno"] == 1
        assert control(server, "wallet/7/claim", second)["exitCode"] == 0
    assert server.stop() == 0


def test_own_settings_win(serve: Serve) -> None:
    """Whoever sets TON variables gets the chain that they mean, and no other one."""
    own = {
        "ORACLE_PRIVATE_KEY_HEX": "5a" * 32,
        "TON_PROVIDER_URL": "http://127.0.0.1:1/api/v2/jsonRPC",
        "ARENA_VAULT_ADDRESS": f"0:{'ab' * 32}",
        "AIBA_JETTON_MASTER": f"0:{'cd' * 32}",
        "TON_PROOF_DOMAINS": "game.example",
    }
    server = serve(command=COMMAND, **own)
    said = server.printed.read_text().splitlines()[-1]
    assert said == "Chain     none of its own: ARENA_VAULT_ADDRESS is set"
    pid = server.process.pid
    assert Path(f"/proc/{pid}/task/{pid}/children").read_text() == ""
    assert not (server.data_dir / "chain").exists()
    assert server.stop() == 0


def test_where_the_tvm_is_not_built_the_api_starts_without_a_chain(
    serve: Serve, tmp_path: Path
) -> None:
    """It says so in one line; the database is used as it is where there is a chain later."""
    hide = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'tonpy' else find(name)\n"
        "from aiba_entry.cli.main import main\n"
        "main(['serve', '--local-chain'])\n"
    )
    script = tmp_path / "without.py"
    script.write_text(hide)
    server = serve(command=(AIBA[0], str(script)))
    said = server.printed.read_text().splitlines()[-1]
    assert said == (
        "Chain     none: the extra devnet is not installed "
        "(it is built for Linux on x86-64 only); withdrawals are off"
    )
    with server.client() as http:
        player = new_player(http, 7)
        earn(http, player, "battle-1")
    assert server.stop() == 0
    server = serve(command=COMMAND)
    with server.client() as http:
        connect(server, http, player)
        paid = control(server, "wallet/7/claim", claim(http, player, "claim-1", 1))
        assert paid["exitCode"] == 0
    assert server.stop() == 0


def test_a_chain_that_is_not_real_is_refused_in_prod(tmp_path: Path) -> None:
    """Production has the network's own."""
    given = {
        "CORS_ORIGIN": "https://game.example",
        "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    }
    run = aiba(environment(tmp_path, APP_ENV="prod", **given), "serve", "--local-chain")
    assert run.returncode == 78
    assert run.stderr == "--local-chain is for APP_ENV dev or test\n"


def test_make_run_starts_it_but_not_in_prod() -> None:
    """The goal's own command is the one tested here."""

    def command(*arguments: str) -> str:
        run = subprocess.run(  # noqa: S603 - this project's own goal
            ["make", "-n", "run", *arguments],  # noqa: S607 - the one in the path
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return run.stdout.splitlines()[-1]

    assert command().endswith("bin/aiba serve --local-chain")
    assert command("APP_ENV=prod").rstrip().endswith("bin/aiba serve")
