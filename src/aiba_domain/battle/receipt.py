"""Receipts: a battle with all its inputs, which anyone with the epoch's secret can check.

A receipt is sealed when it is issued. The seal covers every field, also those that don't reach the
score, so a receipt that was changed afterwards is told from the one that was issued.
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
    text,
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
from aiba_domain.battle.seed import seed_hmac
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness import epochs as fairness

__all__ = [
    "RECEIPT_VERSION",
    "BattleInputs",
    "BattleOutcome",
    "Emission",
    "Grant",
    "GuildMatch",
    "Mismatch",
    "Receipt",
    "from_json",
    "issue",
    "replay",
    "replay_score",
    "resolve",
    "settle",
    "to_json",
    "verify",
]

RECEIPT_VERSION: Final = 1
_SEAL_TEXT: Final = "aiba-arena receipt v1:"
_PARTS: Final = frozenset({"version", "inputs", "outcome", "grant", "seal"})
_REVEALED: Final = frozenset({"revealedSecret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One battle: what decided it, what came out, what was paid, and the seal over all of it."""

    inputs: BattleInputs
    outcome: BattleOutcome
    grant: Grant
    seal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One field in which a receipt differs from what its inputs and the secret give."""

    field: str
    stated: object
    computed: object


def issue(inputs: BattleInputs, outcome: BattleOutcome, grant: Grant, secret: str) -> Receipt:
    """Return the sealed receipt of a battle that was just decided under `secret`."""
    seal = _seal(_body(inputs, outcome, grant), secret)
    return Receipt(inputs=inputs, outcome=outcome, grant=grant, seal=seal)


def replay(receipt: Receipt, secret: str) -> Receipt:
    """Return the receipt that the inputs and the secret give.

    What emission allowed that day is not computed but taken from the receipt. An honest receipt
    equals its replay. Raises InvalidInput if the inputs give no score or no amount at all.
    """
    inputs, stated = receipt.inputs, receipt.grant
    outcome = resolve(inputs, secret)
    grant = settle(inputs, outcome, aiba=stated.aiba_emission, neur=stated.neur_emission)
    return issue(inputs, outcome, grant, secret)


def verify(receipt: Receipt, secret: str) -> tuple[Mismatch, ...]:
    """Compare a receipt with its replay; no mismatch means that the battle is genuine.

    Checks that the secret is the one that was promised, the score and the reward, that each
    granted amount is the proposed one or 0, and the seal. Never raises for what a receipt states.
    """
    inputs = receipt.inputs
    try:
        promised = fairness.commitment(inputs.epoch, secret)
        replayed = to_json(replay(receipt, secret))
    except InvalidInput as refusal:
        return (Mismatch(field=refusal.field, stated=None, computed=refusal.reason),)
    found = []
    if inputs.commitment != promised:
        found.append(
            Mismatch(field="inputs.commitment", stated=inputs.commitment, computed=promised)
        )
    found.extend(_differences("", to_json(receipt), replayed))
    return tuple(found)


def to_json(receipt: Receipt) -> dict[str, object]:
    """Write a receipt as JSON-able values; `from_json` reads it back."""
    body = _body(receipt.inputs, receipt.outcome, receipt.grant)
    body["seal"] = receipt.seal
    return body


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
        seal=text(entry["seal"], "receipt.seal"),
    )
    written = {key: part for key, part in entry.items() if key not in _REVEALED}
    if _CANONICAL.encode(written) != _CANONICAL.encode(to_json(receipt)):
        raise InvalidInput("receipt", "written form")
    return receipt


def _body(inputs: BattleInputs, outcome: BattleOutcome, grant: Grant) -> dict[str, object]:
    return {
        "version": RECEIPT_VERSION,
        "inputs": write_inputs(inputs),
        "outcome": write_outcome(outcome),
        "grant": write_grant(grant),
    }


def _seal(body: Mapping[str, object], secret: str) -> str:
    """Return the HMAC-SHA256, in hex, of a receipt without its seal as compact sorted JSON."""
    return seed_hmac(secret, _SEAL_TEXT + _CANONICAL.encode(body))


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


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
