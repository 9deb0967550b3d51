"""A mint job: a broker's NFT, paid for, and on its way."""

from dataclasses import dataclass, replace
from enum import StrEnum


class MintStatus(StrEnum):
    """Where a mint job is. Completed and failed ones are over."""

    PENDING = "pending"
    MINTING = "minting"
    COMPLETED = "completed"
    FAILED = "failed"


OPEN_STATUSES = frozenset({MintStatus.PENDING, MintStatus.MINTING})
"""Those of a job that is still to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MintJob:
    """One paid order to mint a broker as an NFT. A broker has one that is open at the most.

    `aiba_paid` is what was taken for it, in whole units, and what a failed job gives back.
    `ended_at` is when it was completed or failed; `error_message` says why it failed.
    """

    id: str
    broker_id: str
    player_id: str
    aiba_paid: int
    created_at: int
    updated_at: int
    status: MintStatus = MintStatus.PENDING
    nft_collection_address: str = ""
    nft_item_address: str = ""
    error_message: str = ""
    ended_at: int | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the job is still to be done."""
        return self.status in OPEN_STATUSES

    def ended(self, status: MintStatus, now: int, error_message: str = "") -> "MintJob":
        """Return the job as it is when it is over at `now`."""
        return replace(
            self, status=status, updated_at=now, ended_at=now, error_message=error_message
        )
