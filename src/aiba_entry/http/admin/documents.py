"""The shapes of what admins' routes answer, and how records are written in them."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal

import msgspec

from aiba_domain.application.admin_queries import DaySums, PlayerFile
from aiba_domain.brokers.minting import MintJob
from aiba_domain.economy.config import PLAIN, RATES, document_of
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import Posting, player_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ids import derive_id
from aiba_domain.instants import iso
from aiba_domain.money import Currency
from aiba_domain.ports import Movement
from aiba_entry.http.wire import Json, date

SECURED: Final[list[dict[str, list[str]]]] = [{"admin": []}, {"adminToken": []}]
"""How a caller of an admin's route says who it is, as the description tells it."""


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class WindowOut(_Out):
    """The hours of a UTC day at which an arena emits, the end not included."""

    start_hour_utc: int
    end_hour_utc: int


def _kind(value: object) -> Any:  # noqa: ANN401 - a type
    if isinstance(value, Fraction):
        return float
    return dict[str, int] if isinstance(value, Mapping) else type(value)


def _config_fields() -> list[tuple[str, Any, Any]]:
    """Return the fields of the configuration document, as the policy has them."""
    policy = EconomyPolicy()
    found = [(name, _kind(getattr(policy, field))) for name, field in PLAIN.items()]
    found += [(name, _kind(getattr(policy.rewards, field))) for name, field in RATES.items()]
    found += [
        ("emissionStartHourUtc", int),
        ("emissionEndHourUtc", int),
        ("emissionWindowsUtc", dict[str, WindowOut]),
        ("_id", str),
        ("__v", int),
        ("version", int),
        ("oracleLastUpdatedAt", str | None),
        ("oracleTonUsdAtUpdate", float),
        ("createdAt", str),
        ("updatedAt", str),
    ]
    return [
        (f"field_{place}", kind, msgspec.field(name=name))
        for place, (name, kind) in enumerate(found)
    ]


ConfigOut = msgspec.defstruct("ConfigOut", _config_fields(), kw_only=True, module=__name__)
ConfigOut.__doc__ = "Every setting of the economy that has an effect, and which version it is."


class ConfigVersionOut(_Out):
    """One version of the configuration, in force from an instant."""

    version: int
    effective_at: str
    changed: dict[str, Any]
    """The settings that differ from the version before, as they became."""


class ConfigHistoryOut(_Out):
    """Versions of the configuration, newest first; `next` is the `before` of the next page."""

    items: list[ConfigVersionOut]
    next: int | None


class DayOut(_Out):
    """What a UTC day has emitted, and what was spent on it."""

    day: str
    emitted_aiba: int
    emitted_neur: int
    burned_aiba: int
    spent_neur: int
    emitted_aiba_by_arena: dict[str, int]
    emitted_neur_by_arena: dict[str, int]
    burned_aiba_by_reason: dict[str, int]
    spent_neur_by_reason: dict[str, int]
    burned_aiba_by_arena: dict[str, int]
    spent_neur_by_arena: dict[str, int]


class LeaderBadgesOut(_Out):
    """How many held the leaders' badge before, and how many leaders hold it now."""

    ok: bool
    removed: int
    granted: int
    request_id: str


class AdminUserOut(_Out):
    """A player as operators see one: no profile, no wallet, no session."""

    telegram_id: str
    username: str
    aiba_balance: int
    neur_balance: int
    stars_balance: int
    diamonds_balance: int
    badges: list[str]
    first_win_diamond_awarded_at: str | None
    anomaly_flags: int
    banned_until: str | None
    banned_reason: str
    last_seen_at: str
    created_at: str
    updated_at: str


class CreditedOut(_Out):
    """A player after a credit; `duplicate` says that the key had been used for it before."""

    ok: bool
    user: AdminUserOut
    request_id: str
    duplicate: bool | msgspec.UnsetType = msgspec.UNSET


class LedgerRowOut(_Out):
    """One side of a posting: the account it is of, and what came or went."""

    id: str = msgspec.field(name="_id")
    telegram_id: str | None
    account: str
    counterpart: str
    currency: str
    direction: Literal["credit", "debit"]
    amount: int
    reason: str
    arena: str
    league: str
    source_type: str
    source_id: str
    applied: bool
    created_at: str


class MintJobOut(_Out):
    """A mint job."""

    id: str = msgspec.field(name="_id")
    broker_id: str
    telegram_id: str
    status: Literal["pending", "minting", "completed", "failed"]
    aiba_paid: int
    nft_item_address: str
    nft_collection_address: str
    error_message: str
    completed_at: str | None
    created_at: str
    updated_at: str


class DeletedOut(_Out):
    """What was asked for is gone."""

    deleted: bool


def config_json(policy: EconomyPolicy) -> Json:
    """Return the configuration document of a policy."""
    return plain_numbers(document_of(policy))


def plain_numbers(document: Mapping[str, object]) -> Json:
    """Return a document whose decimals are JSON numbers."""
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in document.items()
    }


def day_json(sums: DaySums) -> Json:
    """Return the sums of a day, by arena and by reason."""
    aiba, neur = sums.emission(Currency.AIBA), sums.emission(Currency.NEUR)
    burned, spent = sums.spending(Currency.AIBA), sums.spending(Currency.NEUR)
    return {
        "day": sums.day,
        "emittedAiba": aiba.total,
        "emittedNeur": neur.total,
        "burnedAiba": sum(burned.values()),
        "spentNeur": sum(spent.values()),
        "emittedAibaByArena": _by_arena(aiba),
        "emittedNeurByArena": _by_arena(neur),
        "burnedAibaByReason": _summed(burned, 0),
        "spentNeurByReason": _summed(spent, 0),
        "burnedAibaByArena": _summed(burned, 1),
        "spentNeurByArena": _summed(spent, 1),
    }


def _by_arena(use: EmissionUse) -> dict[str, int]:
    return {arena: amount for arena, amount in use.by_arena.items() if amount}


def _summed(amounts: Mapping[tuple[str, str], int], part: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, amount in amounts.items():
        found[place[part]] = found.get(place[part], 0) + amount
    return found


def user_json(file: PlayerFile) -> Json:
    """Return a player's card."""
    player, held = file.player, file.balances
    ban = player.ban
    return {
        "telegramId": player.id,
        "username": player.profile.username,
        "aibaBalance": held.get(Currency.AIBA, 0),
        "neurBalance": held.get(Currency.NEUR, 0),
        "starsBalance": held.get(Currency.STARS, 0),
        "diamondsBalance": held.get(Currency.DIAMONDS, 0),
        "badges": list(player.badges),
        "firstWinDiamondAwardedAt": date(player.first_win_at),
        "anomalyFlags": player.anomaly_flags,
        "bannedUntil": date(ban.until) if ban else None,
        "bannedReason": ban.reason if ban else "",
        "lastSeenAt": iso(player.last_seen_at),
        "createdAt": iso(player.created_at),
        "updatedAt": iso(player.updated_at),
    }


def ledger_rows(movement: Movement, account: str | None) -> list[Json]:
    """Return a posting as the wire's rows: the side of an account, or both, the credit first."""
    posting = movement.posting
    rows = [
        _row(movement.at, posting, posting.credit, posting.debit, "credit"),
        _row(movement.at, posting, posting.debit, posting.credit, "debit"),
    ]
    return [row for row in rows if account in (None, row["account"])]


def _row(at: int, posting: Posting, mine: str, other: str, direction: str) -> Json:
    player = player_account("")
    names = (posting.source_type, posting.source_id, posting.reason, posting.currency.value)
    return {
        "_id": derive_id("ledger row", mine, other, direction, str(at), *names),
        "telegramId": mine.removeprefix(player) if mine.startswith(player) else None,
        "account": mine,
        "counterpart": other,
        "currency": posting.currency.value,
        "direction": direction,
        "amount": posting.amount,
        "reason": posting.reason,
        "arena": posting.arena,
        "league": posting.league,
        "sourceType": posting.source_type,
        "sourceId": posting.source_id,
        "applied": True,
        "createdAt": iso(at),
    }


def mint_job_json(job: MintJob) -> Json:
    """Return a mint job."""
    return {
        "_id": job.id,
        "brokerId": job.broker_id,
        "telegramId": job.player_id,
        "status": job.status.value,
        "aibaPaid": job.aiba_paid,
        "nftItemAddress": job.nft_item_address,
        "nftCollectionAddress": job.nft_collection_address,
        "errorMessage": job.error_message,
        "completedAt": date(job.ended_at),
        "createdAt": iso(job.created_at),
        "updatedAt": iso(job.updated_at),
    }
