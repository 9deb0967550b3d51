"""The page "Test your adapter" is followed as it stands, and says what is so."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from aiba_domain.testing.contracts import SUITES, describe

PAGE = (Path(__file__).parents[3] / "docs" / "testing-adapters.md").read_text(encoding="utf-8")
STEPS = re.compile(r"<!-- (file|run): (.+?) -->\n```\w+\n(.*?)```", re.DOTALL)
FENCES = re.compile(r"^```python$", re.MULTILINE)


def run(command: str, folder: Path) -> str:
    """Run a command of the page in a reader's folder and return what it prints."""
    words = shlex.split(command)
    words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
    if words[2:3] == ["pytest"]:
        words += ["-p", "no:cacheprovider"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(  # noqa: S603 - a command of this repository's own page
        words,
        cwd=folder,
        env=environ | {"PYTHONPATH": str(folder), "CI": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


def shows(printed: str, line: str) -> bool:
    """Tell whether what was printed has a line of the page in it; `...` stands for any text."""
    return re.search(re.escape(line.strip()).replace(r"\.\.\.", ".*"), printed) is not None


def test_a_reader_gets_what_the_page_shows(tmp_path: Path) -> None:
    """Every file is written and every command run in order; each shown line is printed."""
    ran = 0
    for kind, name, text in STEPS.findall(PAGE):
        if kind == "file":
            (tmp_path / name).write_text(text, encoding="utf-8")
            continue
        head, *lines = text.splitlines()
        assert head == f"$ {name}"
        printed = run(name, tmp_path)
        assert [line for line in lines if not shows(printed, line)] == [], printed
        ran += 1
    assert ran == 7
    assert {"report.json", "report.xml"} <= {path.name for path in tmp_path.iterdir()}


def test_no_code_of_the_page_is_left_out() -> None:
    """Every block of Python is one of the files above."""
    files = [name for kind, name, _ in STEPS.findall(PAGE) if kind == "file"]
    assert len(FENCES.findall(PAGE)) == len(files) == 8


def test_the_table_has_every_suite_with_its_capabilities() -> None:
    """And each fixture by its name."""
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)\(.*?\| (.+?) \|$", PAGE, re.MULTILINE)
    shown = {name: (fixture, {*re.findall(r"`([\w-]+)`", known)}) for name, fixture, known in rows}
    assert shown == {
        name: (*suite.__abstractmethods__, {*map(str, describe(suite).capabilities)})
        for name, suite in SUITES.items()
    }


@pytest.mark.parametrize("name", SUITES)
def test_each_suite_is_at_the_front_door(name: str) -> None:
    """`from aiba_domain.testing import ...` as the page does."""
    assert getattr(__import__("aiba_domain.testing", fromlist=[name]), name) is SUITES[name]
