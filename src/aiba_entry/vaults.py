"""The reward vault as the service knows it: withdrawals, and what the chain says of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.ports import Inventory, Sighting, VaultReader
from aiba_domain.errors import DomainError
from aiba_domain.ports import Unavailable
from aiba_entry.chain_metrics import OK, UNAVAILABLE, VaultRoute
from aiba_entry.observability import Metrics


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
    seen: Sighting
    inventory: Inventory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """What is there when withdrawals are configured."""

    withdrawals: Withdrawals
    chain: VaultReader
    contracts: Contracts
    min_ton_nano: int


@dataclass(slots=True)
class _Read:
    """A public read under way; what it came to is blank until it is known."""

    result: str = ""


class Vaults:
    """Withdrawals and the vault's state, if they are configured.

    Without a vault every read of it raises DomainError `ARENA_VAULT_ADDRESS not configured`.
    """

    def __init__(self, metrics: Metrics) -> None:
        """Start without a vault; count in `metrics` what the public reads come to."""
        self._metrics = metrics
        self._open: _Open | None = None

    def configure(
        self,
        *,
        withdrawals: Withdrawals,
        chain: VaultReader,
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
        """Return what issues and settles claims. Raises DomainError `vault not configured`."""
        if self._open is None:
            raise DomainError("vault not configured")
        return self._open.withdrawals

    @property
    def address(self) -> str:
        """The vault's raw address."""
        return self._required().contracts.vault

    async def last_seqno(self, recipient: str) -> Sighting:
        """Return the last seqno paid to a raw address, with its block and its age."""
        with self._counted(VaultRoute.LAST_SEQNO) as read:
            seen = await self._sighting(recipient)
            read.result = OK
        return seen

    async def inventory(self) -> Inventory:
        """Return what the vault holds."""
        with self._counted(VaultRoute.INVENTORY) as read:
            held = await self._required().chain.inventory(self.address)
            read.result = OK
        return held

    async def standing(
        self, recipient: str, *, seqno: int, valid_until_s: int, amount: int
    ) -> ClaimStanding:
        """Judge a claim by the chain first, then by chain time, then by what the vault lacks."""
        with self._counted(VaultRoute.CLAIM_STATUS) as read:
            seen = await self._sighting(recipient)
            standing = await self._judged(seen, seqno, valid_until_s, amount)
            read.result = standing.status
        return standing

    async def _judged(
        self, seen: Sighting, seqno: int, valid_until_s: int, amount: int
    ) -> ClaimStanding:
        if seen.view.seqno >= seqno:
            return ClaimStanding(status=ClaimStatus.CONFIRMED, seen=seen)
        if seen.view.time_s > valid_until_s:
            return ClaimStanding(status=ClaimStatus.EXPIRED, seen=seen)
        opened = self._required()
        try:
            inventory = await opened.chain.inventory(opened.contracts.vault)
        except Unavailable:
            return ClaimStanding(status=ClaimStatus.PENDING, seen=seen)
        if inventory.ton_nano < opened.min_ton_nano:
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

    async def _sighting(self, recipient: str) -> Sighting:
        opened = self._required()
        return await opened.chain.sighting(opened.contracts.vault, recipient)

    @contextmanager
    def _counted(self, route: VaultRoute) -> Iterator["_Read"]:
        """Count what a public read comes to; without a vault there is nothing to read."""
        self._required()
        read = _Read()
        try:
            yield read
        except Unavailable:
            read.result = UNAVAILABLE
            raise
        finally:
            if read.result:
                self._metrics.chain.vault_read(route, read.result)

    def _required(self) -> _Open:
        if self._open is None:
            raise DomainError("ARENA_VAULT_ADDRESS not configured")
        return self._open
