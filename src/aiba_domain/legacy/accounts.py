"""The accounts of what was taken over. `legacy:` ones may owe; `held:` ones are money of somebody.

Each balance of the service before is posted from `OPENING`, so that minus the balance of `OPENING`
is all that came over. Its own ledger is posted between `HISTORY` and a mirror account of each
player, to be read: no balance here depends on it.
"""

from typing import Final

OPENING: Final = "legacy:opening"
HISTORY: Final = "legacy:history"

MIRROR: Final = "legacy:player:"
DEBT: Final = "legacy:debt:"


def mirror_account(player_id: str) -> str:
    """Name the account that repeats a player's ledger of the service before."""
    return MIRROR + player_id


def debt_account(book: str, owner_id: str) -> str:
    """Name the account of what an owner's balance was below 0 in a book; here the balance is 0."""
    return f"{DEBT}{book}:{owner_id}"
