"""`aiba devnet` as a process: what it prints is where everything is, and a signal ends it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from nacl.signing import SigningKey

import bench.devnet

KEY = "5a" * 32


@contextmanager
def running(*arguments: str, **environ: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the command on a free port; yield its URL and what it tells to export."""
    process = subprocess.Popen(  # noqa: S603 - this project's own command
        [sys.executable, "-m", "aiba_entry.cli", "devnet", "--port", "0", *arguments],
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


def test_the_benchmark_runs() -> None:
    """Tiny: that it can is all."""
    rows = bench.devnet.measure(claims=20, rounds=1)
    assert [row.name for row in rows] == [
        bench.devnet.CLAIMS,
        bench.devnet.TRANSACTIONS,
        bench.devnet.GET_METHODS,
    ]
    assert json.dumps([row.per_second for row in rows])
