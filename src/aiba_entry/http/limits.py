"""Guards in front of routes: who is calling, and whether too often."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler

from aiba_domain.ports import RateLimiter, Verdict
from aiba_entry.edge_settings import Access
from aiba_entry.http.auth import Authenticator
from aiba_entry.http.context import RequestContext, context_of
from aiba_entry.http.errors import ApiError
from aiba_entry.http.principal import Principal
from aiba_entry.http.raw_headers import RawHeaders
from aiba_entry.settings import Network

MINUTE_MS: Final = 60_000
GLOBAL: Final = "global"
BATTLE: Final = "battle"
GATE_KEY: Final = "aiba_gate"
UNKNOWN_ADDRESS: Final = "unknown"
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
_IPV6_SITE_BITS: Final = 64
_PASSED_ON: Final = (b"x-forwarded-for", b"forwarded", b"x-real-ip")

Address = IPv4Address | IPv6Address

_Connection = ASGIConnection[Any, Any, Any, Any]


class ClientAddress:
    """Finds the address that a limit may count by.

    It is the socket's other end, unless that is a trusted proxy: then the right-most address in
    `X-Forwarded-For` that is none, with the port that some proxies write or without. What stands
    left of that one is the caller's own text and is never looked at. IPv6 callers count by their
    /64, which is what one site is given.
    """

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def of(self, peer: str, raw_headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the address as a text to count by, `unknown` if there is none."""
        if not self._trusted or not self._is_trusted(peer):
            return _site(peer)
        for hop in _hops(raw_headers):
            if _parsed(hop) is None:
                break
            if not self._is_trusted(hop):
                return _site(hop)
        return _site(peer)

    def sure(self, peer: str, raw_headers: Iterable[tuple[bytes, bytes]]) -> Address | None:
        """Return the caller's own address, to be judged by a list; None where it isn't sure.

        It isn't where somebody passed the request on who is no trusted proxy, or where a proxy
        names no address, or in another header: then the other end of the socket says nothing of
        the caller. A proxy that says nothing at all is the caller.
        """
        hops = list(_hops(raw_headers)) if self._is_trusted(peer) else []
        if not hops:
            passed_on = any(name in _PASSED_ON for name, _ in raw_headers)
            return None if passed_on else _parsed(peer)
        nearest = _parsed(peer)
        for hop in hops:
            nearest = _parsed(hop)
            if not self._is_trusted(hop):
                break
        return nearest

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


class Gate:
    """What the guards of one application share: it is kept in the application's `opt`.

    `limits` are hits a minute by name; GLOBAL is counted for every call of every route with one of
    the guards below. `pages` says who may see those that aren't for players.
    """

    def __init__(
        self,
        *,
        auth: Authenticator,
        limiter: RateLimiter,
        addresses: ClientAddress,
        limits: Mapping[str, int],
        now_ms: Callable[[], int],
        pages: Mapping[str, Access],
    ) -> None:
        self.auth = auth
        self.pages = pages
        self._limiter = limiter
        self._addresses = addresses
        self._limits = dict(limits)
        self._now_ms = now_ms

    async def admit_player(self, connection: _Connection) -> None:
        """Find out who is calling and count the call; a failed proof counts by address."""
        context = context_of(connection)
        try:
            principal = self.auth.principal(context.headers)
        except ApiError:
            await self.admit_anyone(connection)
            raise
        context.principal = principal
        await self.count(GLOBAL, f"tg:{principal.player_id}", context)

    async def admit_anyone(self, connection: _Connection) -> None:
        """Count a call by its address."""
        context = context_of(connection)
        await self.count(GLOBAL, f"ip:{self.address(connection)}", context)

    def address(self, connection: _Connection) -> str:
        """Return the address that a call is counted by."""
        return self._addresses.of(context_of(connection).peer, connection.scope["headers"])

    def sure_address(self, connection: _Connection) -> Address | None:
        """Return where a call comes from, None unless that is sure."""
        return self._addresses.sure(context_of(connection).peer, connection.scope["headers"])

    async def count(self, name: str, key: str, context: RequestContext) -> None:
        """Count a hit, leave what is due in headers, and raise ApiError if it is one too many."""
        verdict = await self._limiter.hit(
            name, key, limit=self._limits[name], window_ms=MINUTE_MS, now_ms=self._now_ms()
        )
        context.response_headers = _headers(verdict)
        if not verdict.allowed:
            raise ApiError(
                "rate_limited",
                details={"retryAfterSec": verdict.retry_after_s},
                headers={"Retry-After": str(verdict.retry_after_s)},
            )


async def require_player(connection: _Connection, _handler: BaseRouteHandler) -> None:
    """Guard: let through only a proven caller, within the global limit; else 401 or 429."""
    await gate_of(connection).admit_player(connection)


async def allow_anyone(connection: _Connection, _handler: BaseRouteHandler) -> None:
    """Guard: let anyone through, within the global limit by address; else 429."""
    await gate_of(connection).admit_anyone(connection)


def admit_player(*limits: str) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Return a `before_request` that does what `require_player` does, then counts under `limits`.

    For the busiest routes: Litestar copies a handler for every guard it calls, not for this.
    """

    async def before_request(request: Request[Any, Any, Any]) -> None:
        gate = gate_of(request)
        await gate.admit_player(request)
        context = context_of(request)
        for name in limits:
            await gate.count(name, f"{name}:{principal_of(request).player_id}", context)

    return before_request


def count_player(name: str) -> Callable[[_Connection, BaseRouteHandler], Awaitable[None]]:
    """Return a guard that counts under a limit of its own, behind `require_player`; else 429."""

    async def guard(connection: _Connection, _handler: BaseRouteHandler) -> None:
        key = f"{name}:{principal_of(connection).player_id}"
        await gate_of(connection).count(name, key, context_of(connection))

    return guard


def count_address(name: str) -> Callable[[_Connection, BaseRouteHandler], Awaitable[None]]:
    """Return a guard that counts by address under a limit of its own; else 429."""

    async def guard(connection: _Connection, _handler: BaseRouteHandler) -> None:
        gate = gate_of(connection)
        key = f"{name}:ip:{gate.address(connection)}"
        await gate.count(name, key, context_of(connection))

    return guard


def gate_of(connection: _Connection) -> Gate:
    """Return the gate of the application that serves a request."""
    gate: Gate = connection.scope["litestar_app"].opt[GATE_KEY]
    return gate


def principal_of(connection: _Connection) -> Principal:
    """Return who is calling a route behind `require_player`."""
    principal = context_of(connection).principal
    if principal is None:
        raise RuntimeError("the route has no guard that finds out who is calling")
    return principal


def _headers(verdict: Verdict) -> RawHeaders:
    return [
        (b"x-ratelimit-limit", b"%d" % verdict.limit),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", b"%d" % -(-verdict.reset_at_ms // 1000)),
    ]


def _hops(raw_headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield what `X-Forwarded-For` names, the nearest first."""
    lines = [value for name, value in raw_headers if name == b"x-forwarded-for"]
    for item in reversed(b",".join(lines).decode("latin-1").split(",")):
        if hop := item.strip():
            yield hop


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def _site(text: str) -> str:
    address = _parsed(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _IPV6_SITE_BITS), strict=False))
    return str(address) if address is not None else UNKNOWN_ADDRESS
