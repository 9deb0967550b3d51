"""Selling brokers for payments in TON."""

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.brokers.payment_commands import BoughtBrokerReply, CreateBrokerWithTon
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError
from aiba_domain.instants import SECOND
from aiba_domain.payments.model import MAX_AGE_S, transaction_hash
from aiba_domain.payments.ports import PaymentReader


class BrokerShop:
    """Sells brokers for TON payments, where a wallet for them is configured."""

    def __init__(self) -> None:
        """Start closed."""
        self._payments: PaymentReader | None = None
        self._pipeline: Pipeline | None = None
        self._wallet: str | None = None
        self._network = 0

    def open(
        self, *, pipeline: Pipeline, payments: PaymentReader, wallet: str, network: int
    ) -> None:
        """Sell from now on for payments to `wallet`, a raw address on `network`."""
        self._pipeline, self._payments = pipeline, payments
        self._wallet, self._network = wallet, network

    async def buy(self, principal: Principal, tx_hash: str) -> BoughtBrokerReply:
        """Make the broker that a transaction paid for; the same one gives the first answer again.

        Raises DomainError as the command refuses or `Create broker with TON not configured`, and
        Unavailable while the chain can't be read.
        """
        if self._pipeline is None or self._payments is None or self._wallet is None:
            raise DomainError("Create broker with TON not configured")
        wanted = transaction_hash(tx_hash)
        since_s = self._pipeline.now() // SECOND - MAX_AGE_S
        payment = await self._payments.payment(wanted, to=self._wallet, since_s=since_s)
        command = CreateBrokerWithTon(
            tx_hash=wanted, destination=self._wallet, network=self._network, payment=payment
        )
        return (await self._pipeline.execute(principal, command)).reply()
