"""The first look at a deployment: whether it can be judged at all, and what it can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from aiba_domain.testing.contracts.suite import Capability
from aiba_entry.conformance.answers import Answer, Json
from aiba_entry.conformance.deployment import (
    BALANCES,
    INIT_DATA,
    PAID,
    Deployment,
    NoAnswer,
    Player,
)

CAPABILITIES: Final[Mapping[Capability, str]] = {
    Capability.SESSIONS: "launch data is exchanged for a session (`POST /api/auth/session`)",
    Capability.BATTLES: "a mode is open to newcomers, for a starter's energy and no fee",
    Capability.HISTORY: "battles are listed (`GET /api/battles`)",
    Capability.RECEIPTS: "battles have receipts, epochs commitments (`GET /api/fairness`)",
    Capability.FUNDS: "the day's reward pays for a training and a repair",
    Capability.LIMITS: "answers say what of a limit remains (`X-RateLimit-*`)",
    Capability.WALLETS: "a wallet is bound by ton_proof; found with `--wallet-domain`",
    Capability.VAULT: "AIBA can be withdrawn; found with a vault that answers, and `wallets`",
    Capability.DAILY_CAPS: "the most that a day emits is told with `--daily-cap`",
    Capability.ROTATION: "the seed epoch can be ended with `--rotate-command`",
}
"""What a deployment may be able to do beyond the core of the API, and how that is seen."""

_FORBIDDEN: Final = (401, 403)
_ROOKIE_LEVEL: Final = 1


class Unusable(Exception):  # noqa: N818 - the state of a deployment, which can't be judged
    """There is nothing to judge: no answer, another service, or a bot token that isn't its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a deployment is: its version as it tells, "" if it doesn't, and what it can do."""

    version: str
    capabilities: frozenset[Capability]


def scout(deployment: Deployment) -> Found:
    """Look at a deployment as one throw-away player. Raises Unusable."""
    try:
        modes = _this_api(deployment)
        player = deployment.newcomer()
        me = _admitted(player)
        found = frozenset(_capabilities(deployment, player, me, modes))
        return Found(version=_version(deployment), capabilities=found)
    except NoAnswer as fault:
        raise Unusable(f"{deployment.name} can't be reached: {fault}") from None
    except pytest.skip.Exception as spent:
        raise Unusable(f"the bounds don't allow a first look: {spent}") from None


def _this_api(deployment: Deployment) -> list[Json]:
    """Return the modes, which anyone may read, or say that this isn't the API."""
    answer = deployment.get("/api/game-modes")
    try:
        body = answer.body
    except AssertionError:
        body = None
    modes = body.get("data") if isinstance(body, dict) and body.get("ok") is True else None
    if not isinstance(modes, list) or not all(isinstance(mode, dict) for mode in modes):
        raise Unusable(
            f"{deployment.name} is not this API: GET /api/game-modes owes"
            f" {{ok: true, data: [...]}}\n{answer.shown()}"
        )
    deployment.set_clock_by(answer)
    return modes


def _admitted(player: Player) -> Json:
    """Return the player's economy document, or say that the bot token isn't this deployment's."""
    answer = player.get("/api/economy/me")
    if answer.status in _FORBIDDEN:
        raise Unusable(
            f"{player.deployment.name} refuses the bot token: launch data signed with it is"
            f" answered {answer.status} {answer.code!r}. Give the token of the bot that this"
            f" deployment belongs to.\n{answer.shown()}"
        )
    body = answer.body if answer.is_granted else None
    me = body.get("data") if isinstance(body, dict) else None
    needed = ("telegramId", "economy", *BALANCES.values())
    if not isinstance(me, dict) or not all(name in me for name in needed):
        raise Unusable(
            f"{player.deployment.name} is not this API: GET /api/economy/me owes the balances"
            f" under `data`\n{answer.shown()}"
        )
    return me


def _capabilities(
    deployment: Deployment, player: Player, me: Json, modes: list[Json]
) -> list[Capability]:
    looks = {
        Capability.SESSIONS: _is_there(
            player.post("/api/auth/session", initData=player.headers()[INIT_DATA])
        ),
        Capability.BATTLES: _has_open_modes(deployment, player, modes),
        Capability.HISTORY: _is_there(player.get("/api/battles")),
        Capability.RECEIPTS: _promises(deployment),
        Capability.FUNDS: _pays(player, me),
        Capability.LIMITS: "x-ratelimit-limit" in player.get("/api/economy/me").headers,
        Capability.DAILY_CAPS: bool(deployment.terms.daily_caps),
        Capability.ROTATION: deployment.terms.rotate is not None,
    }
    found = [capability for capability, is_there in looks.items() if is_there]
    deployment.opens_sessions = Capability.SESSIONS in found
    if deployment.terms.wallet_domain and _is_there(player.get("/api/wallet/proof-payload")):
        found.append(Capability.WALLETS)
        if Capability.BATTLES in found and _is_there(deployment.get("/api/vault/inventory")):
            found.append(Capability.VAULT)
    if Capability.RECEIPTS not in found or Capability.BATTLES not in found:
        found = [each for each in found if each is not Capability.ROTATION]
    return found


def _is_there(answer: Answer) -> bool:
    return answer.is_granted


def _has_open_modes(deployment: Deployment, player: Player, modes: list[Json]) -> bool:
    """Note the modes that a newcomer's broker can fight in, the cheapest first."""
    made = player.post("/api/brokers/starter")
    body = made.body if made.is_granted else {}
    broker = body.get("data") if isinstance(body, dict) else None
    energy = broker.get("energy", 0) if isinstance(broker, dict) else 0
    open_modes = [mode for mode in modes if _is_open(mode) and mode["energyCost"] <= energy]
    deployment.modes = sorted(open_modes, key=lambda mode: (mode["energyCost"], mode["key"]))
    return bool(open_modes)


def _is_open(mode: Json) -> bool:
    rules = mode.get("rules") or {}
    league, fees = mode.get("league"), ("entryNeurCost", "entryAibaCost")
    level = rules.get("minBrokerLevel", _ROOKIE_LEVEL if league == "rookie" else None)
    return (
        mode.get("arena") != "guildWars"
        and not rules.get("requiresGuild")
        and level == _ROOKIE_LEVEL
        and not any(mode.get(fee) for fee in fees)
    )


def _promises(deployment: Deployment) -> bool:
    """Note the commitments as they are published now; they must be the same at the end."""
    answer = deployment.get("/api/fairness")
    body = answer.body if answer.is_granted else {}
    data = body.get("data") if isinstance(body, dict) else None
    epochs = data.get("epochs") if isinstance(data, dict) else None
    if not isinstance(epochs, list):
        return False
    deployment.promised = {epoch["number"]: epoch["commitment"] for epoch in epochs}
    return bool(epochs)


def _pays(player: Player, me: Json) -> bool:
    """Tell whether the day's reward pays for what the properties buy."""
    answer = player.daily()
    body = answer.body if answer.is_granted else {}
    reward = body.get("neurReward", 0) if isinstance(body, dict) else 0
    prices = [me["economy"].get(PAID[deed][1], 0) for deed in ("train", "repair")]
    return all(price > 0 for price in prices) and reward >= sum(prices)


def _version(deployment: Deployment) -> str:
    """Return the version that the deployment tells, in `/health` or its own description."""
    health, description = (_told(deployment, path) for path in ("/health", "/openapi.json"))
    info = description.get("info")
    versions = [health.get("version"), info.get("version") if isinstance(info, dict) else None]
    return next((each for each in versions if isinstance(each, str) and each), "")


def _told(deployment: Deployment, path: str) -> Mapping[str, Json]:
    answer = deployment.get(path)
    try:
        body = answer.body if answer.is_granted else None
    except AssertionError:
        return {}
    return body if isinstance(body, dict) else {}
