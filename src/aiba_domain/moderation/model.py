"""What a ban and a flag are. Every flag names its rule and keeps its evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

AUTO_BAN_REASON: Final = "auto-banned (anomaly threshold)"


class Subject(StrEnum):
    """What a flag or a ban is about."""

    PLAYER = "player"
    BROKER = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A ban: why, by whom, since when, and until when; `until` None means until it is lifted."""

    reason: str
    by: str
    since: int
    until: int | None = None

    def holds(self, now: int) -> bool:
        """Tell whether the ban binds at `now`."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A suspicion against a player or a broker, with the rule that raised it and its evidence."""

    id: str
    subject: Subject
    subject_id: str
    rule: str
    at: int
    evidence: Mapping[str, str | int] = field(default_factory=dict)
