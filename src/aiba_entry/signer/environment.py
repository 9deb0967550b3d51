"""What the signer is told by its environment: keys, and where the chain is read."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from aiba_adapters.signing.hsm import TokenKey, TokenPlace
from aiba_adapters.signing.keys import ProcessKey, process_key
from aiba_adapters.signing.local import KEY_VARIABLE, OracleKeyUnusable
from aiba_adapters.signing.protection import LogSigner
from aiba_adapters.system.clock import SystemClock
from aiba_adapters.ton.proof import Network as GlobalId
from aiba_adapters.toncenter.endpoints import Provider, endpoint
from aiba_adapters.toncenter.reader import Freshness, ToncenterReader, open_reader
from aiba_domain.signing.model import Network

STORE: Final = "ORACLE_SIGNER_STORE"
LOG: Final = "ORACLE_SIGNER_LOG"
POLICY: Final = "ORACLE_SIGNER_POLICY"
AUDIT_KEY: Final = "ORACLE_SIGNER_AUDIT_KEY_HEX"
AUDIT_KEYS_BESIDE: Final = (f"{AUDIT_KEY}_NEXT", f"{AUDIT_KEY}_PREVIOUS")
MODULE: Final = "ORACLE_SIGNER_PKCS11_MODULE"
TOKEN: Final = "ORACLE_SIGNER_PKCS11_TOKEN"  # noqa: S105 - a variable's name
LABEL: Final = "ORACLE_SIGNER_PKCS11_KEY"
PIN: Final = "ORACLE_SIGNER_PKCS11_PIN"

VARIABLES: Final = (
    STORE,
    LOG,
    POLICY,
    AUDIT_KEY,
    *AUDIT_KEYS_BESIDE,
    MODULE,
    TOKEN,
    LABEL,
    PIN,
    KEY_VARIABLE,
    "TON_PROVIDER_URL",
    "TON_FALLBACK_URL",
    "TON_API_KEY",
    "TON_REQUESTS_PER_SECOND",
    "AIBA_DEV_CHAIN_TIME",
)
"""Every variable of the signer's own; a secret one may be given in a file as `NAME_FILE` instead.

`settings.SERVICE_VARIABLES` are those of its service.
"""

SECRETS: Final = (KEY_VARIABLE, AUDIT_KEY, *AUDIT_KEYS_BESIDE, PIN, "TON_API_KEY")
"""The variables that hold secrets."""

_SEED_DIGITS: Final = 64
_LONGEST_FILE: Final = 4_096
_GLOBAL_IDS: Final = {Network.MAINNET: GlobalId.MAINNET, Network.TESTNET: GlobalId.TESTNET}


class EnvironmentUnusable(ValueError):  # noqa: N818 - named for the state of the environment
    """A variable is missing or wrong; the text names it and repeats no secret."""


def signing_key(environ: Mapping[str, str]) -> ProcessKey | TokenKey:
    """Return the key that signs claims: in a token where one is named, else in this process.

    Raises EnvironmentUnusable, OracleKeyUnusable or TokenUnusable.
    """
    module = _text(environ, MODULE)
    if module is None:
        return process_key(environ)
    if any(_text(environ, name) for name in (KEY_VARIABLE, f"{KEY_VARIABLE}_FILE")):
        raise EnvironmentUnusable(f"{KEY_VARIABLE} is given beside a token: one key signs")
    place = TokenPlace(
        module=Path(module),
        token=_required(environ, TOKEN),
        key=_required(environ, LABEL),
        pin=_secret(environ, PIN) or _missing(PIN),
    )
    return TokenKey(place)


def log_signer(environ: Mapping[str, str]) -> LogSigner | None:
    """Return what signs the log's checkpoints, None where no key is given for it.

    The keys that stand beside it may hand the log over to it. Raises EnvironmentUnusable.
    """
    used = _audit_key(environ, AUDIT_KEY)
    beside = {name: _audit_key(environ, name) for name in AUDIT_KEYS_BESIDE}
    for name, other in beside.items():
        if other is not None and used is None:
            raise EnvironmentUnusable(f"{name} means nothing without {AUDIT_KEY}")
        if other is not None and used is not None and other.public_key == used.public_key:
            raise EnvironmentUnusable(f"{name} must differ from {AUDIT_KEY}")
    return used and replace(used, beside=tuple(filter(None, beside.values())))


def _audit_key(environ: Mapping[str, str], name: str) -> LogSigner | None:
    text = _secret(environ, name)
    if text is None:
        return None
    try:
        seed = bytes.fromhex(text) if len(text) == _SEED_DIGITS else b""
        key = SigningKey(seed)
    except ValueError:
        raise EnvironmentUnusable(f"{name} must be 32 bytes (64 hex chars)") from None
    return LogSigner(
        sign=lambda message: key.sign(message).signature, public_key=bytes(key.verify_key)
    )


def faulty_secrets(environ: Mapping[str, str]) -> list[str]:
    """Return the secrets that the signer couldn't start with; none is used."""
    return [name for name in SECRETS if _is_faulty(environ, name)]


def _is_faulty(environ: Mapping[str, str], name: str) -> bool:
    try:
        if name == KEY_VARIABLE and _text(environ, MODULE) is None:
            process_key(environ)
        elif name == AUDIT_KEY:
            _audit_key(environ, name)
        elif name in AUDIT_KEYS_BESIDE and _secret(environ, name) is not None:
            log_signer(environ)
        else:
            _secret(environ, name)
    except (EnvironmentUnusable, OracleKeyUnusable):
        return True
    return False


def another_log_key(key: bytes) -> str:
    """Return what is wrong where the log is signed by a key that isn't given."""
    return (
        f"{AUDIT_KEY}: the log is signed by another key, {key.hex()}: give that one as"
        f" {AUDIT_KEYS_BESIDE[1]} too, or `aiba signer audit adopt` where it is lost"
    )


def chain_reader(environ: Mapping[str, str], network: Network) -> ToncenterReader:
    """Return a reader of the chain for a network; raises EnvironmentUnusable."""
    url = _required(environ, "TON_PROVIDER_URL")
    api_key = _secret(environ, "TON_API_KEY")
    rate = _rate(environ)
    providers = [Provider(url=url, api_key=api_key, requests_per_s=rate)]
    own_time = _text(environ, "AIBA_DEV_CHAIN_TIME") in {"1", "true", "yes", "on"}
    if own_time and network is Network.MAINNET:
        raise EnvironmentUnusable("AIBA_DEV_CHAIN_TIME is for a test network only")
    fallback = _text(environ, "TON_FALLBACK_URL")
    try:
        if fallback is not None:
            same = endpoint(fallback).host == endpoint(url).host
            providers.append(
                Provider(url=fallback, api_key=api_key if same else None, requests_per_s=rate)
            )
        return open_reader(
            providers,
            clock=SystemClock(),
            network=int(_GLOBAL_IDS[network]),
            freshness=Freshness(lag_s=None if own_time else Freshness().lag_s),
        )
    except ValueError as error:
        raise EnvironmentUnusable(f"TON_PROVIDER_URL or TON_FALLBACK_URL: {error}") from None


def _rate(environ: Mapping[str, str]) -> float | None:
    text = _text(environ, "TON_REQUESTS_PER_SECOND")
    if text is None:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 10_000:  # noqa: PLR2004 - as the API's own setting
        raise EnvironmentUnusable("TON_REQUESTS_PER_SECOND must be a number above 0")
    return rate


def _text(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None


def _required(environ: Mapping[str, str], name: str) -> str:
    return _text(environ, name) or _missing(name)


def _missing(name: str) -> str:
    raise EnvironmentUnusable(f"{name} missing")


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    """Return a secret that is given by itself or in a file."""
    text, path = _text(environ, name), _text(environ, f"{name}_FILE")
    if path is None:
        return text
    if text is not None:
        raise EnvironmentUnusable(f"{name} is given twice: also as {name}_FILE")
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(_LONGEST_FILE).strip() or _missing(f"{name}_FILE")
    # The path may be the secret itself: no cause, and no path, is shown.
    except (OSError, UnicodeDecodeError):
        raise EnvironmentUnusable(f"{name}_FILE: the file can't be read") from None
