"""The price updater: ask the market, then let the pipeline set the rate."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from aiba_adapters.prices import PriceUnknown
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.queries import Queries
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.decision import Principal
from aiba_domain.economy.config_commands import UpdateRate
from aiba_domain.economy.oracle import is_due
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import DomainError
from aiba_entry.observability import get_logger

_log = get_logger("aiba.oracle")


class Prices(Protocol):
    """Whoever tells the market's price of a TON."""

    async def ton_usd(self) -> Fraction:
        """Return the price of a TON in USD. Raises PriceUnknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatedRate:
    """What an update has set, and by which prices; None for one that isn't known."""

    policy: EconomyPolicy
    ton_usd: Fraction | None
    aiba_usd: Fraction | None
    is_fallback: bool


class RateDesk:
    """Updates the oracle's rate, when an admin says so and, where it is switched on, by itself.

    `aiba_usd` is the environment's price of an AIBA, which goes before the policy's.
    """

    def __init__(
        self, *, prices: Prices, pipeline: Pipeline, queries: Queries, aiba_usd: Fraction | None
    ) -> None:
        """Ask `prices`, and set through `pipeline`."""
        self._prices = prices
        self._pipeline = pipeline
        self._queries = queries
        self._aiba_usd = aiba_usd

    def now(self) -> int:
        """Return the instant that a rate's age is told at."""
        return self._pipeline.now()

    async def update(self, principal: Principal) -> UpdatedRate:
        """Set the rate. Raises DomainError `no_rate` where there is nothing to set it by."""
        ton_usd = None
        try:
            ton_usd = await self._prices.ton_usd()
        except PriceUnknown as error:
            _log.warning("no market price", reason=str(error))
        command = UpdateRate(ton_usd=ton_usd, aiba_usd=self._aiba_usd)
        reply = (await self._pipeline.execute(principal, command)).reply()
        aiba_usd = self._aiba_usd or reply.policy.oracle_aiba_usd or None
        return UpdatedRate(
            policy=reply.policy,
            ton_usd=ton_usd,
            aiba_usd=aiba_usd,
            is_fallback=reply.is_fallback,
        )

    async def is_due(self) -> bool:
        """Tell whether automatic updates are on and one is due."""
        return is_due(await self._queries.policy(), self.now())

    async def update_if_due(self) -> bool:
        """Update the rate if automatic updates are on and one is due; return whether it was."""
        if not await self.is_due():
            return False
        try:
            await self.update(SERVICE)
        except DomainError as refusal:
            _log.warning("rate not updated", reason=refusal.code)
        return True
