"""Requests to one provider: paced, bounded in time and size, repeated where that may help.

Whatever goes wrong becomes Unavailable, so that a provider that is down is never taken for a state
of the chain. No text made here holds the key, the URL's path, or anything a provider wrote.
"""

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from aiba_adapters.toncenter.endpoints import Endpoint, Provider, endpoint
from aiba_adapters.toncenter.meter import Meter, Result, Role, Unmetered
from aiba_adapters.toncenter.pacing import TokenBucket, ms
from aiba_domain.outage import Unavailable

Query = Mapping[str, str | int]

_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_REPEATABLE: Final = (408, 425, _TOO_MANY)
_OK: Final = 200
_FAULTS_FROM: Final = 500
_REFUSALS_FROM: Final = 400
_LONGEST_PAUSE_S: Final = 60.0


class BadAnswer(Unavailable):
    """A provider's answer that isn't what the API promises."""


class NotThere(Unavailable):
    """The provider says that it has no such thing; where that can't be, it is not available."""


class _Again(Exception):  # noqa: N818 - what to do, not what failed
    """This attempt failed in a way that another may not."""

    def __init__(self, reason: str, result: Result, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.result = result
        self.after_s = after_s


_FINAL: Final = {NotThere: Result.NOT_FOUND, BadAnswer: Result.NONSENSE}
"""What an attempt came to that no other follows; any other refusal is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how often to try, in seconds, and how much to read, in bytes.

    One attempt ends after `timeout_s`. No attempt begins once `patience_s` are over, the wait for
    the provider's rate included.
    """

    timeout_s: float = 5.0
    patience_s: float = 8.0
    attempts: int = 4
    first_pause_s: float = 0.25
    largest_answer: int = 8 * 1024 * 1024


class ToncenterClient:
    """Speaks with one provider. Belongs to one event loop."""

    def __init__(
        self,
        provider: Provider,
        *,
        limits: Limits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        chance: random.Random | None = None,
        meter: Meter | None = None,
        role: Role = Role.PRIMARY,
    ) -> None:
        """Make a client; nothing is sent yet. `transport` is for tests, and so is `chance`."""
        # It would log the path of every request, and with some providers the key is in there.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.endpoint: Endpoint = endpoint(provider.url)
        self._limits = limits or Limits()
        self.role = role
        self._meter = meter or Unmetered()
        self._bucket = TokenBucket(provider.rate)
        self._chance = chance or random.Random()  # noqa: S311 - spreads retries, hides nothing
        headers = {"Accept": "application/json"}
        if provider.api_key:
            headers["X-API-Key"] = provider.api_key
        self._http = httpx.AsyncClient(
            headers=headers,
            transport=transport,
            timeout=self._limits.timeout_s,
            follow_redirects=False,  # the key goes to the provider and nowhere else
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def v2(self, method: str, params: Mapping[str, object], *, post: bool = False) -> object:
        """Return the result of a method of version 2, by JSON-RPC where the provider wants that."""
        place = self.endpoint
        if place.rpc is not None:
            call = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
            return await self._ask(method, "POST", place.rpc, body=call, enveloped=True)
        url = f"{place.v2}/{method}"
        if post:
            return await self._ask(method, "POST", url, body=params, enveloped=True)
        query = {name: str(value) for name, value in params.items()}
        return await self._ask(method, "GET", url, query=query, enveloped=True)

    async def v3(
        self, path: str, *, query: Query | None = None, body: Mapping[str, object] | None = None
    ) -> object:
        """Return the answer of version 3: to a POST of `body` where there is one, else to a GET."""
        if self.endpoint.v3 is None:
            raise Unavailable(f"{self.endpoint.host} has no version 3 that is known")
        url = f"{self.endpoint.v3}/{path}"
        verb = "GET" if body is None else "POST"
        return await self._ask(path, verb, url, query=query, body=body)

    async def _ask(
        self,
        method: str,
        verb: str,
        url: str,
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
        enveloped: bool = False,
    ) -> object:
        """Ask until there is an answer, or patience or attempts are over.

        Raises Unavailable or NotThere. Every attempt takes a token of its own.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.patience_s
        failure = _Again("no attempt was made", Result.NOT_SENT)
        for attempt in range(self._limits.attempts):
            pause = self._pause_s(attempt, failure)
            if loop.time() + pause > until:
                break
            await asyncio.sleep(pause)
            if attempt:
                self._meter.retry(self.role, method)
            await self._token(method, max(0.0, until - loop.time()))
            started, result = loop.time(), None
            try:
                answer = await self._once(verb, url, query, body, enveloped=enveloped)
                result = Result.OK
            except _Again as again:
                failure, result = again, again.result
                if again.after_s is not None:
                    self._bucket.pause(again.after_s)
            except Unavailable as final:
                result = _FINAL.get(type(final), Result.REFUSED)
                raise
            else:
                return answer
            finally:
                if result is not None:  # a request that was called off has none
                    self._meter.request(self.role, method, result, loop.time() - started)
        after_s = 1.0 if failure.after_s is None else failure.after_s
        raise Unavailable(f"{self.endpoint.host}: {failure}", retry_after_ms=ms(after_s))

    async def _token(self, method: str, patience_s: float) -> None:
        """Wait for a token of the provider's rate."""
        try:
            waited = await self._bucket.take(patience_s)
        except Unavailable:
            self._meter.request(self.role, method, Result.NOT_SENT, 0.0)
            raise
        if waited:
            self._meter.wait(self.role, waited)

    def _pause_s(self, attempt: int, failure: _Again) -> float:
        """Return how long to wait before an attempt: longer each time, and never twice the same."""
        if attempt == 0:
            return 0.0
        longest = self._limits.first_pause_s * (1 << (attempt - 1))
        return (failure.after_s or 0.0) + longest * self._chance.uniform(0.5, 1.0)

    async def _once(
        self,
        verb: str,
        url: str,
        query: Query | None,
        body: Mapping[str, object] | None,
        *,
        enveloped: bool,
    ) -> object:
        """Make one attempt. The time limit holds for all of it, however slowly bytes trickle in."""
        try:
            async with (
                asyncio.timeout(self._limits.timeout_s),
                self._http.stream(verb, url, params=query, json=body) as response,
            ):
                text = await self._read(response)
                status, after_s = response.status_code, _after_s(response)
        except TimeoutError:
            raise _Again("no answer in time", Result.TIMEOUT) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            kind = Result.TIMEOUT if isinstance(error, httpx.TimeoutException) else None
            reason = f"no answer: {type(error).__name__}"
            raise _Again(reason, kind or Result.UNREACHABLE) from None
        if status != _OK:
            self._refuse(status, after_s)
        answer = _decoded(text)
        return self._unwrapped(answer, after_s) if enveloped else answer

    async def _read(self, response: httpx.Response) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._limits.largest_answer:
                raise BadAnswer(f"{self.endpoint.host}: an answer without end")
            parts.append(part)
        return b"".join(parts)

    def _unwrapped(self, answer: object, after_s: float | None) -> object:
        """Take version 2's result out of its envelope, or raise as its status would."""
        if not isinstance(answer, dict):
            raise _Again("an answer without an envelope", Result.NONSENSE)
        fault = answer.get("error")
        if answer.get("ok", fault is None) is True and "result" in answer:
            return answer["result"]
        code = fault.get("code") if isinstance(fault, dict) else answer.get("code")
        self._refuse(code if isinstance(code, int) else _FAULTS_FROM, after_s)
        raise _Again("an answer without a result", Result.NONSENSE)

    def _refuse(self, status: int, after_s: float | None) -> None:
        """Raise for a status that brings no answer: what to repeat, what is not there, what not."""
        if status == _NOT_FOUND:
            raise NotThere(f"{self.endpoint.host} has no such thing")
        if status not in _REPEATABLE and _REFUSALS_FROM <= status < _FAULTS_FROM:
            raise Unavailable(f"{self.endpoint.host} refuses the request: {status}")
        result = Result.RATE_LIMITED if status == _TOO_MANY else Result.FAULT
        raise _Again(f"status {status}", result, after_s)


def _after_s(response: httpx.Response) -> float | None:
    """Return how long the provider asks to wait, in seconds, where it says so in numbers."""
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()) or len(text) > 6:  # noqa: PLR2004 - 11 days
        return None
    return min(float(text), _LONGEST_PAUSE_S)


def _decoded(text: bytes) -> object:
    """Read JSON; anything that isn't is worth another attempt, from another server perhaps."""
    try:
        answer: object = json.loads(text)
    except (ValueError, RecursionError):
        raise _Again("an answer that is not JSON", Result.NONSENSE) from None
    return answer
