"""The JavaScript verifier from Python, and random and forged receipts for all three verifiers."""

import copy
import json
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pytest

from aiba_domain.battle.engine import NO_RULES, Fighter, ModeRules
from aiba_domain.battle.modes import ARENAS, ModeTerms
from aiba_domain.battle.receipt import Receipt, battle_id
from aiba_domain.battle.resolve import BattleInputs, Emission, GuildMatch
from aiba_domain.economy.rewards import Bonuses, RewardRates
from tests.support.programs import MissingProgramError, program
from tests.unit.battles import COMMITMENT, EPOCH, fight

ROOT_FOLDER: Final = Path(__file__).resolve().parents[2]
VERIFIER: Final = ROOT_FOLDER / "tools" / "verify_battle.mjs"
CALLS: Final = Path(__file__).with_name("verifier_calls.mjs")

LEFT_OUT: Final = object()
INFINITE: Final = "<a number beyond all doubles>"
"""Stands for `1e400`, which `json.dumps` can't write."""


def needed(name: str) -> str:
    """Return where a program is; without it the test fails in CI and is skipped elsewhere."""
    try:
        return program(name)
    except MissingProgramError as reason:
        if "CI" in os.environ:
            pytest.fail(str(reason))
        pytest.skip(str(reason))


def run_node(arguments: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
    """Run Node with arguments and a text on its standard input."""
    return subprocess.run(  # noqa: S603 - this repository's own files
        [needed("node"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def called(calls: Sequence[Sequence[object]]) -> list[Any]:
    """Call functions of the JavaScript verifier by name, all in one process."""
    done = run_node([str(CALLS), str(VERIFIER)], json.dumps(calls))
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(
        done.stdout, object_hook=lambda one: int(one["int"]) if one.keys() == {"int"} else one
    )
    return results


def written(receipt: object) -> str:
    """Write a receipt as one line of JSON."""
    return json.dumps(receipt).replace(json.dumps(INFINITE), "1e400")


def _factor(rng: random.Random, highest: float) -> float | None:
    return rng.choice([None, rng.randint(0, int(highest)), rng.uniform(0, highest)])


def _fraction(rng: random.Random, highest: int) -> Fraction:
    bottom = rng.choice([1, 2, 10, 100, rng.randint(1, 1_000), 10**18])
    return Fraction(rng.randint(0, highest * bottom), bottom)


def _mode(rng: random.Random) -> ModeTerms:
    rules = ModeRules(
        requires_guild=rng.random() < 0.5,
        min_broker_level=rng.choice([None, rng.randint(1, 1_000)]),
        intelligence_weight=_factor(rng, 100),
        speed_weight=_factor(rng, 1),
        risk_weight=_factor(rng, 1e-9),
        league_multiplier=_factor(rng, 100),
        variance_base=_factor(rng, 10_000),
    )
    return ModeTerms(
        key=f"mode-{rng.randint(0, 10**6)}",
        arena=rng.choice([*ARENAS, "somewhere"]),
        league=rng.choice(["rookie", "pro", "elite", "other"]),
        energy_cost=rng.randint(0, 1_000),
        cooldown_seconds=rng.randint(0, 86_400),
        entry_neur=rng.randint(0, 2**63 - 1),
        entry_aiba=rng.randint(0, 10**9),
        reward_multiplier_aiba=_fraction(rng, 1_000),
        reward_multiplier_neur=_fraction(rng, 3),
        rules=rng.choice([NO_RULES, rules]),
    )


def _rates(rng: random.Random) -> RewardRates:
    return RewardRates(
        aiba_per_score=_fraction(rng, 10**8),
        neur_per_score=_fraction(rng, 30),
        streak_multiplier_at_7_days=_fraction(rng, 3),
        streak_multiplier_at_30_days=_fraction(rng, 4),
        streak_cap_multiplier=_fraction(rng, 5),
        win_streak_bonus_bps=_fraction(rng, 1_000),
        premium_multiplier=_fraction(rng, 4),
        invite_bonus_bps=_fraction(rng, 1_000),
        guild_creator_share_bps=_fraction(rng, 12_000),
    )


def _stat(rng: random.Random) -> float:
    return rng.choice([rng.randint(-2, 102), rng.uniform(0, 100)])


def _hex24(rng: random.Random) -> str:
    return f"{rng.getrandbits(96):024x}"


def _bonuses(rng: random.Random) -> Bonuses:
    return Bonuses(
        login_streak_days=rng.randint(-1, 40),
        win_streak=rng.randint(0, 9),
        premium=rng.random() < 0.5,
        invites=rng.randint(0, 5),
        boost=rng.choice([None, _fraction(rng, 4)]),
    )


def _guild(rng: random.Random) -> GuildMatch:
    return GuildMatch(
        my_id=_hex24(rng),
        my_count=rng.randint(0, 20),
        their_id=rng.choice(["", _hex24(rng)]),
        their_count=rng.randint(0, 20),
        has_leader=rng.random() < 0.5,
    )


def random_receipts(seed: int, count: int) -> Iterator[Receipt]:
    """Yield honest receipts, the same for a seed; modes and rates come from a pool, as in play."""
    rng = random.Random(seed)
    modes = [_mode(rng) for _ in range(200)]
    rates = [RewardRates(), *(_rates(rng) for _ in range(100))]
    judgements = [Emission.GRANTED, Emission.OUTSIDE_WINDOW, Emission.CAP_EXCEEDED]
    for _ in range(count):
        player, request = str(rng.randint(1, 2**52)), rng.choice(["r", "é:", "🎲"]) + _hex24(rng)
        at = rng.randint(0, 4_102_444_800_000)
        inputs = BattleInputs(
            battle_id=battle_id(player, request, at),
            player_id=player,
            broker_id=_hex24(rng),
            request_id=request,
            at=at,
            epoch=EPOCH,
            commitment=COMMITMENT,
            fighter=Fighter(
                intelligence=_stat(rng),
                speed=_stat(rng),
                risk=_stat(rng),
                level=rng.choice([rng.randint(0, 40), rng.uniform(1, 30)]),
            ),
            mode=rng.choice(modes),
            guild=rng.choice([None, _guild(rng)]),
            policy_version=rng.randint(1, 1_000),
            rates=rng.choice(rates),
            bonuses=rng.choice([None, _bonuses(rng)]),
            anomaly_limit=rng.randint(1, 10**6),
        )
        yield fight(inputs, aiba=rng.choice(judgements), neur=rng.choice(judgements))


def places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """List the paths of everything in nested objects, the objects too."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))


def _texts(value: str) -> list[object]:
    return [
        "", value + "0", "0" + value, value + ".0", value.upper() + "é", value + "\ud800", "\x00",
        "x" * 1_000, "🎲" * 1_000, "x" * 1_001, "2/4", "1/2", "0.5", "1/0", "-1", "1e3", "\u0663",
        "7" * 40, "7" * 41, "1000", "1000.1", "granted", "nothing", f"0.{'0' * 18}1",
    ]  # fmt: skip


def others(value: object) -> list[object]:
    """List values that differ from one: of its kind, at its bounds, and of every other kind."""
    found: list[object] = [None, True, False, [], {}, [value], {"x": value}, "text", "1", 0, 1, 1.5]
    found += [2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) + 1, 10**400, INFINITE, 1e300, 5e-324]
    if isinstance(value, str):
        found += _texts(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        found += [value + 1, value - 1, -value, value + 0.5, float(value), value * 3, -0.0, 1e16]
    if isinstance(value, dict):
        found += [{**value, "x": 1}, {**value, "__proto__": 1}, {**value, "é\n": 1}]
    return found


def forgeries(receipt: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a receipt with each of its values replaced in every way, and each left out."""
    for path in places(receipt):
        original: Any = receipt
        for key in path:
            original = original[key]
        for value in [*others(original), LEFT_OUT]:
            if value is LEFT_OUT and path == ("inputs",):
                continue  # then it is no receipt at all
            changed = copy.deepcopy(receipt)
            place = changed
            for key in path[:-1]:
                place = place[key]
            if value is LEFT_OUT:
                del place[path[-1]]
            else:
                place[path[-1]] = value
            yield changed
