"""What a signer may sign: an allow-list with limits, and rules that deny. Deny wins.

What no entry allows is denied, so an empty policy denies everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.errors import InvalidInput
from aiba_domain.money import amount
from aiba_domain.signing.model import EXPIRY_MARGIN_S, MAX_AHEAD_S, Network

DEFAULT_AHEAD_S: Final = 660
MAX_MARGIN_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is signed, in whole AIBA; 0 means nothing at all.

    `claim` for one claim, `recipient_day` to a recipient in a UTC day of chain time, `day` to all
    in such a day, `lifetime` ever. Raises InvalidInput naming the field.
    """

    claim: int
    recipient_day: int
    day: int
    lifetime: int

    def __post_init__(self) -> None:
        """Refuse what is no amount."""
        for limit in fields(self):
            amount(getattr(self, limit.name), limit.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A vault with its jetton master on a network, as raw addresses, and its claims' limits."""

    name: str
    network: Network
    vault: str
    jetton_master: str
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A rule that denies each claim that is in every list it has. It has at least one."""

    name: str
    vaults: frozenset[str] | None = None
    jetton_masters: frozenset[str] | None = None
    recipients: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that would deny everything by saying nothing."""
        if self.vaults is self.jetton_masters is self.recipients is None:
            raise InvalidInput(self.name, "names nothing to deny")

    def denies(self, terms: ClaimTerms) -> bool:
        """Tell whether the rule is about these terms."""
        return all(
            listed is None or value in listed
            for listed, value in (
                (self.vaults, terms.vault),
                (self.jetton_masters, terms.jetton_master),
                (self.recipients, terms.recipient),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPolicy:
    """What may be signed. A vault is in the allow-list once.

    `max_ahead_s` is how far after chain time a claim may stay valid, `expiry_margin_s` how far
    chain time must be past a claim's validity before other terms take its seqno; both in seconds.
    Raises InvalidInput naming the field.
    """

    allow: Sequence[Allowed] = ()
    deny: Sequence[Denied] = ()
    max_ahead_s: int = DEFAULT_AHEAD_S
    expiry_margin_s: int = EXPIRY_MARGIN_S

    def __post_init__(self) -> None:
        """Refuse any value outside its range, and a vault that is allowed twice."""
        for name, (least, most) in POLICY_RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise InvalidInput(name, f"integer of {least}..{most}")
        vaults = [(each.network, each.vault) for each in self.allow]
        if len(set(vaults)) != len(vaults):
            raise InvalidInput("allow", "a vault is allowed twice")

    def allowed(self, terms: ClaimTerms, network: Network) -> Allowed | None:
        """Return the entry that allows these terms' contracts on a network, if there is one."""
        for each in self.allow:
            if (each.network, each.vault, each.jetton_master) == (
                network,
                terms.vault,
                terms.jetton_master,
            ):
                return each
        return None

    def denied(self, terms: ClaimTerms) -> Denied | None:
        """Return the first rule that denies these terms, if there is one."""
        return next((rule for rule in self.deny if rule.denies(terms)), None)


POLICY_RANGES: Final = {
    "max_ahead_s": (1, MAX_AHEAD_S),
    "expiry_margin_s": (EXPIRY_MARGIN_S, MAX_MARGIN_S),
}
"""The least and the most of the numbers that stand in the policy itself."""
