"""What goes on where: links from an answer to the calls that take something out of it.

They stand in the API's description, where clients, generators and testers follow them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A call that an answer of another is good for.

    `source` and `then` are the names of the operations, `takes` maps fields of the next call to
    JSON pointers into the answer; the field "" is the whole body.
    """

    source: str
    status: int
    then: str
    takes: Mapping[str, str]


def _links(source: str, status: int, pointer: str, field: str, *names: str) -> Iterator[Link]:
    """Yield links to several operations that take the same thing under the same name."""
    for then in names:
        yield Link(source=source, status=status, then=then, takes={field: pointer})


_BROKERS: Final = ("runBattle", "trainBroker", "repairBroker", "upgradeBroker", "mintBroker")
_CLAIM: Final = {
    name: f"/claim/{place}"
    for name, place in (
        ("to", "toAddress"),
        ("seqno", "seqno"),
        ("validUntil", "validUntil"),
        ("amount", "amount"),
    )
}

LINKS: Final = (
    # A player's brokers, and what is done with one.
    *_links("getStarterBroker", 201, "/data/_id", "brokerId", *_BROKERS),
    *_links("listMyBrokers", 200, "/data/0/_id", "brokerId", *_BROKERS),
    *_links("createBrokerWithTon", 201, "/data/broker/_id", "brokerId", *_BROKERS),
    Link(
        source="listMyBrokers",
        status=200,
        then="combineBrokers",
        takes={"baseBrokerId": "/data/0/_id", "sacrificeBrokerId": "/data/1/_id"},
    ),
    *_links("trainBroker", 200, "/broker/_id", "brokerId", "runBattle"),
    *_links("upgradeBroker", 200, "/broker/_id", "brokerId", "runBattle"),
    *_links("repairBroker", 200, "/broker/_id", "brokerId", "runBattle"),
    *_links("combineBrokers", 200, "/broker/_id", "brokerId", "runBattle"),
    # Battles.
    *_links("listGameModes", 200, "/data/0/key", "modeKey", "runBattle"),
    *_links("runBattle", 200, "/data/_id", "battle_id", "getMyBattle"),
    *_links("runBattle", 200, "/data/brokerId", "brokerId", "repairBroker"),
    *_links("listMyBattles", 200, "/data/items/0/_id", "battle_id", "getMyBattle"),
    *_links("listMyBattles", 200, "/data/next", "before", "listMyBattles"),
    # Withdrawals.
    Link(source="claimAiba", status=200, then="getClaimStatus", takes=_CLAIM),
    *_links("claimAiba", 200, "/claim/toAddress", "to", "getLastSeqno"),
    *_links("connectWallet", 200, "/data/wallet", "to", "getLastSeqno"),
    *_links("listMyClaims", 200, "/data/next", "before", "listMyClaims"),
    Link(
        source="listMyClaims",
        status=200,
        then="getClaimStatus",
        takes={name: f"/data/items/0{place}" for name, place in _CLAIM.items()},
    ),
    # Admins: game modes, the configuration.
    *_links("adminMakeMode", 201, "/data/_id", "mode_id", "adminChangeMode", "adminDeleteMode"),
    *_links("adminListModes", 200, "/data/0/_id", "mode_id", "adminChangeMode", "adminDeleteMode"),
    *_links("adminGetConfig", 200, "/data", "", "adminChangeConfig"),
    *_links("adminListConfigs", 200, "/data/next", "before", "adminListConfigs"),
    # Admins: brokers and their minting.
    *_links("adminListBrokers", 200, "/data/0/_id", "broker_id", "adminLinkNft"),
    *_links("adminListBrokers", 200, "/data/0/_id", "brokerId", "adminBanBroker"),
    *_links("adminListBrokers", 200, "/data/0/ownerTelegramId", "telegramId", "adminGetUser"),
    *_links("mintBroker", 201, "/jobId", "job_id", "adminCompleteMint", "adminFailMint"),
    *_links(
        "adminListMintJobs", 200, "/data/0/_id", "job_id", "adminCompleteMint", "adminFailMint"
    ),
    # Admins: moderation, and players' money.
    *_links("adminListFlaggedBrokers", 200, "/data/0/_id", "brokerId", "adminBanBroker"),
    *_links("adminListAnomalies", 200, "/data/0/brokerId", "brokerId", "adminBanBroker"),
    *_links("adminBanBroker", 200, "/data/_id", "brokerId", "adminUnbanBroker"),
    *_links("adminListFlaggedUsers", 200, "/data/0/telegramId", "telegramId", "adminBanUser"),
    *_links("adminBanUser", 200, "/data/telegramId", "telegramId", "adminUnbanUser"),
    *_links(
        "adminGetUser",
        200,
        "/data/telegramId",
        "telegramId",
        "adminBanUser",
        "adminCreditUser",
        "adminListLedger",
        "adminSetBadges",
    ),
    # Admins themselves.
    *_links(
        "addAdmin",
        201,
        "/data/email",
        "email",
        "changeAdmin",
        "resetAdminPassword",
        "revokeAdminTokens",
    ),
)
"""Every link of the description."""


def link(document: Mapping[str, Any]) -> None:
    """Write the links into a description, those whose two operations it has.

    Raises KeyError for an answer that the description doesn't have.
    """
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    for each in LINKS:
        if each.source in operations and each.then in operations:
            answer = operations[each.source]["responses"][str(each.status)]
            answer.setdefault("links", {})[each.then] = _told(each, operations[each.then])


def _told(each: Link, then: Mapping[str, Any]) -> dict[str, Any]:
    """Return a link as the description writes it: parameters by name, all else in the body."""
    parameters = {parameter["name"] for parameter in then.get("parameters", ())}
    told: dict[str, Any] = {"operationId": each.then}
    for field, pointer in each.takes.items():
        value = f"$response.body#{pointer}"
        if not field:
            told["requestBody"] = value
        else:
            part = "parameters" if field in parameters else "requestBody"
            told.setdefault(part, {})[field] = value
    return told
