"""Which fields of the service before have a place here; what else holds something is kept aside."""

from collections.abc import Mapping
from typing import Final

from aiba_domain.legacy.battles import BATTLES
from aiba_domain.legacy.columns import BOOSTS, GIFTS, HASHES
from aiba_domain.legacy.history import LEDGER
from aiba_domain.legacy.people import BALANCES, BROKERS, PENDING, USERS
from aiba_domain.legacy.settings import CONFIG, TAKEN
from aiba_domain.legacy.values import Document
from aiba_domain.legacy.world import (
    DAYS,
    EMITTED,
    GUILDS,
    LISTINGS,
    LOCKS,
    MINTS,
    MODES,
    SINGLES,
    SPENT,
    STAKES,
    VAULTS,
)

_OF_EVERY_ROW: Final = frozenset({"_id", "__v", "createdAt", "updatedAt"})

PLACED: Final[Mapping[str, frozenset[str]]] = {
    USERS: frozenset(
        {
            *("telegramId", "username", "telegram", "lastSeenAt", "lastDailyClaimAt"),
            *("loginStreakDays", "lastLoginStreakDate", "battleWinStreak", "lastBattleWinAt"),
            *("dailyComboSpentTodayAiba", "dailyComboSpentDate", "dailyComboClaimedAt"),
            *("premiumUntil", "firstWinDiamondAwardedAt", "badges", "schoolId", "bannedUntil"),
            *("bannedReason", "anomalyFlags", "profileBoostedUntil", PENDING, *BALANCES),
        }
    ),
    BROKERS: frozenset(
        {
            *("ownerTelegramId", "risk", "intelligence", "speed", "specialty", "level", "xp"),
            *("energy", "energyUpdatedAt", "lastBattleAt", "cooldowns", "anomalyFlags", "banned"),
            *("banReason", "lastRequestId", "nftCollectionAddress", "nftItemAddress"),
            *("metadataUri", "nftItemIndex", "guildId", "createdWithTonTxHash"),
        }
    ),
    BATTLES: frozenset(
        {
            *("requestId", "ownerTelegramId", "brokerId", "arena", "league", "modeKey", "seedHex"),
            *("score", "rewardAiba", "rewardNeur", "guildShareNeur", "guildId"),
            *("opponentGuildId", "anomaly", "claim"),
        }
    ),
    LEDGER: frozenset(
        {
            *("telegramId", "currency", "direction", "amount", "reason", "arena", "league"),
            *("sourceType", "sourceId", "applied"),
        }
    ),
    GUILDS: frozenset({"name", "ownerTelegramId", "active", *VAULTS}),
    MODES: frozenset(
        {
            *("key", "name", "description", "enabled", "arena", "league", "energyCost"),
            *("cooldownSeconds", "entryNeurCost", "entryAibaCost", "rewardMultiplierAiba"),
            *("rewardMultiplierNeur", "rules"),
        }
    ),
    LISTINGS: frozenset({"brokerId", "sellerTelegramId", "priceAIBA", "status"}),
    MINTS: frozenset(
        {
            *("brokerId", "telegramId", "status", "aibaPaid", "nftItemAddress"),
            *("nftCollectionAddress", "errorMessage", "completedAt"),
        }
    ),
    STAKES: frozenset({"telegramId", "amount"}),
    LOCKS: frozenset(),
    DAYS: frozenset(
        {"day", *EMITTED, *SPENT, *(by for by, _ in (*EMITTED.values(), *SPENT.values()))}
    ),
    HASHES: frozenset({"txHash", "ownerTelegramId"}),
    GIFTS: frozenset(),
    BOOSTS: frozenset(),
    CONFIG: TAKEN,
    **{name: frozenset(names) for name, (_, _, names) in SINGLES.items()},
}
"""The fields with a place, by collection; a collection that isn't here has no place at all."""


def leftover(collection: str, row: Document) -> tuple[str, ...]:
    """Return the fields of a row that have no place here and aren't empty."""
    placed = PLACED.get(collection, frozenset()) | _OF_EVERY_ROW
    return tuple(name for name, value in row.items() if name not in placed and value)
