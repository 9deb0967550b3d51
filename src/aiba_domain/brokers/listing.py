"""A broker put up on the marketplace."""

from dataclasses import dataclass, replace
from enum import StrEnum


class ListingState(StrEnum):
    """Where a listing is in its life. Only an active one is shown; a broker has one at the most."""

    ACTIVE = "active"
    SOLD = "sold"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An offer of a broker by its owner, for whole AIBA. Its price never changes.

    A listing that the service made for the owner is shown like any other, but `agreed_at` is None:
    nobody can buy before the owner has agreed to the price. So a broker that cost its owner more
    than the default price can't be bought from under their hands. Instants are ms, UTC.
    """

    id: str
    broker_id: str
    seller_id: str
    price_aiba: int
    created_at: int
    state: ListingState = ListingState.ACTIVE
    agreed_at: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether it is shown."""
        return self.state is ListingState.ACTIVE

    @property
    def is_for_sale(self) -> bool:
        """Whether somebody may buy: it is shown, and its owner has agreed to the price."""
        return self.is_active and self.agreed_at is not None

    def cancelled(self) -> "Listing":
        """Return the listing after it was taken back."""
        return replace(self, state=ListingState.CANCELLED)
