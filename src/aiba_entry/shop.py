"""Selling brokers for payments in TON."""

from aiba_domain.application.purchases import Purchases
from aiba_domain.brokers.payment_commands import BoughtBrokerReply
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError
from aiba_domain.payments.judgement import NOT_VERIFIED
from aiba_domain.ports import Unavailable
from aiba_entry.chain_metrics import OK, UNAVAILABLE
from aiba_entry.observability import Metrics

_JUDGED = (NOT_VERIFIED, "txHash already used")


class BrokerShop:
    """Sells brokers for TON payments, where a wallet for them is configured."""

    def __init__(self, metrics: Metrics) -> None:
        """Start closed; count in `metrics` what payments come to."""
        self._metrics = metrics
        self._purchases: Purchases | None = None

    def open(self, purchases: Purchases) -> None:
        """Sell from now on."""
        self._purchases = purchases

    async def buy(self, principal: Principal, tx_hash: str) -> BoughtBrokerReply:
        """Make the broker that a transaction paid for; the same one gives the first answer again.

        Raises DomainError as the command refuses or `Create broker with TON not configured`, and
        Unavailable while the chain can't be read.
        """
        if self._purchases is None:
            raise DomainError("Create broker with TON not configured")
        try:
            bought = (await self._purchases.create_broker(principal, tx_hash)).reply()
        except Unavailable:
            self._metrics.chain.payment(UNAVAILABLE)
            raise
        except DomainError as refused:
            if refused.code in _JUDGED:
                self._metrics.chain.payment(str(refused.details.get("reason", "used")))
            raise
        self._metrics.chain.payment(OK)
        return bought
