"""A receipt's written form, and that every refusal and every lie in one is named by its path."""

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.engine import (
    Fighter,
    ModeRules,
)
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.battle.receipt import (
    BattleInputs,
    Emission,
    GuildMatch,
    Mismatch,
    Receipt,
    battle_id,
    from_json,
    replay_score,
    resolve,
    to_json,
    verify,
)
from aiba_domain.battle.seed import SeedKey
from aiba_domain.economy.rewards import Bonuses, RewardRates
from aiba_domain.errors import InvalidInput
from tests.unit.battles import COMMITMENT, EPOCH, SECRET, battles, fight, matches

Json = dict[str, Any]

INPUTS = BattleInputs(
    battle_id=battle_id("42", "req-1", 1_767_268_800_123),
    player_id="42",
    broker_id="b" * 24,
    request_id="req-1",
    at=1_767_268_800_123,
    epoch=EPOCH,
    commitment=COMMITMENT,
    fighter=Fighter(intelligence=61, speed=62.5, risk=63, level=7),
    mode=ModeTerms(
        key="war",
        arena="guildWars",
        league="pro",
        energy_cost=11,
        cooldown_seconds=12,
        entry_neur=13,
        entry_aiba=14,
        reward_multiplier_aiba=Fraction(3, 2),
        reward_multiplier_neur=Fraction(25, 24),
        rules=ModeRules(requires_guild=True, min_broker_level=2, variance_base=5),
    ),
    guild=GuildMatch(
        my_id="c" * 24, my_count=5, their_id="d" * 24, their_count=3, has_leader=False
    ),
    policy_version=15,
    rates=RewardRates(neur_per_score=Fraction(1, 3)),
    bonuses=Bonuses(
        login_streak_days=3, win_streak=2, premium=True, invites=4, boost=Fraction(6, 5)
    ),
    anomaly_limit=220,
)
RECEIPT = fight(INPUTS, aiba=Emission.GRANTED, neur=Emission.CAP_EXCEEDED)


def written() -> Json:
    """Return the receipt as JSON that may be changed."""
    entry: Json = json.loads(json.dumps(to_json(RECEIPT)))
    return entry


def places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """List the paths of all parts, objects and their leaves alike."""
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))


def at(entry: Json, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return the part at a path."""
    part: Any = entry
    for key in path:
        part = part[key]
    return part


OBJECTS = [path for path in places(written()) if isinstance(at(written(), path), dict)]
LEAVES = [path for path in places(written()) if not isinstance(at(written(), path), dict)]
RULES = ("inputs", "mode", "rules")


def refusal(entry: object) -> tuple[str, str]:
    """Read a receipt that must be refused; return the field and the reason."""
    with pytest.raises(InvalidInput) as refused:
        from_json(entry)
    return refused.value.field, refused.value.reason


def named(path: tuple[str, ...]) -> str:
    """Return how a refusal names a part."""
    return ".".join(("receipt", *path))


def test_the_written_form_of_a_receipt_never_changes() -> None:
    """Receipts are kept for ever and verified elsewhere: names, order, and how numbers are put."""
    assert json.dumps(to_json(RECEIPT)["inputs"]) == json.dumps(
        {
            "battleId": INPUTS.battle_id,
            "playerId": "42",
            "brokerId": "b" * 24,
            "requestId": "req-1",
            "at": 1_767_268_800_123,
            "epoch": EPOCH,
            "commitment": COMMITMENT,
            "fighter": {"intelligence": 61, "speed": 62.5, "risk": 63, "level": 7},
            "mode": {
                "key": "war",
                "arena": "guildWars",
                "league": "pro",
                "energyCost": 11,
                "cooldownSeconds": 12,
                "entryNeur": 13,
                "entryAiba": 14,
                "rewardMultiplierAiba": "1.5",
                "rewardMultiplierNeur": "25/24",
                "rules": {"requiresGuild": True, "minBrokerLevel": 2, "varianceBase": 5},
            },
            "guild": {
                "myId": "c" * 24,
                "myCount": 5,
                "theirId": "d" * 24,
                "theirCount": 3,
                "hasLeader": False,
            },
            "policyVersion": 15,
            "rates": {
                "aibaPerScore": "2",
                "neurPerScore": "1/3",
                "streakMultiplierAt7Days": "1.25",
                "streakMultiplierAt30Days": "1.5",
                "streakCapMultiplier": "2",
                "winStreakBonusBps": "100",
                "premiumMultiplier": "2",
                "inviteBonusBps": "100",
                "guildCreatorShareBps": "100",
                "creatorPercentBps": "200",
                "creatorTier100Bps": "300",
                "creatorTier1000Bps": "500",
                "creatorTier10000Bps": "700",
                "starsPerWin": 1,
                "diamondsFirstWin": 1,
            },
            "bonuses": {
                "loginStreakDays": 3,
                "winStreak": 2,
                "premium": True,
                "invites": 4,
                "boost": "1.2",
            },
            "anomalyLimit": 220,
        }
    )
    outcome, grant = RECEIPT.outcome, RECEIPT.grant
    assert json.dumps(to_json(RECEIPT)["outcome"]) == json.dumps(
        {
            "seedHex": outcome.seed_hex,
            "draw": outcome.draw,
            "guildBonus": 6,
            "score": outcome.score,
            "scoreLimit": 220,
            "isAnomaly": False,
            "proposedAiba": outcome.proposed_aiba,
            "proposedNeur": outcome.proposed_neur,
            "multiplier": "2.2321",
        }
    )
    assert json.dumps(to_json(RECEIPT)["grant"]) == json.dumps(
        {
            "aiba": grant.aiba,
            "neur": 0,
            "aibaEmission": "granted",
            "neurEmission": "cap_exceeded",
            "playerNeur": 0,
            "leaderNeur": 0,
            "vaultNeur": 0,
        }
    )
    assert to_json(RECEIPT)["version"] == 1
    assert from_json({**written(), "revealedSecret": SECRET}) == RECEIPT


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_an_unknown_part_is_named(path: tuple[str, ...]) -> None:
    """In every object of a receipt."""
    entry = written()
    at(entry, path)["surprise"] = 1
    assert refusal(entry) == (f"{named(path)}.surprise", "unknown")


@pytest.mark.parametrize(
    "path", [one for one in places(written()) if one and one[:3] != (*RULES,)], ids=".".join
)
def test_a_missing_part_is_named(path: tuple[str, ...]) -> None:
    """Every part but a mode's rules is needed."""
    entry = written()
    del at(entry, path[:-1])[path[-1]]
    assert refusal(entry) == (named(path), "required")


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_what_is_no_object_is_named(path: tuple[str, ...]) -> None:
    """A list is none."""
    if not path:
        assert refusal([]) == ("receipt", "object")
        return
    entry = written()
    at(entry, path[:-1])[path[-1]] = []
    assert refusal(entry) == (named(path), "object")


@pytest.mark.parametrize("path", [one for one in LEAVES if one != ("version",)], ids=".".join)
def test_a_part_of_another_kind_is_named(path: tuple[str, ...]) -> None:
    """With the kind that it should be; a truth value is no number."""
    entry = written()
    part = at(entry, path)
    wrong, reason = {
        "str": (5, "string"),
        "bool": (1, "boolean"),
        "int": (True, "integer"),
        "float": (True, "number"),
    }[type(part).__name__]
    if path[1] == "fighter" or path[-1] == "varianceBase":
        reason = "number"
    at(entry, path[:-1])[path[-1]] = wrong
    assert refusal(entry) == (named(path), reason)


TEXTS = [
    path
    for path in LEAVES
    if path[-1] in {"playerId", "requestId", "commitment", "myId", "key", "seedHex"}
]
NUMBERS = [
    path
    for path in LEAVES
    if path[1:2] != ("fighter",) and type(at(written(), path)) is int and path[:3] != RULES
]


@pytest.mark.parametrize("path", TEXTS, ids=".".join)
def test_a_text_has_a_length(path: tuple[str, ...]) -> None:
    """A thousand characters are read, one more is refused."""
    entry = written()
    at(entry, path[:-1])[path[-1]] = "9" * 1_000
    assert from_json(entry) != RECEIPT
    at(entry, path[:-1])[path[-1]] = "9" * 1_001
    assert refusal(entry) == (named(path), "maxLength:1000")


@pytest.mark.parametrize(
    "path",
    [path for path in NUMBERS if path[-1] not in {"version", "starsPerWin", "diamondsFirstWin"}],
    ids=".".join,
)
def test_a_whole_number_has_64_bits(path: tuple[str, ...]) -> None:
    """The ends of the range are read, what is beyond is refused."""
    most = 2**63 - 1
    entry = written()
    for value in (most, -most):
        at(entry, path[:-1])[path[-1]] = value
        assert at(to_json(from_json(entry)), path) == value
    for value in (most + 1, -most - 1):
        at(entry, path[:-1])[path[-1]] = value
        assert refusal(entry) == (named(path), f"max:{most}")


EMISSIONS = "one of granted, outside_window, cap_exceeded, nothing"


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("version", 2, "one of 1"),
        ("version", True, "one of 1"),
        ("version", "1", "one of 1"),
        ("inputs.fighter.level", math.inf, "finite"),
        ("inputs.fighter.level", 2**63, f"max:{2**63 - 1}"),
        ("inputs.fighter.speed", "5", "number"),
        ("inputs.mode.rewardMultiplierAiba", "1e5", "number"),
        ("inputs.mode.rewardMultiplierAiba", "1/0", "number"),
        ("inputs.mode.rewardMultiplierNeur", "1" * 41, "maxLength:40"),
        ("inputs.mode.rules.luck", 1, "unknown"),
        ("inputs.mode.rules.minBrokerLevel", 1.5, "integer"),
        ("inputs.rates.aibaPerScore", "2000000000", "max:1000000000"),
        ("inputs.rates.neurPerScore", "x", "number"),
        ("inputs.rates.creatorTier100Bps", "1000001", "max:1000000"),
        ("inputs.rates.starsPerWin", -1, "min:0"),
        ("inputs.bonuses.boost", "1001", "max:1000"),
        ("inputs.bonuses.boost", "x", "number"),
        ("inputs.bonuses.boost", 2, "string"),
        ("outcome.multiplier", "1/0", "number"),
        ("outcome.multiplier", "x", "number"),
        ("outcome.multiplier", 2, "string"),
        ("grant.aibaEmission", "maybe", EMISSIONS),
        ("grant.neurEmission", "", EMISSIONS),
    ],
)
def test_a_part_out_of_range_is_named(path: str, value: object, reason: str) -> None:
    """With its bound, or with what it may be."""
    entry = written()
    *where, last = path.split(".")
    at(entry, tuple(where))[last] = value
    assert refusal(entry) == (f"receipt.{path}", reason)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("inputs.mode.rewardMultiplierAiba", "1.50"),
        ("inputs.fighter.level", 7.0),
        ("outcome.multiplier", "4.6852/2"),
    ],
)
def test_a_part_written_otherwise_is_refused(path: str, value: object) -> None:
    """One receipt has one written form."""
    entry = written()
    *where, last = path.split(".")
    at(entry, tuple(where))[last] = value
    found = refusal(entry)
    assert found in {("receipt", "written form"), (f"receipt.{path}", "number")}
    assert found[0] == "receipt" or "/" in str(value)


def test_a_product_may_have_more_digits_than_any_factor() -> None:
    """The multiplier of a battle is read whole, where a single setting has forty digits."""
    entry = written()
    entry["outcome"]["multiplier"] = f"{10**60 + 1}/{10**60 + 3}"
    assert from_json(entry).outcome.multiplier == Fraction(10**60 + 1, 10**60 + 3)


@pytest.mark.parametrize("part", ["guild", "bonuses"])
def test_what_a_battle_was_without_is_null(part: str) -> None:
    """Written and read alike."""
    nothing: Json = {part: None}
    without = replace(INPUTS, **nothing)
    entry = to_json(fight(without, aiba=Emission.GRANTED, neur=Emission.GRANTED))
    assert at(entry, ("inputs", part)) is None
    assert getattr(from_json(entry).inputs, part) is None


@pytest.mark.parametrize("has_leader", [True, False])
def test_a_guild_without_a_leader_keeps_the_leader_s_part(*, has_leader: bool) -> None:
    """As its receipt says, whoever leads it later."""
    guild = GuildMatch(my_id="c" * 24, my_count=5, has_leader=has_leader)
    rates = RewardRates(neur_per_score=Fraction(100), guild_creator_share_bps=Fraction(5_000))
    inputs = replace(INPUTS, guild=guild, rates=rates)
    grant = fight(inputs, aiba=Emission.GRANTED, neur=Emission.GRANTED).grant
    share = grant.neur // 5
    assert share > 1
    assert grant.leader_neur == (share // 2 if has_leader else 0)
    assert grant.player_neur + grant.leader_neur + grant.vault_neur == grant.neur


# Verifying.


def changed(path: tuple[str, ...], value: object) -> Receipt:
    """Return the receipt with one value changed."""
    entry = copy.deepcopy(written())
    at(entry, path[:-1])[path[-1]] = value
    return from_json(entry)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("outcome.score", 1),
        ("outcome.guildBonus", 7),
        ("outcome.isAnomaly", True),
        ("grant.aiba", 1),
        ("grant.vaultNeur", 1),
        ("inputs.battleId", "f" * 24),
        ("inputs.commitment", "f" * 64),
    ],
)
def test_a_lie_is_told_with_what_is_true(path: str, value: object) -> None:
    """The stated and the computed value, and nothing else."""
    where = tuple(path.split("."))
    truth = at(written(), where)
    assert verify(changed(where, value), SECRET) == (
        Mismatch(field=path, stated=value, computed=truth),
    )


def test_inputs_that_give_no_score_are_told_as_they_are_refused() -> None:
    """The reason stands where the computed value would."""
    rules = ModeRules(league_multiplier=1e300, variance_base=1e300)
    absurd = replace(INPUTS, mode=replace(INPUTS.mode, rules=rules))
    receipt = replace(RECEIPT, inputs=absurd)
    assert verify(receipt, SECRET) == (Mismatch(field="score", stated=None, computed="finite"),)
    wrong = replace(RECEIPT, inputs=replace(INPUTS, epoch=0))
    assert verify(wrong, SECRET) == (Mismatch(field="number", stated=None, computed="min:1"),)


@given(battles, st.none() | matches)
def test_the_short_way_to_a_score_is_the_long_one(
    inputs: BattleInputs, guild: GuildMatch | None
) -> None:
    """With a guild's bonus and without."""
    inputs = replace(inputs, guild=guild)
    assert replay_score(inputs, SeedKey(SECRET)) == resolve(inputs, SECRET).score
