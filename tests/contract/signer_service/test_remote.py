"""The client of a signer elsewhere: it believes nothing, and asks again where that is safe."""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest
from nacl.signing import SigningKey

from aiba_adapters.signing.local import sign_terms
from aiba_adapters.signing.oracle_keys import NamedKeys, OracleKeys, VaultKeys
from aiba_adapters.signing.remote import (
    Patience,
    RemoteSigner,
    SignerLied,
    SignerMisbehaved,
    SignerPlace,
)
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.ports import SignerRefused, SignerUnavailable
from aiba_domain.ports import Unavailable
from aiba_domain.signing.model import Refusal
from tests.contract.signer_service.support import TOKEN, Service, wire
from tests.support.signers import KEY, terms
from tests.support.virtual_time import run as run_virtual

Answer = Callable[[httpx.Request], httpx.Response]
STRANGER = SigningKey(bytes([9]) * 32)
GOOD = sign_terms(terms(), KEY._key)


def asked(
    answer: Answer, *, keys: OracleKeys | None = None, patience: Patience | None = None
) -> RemoteSigner:
    """Return a client whose requests are answered here."""
    return RemoteSigner(
        SignerPlace(url="http://127.0.0.1:8090", token=TOKEN),
        keys=keys or NamedKeys({KEY.public_key}),
        patience=patience,
        transport=httpx.MockTransport(answer),
    )


def refusal(code: str, status: int, **headers: str) -> httpx.Response:
    """Return a refusal as the service writes it."""
    error = {"ok": False, "error": {"code": code, "message": code}, "requestId": "x"}
    return httpx.Response(status, json=error, headers=headers)


def test_it_asks_as_the_wire_says() -> None:
    """Path, token and the seven fields; numbers that JSON may not hold are texts."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"signatureBase64": GOOD.signature})

    assert asyncio.run(asked(answer).sign(terms())) == GOOD
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "http://127.0.0.1:8090/sign")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert json.loads(request.content) == wire(terms(), payloadBocBase64=GOOD.payload)


@pytest.mark.parametrize(
    "answer",
    [
        {"signatureBase64": sign_terms(terms(), STRANGER).signature},
        {"signatureBase64": sign_terms(terms(amount=101), KEY._key).signature},
        {"signatureBase64": base64.b64encode(bytes(64)).decode()},
        {"signatureBase64": GOOD.signature, "payloadBocBase64": "te6c"},
        {
            "signatureBase64": GOOD.signature,
            "payloadBocBase64": payload_of(terms(amount=101)).boc_base64(),
        },
    ],
)
def test_a_lying_signer_is_found(answer: dict[str, str]) -> None:
    """Another key's signature, another claim's, none at all, or another payload."""
    signer = asked(lambda _request: httpx.Response(200, json=answer))
    with pytest.raises(SignerLied):
        asyncio.run(signer.sign(terms()))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 10_000,
        b'{"signatureBase64": 7}',
        b'{"signatureBase64": "%"}',
        b'{"signatureBase64": "AAAA"}',
        b'"' + b"x" * 100_000,
    ],
)
def test_an_answer_without_a_signature_is_none(content: bytes) -> None:
    """Whatever it is instead; it is asked for once."""
    times = 0

    def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal times
        times += 1
        return httpx.Response(200, content=content)

    with pytest.raises(SignerMisbehaved, match="did not return signatureBase64"):
        asyncio.run(asked(answer).sign(terms()))
    assert times == 1


@pytest.mark.parametrize("code", [*Refusal])
def test_refusals_keep_their_codes(code: Refusal) -> None:
    """Each code of the signer is the port's."""
    signer = asked(lambda _request: refusal(code, 409))
    with pytest.raises(SignerRefused) as refused:
        asyncio.run(signer.sign(terms()))
    assert refused.value.code == code


def test_terms_that_name_no_account_are_never_sent() -> None:
    """They are refused here, as the signer would."""
    signer = asked(lambda _request: pytest.fail("it was sent"))
    for wrong, code in (
        (replace(terms(), recipient="x"), Refusal.RECIPIENT),
        (replace(terms(), vault="x"), Refusal.CONTRACT),
    ):
        with pytest.raises(SignerRefused) as refused:
            asyncio.run(signer.sign(wrong))
        assert refused.value.code == code


def test_a_lost_answer_is_asked_for_again() -> None:
    """The same terms have the same answer, so nothing is signed twice."""

    async def case() -> None:
        service = await Service().start()
        times = 0

        async def answer(request: httpx.Request) -> httpx.Response:
            nonlocal times
            times += 1
            kept = await service.post(request.content)
            if times < 3:
                raise httpx.ReadError("gone", request=request)
            return httpx.Response(kept.status_code, content=kept.content)

        signer = RemoteSigner(
            SignerPlace(url="unix:/nowhere", token=TOKEN),
            keys=NamedKeys({KEY.public_key}),
            transport=httpx.MockTransport(answer),
        )
        assert await signer.sign(terms()) == GOOD
        assert service.counted() == {"signed": 1, "same_again": 2}

    run_virtual(case())


@pytest.mark.parametrize(
    ("status", "code", "times"),
    [
        (503, "unavailable", 3),
        (429, "rate_limited", 3),
        (401, "unauthorized", 1),
        (500, "error", 1),
        (302, "", 1),
    ],
)
def test_what_may_pass_is_asked_again_and_nothing_else(status: int, code: str, times: int) -> None:
    """As often as its patience says, after the time that it is told, which is handed on."""
    asked_at: list[float] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        asked_at.append(asyncio.get_running_loop().time())
        return refusal(code, status, **{"retry-after": "2"})

    with pytest.raises(SignerUnavailable) as failed:
        run_virtual(asked(answer).sign(terms()))
    assert len(asked_at) == times
    assert all(later - one >= 2 for one, later in pairwise(asked_at))
    assert failed.value.retry_after_ms == (2_000 if times > 1 else 1_000)
    assert TOKEN not in str(failed.value)


def test_a_signer_that_is_not_there_is_left_alone_for_a_while() -> None:
    """After so many failures nothing is sent; then one request tries; one that works ends it."""
    times, is_down = 0, True

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal times
        times += 1
        if is_down:
            raise httpx.ConnectError("no", request=request)
        return httpx.Response(200, json={"signatureBase64": GOOD.signature})

    async def case() -> None:
        nonlocal is_down
        signer = asked(answer, patience=Patience(attempts=1, failures=2, rest_s=5.0))
        for _ in range(2):
            with pytest.raises(SignerUnavailable, match="isn't reached"):
                await signer.sign(terms())
        with pytest.raises(SignerUnavailable, match="resting") as resting:
            await signer.sign(terms())
        assert 4_000 < resting.value.retry_after_ms <= 5_001
        assert times == 2
        await asyncio.sleep(5.1)
        outcomes = await asyncio.gather(
            *(signer.sign(terms()) for _ in range(3)), return_exceptions=True
        )
        assert sorted("resting" in str(one) for one in outcomes) == [False, True, True]
        assert times == 3
        is_down = False
        await asyncio.sleep(5.1)
        assert await signer.sign(terms()) == GOOD
        assert await signer.sign(terms()) == GOOD

    run_virtual(case())


def test_one_that_never_answers_is_given_up() -> None:
    """After the whole of the patience there is."""

    async def answer(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1_000)
        raise AssertionError("unreachable")

    async def case() -> float:
        signer = RemoteSigner(
            SignerPlace(url="http://signer", token=TOKEN),
            keys=NamedKeys({KEY.public_key}),
            patience=Patience(whole_s=10.0),
            transport=httpx.MockTransport(answer),
        )
        began = asyncio.get_running_loop().time()
        with pytest.raises(SignerUnavailable, match="in time"):
            await signer.sign(terms())
        return asyncio.get_running_loop().time() - began

    assert run_virtual(case()) == pytest.approx(10.0)


class Vault:
    """A vault that believes a key; `down` makes it unreadable."""

    def __init__(self, key: bytes) -> None:
        self.key, self.down, self.reads = key, False, 0

    async def oracle_key(self, vault: str) -> bytes:
        """Return it."""
        assert vault == terms().vault
        self.reads += 1
        if self.down:
            raise Unavailable("no chain", retry_after_ms=7_000)
        return self.key


def test_the_vaults_own_key_decides() -> None:
    """It is kept for some seconds; a signature by another one is judged by what holds now."""

    async def case() -> None:
        vault = Vault(bytes(STRANGER.verify_key))
        keys: OracleKeys = VaultKeys(vault, terms().vault)
        signer = asked(
            lambda _request: httpx.Response(200, json={"signatureBase64": GOOD.signature}),
            keys=keys,
        )
        with pytest.raises(SignerLied):
            await signer.sign(terms())
        assert vault.reads == 2
        vault.key = KEY.public_key
        for _ in range(5):
            assert await signer.sign(terms()) == GOOD
        assert vault.reads == 3
        await asyncio.sleep(10.1)
        vault.key = bytes(STRANGER.verify_key)
        with pytest.raises(SignerLied):
            await signer.sign(terms())
        vault.down = True
        await asyncio.sleep(10.1)
        with pytest.raises(SignerUnavailable) as failed:
            await signer.sign(terms())
        assert failed.value.retry_after_ms == 7_000

    run_virtual(case())


@pytest.mark.parametrize(
    ("url", "endpoint", "socket"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/sign", ""),
        ("https://signer.example/", "https://signer.example/sign", ""),
        ("https://signer.example/v1/claims", "https://signer.example/v1/claims", ""),
        ("unix:/run/signer.sock", "http://signer/sign", "/run/signer.sock"),
        ("unix:///run/signer.sock", "http://signer/sign", "/run/signer.sock"),
    ],
)
def test_a_place_is_read_from_its_url(url: str, endpoint: str, socket: str) -> None:
    """A path of its own stays; the token is shown nowhere."""
    place = SignerPlace(url=url, token=TOKEN)
    assert (place.endpoint, place.socket) == (endpoint, socket)
    assert TOKEN not in repr(place)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "http://",
        "unix:",
        "unix:run/x",
        "http://u:p@x",
        "http://x?t=1",
        "http://x:99999",
        "//x",
    ],
)
def test_any_other_url_is_refused(url: str) -> None:
    """With a text that shows none of it."""
    with pytest.raises(ValueError, match=r"^(must|unix: needs)"):
        SignerPlace(url=url, token=TOKEN)
