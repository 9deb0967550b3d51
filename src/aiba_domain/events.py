"""What happened, told after the commit to whoever counts or announces it."""

from dataclasses import dataclass

from aiba_domain.claims.claim import ClaimState
from aiba_domain.economy.emission import EmissionResult
from aiba_domain.moderation.model import Subject
from aiba_domain.money import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleFought:
    """A battle was decided and recorded."""

    battle_id: str
    player_id: str
    arena: str
    league: str
    mode_key: str
    anomaly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionJudged:
    """An emission of new money was granted or refused."""

    currency: Currency
    amount: int
    arena: str
    league: str
    result: EmissionResult


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneySpent:
    """A player spent `amount` whole units into a sink."""

    currency: Currency
    amount: int
    reason: str
    arena: str
    league: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoBanned:
    """A rule banned a player or a broker."""

    subject: Subject
    subject_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMoved:
    """A withdrawal was reserved, signed, confirmed or refunded."""

    claim_id: str
    state: ClaimState
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimReissued:
    """An expired withdrawal was issued again under its seqno, for the `reissues`-th time."""

    claim_id: str
    reissues: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """A withdrawal was asked for and not reserved, for this reason."""

    code: str


Event = (
    BattleFought
    | EmissionJudged
    | MoneySpent
    | AutoBanned
    | ClaimMoved
    | ClaimReissued
    | ClaimRefused
)
