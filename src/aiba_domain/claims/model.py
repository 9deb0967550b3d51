"""The terms of a claim: the typed fields that are signed and that the vault checks."""

from dataclasses import dataclass
from typing import Final

from aiba_domain.errors import InvalidInput
from aiba_domain.money import amount

MAX_SEQNO: Final = 2**64 - 1
MAX_VALID_UNTIL: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTerms:
    """What the vault is asked to pay, in signing order.

    Addresses are raw and canonical, `workchain:` with 64 lower-case hex digits. `amount` is whole
    AIBA, which are the jetton's smallest units, at least 1. `valid_until_s` is chain time in
    seconds since the Unix epoch; the vault still pays in that second. Raises InvalidInput naming
    the field.
    """

    vault: str
    jetton_master: str
    recipient: str
    amount: int
    seqno: int
    valid_until_s: int

    def __post_init__(self) -> None:
        """Refuse what no vault would accept."""
        if amount(self.amount, "amount") == 0:
            raise InvalidInput("amount", "min:1")
        for name, most in (("seqno", MAX_SEQNO), ("valid_until_s", MAX_VALID_UNTIL)):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= most:
                raise InvalidInput(name, f"integer of 1..{most}")
