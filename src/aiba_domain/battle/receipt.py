"""Receipts: a battle with all its inputs, which anyone with the epoch's secret can check.

What decided the battle is bound by the draw: player, broker, mode, request and opponent are hashed
into the seed, and stats, rules, rates and bonuses must give the stated outcome again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.battle.receipt_json import (
    members,
    read_grant,
    read_inputs,
    read_outcome,
    write_grant,
    write_inputs,
    write_outcome,
)
from aiba_domain.battle.resolve import (
    BattleInputs,
    BattleOutcome,
    Emission,
    Grant,
    GuildMatch,
    replay_score,
    resolve,
    settle,
)
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness import epochs as fairness
from aiba_domain.ids import derive_id
from aiba_domain.instants import SECOND

__all__ = [
    "RECEIPT_VERSION",
    "BattleInputs",
    "BattleOutcome",
    "Emission",
    "Grant",
    "GuildMatch",
    "Mismatch",
    "Receipt",
    "battle_id",
    "from_json",
    "replay",
    "replay_score",
    "resolve",
    "settle",
    "to_json",
    "verify",
]

RECEIPT_VERSION: Final = 1
_PARTS: Final = frozenset({"version", "inputs", "outcome", "grant"})
_REVEALED: Final = frozenset({"revealedSecret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One battle: what decided it, what came out, and what was paid."""

    inputs: BattleInputs
    outcome: BattleOutcome
    grant: Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One field in which a receipt differs from what its inputs and the secret give."""

    field: str
    stated: object
    computed: object


def battle_id(player_id: str, request_id: str, at: int) -> str:
    """Return the id of the battle that a player asked for under an idempotency key at an instant.

    Its first 8 digits are the second, as in the ids that clients know, so ids rise with time and a
    store appends them; the other 16 are derived from player and key.
    """
    return f"{at // SECOND & 0xFFFFFFFF:08x}{derive_id('battle', player_id, request_id)[:16]}"


def replay(receipt: Receipt, secret: str) -> Receipt:
    """Return the receipt that the inputs and the secret give.

    What emission allowed that day is not computed but taken from the receipt. An honest receipt
    equals its replay. Raises InvalidInput if the inputs give no score or no amount at all.
    """
    inputs, stated = receipt.inputs, receipt.grant
    outcome = resolve(inputs, secret)
    grant = settle(inputs, outcome, aiba=stated.aiba_emission, neur=stated.neur_emission)
    return Receipt(inputs=inputs, outcome=outcome, grant=grant)


def verify(receipt: Receipt, secret: str) -> tuple[Mismatch, ...]:
    """Compare a receipt with its replay; no mismatch means that the battle is genuine.

    Checks that the secret is the one that was promised, the battle's id, the score and the reward,
    and that each granted amount is the proposed one or 0. Never raises for what a receipt states.
    """
    inputs = receipt.inputs
    try:
        promised = fairness.commitment(inputs.epoch, secret)
        replayed = to_json(replay(receipt, secret))
    except InvalidInput as refusal:
        return (Mismatch(field=refusal.field, stated=None, computed=refusal.reason),)
    found = []
    own_id = battle_id(inputs.player_id, inputs.request_id, inputs.at)
    for field, stated, computed in (
        ("inputs.commitment", inputs.commitment, promised),
        ("inputs.battleId", inputs.battle_id, own_id),
    ):
        if stated != computed:
            found.append(Mismatch(field=field, stated=stated, computed=computed))
    found.extend(_differences("", to_json(receipt), replayed))
    return tuple(found)


def to_json(receipt: Receipt) -> dict[str, object]:
    """Write a receipt as JSON-able values; `from_json` reads it back."""
    return {
        "version": RECEIPT_VERSION,
        "inputs": write_inputs(receipt.inputs),
        "outcome": write_outcome(receipt.outcome),
        "grant": write_grant(receipt.grant),
    }


def from_json(value: object) -> Receipt:
    """Read a receipt strictly; a `revealedSecret` beside its parts is left to the caller.

    Raises InvalidInput naming the path of the first part that is missing, unknown or mistyped, and
    for a value that is written otherwise than `to_json` does, such as `"2.0"` for `"2"`.
    """
    entry = members(value, "receipt", _PARTS, optional=_REVEALED)
    if type(entry["version"]) is not int or entry["version"] != RECEIPT_VERSION:
        raise InvalidInput("receipt.version", f"one of {RECEIPT_VERSION}")
    receipt = Receipt(
        inputs=read_inputs(entry["inputs"], "receipt.inputs"),
        outcome=read_outcome(entry["outcome"], "receipt.outcome"),
        grant=read_grant(entry["grant"], "receipt.grant"),
    )
    written = {key: part for key, part in entry.items() if key not in _REVEALED}
    if _CANONICAL.encode(written) != _CANONICAL.encode(to_json(receipt)):
        raise InvalidInput("receipt", "written form")
    return receipt


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, allow_nan=False)


def _differences(
    path: str, stated: Mapping[str, object], computed: Mapping[str, object]
) -> list[Mismatch]:
    found: list[Mismatch] = []
    for key, value in computed.items():
        field = f"{path}{key}"
        claimed = stated[key]
        if isinstance(value, Mapping) and isinstance(claimed, Mapping):
            found.extend(_differences(f"{field}.", claimed, value))
        elif claimed != value:
            found.append(Mismatch(field=field, stated=claimed, computed=value))
    return found
