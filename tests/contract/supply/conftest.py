"""The tools of tools/supply-chain.lock, in the environment that the goals make for them."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture(name="supply_chain", scope="session")
def _supply_chain() -> Path:
    """Return the environment; it is made once, whoever asks first."""
    folder = ROOT / "build" / "supply-chain"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "supply-chain.turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        make = shutil.which("make") or "make"
        words = [make, "-C", str(ROOT), f"PYTHON={sys.executable}", "build/supply-chain/.ready"]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - this project's own
    return folder
