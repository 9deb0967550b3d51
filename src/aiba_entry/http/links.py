"""What goes on where: links from an answer to the calls that take something out of it.

They stand in the API's description, where clients, generators and testers follow them.
"""

from collections.abc import Iterable, Iterator, Mapping
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


def links(source: str, status: int, pointer: str, field: str, *names: str) -> Iterator[Link]:
    """Yield links to several operations that take the same thing under the same name."""
    for then in names:
        yield Link(source=source, status=status, then=then, takes={field: pointer})


_BROKERS: Final = ("runBattle", "trainBroker", "repairBroker", "upgradeBroker", "mintBroker")
_CLAIM: Final = {
    "to": "/claim/toAddress",
    "seqno": "/claim/seqno",
    "validUntil": "/claim/validUntil",
    "amount": "/claim/amount",
}

LINKS: Final = (
    # A player's brokers, and what is done with one.
    *links("getStarterBroker", 201, "/data/_id", "brokerId", *_BROKERS),
    *links("createBrokerWithTon", 201, "/data/broker/_id", "brokerId", *_BROKERS),
    *links("trainBroker", 200, "/broker/_id", "brokerId", "runBattle"),
    *links("upgradeBroker", 200, "/broker/_id", "brokerId", "runBattle"),
    *links("repairBroker", 200, "/broker/_id", "brokerId", "runBattle"),
    *links("combineBrokers", 200, "/broker/_id", "brokerId", "runBattle"),
    # Battles.
    *links("runBattle", 200, "/data/_id", "battle_id", "getMyBattle"),
    *links("runBattle", 200, "/data/brokerId", "brokerId", "repairBroker"),
    *links("listMyBattles", 200, "/data/next", "before", "listMyBattles"),
    # Withdrawals, and what proves them.
    Link(source="claimAiba", status=200, then="getClaimStatus", takes=_CLAIM),
    *links("claimAiba", 200, "/claim/toAddress", "to", "getLastSeqno"),
    *links("connectWallet", 200, "/data/wallet", "to", "getLastSeqno"),
    *links("listMyClaims", 200, "/data/next", "before", "listMyClaims"),
    *links("getLedgerProof", 200, "/data/older", "checkpoint", "getLedgerProof"),
    # Admins: game modes, the configuration.
    *links("adminMakeMode", 201, "/data/_id", "mode_id", "adminChangeMode", "adminDeleteMode"),
    *links("adminGetConfig", 200, "/data", "", "adminChangeConfig"),
    *links("adminListConfigs", 200, "/data/next", "before", "adminListConfigs"),
    # Admins: moderation, minting, and players' money.
    *links("mintBroker", 201, "/jobId", "job_id", "adminCompleteMint", "adminFailMint"),
    *links("adminBanBroker", 200, "/data/_id", "brokerId", "adminUnbanBroker"),
    *links("adminBanUser", 200, "/data/telegramId", "telegramId", "adminUnbanUser"),
    *links(
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
    *links(
        "addAdmin",
        201,
        "/data/email",
        "email",
        "changeAdmin",
        "resetAdminPassword",
        "revokeAdminTokens",
    ),
)
"""Every link of the description: what each takes is in every such answer, be it null."""


def link(document: Mapping[str, Any], given: Iterable[Link] = LINKS) -> None:
    """Write links into a description, those whose two operations it has.

    Raises KeyError for an answer that the description doesn't have.
    """
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    for each in given:
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
