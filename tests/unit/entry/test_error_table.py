"""The table of error codes: every code that can be answered has its status, and no row is idle."""

import ast
from collections.abc import Iterator
from pathlib import Path

from aiba_entry.http.errors import STATUS_OF_CODE

SOURCES = Path(__file__).parents[3] / "src"
MADE_FROM_PARTS = {
    "insufficient NEUR",
    "insufficient AIBA",
    "broker not found",
    "base broker not found",
    "sacrifice broker not found",
    "invalid dailyCapAibaByArena",
    "invalid dailyCapNeurByArena",
    "invalid emissionWindowsUtc",
}
"""Codes that are put together at run time."""


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Yield the codes that a module refuses with, where they are written out."""
    refusing = {"Refused", "DomainError", "ApiError", "_refused", "error_reply"}
    names = {
        node.targets[0].id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in refusing:
            continue
        for value in (
            *node.args[:2],
            *(word.value for word in node.keywords if word.arg == "code"),
        ):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
            elif isinstance(value, ast.Name) and isinstance(names.get(value.id), str):
                yield str(names[value.id])


def written_codes() -> set[str]:
    """Collect every code that the domain or the edge refuses with."""
    found = set(MADE_FROM_PARTS)
    for path in SOURCES.rglob("*.py"):
        if "testing" not in path.parts:
            found |= {*codes_in(ast.parse(path.read_text(encoding="utf-8")))}
    return found


def test_every_code_has_a_status() -> None:
    """A refusal without a row would be answered under the wrong status."""
    assert written_codes() - STATUS_OF_CODE.keys() == set()


def test_no_row_is_idle() -> None:
    """A code that nothing answers has no place in the table."""
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in SOURCES.rglob("*.py")
        if path.name != "errors.py" or "http" not in path.parts
    )
    idle = {code for code in STATUS_OF_CODE if f'"{code}"' not in text} - MADE_FROM_PARTS
    own = {"validation_error", "unavailable", "internal server error", "method not allowed"}
    assert idle - own == set()
