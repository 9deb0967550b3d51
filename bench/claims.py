"""Signed claims per second on one core, beside bare Ed25519 signing measured in the same run.

`python -m bench.claims [--json] [--claims N] [--rounds N]`. The ratio to bare signing says more
than the rate: a busy machine slows both. No two claims are of the same recipient.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from nacl.signing import SigningKey

from aiba_adapters.signing.local import LocalSigner, sign_cell, sign_terms
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.model import ClaimTerms
from bench.report import Figure

VAULT: Final = f"0:{'11' * 32}"
JETTON_MASTER: Final = f"0:{'22' * 32}"
BASELINE: Final = "bare PyNaCl signing"
HASH_AND_SIGN: Final = "hash and sign"
WHOLE: Final = "hash, sign, BoC, base64"
PORT: Final = "the same through the signer port"
REFERENCE_NOTE: Final = "the Node service: 122 to 261/s"
"""What the service before this one signs, measured elsewhere: a number for scale, no target."""

_BATCH: Final = 200
_AT_LEAST: Final = {HASH_AND_SIGN: 0.8, WHOLE: 0.35}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured loop: its best rate, and that rate over the baseline's."""

    name: str
    per_second: int
    ratio: float


def measure(claims: int = 4_000, rounds: int = 9) -> list[Row]:
    """Time each loop on short batches in turn, `rounds` times, keeping each batch's best time.

    Batches of a few milliseconds are over before a busy machine takes the core away.
    """
    key = SigningKey(bytes(range(32)))
    terms = _terms(claims)
    batches = [terms[start : start + _BATCH] for start in range(0, claims, _BATCH)]
    loops = _loops(key, batches)
    best = {name: [float("inf")] * len(batches) for name in loops}
    for _ in range(rounds):
        for number in range(len(batches)):
            for name, loop in loops.items():
                started = time.perf_counter()
                loop(number)
                taken = time.perf_counter() - started
                best[name][number] = min(best[name][number], taken)
    totals = {name: sum(times) for name, times in best.items()}
    return [
        Row(name=name, per_second=round(claims / total), ratio=round(totals[BASELINE] / total, 3))
        for name, total in totals.items()
    ]


def _loops(
    key: SigningKey, batches: Sequence[Sequence[ClaimTerms]]
) -> Mapping[str, Callable[[int], object]]:
    """Return what is measured, each as a function of a batch's number."""
    hashes = [[payload_of(one).hash for one in batch] for batch in batches]
    signer = LocalSigner(key, vault=VAULT, jetton_master=JETTON_MASTER)

    async def sign_all(batch: Sequence[ClaimTerms]) -> None:
        for one in batch:
            await signer.sign(one)

    return {
        BASELINE: lambda number: [key.sign(digest) for digest in hashes[number]],
        HASH_AND_SIGN: lambda number: [sign_cell(payload_of(one), key) for one in batches[number]],
        WHOLE: lambda number: [sign_terms(one, key) for one in batches[number]],
        PORT: lambda number: asyncio.run(sign_all(batches[number])),
    }


def measure_claims(claims: int = 4_000, rounds: int = 9) -> list[Figure]:
    """Return what the report shows: the ratios that have a target, each with its rate."""
    return [
        Figure(
            name=f"claims signed ({row.name}) : {BASELINE}",
            value=row.ratio,
            unit="x",
            at_least=_AT_LEAST[row.name],
            note=f"{row.per_second:,}/s; {REFERENCE_NOTE}",
        )
        for row in measure(claims, rounds)
        if row.name in _AT_LEAST
    ]


def _terms(count: int) -> Sequence[ClaimTerms]:
    chance = random.Random(1)
    return [
        ClaimTerms(
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            recipient=f"0:{chance.getrandbits(256):064x}",
            amount=chance.randrange(1, 10**9),
            seqno=chance.randrange(1, 10**4),
            valid_until_s=1_700_000_000 + chance.randrange(10**6),
        )
        for _ in range(count)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or JSON with `--json`; return 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--claims", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    rows = measure(options.claims, options.rounds)
    if options.json:
        print(json.dumps({"bench": "claims", "rows": [asdict(row) for row in rows]}))
    else:
        for row in rows:
            print(f"{row.name:34} {row.per_second:>9,}/s  {row.ratio:5.2f} x {BASELINE}")
        print(REFERENCE_NOTE)
    return int(any(row.ratio < _AT_LEAST.get(row.name, 0) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
