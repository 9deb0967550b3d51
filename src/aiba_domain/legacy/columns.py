"""By what each row of the service before is found: its owner, its key and what it refers to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.claims.commands import BY_BATTLE
from aiba_domain.errors import InvalidInput
from aiba_domain.idempotency import parse_key
from aiba_domain.legacy.battles import BATTLES
from aiba_domain.legacy.claims import is_withdrawal, told_by
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Findings
from aiba_domain.legacy.history import LEDGER, exact_amount
from aiba_domain.legacy.people import BROKERS, USERS
from aiba_domain.legacy.units import UsedKey
from aiba_domain.legacy.values import Document, Plain, object_id, telegram_id
from aiba_domain.legacy.world import DAYS, GUILDS, LISTINGS, LOCKS, MINTS, MODES, SINGLES, STAKES
from aiba_domain.payments.model import transaction_hash

HASHES: Final = "usedtontxhashes"
GIFTS: Final = "gifts"
BOOSTS: Final = "boosts"
_STARS_FOR_TON: Final = "stars_store_buy_ton"

OWNER_FIELDS: Final[Mapping[str, str]] = {
    USERS: "telegramId",
    BROKERS: "ownerTelegramId",
    BATTLES: "ownerTelegramId",
    LEDGER: "telegramId",
    GUILDS: "ownerTelegramId",
    LISTINGS: "sellerTelegramId",
    STAKES: "telegramId",
    LOCKS: "telegramId",
    HASHES: "ownerTelegramId",
    GIFTS: "fromTelegramId",
    BOOSTS: "telegramId",
    MINTS: "telegramId",
}
_REFERENCES: Final[Mapping[str, str]] = {
    BROKERS: "guildId",
    BATTLES: "brokerId",
    LISTINGS: "brokerId",
    MINTS: "brokerId",
}
_KEYS: Final[Mapping[str, str]] = {
    USERS: "wallet",
    BROKERS: "nftItemAddress",
    BATTLES: "requestId",
    MODES: "key",
    DAYS: "day",
}
_COMMANDS: Final[Mapping[str, str]] = {
    "broker_train": "broker.train",
    "broker_repair": "broker.repair",
    "broker_upgrade": "broker.upgrade",
    "broker_combine": "broker.combine",
}
"""The commands of this service whose keys the ledger of the one before shows as used."""
_BATTLE_COMMAND: Final = "battle.run"

WITH_PLAYERS: Final = (USERS, BROKERS, BATTLES, LEDGER, STAKES, LOCKS)
"""The collections whose owners become players."""

IMPORTED: Final = frozenset({*OWNER_FIELDS, MODES, DAYS, *SINGLES, "economyconfigs"})
"""The collections with a place here, at least for a part of their rows."""

ASIDE: Final = frozenset(
    {
        *("actionrunkeys", "adminaudits", "battlerunkeys", "bossdamages"),
        *("brokerrentals", "globalbosses", "referrals", "referraluses", "treasuryops"),
    }
)
"""The known collections without a place here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a row is found by; `""` where it has none."""

    id: str
    owner: str
    ref: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HashUse:
    """A use of a payment: its hash as it stands there, and for what kind of thing."""

    hash: str
    family: str


def columns(collection: str, row: Document) -> Columns:
    """Return what a row is found by."""
    name = OWNER_FIELDS.get(collection)
    reference = _REFERENCES.get(collection)
    return Columns(
        id=object_id(row.get("_id")) or "",
        owner=(telegram_id(row.get(name)) or "") if name else "",
        ref=(object_id(row.get(reference)) or "") if reference else "",
        key=_identity(row) if collection == LEDGER else _text(row.get(_KEYS.get(collection, ""))),
    )


def hash_uses(collection: str, row: Document) -> Iterator[HashUse]:
    """Yield the payments that a row says were used."""
    meta = row.get("meta")
    if collection == HASHES:
        purpose = _text(row.get("purpose"))
        family = "gift" if purpose == "aiba_in_gifts" else purpose
        yield from _use(row.get("txHash"), family)
    elif collection == GIFTS:
        yield from _use(row.get("txHash"), "gift")
    elif collection == BROKERS:
        yield from _use(row.get("createdWithTonTxHash"), "broker")
    elif collection == GUILDS:
        yield from _use(row.get("paidCreateTxHash"), "guild")
        boosts = row.get("boostTxHashes")
        for each in boosts if isinstance(boosts, list) else ():
            yield from _use(each, "guild_boost")
    elif collection == BOOSTS and isinstance(meta, Mapping):
        yield from _use(meta.get("txHash"), "boost")
    elif collection == LEDGER and row.get("reason") == _STARS_FOR_TON:
        yield from _use(row.get("sourceId"), "stars_store")


def canonical_hash(text: str) -> str | None:
    """Return a hash in its canonical form, None for a text that is none."""
    try:
        return transaction_hash(text)
    except InvalidInput:
        return None


def used_keys(collection: str, row: Document) -> Iterator[UsedKey]:
    """Yield the idempotency keys that a row shows as used."""
    owner = columns(collection, row).owner
    if collection == BATTLES:
        command, text = _BATTLE_COMMAND, row.get("requestId")
    elif collection == LEDGER and row.get("applied") is not False:
        command = _COMMANDS.get(_text(row.get("sourceType")), "")
        text = row.get("sourceId")
    else:
        return
    key = parse_key(text) if isinstance(text, str) else None
    if command and owner and key:
        yield UsedKey(player_id=owner, command=command, key=key)


def claim_place(collection: str, row: Document) -> tuple[str, str, str] | None:
    """Return owner, source type and key of the withdrawal that a row tells of, None for none."""
    owner = columns(collection, row).owner
    if not owner:
        return None
    if collection == LEDGER and is_withdrawal(row):
        if exact_amount(Fields(collection, row, Findings())) is None:
            return None
        return owner, _text(row.get("sourceType")), _text(row.get("sourceId"))
    if collection == BATTLES and told_by(row):
        return owner, BY_BATTLE, _text(row.get("requestId"))
    return None


def _identity(row: Document) -> str:
    """Return what a ledger row is applied at most once for, `""` for a row without."""
    parts = [
        row.get(name) for name in ("sourceType", "sourceId", "currency", "direction", "reason")
    ]
    texts = [part for part in parts if isinstance(part, str) and part]
    return "\x00".join(texts) if len(texts) == len(parts) else ""


def _use(value: Plain, family: str) -> Iterator[HashUse]:
    text = _text(value)
    if text:
        yield HashUse(hash=text, family=family)


def _text(value: Plain) -> str:
    return value.strip() if isinstance(value, str) else ""
