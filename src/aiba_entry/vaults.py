"""The reward vault as the service knows it: withdrawals, and what the chain says of it."""

from dataclasses import dataclass
from enum import StrEnum

from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.ports import ChainReader, Inventory
from aiba_domain.errors import DomainError
from aiba_domain.ports import Unavailable


class ClaimStatus(StrEnum):
    """How a claim stands on the chain."""

    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    INSUFFICIENT_TON = "insufficient_ton"
    INSUFFICIENT_INVENTORY = "insufficient_inventory"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimStanding:
    """A claim's status with what it was judged by; `inventory` is None where it didn't matter."""

    status: ClaimStatus
    seen: ChainView
    inventory: Inventory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """What is there when withdrawals are configured."""

    withdrawals: Withdrawals
    chain: ChainReader
    contracts: Contracts
    min_ton_nano: int


class Vaults:
    """Withdrawals and the vault's state, if they are configured; `vault not configured` if not."""

    def __init__(self) -> None:
        """Start without a vault."""
        self._open: _Open | None = None

    def configure(
        self,
        *,
        withdrawals: Withdrawals,
        chain: ChainReader,
        contracts: Contracts,
        min_ton_nano: int,
    ) -> None:
        """Work with a vault from now on; below `min_ton_nano` it counts as out of gas."""
        self._open = _Open(
            withdrawals=withdrawals, chain=chain, contracts=contracts, min_ton_nano=min_ton_nano
        )

    @property
    def is_configured(self) -> bool:
        """Whether there is a vault."""
        return self._open is not None

    def withdrawals(self) -> Withdrawals:
        """Return what issues and settles claims."""
        return self._required().withdrawals

    @property
    def address(self) -> str:
        """The vault's raw address."""
        return self._required().contracts.vault

    async def seqno(self, recipient: str) -> int:
        """Return the last seqno paid to a raw address."""
        return (await self._view(recipient)).seqno

    async def inventory(self) -> Inventory:
        """Return what the vault holds."""
        return await self._required().chain.inventory(self.address)

    async def standing(
        self, recipient: str, *, seqno: int, valid_until_s: int, amount: int
    ) -> ClaimStanding:
        """Judge a claim by the chain first, then by chain time, then by what the vault lacks."""
        seen = await self._view(recipient)
        if seen.seqno >= seqno:
            return ClaimStanding(status=ClaimStatus.CONFIRMED, seen=seen)
        if seen.time_s > valid_until_s:
            return ClaimStanding(status=ClaimStatus.EXPIRED, seen=seen)
        try:
            inventory = await self.inventory()
        except Unavailable:
            return ClaimStanding(status=ClaimStatus.PENDING, seen=seen)
        if inventory.ton_nano < self._required().min_ton_nano:
            status = ClaimStatus.INSUFFICIENT_TON
        elif 0 < amount > inventory.jettons:
            status = ClaimStatus.INSUFFICIENT_INVENTORY
        else:
            status = ClaimStatus.PENDING
        return ClaimStanding(status=status, seen=seen, inventory=inventory)

    @property
    def min_ton_nano(self) -> int:
        """The TON below which the vault counts as out of gas, in nanoTON."""
        return self._required().min_ton_nano

    async def _view(self, recipient: str) -> ChainView:
        opened = self._required()
        return await opened.chain.view(opened.contracts.vault, recipient)

    def _required(self) -> _Open:
        if self._open is None:
            raise DomainError("vault not configured")
        return self._open
