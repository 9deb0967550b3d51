"""Whether the vault on the chain holds what the ledger says is owed; looked at now and then."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_domain.application.solvency import Liabilities, liabilities_of
from aiba_domain.claims.ports import Inventory
from aiba_domain.ports import Store, Unavailable
from aiba_entry.vaults import Vaults

KEPT_MS: Final = 30_000
"""How long an answer is given again, in ms, so that nobody can make us ask the chain more often."""


class SolvencyStatus(StrEnum):
    """How much of the answer is known."""

    OK = "ok"
    NO_VAULT = "no_vault"
    """Withdrawals aren't configured, so nothing is held on a chain."""
    CHAIN_UNAVAILABLE = "chain_unavailable"
    """What the vault holds couldn't be read."""
    NOT_AUDITED = "not_audited"
    """No checkpoint of the ledger tells yet what is owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """What the vault holds, as of a masterchain block and its chain time in s, or later."""

    vault: str
    held: Inventory
    min_ton_nano: int
    block: int
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Solvency:
    """What is owed and what is there to pay it with, computed at `at` (ms, UTC)."""

    at: int
    status: SolvencyStatus
    owed: Liabilities | None
    assets: Assets | None

    @property
    def solvent(self) -> bool | None:
        """Whether the vault's jettons cover all AIBA that is owed; None where one isn't known."""
        if self.owed is None or self.assets is None:
            return None
        return self.assets.held.jettons >= self.owed.aiba

    @property
    def ratio_bps(self) -> int | None:
        """Jettons in basis points of the AIBA owed, rounded down; None if unknown or none is."""
        if self.owed is None or self.assets is None or not self.owed.aiba:
            return None
        return self.assets.held.jettons * 10_000 // self.owed.aiba


class SolvencyDesk:
    """Answers how the vault stands; who asks meanwhile gets the answer that is under way."""

    def __init__(self, *, store: Store, vaults: Vaults, now_ms: Callable[[], int]) -> None:
        """Look at a ledger and a vault."""
        self._store = store
        self._vaults = vaults
        self._now_ms = now_ms
        self._kept: Solvency | None = None
        self._turn = asyncio.Lock()

    async def look(self) -> Solvency:
        """Return the answer, not older than KEPT_MS. Raises Unavailable if the store is down."""
        async with self._turn:
            kept, now = self._kept, self._now_ms()
            if kept is None or not 0 <= now - kept.at < KEPT_MS:
                kept = self._kept = await self._compute(now)
            return kept

    async def _compute(self, now: int) -> Solvency:
        owed = await liabilities_of(self._store)
        assets = None
        status = SolvencyStatus.OK
        if not self._vaults.is_configured:
            status = SolvencyStatus.NO_VAULT
        else:
            try:
                assets = await self._assets()
            except Unavailable:
                status = SolvencyStatus.CHAIN_UNAVAILABLE
        if status is SolvencyStatus.OK and owed is None:
            status = SolvencyStatus.NOT_AUDITED
        return Solvency(at=now, status=status, owed=owed, assets=assets)

    async def _assets(self) -> Assets:
        """Read the block first: what is held is as of it, or later."""
        vaults = self._vaults
        seen = await vaults.last_seqno(vaults.address)
        held = await vaults.inventory()
        return Assets(
            vault=vaults.address,
            held=held,
            min_ton_nano=vaults.min_ton_nano,
            block=seen.block,
            time_s=seen.view.time_s,
        )
