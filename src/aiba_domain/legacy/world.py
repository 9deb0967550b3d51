"""Guilds, modes, listings, days and settings of the service before, as those of this one."""

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Final

from aiba_domain.battle.modes import GameMode, mode_id, parse_rules
from aiba_domain.brokers.listing import Listing, ListingState
from aiba_domain.brokers.minting import OPEN_STATUSES, MintJob, MintStatus
from aiba_domain.economy.ledger import (
    BUYBACK,
    RESERVE,
    TREASURY,
    emission_account,
    guild_account,
    held_account,
    sink_account,
)
from aiba_domain.errors import InvalidInput
from aiba_domain.guilds.model import Guild
from aiba_domain.legacy.accounts import OPENING
from aiba_domain.legacy.fields import Fields, whole_units
from aiba_domain.legacy.findings import Book, Code
from aiba_domain.legacy.units import SOURCE, Draft
from aiba_domain.legacy.values import Plain, born, moment, number, telegram_id
from aiba_domain.money import Currency, exact

DAY_KEY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""How a UTC day is written."""

GUILDS: Final = "guilds"
MODES: Final = "gamemodes"
LISTINGS: Final = "listings"
DAYS: Final = "economydays"
STAKES: Final = "stakings"
LOCKS: Final = "stakinglocks"
MINTS: Final = "brokermintjobs"

VAULTS: Final[Mapping[str, Currency]] = {"vaultNeur": Currency.NEUR, "vaultAiba": Currency.AIBA}
"""A guild's money."""

SINGLES: Final[Mapping[str, tuple[Book, str, Mapping[str, Currency]]]] = {
    "treasuries": (
        Book.TREASURY,
        TREASURY,
        {"balanceAiba": Currency.AIBA, "balanceNeur": Currency.NEUR},
    ),
    "stabilityreserves": (
        Book.RESERVE,
        RESERVE,
        {"aibaBalance": Currency.AIBA, "neurBalance": Currency.NEUR},
    ),
    "buybackpools": (
        Book.BUYBACK,
        BUYBACK,
        {"aibaBalance": Currency.AIBA, "neurBalance": Currency.NEUR},
    ),
}
"""The collections of one row by convention: their book, their account here, and their money."""

EMITTED: Final[Mapping[str, tuple[str, Currency]]] = {
    "emittedAiba": ("emittedAibaByArena", Currency.AIBA),
    "emittedNeur": ("emittedNeurByArena", Currency.NEUR),
}
SPENT: Final[Mapping[str, tuple[str, Currency]]] = {
    "burnedAiba": ("burnedAibaByReason", Currency.AIBA),
    "spentNeur": ("spentNeurByReason", Currency.NEUR),
}
_REST: Final = "legacy"
_EMITTED_REASON, _SPENT_REASON = "emitted", "spent"
_MINTING: Final = {status.value: status.value for status in MintStatus}
_STATES: Final = {
    "active": ListingState.ACTIVE.value,
    "sold": ListingState.SOLD.value,
    "cancelled": ListingState.CANCELLED.value,
}


def guild(row: Fields, own_id: str, pooled: int) -> tuple[Guild, Draft]:
    """Return a guild with `pooled` brokers, and its vault's opening balances."""
    members = []
    for each in row.items("members"):
        member = telegram_id(each.get("telegramId")) if isinstance(each, Mapping) else None
        if member is None:
            row.note(Code.WRONG_TYPE, "members")
        elif member not in members:
            members.append(member)
    kept = Guild(
        id=own_id,
        name=row.text("name", required=True),
        owner_id=telegram_id(row.document.get("ownerTelegramId")) or "",
        member_ids=tuple(members),
        created_at=born(row.document),
        active=row.flag("active", default=True),
        pooled=pooled,
    )
    return kept, _vault(row, guild_account(own_id), own_id)


def vault_without_guild(row: Fields, name: str) -> Draft:
    """Return the vault of a guild that can't be kept, held under the row's name."""
    return _vault(row, held_account("guild", name), name)


def _vault(row: Fields, account: str, owner: str) -> Draft:
    draft = Draft()
    for name, currency in VAULTS.items():
        if name in row.document:
            _open(row, name, Book.GUILDS, currency, account, owner, draft)
    return draft


def single(row: Fields) -> Draft:
    """Return the opening balances of a row of the treasury, the reserve or the buyback pool."""
    book, account, names = SINGLES[row.collection]
    draft = Draft()
    for name, currency in names.items():
        if name in row.document:
            _open(row, name, book, currency, account, account, draft)
    return draft


def stake(row: Fields, owner: str) -> Draft:
    """Return what is staked or locked, as money held for its owner; an ended lock has none."""
    draft = Draft()
    if is_staked(row):
        _open(
            row,
            "amount",
            Book.STAKES,
            Currency.AIBA,
            held_account("stake", owner),
            owner,
            draft,
        )
        if draft.moves:
            row.note(Code.STAKE_HELD)
    return draft


def is_staked(row: Fields) -> bool:
    """Tell whether a stake's or a lock's money is still there."""
    return row.collection == STAKES or row.document.get("status", "active") == "active"


def _open(
    row: Fields,
    name: str,
    book: Book,
    currency: Currency,
    account: str,
    owner: str,
    draft: Draft,
) -> None:
    amount = row.money(name, book, currency)
    example = f"{row.collection} {owner} {name}"
    draft.open(
        account, book, owner, currency, whole_units(amount, book, currency, row.found, example)
    )


def day(row: Fields, key: str) -> Draft:
    """Return what a UTC day emitted and spent, so that its caps and totals go on holding.

    Emission whose arena wasn't counted is of the arena `legacy`; every sink is.
    """
    draft = Draft()
    for name, (by, currency) in EMITTED.items():
        for arena, units in _split(row, name, by, Book.EMITTED, currency):
            source = emission_account(key, arena)
            draft.post(currency, units, source, OPENING, _EMITTED_REASON, key)
    for name, (by, currency) in SPENT.items():
        for reason, units in _split(row, name, by, Book.SPENT, currency):
            sink = sink_account(key, reason, SOURCE)
            draft.post(currency, units, OPENING, sink, _SPENT_REASON, key)
    return draft


def _split(
    row: Fields, name: str, by: str, book: Book, currency: Currency
) -> list[tuple[str, int]]:
    """Split a day's counter by its parts; what they lack is the rest, too much drops them."""
    if name not in row.document:
        return []
    total = whole_units(
        row.money(name, book, currency), book, currency, row.found, f"{row.collection} {name}"
    )
    parts: dict[str, int] = {}
    for part, value in sorted(row.part(by).items()):
        amount = number(value)
        if amount is not None and amount >= 1:
            parts[part.replace(":", "_")] = floor(amount)
    rest = total - sum(parts.values())
    if rest < 0:
        row.note(Code.OUT_OF_RANGE, by)
        parts, rest = {}, max(total, 0)
        if total < 0:
            row.found.correct(book, currency, Code.OUT_OF_RANGE, Fraction(total))
    if rest:
        parts[_REST] = parts.get(_REST, 0) + rest
    return sorted(parts.items())


def mode(row: Fields, key: str) -> GameMode | None:
    """Return a game mode, None for one that can't be kept here. An explicit 0 means 0 here."""
    made = born(row.document)
    try:
        return GameMode(
            id=mode_id(key),
            key=key,
            name=row.text("name", key) or key,
            description=row.text("description"),
            enabled=row.flag("enabled", default=True),
            arena=row.text("arena", required=True),
            league=row.text("league", "rookie"),
            energy_cost=row.whole("energyCost", 10),
            cooldown_seconds=row.whole("cooldownSeconds", 30),
            entry_neur=row.whole("entryNeurCost"),
            entry_aiba=row.whole("entryAibaCost"),
            reward_multiplier_aiba=factor(row.document.get("rewardMultiplierAiba", 1)),
            reward_multiplier_neur=factor(row.document.get("rewardMultiplierNeur", 1)),
            rules=parse_rules(_rules(row)),
            created_at=made,
            updated_at=moment(row.document.get("updatedAt")) or made,
        )
    except InvalidInput as refusal:
        row.note(Code.MODE_REFUSED, str(refusal))
        return None


def factor(value: Plain) -> Fraction:
    """Return a factor as the decimal that an operator has typed. Raises InvalidInput."""
    found = number(value)
    if found is None:
        raise InvalidInput("factor", "number")
    return exact(repr(value)) if isinstance(value, float) and "e" not in repr(value) else found


def _rules(row: Fields) -> dict[str, object]:
    """Return a mode's rules with whole doubles as ints, as JSON would show them."""
    rules: dict[str, object] = dict(row.part("rules"))
    level = number(row.part("rules").get("minBrokerLevel"))
    if level is not None and level.denominator == 1:
        rules["minBrokerLevel"] = int(level)
    return rules


def listing(row: Fields, own_id: str, broker_id: str, *, can_sell: bool) -> Listing:
    """Return a listing; an active one whose seller can't sell is cancelled.

    Nobody can buy before the owner has agreed to the price here.
    """
    kept = Listing(
        id=own_id,
        broker_id=broker_id,
        seller_id=telegram_id(row.document.get("sellerTelegramId")) or "",
        price_aiba=row.whole("priceAIBA"),
        created_at=born(row.document),
        state=ListingState(row.choice("status", _STATES, ListingState.ACTIVE.value)),
    )
    if kept.is_active and not can_sell:
        row.note(Code.LISTING_STALE)
        return replace(kept, state=ListingState.CANCELLED)
    return kept


def mint_job(row: Fields, own_id: str, broker_id: str, owner: str) -> MintJob:
    """Return a paid order to mint a broker; what was paid for it is among the day's sinks."""
    made = born(row.document)
    updated = moment(row.document.get("updatedAt")) or made
    status = MintStatus(row.choice("status", _MINTING, MintStatus.PENDING.value))
    is_over = status not in OPEN_STATUSES
    return MintJob(
        id=own_id,
        broker_id=broker_id,
        player_id=owner,
        aiba_paid=row.whole("aibaPaid"),
        created_at=made,
        updated_at=updated,
        status=status,
        nft_collection_address=row.text("nftCollectionAddress"),
        nft_item_address=row.text("nftItemAddress"),
        error_message=row.text("errorMessage"),
        ended_at=(row.at("completedAt") or updated) if is_over else None,
    )
