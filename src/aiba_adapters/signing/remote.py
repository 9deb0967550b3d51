"""A signer elsewhere, asked over HTTP or a Unix socket, and believed in nothing.

What comes back counts only if it is a signature by the oracle's key over the terms' own cell, which
is built here. The same terms give the same signature, so a lost answer is asked for again.
"""

import asyncio
import base64
import binascii
import json
import random
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from aiba_adapters.signing.keys import verifier
from aiba_adapters.signing.oracle_keys import OracleKeys
from aiba_adapters.ton.addresses import AddressRefused
from aiba_adapters.ton.claim_cell import SIGNATURE_BYTES, PayloadCell, payload_of
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, SignerRefused, SignerUnavailable
from aiba_domain.outage import Unavailable
from aiba_domain.signing.model import Refusal

PATH: Final = "/sign"
"""Where a signer signs if its URL says nothing else."""

_UNIX: Final = "unix:"
_NO_HOST: Final = "http://signer"
_REFUSALS: Final = frozenset({*(code.value for code in Refusal), "malformed", "payload_mismatch"})
_AGAIN: Final = frozenset({429, 502, 503, 504})
_MS: Final = 1_000
_LONGEST_ANSWER: Final = 16_384
_OK: Final = 200
_CODE: Final = re.compile(r"[a-z_]{1,64}")
_SECONDS: Final = re.compile(r"[0-9]{1,4}")


class SignerMisbehaved(SignerUnavailable):
    """The signer gave an answer that is of no use, and asking again won't change it."""


class SignerLied(SignerMisbehaved):
    """The signer gave something that isn't the oracle's signature over these terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """Whom to believe, None for the system's authorities, and what to show: certificate and key."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context for a client; raises OSError (ssl.SSLError is one)."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerPlace:
    """Where a signer is: a URL, or `unix:` with a socket's path, and the token for it."""

    url: str
    token: str = field(repr=False)
    tls: ClientTls | None = None

    def __post_init__(self) -> None:
        """Refuse any other URL; the text shows none of it."""
        if self.url.startswith(_UNIX):
            if not self.socket.startswith("/"):
                raise ValueError("unix: needs an absolute path")
            return
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            parts, host = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("must be an http or https URL, or unix: with a socket's path")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must not carry a user, a query or a fragment")

    @property
    def socket(self) -> str:
        """Return the path of the Unix socket, blank where it is none."""
        if not self.url.startswith(_UNIX):
            return ""
        path = self.url.removeprefix(_UNIX)
        return "/" + path.lstrip("/") if path.startswith("///") else path

    @property
    def endpoint(self) -> str:
        """Return what is posted to."""
        if self.socket:
            return _NO_HOST + PATH
        return self.url if urlsplit(self.url).path not in ("", "/") else self.url.rstrip("/") + PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often a signer is asked, in seconds.

    One attempt takes at most `attempt_s`, all of them with their pauses `whole_s`. After `failures`
    outages in a row nothing is sent for `rest_s`, then one request tries.
    """

    attempt_s: float = 4.0
    whole_s: float = 10.0
    attempts: int = 3
    pause_s: float = 0.1
    failures: int = 5
    rest_s: float = 5.0


class RemoteSigner:
    """A signer behind the signer port. Belongs to one event loop; close it when done."""

    def __init__(
        self,
        place: SignerPlace,
        *,
        keys: OracleKeys,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Ask the signer at a place, and believe signatures by `keys` alone.

        `transport` stands in for the network in tests. Raises OSError where TLS files are unusable.
        """
        self._patience = patience or Patience()
        self._keys = keys
        self._endpoint = place.endpoint
        tls = place.tls.context() if place.tls else True
        self._client = httpx.AsyncClient(
            # Past any proxy: the token is the signer's.
            transport=transport or httpx.AsyncHTTPTransport(verify=tls, uds=place.socket or None),
            headers={"authorization": f"Bearer {place.token}", "content-type": "application/json"},
            timeout=self._patience.attempt_s,
            follow_redirects=False,
            trust_env=False,
        )
        self._circuit = _Circuit(self._patience)
        self._chance = random.Random()  # noqa: S311 - it spreads retries

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Return the terms with their signature, or raise SignerRefused or SignerUnavailable."""
        try:
            cell = payload_of(terms)
        except AddressRefused as refused:
            known = refused.field == "recipient"
            raise SignerRefused(Refusal.RECIPIENT if known else Refusal.CONTRACT) from None
        answer = await self._ask(_body_of(terms, cell))
        signature = _signature(answer)
        payload = answer.get("payloadBocBase64")
        if payload is not None and payload != cell.boc_base64():
            raise SignerLied("the signer signed another payload")
        if not await self._is_oracles(cell.hash, signature):
            raise SignerLied("the signer's signature isn't by a key that the vault believes")
        return SignedClaim(
            terms=terms,
            payload=cell.boc_base64(),
            signature=base64.b64encode(signature).decode(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def __repr__(self) -> str:
        return f"RemoteSigner({self._endpoint})"

    async def _is_oracles(self, digest: bytes, signature: bytes) -> bool:
        """Check a signature; where it fails, against what the vault believes at this moment."""
        try:
            for anew in (False, True):
                for key in await self._keys.keys(anew=anew):
                    if verifier(key)(digest, signature):
                        return True
        except Unavailable as error:
            raise SignerUnavailable(
                f"the oracle's key isn't known now: {error}", retry_after_ms=error.retry_after_ms
            ) from error
        return False

    async def _ask(self, body: bytes) -> Mapping[str, Any]:
        """Return a signer's answer; what may be asked again is, within the patience there is."""
        failure = SignerUnavailable("the signer gave no answer in time")
        try:
            async with asyncio.timeout(self._patience.whole_s):
                for attempt in range(self._patience.attempts):
                    await asyncio.sleep(self._pause_s(attempt, failure))
                    self._circuit.check()
                    try:
                        return await self._attempt(body)
                    except SignerMisbehaved:
                        raise
                    except SignerUnavailable as error:
                        failure = error
        except TimeoutError:
            self._circuit.failed()
        raise failure

    def _pause_s(self, attempt: int, failure: SignerUnavailable) -> float:
        """Return how long to wait before an attempt: longer each time, and as long as was asked."""
        if not attempt:
            return 0.0
        asked_s = failure.retry_after_ms / _MS if isinstance(failure, _Busy) else 0.0
        longer: float = self._patience.pause_s * 2**attempt
        return asked_s + longer * self._chance.random()

    async def _attempt(self, body: bytes) -> Mapping[str, Any]:
        try:
            status, retry_ms, answer = await self._post(body)
        except httpx.HTTPError as error:
            self._circuit.failed()
            raise SignerUnavailable(f"the signer isn't reached: {type(error).__name__}") from None
        code = _code(answer)
        if status == _OK or code in _REFUSALS:
            self._circuit.worked()
        else:
            self._circuit.failed()
        if status == _OK:
            return answer
        if code in _REFUSALS:
            raise SignerRefused(code)
        said = f"the signer answered {status} {code or 'without a code'}"
        raise _Busy(said, retry_after_ms=retry_ms) if status in _AGAIN else SignerMisbehaved(said)

    async def _post(self, body: bytes) -> tuple[int, int, Mapping[str, Any]]:
        """Return an answer's status, when to come again (ms), and its JSON, empty if it is none."""
        content = b""
        async with self._client.stream("POST", self._endpoint, content=body) as response:
            async for part in response.aiter_bytes():
                content += part
                if len(content) > _LONGEST_ANSWER:
                    break
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        answer = found if isinstance(found, dict) else {}
        return response.status_code, _retry_ms(response), answer


class _Busy(SignerUnavailable):
    """The signer is there and says when to come again."""


class _Circuit:
    """Keeps from asking a signer that isn't there; one request tries when the rest is over."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures = 0
        self._rests_until = 0.0

    def check(self) -> None:
        """Raise SignerUnavailable while the signer rests."""
        now = asyncio.get_running_loop().time()
        if self._failures < self._patience.failures:
            return
        if now < self._rests_until:
            left_ms = int((self._rests_until - now) * _MS) + 1
            raise SignerUnavailable("the signer is resting", retry_after_ms=left_ms)
        self._rests_until = now + self._patience.rest_s

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self._patience.failures:
            self._rests_until = asyncio.get_running_loop().time() + self._patience.rest_s

    def worked(self) -> None:
        self._failures = 0


def _body_of(terms: ClaimTerms, cell: PayloadCell) -> bytes:
    """Return the request; numbers that JSON may not hold are texts."""
    return json.dumps(
        {
            "vaultAddress": terms.vault,
            "jettonMaster": terms.jetton_master,
            "to": terms.recipient,
            "amount": str(terms.amount),
            "seqno": str(terms.seqno),
            "validUntil": terms.valid_until_s,
            "payloadBocBase64": cell.boc_base64(),
        }
    ).encode()


def _code(answer: Mapping[str, Any]) -> str:
    """Return the code of a refusal, blank for what has none."""
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _signature(answer: Mapping[str, Any]) -> bytes:
    text = answer.get("signatureBase64")
    try:
        signature = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        signature = b""
    if len(signature) != SIGNATURE_BYTES:
        raise SignerMisbehaved("oracle signer did not return signatureBase64")
    return signature


def _retry_ms(response: httpx.Response) -> int:
    text = response.headers.get("retry-after", "")
    return max(1, int(text) if _SECONDS.fullmatch(text) else 1) * _MS
