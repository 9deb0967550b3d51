"""What is bought with TON: the payment is read from the chain, then used in one unit of work."""

from dataclasses import dataclass

from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.brokers.payment_commands import BoughtBrokerReply, CreateBrokerWithTon
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError
from aiba_domain.payments.model import MAX_AGE_S, IncomingPayment, transaction_hash
from aiba_domain.payments.ports import PaymentReader
from aiba_domain.ports import Reader, Store

_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cashier:
    """Where payments come in: the network by its global id, and the wallet of each thing sold.

    A wallet is a raw address, `""` for what isn't sold.
    """

    network: int
    created_brokers_wallet: str


class Purchases:
    """Sells for TON."""

    def __init__(
        self, *, pipeline: Pipeline, store: Store, payments: PaymentReader, cashier: Cashier
    ) -> None:
        """Wire the ports together."""
        self._pipeline = pipeline
        self._store = store
        self._payments = payments
        self._cashier = cashier

    async def create_broker(
        self, principal: Principal, tx_hash: object
    ) -> Answer[BoughtBrokerReply]:
        """Sell a broker for the payment named by `tx_hash`, as hex or base64.

        The same payment gives its payer the first answer again, also while the chain can't be read.
        Raises InvalidInput for what is no hash, DomainError where brokers aren't sold, Unavailable
        while the chain can't be read; a payment that doesn't pay is a refusal in the answer, and
        may be brought forward again.
        """
        wallet = self._cashier.created_brokers_wallet
        if not wallet:
            raise DomainError("Create broker with TON not configured")
        canonical = transaction_hash(tx_hash)
        command = CreateBrokerWithTon(
            tx_hash=canonical,
            destination=wallet,
            network=self._cashier.network,
            payment=await self._unused(canonical, wallet),
        )
        return await self._pipeline.execute(principal, command)

    async def _unused(self, tx_hash: str, wallet: str) -> IncomingPayment | None:
        """Return the payment as the chain holds it, None if it is used already or not there."""

        async def is_used(read: Reader) -> bool:
            return await read.payment_use(tx_hash) is not None

        if await self._store.read(is_used):
            return None
        since_s = self._pipeline.now() // _MS - MAX_AGE_S
        return await self._payments.payment(tx_hash, to=wallet, since_s=since_s)
