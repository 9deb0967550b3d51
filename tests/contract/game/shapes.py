"""The documents of the wire, field by field, as the clients that exist today read them."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final

Shape = Mapping[str, type | tuple[type, ...]]

BROKER: Final[Shape] = {
    "_id": str,
    "__v": int,
    "ownerTelegramId": str,
    "risk": int,
    "intelligence": int,
    "speed": int,
    "specialty": str,
    "level": int,
    "xp": int,
    "energy": int,
    "energyUpdatedAt": str,
    "lastBattleAt": (str, NoneType),
    "cooldowns": dict,
    "anomalyFlags": int,
    "banned": bool,
    "banReason": str,
    "lastRequestId": str,
    "nftCollectionAddress": str,
    "nftItemAddress": str,
    "metadataUri": str,
    "nftItemIndex": (int, NoneType),
    "guildId": (str, NoneType),
    "rentedByTelegramId": str,
    "rentedUntil": (str, NoneType),
    "createdWithTonTxHash": str,
    "createdAt": str,
    "updatedAt": str,
}
BATTLE: Final[Shape] = {
    "_id": str,
    "__v": int,
    "requestId": str,
    "ownerTelegramId": str,
    "brokerId": str,
    "arena": str,
    "league": str,
    "modeKey": str,
    "seedHex": str,
    "score": int,
    "rewardAiba": int,
    "rewardNeur": int,
    "guildShareNeur": int,
    "guildId": (str, NoneType),
    "opponentGuildId": (str, NoneType),
    "anomaly": bool,
    "anomalyReason": str,
    "claim": dict,
    "createdAt": str,
    "updatedAt": str,
}
FOUGHT: Final[Shape] = {
    **BATTLE,
    "starsGranted": int,
    "firstWinDiamond": int,
    "seedEpoch": int,
}
MODE: Final[Shape] = {
    "_id": str,
    "__v": int,
    "key": str,
    "name": str,
    "description": str,
    "enabled": bool,
    "arena": str,
    "league": str,
    "energyCost": int,
    "cooldownSeconds": int,
    "entryNeurCost": int,
    "entryAibaCost": int,
    "rewardMultiplierAiba": (int, float),
    "rewardMultiplierNeur": (int, float),
    "rules": dict,
    "createdAt": str,
    "updatedAt": str,
}
ME: Final[Shape] = {
    "telegramId": str,
    "wallet": str,
    "neurBalance": int,
    "aibaBalance": int,
    "starsBalance": int,
    "diamondsBalance": int,
    "badges": list,
    "economy": dict,
    "profileBoostedUntil": (str, NoneType),
    "schoolId": (str, NoneType),
}
ECONOMY: Final[Mapping[str, int]] = {
    "baseRewardAibaPerScore": 2,
    "baseRewardNeurPerScore": 0,
    "trainNeurCost": 25,
    "repairNeurCost": 15,
    "upgradeAibaCost": 50,
    "combineNeurCost": 50,
    "mintAibaCost": 100,
    "createGroupCostTonNano": 10**9,
    "boostGroupCostTonNano": 10**9,
    "leaderboardTopFreeCreate": 50,
    "createBrokerCostTonNano": 10**9,
    "boostProfileCostTonNano": 10**9,
    "boostProfileDurationDays": 7,
    "giftCostTonNano": 10**9,
    "marketplaceDefaultNewBrokerPriceAIBA": 10,
    "starRewardPerBattle": 1,
    "diamondRewardFirstWin": 1,
    "courseCompletionBadgeMintCostTonNano": 10 * 10**9,
    "fullCourseCompletionCertificateMintCostTonNano": 15 * 10**9,
}
NO_CLAIM: Final[Mapping[str, object]] = {
    "vaultAddress": "",
    "toAddress": "",
    "amount": "",
    "seqno": 0,
    "validUntil": 0,
    "payloadBocBase64": "",
    "signatureBase64": "",
}


def assert_shape(document: Any, shape: Shape) -> None:  # noqa: ANN401 - decoded JSON
    """Raise AssertionError unless a document has exactly the fields of a shape, of their types."""
    assert isinstance(document, dict)
    assert set(document) == set(shape)
    wrong = {
        name: document[name]
        for name, kinds in shape.items()
        if not isinstance(document[name], kinds)
        or (isinstance(document[name], bool) and kinds is int)
    }
    assert wrong == {}
