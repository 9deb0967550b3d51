"""Users and brokers of the service before as players and brokers of this one."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from aiba_domain.brokers.model import MAX_STAT, STARTER_ENERGY, STARTER_STAT, Broker
from aiba_domain.economy.ledger import held_account, player_account
from aiba_domain.errors import InvalidInput
from aiba_domain.legacy.fields import Fields, whole_units
from aiba_domain.legacy.findings import Book, Code, Findings
from aiba_domain.legacy.units import Draft
from aiba_domain.legacy.values import Document, born, moment, name_of, object_id
from aiba_domain.moderation.model import Ban
from aiba_domain.money import Currency
from aiba_domain.payments.model import transaction_hash
from aiba_domain.players.model import Player, Profile

USERS: Final = "users"
BROKERS: Final = "brokers"

BALANCES: Final[Mapping[str, Currency]] = {
    "aibaBalance": Currency.AIBA,
    "neurBalance": Currency.NEUR,
    "starsBalance": Currency.STARS,
    "diamondsBalance": Currency.DIAMONDS,
}
PENDING: Final = "pendingAIBA"
BY: Final = "legacy"
"""Who is said to have banned whom the service before had banned."""
_MAX_COUNT: Final = 2**31 - 1


def opened(owner: str, users: Sequence[Document], found: Findings) -> Draft:
    """Return the opening balances of a player with all of the player's user rows."""
    draft, rows = Draft(), [Fields(USERS, user, found) for user in users]
    if len(users) > 1:
        found.note(Code.USER_TWICE, f"{USERS} {owner}: {len(users)} rows")
    for name, currency in BALANCES.items():
        exact = sum((row.money(name, Book.PLAYERS, currency) for row in rows), Fraction(0))
        units = whole_units(exact, Book.PLAYERS, currency, found, f"{USERS} {owner} {name}")
        draft.open(player_account(owner), Book.PLAYERS, owner, currency, units)
    _hold_pending(owner, rows, draft, found)
    return draft


def opened_for_nobody(user: Document, found: Findings) -> Draft:
    """Return what a user row without a Telegram id holds, under the row's own id."""
    draft, row, owner = Draft(), Fields(USERS, user, found), name_of(user)
    row.note(Code.USER_ID_MISSING)
    for name, currency in BALANCES.items():
        exact = row.money(name, Book.NOBODY, currency)
        units = whole_units(exact, Book.NOBODY, currency, found, f"{USERS} {owner} {name}")
        draft.open(held_account("nobody", owner), Book.NOBODY, owner, currency, units)
    _hold_pending(owner, [row], draft, found)
    return draft


def _hold_pending(owner: str, rows: Sequence[Fields], draft: Draft, found: Findings) -> None:
    exact = sum(
        (
            row.money(PENDING, Book.PENDING, Currency.AIBA)
            for row in rows
            if PENDING in row.document
        ),
        Fraction(0),
    )
    units = whole_units(exact, Book.PENDING, Currency.AIBA, found, f"{USERS} {owner} {PENDING}")
    if units > 0:
        found.note(Code.PENDING_HELD, f"{USERS} {owner}")
    draft.open(held_account("pending", owner), Book.PENDING, owner, Currency.AIBA, units)


def player(owner: str, users: Sequence[Document], starter: str | None, found: Findings) -> Player:
    """Return the player of some user rows: the oldest says who, the strictest what is forbidden.

    `starter` is the player's oldest broker, which counts as the one that everybody gets once.
    """
    rows = sorted(users, key=lambda user: (born(user), name_of(user)))
    first = Fields(USERS, rows[0], found)
    _look_at_id(owner, rows, found)
    every = [Fields(USERS, row, found) for row in rows]
    made = born(rows[0])
    return Player(
        id=owner,
        created_at=made,
        updated_at=max(moment(row.get("updatedAt")) or made for row in rows),
        last_seen_at=max(each.at("lastSeenAt") or made for each in every),
        profile=_profile(first),
        starter_broker_id=starter,
        login_streak_days=max(each.whole("loginStreakDays", high=_MAX_COUNT) for each in every),
        login_streak_day=max(each.text("lastLoginStreakDate") for each in every),
        win_streak=first.whole("battleWinStreak", high=_MAX_COUNT),
        last_win_at=_latest(every, "lastBattleWinAt"),
        first_win_at=_latest(every, "firstWinDiamondAwardedAt"),
        daily_claimed_at=_latest(every, "lastDailyClaimAt"),
        combo_spent_aiba=first.whole("dailyComboSpentTodayAiba"),
        combo_spent_day=first.text("dailyComboSpentDate"),
        combo_claimed_at=_latest(every, "dailyComboClaimedAt"),
        premium_until=_latest(every, "premiumUntil"),
        badges=_texts(first, "badges"),
        school_id=first.reference("schoolId"),
        profile_boosted_until=_latest(every, "profileBoostedUntil"),
        ban=_user_ban(every, made),
        anomaly_flags=sum(each.whole("anomalyFlags", high=_MAX_COUNT) for each in every),
    )


def stranger(owner: str, seen: Sequence[Document], starter: str | None) -> Player:
    """Return the player who is named by other rows alone, as old as the oldest of them."""
    made = min(map(born, seen), default=0)
    return Player(
        id=owner,
        created_at=made,
        updated_at=made,
        last_seen_at=made,
        starter_broker_id=starter,
    )


def _look_at_id(owner: str, rows: Sequence[Document], found: Findings) -> None:
    if any(not isinstance(row.get("telegramId"), str) for row in rows):
        found.note(Code.USER_ID_NUMBER, f"{USERS} {owner}")
    if not (owner.isascii() and owner.isdigit()):
        found.note(Code.USER_ID_UNUSUAL, f"{USERS} {owner}")
    for row in rows:
        if object_id(row.get("_id")) is None:
            found.note(Code.WRONG_TYPE, f"{USERS} {name_of(row)} _id")
        if row.get("wallet"):
            found.note(Code.WALLET_UNPROVEN, f"{USERS} {owner}")


def _profile(row: Fields) -> Profile:
    told = Fields(row.collection, row.part("telegram"), row.found)
    return Profile(
        username=row.text("username") or told.text("username"),
        first_name=told.text("firstName"),
        last_name=told.text("lastName"),
        language_code=told.text("languageCode"),
        photo_url=told.text("photoUrl"),
    )


def _latest(rows: Sequence[Fields], name: str) -> int | None:
    return max((at for row in rows if (at := row.at(name)) is not None), default=None)


def _texts(row: Fields, name: str) -> tuple[str, ...]:
    values = row.items(name)
    kept = tuple(value for value in values if isinstance(value, str))
    if len(kept) != len(values):
        row.note(Code.WRONG_TYPE, name)
    return kept


def _user_ban(rows: Sequence[Fields], made: int) -> Ban | None:
    bans = [(until, row) for row in rows if (until := row.at("bannedUntil")) is not None]
    if not bans:
        return None
    until, row = max(bans, key=lambda ban: ban[0])
    since = min(until, moment(row.document.get("updatedAt")) or made)
    return Ban(reason=row.text("bannedReason"), by=BY, since=since, until=until)


def broker(row: Fields, owner: str, own_id: str, *, nft: bool) -> Broker:
    """Return a broker; `nft` is whether its NFT is its own."""
    made = born(row.document)
    updated = moment(row.document.get("updatedAt")) or made
    banned = Ban(reason=row.text("banReason"), by=BY, since=updated)
    index = row.document.get("nftItemIndex")
    return Broker(
        id=own_id,
        owner_id=owner,
        created_at=made,
        updated_at=updated,
        intelligence=row.whole("intelligence", STARTER_STAT, high=MAX_STAT),
        speed=row.whole("speed", STARTER_STAT, high=MAX_STAT),
        risk=row.whole("risk", STARTER_STAT, high=MAX_STAT),
        specialty=row.text("specialty", "crypto"),
        level=row.whole("level", 1, low=1, high=_MAX_COUNT),
        xp=row.whole("xp", high=_MAX_COUNT),
        energy=row.whole("energy", STARTER_ENERGY, high=_MAX_COUNT),
        energy_updated_at=row.at("energyUpdatedAt") or made,
        last_battle_at=row.at("lastBattleAt"),
        last_request_id=row.text("lastRequestId"),
        cooldowns=_cooldowns(row),
        guild_id=row.reference("guildId"),
        ban=banned if row.flag("banned") else None,
        anomaly_flags=row.whole("anomalyFlags", high=_MAX_COUNT),
        created_with_ton_tx_hash=_hash(row.text("createdWithTonTxHash")),
        nft_collection_address=row.text("nftCollectionAddress") if nft else "",
        nft_item_address=row.text("nftItemAddress") if nft else "",
        nft_item_index=None if index is None or not nft else row.whole("nftItemIndex"),
        metadata_uri=row.text("metadataUri"),
    )


def _cooldowns(row: Fields) -> Mapping[str, int]:
    kept: dict[str, int] = {}
    for key, value in row.part("cooldowns").items():
        at = moment(value)
        if at is None:
            row.note(Code.WRONG_TYPE, "cooldowns")
        else:
            kept[key] = at
    return dict(sorted(kept.items()))


def _hash(text: str) -> str:
    """Return a hash in its canonical form; one that is none is no payment's."""
    try:
        return transaction_hash(text)
    except InvalidInput:
        return ""
