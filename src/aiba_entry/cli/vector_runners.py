"""How each golden file is run: its inputs turned into calls of the strict functions.

A runner takes the `in` of a case and returns what belongs into its `out`, or raises InvalidInput
where the functions refuse the input. Absent inputs are filled in here, never coerced.
"""

import math
from base64 import b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from aiba_adapters.telegram.init_data import InitDataRefused, verify
from aiba_domain.battle.energy import Energy, regenerate
from aiba_domain.battle.engine import Fighter, ModeRules, guild_bonus, score, with_guild_bonus
from aiba_domain.battle.prng import draws, first_draw
from aiba_domain.battle.seed import SeedFields, seed_hmac, seed_of
from aiba_domain.economy.config import RATES
from aiba_domain.economy.rewards import (
    Bonuses,
    GuildSplit,
    RewardRates,
    creator_share,
    propose,
    split_guild_share,
)
from aiba_domain.economy.split import split_tokens
from aiba_domain.economy.windows import (
    HOURS,
    EmissionWindow,
    EmissionWindows,
    parse_hour,
    parse_overrides,
)
from aiba_domain.errors import InvalidInput
from aiba_domain.idempotency import select_key
from aiba_domain.money import exact

Given = Mapping[str, Any]
Runner = Callable[[Given], dict[str, object]]

ACCEPTED: Final = {"accepted": True}
REFUSED: Final = {"accepted": False}

_DRAWS: Final = 16
_STATS: Final = ("intelligence", "speed", "risk")
_SEED_FIELDS: Final = {
    "telegramId": "telegram_id",
    "brokerId": "broker_id",
    "modeKey": "mode_key",
    "arena": "arena",
    "league": "league",
    "requestId": "request_id",
    "opponentId": "opponent_id",
}
_SPLIT: Final = {
    "tokenSplitBurnBps": "burn_bps",
    "tokenSplitTreasuryBps": "treasury_bps",
    "tokenSplitRewardsBps": "rewards_bps",
    "tokenSplitStakingBps": "staking_bps",
}


def battle_seed(given: Given) -> dict[str, object]:
    """Join the seven fields and hash them."""
    texts = dict.fromkeys(_SEED_FIELDS.values(), "")
    texts |= {_SEED_FIELDS[name]: text for name, text in given["fields"].items()}
    message = SeedFields(**texts).message()
    digest = seed_hmac(given["secret"], message)
    return {"message": message, "hmac_sha256_hex": digest, "seed": seed_of(digest)}


def prng(given: Given) -> dict[str, object]:
    """Draw sixteen times."""
    return {"outputs": list(islice(draws(_double(given["seed"])), _DRAWS))}


def battle_score(given: Given) -> dict[str, object]:
    """Score one battle; an absent level is the first one."""
    broker = {name: _double(value) for name, value in given["broker"].items()}
    for name in _STATS:
        if name not in broker:
            raise InvalidInput(name, "required")
    if broker.get("level") is None:
        broker["level"] = 1
    rules = given.get("rules") or {}
    weights = rules.get("arenaWeights") or {}
    factors = {f"{name}_weight": _double(weights.get(name)) for name in _STATS}
    factors["league_multiplier"] = _double(rules.get("leagueMultiplier"))
    factors["variance_base"] = _double(rules.get("varianceBase"))
    draw = first_draw(given["seed"])
    return {
        "score": score(
            Fighter(**broker), ModeRules(**factors), given["arena"], given["league"], draw
        )
    }


def energy(given: Given) -> dict[str, object]:
    """Regain energy; what doesn't change stays as it was given, absent or fractional."""
    config = given["config"]
    ceiling = _whole(config.get("battleMaxEnergy"), "battleMaxEnergy", 100)
    period = _whole(config.get("battleEnergyRegenSecondsPerEnergy"), "regenSeconds", 60)
    points = _whole(given.get("energy"), "energy", 0)
    since = given.get("energyUpdatedAt")
    since = given.get("updatedAt") if since is None else since
    as_given = {key: given[key] for key in ("energy", "energyUpdatedAt") if key in given}
    if since is None:
        return {**as_given, "changed": False}
    before = Energy(value=points, updated_at=since)
    after = regenerate(before, given["now"], max_energy=ceiling, seconds_per_energy=period)
    if after is before:
        return {**as_given, "changed": False}
    return {"energy": after.value, "energyUpdatedAt": after.updated_at, "changed": True}


def emission_window(given: Given) -> dict[str, object]:
    """Find the window of an arena and league and look whether it is open."""
    config = given["config"]
    hours = {"emissionStartHourUtc": 0, "emissionEndHourUtc": HOURS, **config}
    start, end = (
        parse_hour(hours[name], name) for name in ("emissionStartHourUtc", "emissionEndHourUtc")
    )
    windows = EmissionWindows(
        usual=EmissionWindow(start_hour=start, end_hour=end),
        overrides=parse_overrides(config.get("emissionWindowsUtc", {})),
    )
    window = windows.window_for(given.get("arena", ""), given.get("league", ""))
    return {
        "open": window.is_open(given["now"]),
        "start_hour": window.start_hour,
        "end_hour": window.end_hour,
    }


def idempotency_key(given: Given) -> dict[str, object]:
    """Select the key of a request: body, then header, then the request's own id."""
    request = given.get("req") or {}
    body, headers = request.get("body") or {}, request.get("headers") or {}
    key = select_key(body.get("requestId"), headers.get("x-request-id"), request.get("requestId"))
    return {"key": key or ""}


def init_data(given: Given) -> dict[str, object]:
    """Check one initData text."""
    try:
        identity = verify(
            given["init_data"],
            bot_token=given["bot_token"],
            now_s=given["now"],
            max_age_s=given["max_age"],
        )
    except InitDataRefused:
        return dict(REFUSED)
    return {**ACCEPTED, "user_id": identity.player_id}


def reward(given: Given) -> dict[str, object]:
    """Work out what a score pays, and to whom."""
    configured: dict[str, Any] = {RATES[name]: exact(value) for name, value in given["cfg"].items()}
    rates = RewardRates(**configured)
    points, guild = given["score"], given.get("guild")
    if guild and guild["has_opponent"]:
        points = with_guild_bonus(points, guild_bonus(guild["my_count"], guild["opp_count"]))
    proposal = propose(
        points,
        rates,
        exact(given["mode"].get("rewardMultiplierAiba", 1)),
        exact(given["mode"].get("rewardMultiplierNeur", 1)),
        _bonuses(given),
    )
    split = GuildSplit(player=proposal.neur, leader=0, vault=0)
    if guild:
        split = split_guild_share(proposal.neur, rates)
    found: dict[str, object] = {
        "score": points,
        "multiplier": f"{proposal.multiplier.numerator}/{proposal.multiplier.denominator}",
        "proposed_aiba": proposal.aiba,
        "proposed_neur": proposal.neur,
        "guild_share_neur": split.leader + split.vault,
        "guild_creator_neur": split.leader,
        "guild_vault_neur": split.vault,
        "user_aiba": proposal.aiba,
        "user_neur": split.player,
    }
    if "referrer" in given:
        uses = given["referrer"]["uses"]
        found["referrer_aiba"] = creator_share(proposal.aiba, uses, rates)
        found["referrer_neur"] = creator_share(proposal.neur, uses, rates)
    return found


def token_splits(given: Given) -> dict[str, object]:
    """Divide an amount."""
    config = given.get("config") or {}
    weights = {name: config.get(key, 0) for key, name in _SPLIT.items()}
    parts = split_tokens(given["amount"], **weights)
    return {
        "burn": parts.burn,
        "treasury": parts.treasury,
        "rewards": parts.rewards,
        "staking": parts.staking,
    }


def claims(given: Given) -> dict[str, object]:
    """Write the cells of a claim and sign it.

    Needs the extra `ton`, which no other file does: so what it holds is imported only here.
    """
    from nacl.signing import SigningKey  # noqa: PLC0415 - see above

    from aiba_adapters.signing.local import sign_cell  # noqa: PLC0415 - see above
    from aiba_adapters.ton.addresses import parse  # noqa: PLC0415 - see above
    from aiba_adapters.ton.claim_cell import payload_cell, reward_claim  # noqa: PLC0415 - see above

    key = SigningKey(bytes.fromhex(given["seedHex"]))
    vault, master, recipient = (
        parse(given[name], allow_testnet=True, field=name)
        for name in ("vault", "jettonMaster", "to")
    )
    amount, seqno, valid_until_s = int(given["amount"]), int(given["seqno"]), given["validUntil"]
    payload = payload_cell(
        vault=vault,
        jetton_master=master,
        recipient=recipient,
        amount=amount,
        seqno=seqno,
        valid_until_s=valid_until_s,
    )
    signature = sign_cell(payload, key)
    body = reward_claim(
        recipient=recipient,
        amount=amount,
        seqno=seqno,
        valid_until_s=valid_until_s,
        signature=signature,
    )
    return {
        "payloadBits": payload.bits,
        "payloadBocBase64": payload.boc_base64(),
        "payloadBocNoCrcBase64": b64encode(payload.boc(crc=False)).decode(),
        "payloadBocIdxBase64": b64encode(payload.boc(index=True)).decode(),
        "payloadHashHex": payload.hash.hex(),
        "signatureBase64": b64encode(signature).decode(),
        "publicKeyHex": key.verify_key.encode().hex(),
        "claimBodyBocBase64": body.boc_base64(),
        "claimBodyHashHex": body.hash.hex(),
    }


def signer_interchange(given: Given) -> dict[str, object]:
    """Let a signer's memory take the steps of a case; needs what claims need."""
    from aiba_entry.signer.vectors import run_signer  # noqa: PLC0415 - see `claims`

    return run_signer(given)


def readiness(given: Given) -> dict[str, object]:
    """Judge an environment; needs what the settings need."""
    from aiba_entry.readiness.vectors import run  # noqa: PLC0415 - see `claims`

    return run(given)


RUNNERS: Final[Mapping[str, Runner]] = MappingProxyType(
    {
        "battle_score": battle_score,
        "battle_seed": battle_seed,
        "claims": claims,
        "emission_window": emission_window,
        "energy": energy,
        "idempotency_key": idempotency_key,
        "init_data": init_data,
        "prng": prng,
        "readiness": readiness,
        "reward": reward,
        "signer_interchange": signer_interchange,
        "token_splits": token_splits,
    }
)
"""Every golden file that can be run, by its name without `.json`."""


def _bonuses(given: Given) -> Bonuses:
    boost = given.get("boost")
    factor = exact(boost["multiplier"]) if boost else None
    player = given.get("innovations") or {}
    if not player.get("user"):
        return Bonuses(boost=factor)
    return Bonuses(
        login_streak_days=player["login_streak_days"],
        win_streak=player["battle_win_streak"],
        premium=player["premium_active"],
        invites=player.get("referral_uses", 0),
        boost=factor,
    )


def _double(value: Any) -> Any:  # noqa: ANN401 - whatever else stands there is for the rule to judge
    """Read a decimal as the nearest double, and leave everything else as it is."""
    return float(value) if isinstance(value, Decimal) else value


def _whole(value: object, field: str, absent: int) -> int:
    """Drop the fraction of a number, as the wire reads whole settings; None is absent."""
    if value is None:
        return absent
    if isinstance(value, Decimal):
        return math.floor(value)
    if type(value) is not int:
        raise InvalidInput(field, "integer")
    return value
