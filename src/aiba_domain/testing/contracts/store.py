"""All that a store owes: the suites of units of work, ledger, answers and records as one."""

from aiba_domain.testing.contracts.administration import AdministrationContract
from aiba_domain.testing.contracts.claims import ClaimsContract
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.idempotency import IdempotencyContract
from aiba_domain.testing.contracts.ledger import LedgerContract
from aiba_domain.testing.contracts.ledger_audit import LedgerAuditContract
from aiba_domain.testing.contracts.letters import LettersContract
from aiba_domain.testing.contracts.operations import OperationsContract
from aiba_domain.testing.contracts.payments import PaymentsContract
from aiba_domain.testing.contracts.reads import ReadsContract
from aiba_domain.testing.contracts.records import RecordsContract
from aiba_domain.testing.contracts.recovery import RecoveryContract
from aiba_domain.testing.contracts.samples import (
    Boom,
    ClaimBook,
    broker,
    claim,
    guild,
    listing,
    movement,
    player,
    refusal,
    turned,
)
from aiba_domain.testing.contracts.unit_of_work import UnitOfWorkContract

__all__ = [
    "Boom",
    "ClaimBook",
    "Desk",
    "StoreContract",
    "broker",
    "claim",
    "guild",
    "listing",
    "movement",
    "player",
    "refusal",
    "turned",
]


class StoreContract(
    UnitOfWorkContract,
    LedgerContract,
    LedgerAuditContract,
    IdempotencyContract,
    RecordsContract,
    ReadsContract,
    OperationsContract,
    AdministrationContract,
    LettersContract,
    ClaimsContract,
    PaymentsContract,
    RecoveryContract,
):
    """Subclass as `Test...`, say how to open an empty store, and declare what it can.

    `serializable`: units and reads at once are serial. Without it a store is no store the service
    can run on; it is declared all the same, so that a report says whether it was tried.
    `reopen`, `durable`, `shared`: opening the same `folder` again finds what was answered; also
    after the process was killed; also while the first store, here or in another process, is open.
    A store elsewhere derives its database's name from `folder`. `faults`: `outage(store)` makes
    commits fail while it is entered.
    """
