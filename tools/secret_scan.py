#!/usr/bin/env python3
"""Look for secrets in every file that git tracks, and in everything that its history holds.

Exits with 0 where nothing is found, with 1 where something is (named by file, line and kind, never
shown), and with 2 where it can't look. What looks like a secret and is none stands in
`tools/secret_scan_allowed.txt` by its hash, with the reason; an entry that nothing needs is a
fault.
"""

import argparse
import hashlib
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ALLOWED: Final = "tools/secret_scan_allowed.txt"
LONGEST: Final = 4 * 2**20
"""Larger files are data of a kind that people don't write secrets into; they are counted."""

KINDS: Final = {
    "private key": (
        rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/]{40}"
    ),
    "Telegram bot token": rb"(?<![\w:])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![\w-])",
    "AWS key": rb"(?<![A-Z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Z0-9])",
    "GitHub token": rb"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{82})(?!\w)",
    "GitLab token": rb"(?<!\w)glpat-[A-Za-z0-9_-]{20}(?![\w-])",
    "Slack token": rb"(?<!\w)xox[abprs]-[0-9A-Za-z-]{20,}",
    "Stripe key": rb"(?<!\w)[rs]k_live_[0-9a-zA-Z]{24,}",
    "Google key": rb"(?<!\w)AIza[0-9A-Za-z_-]{35}(?![\w-])",
    "npm token": rb"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)",
    "PyPI token": rb"(?<!\w)pypi-AgE[A-Za-z0-9_-]{50,}",
    "age key": rb"(?<!\w)AGE-SECRET-KEY-1[0-9A-Z]{58}(?!\w)",
    "signed token": rb"(?<!\w)eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "password in a URL": (
        rb"(?<!\w)[a-z][a-z0-9+]{2,11}://[\w.%-]*:([^\s:/@\"'`${}<>\\\[\]*]{8,})@[\w\[.-]"
    ),
    "assigned secret": (
        rb"(?i)(?:secret|token|passw(?:or)?d|api_?key|private_?key(?:_hex)?|mnemonic)[\"']?"
        rb"\s*(?:=|:|=>)\s*[\"']?(?!/)([A-Za-z0-9+/_=-]{32,})(?![\w(.])"
    ),
}
"""What each kind looks like; a group is the secret itself where that isn't the whole."""

GUESSED: Final = frozenset({"assigned secret", "password in a URL"})
"""Kinds by where a text stands: it must also look random. Tests invent such texts all the time."""

INVENTED: Final = "tests/"
"""Where only what has the exact form of a service's own keys is looked for."""

_RANDOM: Final = {"assigned secret": 3.6, "password in a URL": 3.2}
_PATTERNS: Final = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """Something that looks like a secret, by its hash alone."""

    where: str
    line: int
    kind: str
    digest: str


def look(where: str, text: bytes) -> Iterator[Found]:
    """Yield what looks like a secret in a text."""
    for kind, pattern in _PATTERNS.items():
        for match in pattern.finditer(text):
            secret = match[match.lastindex or 0]
            if kind in GUESSED and (where.startswith(INVENTED) or entropy(secret) < _RANDOM[kind]):
                continue
            line = text.count(b"\n", 0, match.start()) + 1
            yield Found(where, line, kind, hashlib.sha256(secret).hexdigest()[:24])


def entropy(text: bytes) -> float:
    """Return the bits that each byte of a text tells, by how often each occurs in it."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def git(root: Path, *words: str, given: bytes | None = None) -> bytes:
    """Return what git answers. Raises CalledProcessError."""
    done = subprocess.run(  # noqa: S603 - git, with words from here
        ["git", "-C", str(root), *words],  # noqa: S607 - the one that there is
        input=given,
        capture_output=True,
        check=True,
    )
    return done.stdout


def tree(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file that git tracks or would, as it is on the disk."""
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in sorted({name.decode() for name in listed.split(b"\0") if name}):
        path = root / name
        if path.is_file() and not path.is_symlink():
            yield name, path.read_bytes()


def history(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every version of every file that any commit of any branch or tag holds, once."""
    names: dict[bytes, str] = {}
    for line in git(root, "rev-list", "--objects", "--all", "--reflog").splitlines():
        identity, _, name = line.partition(b" ")
        if name:
            names.setdefault(identity, name.decode("utf-8", "replace"))
    asked = b"".join(identity + b"\n" for identity in names)
    checked = git(
        root, "cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname)", given=asked
    )
    wanted = [
        identity
        for kind, size, identity in (line.split() for line in checked.splitlines())
        if kind == b"blob" and int(size) <= LONGEST
    ]
    for start in range(0, len(wanted), 500):
        batch = wanted[start : start + 500]
        answer = git(root, "cat-file", "--batch", given=b"".join(each + b"\n" for each in batch))
        at = 0
        for identity in batch:
            end = answer.index(b"\n", at)
            size = int(answer[at:end].split()[2])
            yield f"{names[identity]}@{identity[:12].decode()}", answer[end + 1 : end + 1 + size]
            at = end + size + 2


def allowed(root: Path) -> dict[str, str]:
    """Return the reasons by hash. Raises ValueError for a line without one."""
    path = root / ALLOWED
    reasons = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if line and not line.startswith("#"):
            digest, _, reason = line.partition(" ")
            if not re.fullmatch(r"[0-9a-f]{24}", digest) or len(reason.strip()) < 10:  # noqa: PLR2004 - a few words
                raise ValueError(f"{ALLOWED}: each line is a hash of 24 digits and a reason")
            reasons[digest] = reason.strip()
    return reasons


def main(words: list[str] | None = None) -> int:
    """Look, tell what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--tree-only", action="store_true", help="leave the history out")
    options = parser.parse_args(words)
    try:
        reasons = allowed(options.root)
        places = [tree(options.root)]
        if not options.tree_only:
            places.append(history(options.root))
        found: list[Found] = []
        looked = 0
        for place in places:
            for where, text in place:
                looked += 1
                found += look(where, text[:LONGEST])
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"can't look: {error}", file=sys.stderr)
        return 2
    leaks = [each for each in found if each.digest not in reasons]
    for each in leaks:
        print(f"{each.where}:{each.line}: {each.kind} ({each.digest})")
    unused = set() if options.tree_only else set(reasons) - {each.digest for each in found}
    for digest in sorted(unused):
        print(f"{ALLOWED}: {digest} is nowhere any more")
    print(f"{looked} texts, {len(leaks)} secrets", file=sys.stderr)
    return 1 if leaks or unused else 0


if __name__ == "__main__":
    sys.exit(main())
