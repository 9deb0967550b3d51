"""A guild: who belongs to it and how many brokers it pooled."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Guild:
    """One guild. `pooled` counts the brokers its members lent it for guild wars."""

    id: str
    name: str
    owner_id: str
    member_ids: tuple[str, ...]
    created_at: int
    active: bool = True
    pooled: int = 0
