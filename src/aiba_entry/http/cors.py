"""Which other sites' pages may call, and what they are told."""

from collections.abc import Collection
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from aiba_entry.forms import is_loopback
from aiba_entry.http.raw_headers import RawHeaders

_METHODS: Final = b"GET,HEAD,PUT,PATCH,POST,DELETE"
_VARY: Final = (b"vary", b"Origin")
_CREDENTIALS: Final = (b"access-control-allow-credentials", b"true")
_LONGEST_ORIGIN: Final = 256
_LONGEST_REQUEST: Final = 1024


class Cors:
    """An exact list of origins; with `reflect_loopback`, also any page served by this machine."""

    def __init__(self, origins: Collection[str], *, reflect_loopback: bool) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._reflect_loopback = reflect_loopback

    def headers(self, origin: bytes | None) -> RawHeaders:
        """Return the headers of an answer to a page of `origin`, None for no page."""
        if origin is None or not self._allows(origin):
            return [_VARY]
        return [(b"access-control-allow-origin", origin), _CREDENTIALS, _VARY]

    def preflight(self, origin: bytes, wanted_headers: bytes | None) -> RawHeaders:
        """Return the headers that answer whether a page may send what it asks to send."""
        if not self._allows(origin):
            return [_VARY]
        headers = [*self.headers(origin), (b"access-control-allow-methods", _METHODS)]
        if wanted_headers and len(wanted_headers) <= _LONGEST_REQUEST:
            headers.append((b"access-control-allow-headers", wanted_headers))
            headers.append((b"vary", b"Access-Control-Request-Headers"))
        return headers

    def _allows(self, origin: bytes) -> bool:
        return origin in self._origins or (self._reflect_loopback and _is_local(origin))


@lru_cache(maxsize=256)
def _is_local(origin: bytes) -> bool:
    if len(origin) > _LONGEST_ORIGIN:
        return False
    try:
        text = origin.decode("ascii")
        parts = urlsplit(text)
        exact = f"{parts.scheme}://{parts.netloc}" == text
        return parts.scheme in ("http", "https") and exact and is_loopback(parts.hostname or "")
    except ValueError:
        return False
