"""The composition root: which adapter stands behind which port, said once."""

from dependency_injector import containers, providers

from aiba_adapters.prices import MarketPrices
from aiba_adapters.system.clock import SystemClock
from aiba_adapters.system.seeds import DerivedSeedSecrets
from aiba_domain.application.admin_queries import AdminQueries
from aiba_domain.application.admin_records import AdminRecords
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.outbox.news import Announce, news_of, silence
from aiba_domain.ports import Store
from aiba_entry.admins import make_admin_desks
from aiba_entry.duty import Duty, make_holder
from aiba_entry.http.admin.forecasting import ForecastDesk
from aiba_entry.http.app import session_tokens
from aiba_entry.http.routes.battles import BattleDesk
from aiba_entry.http.routes.sessions import SessionDesk
from aiba_entry.limiters import make_limiter
from aiba_entry.metering import MetricsObserver
from aiba_entry.observability import Metrics
from aiba_entry.oracle import RateDesk
from aiba_entry.settings import Settings
from aiba_entry.shop import BrokerShop
from aiba_entry.solvency import SolvencyDesk
from aiba_entry.vaults import Vaults
from aiba_entry.wallets import make_wallet_desk


def _announcer(settings: Settings) -> Announce:
    """Return who writes letters to players: nobody, unless somebody brings them."""
    return news_of if settings.telegram_notify else silence


def _seeds(settings: Settings) -> DerivedSeedSecrets:
    """Return the seeds' secrets, those of the root before and of the next one too."""
    return DerivedSeedSecrets(settings.battle_seed_secret, *settings.overlap.battle_seed)


class Container(containers.DeclarativeContainer):
    """Everything a process is made of; a container belongs to one event loop.

    The store and the metrics are opened by whoever makes the container, since opening them waits.
    """

    settings = providers.Dependency(instance_of=Settings)
    store: providers.Dependency[Store] = providers.Dependency()
    metrics = providers.Dependency(instance_of=Metrics)

    clock = providers.Singleton(SystemClock)
    seeds = providers.Singleton(_seeds, settings)
    observer = providers.Singleton(MetricsObserver, metrics=metrics)
    pipeline = providers.Singleton(
        Pipeline,
        store=store,
        clock=clock,
        seeds=seeds,
        observer=observer,
        handlers=providers.Object(HANDLERS),
        announce=providers.Callable(_announcer, settings),
    )
    queries = providers.Singleton(Queries, store=store, clock=clock)
    leases = providers.Singleton(StoreLeases, pipeline)
    holder = providers.Singleton(make_holder)
    duty = providers.Factory(Duty, leases, holder=holder)
    tokens = providers.Singleton(session_tokens, settings=settings)
    session_desk = providers.Singleton(
        SessionDesk, pipeline=pipeline, tokens=tokens, ttl_s=settings.provided.session_ttl_s
    )
    vaults = providers.Singleton(Vaults, metrics=metrics)
    solvency = providers.Singleton(
        SolvencyDesk, store=store, vaults=vaults, now_ms=clock.provided.now
    )
    shop = providers.Singleton(BrokerShop, metrics=metrics)
    battle_desk = providers.Singleton(BattleDesk, pipeline=pipeline, vaults=vaults)
    wallet_desk = providers.Singleton(
        make_wallet_desk, settings=settings, pipeline=pipeline, metrics=metrics
    )
    limiter = providers.Singleton(make_limiter, settings=settings, metrics=metrics)
    admins = providers.Singleton(
        make_admin_desks,
        settings=settings,
        store=store,
        pipeline=pipeline,
        clock=clock,
        limiter=limiter,
        metrics=metrics,
    )
    admin_records = providers.Singleton(AdminRecords, store=store)
    admin_queries = providers.Singleton(AdminQueries, store=store, clock=clock)
    forecasts = providers.Singleton(ForecastDesk, admin_queries)
    prices = providers.Singleton(MarketPrices)
    rates = providers.Singleton(
        RateDesk,
        prices=prices,
        pipeline=pipeline,
        queries=queries,
        aiba_usd=settings.provided.oracle_aiba_usd,
    )
