"""A watch for secrets: hears each of them, or a piece of one, in whatever disguise it is told."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import numpy as np

PIECE: Final = 12
"""The shortest piece of a secret that counts as told, in characters."""

_GRAM: Final = 8
_GROUP: Final = 3
_HASH_BITS: Final = 16
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){12,}")


@dataclass(frozen=True, slots=True)
class Song:
    """A secret in one disguise, in lower case, and how much of it in a row tells of the secret."""

    name: str
    text: bytes
    least: int


@dataclass(frozen=True, slots=True, order=True)
class Heard:
    """Which secret is told somewhere, and what stands there of it, disguised."""

    name: str
    place: str
    piece: str


def songs_of(name: str, secret: str) -> Iterator[Song]:
    """Yield a secret in each disguise.

    As it is, turned round, as JSON, Python and HTML write it, percent-encoded, in hex and base64
    wherever it begins in what is encoded; the bytes that hex digits stand for likewise.
    """
    raw = secret.encode()
    for text in dict.fromkeys(
        (
            secret,
            secret[::-1],
            json.dumps(secret)[1:-1],
            repr(secret)[1:-1],
            html.escape(secret),
            quote(secret, safe=""),
            quote_plus(secret),
        )
    ):
        yield Song(name, text.encode().lower(), PIECE)
    yield Song(name, "".join(f"%{byte:02x}" for byte in raw).encode(), 3 * PIECE)
    meant = [raw]
    if _HEX.fullmatch(secret):
        meant.append(bytes.fromhex(secret))
        yield Song(name, meant[-1].lower(), PIECE)
    for each in meant:
        yield Song(name, each.hex().encode(), 2 * PIECE)
        for before in range(_GROUP):
            encoded = base64.b64encode(bytes(before) + each)
            # What depends on its neighbours is cut off.
            own = encoded[-(-before * 4 // _GROUP) : (before + len(each)) * 4 // _GROUP]
            for form in dict.fromkeys((own, own.translate(bytes.maketrans(b"+/", b"-_")))):
                yield Song(name, form.lower(), PIECE * 4 // _GROUP - 1)


class Watch:
    """Hears secrets, however long the text in which a piece of one stands.

    Every piece of a song that is long enough holds one of the song's marks, so a text is looked
    through for the marks alone; whatever stands around one is held against the song.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Know secrets by name; each must be long enough to have pieces."""
        short = [name for name, secret in secrets.items() if len(secret) < PIECE]
        assert not short, f"no piece of {short} is long enough to be told from anything else"
        self.names = frozenset(secrets)
        self._marks: dict[bytes, list[tuple[Song, int]]] = {}
        for name, secret in secrets.items():
            for song in songs_of(name, secret):
                for start in range(0, len(song.text) - _GRAM + 1, song.least - _GRAM + 1):
                    mark = song.text[start : start + _GRAM]
                    self._marks.setdefault(mark, []).append((song, start))
        self._known = np.zeros(1 << _HASH_BITS, dtype=bool)
        self._known[_hashed(np.frombuffer(b"".join(self._marks), dtype="<u8"))] = True

    def heard(self, told: str | bytes, place: str = "") -> list[Heard]:
        """Return what a text tells of the secrets."""
        text = (told.encode("utf-8", "surrogatepass") if isinstance(told, str) else told).lower()
        return sorted({heard for at in self._places(text) for heard in self._at(text, at, place)})

    def in_files(self, paths: Iterable[Path]) -> list[Heard]:
        """Return what files tell, those in folders too; a file's name is heard as well."""
        found: list[Heard] = []
        for path in paths:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                found += self.heard(str(file.name), "a file's name")
                if file.is_file():
                    found += self.heard(file.read_bytes(), file.name)
        return found

    def _places(self, text: bytes) -> Iterator[int]:
        """Yield where something stands that may be a mark."""
        for shift in range(min(_GRAM, max(0, len(text) - _GRAM + 1))):
            count = (len(text) - shift) // _GRAM
            grams = np.frombuffer(text, dtype="<u8", count=count, offset=shift)
            for place in np.flatnonzero(self._known[_hashed(grams)]):
                yield int(place) * _GRAM + shift

    def _at(self, text: bytes, at: int, place: str) -> Iterator[Heard]:
        for song, start in self._marks.get(text[at : at + _GRAM], ()):
            first, last = 0, _GRAM
            while first < min(at, start) and text[at - first - 1] == song.text[start - first - 1]:
                first += 1
            while (
                start + last < len(song.text)
                and text[at + last : at + last + 1] == song.text[start + last : start + last + 1]
            ):
                last += 1
            if first + last >= song.least:
                piece = text[at - first : at + last]
                yield Heard(song.name, place, piece.decode("latin-1"))


def _hashed(grams: "np.ndarray[Any, np.dtype[np.uint64]]") -> "np.ndarray[Any, Any]":
    return (grams * _SPREAD) >> np.uint64(64 - _HASH_BITS)
