"""`aiba devnet` as a process: what it prints is where everything is, and a signal ends it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from nacl.signing import SigningKey

import bench.devnet

KEY = "5a" * 32
COMMAND = (sys.executable, "-m", "aiba_entry.cli", "devnet", "--port", "0")


@contextmanager
def running(*arguments: str, **environ: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the command on a free port; yield its URL and what it tells to export."""
    process = subprocess.Popen(  # noqa: S603 - this project's own command
        [*COMMAND, *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        exports: dict[str, str] = {}
        url = ""
        for line in process.stdout:
            if line.startswith("Local chain"):
                url = line.split()[2]
            exports.update(re.findall(r"export (\w+)=(\S+)", line))
            if url and ("ORACLE_PRIVATE_KEY_HEX" in exports or (environ and len(exports) >= 8)):
                break
        yield url, exports
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    assert KEY not in rest


def test_it_prints_what_the_api_needs() -> None:
    """The exported values lead to a vault that believes the exported key."""
    with running() as (url, exports), httpx.Client() as client:
        call = {
            "id": "1",
            "jsonrpc": "2.0",
            "method": "runGetMethod",
            "params": {
                "address": exports["ARENA_VAULT_ADDRESS"],
                "method": "getOraclePublicKey",
                "stack": [],
            },
        }
        answer = client.post(exports["TON_PROVIDER_URL"], json=call).json()
        key = SigningKey(bytes.fromhex(exports["ORACLE_PRIVATE_KEY_HEX"]))
        assert int(answer["result"]["stack"][0][1], 16).to_bytes(32, "big") == bytes(key.verify_key)
        state = client.get(f"{url}/control/state").json()
        assert state["jettonMaster"] == exports["AIBA_JETTON_MASTER"]
        assert state["networkId"] == -3


def test_a_key_that_it_is_given_is_used_and_not_shown() -> None:
    """The vault believes it, and no line holds it."""
    with (
        running("--network", "mainnet", ORACLE_PRIVATE_KEY_HEX=KEY) as (url, exports),
        httpx.Client() as client,
    ):
        assert "ORACLE_PRIVATE_KEY_HEX" not in exports
        state = client.get(f"{url}/control/state").json()
        key = SigningKey(bytes.fromhex(KEY))
        assert state["oraclePublicKeyHex"] == bytes(key.verify_key).hex()
        assert state["networkId"] == -239


def test_a_chain_with_a_directory_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was answered is there after the next start, at the same addresses."""
    directory = str(tmp_path / "chain")
    with running("--data-dir", directory, ORACLE_PRIVATE_KEY_HEX=KEY) as (url, first):
        given = {"address": first["ARENA_VAULT_ADDRESS"], "amount": 7}
        assert httpx.post(f"{url}/control/mint", json=given).is_success
        before = httpx.get(f"{url}/control/state").json()
    with running("--data-dir", directory, ORACLE_PRIVATE_KEY_HEX=KEY) as (url, second):
        state = httpx.get(f"{url}/control/state").json()
        assert state["block"] >= before["block"]
        asked = {"account": first["ARENA_VAULT_ADDRESS"]}
        history = httpx.get(f"{url}/api/v3/transactions", params=asked).json()["transactions"]
    assert {**second, "TON_PROVIDER_URL": ""} == {**first, "TON_PROVIDER_URL": ""}
    assert history
    other = subprocess.run(  # noqa: S603 - this project's own command
        [*COMMAND, "--data-dir", directory],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert other.returncode == 1
    assert "chain.journal, line 1: this chain's vault believes the oracle key" in other.stderr


def test_it_ends_with_whoever_holds_its_input(tmp_path: Path) -> None:
    """A child whose parent is gone, however that came about, doesn't stay behind."""
    child = subprocess.Popen(  # noqa: S603 - this project's own command
        [*COMMAND, "--until-stdin-ends", "--data-dir", str(tmp_path)],
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline().startswith("Local chain")
    child.communicate(timeout=60)  # closes its input
    assert child.returncode == 0


def test_the_benchmark_runs() -> None:
    """Tiny: that it can is all."""
    rows = bench.devnet.measure(claims=20, rounds=1)
    assert [row.name for row in rows] == [
        bench.devnet.CLAIMS,
        bench.devnet.TRANSACTIONS,
        bench.devnet.GET_METHODS,
    ]
    assert json.dumps([row.per_second for row in rows])
