"""What a signer's key owes: one signature for a hash, always the same, and nothing else."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.signing.model import HASH_BYTES
from aiba_domain.signing.ports import Key, KeyUnavailable
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_HASHES: Final = st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES)


class KeyDesk:
    """A key on one event loop."""

    def __init__(self, runner: asyncio.Runner, key: Key) -> None:
        """Serve `key`, which was opened inside `runner`."""
        self.runner = runner
        self.key = key

    def sign(self, payload_hash: bytes) -> bytes:
        """Sign."""
        return self.runner.run(self.key.sign(payload_hash))


class KeyContract(PortContract):
    """Subclass and say how to open a key.

    `verifiable`: `verify` judges a signature as the vault will. `reopen`: `open_key` opens the same
    key again. `faults`: `outage(key)` keeps it from signing while it is entered.
    """

    port = "Key"
    version = "1.0"

    @abstractmethod
    async def open_key(self, folder: Path) -> Key:
        """Open the key; `folder` is of this test alone, and empty at first."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Judge by ed25519 alone whether a signature over a message is by a public key.

        To be given with the capability `verifiable`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no verify() for {(public_key, message, signature)}"
        )

    @pytest.fixture(name="key")
    def _key(self, runner: asyncio.Runner, opening: Opening, tmp_path: Path) -> Iterator[KeyDesk]:
        with opening:
            key = runner.run(self.open_key(tmp_path))
        yield KeyDesk(runner, key)
        runner.run(self.release(key))

    @base
    def test_a_hash_is_signed(self, key: KeyDesk) -> None:
        """A signature has 64 bytes, the public key 32, and both are bytes."""
        signature, public_key = key.sign(bytes(HASH_BYTES)), key.key.public_key
        same((type(signature), len(signature)), (bytes, _SIGNATURE_BYTES), "the signature")
        same((type(public_key), len(public_key)), (bytes, _KEY_BYTES), "the public key")

    def test_the_public_key_stays(self, key: KeyDesk) -> None:
        """Whatever was signed meanwhile."""
        before = key.key.public_key
        key.sign(bytes(HASH_BYTES))
        same(key.key.public_key, before, "the public key")

    @broad(0.3)
    @given(payload_hash=_HASHES)
    def test_the_same_hash_gives_the_same_signature(
        self, key: KeyDesk, payload_hash: bytes
    ) -> None:
        """However often, so that an answer that was lost can be made again."""
        first = key.sign(payload_hash)
        same(key.sign(payload_hash), first, "the second signature")

    @broad(0.3)
    @given(payload_hash=_HASHES, bit=st.integers(0, 8 * HASH_BYTES - 1))
    def test_another_hash_gives_another_signature(
        self, key: KeyDesk, payload_hash: bytes, bit: int
    ) -> None:
        """Each bit of the hash is signed."""
        other = _flipped(payload_hash, bit)
        holds(key.sign(payload_hash) != key.sign(other), "one other bit, another signature")

    def test_signatures_at_once_are_those_of_one_after_another(self, key: KeyDesk) -> None:
        """None is mixed up with another."""
        hashes = [sha256(bytes([number])).digest() for number in range(16)]

        async def at_once() -> list[bytes]:
            return await asyncio.gather(*map(key.key.sign, hashes))

        same(key.runner.run(at_once()), [key.sign(each) for each in hashes], "the signatures")

    @needs(Capability.VERIFIABLE)
    @broad(0.3)
    @given(payload_hash=_HASHES, bit=st.integers(0, 8 * HASH_BYTES - 1))
    def test_the_vault_accepts_its_signatures_and_no_others(
        self, key: KeyDesk, payload_hash: bytes, bit: int
    ) -> None:
        """The hash itself is signed, and nothing before or around it."""
        public_key, signature = key.key.public_key, key.sign(payload_hash)
        holds(self.verify(public_key, payload_hash, signature), "the vault accepts its signature")
        other = _flipped(payload_hash, bit)
        holds(not self.verify(public_key, other, signature), "it is worth nothing for another")

    @needs(Capability.REOPEN)
    def test_the_same_key_is_opened_again(self, key: KeyDesk, tmp_path: Path) -> None:
        """With the same public key and the same signatures."""
        first, public_key = key.sign(bytes(HASH_BYTES)), key.key.public_key
        again = KeyDesk(key.runner, key.runner.run(self.open_key(tmp_path)))
        same(again.key.public_key, public_key, "the public key")
        same(again.sign(bytes(HASH_BYTES)), first, "the signature")
        key.runner.run(self.release(again.key))

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable(self, key: KeyDesk) -> None:
        """While it lasts nothing is signed; afterwards the signatures are those of before."""
        first = key.sign(bytes(HASH_BYTES))
        with self.outage(key.key), pytest.raises(KeyUnavailable):
            key.sign(bytes(HASH_BYTES))
        same(key.sign(bytes(HASH_BYTES)), first, "the signature after an outage")


def _flipped(payload_hash: bytes, bit: int) -> bytes:
    number = int.from_bytes(payload_hash, "big") ^ (1 << bit)
    return number.to_bytes(HASH_BYTES, "big")
