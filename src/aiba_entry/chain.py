"""What the service does on the chain: reads it, and settles claims."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from aiba_adapters.signing.local import LocalSigner, oracle_key
from aiba_adapters.signing.oracle_keys import NamedKeys, VaultKeys
from aiba_adapters.signing.remote import RemoteSigner
from aiba_adapters.toncenter.endpoints import Provider, endpoint
from aiba_adapters.toncenter.meter import Meter
from aiba_adapters.toncenter.reader import Freshness, ToncenterReader, open_reader
from aiba_domain.application.purchases import Cashier, Purchases
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.ports import Signer, VaultReader
from aiba_domain.leases.model import LeaseLost
from aiba_domain.ports import Clock, Unavailable
from aiba_entry.chain_metrics import ChainMetrics, Settled
from aiba_entry.container import Container
from aiba_entry.duty import Duty
from aiba_entry.observability import get_logger
from aiba_entry.ton_settings import TonSettings

SETTLE_SECONDS: Final = 10.0
"""How often claims in flight are looked up on the chain."""

INVENTORY_TURNS: Final = 6
"""After how many settlements the vault's holdings are read again: once a minute."""

SETTLEMENT: Final = "claims.settlement"
"""The lease of whoever settles claims."""

SETTLEMENT_MS: Final = 12_000
"""How long after its last renewal a dead process keeps others from settling, in ms."""

STANDBY_SECONDS: Final = 2.0
"""How often a process that doesn't settle asks whether it should."""

_log = get_logger("aiba.chain")


@contextlib.asynccontextmanager
async def on_chain(container: Container) -> AsyncIterator[None]:
    """Work with the chain while the context lasts, if the settings say so."""
    ton = container.settings().ton
    if ton is None:
        yield
        return
    reader = reader_for(ton, container)
    remote = remote_signer(ton, reader)
    signer = remote or LocalSigner(
        oracle_key(ton.oracle_environ), vault=ton.vault, jetton_master=ton.jetton_master
    )
    withdrawals = configure(container, ton, reader, signer)
    duty: Duty = container.duty(SETTLEMENT, ttl_ms=SETTLEMENT_MS)
    keeper = Keeper(
        withdrawals=withdrawals,
        duty=duty,
        vault=ton.vault,
        chain=reader,
        metrics=container.metrics().chain,
        now_ms=container.clock().now,
    )
    settling = asyncio.create_task(keeper.work_for_ever())
    try:
        yield
    finally:
        settling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await settling
        await duty.end()
        if remote is not None:
            await remote.close()
        await reader.close()


def reader_for(ton: TonSettings, container: Container) -> ToncenterReader:
    """Return the reader of the chain that the settings name, told to the metrics."""
    return reader_of(ton, clock=container.clock(), meter=container.metrics().chain)


def reader_of(ton: TonSettings, *, clock: Clock, meter: Meter | None = None) -> ToncenterReader:
    """Return the reader of the chain that the settings name."""
    first = Provider(url=ton.provider_url, api_key=ton.api_key, requests_per_s=ton.requests_per_s)
    providers = [first]
    if ton.fallback_url:
        # The key is one provider's: another one must not learn it.
        same = endpoint(ton.fallback_url).host == endpoint(ton.provider_url).host
        key = ton.api_key if same else None
        providers.append(replace(first, url=ton.fallback_url, api_key=key))
    lag_s = None if ton.chain_keeps_own_time else Freshness().lag_s
    return open_reader(
        providers,
        clock=clock,
        network=int(ton.network),
        freshness=Freshness(lag_s=lag_s),
        meter=meter,
    )


def remote_signer(ton: TonSettings, reader: ToncenterReader) -> RemoteSigner | None:
    """Return the signer that the settings name, None where this process has the key itself."""
    if ton.signer is None:
        return None
    named = ton.signer.public_keys
    keys = NamedKeys(named) if named else VaultKeys(reader, ton.vault)
    return RemoteSigner(ton.signer.place, keys=keys)


def configure(
    container: Container, ton: TonSettings, reader: ToncenterReader, signer: Signer
) -> Withdrawals:
    """Open vault and shop on a reader; claims are signed by a signer."""
    contracts = Contracts(vault=ton.vault, jetton_master=ton.jetton_master)
    withdrawals = Withdrawals(
        pipeline=container.pipeline(),
        store=container.store(),
        signer=signer,
        chain=reader,
        contracts=contracts,
    )
    container.vaults().configure(
        withdrawals=withdrawals,
        chain=reader,
        contracts=contracts,
        min_ton_nano=ton.min_vault_ton_nano,
    )
    container.metrics().chain.needs_ton(ton.min_vault_ton_nano)
    if ton.created_brokers_wallet:
        cashier = Cashier(
            network=int(ton.network), created_brokers_wallet=ton.created_brokers_wallet
        )
        container.shop().open(
            Purchases(
                pipeline=container.pipeline(),
                store=container.store(),
                payments=reader,
                cashier=cashier,
            )
        )
    return withdrawals


class Keeper:
    """Settles claims and looks after the vault, again and again, and counts what it sees."""

    def __init__(
        self,
        *,
        withdrawals: Withdrawals,
        duty: Duty,
        vault: str,
        chain: VaultReader,
        metrics: ChainMetrics,
        now_ms: Callable[[], int],
    ) -> None:
        """Work for one vault, given as a raw address, and settle while on duty."""
        self._withdrawals = withdrawals
        self._duty = duty
        self._vault = vault
        self._chain = chain
        self._metrics = metrics
        self._now_ms = now_ms

    async def work_for_ever(self) -> None:
        """Settle every SETTLE_SECONDS, and look at the vault every so many of them.

        While another process does so, ask every STANDBY_SECONDS whether it still does.
        """
        turn = 0
        while True:
            if await self.settle() is Settled.ELSEWHERE:
                await asyncio.sleep(STANDBY_SECONDS)
                continue
            if turn % INVENTORY_TURNS == 0:
                await self.look_at_vault()
            turn += 1
            await asyncio.sleep(SETTLE_SECONDS)

    async def settle(self) -> Settled:
        """Settle all claims once, unless another process does; return what came of it.

        What can't be settled now is looked at next time.
        """
        result = Settled.OK
        try:
            async with self._duty.held() as lease:
                if lease is None:
                    result = Settled.ELSEWHERE
                    ended = 0
                else:
                    ended = await self._withdrawals.under(lease).settle_all()
        except (Unavailable, LeaseLost) as error:
            result = Settled.POSTPONED
            _log.warning("settlement postponed", reason=str(error))
        except Exception:  # noqa: BLE001 - one broken claim mustn't end the settlement for good
            result = Settled.FAILED
            _log.exception("settlement failed")
        else:
            if ended:
                _log.info("claims settled", ended=ended)
        self._metrics.settled(result, self._now_ms())
        if result is Settled.ELSEWHERE:
            self._metrics.claims_counted_elsewhere()
        else:
            await self._count_open()
        return result

    async def _count_open(self) -> None:
        """Tell how many claims wait, also when nothing could be settled."""
        try:
            waiting = await self._withdrawals.in_flight()
        except Unavailable as error:
            _log.warning("claims not counted", reason=str(error))
            return
        oldest = waiting.oldest_at
        age_ms = None if oldest is None else max(1, self._now_ms() - oldest)
        self._metrics.claims_open(waiting.count, age_ms)

    async def look_at_vault(self) -> None:
        """Read what the vault holds, so that its metrics are known though nobody asks for it."""
        try:
            await self._chain.inventory(self._vault)
        except Unavailable as error:
            _log.warning("vault not read", reason=str(error))
