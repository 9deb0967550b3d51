"""The part of the settings that withdrawals and TON payments need: all of it, or none."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiba_adapters.signing.local import KEY_VARIABLE, OracleKeyUnusable, oracle_key
from aiba_adapters.ton.addresses import AddressRefused, parse
from aiba_adapters.ton.proof import Network
from aiba_adapters.toncenter.endpoints import endpoint
from aiba_entry import signer_access
from aiba_entry.forms import boolean
from aiba_entry.signer_access import SignerAccess, load_access
from aiba_entry.variables import SETTING_INVALID, Fault, Variables

NEEDED: Final = (
    "ARENA_VAULT_ADDRESS",
    "AIBA_JETTON_MASTER",
    "TON_PROVIDER_URL",
    "TON_PROOF_DOMAINS",
)
"""What withdrawals need beside the oracle's key."""

_KEY_VARIABLES: Final = (KEY_VARIABLE, f"{KEY_VARIABLE}_FILE")
_SHOP_WALLET: Final = "CREATED_BROKERS_WALLET"
_WANTING: Final = (*NEEDED, *_KEY_VARIABLES, *signer_access.VARIABLES, _SHOP_WALLET)
"""What can only be meant if all that is needed is there."""

LEGACY_DISPATCH: Final = "ENABLE_LEGACY_PENDING_AIBA_DISPATCH"
"""What switched on the hourly payouts of the service before, which don't exist here."""

DEV_SWITCHES: Final = ("AIBA_DEV_WALLET_WITHOUT_PROOF", "AIBA_DEV_CHAIN_TIME")
"""The switches for developers; in production they are refused."""

_OTHERS: Final = (
    "TON_FALLBACK_URL",
    "TON_NETWORK",
    "MIN_VAULT_TON_NANO",
    "TON_REQUESTS_PER_SECOND",
    *DEV_SWITCHES,
    LEGACY_DISPATCH,
)

DEFAULT_MIN_VAULT_TON_NANO: Final = 60_000_000
"""What the vault itself must hold to pay a claim, in nanoTON; the service before assumed half."""

_MAX_NANO: Final = 10**18
_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_MAX_RATE: Final = 10_000
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?")
Get = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TonSettings:
    """What the process is told about the chain. Addresses are raw; its repr shows no secret.

    The oracle's key is in `oracle_environ`, or with the `signer`, then it isn't in this process.
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
    signer: SignerAccess | None
    requests_per_s: float | None
    chain_keeps_own_time: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        key = self.oracle_environ.get(KEY_VARIABLE)
        token = self.signer.place.token if self.signer else None
        return tuple(secret for secret in (self.api_key, key, token) if secret)

    def __repr__(self) -> str:
        # Not even the provider's URL: some providers have the key in its path.
        return f"TonSettings(network={self.network.name!r}, vault={self.vault!r})"


def is_wanted(variables: Variables) -> bool:
    """Tell whether something is set that can only be meant with withdrawals."""
    return any(variables.get(name) for name in _WANTING)


def load_ton(variables: Variables, *, loopback: bool) -> TonSettings | None:
    """Read the TON part, None where none of it is set; note every fault by its variable."""
    names = (*_WANTING, *_OTHERS)
    fault = variables.fault
    get = {name: variables.get(name) for name in names}.get
    without_proof = variables.read("AIBA_DEV_WALLET_WITHOUT_PROOF", boolean) or False
    own_time = variables.read("AIBA_DEV_CHAIN_TIME", boolean) or False
    if without_proof and not loopback:
        fault("AIBA_DEV_WALLET_WITHOUT_PROOF", "needs a loopback HOST: nobody proves a wallet")
    api_key = variables.secret("TON_API_KEY")
    if not is_wanted(variables):
        return None
    for name in NEEDED:
        if get(name) is None:
            fault(name, "is required where withdrawals are configured")
    network = _network(get("TON_NETWORK"), fault)
    signer = load_access(variables)
    testnet = network is Network.TESTNET
    return TonSettings(
        vault=_address("ARENA_VAULT_ADDRESS", get, fault, testnet=testnet) or "",
        jetton_master=_address("AIBA_JETTON_MASTER", get, fault, testnet=testnet) or "",
        provider_url=_url("TON_PROVIDER_URL", get, fault) or "",
        fallback_url=_url("TON_FALLBACK_URL", get, fault),
        api_key=api_key,
        network=network,
        proof_domains=_domains("TON_PROOF_DOMAINS", get, fault),
        wallet_without_proof=without_proof,
        min_vault_ton_nano=_whole(
            "MIN_VAULT_TON_NANO",
            get,
            fault,
            least=0,
            most=_MAX_NANO,
            default=DEFAULT_MIN_VAULT_TON_NANO,
        ),
        created_brokers_wallet=_address(_SHOP_WALLET, get, fault, testnet=testnet),
        oracle_environ=_oracle(variables),
        signer=signer,
        requests_per_s=_rate(get, fault),
        chain_keeps_own_time=own_time,
    )


def _network(text: str | None, fault: Fault) -> Network:
    networks = {"mainnet": Network.MAINNET, "testnet": Network.TESTNET}
    if text is not None and text not in networks:
        fault("TON_NETWORK", "must be mainnet or testnet")
    return networks.get(text or "mainnet", Network.MAINNET)


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
        fault(name, str(error), "ton_provider_shape")
        return None
    return text.rstrip("/")


def _domains(name: str, get: Get, fault: Fault) -> frozenset[str]:
    text = get(name)
    if text is None:
        return frozenset()
    found = frozenset(item for part in text.lower().split(",") if (item := part.strip()))
    if not found or not all(_DOMAIN.fullmatch(item) for item in found):
        fault(name, "must be a comma list of domains such as game.example")
    return found


def _oracle(variables: Variables) -> Mapping[str, str]:
    """Return the key as an environment that holds nothing else, wherever it was read from.

    With a signer there must be none: a key in two places is isolated in neither.
    """
    given = variables.given(KEY_VARIABLE)
    if variables.get(signer_access.URL) is not None:
        text = f"is given beside {signer_access.URL}: the key belongs to the signer alone"
        for name in given:
            variables.fault(name, text, "oracle_key_and_signer")
        return {}
    text = variables.secret(KEY_VARIABLE) or ""
    if given and not text:
        return {}
    try:
        return {KEY_VARIABLE: bytes(oracle_key({KEY_VARIABLE: text})).hex()}
    except OracleKeyUnusable as error:
        code = "oracle_key_shape" if text else SETTING_INVALID
        variables.fault(KEY_VARIABLE, str(error), code)
        return {}


def _whole(name: str, get: Get, fault: Fault, *, least: int, most: int, default: int) -> int:
    text = get(name)
    if text is None:
        return default
    value = int(text) if _WHOLE.fullmatch(text) else -1
    if not least <= value <= most:
        fault(name, f"must be a whole number from {least} to {most}")
        return default
    return value


def _rate(get: Get, fault: Fault) -> float | None:
    rate = _whole("TON_REQUESTS_PER_SECOND", get, fault, least=1, most=_MAX_RATE, default=0)
    return float(rate) if rate else None
