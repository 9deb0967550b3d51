"""Every adapter has the shape of its port, proven by the type checker; nothing here need run.

What the shapes mean is proven by the suites in `aiba_domain.testing.contracts`.
"""

from aiba_adapters.memory import MemoryStore
from aiba_adapters.memory.unit_of_work import MemoryUnitOfWork
from aiba_adapters.mongo import MongoStore
from aiba_adapters.mongo.unit_of_work import MongoUnitOfWork
from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.sessions import SessionTokens
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.sqlite.unit_of_work import SqliteUnitOfWork
from aiba_adapters.system.clock import SystemClock
from aiba_adapters.system.seeds import DerivedSeedSecrets
from aiba_adapters.telegram import TelegramIdentities
from aiba_adapters.telegram.notifier import TelegramNotifier
from aiba_adapters.toncenter import Meter, ToncenterReader
from aiba_adapters.toncenter.meter import Unmetered
from aiba_domain.claims.ports import ChainReader, VaultReader
from aiba_domain.outbox.ports import Notifier
from aiba_domain.payments.ports import PaymentReader
from aiba_domain.players.ports import Identities, Sessions
from aiba_domain.ports import (
    Clock,
    Observer,
    RateLimiter,
    Reader,
    SeedSecrets,
    Store,
    UnitOfWork,
)
from aiba_domain.testing.chain import ModelReader
from aiba_domain.testing.crash_matrix.letters import Postman
from aiba_domain.testing.doubles import FixedSeeds, SettableClock, Tally
from aiba_domain.testing.faults import FaultyStore
from aiba_entry.chain_metrics import ChainMetrics
from aiba_entry.metering import MetricsObserver


def stores(
    memory: MemoryStore, sqlite: SqliteStore, mongo: MongoStore, faulty: FaultyStore
) -> tuple[Store, ...]:
    """Every store is a Store."""
    return memory, sqlite, mongo, faulty


def units(
    memory: MemoryUnitOfWork, sqlite: SqliteUnitOfWork, mongo: MongoUnitOfWork
) -> tuple[UnitOfWork, ...]:
    """What a store hands out is a UnitOfWork."""
    return memory, sqlite, mongo


def readers(unit: UnitOfWork) -> Reader:
    """A unit of work reads as well."""
    return unit


def clocks(system: SystemClock, settable: SettableClock) -> tuple[Clock, ...]:
    """Every clock is a Clock."""
    return system, settable


def secrets(derived: DerivedSeedSecrets, fixed: FixedSeeds) -> tuple[SeedSecrets, ...]:
    """Whatever seeds are drawn with is a SeedSecrets."""
    return derived, fixed


def observers(metrics: MetricsObserver, tally: Tally) -> tuple[Observer, ...]:
    """Whoever counts is an Observer."""
    return metrics, tally


def limiters(memory: MemoryRateLimiter) -> RateLimiter:
    """What counts hits is a RateLimiter."""
    return memory


def vault_readers(toncenter: ToncenterReader, model: ModelReader) -> tuple[VaultReader, ...]:
    """What the public routes read of a vault comes from a VaultReader."""
    return (toncenter, model)


def meters(counting: ChainMetrics, silent: Unmetered) -> tuple[Meter, ...]:
    """What the chain's reader tells is taken by a Meter."""
    return (counting, silent)


def chain_readers(toncenter: ToncenterReader) -> tuple[ChainReader, ...]:
    """What reads the chain for claims is a ChainReader."""
    return (toncenter,)


def payment_readers(toncenter: ToncenterReader) -> tuple[PaymentReader, ...]:
    """What reads payments is a PaymentReader."""
    return (toncenter,)


def identities(telegram: TelegramIdentities) -> Identities:
    """Whoever judges a proof is an Identities."""
    return telegram


def sessions(tokens: SessionTokens) -> Sessions:
    """Whoever issues session tokens is a Sessions."""
    return tokens


def nothing_passes_by_accident(clock: SystemClock, memory: MemoryStore) -> None:
    """A clock is no store: the checker looks, and each ignore below would be a fault if not."""
    store: Store = clock  # type: ignore[assignment]
    limiter: RateLimiter = memory  # type: ignore[assignment]
    del store, limiter


def notifiers(telegram: TelegramNotifier, postman: Postman) -> tuple[Notifier, ...]:
    """Whoever brings letters brings them as the port says."""
    return telegram, postman
