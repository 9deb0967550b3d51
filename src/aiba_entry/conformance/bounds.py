"""What a run may cost the deployment, and what it was told of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiba_adapters.ton.proof import Network
from aiba_domain.money import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a run may ask of a deployment: whatever isn't tried within them is blocked.

    `timeout_s` is for one answer, `seconds` for the whole run; waits that the service asks for
    count too.
    """

    requests: int = 3000
    seconds: float = 300.0
    players: int = 120
    timeout_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What can't be seen from outside and the operator tells.

    `wallet_domain` and `network` are those a wallet signs for. `daily_caps` are the most that a
    UTC day emits of a currency. `rotate` ends the seed epoch that is open, so that its secret is
    revealed.
    """

    wallet_domain: str | None = None
    network: Network = Network.MAINNET
    daily_caps: Mapping[Currency, int] = field(default_factory=dict)
    rotate: Callable[[], None] | None = None

    def caps(self) -> Mapping[str, int]:
        """Return the daily caps by the currency's name on the wire."""
        return {currency.value: cap for currency, cap in self.daily_caps.items()}
