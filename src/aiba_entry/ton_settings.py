"""The part of the settings that withdrawals and TON payments need: all of it, or none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiba_adapters.signing.local import KEY_VARIABLE, OracleKeyUnusable, oracle_key
from aiba_adapters.ton.addresses import AddressRefused, parse
from aiba_adapters.ton.proof import Network
from aiba_adapters.toncenter.endpoints import endpoint

NEEDED: Final = (
    "ARENA_VAULT_ADDRESS",
    "AIBA_JETTON_MASTER",
    "TON_PROVIDER_URL",
    "TON_PROOF_DOMAINS",
)
"""What withdrawals need beside the oracle's key."""

_KEY_VARIABLES: Final = (KEY_VARIABLE, f"{KEY_VARIABLE}_FILE")
_OTHERS: Final = (
    "TON_FALLBACK_URL",
    "TON_API_KEY",
    "TON_API_KEY_FILE",
    "TON_NETWORK",
    "MIN_VAULT_TON_NANO",
    "CREATED_BROKERS_WALLET",
    "TON_REQUESTS_PER_SECOND",
    "AIBA_DEV_WALLET_WITHOUT_PROOF",
    "AIBA_DEV_CHAIN_TIME",
)

DEFAULT_MIN_VAULT_TON_NANO: Final = 30_000_000

Fault = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TonSettings:
    """What the process is told about the chain. Addresses are raw; its repr shows no secret.

    `proof_domains` are those a wallet may sign for. `wallet_without_proof` lets a player bind a
    wallet by saying so; it is never true in prod, nor is `chain_keeps_own_time`, which believes
    blocks that are old by our clock. `requests_per_s` None is what toncenter gives by itself.
    """

    vault: str
    jetton_master: str
    provider_url: str
    fallback_url: str | None
    api_key: str | None
    network: Network
    proof_domains: frozenset[str]
    wallet_without_proof: bool
    min_vault_ton_nano: int
    created_brokers_wallet: str | None
    oracle_environ: Mapping[str, str]
    requests_per_s: float | None
    chain_keeps_own_time: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        key = self.oracle_environ.get(KEY_VARIABLE)
        return tuple(secret for secret in (self.api_key, key) if secret)

    def __repr__(self) -> str:
        return f"TonSettings(vault={self.vault!r}, provider_url={self.provider_url!r})"


def load_ton(
    environ: Mapping[str, str], fault: Fault, *, prod: bool, loopback: bool
) -> TonSettings | None:
    """Read the TON part, None where none of it is set; tell every fault by its variable."""
    names = (*NEEDED, *_KEY_VARIABLES, *_OTHERS)
    get = {name: environ.get(name, "").strip() or None for name in names}.get
    if not any(
        get(name) for name in ("ARENA_VAULT_ADDRESS", "AIBA_JETTON_MASTER", *_KEY_VARIABLES)
    ):
        return None
    for name in NEEDED:
        if get(name) is None:
            fault(name, "is required where withdrawals are configured")
    key_environ = {name: text for name in _KEY_VARIABLES if (text := get(name))}
    try:
        oracle_key(key_environ)
    except OracleKeyUnusable as error:
        fault(KEY_VARIABLE, str(error))
    network = _network(get("TON_NETWORK"), fault, prod=prod)
    testnet = network is Network.TESTNET
    url = _url("TON_PROVIDER_URL", get, fault)
    if prod and url and any(word in url.lower() for word in ("testnet", "sandbox")):
        fault("TON_PROVIDER_URL", "must be a provider of the main network in prod")
    without_proof = (get("AIBA_DEV_WALLET_WITHOUT_PROOF") or "").lower() in ("1", "true", "on")
    if without_proof and (prod or not loopback):
        fault(
            "AIBA_DEV_WALLET_WITHOUT_PROOF",
            "binds wallets nobody proved; only APP_ENV dev or test on a loopback HOST may set it",
        )
    domains = (get("TON_PROOF_DOMAINS") or "").split(",")
    return TonSettings(
        vault=_address("ARENA_VAULT_ADDRESS", get, fault, testnet=testnet) or "",
        jetton_master=_address("AIBA_JETTON_MASTER", get, fault, testnet=testnet) or "",
        provider_url=url or "",
        fallback_url=_url("TON_FALLBACK_URL", get, fault),
        api_key=_api_key(get, fault),
        network=network,
        proof_domains=frozenset(name.strip().lower() for name in domains if name.strip()),
        wallet_without_proof=without_proof,
        min_vault_ton_nano=_nano("MIN_VAULT_TON_NANO", get, fault),
        created_brokers_wallet=_address("CREATED_BROKERS_WALLET", get, fault, testnet=testnet),
        oracle_environ=key_environ,
        requests_per_s=_rate(get, fault),
        chain_keeps_own_time=_own_time(get, fault, prod=prod),
    )


Get = Callable[[str], str | None]


def _network(text: str | None, fault: Fault, *, prod: bool) -> Network:
    networks = {"mainnet": Network.MAINNET, "testnet": Network.TESTNET}
    if text is not None and text not in networks:
        fault("TON_NETWORK", "must be mainnet or testnet")
    network = networks.get(text or "mainnet", Network.MAINNET)
    if prod and network is Network.TESTNET:
        fault("TON_NETWORK", "must be mainnet in prod")
    return network


def _address(name: str, get: Get, fault: Fault, *, testnet: bool) -> str | None:
    text = get(name)
    if text is None:
        return None
    try:
        return parse(text, allow_testnet=testnet, field=name).raw
    except AddressRefused as error:
        fault(name, error.reason)
        return None


def _url(name: str, get: Get, fault: Fault) -> str | None:
    text = get(name)
    if text is None:
        return None
    try:
        endpoint(text)
    except ValueError as error:
        fault(name, str(error))
        return None
    return text.rstrip("/")


def _api_key(get: Get, fault: Fault) -> str | None:
    path = get("TON_API_KEY_FILE")
    if path is None:
        return get("TON_API_KEY")
    if get("TON_API_KEY") is not None:
        fault("TON_API_KEY", "is given twice: TON_API_KEY and TON_API_KEY_FILE")
        return None
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - one read of one small file
            return file.read().strip() or None
    except (OSError, UnicodeDecodeError):
        fault("TON_API_KEY_FILE", "the file can't be read as UTF-8 text")
        return None


def _nano(name: str, get: Get, fault: Fault) -> int:
    text = get(name)
    if text is None:
        return DEFAULT_MIN_VAULT_TON_NANO
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - 64 bits
        fault(name, "must be a whole number of nanoTON")
        return DEFAULT_MIN_VAULT_TON_NANO
    return int(text)


def _rate(get: Get, fault: Fault) -> float | None:
    text = get("TON_REQUESTS_PER_SECOND")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000):  # noqa: PLR2004
        fault("TON_REQUESTS_PER_SECOND", "must be a whole number from 1 to 10000")
        return None
    return float(text)


def _own_time(get: Get, fault: Fault, *, prod: bool) -> bool:
    wanted = (get("AIBA_DEV_CHAIN_TIME") or "").lower() in ("1", "true", "on")
    if wanted and prod:
        fault("AIBA_DEV_CHAIN_TIME", "believes old blocks; only APP_ENV dev or test may set it")
    return wanted
