"""How the domain's records look on the wire, field by field as today's clients read them."""

from collections.abc import Mapping
from fractions import Fraction

from aiba_domain.application.queries import DailyStatus, Holdings
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode, rules_json
from aiba_domain.battle.receipt import to_json
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.instants import iso
from aiba_domain.money import Currency

Json = dict[str, object]

_NO_CLAIM: Mapping[str, object] = {
    "vaultAddress": "",
    "toAddress": "",
    "amount": "",
    "seqno": 0,
    "validUntil": 0,
    "payloadBocBase64": "",
    "signatureBase64": "",
}


def number(value: Fraction) -> int | float:
    """Return an exact multiplier as the JSON number that clients display, never for arithmetic."""
    return value.numerator if value.denominator == 1 else float(value)


def date(instant: int | None) -> str | None:
    """Return an instant as ISO-8601 text, None for never."""
    return None if instant is None else iso(instant)


def broker_json(broker: Broker) -> Json:
    """Return a broker document. What the service has no feature for yet stays at its default."""
    return {
        "_id": broker.id,
        "__v": 0,
        "ownerTelegramId": broker.owner_id,
        "risk": broker.risk,
        "intelligence": broker.intelligence,
        "speed": broker.speed,
        "specialty": broker.specialty,
        "level": broker.level,
        "xp": broker.xp,
        "energy": broker.energy,
        "energyUpdatedAt": iso(broker.energy_updated_at),
        "lastBattleAt": date(broker.last_battle_at),
        "cooldowns": {key: iso(at) for key, at in broker.cooldowns.items()},
        "anomalyFlags": broker.anomaly_flags,
        "banned": broker.ban is not None,
        "banReason": broker.ban.reason if broker.ban else "",
        "lastRequestId": broker.last_request_id,
        "nftCollectionAddress": broker.nft_collection_address,
        "nftItemAddress": broker.nft_item_address,
        "metadataUri": broker.metadata_uri,
        "nftItemIndex": broker.nft_item_index,
        "guildId": broker.guild_id,
        "rentedByTelegramId": "",
        "rentedUntil": None,
        "createdWithTonTxHash": broker.created_with_ton_tx_hash,
        "createdAt": iso(broker.created_at),
        "updatedAt": iso(broker.updated_at),
    }


def battle_json(battle: Battle) -> Json:
    """Return a battle document."""
    inputs, outcome, grant = battle.receipt.inputs, battle.receipt.outcome, battle.receipt.grant
    at = iso(battle.created_at)
    return {
        "_id": battle.id,
        "__v": 0,
        "requestId": inputs.request_id,
        "ownerTelegramId": battle.player_id,
        "brokerId": battle.broker_id,
        "arena": inputs.mode.arena,
        "league": inputs.mode.league,
        "modeKey": inputs.mode.key,
        "seedHex": outcome.seed_hex,
        "score": outcome.score,
        "rewardAiba": grant.aiba,
        "rewardNeur": grant.neur,
        "guildShareNeur": grant.leader_neur + grant.vault_neur,
        "guildId": inputs.guild.my_id if inputs.guild else None,
        "opponentGuildId": (inputs.guild.their_id or None) if inputs.guild else None,
        "anomaly": outcome.is_anomaly,
        "anomalyReason": f"score_out_of_range:{outcome.score}" if outcome.is_anomaly else "",
        "claim": _NO_CLAIM,
        "createdAt": at,
        "updatedAt": at,
    }


def claim_json(claim: Claim) -> Json:
    """Return a claim as a wallet needs it to be paid; the signature is "" until there is one."""
    terms = claim.terms
    return {
        "vaultAddress": terms.vault,
        "toAddress": terms.recipient,
        "amount": str(terms.amount),
        "seqno": terms.seqno,
        "validUntil": terms.valid_until_s,
        "payloadBocBase64": claim.payload or "",
        "signatureBase64": claim.signature or "",
    }


def claim_record_json(claim: Claim) -> Json:
    """Return a claim with its state, for its owner's list."""
    return {
        "_id": claim.id,
        "requestId": claim.request_id,
        "source": claim.source_type,
        "state": claim.state,
        "reissues": claim.reissues,
        "claim": claim_json(claim),
        "createdAt": iso(claim.created_at),
        "settledAt": date(claim.settled_at),
    }


def fought_json(battle: Battle, claim: Claim | None = None) -> Json:
    """Return the answer to a battle: the document, and what a win brought besides."""
    return {
        **battle_json(battle),
        "claim": claim_json(claim) if claim else _NO_CLAIM,
        "starsGranted": battle.stars,
        "firstWinDiamond": battle.diamonds,
        "seedEpoch": battle.receipt.inputs.epoch,
    }


def receipt_json(battle: Battle) -> Json:
    """Return a battle with its receipt, which holds every input of the outcome."""
    return {**fought_json(battle), "receipt": to_json(battle.receipt)}


def mode_json(mode: GameMode) -> Json:
    """Return a game mode document."""
    return {
        "_id": mode.id,
        "__v": 0,
        "key": mode.key,
        "name": mode.name,
        "description": mode.description,
        "enabled": mode.enabled,
        "arena": mode.arena,
        "league": mode.league,
        "energyCost": mode.energy_cost,
        "cooldownSeconds": mode.cooldown_seconds,
        "entryNeurCost": mode.entry_neur,
        "entryAibaCost": mode.entry_aiba,
        "rewardMultiplierAiba": number(mode.reward_multiplier_aiba),
        "rewardMultiplierNeur": number(mode.reward_multiplier_neur),
        "rules": rules_json(mode.rules),
        "createdAt": iso(mode.created_at),
        "updatedAt": iso(mode.updated_at),
    }


def epoch_json(epoch: SeedEpoch) -> Json:
    """Return a seed epoch: its commitment, and its secret once revealed."""
    return {
        "number": epoch.number,
        "commitment": epoch.commitment,
        "openedAt": iso(epoch.opened_at),
        "closedAt": date(epoch.closed_at),
        "revealedSecret": epoch.revealed_secret,
    }


def holdings_json(player_id: str, holdings: Holdings) -> Json:
    """Return a player's balances with the prices and rates a client shows."""
    player, policy, balances = holdings.player, holdings.policy, holdings.balances
    return {
        "telegramId": player_id,
        "wallet": player.wallet if player else "",
        "neurBalance": balances.get(Currency.NEUR, 0),
        "aibaBalance": balances.get(Currency.AIBA, 0),
        "starsBalance": balances.get(Currency.STARS, 0),
        "diamondsBalance": balances.get(Currency.DIAMONDS, 0),
        "badges": list(player.badges) if player else [],
        "economy": {
            "baseRewardAibaPerScore": number(policy.rewards.aiba_per_score),
            "baseRewardNeurPerScore": number(policy.rewards.neur_per_score),
            "trainNeurCost": policy.train_neur_cost,
            "repairNeurCost": policy.repair_neur_cost,
            "upgradeAibaCost": policy.upgrade_aiba_cost,
            "combineNeurCost": policy.combine_neur_cost,
            "mintAibaCost": policy.mint_aiba_cost,
            "createGroupCostTonNano": policy.create_group_cost_ton_nano,
            "boostGroupCostTonNano": policy.boost_group_cost_ton_nano,
            "leaderboardTopFreeCreate": policy.leaderboard_top_free_create,
            "createBrokerCostTonNano": policy.create_broker_cost_ton_nano,
            "boostProfileCostTonNano": policy.boost_profile_cost_ton_nano,
            "boostProfileDurationDays": policy.boost_profile_duration_days,
            "giftCostTonNano": policy.gift_cost_ton_nano,
            "marketplaceDefaultNewBrokerPriceAIBA": (
                policy.marketplace_default_new_broker_price_aiba
            ),
            "starRewardPerBattle": policy.rewards.stars_per_win,
            "diamondRewardFirstWin": policy.rewards.diamonds_first_win,
            "courseCompletionBadgeMintCostTonNano": (
                policy.course_completion_badge_mint_cost_ton_nano
            ),
            "fullCourseCompletionCertificateMintCostTonNano": (
                policy.full_course_completion_certificate_mint_cost_ton_nano
            ),
        },
        "profileBoostedUntil": date(player.profile_boosted_until) if player else None,
        "schoolId": player.school_id if player else None,
    }


def daily_json(status: DailyStatus) -> Json:
    """Return what a player can claim today."""
    return {
        "canClaim": status.can_claim,
        "alreadyClaimedToday": status.already_claimed,
        "dailyRewardNeur": status.reward_neur,
        "lastClaimedAt": date(status.last_claimed_at),
        "loginStreakDays": status.login_streak_days,
        "battleWinStreak": status.win_streak,
        "dailyCombo": {
            "requirementAiba": status.combo_requirement_aiba,
            "bonusAiba": status.combo_bonus_aiba,
            "spentTodayAiba": status.combo_spent_aiba,
            "canClaim": status.can_claim_combo,
            "alreadyClaimed": status.combo_already_claimed,
        },
    }
