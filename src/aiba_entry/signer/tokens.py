"""The tokens of whoever may ask for signatures: several, named, read from a file, never shown.

A line of the file is `NAME TOKEN`, or `NAME sha256:HEX` where the file isn't to hold the token
itself; blank lines and those that begin with `#` say nothing. A token is 32 to 256 characters
without blanks. Only digests are kept in memory.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from aiba_domain.signing.faults import Faulty

LEAST: Final = 32
"""The fewest characters of a token."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN: Final = re.compile(rf"[!-~]{{{LEAST},256}}")
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_FEWEST_KINDS: Final = 8
_LONGEST_FILE: Final = 262_144


class Tokens:
    """Who is who. Its repr shows names alone."""

    __slots__ = ("_digests",)

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        """Know callers by the SHA-256 of their tokens."""
        self._digests = tuple((digest, name) for name, digest in digests.items())

    @property
    def names(self) -> tuple[str, ...]:
        """Return the callers' names."""
        return tuple(name for _, name in self._digests)

    def name_of(self, token: bytes) -> str | None:
        """Return whose token it is, None if nobody's; the time doesn't tell how near it came."""
        given = sha256(token).digest()
        found = None
        for digest, name in self._digests:
            if compare_digest(digest, given):
                found = name
        return found

    def __repr__(self) -> str:
        return f"Tokens({', '.join(self.names)})"


def read_tokens(text: str) -> Tokens:
    """Return what a file's text says, or raise Faulty naming each line at fault and no token."""
    faults: list[str] = []
    digests: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not (words := line.split()) or words[0].startswith("#"):
            continue
        fault = _fault_of(words)
        if fault is None:
            name, digest = words[0], _digest_of(words[1])
            if name in digests:
                fault = "a name that is there already"
            elif digest in digests.values():
                fault = "a token that is there already"
            else:
                digests[name] = digest
        if fault is not None:
            faults.append(f"line {number}: {fault}")
    if not faults and not digests:
        faults.append("no token")
    if faults:
        raise Faulty(faults)
    return Tokens(digests)


def holds_tokens(text: str) -> bool:
    """Tell whether a file's text has a token itself in it, and not only digests."""
    lines = (line.split() for line in text.splitlines())
    return any(
        not _DIGEST.fullmatch(word)
        for words in lines
        if words and not words[0].startswith("#")
        for word in words[1:]
    )


def load_tokens(path: Path) -> Tokens:
    """Return the tokens of a file, or raise Faulty with every fault of it."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise Faulty([f"can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise Faulty(["no UTF-8"]) from None
    if len(text) > _LONGEST_FILE:
        raise Faulty([f"longer than {_LONGEST_FILE} characters"])
    return read_tokens(text)


def _fault_of(words: list[str]) -> str | None:
    if len(words) != 2:  # noqa: PLR2004 - a name and a token
        return "not a name and a token"
    name, token = words
    if not _NAME.fullmatch(name):
        return "a name has 1 to 64 letters, digits, dots, dashes or underscores"
    if token.startswith("sha256:"):
        return None if _DIGEST.fullmatch(token) else "sha256: takes 64 lower-case hex digits"
    if not _TOKEN.fullmatch(token):
        return f"a token has {LEAST} to 256 characters, all of them visible ASCII"
    return None if len(set(token)) >= _FEWEST_KINDS else "a placeholder, not a token"


def _digest_of(token: str) -> bytes:
    found = _DIGEST.fullmatch(token)
    return bytes.fromhex(found[1]) if found else sha256(token.encode("ascii")).digest()
