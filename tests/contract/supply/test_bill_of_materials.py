"""`make sbom` as it is run: the bill is valid by CycloneDX' own schema, and a faulty one is not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]


@pytest.fixture(name="bill", scope="module")
def _bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the bill that the goal writes."""
    path = tmp_path_factory.mktemp("bill") / "sbom.cdx.json"
    words = [sys.executable, str(ROOT / "tools" / "sbom.py"), "--output", str(path)]
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - ours
    bill: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return bill


def check(supply_chain: Path, path: Path, bill: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Hold a bill against the schema as the goal does."""
    path.write_text(json.dumps(bill), encoding="utf-8")
    words = [str(supply_chain / "bin" / "python"), str(ROOT / "tools" / "sbom_check.py"), str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - ours


def test_the_bill_is_valid_and_a_faulty_one_is_refused(
    bill: dict[str, Any], supply_chain: Path, tmp_path: Path
) -> None:
    """One with a kind of component that there is none of."""
    path = tmp_path / "bill.json"
    done = check(supply_chain, path, bill)
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = bill["components"]
    faulty = {**bill, "components": [{**first, "type": "a library"}, *others]}
    done = check(supply_chain, path, faulty)
    assert done.returncode == 1
    assert "a library" in done.stderr
