"""The part of the settings that the HTTP edge goes by: time, limits, and who sees its own pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from aiba_entry import forms
from aiba_entry.forms import Network
from aiba_entry.variables import SETTING_INVALID, Variables

METRICS: Final = "METRICS"
DOCS: Final = "DOCS"
"""What the variables of each guarded page begin with: `_TOKEN` and `_ALLOW` follow."""

ANYONE: Final = "any"
"""What an `_ALLOW` says to let every address in."""

CLAIM: Final = "claim"
WALLET: Final = "wallet"
PAYMENT: Final = "payment"
SESSION: Final = "session"
CHAIN: Final = "chain"
"""The names of the limits, beside the one of all calls and the one of battles."""

LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {CLAIM: 10, WALLET: 20, PAYMENT: 10, SESSION: 120, CHAIN: 120}
)
"""Their calls a minute where nothing else is said: of a player, the last two of an address."""

_MOST: Final = 1_000_000
_TWO_YEARS: Final = 63_072_000


def limit_variable(name: str) -> str:
    """Return the variable that sets a limit."""
    return f"{name.upper()}_RATE_LIMIT_PER_MINUTE"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Access:
    """Who may see a page: whoever has the token, and whoever calls from the addresses.

    With neither token nor addresses nobody may, unless `anyone` may. Its repr shows no token.
    """

    token: str | None = None
    allow: tuple[Network, ...] = ()
    anyone: bool = False

    def __repr__(self) -> str:
        return f"Access([hidden], allow={self.allow!r}, anyone={self.anyone!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """What the edge is told from outside.

    `request_seconds` bounds a whole request, `hsts_seconds` is how long browsers shall come by TLS
    alone, 0 for not a word of it. `limits` are calls a minute by the names above.
    """

    request_seconds: int = 25
    hsts_seconds: int = 0
    metrics: Access = field(default_factory=lambda: Access(anyone=True))
    docs: Access = field(default_factory=lambda: Access(anyone=True))
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        return tuple(each.token for each in (self.metrics, self.docs) if each.token)


def load_edge(variables: Variables, *, strict: bool) -> EdgeSettings:
    """Read the edge's settings and note their faults; `strict` closes pages that nobody opened."""
    return EdgeSettings(
        request_seconds=variables.integer("REQUEST_TIMEOUT_SECONDS", 25, 1, 300),
        hsts_seconds=variables.integer("HSTS_SECONDS", 0, 0, _TWO_YEARS),
        metrics=_access(variables, METRICS, strict=strict),
        docs=_access(variables, DOCS, strict=strict),
        limits={
            name: variables.integer(limit_variable(name), usual, 1, _MOST)
            for name, usual in LIMITS.items()
        },
    )


def _access(variables: Variables, what: str, *, strict: bool) -> Access:
    name = f"{what}_TOKEN"
    token = variables.secret(name)
    weakness = None if token is None else forms.weakness(token)
    if weakness is not None:
        short = weakness is forms.Weakness.SHORT
        code = SETTING_INVALID if short else f"secret_{weakness}"
        variables.fault(name, forms.WEAK[weakness], code)
    named = variables.get(f"{what}_ALLOW") == ANYONE
    allow = () if named else variables.read(f"{what}_ALLOW", forms.networks) or ()
    given = variables.given(name) or allow or f"{what}_ALLOW" in variables.faults
    return Access(token=token, allow=allow, anyone=named or not (strict or given))
