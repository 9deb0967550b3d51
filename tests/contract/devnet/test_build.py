"""The committed code of the contracts is what their sources compile to."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aiba_adapters.devnet.contracts import code_of, compiled
from aiba_adapters.devnet.wallets import WalletVersion, wallet_code

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"


def _command(name: str) -> str:
    """Return where a command is, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, so the contracts can't be compiled")
    return found


def test_the_sources_compile_to_the_committed_code(tmp_path: Path) -> None:
    """With the pinned compiler, installed outside of the repository."""
    node, npm = _command("node"), _command("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(CONTRACTS / name, tmp_path)
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    installed = subprocess.run(  # noqa: S603 - a fixed command in an empty folder
        install, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if installed.returncode and "CI" not in os.environ:
        pytest.skip(f"the compiler can't be installed here: {installed.stderr.strip()[-200:]}")
    assert installed.returncode == 0, installed.stderr
    checked = subprocess.run(  # noqa: S603 - the repository's own build
        [node, str(CONTRACTS / "build.mjs"), "--check"],
        env={**os.environ, "CONTRACTS_NODE_MODULES": str(tmp_path / "node_modules")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.split()[1::2] == list(compiled()["contracts"])


@pytest.mark.parametrize("contract", ["vault", "jetton-master", "jetton-wallet"])
def test_the_written_hash_is_that_of_the_code(contract: str) -> None:
    """Who compares hashes compares what is deployed."""
    assert code_of(contract).hash.hex() == compiled()["contracts"][contract]["codeHash"]


@pytest.mark.parametrize(
    ("version", "code_hash"),
    [
        (WalletVersion.V4R2, "feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0"),
        (WalletVersion.V5R1, "20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f"),
    ],
)
def test_the_wallets_are_those_that_people_have(version: WalletVersion, code_hash: str) -> None:
    """By the hash of their code on mainnet."""
    assert wallet_code(version).hash.hex() == code_hash
