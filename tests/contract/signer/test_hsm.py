"""A key in a PKCS#11 token signs as the vectors say, and never leaves it."""

import asyncio
import base64
import contextlib
import json
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.signing.hsm import TokenKey, TokenPlace, TokenUnusable
from aiba_adapters.signing.keys import verifier
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import ProtectedSigner
from aiba_domain.signing.model import Network
from aiba_domain.signing.ports import KeyUnavailable
from aiba_domain.testing.contracts import Capability, KeyContract
from tests.support import softhsm
from tests.support.signers import KEY, SetChain, policy, terms

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "claims.json").read_text(encoding="utf-8")
)["cases"]


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenPlace]:
    """Make a token with the first vector's key."""
    module = softhsm.module()
    if module is None and "CI" not in os.environ:
        pytest.skip("SoftHSM2 isn't installed (apt-get install softhsm2)")
    assert module is not None, "CI installs SoftHSM2"
    before = os.environ.get("SOFTHSM2_CONF")
    softhsm.make_token(tmp_path_factory.mktemp("softhsm"))
    vectors = {case["seedHex"]: bytes.fromhex(case["seedHex"]) for case in CASES}
    plain = {"same": bytes(KEY._key), **vectors}
    plain |= {
        label: label.encode().ljust(32, b"-") for label in ("lost", "wrong", "quiet", "suite")
    }
    softhsm.put_keys(
        module,
        [*((label, seed, False) for label, seed in plain.items()), ("loose", bytes(32), True)],
    )
    yield TokenPlace(module=module, token=softhsm.TOKEN, key="oracle", pin=softhsm.PIN)
    os.environ.pop("SOFTHSM2_CONF")
    if before is not None:
        os.environ["SOFTHSM2_CONF"] = before


class TestTokenKey(KeyContract):
    """The key in the token keeps the contract of keys."""

    capabilities = frozenset({Capability.VERIFIABLE, Capability.REOPEN, Capability.FAULTS})
    place: TokenPlace

    @pytest.fixture(autouse=True)
    def _in_token(self, place: TokenPlace) -> None:
        self.place = replace(place, key="suite")

    async def open_key(self, folder: Path) -> TokenKey:  # noqa: ARG002 - it is in the token
        """Find it."""
        return TokenKey(self.place)

    async def release(self, adapter: TokenKey) -> None:
        """Log out."""
        adapter.close()

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Verify by libsodium."""
        return verifier(public_key)(message, signature)

    @contextlib.contextmanager
    def outage(self, adapter: TokenKey) -> Iterator[None]:
        """Pull the token out, and put it back."""
        adapter._thread.submit(adapter._drop).result()
        adapter._place = replace(self.place, token="gone")
        yield
        adapter._place = self.place


def test_signatures_are_those_of_the_vectors(place: TokenPlace) -> None:
    """Each golden claim's hash is signed to the byte, and each public key is the vector's."""
    keys = {case["seedHex"]: TokenKey(replace(place, key=case["seedHex"])) for case in CASES}
    for case in CASES:
        key = keys[case["seedHex"]]
        signature = asyncio.run(key.sign(bytes.fromhex(case["payloadHashHex"])))
        assert base64.b64encode(signature).decode() == case["signatureBase64"]
        assert key.public_key.hex() == case["publicKeyHex"]
    for key in keys.values():
        key.close()


def test_a_protected_signer_signs_with_a_token(place: TokenPlace) -> None:
    """What it signs is what a key in this process would have signed."""
    at = replace(place, key="same")
    key = TokenKey(at)
    store = MemoryProtection(network=Network.TESTNET)
    answers = [
        asyncio.run(
            ProtectedSigner(one, store=store, chain=SetChain(), policy=policy()).sign(terms())
        )
        for one in (key, KEY)
    ]
    assert answers[0] == answers[1]
    key.close()


def test_a_key_that_can_leave_its_token_is_not_used(place: TokenPlace) -> None:
    """Nor one that isn't there, behind a wrong PIN or in no token; the PIN is shown nowhere."""
    loose = replace(place, key="loose")
    for wrong, reason in (
        (loose, "can leave its token"),
        (replace(place, key="nothing"), "nothing"),
        (replace(place, token="nowhere"), "nowhere"),
        (replace(place, pin="99999999"), "oracle"),
        (replace(place, module=Path("no-module.so")), "oracle"),
    ):
        with pytest.raises(TokenUnusable, match=reason) as refused:
            TokenKey(wrong)
        assert wrong.pin not in str(refused.value)
        assert wrong.pin not in repr(wrong)


def test_a_token_that_comes_back_signs_again(place: TokenPlace) -> None:
    """A lost session is opened anew."""
    at = replace(place, key="lost")
    key = TokenKey(at)
    first = asyncio.run(key.sign(bytes(32)))
    key._thread.submit(key._session.close).result()
    assert asyncio.run(key.sign(bytes(32))) == first
    key.close()


def test_a_wrong_signature_does_not_leave(place: TokenPlace) -> None:
    """Every one is checked under the public key."""
    at = replace(place, key="wrong")
    key = TokenKey(at)
    key._sign = lambda payload_hash: 2 * payload_hash  # type: ignore[method-assign]
    with pytest.raises(KeyUnavailable, match="isn't its key's"):
        asyncio.run(key.sign(bytes(32)))
    key.close()


def test_a_token_key_shows_and_gives_away_nothing(place: TokenPlace) -> None:
    """It names its token and key, and is neither copied nor sent elsewhere."""
    at = replace(place, key="quiet")
    key = TokenKey(at)
    assert softhsm.PIN not in repr(key)
    with pytest.raises(TypeError, match="stays in its token"):
        pickle.dumps(key)
    key.close()


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is named by the extra that brings it."""
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    place = TokenPlace(module=Path("m"), token="t", key="k", pin="p")
    with pytest.raises(TokenUnusable, match=r"aiba-arena\[hsm\]"):
        TokenKey(place)
