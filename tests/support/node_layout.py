"""A database of the service before, in its own layout: a rich sound one, and faults to plant.

Each fault is named for the finding that it must lead to, so that no kind goes without a case.
"""

import base64
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import bson
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from aiba_adapters.legacy.rows import SnapshotLost
from aiba_domain.legacy.findings import Code

Rows = dict[str, list[dict[str, Any]]]

VAULT: Final = "0:" + "a1" * 32
MASTER: Final = "0:" + "b2" * 32
WALLETS: Final = tuple(f"0:{n:064x}" for n in range(1, 9))
START: Final = dt.datetime(2026, 1, 10, 9, 0, tzinfo=dt.UTC)
SIGNATURE: Final = base64.b64encode(bytes(range(64))).decode()
PAYLOAD: Final = base64.b64encode(b"a cell's bytes").decode()
HASH: Final = "c3" * 32
NAMES: Final = ("100", "101", "102", "103", "104", "105")


def oid(kind: int, number: int) -> ObjectId:
    """Return an id of a row: the second of `START`, then what it is of."""
    second = int(START.timestamp()) + number
    return ObjectId(f"{second:08x}{kind:08x}{number:08x}")


def at(minutes: int) -> dt.datetime:
    """Return an instant some minutes after `START`."""
    return START + dt.timedelta(minutes=minutes)


def stamped(kind: int, number: int, **fields: Any) -> dict[str, Any]:
    """Return a row as the service before has stored it."""
    made = at(number)
    return {"_id": oid(kind, number), **fields, "createdAt": made, "updatedAt": made, "__v": 0}


def user(number: int, telegram_id: object, **fields: Any) -> dict[str, Any]:
    """Return a user row with its defaults."""
    return stamped(
        1,
        number,
        **{
            "telegramId": telegram_id,
            "username": f"name{number}",
            "telegram": {"username": f"name{number}", "firstName": "A", "lastName": ""},
            "lastSeenAt": at(number + 60),
            "loginStreakDays": 3,
            "lastLoginStreakDate": "2026-01-10",
            "battleWinStreak": 2,
            "aibaBalance": 0.0,
            "neurBalance": 0.0,
            "starsBalance": 0,
            "diamondsBalance": 0,
            "pendingAIBA": 0,
            "wallet": "",
            "badges": [],
            "roles": [],
            "anomalyFlags": 0,
            "bannedUntil": None,
            "vaultClaimSeqno": 0,
            **fields,
        },
    )


def broker(number: int, owner: str, **fields: Any) -> dict[str, Any]:
    """Return a broker row."""
    return stamped(
        2,
        number,
        **{
            "ownerTelegramId": owner,
            "risk": 40 + number,
            "intelligence": 60,
            "speed": 55,
            "specialty": "crypto",
            "level": 2,
            "xp": 20,
            "energy": 7,
            "energyUpdatedAt": at(100),
            "lastBattleAt": at(90),
            "cooldowns": {"prediction": at(90)},
            "anomalyFlags": 1,
            "banned": False,
            "guildId": None,
            "nftItemAddress": "",
            "createdWithTonTxHash": "",
            **fields,
        },
    )


def movement(number: int, owner: object, amount: object, **fields: Any) -> dict[str, Any]:
    """Return a ledger row: a credit of AIBA, unless `fields` say otherwise."""
    return stamped(
        4,
        number,
        **{
            "telegramId": owner,
            "currency": "AIBA",
            "direction": "credit",
            "amount": amount,
            "reason": "battle_reward",
            "arena": "prediction",
            "league": "rookie",
            "sourceType": "battle",
            "sourceId": f"req-{number}",
            "requestId": f"req-{number}",
            "battleId": None,
            "applied": True,
            "meta": {},
            **fields,
        },
    )


def claim(seqno: int, amount: int, to: str, **fields: Any) -> dict[str, Any]:
    """Return a claim as it is stored with a ledger row or a battle."""
    return {
        "vaultAddress": VAULT,
        "toAddress": to,
        "amount": str(amount),
        "seqno": seqno,
        "validUntil": int(at(700).timestamp()),
        "signatureBase64": SIGNATURE,
        "payloadBocBase64": PAYLOAD,
        **fields,
    }


def withdrawal(number: int, owner: str, amount: int, told: object) -> dict[str, Any]:
    """Return the ledger row of a withdrawal."""
    return movement(
        number,
        owner,
        amount,
        direction="debit",
        reason="withdraw_to_chain",
        arena="vault",
        league="global",
        sourceType="aiba_claim",
        sourceId=f"claim-{number}",
        meta={"claim": told},
    )


def battle(number: int, owner: object, of: ObjectId | str, **fields: Any) -> dict[str, Any]:
    """Return a battle row."""
    return stamped(
        3,
        number,
        **{
            "requestId": f"fight-{number}",
            "ownerTelegramId": owner,
            "brokerId": of,
            "arena": "prediction",
            "league": "rookie",
            "modeKey": "prediction",
            "seedHex": f"{number:064x}",
            "score": 60 + number,
            "rewardAiba": 120,
            "rewardNeur": 0,
            "guildShareNeur": 0,
            "guildId": None,
            "anomaly": False,
            "claim": {"vaultAddress": "", "toAddress": "", "seqno": 0, "validUntil": 0},
            **fields,
        },
    )


def sound() -> Rows:
    """Return a database in which nothing needs a decision; balances are its ledger's sums."""
    rows: Rows = {
        "users": [user(n, name) for n, name in enumerate(NAMES)],
        "brokers": [broker(n, name) for n, name in enumerate(NAMES[:4])],
        "ledgerentries": [movement(n, name, 1_000 + n) for n, name in enumerate(NAMES)],
    }
    ledger = rows["ledgerentries"]
    ledger += [movement(20 + n, name, 500, currency="NEUR") for n, name in enumerate(NAMES)]
    ledger += [
        movement(30, "100", 3, currency="STARS"),
        movement(31, "100", 1, currency="DIAMONDS"),
    ]
    ledger.append(
        movement(
            40,
            "100",
            25,
            currency="NEUR",
            direction="debit",
            reason="train",
            sourceType="broker_train",
            sourceId="train-1",
        )
    )
    ledger += [
        withdrawal(50, "101", 100, claim(1, 100, WALLETS[1])),
        withdrawal(51, "101", 200, claim(2, 200, WALLETS[1])),
        withdrawal(52, "102", 300, claim(1, 300, WALLETS[2])),
    ]
    auto = withdrawal(53, "103", 120, {**claim(1, 120, WALLETS[3]), "signatureBase64": ""})
    auto |= {"sourceType": "battle_auto_claim", "sourceId": "fight-3"}
    ledger.append(auto)
    _settle(rows)
    rows["users"][0] |= {"wallet": WALLETS[0], "badges": ["top_leader"], "pendingAIBA": 7}
    rows["users"][5] |= {"bannedUntil": at(10**6), "bannedReason": "botting", "anomalyFlags": 9}
    rows["brokers"][1]["createdWithTonTxHash"] = HASH
    rows["brokers"][2] |= {"banned": True, "banReason": "auto-banned (anomaly threshold)"}
    rows["brokers"][3] |= {"nftItemAddress": WALLETS[7], "nftItemIndex": 4}
    rows["battles"] = [
        battle(n, name, rows["brokers"][n % 4]["_id"]) for n, name in enumerate(NAMES[:4])
    ]
    rows["battles"][3]["claim"] = claim(1, 120, WALLETS[3])
    return rows | _world(rows)


def _settle(rows: Rows) -> None:
    """Let each balance be what the ledger's rows come to."""
    fields = {"AIBA": "aibaBalance", "NEUR": "neurBalance", "STARS": "starsBalance"}
    fields["DIAMONDS"] = "diamondsBalance"
    for each in rows["users"]:
        for row in rows["ledgerentries"]:
            if row["telegramId"] == each["telegramId"]:
                sign = 1 if row["direction"] == "credit" else -1
                each[fields[row["currency"]]] += sign * row["amount"]


def _world(rows: Rows) -> Rows:
    guild = stamped(5, 0, name="Wolves", ownerTelegramId="100", active=True, vaultNeur=80.0)
    guild |= {"members": [{"telegramId": "100"}, {"telegramId": "101"}], "vaultAiba": 0}
    guild |= {"boostTxHashes": ["d4" * 32], "paidCreateTxHash": "", "bio": "we howl"}
    rows["brokers"][0]["guildId"] = guild["_id"]
    mode = stamped(6, 0, key="prediction", name="Prediction", arena="prediction", league="rookie")
    mode |= {"enabled": True, "energyCost": 12, "cooldownSeconds": 30, "rewardMultiplierAiba": 1.5}
    listing = stamped(7, 0, brokerId=rows["brokers"][1]["_id"], sellerTelegramId="101")
    day = stamped(10, 0, day="2026-01-10", emittedAiba=6_015, emittedNeur=3_000, burnedAiba=0)
    day |= {"spentNeur": 25, "spentNeurByReason": {"train": 25}}
    day |= {"emittedAibaByArena": {"prediction": 5_000}}
    return {
        "guilds": [guild],
        "gamemodes": [mode | {"rules": {"minBrokerLevel": 1.0}}],
        "listings": [listing | {"priceAIBA": 50, "priceNEUR": 0, "status": "active"}],
        "economyconfigs": [stamped(8, 0, dailyCapAiba=2_000_000, trainNeurCost=30.0)],
        "treasuries": [stamped(9, 0, balanceAiba=5_000, balanceNeur=0, totalPaidOutAiba=12)],
        "stabilityreserves": [stamped(9, 1, aibaBalance=10, neurBalance=20, tonBalanceNano="5")],
        "buybackpools": [stamped(9, 2, aibaBalance=30, neurBalance=0, totalBoughtBackAiba=3)],
        "economydays": [day],
        "stakings": [stamped(11, 0, telegramId="104", amount=400, lockedAt=at(5))],
        "stakinglocks": [
            stamped(12, 0, telegramId="104", amount=50, status="active", periodDays=30),
            stamped(12, 1, telegramId="104", amount=60, status="unlocked", periodDays=30),
        ],
        "usedtontxhashes": [
            stamped(13, 0, txHash="e5" * 32, purpose="gift", ownerTelegramId="100")
        ],
        "gifts": [stamped(14, 0, fromTelegramId="100", toTelegramId="101", txHash="e5" * 32)],
        "boosts": [stamped(15, 0, telegramId="102", multiplier=1.2, meta={"txHash": "f6" * 32})],
        "brokermintjobs": [mint_job(0, "pending")],
        "referrals": [stamped(16, 0, code="ABC", ownerTelegramId="100", uses=2)],
        "referraluses": [stamped(17, 0, code="ABC", refereeTelegramId="101")],
        "adminaudits": [stamped(18, 0, adminEmail="op@example.org", path="/x", body={})],
        "actionrunkeys": [stamped(19, 0, scope="broker_train", requestId="train-1")],
    }


def mint_job(number: int, status: str) -> dict[str, Any]:
    """Return a mint job of the first broker."""
    paid = {"brokerId": oid(2, 0), "telegramId": "100", "aibaPaid": 100, "completedAt": None}
    return stamped(20, number, status=status, **paid)


Fault = Callable[[Rows], object]
FAULTS: dict[Code, list[Fault]] = {}
"""What to do to sound rows so that a finding of the kind is due."""


def fault(code: Code) -> Callable[[Fault], Fault]:
    """Name the finding that a fault leads to."""

    def keep(plant: Fault) -> Fault:
        FAULTS.setdefault(code, []).append(plant)
        return plant

    return keep


def _set(code: Code, collection: str, number: int, **fields: Any) -> None:
    """Declare a fault that is some fields of one row."""
    FAULTS.setdefault(code, []).append(lambda rows: rows[collection][number].update(fields))


def _add(code: Code, collection: str, make: Callable[[], dict[str, Any]]) -> None:
    """Declare a fault that is one row more."""
    FAULTS.setdefault(code, []).append(lambda rows: rows.setdefault(collection, []).append(make()))


def _declare_faults() -> None:
    wild: Any = ObjectId("65a0000000000000000000ff")
    _add(Code.USER_TWICE, "users", lambda: user(60, "100", aibaBalance=-400))
    _set(Code.USER_ID_NUMBER, "users", 2, telegramId=Int64(102))
    FAULTS[Code.USER_ID_CASE] = [
        lambda rows: rows["users"].extend((user(61, "Tester"), user(62, "tester")))
    ]
    _add(Code.USER_ID_MISSING, "users", lambda: user(63, None, aibaBalance=40, neurBalance=-2))
    _add(Code.USER_ID_UNUSUAL, "users", lambda: user(64, "dev-user"))
    _set(Code.BALANCE_NEGATIVE, "users", 3, neurBalance=-1_000_000)
    _set(Code.BALANCE_FRACTION, "users", 3, neurBalance=499.75)
    _set(Code.BALANCE_FRACTION, "users", 3, neurBalance=Decimal128("-3.5"))
    _set(Code.BALANCE_INEXACT, "users", 3, starsBalance=2.0**60)
    _set(Code.BALANCE_NO_NUMBER, "users", 3, aibaBalance=float("nan"))
    _set(Code.BALANCE_NO_NUMBER, "treasuries", 0, balanceAiba="lots")
    _set(Code.BALANCE_TOO_LARGE, "users", 3, neurBalance=1e300)
    FAULTS[Code.TOTAL_TOO_LARGE] = [
        lambda rows: [each.update(neurBalance=2.0**62) for each in rows["users"][:2]]
    ]
    _set(Code.BROKER_NO_OWNER, "brokers", 0, ownerTelegramId="  ")
    _add(Code.BROKER_NO_USER, "brokers", lambda: broker(65, "999"))
    _set(Code.BATTLE_NO_OWNER, "battles", 0, ownerTelegramId=None)
    _add(Code.BATTLE_NO_USER, "battles", lambda: battle(66, "998", wild))
    _add(Code.BATTLE_NO_BROKER, "battles", lambda: battle(67, "100", wild))
    _set(Code.BATTLE_FOREIGN_BROKER, "battles", 0, ownerTelegramId="101")
    _add(Code.BATTLE_REQUEST_TWICE, "battles", lambda: battle(68, "100", wild, requestId="fight-0"))


def _declare_other_faults() -> None:
    _add(Code.LEDGER_NO_USER, "ledgerentries", lambda: movement(69, "997", 5))
    _set(Code.LEDGER_MALFORMED, "ledgerentries", 0, currency="GOLD")
    _set(Code.LEDGER_MALFORMED, "ledgerentries", 0, amount=float("inf"))
    _add(Code.LEDGER_NOT_APPLIED, "ledgerentries", lambda: movement(70, "100", 9, applied=False))
    _add(Code.LEDGER_ZERO, "ledgerentries", lambda: movement(71, "100", 0))
    _set(Code.LEDGER_FRACTION, "ledgerentries", 0, amount=1_000.5)
    _add(Code.LEDGER_TWICE, "ledgerentries", lambda: movement(72, "100", 5, sourceId="req-0"))
    _set(Code.LEDGER_SUM, "users", 1, neurBalance=777)
    _add(Code.MONEY_NO_USER, "stakings", lambda: stamped(11, 73, telegramId="996", amount=5))
    _set(Code.TX_HASH_TWICE, "brokers", 0, createdWithTonTxHash="e5" * 32)
    _set(Code.TX_HASH_TWICE, "brokers", 0, createdWithTonTxHash=HASH.upper())
    _set(Code.TX_HASH_MALFORMED, "boosts", 0, meta={"txHash": "my-payment"})
    _set(Code.NFT_TWICE, "brokers", 0, nftItemAddress=WALLETS[7])
    _add(Code.MINT_TWICE, "brokermintjobs", lambda: mint_job(1, "minting"))
    _set(Code.WALLET_SHARED, "users", 1, wallet=WALLETS[0])
    _add(Code.SINGLE_TWICE, "treasuries", lambda: stamped(9, 9, balanceAiba=1, balanceNeur=2))
    _add(Code.SINGLE_TWICE, "economyconfigs", lambda: stamped(8, 9, dailyCapAiba=1))
    _set(Code.CONFIG_RANGE, "economyconfigs", 0, giftCostTonNano=0.5)
    _set(Code.CONFIG_RANGE, "economyconfigs", 0, baseRewardAibaPerScore="much")
    _set(Code.MODE_REFUSED, "gamemodes", 0, rules={"varianceBase": -4})
    _set(Code.LISTING_STALE, "listings", 0, sellerTelegramId="105")
    _set(Code.DAY_MALFORMED, "economydays", 0, day="yesterday")
    _add(Code.KEY_TWICE, "economydays", lambda: stamped(10, 9, day="2026-01-10", spentNeur=4))
    _set(Code.ENUM_UNKNOWN, "listings", 0, status="paused")
    _set(Code.WRONG_TYPE, "brokers", 0, level="two")
    _set(Code.OUT_OF_RANGE, "brokers", 0, speed=250)
    FAULTS[Code.FIELD_MISSING] = [lambda rows: rows["users"][4].pop("diamondsBalance")]
    _set(Code.ID_MALFORMED, "brokers", 0, _id="broker-zero")
    _set(Code.ID_MALFORMED, "guilds", 0, _id=7)
    _add(Code.COLLECTION_UNKNOWN, "tournaments", lambda: stamped(21, 0, name="Cup"))


def _declare_claim_faults() -> None:
    def last(owner: str, number: int, told: object, amount: int = 300) -> Fault:
        return lambda rows: rows["ledgerentries"].append(withdrawal(number, owner, amount, told))

    FAULTS[Code.CLAIM_MALFORMED] = [
        last("100", 80, None),
        last("100", 84, claim(0, 300, WALLETS[0])),
        last("100", 85, claim(3, 300, "my wallet")),
    ]
    FAULTS[Code.CLAIM_SEQNO_TWICE] = [last("104", 81, claim(1, 300, WALLETS[2]))]
    FAULTS[Code.CLAIM_AMOUNT_DIFFERS] = [last("104", 82, claim(1, 301, WALLETS[4]))]
    FAULTS[Code.CLAIM_UNSIGNED] = [
        last("104", 83, {**claim(1, 300, WALLETS[4]), "signatureBase64": "AAAA"})
    ]
    _set(Code.CLAIM_ABOVE_BALANCE, "users", 2, aibaBalance=-50)
    _set(Code.CLAIM_NO_LEDGER, "battles", 0, claim=claim(1, 120, WALLETS[5]))


_declare_faults()
_declare_other_faults()
_declare_claim_faults()


def planted(*codes: Code) -> Rows:
    """Return sound rows with every fault of some kinds in them."""
    rows = sound()
    for code in codes:
        for plant in FAULTS.get(code, ()):
            plant(rows)
    return rows


def write(uri: str, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write rows into a database; a collection without rows is not made."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        for name, documents in rows.items():
            if documents:
                database[name].insert_many(documents)


class MemorySource:
    """A source without a server. `moves` is called before the second reading.

    `forgets` is after how many rows a server would have forgotten its snapshot.
    """

    def __init__(
        self,
        rows: Rows,
        moves: Callable[[Rows], object] | None = None,
        *,
        forgets: int | None = None,
    ) -> None:
        """Serve rows."""
        self._rows = rows
        self._moves = moves
        self._left = forgets
        self._is_snapshot = True

    @property
    def is_snapshot(self) -> bool:
        """Whether it hasn't let go."""
        return self._is_snapshot

    def begin(self) -> None:
        """Begin."""

    def collections(self) -> Mapping[str, int]:
        """Count."""
        return {name: len(rows) for name, rows in self._rows.items()}

    def rows(self, collection: str) -> Iterator[bytes]:
        """Serve a collection by `_id`, as a server orders ids of one type."""
        rows = sorted(self._rows[collection], key=lambda row: str(row["_id"]))
        for row in rows:
            if self._left is not None and self._is_snapshot:
                self._left -= 1
                if self._left < 0:
                    raise SnapshotLost
            yield bson.encode(row)

    def release(self) -> None:
        """Let the rows move."""
        self._is_snapshot = False
        if self._moves is not None:
            self._moves(self._rows)
