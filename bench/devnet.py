"""How fast the local chain is: claims from the wallet's message to the jettons, on one core.

`python -m bench.devnet [--json] [--claims N] [--rounds N]`. A claim is five transactions: the
wallet, the vault, its jetton wallet, the player's, and what is left of the TON back at the player.
Messages are signed before the clock runs.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from aiba_adapters.devnet.arena import TON, Arena
from aiba_adapters.devnet.cells import bag
from aiba_adapters.devnet.chain import LocalChain
from aiba_adapters.devnet.wallets import Wallet
from bench.report import Figure

CLAIMS: Final = "claims, each to its end"
TRANSACTIONS: Final = "transactions of these claims"
GET_METHODS: Final = "getLastSeqno"
_AT_LEAST: Final = {TRANSACTIONS: 500}
_TRANSACTIONS_OF_A_CLAIM: Final = 5
_PLAYERS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured loop: the median rate of its rounds."""

    name: str
    per_second: int


def measure(claims: int = 400, rounds: int = 5) -> list[Row]:
    """Time claims of some players in turn, and reads of the vault, each `rounds` times."""
    arena = Arena(LocalChain())
    players = [arena.wallet(f"player {number}", nanotons=TON * 1000) for number in range(_PLAYERS)]
    for player in players:  # the first brings wallets to life, once
        arena.claim(player, arena.sign(player.address, 1))
    rates: dict[str, list[float]] = {CLAIMS: [], TRANSACTIONS: [], GET_METHODS: []}
    for number in range(rounds):
        done, taken = _claim(arena, _messages(arena, players, claims, number))
        assert done == claims * _TRANSACTIONS_OF_A_CLAIM
        rates[CLAIMS].append(claims / taken)
        rates[TRANSACTIONS].append(done / taken)
        rates[GET_METHODS].append(claims / _read(arena, players[0], claims))
    per_player = 1 + rounds * (claims // _PLAYERS)
    assert all(arena.jettons(player.address) == per_player for player in players)
    return [Row(name=name, per_second=round(median(found))) for name, found in rates.items()]


def _messages(arena: Arena, players: Sequence[Wallet], claims: int, number: int) -> Sequence[bytes]:
    """Return signed messages for one more round of claims, each player's in order."""
    each = claims // len(players)
    messages = []
    for turn in range(each):
        seqno = 1 + number * each + turn  # of the wallet, whose first message was 0
        for player in players:
            claim = arena.sign(player.address, 1, seqno=seqno + 1)
            messages.append(bag(player.signed([arena.order(claim)], seqno=seqno)))
    return messages


def _claim(arena: Arena, messages: Sequence[bytes]) -> tuple[int, float]:
    done, started = 0, time.perf_counter()
    for message in messages:
        done += len(arena.chain.send(message).transactions)
    return done, time.perf_counter() - started


def _read(arena: Arena, player: Wallet, times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        arena.last_seqno(player.address)
    return time.perf_counter() - started


def measure_chain(claims: int = 400, rounds: int = 5) -> list[Figure]:
    """Return what was measured, with targets, for the report."""
    return [
        Figure(
            name=f"local chain: {row.name}",
            value=row.per_second,
            unit="/s",
            at_least=_AT_LEAST.get(row.name),
        )
        for row in measure(claims, rounds)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or JSON with `--json`; return 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--claims", type=int, default=400, help=f"a multiple of {_PLAYERS}")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = measure(options.claims, options.rounds)
    if options.json:
        print(json.dumps({"bench": "devnet", "rows": [asdict(row) for row in rows]}))
    else:
        for row in rows:
            print(f"{row.name:34} {row.per_second:>9,}/s")
    return int(any(row.per_second < _AT_LEAST.get(row.name, 0) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
