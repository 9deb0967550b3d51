"""Replays per second on one core, beside a bare HMAC loop measured in the same run.

`python -m bench.replay [--json] [--battles N] [--rounds N]`. The ratio to the bare loop says more
than the rate: a busy machine slows both.
"""

import argparse
import hmac
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec

from aiba_adapters.numpy_replay import replay_batch
from aiba_domain.battle.engine import Fighter
from aiba_domain.battle.modes import ModeTerms, default_modes
from aiba_domain.battle.receipt import (
    BattleInputs,
    Emission,
    GuildMatch,
    Receipt,
    battle_id,
    replay_score,
    resolve,
    settle,
    verify,
)
from aiba_domain.battle.seed import seed_key
from aiba_domain.economy.rewards import Bonuses, RewardRates
from aiba_domain.fairness import epochs as fairness

SECRET = fairness.epoch_secret("the root of a benchmark, nobody's money", 1)
COMMITMENT = fairness.commitment(1, SECRET)
BASELINE = "bare HMAC, one-shot"
VERIFIED_PART = 20
"""Verifying a whole receipt does so much more that a twentieth of the battles is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured loop: its best rate, and that rate over the baseline's."""

    name: str
    per_second: int
    ratio: float


def measure(battles: int = 20_000, rounds: int = 7) -> list[Row]:
    """Time each loop `rounds` times in turn and keep the best of each."""
    inputs = _battles(battles)
    messages = [one.seed_message().encode() for one in inputs]
    secret, key = SECRET.encode(), seed_key(SECRET)
    few = inputs[: max(1, battles // VERIFIED_PART)]
    receipts = []
    for one in few:
        outcome = resolve(one, SECRET)
        grant = settle(one, outcome, aiba=Emission.GRANTED, neur=Emission.GRANTED)
        receipts.append(Receipt(inputs=one, outcome=outcome, grant=grant))
    assert replay_batch(few, key) == [receipt.outcome.score for receipt in receipts]
    assert not any(verify(receipt, SECRET) for receipt in receipts)

    loops: dict[str, tuple[int, Callable[[], object]]] = {
        BASELINE: (battles, lambda: [hmac.digest(secret, text, "sha256") for text in messages]),
        "bare HMAC, prepared key": (battles, lambda: [key.hexdigest(text) for text in messages]),
        "replay, one at a time": (battles, lambda: [replay_score(one, key) for one in inputs]),
        _batch_name(): (battles, lambda: replay_batch(inputs, key)),
        "decide (score and reward)": (len(few), lambda: [resolve(one, SECRET) for one in few]),
        "verify a whole receipt": (len(few), lambda: [verify(one, SECRET) for one in receipts]),
    }
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(rounds):
        for name, (count, loop) in loops.items():
            started = time.perf_counter()
            loop()
            best[name] = min(best[name], (time.perf_counter() - started) / count)
    return [
        Row(name=name, per_second=round(1 / each), ratio=round(best[BASELINE] / each, 3))
        for name, each in best.items()
    ]


def _batch_name() -> str:
    return "replay, batch" if find_spec("numpy") else "replay, batch without numpy"


def _battles(count: int) -> Sequence[BattleInputs]:
    """Make different battles as a store would hand them over, each with values of its own."""
    chance = random.Random(1)
    rates, modes = RewardRates(), [mode.terms() for mode in default_modes(0)]

    def identity() -> str:
        return f"{chance.getrandbits(96):024x}"

    def battle(mode: ModeTerms) -> BattleInputs:
        player_id = str(chance.randrange(10**9, 10**10))
        request_id = f"{identity()}-{chance.randrange(10**11)}"
        return BattleInputs(
            battle_id=battle_id(player_id, request_id, 1_700_000_000_000),
            player_id=player_id,
            broker_id=identity(),
            request_id=request_id,
            at=1_700_000_000_000,
            epoch=1,
            commitment=COMMITMENT,
            fighter=Fighter(
                intelligence=chance.randrange(101),
                speed=chance.randrange(101),
                risk=chance.randrange(101),
                level=chance.randrange(1, 40),
            ),
            mode=mode,
            guild=_match(identity(), identity(), chance) if mode.needs_guild else None,
            policy_version=1,
            rates=rates,
            bonuses=Bonuses(login_streak_days=chance.randrange(40), win_streak=chance.randrange(7)),
            anomaly_limit=220,
        )

    return [battle(chance.choice(modes)) for _ in range(count)]


def _match(mine: str, theirs: str, chance: random.Random) -> GuildMatch:
    return GuildMatch(
        my_id=mine,
        my_count=chance.randrange(12),
        their_id=theirs,
        their_count=chance.randrange(1, 12),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or JSON with `--json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--battles", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    rows = measure(options.battles, options.rounds)
    if options.json:
        print(json.dumps({"bench": "replay", "rows": [asdict(row) for row in rows]}))
        return 0
    for row in rows:
        print(f"{row.name:28} {row.per_second:>10,}/s  {row.ratio:6.2f} x bare HMAC")
    return 0


if __name__ == "__main__":
    sys.exit(main())
