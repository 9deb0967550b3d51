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
verify_battle.mjs beside it does the same in JavaScript, and prints the same lines.
"""

# ruff: noqa: PLR2004 - the numbers are those of the published formulas
# ruff: noqa: ANN401 - a check takes whatever JSON can hold

import argparse
import hashlib
import hmac
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

Json = dict[str, Any]
Check = Callable[[Any, str], None]

U32 = 1 << 32
LARGEST = (1 << 63) - 1
ARENA_WEIGHTS = {
    "prediction": (0.7, 0.2, 0.1),
    "simulation": (0.5, 0.3, 0.2),
    "strategyWars": (0.6, 0.1, 0.3),
    "guildWars": (0.4, 0.3, 0.3),
}
LEAGUE_MULTIPLIERS = {"pro": 1.1, "elite": 1.2}
EMISSIONS = ("granted", "outside_window", "cap_exceeded", "nothing")


class UnverifiableError(Exception):
    """What can't be checked at all; the message is for people."""


def shown(value: object) -> str:
    """Write a text, whole number or flag as JSON in plain ASCII."""
    return json.dumps(value)


def plain(text: str) -> str:
    """Escape what a terminal would obey."""
    return shown(text)[1:-1]


# The shape of a receipt. Each check takes a value and its path, and raises UnverifiableError.


def refuse(path: str, reason: str) -> NoReturn:
    """Say what is wrong where."""
    raise UnverifiableError(path + ": " + reason)


def any_text(value: Any, path: str) -> None:
    """Take a text."""
    if not isinstance(value, str):
        refuse(path, "not a text")


def text(value: Any, path: str) -> None:
    """Take a text of reasonable length."""
    any_text(value, path)
    if len(value) > 1000:
        refuse(path, "longer than 1000 characters")


def whole_of_any_size(value: Any, path: str) -> None:
    """Take a whole number, written without fraction and exponent."""
    if type(value) is not int:
        refuse(path, "not a whole number")


def whole(value: Any, path: str) -> None:
    """Take a whole number of 64 bits."""
    whole_of_any_size(value, path)
    if not -LARGEST <= value <= LARGEST:
        refuse(path, "more than 64 bits")


def flag(value: Any, path: str) -> None:
    """Take true or false."""
    if type(value) is not bool:
        refuse(path, "neither true nor false")


def only_true(value: Any, path: str) -> None:
    """Take true, where false is written by leaving it out."""
    if value is not True:
        refuse(path, "neither true nor left out")


def factor(value: Any, path: str) -> None:
    """Take a finite number, a whole one without fraction and exponent."""
    if type(value) not in (int, float):
        refuse(path, "not a number")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:
        is_finite = False
    if not is_finite:
        refuse(path, "not finite")
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        refuse(path, "a whole number with a fraction or an exponent")


def stat(value: Any, path: str) -> None:
    """Take a factor of at most 64 bits."""
    if type(value) is int:
        whole(value, path)
    factor(value, path)


def emission(value: Any, path: str) -> None:
    """Take what became of a reward."""
    if value not in EMISSIONS:
        refuse(path, "none of " + ", ".join(EMISSIONS))


def exact_text(value: Any, path: str) -> None:
    """Take a text such as "1.25" or "25/24" that is as short as it can be."""
    text(value, path)
    if not re.fullmatch(r"[0-9]+(?:\.[0-9]+|/0*[1-9][0-9]*)?", value):
        refuse(path, "not an exact number")
    if decimal_text(exact(value)) != value:
        refuse(path, "not in its shortest form")


def exact_setting(value: Any, path: str) -> None:
    """Take an exact factor as an operator may set it."""
    text(value, path)
    if len(value) > 40:
        refuse(path, "longer than 40 characters")
    exact_text(value, path)


def up_to(highest: int) -> Check:
    """Return the check of an exact factor that is no larger."""

    def check(value: Any, path: str) -> None:
        exact_setting(value, path)
        number = exact(value)
        if number > highest:
            refuse(path, f"above {highest}")
        if number.denominator > 10**18:
            refuse(path, "more than 18 decimals")

    return check


def grant_size(value: Any, path: str) -> None:
    """Take a count of Stars or Diamonds."""
    whole(value, path)
    if not 0 <= value <= 10**12:
        refuse(path, "not from 0 to 1000000000000")


def version(value: Any, path: str) -> None:
    """Take the one version there is."""
    if type(value) is not int or value != 1:
        refuse(path, "unknown version")


def nullable(check: Check) -> Check:
    """Return a check that takes null too."""
    return lambda value, path: None if value is None else check(value, path)


def shape(needed: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    """Return the check of an object that has all of `needed`, some of `optional`, no others."""
    checks = {**needed, **(optional or {})}

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            refuse(path, "not an object")
        for name in value:
            if name not in checks:
                refuse(path + "." + plain(name), "unknown")
        for name in sorted(needed):
            if name not in value:
                refuse(path + "." + name, "missing")
        for name, inner in checks.items():
            if name in value:
                inner(value[name], path + "." + name)

    return check


WEIGHTS = shape({}, {"intelligence": factor, "speed": factor, "risk": factor})


def weights(value: Any, path: str) -> None:
    """Take some weights; none at all are written by leaving them out."""
    WEIGHTS(value, path)
    if not value:
        refuse(path, "empty")


def all_of(check: Check, *names: str) -> dict[str, Check]:
    """Give several members one check."""
    return dict.fromkeys(names, check)


MODE = shape(
    all_of(text, "key", "arena", "league")
    | all_of(whole, "energyCost", "cooldownSeconds", "entryNeur", "entryAiba")
    | all_of(exact_setting, "rewardMultiplierAiba", "rewardMultiplierNeur")
    | {
        "rules": shape(
            {},
            {
                "requiresGuild": only_true,
                "minBrokerLevel": whole_of_any_size,
                "arenaWeights": weights,
                "leagueMultiplier": factor,
                "varianceBase": factor,
            },
        )
    }
)
RATES = shape(
    all_of(up_to(10**9), "aibaPerScore", "neurPerScore")
    | all_of(up_to(1000), "streakMultiplierAt7Days", "streakMultiplierAt30Days")
    | all_of(up_to(1000), "streakCapMultiplier")
    | all_of(up_to(10**6), "winStreakBonusBps")
    | all_of(up_to(1000), "premiumMultiplier")
    | all_of(up_to(10**6), "inviteBonusBps", "guildCreatorShareBps", "creatorPercentBps")
    | all_of(up_to(10**6), *(f"creatorTier{uses}Bps" for uses in (100, 1000, 10000)))
    | all_of(grant_size, "starsPerWin", "diamondsFirstWin")
)
INPUTS = shape(
    all_of(text, "battleId", "playerId", "brokerId", "requestId")
    | all_of(whole, "at", "epoch")
    | {
        "commitment": text,
        "fighter": shape(all_of(stat, "intelligence", "speed", "risk", "level")),
        "mode": MODE,
        "guild": nullable(
            shape(
                {"myId": text, "myCount": whole, "theirId": text, "theirCount": whole}
                | {"hasLeader": flag}
            )
        ),
        "policyVersion": whole,
        "rates": RATES,
        "bonuses": nullable(
            shape(
                {"loginStreakDays": whole, "winStreak": whole, "premium": flag, "invites": whole}
                | {"boost": nullable(up_to(1000))}
            )
        ),
        "anomalyLimit": whole,
    }
)
OUTCOME = shape(
    {"seedHex": text}
    | all_of(whole, "draw", "guildBonus", "score", "scoreLimit")
    | {"isAnomaly": flag}
    | all_of(whole, "proposedAiba", "proposedNeur")
    | {"multiplier": exact_text}
)
GRANT = shape(
    all_of(whole, "aiba", "neur")
    | all_of(emission, "aibaEmission", "neurEmission")
    | all_of(whole, "playerNeur", "leaderNeur", "vaultNeur")
)
RECEIPT = shape(
    {"version": version, "inputs": INPUTS, "outcome": OUTCOME, "grant": GRANT},
    {"revealedSecret": nullable(any_text)},
)


# The rules of a battle.


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


def prospects(fighter: Json, mode: Json) -> tuple[float, float]:
    """Return what is certain of a score, and how far a draw can move it."""
    rules = mode.get("rules") or {}
    own = rules.get("arenaWeights") or {}
    usual = ARENA_WEIGHTS.get(mode["arena"], (0.5, 0.3, 0.2))
    w_int = float(own.get("intelligence", usual[0]))
    w_speed = float(own.get("speed", usual[1]))
    w_risk = float(own.get("risk", usual[2]))
    league = rules.get("leagueMultiplier", LEAGUE_MULTIPLIERS.get(mode["league"], 1.0))
    league = float(league) or 1.0
    spread = float(rules.get("varianceBase", 30))
    level = math.floor(max(1, min(10000, fighter["level"])))
    growth = 1 + min(0.5, max(0, level - 1) * 0.02)
    i, s, r = share(fighter["intelligence"]), share(fighter["speed"]), share(fighter["risk"])
    base = 100 * league * growth * (w_int * i + w_speed * s + w_risk * r)
    return base, spread * league * (0.2 + r)


def score(fighter: Json, mode: Json, draw: int) -> int:
    """Return the score before any guild bonus."""
    base, variance = prospects(fighter, mode)
    total = base + (draw / U32 - 0.5) * 2 * variance
    if not math.isfinite(total):
        raise UnverifiableError("the score is not finite")
    return max(0, rounded(total))


def best_score(fighter: Json, mode: Json) -> int:
    """Return the highest score before any guild bonus: that of the last draw, or of the first.

    Every step of the formula keeps the order of the draws, or turns it round.
    """
    _, variance = prospects(fighter, mode)
    return score(fighter, mode, U32 - 1 if variance >= 0 else 0)


def guild_bonus(guild: Json | None) -> int:
    """Return what the difference in pooled brokers adds."""
    if not guild or not guild["theirId"]:
        return 0
    difference: int = guild["myCount"] - guild["theirCount"]
    return max(-15, min(15, difference * 3))


@lru_cache(maxsize=4096)
def exact(text: str) -> Fraction:
    """Return the fraction that a text such as "1.25" or "25/24" stands for."""
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


@lru_cache(maxsize=4096)
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
    sign = "-" if number < 0 else ""
    scaled = str(abs(number) * 10**digits).rjust(digits + 1, "0")
    return sign + (scaled if not digits else scaled[:-digits] + "." + scaled[-digits:])


def outcome_of(inputs: Json, secret: str) -> Json:
    """Return the outcome that the inputs and the secret give."""
    mode, rates, bonuses = inputs["mode"], inputs["rates"], inputs["bonuses"]
    seed_hex = hmac_hex(secret, seed_message(inputs))
    draw = next(mulberry32(int(seed_hex[:8], 16)))
    bonus = guild_bonus(inputs["guild"])
    points = max(0, score(inputs["fighter"], mode, draw) + bonus)
    best = best_score(inputs["fighter"], mode)
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


def problems_of(receipt: Json, secret: object) -> list[str]:
    """Return every way in which a receipt differs from its own inputs and the secret."""
    inputs = receipt["inputs"]
    if not isinstance(secret, str):
        raise UnverifiableError("the secret of the epoch is not revealed")
    if inputs["epoch"] < 1:
        refuse("receipt.inputs.epoch", "below 1")
    outcome = outcome_of(inputs, secret)
    grant = grant_of(inputs, outcome, receipt["grant"])
    found = []
    if inputs["commitment"] != commitment(inputs["epoch"], secret):
        found.append("the secret is not the one that was promised")
    if inputs["battleId"] != battle_id(inputs["playerId"], inputs["requestId"], inputs["at"]):
        found.append("the id is that of another battle")
    for part, computed in (("outcome", outcome), ("grant", grant)):
        found.extend(
            f"{part}.{key} is {shown(receipt[part][key])}, recomputed {shown(value)}"
            for key, value in computed.items()
            if receipt[part][key] != value
        )
    return found


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
            raise UnverifiableError("no receipt found")
        yield from receipts_in(value[part])
    else:
        raise UnverifiableError("no receipt found")


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities, which are no JSON."""
    raise ValueError(name)


def without_duplicates(members: list[tuple[str, object]]) -> Json:
    """Make an object; one that names a key twice says two things."""
    found: Json = {}
    for name, value in members:
        if name in found:
            raise UnverifiableError("duplicate key " + shown(name))
        found[name] = value
    return found


def loads(source: str) -> object:
    """Read one JSON value."""
    return json.loads(source, parse_constant=refuse_constant, object_pairs_hook=without_duplicates)


def read(source: str) -> object:
    """Read JSON or JSON lines from a file, `-` for standard input."""
    content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    written = content.decode("utf-8")
    try:
        return loads(written)
    except ValueError:
        lines = [line for line in written.split("\n") if line.strip(" \t\r")]
        if len(lines) < 2:
            raise
        return [loads(line) for line in lines]


def published(source: str | None) -> dict[int, Json]:
    """Return the epochs of a reply of GET /api/fairness by number."""
    if source is None:
        return {}
    reply = read(source)
    reply = reply.get("data", reply) if isinstance(reply, dict) else reply
    epochs = reply.get("epochs") if isinstance(reply, dict) else None
    if not isinstance(epochs, list):
        refuse("epochs", "not a list")
    found: dict[int, Json] = {}
    for epoch in epochs:
        if not isinstance(epoch, dict):
            refuse("epochs", "not a list of objects")
        whole(epoch.get("number"), "epochs.number")
        any_text(epoch.get("commitment"), "epochs.commitment")
        if epoch["number"] in found:
            refuse("epochs.number", f"{epoch['number']} is listed twice")
        found[epoch["number"]] = epoch
    return found


def line_for(receipt: Json, secret: str | None, epochs: dict[int, Json]) -> tuple[bool, str]:
    """Judge one receipt; return whether it is genuine and what to print."""
    stated = receipt["inputs"].get("battleId") if isinstance(receipt["inputs"], dict) else None
    name = plain(stated) if isinstance(stated, str) else "?"
    try:
        RECEIPT(receipt, "receipt")
        inputs = receipt["inputs"]
        epoch = epochs.get(inputs["epoch"], {})
        own = receipt.get("revealedSecret")
        found = problems_of(receipt, own or secret or epoch.get("revealedSecret"))
    except UnverifiableError as reason:
        return False, f"FAILED {name}: {reason}"
    if epoch and epoch["commitment"] != inputs["commitment"]:
        found.append("another commitment was published for the epoch")
    if found:
        return False, f"FAILED {name}: " + "; ".join(found)
    grant, points = receipt["grant"], receipt["outcome"]["score"]
    return True, f"ok {name}: score {points}, {grant['aiba']} AIBA, {grant['neur']} NEUR"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check every receipt; return 0 only if all are genuine."""
    parser = argparse.ArgumentParser(
        description="Verify AIBA Arena battles offline.", allow_abbrev=False
    )
    parser.add_argument("--receipt", required=True, help="file of receipts, - for standard input")
    parser.add_argument("--secret", help="the revealed secret")
    parser.add_argument("--fairness", help="file with the reply of GET /api/fairness")
    options = parser.parse_args(arguments)
    try:
        epochs = published(options.fairness)
        receipts = list(receipts_in(read(options.receipt)))
    except (OSError, ValueError, RecursionError, UnverifiableError) as reason:
        print(f"not readable: {plain(str(reason))}", file=sys.stderr)
        return 1
    results = [line_for(receipt, options.secret, epochs) for receipt in receipts]
    for _, line in results:
        print(line)
    return 0 if results and all(genuine for genuine, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
