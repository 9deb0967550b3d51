"""The mutation tester's list of survivors is about the code that is there."""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOMAIN = ROOT / "src" / "aiba_domain"
REASONS: list[dict[str, Any]] = tomllib.loads(
    (ROOT / "tools" / "mutation_reasons.toml").read_text(encoding="utf-8")
).get("survivor", [])


def test_every_reason_is_for_a_line_that_is_still_there() -> None:
    """A reason whose line has changed explains nothing any more."""
    for entry in REASONS:
        package, module, *_names = entry["where"].split(".")
        source = (DOMAIN / package / f"{module}.py").read_text(encoding="utf-8")
        assert entry["was"] in " ".join(source.split()), entry["where"]


def test_every_survivor_has_one_reason() -> None:
    """A sentence, given once."""
    known = Counter(
        (entry["where"], entry["was"], becomes) for entry in REASONS for becomes in entry["becomes"]
    )
    assert set(known.values()) <= {1}
    assert all(entry["reason"].endswith(".") for entry in REASONS)
