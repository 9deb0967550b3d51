"""A key in a PKCS#11 token: it signs there, and its private part never enters this process.

Needs the extra `hsm`. The mechanism is EdDSA (CKM_EDDSA) over the 32 bytes of a cell's hash, with a
key on Ed25519 that is marked sensitive and not extractable.
"""

import asyncio
import importlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from aiba_adapters.signing.keys import verifier
from aiba_domain.signing.ports import KeyUnavailable

_ED25519: Final = (bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519")
"""The curve as tokens name it: its object identifier, or a printable name."""

_POINT_BYTES: Final = 32
_OCTET_STRING: Final = b"\x04\x20"


class TokenUnusable(ValueError):  # noqa: N818 - named for the state of the token
    """There is no usable key in the token; the text says why and holds no PIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """Where a key is: the PKCS#11 module, the token's label, the key's label, and the PIN."""

    module: Path
    token: str
    key: str
    pin: str = field(repr=False)


class TokenKey:
    """A key behind the key port. Every signature is checked before it leaves."""

    def __init__(self, place: TokenPlace) -> None:
        """Log into the token and find the key, or raise TokenUnusable."""
        self._pkcs11 = _package()
        self._place = place
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pkcs11")
        self._session: Any = None
        self._private: Any = None
        try:
            self._public_key = self._thread.submit(self._open).result()
        except BaseException:
            self.close()
            raise
        self._verify = verifier(self._public_key)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes by which the vault knows it."""
        return self._public_key

    async def sign(self, payload_hash: bytes) -> bytes:
        """Return the 64 bytes of the signature over a cell's hash, or raise KeyUnavailable."""
        loop = asyncio.get_running_loop()
        signature = await loop.run_in_executor(self._thread, self._sign, payload_hash)
        if not self._verify(payload_hash, signature):
            raise KeyUnavailable("the token gave a signature that isn't its key's")
        return signature

    def close(self) -> None:
        """Log out and end the session."""
        self._thread.submit(self._drop).result()
        self._thread.shutdown()

    def __repr__(self) -> str:
        return f"TokenKey(token={self._place.token!r}, key={self._place.key!r})"

    def __reduce__(self) -> str:
        raise TypeError("a key stays in its token")

    def _sign(self, payload_hash: bytes) -> bytes:
        """Sign in the token's thread; a session that is gone is opened anew, once."""
        mechanism = self._pkcs11.Mechanism.EDDSA
        for _ in range(2):
            try:
                if self._private is None and self._open() != self._public_key:
                    raise KeyUnavailable("the token holds another key now")
                return bytes(self._private.sign(payload_hash, mechanism=mechanism))
            except (self._pkcs11.PKCS11Error, TokenUnusable) as error:
                self._drop()
                failure = error
        raise KeyUnavailable(f"the token doesn't sign: {type(failure).__name__}") from failure

    def _open(self) -> bytes:
        """Open a session, find the key, and return its public part."""
        place = self._place
        try:
            token = self._pkcs11.lib(str(place.module)).get_token(token_label=place.token)
            self._session = self._logged_in(token)
            kinds = self._pkcs11.ObjectClass
            self._private = self._session.get_key(kinds.PRIVATE_KEY, label=place.key)
            public = self._session.get_key(kinds.PUBLIC_KEY, label=place.key)
            return self._checked(self._private, public)
        except (self._pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            self._drop()
            reason = str(error) or type(error).__name__
            raise TokenUnusable(f"token {place.token!r}, key {place.key!r}: {reason}") from error

    def _logged_in(self, token: Any) -> Any:  # noqa: ANN401 - a token's objects
        """Open a session for the token's user, who may be logged in: a process is but once."""
        try:
            return token.open(user_pin=self._place.pin)
        except self._pkcs11.UserAlreadyLoggedIn:
            return token.open()

    def _checked(self, private: Any, public: Any) -> bytes:  # noqa: ANN401 - a token's objects
        """Return the public part of a key that is safe where it is, or raise TokenUnusable."""
        names = self._pkcs11.Attribute
        where = f"key {self._place.key!r}"
        if private[names.EXTRACTABLE] or not private[names.SENSITIVE]:
            raise TokenUnusable(
                f"{where} can leave its token: make it sensitive and not extractable"
            )
        if public[names.EC_PARAMS] not in _ED25519:
            raise TokenUnusable(f"{where} isn't on the curve Ed25519")
        point = bytes(public[names.EC_POINT]).removeprefix(_OCTET_STRING)
        if len(point) != _POINT_BYTES:
            raise TokenUnusable(f"{where} has no public part of {_POINT_BYTES} bytes")
        return point

    def _drop(self) -> None:
        session, self._session, self._private = self._session, None, None
        if session is not None:
            try:
                session.close()
            except self._pkcs11.PKCS11Error:
                return  # the token is gone, and the session with it


def _package() -> ModuleType:
    try:
        return importlib.import_module("pkcs11")
    except ImportError:
        raise TokenUnusable("a token needs the extra hsm: pip install 'aiba-arena[hsm]'") from None
