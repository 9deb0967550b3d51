#!/usr/bin/env python3
"""Verify AIBA Arena battles without AIBA Arena: one file, no dependencies, Python 3.10 or newer.

    python verify_battle.py --receipt battle.json [--secret TEXT | --fairness fairness.json]

A receipt states what went into a battle and what came out. Once the secret of its seed epoch is
revealed, everything else follows from published formulas, and this file computes it again:

- commitment: SHA-256 of "aiba-arena seed commitment v1:<epoch>:<secret>" must be the one that was
  published when the epoch opened;
- seed: HMAC-SHA256 of seven fields under the secret; its first 8 hex digits feed mulberry32;
- score: 64-bit floating point, in exactly the order written below; halves round up;
- reward: exact fractions, rounded down after each step;

Nothing here is shared with the service's own code: two programs that agree check each other.
"""

# ruff: noqa: PLR2004 - the numbers are those of the published formulas

import argparse
import hashlib
import hmac
import json
import math
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

Json = dict[str, Any]

U32 = 1 << 32
LARGEST = (1 << 63) - 1
ARENA_WEIGHTS = {
    "prediction": (0.7, 0.2, 0.1),
    "simulation": (0.5, 0.3, 0.2),
    "strategyWars": (0.6, 0.1, 0.3),
    "guildWars": (0.4, 0.3, 0.3),
}
LEAGUE_MULTIPLIERS = {"pro": 1.1, "elite": 1.2}


class UnverifiableError(Exception):
    """The receipt can't be checked at all."""


def utf8(text: str) -> bytes:
    """Encode text; half a surrogate pair on its own becomes U+FFFD."""
    out = bytearray()
    units = text.encode("utf-16-be", "surrogatepass")
    out += units.decode("utf-16-be", "replace").encode("utf-8")
    return bytes(out)


def hmac_hex(secret: str, text: str) -> str:
    """Return HMAC-SHA256 in hex."""
    return hmac.new(utf8(secret), utf8(text), hashlib.sha256).hexdigest()


def commitment(epoch: int, secret: str) -> str:
    """Return what binds an operator to a secret."""
    text = "aiba-arena seed commitment v1:" + str(epoch) + ":" + secret
    return hashlib.sha256(utf8(text)).hexdigest()


def battle_id(player: str, request: str, at: int) -> str:
    """Return the id of the battle that a player asked for under a key at an instant in ms."""
    text = "battle\x00" + player + "\x00" + request
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{at // 1000 & 0xFFFFFFFF:08x}" + digest[:16]


def seed_message(inputs: Json) -> str:
    """Return the text whose HMAC is the seed: seven fields, the last one empty without a rival."""
    mode, guild = inputs["mode"], inputs["guild"]
    return ":".join(
        [inputs["playerId"], inputs["brokerId"]]
        + [mode[part] for part in ("key", "arena", "league")]
        + [inputs["requestId"], guild["theirId"] if guild else ""]
    )


def imul(a: int, b: int) -> int:
    """Multiply as 32-bit integers."""
    return a * b % U32


def mulberry32(seed: int) -> Iterator[int]:
    """Yield 32-bit draws."""
    a = seed % U32
    while True:
        a = (a + 0x6D2B79F5) % U32
        t = imul(a ^ (a >> 15), 1 | a)
        t = ((t + imul(t ^ (t >> 7), 61 | t)) % U32) ^ t
        yield t ^ (t >> 14)


def share(stat: float) -> float:
    """Return a stat as a part of 100, at least 0 and at most 1."""
    part = stat / 100
    if part < 0:
        return 0.0
    return 1.0 if part > 1 else part


def rounded(number: float) -> int:
    """Round to the nearest integer, halves up."""
    below = math.floor(number)
    return below + (1 if number - below >= 0.5 else 0)


def score(fighter: Json, mode: Json, draw: int) -> int:
    """Return the score before any guild bonus."""
    rules = mode.get("rules") or {}
    weights = rules.get("arenaWeights") or {}
    usual = ARENA_WEIGHTS.get(mode["arena"], (0.5, 0.3, 0.2))
    w_int = weights.get("intelligence", usual[0])
    w_speed = weights.get("speed", usual[1])
    w_risk = weights.get("risk", usual[2])
    league = rules.get("leagueMultiplier", LEAGUE_MULTIPLIERS.get(mode["league"], 1.0))
    league = float(league) or 1.0
    spread = float(rules.get("varianceBase", 30))
    level = math.floor(max(1, min(10000, fighter["level"])))
    growth = 1 + min(0.5, max(0, level - 1) * 0.02)
    i, s, r = share(fighter["intelligence"]), share(fighter["speed"]), share(fighter["risk"])
    base = 100 * league * growth * (w_int * i + w_speed * s + w_risk * r)
    variance = spread * league * (0.2 + r)
    noise = (draw / U32 - 0.5) * 2 * variance
    if not math.isfinite(base + noise):
        raise UnverifiableError("the score is not finite")
    return max(0, rounded(base + noise))


def guild_bonus(guild: Json | None) -> int:
    """Return what the difference in pooled brokers adds."""
    if not guild or not guild["theirId"]:
        return 0
    difference: int = guild["myCount"] - guild["theirCount"]
    return max(-15, min(15, difference * 3))


def exact(text: object) -> Fraction:
    """Return the fraction that a text such as "1.25" or "25/24" stands for."""
    if not isinstance(text, str):
        raise TypeError("not an exact number: " + ascii(text))
    return Fraction(text)


def streak_multiplier(days: int, rates: Json) -> Fraction:
    """Return the factor of a login streak."""
    week, month = (exact(rates[f"streakMultiplierAt{days_in}Days"]) for days_in in (7, 30))
    if days <= 0:
        return Fraction(1)
    if days < 7:
        return 1 + (days - 1) * (week - 1) / 6
    if days < 30:
        return week
    return min(exact(rates["streakCapMultiplier"]), month)


def bonus_multiplier(bonuses: Json | None, rates: Json) -> Fraction:
    """Return the exact product of a player's bonuses."""
    if bonuses is None:
        return Fraction(1)
    factor = streak_multiplier(bonuses["loginStreakDays"], rates)
    wins: int = min(5, bonuses["winStreak"])
    factor *= 1 + wins * exact(rates["winStreakBonusBps"]) / 10000
    if bonuses["premium"]:
        factor *= exact(rates["premiumMultiplier"])
    if bonuses["invites"] >= 3:
        factor *= 1 + exact(rates["inviteBonusBps"]) / 10000
    return factor


def reward(
    points: int, per_score: str, mode_multiplier: str, factor: Fraction, boost: str | None
) -> int:
    """Return whole units, rounded down after each step."""
    units = max(0, math.floor(points * exact(per_score) * exact(mode_multiplier)))
    if factor > 1:
        units = math.floor(units * factor)
    if boost is not None and exact(boost) > 1:
        units = math.floor(units * exact(boost))
    if units > LARGEST:
        raise UnverifiableError("the reward is no amount")
    return units


def decimal_text(number: Fraction) -> str:
    """Write a fraction as a finite decimal, or as n/d where there is none."""
    rest, digits = number.denominator, 0
    while rest % 10 == 0:
        rest, digits = rest // 10, digits + 1
    while rest % 2 == 0:
        rest, digits = rest // 2, digits + 1
    while rest % 5 == 0:
        rest, digits = rest // 5, digits + 1
    if rest != 1:
        return f"{number.numerator}/{number.denominator}"
    scaled = str(number.numerator * 10**digits // number.denominator).rjust(digits + 1, "0")
    return scaled if not digits else scaled[:-digits] + "." + scaled[-digits:]


def outcome_of(inputs: Json, secret: str) -> Json:
    """Return the outcome that the inputs and the secret give."""
    mode, rates, bonuses = inputs["mode"], inputs["rates"], inputs["bonuses"]
    seed_hex = hmac_hex(secret, seed_message(inputs))
    draw = next(mulberry32(int(seed_hex[:8], 16)))
    bonus = guild_bonus(inputs["guild"])
    points = max(0, score(inputs["fighter"], mode, draw) + bonus)
    best = max(score(inputs["fighter"], mode, end) for end in (0, U32 - 1))
    limit = max(inputs["anomalyLimit"], best + bonus, 0)
    factor = bonus_multiplier(bonuses, rates)
    boost = bonuses["boost"] if bonuses else None
    aiba, neur = (
        reward(points, rates[f"{name}PerScore"], mode[f"rewardMultiplier{title}"], factor, boost)
        for name, title in (("aiba", "Aiba"), ("neur", "Neur"))
    )
    return {
        "seedHex": seed_hex,
        "draw": draw,
        "guildBonus": bonus,
        "score": points,
        "scoreLimit": limit,
        "isAnomaly": points > limit,
        "proposedAiba": aiba,
        "proposedNeur": neur,
        "multiplier": decimal_text(factor),
    }


def grant_of(inputs: Json, outcome: Json, stated: Json) -> Json:
    """Return what is paid under the emission that the receipt states: all or nothing."""
    found: Json = {}
    for name, proposed in (("aiba", outcome["proposedAiba"]), ("neur", outcome["proposedNeur"])):
        reason = stated[f"{name}Emission"] if proposed else "nothing"
        if reason not in ("granted", "outside_window", "cap_exceeded", "nothing"):
            raise UnverifiableError("unknown emission " + ascii(reason))
        found[f"{name}Emission"] = reason
        found[name] = proposed if reason == "granted" else 0
    guild_part = leader = 0
    if inputs["guild"]:
        guild_part = found["neur"] // 5
        if inputs["guild"]["hasLeader"]:
            bps = min(Fraction(10000), exact(inputs["rates"]["guildCreatorShareBps"]))
            leader = math.floor(guild_part * bps / 10000)
    found["playerNeur"] = found["neur"] - guild_part
    found["leaderNeur"] = leader
    found["vaultNeur"] = guild_part - leader
    return found


def problems_of(receipt: Json, secret: str) -> list[str]:
    """Return every way in which a receipt differs from its own inputs and the secret."""
    try:
        if set(receipt) - {"revealedSecret"} != {"version", "inputs", "outcome", "grant"}:
            return ["not a receipt"]
        if type(receipt["version"]) is not int or receipt["version"] != 1:
            return ["unknown version"]
        inputs = receipt["inputs"]
        outcome = outcome_of(inputs, secret)
        expected = {
            "outcome": outcome,
            "grant": grant_of(inputs, outcome, receipt["grant"]),
        }
        promised = commitment(inputs["epoch"], secret)
        own_id = battle_id(inputs["playerId"], inputs["requestId"], inputs["at"])
    except UnverifiableError as reason:
        return [str(reason)]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as reason:
        return ["malformed: " + ascii(reason)]
    found = []
    if inputs["commitment"] != promised:
        found.append("the secret is not the one that was promised")
    if inputs["battleId"] != own_id:
        found.append("the id is that of another battle")
    for part, value in expected.items():
        found.extend(differences(part, receipt[part], value))
    return found


def differences(path: str, stated: object, computed: object) -> list[str]:
    """Return the places where a stated value is not the computed one, types included."""
    if isinstance(computed, dict) and isinstance(stated, dict) and set(computed) == set(stated):
        return [
            line
            for key in computed
            for line in differences(path + "." + key, stated[key], computed[key])
        ]
    if type(stated) is type(computed) and stated == computed:
        return []
    return [f"{path} is {stated!a}, recomputed {computed!a}"]


def receipts_in(value: object) -> Iterator[Json]:
    """Yield the receipts in one receipt, a list, or a reply of the service."""
    if isinstance(value, list):
        for item in value:
            yield from receipts_in(item)
    elif isinstance(value, dict) and "inputs" in value:
        yield value
    elif isinstance(value, dict):
        part = next(
            (p for p in ("receipt", "receipts", "items", "battles", "data") if p in value), None
        )
        if part is None:
            raise ValueError("no receipt found")
        yield from receipts_in(value[part])
    else:
        raise ValueError("no receipt found")


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities, which are no JSON."""
    raise ValueError(name)


def read(source: str) -> object:
    """Read JSON or JSON lines from a file, `-` for standard input."""
    text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line, parse_constant=refuse_constant) for line in lines]


def published(source: str | None) -> dict[int, Json]:
    """Return the epochs of a reply of GET /api/fairness by number."""
    if source is None:
        return {}
    reply = read(source)
    if not isinstance(reply, dict):
        raise TypeError("no fairness reply")
    reply = reply.get("data", reply)
    return {epoch["number"]: epoch for epoch in reply["epochs"]}


def line_for(receipt: Json, secret: str | None, epochs: dict[int, Json]) -> tuple[bool, str]:
    """Judge one receipt; return whether it is genuine and what to print."""
    inputs = receipt.get("inputs")
    inputs = inputs if isinstance(inputs, dict) else {}
    name = ascii(inputs.get("battleId", "?"))[1:-1]
    epoch = epochs.get(inputs.get("epoch", 0)) or {}
    key = receipt.get("revealedSecret") or secret or epoch.get("revealedSecret")
    if not isinstance(key, str):
        return False, f"FAILED {name}: the secret of the epoch is not revealed"
    found = problems_of(receipt, key)
    if epoch and epoch.get("commitment") != inputs.get("commitment"):
        found.append("another commitment was published for the epoch")
    if found:
        return False, f"FAILED {name}: " + "; ".join(found)
    grant = receipt["grant"]
    points = receipt["outcome"]["score"]
    return True, f"ok {name}: score {points}, {grant['aiba']} AIBA, {grant['neur']} NEUR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check every receipt; return 0 only if all are genuine."""
    parser = argparse.ArgumentParser(description="Verify AIBA Arena battles offline.")
    parser.add_argument("--receipt", required=True, help="file of receipts, - for standard input")
    parser.add_argument("--secret", help="the revealed secret")
    parser.add_argument("--fairness", help="file with the reply of GET /api/fairness")
    options = parser.parse_args(arguments)
    try:
        epochs = published(options.fairness)
        receipts = list(receipts_in(read(options.receipt)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as reason:
        print(f"not readable: {reason!a}", file=sys.stderr)
        return 1
    results = [line_for(receipt, options.secret, epochs) for receipt in receipts]
    for _, line in results:
        print(line)
    return 0 if results and all(genuine for genuine, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
