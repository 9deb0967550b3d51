#!/usr/bin/env python3
"""Build the page that verifies battles in a browser: one file that loads nothing.

    python tools/verify_page/build.py [--check]

The page's script is `verify_battle.mjs` up to its command line, and `page.js`. The page allows
itself this script and this style by their hashes, and no other resource at all.
"""

import argparse
import base64
import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERIFIER = HERE.parent / "verify_battle.mjs"
PAGE = HERE.parents[1] / "src" / "aiba_entry" / "http" / "data" / "verify.html"
COMMAND_LINE = "\n// ---- The command line"


def built() -> str:
    """Return the page. Raises ValueError if a part would end or escape its element."""
    verifier, found, _rest = _text(VERIFIER).partition(COMMAND_LINE)
    if not found:
        raise ValueError("the verifier's command line is not marked")
    _first, _newline, verifier = verifier.partition("\n")  # a shebang is no JavaScript
    script = "\n" + verifier + "\n" + _text(HERE / "page.js")
    style = _text(HERE / "page.css")
    for part in (script, style):
        if "</" in part or "<!--" in part:
            raise ValueError("a script or style may not hold an end tag or a comment")
    page = _text(HERE / "page.html")
    for name, value in (
        ("script-hash", _hash(script)),
        ("style-hash", _hash(style)),
        ("style", style),
        ("script", script),
    ):
        page = page.replace("{{" + name + "}}", value)
    return page


def main() -> int:
    """Write the page, or compare it with the written one; return 1 if that is another."""
    parser = argparse.ArgumentParser(description="Build the page that verifies battles.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    page = built().encode()
    if not parser.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_bytes(page)
        return 0
    if PAGE.read_bytes() == page:
        return 0
    print("the page is out of date: python tools/verify_page/build.py", file=sys.stderr)
    return 1


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


if __name__ == "__main__":
    sys.exit(main())
