"""The harness for whoever writes an adapter: strategies, contracts, an auditor and state machines.

Needs the extra `testing` (hypothesis and pytest). Nothing here knows an adapter. The names below
are loaded when they are first asked for: the suites of `contracts`, `check` and what it returns.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiba_domain.testing.checking import check
    from aiba_domain.testing.contracts import (
        Capability,
        ChainReaderContract,
        ClockContract,
        IdentityContract,
        KeyContract,
        LeasesContract,
        NotifierContract,
        ObserverContract,
        OutboxContract,
        PaymentReaderContract,
        ProtectedSignerContract,
        ProtectionStoreContract,
        RateLimiterContract,
        SeedSecretsContract,
        SessionsContract,
        SignerContract,
        SigningChainContract,
        StoreContract,
        VaultReaderContract,
    )
    from aiba_domain.testing.history import HistoryContract, check_history
    from aiba_domain.testing.report import Outcome, Report, Result

_HOMES: Final = {
    "check": "checking",
    "HistoryContract": "history",
    "check_history": "history",
    "Outcome": "report",
    "Report": "report",
    "Result": "report",
}

__all__ = [
    "Capability",
    "ChainReaderContract",
    "ClockContract",
    "HistoryContract",
    "IdentityContract",
    "KeyContract",
    "LeasesContract",
    "NotifierContract",
    "ObserverContract",
    "OutboxContract",
    "Outcome",
    "PaymentReaderContract",
    "ProtectedSignerContract",
    "ProtectionStoreContract",
    "RateLimiterContract",
    "Report",
    "Result",
    "SeedSecretsContract",
    "SessionsContract",
    "SignerContract",
    "SigningChainContract",
    "StoreContract",
    "VaultReaderContract",
    "check",
    "check_history",
]


def __getattr__(name: str) -> object:
    """Load a public name the first time it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES.get(name, 'contracts')}")
    found: object = getattr(home, name)
    globals()[name] = found
    return found
