"""The document of imports says what the code does."""

import re
from pathlib import Path

from aiba_domain.legacy.columns import ASIDE, IMPORTED
from aiba_domain.legacy.findings import NEVER, RULES

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "import-legacy.md").read_text(
    encoding="utf-8"
)


def test_the_rules_are_those_of_the_document() -> None:
    """Each code is in its table with its meaning, what is done, and whether it is asked."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.*) \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
    asked = {True: "needed", False: ""}
    assert rows == [
        (code, rule.means, rule.done, "never imported" if code in NEVER else asked[rule.decision])
        for code, rule in RULES.items()
    ]


def test_every_collection_is_in_the_document() -> None:
    """Nobody has to guess what becomes of a collection."""
    assert {name for name in IMPORTED | ASIDE if name not in TEXT} <= {
        "actionrunkeys",
        "battlerunkeys",
    }
