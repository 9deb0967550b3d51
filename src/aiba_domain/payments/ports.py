"""The port of payments: who reads what came in on the chain."""

from typing import Protocol

from aiba_domain.payments.model import IncomingPayment


class PaymentReader(Protocol):
    """Reads payments from the chain, and vouches for each of their facts."""

    async def payment(self, tx_hash: str, *, to: str, since_s: int) -> IncomingPayment | None:
        """Return the payment that a transaction brought, None if there is no such transaction.

        `tx_hash` is 64 lower-case hex digits and names the receiving account's transaction. It is
        looked for on the account `to`, a raw address, back to chain time `since_s`; one found
        elsewhere or earlier may be returned too, so the caller checks. None also for a transaction
        that no other account's message caused. Every fact is read from the transaction's own cells,
        whose hash is `tx_hash`. Raises Unavailable rather than say None while the chain can't be
        read as it is now.
        """
        ...
