"""The meaning of the ports as tests: subclass a contract and say how to open your adapter.

One module for each port; the store's suites are one by one usable too. `registry` lists them all.
"""

from aiba_domain.testing.contracts.chain_reader import ChainReaderContract
from aiba_domain.testing.contracts.claims import ClaimsContract
from aiba_domain.testing.contracts.clock import ClockContract
from aiba_domain.testing.contracts.idempotency import IdempotencyContract
from aiba_domain.testing.contracts.identity import IdentityContract
from aiba_domain.testing.contracts.key import KeyContract
from aiba_domain.testing.contracts.leases import LeasesContract
from aiba_domain.testing.contracts.ledger import LedgerContract
from aiba_domain.testing.contracts.notifier import NotifierContract
from aiba_domain.testing.contracts.observer import ObserverContract
from aiba_domain.testing.contracts.outbox import OutboxContract
from aiba_domain.testing.contracts.payment_reader import PaymentReaderContract
from aiba_domain.testing.contracts.payments import PaymentsContract
from aiba_domain.testing.contracts.protected_signer import ProtectedSignerContract
from aiba_domain.testing.contracts.protection_store import ProtectionStoreContract
from aiba_domain.testing.contracts.rate_limiter import RateLimiterContract
from aiba_domain.testing.contracts.reads import ReadsContract
from aiba_domain.testing.contracts.records import RecordsContract
from aiba_domain.testing.contracts.recovery import RecoveryContract
from aiba_domain.testing.contracts.registry import SUITES, describe
from aiba_domain.testing.contracts.seed_secrets import SeedSecretsContract
from aiba_domain.testing.contracts.sessions import SessionsContract
from aiba_domain.testing.contracts.signer import SignerContract
from aiba_domain.testing.contracts.signing_chain import SigningChainContract
from aiba_domain.testing.contracts.store import StoreContract
from aiba_domain.testing.contracts.suite import Capability, PortContract
from aiba_domain.testing.contracts.unit_of_work import UnitOfWorkContract
from aiba_domain.testing.contracts.vault_reader import VaultReaderContract

__all__ = [
    "SUITES",
    "Capability",
    "ChainReaderContract",
    "ClaimsContract",
    "ClockContract",
    "IdempotencyContract",
    "IdentityContract",
    "KeyContract",
    "LeasesContract",
    "LedgerContract",
    "NotifierContract",
    "ObserverContract",
    "OutboxContract",
    "PaymentReaderContract",
    "PaymentsContract",
    "PortContract",
    "ProtectedSignerContract",
    "ProtectionStoreContract",
    "RateLimiterContract",
    "ReadsContract",
    "RecordsContract",
    "RecoveryContract",
    "SeedSecretsContract",
    "SessionsContract",
    "SignerContract",
    "SigningChainContract",
    "StoreContract",
    "UnitOfWorkContract",
    "VaultReaderContract",
    "describe",
]
