"""Who is calling."""

from dataclasses import dataclass
from typing import Literal

from aiba_adapters.telegram import TelegramIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose identity is proven, and by what.

    `identity` is what Telegram said, where this very request carried it; `session_id` is that of
    the token it came with. A `header` principal exists only where settings let callers name
    themselves.
    """

    player_id: str
    proof: Literal["session", "init_data", "header"]
    identity: TelegramIdentity | None = None
    session_id: str | None = None
