"""The shapes of the wire's documents, as the API's description tells them."""

from typing import Any

import msgspec


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class BrokerOut(_Out):
    """A broker. Dates are ISO-8601 UTC; `cooldowns` maps mode keys to their last use."""

    id: str = msgspec.field(name="_id")
    version: int = msgspec.field(name="__v")
    owner_telegram_id: str
    risk: int
    intelligence: int
    speed: int
    specialty: str
    level: int
    xp: int
    energy: int
    energy_updated_at: str
    last_battle_at: str | None
    cooldowns: dict[str, str]
    anomaly_flags: int
    banned: bool
    ban_reason: str
    last_request_id: str
    nft_collection_address: str
    nft_item_address: str
    metadata_uri: str
    nft_item_index: int | None
    guild_id: str | None
    rented_by_telegram_id: str
    rented_until: str | None
    created_with_ton_tx_hash: str
    created_at: str
    updated_at: str


class BoughtBrokerOut(_Out):
    """A broker made for a payment, and the price it stands at in the marketplace."""

    broker: BrokerOut
    listed: bool
    default_price_aiba: int = msgspec.field(name="defaultPriceAIBA")
    message: str


class NeurBrokerOut(_Out):
    """A broker after a change paid in NEUR; `request_id` is the idempotency key."""

    ok: bool
    broker: BrokerOut
    neur_balance: int
    request_id: str


class UpgradedOut(_Out):
    """A broker after a change paid in AIBA; `request_id` is the idempotency key."""

    ok: bool
    broker: BrokerOut
    aiba_balance: int
    request_id: str


class MintOrderOut(_Out):
    """A mint job that was ordered; `request_id` is the idempotency key."""

    ok: bool
    job_id: str
    broker_id: str
    aiba_paid: int
    aiba_balance: int
    message: str
    request_id: str


class ClaimOut(_Out):
    """A withdrawal's claim; all empty where there is none."""

    vault_address: str
    to_address: str
    amount: str
    seqno: int
    valid_until: int
    payload_boc_base64: str
    signature_base64: str


class ClaimRecordOut(_Out):
    """A claim with its state: reserved, signed, confirmed or refunded.

    `reissues` counts how often it expired and was signed again; `claim` is the last issue.
    """

    id: str = msgspec.field(name="_id")
    request_id: str
    source: str
    state: str
    reissues: int
    claim: ClaimOut
    created_at: str
    settled_at: str | None


class ClaimPageOut(_Out):
    """Some claims, newest first; `next` goes into `before` of the next call."""

    items: list[ClaimRecordOut]
    next: str | None


class ClaimedOut(_Out):
    """A claim that can be sent to the vault; `request_id` is the idempotency key."""

    ok: bool
    claim: ClaimOut
    request_id: str


class ProofPayloadOut(_Out):
    """A text for a wallet to sign, and when it ends."""

    payload: str
    expires_at: str


class ConnectedOut(_Out):
    """The wallet now bound, as a raw address."""

    status: str
    telegram_id: str
    wallet: str


class SeqnoOut(_Out):
    """The last seqno that a vault has paid to an address, as decimal text.

    `block_seqno` is the masterchain block it was read in, `age_ms` how long ago.
    """

    vault_address: str
    to: str
    last_seqno: str
    next_seqno: str
    block_seqno: int
    age_ms: int


class JettonWalletOut(_Out):
    """A jetton wallet's address in both forms."""

    raw: str
    user_friendly: str


class InventoryOut(_Out):
    """What a vault holds, as decimal texts."""

    vault_address: str
    ton_balance_nano: str
    vault_jetton_wallet: JettonWalletOut
    jetton_balance: str


class ClaimStatusOut(_Out):
    """How a claim stands on the chain, and what it lacks."""

    status: str
    vault_address: str
    to: str
    seqno: str
    now: int
    valid_until: int
    last_seqno: str
    block_seqno: int
    age_ms: int
    needed_ton_nano: str | msgspec.UnsetType = msgspec.UNSET
    have_ton_nano: str | msgspec.UnsetType = msgspec.UNSET
    needed: str | msgspec.UnsetType = msgspec.UNSET
    have: str | msgspec.UnsetType = msgspec.UNSET


class BattleOut(_Out):
    """A battle. `seed_hex` is the whole keyed hash its draw was made from."""

    id: str = msgspec.field(name="_id")
    version: int = msgspec.field(name="__v")
    request_id: str
    owner_telegram_id: str
    broker_id: str
    arena: str
    league: str
    mode_key: str
    seed_hex: str
    score: int
    reward_aiba: int
    reward_neur: int
    guild_share_neur: int
    guild_id: str | None
    opponent_guild_id: str | None
    anomaly: bool
    anomaly_reason: str
    claim: ClaimOut
    created_at: str
    updated_at: str


class FoughtOut(BattleOut):
    """A battle with what a win brought besides, and the seed epoch it was drawn under."""

    stars_granted: int
    first_win_diamond: int
    seed_epoch: int


class ReceiptOut(FoughtOut):
    """A battle with its receipt: every input of the outcome, for `aiba verify`."""

    receipt: dict[str, Any]


class BattlePageOut(_Out):
    """Some battles, newest first; `next` goes into `before` of the next call."""

    items: list[BattleOut]
    next: str | None


class ModeOut(_Out):
    """A game mode."""

    id: str = msgspec.field(name="_id")
    version: int = msgspec.field(name="__v")
    key: str
    name: str
    description: str
    enabled: bool
    arena: str
    league: str
    energy_cost: int
    cooldown_seconds: int
    entry_neur_cost: int
    entry_aiba_cost: int
    reward_multiplier_aiba: float
    reward_multiplier_neur: float
    rules: dict[str, Any]
    created_at: str
    updated_at: str


class HoldingsOut(_Out):
    """A player's balances, with the prices and rates in force."""

    telegram_id: str
    wallet: str
    neur_balance: int
    aiba_balance: int
    stars_balance: int
    diamonds_balance: int
    badges: list[str]
    economy: dict[str, float]
    profile_boosted_until: str | None
    school_id: str | None


class SchoolOut(_Out):
    """The school a player belongs to."""

    ok: bool
    school_id: str
    request_id: str


class DailyComboOut(_Out):
    """The day's AIBA bonus."""

    requirement_aiba: int
    bonus_aiba: int
    spent_today_aiba: int
    can_claim: bool
    already_claimed: bool


class DailyOut(_Out):
    """What can be claimed today."""

    can_claim: bool
    already_claimed_today: bool
    daily_reward_neur: int
    last_claimed_at: str | None
    login_streak_days: int
    battle_win_streak: int
    daily_combo: DailyComboOut


class DailyClaimOut(_Out):
    """What a daily claim gave."""

    ok: bool
    already_claimed: bool
    neur_reward: int
    neur_balance: int
    login_streak_days: int
    next_claim: str
    request_id: str
    message: str | msgspec.UnsetType = msgspec.UNSET


class ComboOut(_Out):
    """What a combo claim gave."""

    ok: bool
    already_claimed: bool
    bonus_aiba: int
    aiba_balance: int
    request_id: str
    message: str | msgspec.UnsetType = msgspec.UNSET


class EpochOut(_Out):
    """A seed epoch."""

    number: int
    commitment: str
    opened_at: str
    closed_at: str | None
    revealed_secret: str | None


class FairnessOut(_Out):
    """All seed epochs, oldest first."""

    epochs: list[EpochOut]
