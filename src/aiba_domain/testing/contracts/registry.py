"""The suites there are: one for each port, with its version, properties and capabilities.

Whoever adds a port adds its suite here; `describe` says the rest. A suite of another face (over
HTTP, a matrix of crashes, planted faults) names the same properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from aiba_domain.testing.contracts.chain_reader import ChainReaderContract
from aiba_domain.testing.contracts.clock import ClockContract
from aiba_domain.testing.contracts.identity import IdentityContract
from aiba_domain.testing.contracts.key import KeyContract
from aiba_domain.testing.contracts.leases import LeasesContract
from aiba_domain.testing.contracts.notifier import NotifierContract
from aiba_domain.testing.contracts.observer import ObserverContract
from aiba_domain.testing.contracts.outbox import OutboxContract
from aiba_domain.testing.contracts.payment_reader import PaymentReaderContract
from aiba_domain.testing.contracts.protected_signer import ProtectedSignerContract
from aiba_domain.testing.contracts.protection_store import ProtectionStoreContract
from aiba_domain.testing.contracts.rate_limiter import RateLimiterContract
from aiba_domain.testing.contracts.seed_secrets import SeedSecretsContract
from aiba_domain.testing.contracts.sessions import SessionsContract
from aiba_domain.testing.contracts.signer import SignerContract
from aiba_domain.testing.contracts.signing_chain import SigningChainContract
from aiba_domain.testing.contracts.store import StoreContract
from aiba_domain.testing.contracts.suite import Capability, PortContract, is_base, needed
from aiba_domain.testing.contracts.vault_reader import VaultReaderContract
from aiba_domain.testing.history.contract import HistoryContract

K = TypeVar("K", bound=type[PortContract])

SUITES: Final[Mapping[str, type[PortContract]]] = {
    suite.__name__: suite
    for suite in (
        StoreContract,
        HistoryContract,
        SignerContract,
        ProtectedSignerContract,
        ProtectionStoreContract,
        KeyContract,
        SigningChainContract,
        ChainReaderContract,
        VaultReaderContract,
        PaymentReaderContract,
        IdentityContract,
        SessionsContract,
        RateLimiterContract,
        LeasesContract,
        SeedSecretsContract,
        ClockContract,
        NotifierContract,
        ObserverContract,
        OutboxContract,
    )
}
"""The suites of ports, by name."""

_ELSEWHERE: Final[list[type[PortContract]]] = []


def register(suite: K) -> K:
    """Decorate a suite that stands outside of this package, so that it can be described and run.

    It is no port's: a whole deployment's, say.
    """
    _ELSEWHERE.append(suite)
    return suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property of a suite: what the port owes, who owes it, and whether others build on it."""

    name: str
    owed: str
    needs: frozenset[Capability]
    is_base: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite as it stands: the port's name, its version, and its properties, base ones first."""

    name: str
    port: str
    version: str
    capabilities: frozenset[Capability]
    properties: tuple[Property, ...]

    @property
    def base(self) -> tuple[str, ...]:
        """Return the names of the properties that block the others when they fail."""
        return tuple(one.name for one in self.properties if one.is_base)


def describe(contract: type[PortContract]) -> Suite:
    """Describe the suite that a contract is, or that an adapter's test class has subclassed."""
    suite = suite_of(contract)
    return Suite(
        name=suite.__name__,
        port=suite.port,
        version=suite.version,
        capabilities=frozenset(suite.known_capabilities()),
        properties=tuple(
            Property(
                name=name,
                owed=" ".join((test.__doc__ or "").split()),
                needs=needed(test),
                is_base=is_base(test),
            )
            for name, test in suite.properties().items()
        ),
    )


def suite_of(contract: type[PortContract]) -> type[PortContract]:
    """Return the suite that a class is or subclasses: the nearest one of the package or registered.

    Raises TypeError for a class that is none.
    """
    home = __name__.rpartition(".")[0]
    for kind in contract.__mro__:
        is_suite = kind is not PortContract and issubclass(kind, PortContract)
        if is_suite and (
            kind.__module__.startswith(f"{home}.") or kind in (*SUITES.values(), *_ELSEWHERE)
        ):
            return kind
    raise TypeError(f"{contract.__name__} subclasses no suite of {home}")
