"""Providers: where toncenter's APIs are, read from a URL in any of its documented forms."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

WITHOUT_KEY_PER_S: Final = 1.0
"""How many requests a second toncenter answers without a key."""

WITH_KEY_PER_S: Final = 10.0
"""How many requests a second toncenter answers with a free key."""


class Version(StrEnum):
    """The versions of toncenter's API."""

    V2 = "v2"
    V3 = "v3"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Provider:
    """One provider: its URL, its key, and how many requests a second it answers.

    The URL ends in `/api/v2`, `/api/v2/jsonRPC` or `/api/v3`, or names the host alone. The rate is
    1 without a key and 10 with one unless it is given. Its repr shows neither key nor path, since
    some providers have the key in the path.
    """

    url: str
    api_key: str | None = None
    requests_per_s: float | None = None

    @property
    def rate(self) -> float:
        """Return how many requests a second may be sent."""
        if self.requests_per_s is not None:
            return self.requests_per_s
        return WITH_KEY_PER_S if self.api_key else WITHOUT_KEY_PER_S

    def __repr__(self) -> str:
        return f"Provider({endpoint(self.url).host})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Endpoint:
    """Where a provider's APIs are: the base of each version, and the one that was asked for.

    `rpc` is where version 2 is spoken as JSON-RPC, None where by one path for each method. `v3` is
    None where it isn't known to be. `host` may stand in a log.
    """

    host: str
    version: Version
    v2: str
    v3: str | None
    rpc: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.host}, {self.version})"


def endpoint(url: str) -> Endpoint:
    """Return the endpoint that a URL names. Raises ValueError, with a text that shows no secret.

    A path before `/api` stays; any other ending in `/jsonRPC` is spoken to as it is.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an http or https URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an http or https URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not carry a user, a query or a fragment")
    whole = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    rest, _, last = whole.rpartition("/")
    if last.lower() == "jsonrpc":
        root = rest.removesuffix("/api/v2")
        return Endpoint(
            host=host,
            version=Version.V2,
            v2=rest,
            v3=f"{root}/api/v3" if root != rest else None,
            rpc=whole,
        )
    version = Version.V3 if whole.endswith("/api/v3") else Version.V2
    root = whole.removesuffix(f"/api/{version}")
    return Endpoint(host=host, version=version, v2=f"{root}/api/v2", v3=f"{root}/api/v3")
