"""What browsers are told to allow themselves with an answer, by what kind of answer it is."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiba_entry.http.raw_headers import RawHeaders

DOCS: Final = "/docs"
START: Final = "/docs/start.js"
STYLE: Final = "/docs/swagger-ui.css"
BUNDLE: Final = "/docs/swagger-ui-bundle.js"
VERIFY: Final = "/verify"
"""The paths of what isn't an answer of the API: two pages, and what the first one loads."""

CSP: Final = b"content-security-policy"
_CACHE: Final = b"cache-control"
_ALWAYS: Final[RawHeaders] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_PAGE: Final[RawHeaders] = [
    *_ALWAYS,
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (_CACHE, b"no-cache"),
]
_NOTHING: Final = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# The library sets styles on elements, which no hash can name; scripts come from here alone.
_READING: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    b" img-src 'self' data:; connect-src 'self'; base-uri 'none';"
    b" form-action 'none'; frame-ancestors 'none'"
)
_FIRST_ERROR: Final = 400
_PART: Final[RawHeaders] = [*_ALWAYS, (CSP, _NOTHING), (_CACHE, b"no-cache")]

ANSWER: Final[RawHeaders] = [*_ALWAYS, (CSP, _NOTHING), (_CACHE, b"no-store")]
"""For every answer of the API: nothing of it runs, loads, is framed or is kept anywhere."""

_KINDS: Final[Mapping[str, RawHeaders]] = MappingProxyType(
    {
        DOCS: [*_PAGE, (CSP, _READING)],
        START: _PART,
        STYLE: _PART,
        BUNDLE: _PART,
        # This page says itself which one script and style it has; its route sends that.
        VERIFY: _PAGE,
    }
)


class SecurityHeaders:
    """The headers of every answer; with `hsts_seconds` also that browsers come by TLS alone."""

    def __init__(self, hsts_seconds: int = 0) -> None:
        """Put together the headers of each kind, once."""
        strict: RawHeaders = []
        if hsts_seconds:
            strict = [(b"strict-transport-security", b"max-age=%d" % hsts_seconds)]
        self._answer = [*ANSWER, *strict]
        self._kinds = {path: [*headers, *strict] for path, headers in _KINDS.items()}

    def of(self, template: str | None, status: int) -> RawHeaders:
        """Return the headers of an answer of a route; a refusal is one of the API everywhere."""
        if template is None or status >= _FIRST_ERROR:
            return self._answer
        return self._kinds.get(template, self._answer)
