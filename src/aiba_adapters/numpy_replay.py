"""Scores of many battles at once, in vectors where numpy is installed.

Every score equals the plain one bit for bit: the same IEEE operations in the same order, only on
whole columns. Without numpy the same call works one battle at a time.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from aiba_domain.battle.engine import Fighter, with_guild_bonus
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.battle.resolve import BattleInputs, numbers_of, replay_score
from aiba_domain.battle.seed import SeedKey, utf8
from aiba_domain.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS_AT_ONCE: Final = 2_048
"""Rows whose columns stay in the processor's near cache."""

_WORDS_PER_DIGEST: Final = 8
_LARGEST_VECTOR_INT: Final = 2.0**62
_HALF: Final = 0.5


def replay_batch(battles: Sequence[BattleInputs], key: SeedKey) -> list[int]:
    """Return the score of each battle, as `replay_score` gives it.

    Raises InvalidInput if any score is not finite.
    """
    if find_spec("numpy") is None:
        return [replay_score(battle, key) for battle in battles]
    scores: list[int] = []
    for start in range(0, len(battles), _ROWS_AT_ONCE):
        scores += _replay(battles[start : start + _ROWS_AT_ONCE], key)
    return scores


def _replay(battles: Sequence[BattleInputs], key: SeedKey) -> list[int]:
    """Return the scores of one piece of a batch; `kinds` tells their modes apart by identity."""
    modes = [battle.mode for battle in battles]
    kinds = list(map(id, modes))
    by_kind = dict(zip(kinds, modes, strict=True))
    draws = _draws(_digests(_messages(battles, kinds, by_kind), key))
    scores = _whole(_scores([battle.fighter for battle in battles], kinds, by_kind, draws))
    for row, guild in enumerate([battle.guild for battle in battles]):
        if guild is not None:
            scores[row] = with_guild_bonus(scores[row], guild.bonus)
    return scores


def _messages(
    battles: Sequence[BattleInputs], kinds: Sequence[int], by_kind: Mapping[int, ModeTerms]
) -> list[bytes]:
    """Return every battle's seed message, joining the part that a mode gives it only once."""
    middles = {kind: f":{mode.key}:{mode.arena}:{mode.league}:" for kind, mode in by_kind.items()}
    texts = [
        f"{battle.player_id}:{battle.broker_id}{middles[kind]}{battle.request_id}:"
        f"{battle.guild.their_id if battle.guild else ''}"
        for battle, kind in zip(battles, kinds, strict=True)
    ]
    try:
        return [text.encode() for text in texts]
    except UnicodeEncodeError:
        return [utf8(text) for text in texts]


def _digests(messages: Sequence[bytes], key: SeedKey) -> bytes:
    """Return all HMAC-SHA256 digests in a row. Most of the time goes here: no call too many."""
    copy_inner, copy_outer = key.inner.copy, key.outer.copy
    found: list[bytes] = []
    keep = found.append
    for message in messages:
        inner = copy_inner()
        inner.update(message)
        outer = copy_outer()
        outer.update(inner.digest())
        keep(outer.digest())
    return b"".join(found)


def _draws(digests: bytes) -> "NDArray[np.uint32]":
    """Return the first draw of each digest's seed; unsigned 32-bit arithmetic wraps by itself."""
    import numpy as np  # noqa: PLC0415 - an optional dependency

    seeds = np.frombuffer(digests, dtype=">u4")[::_WORDS_PER_DIGEST]
    state = seeds.astype(np.uint32) + np.uint32(0x6D2B79F5)
    mixed = (state ^ state >> np.uint32(15)) * (state | np.uint32(1))
    mixed ^= mixed + (mixed ^ mixed >> np.uint32(7)) * (mixed | np.uint32(61))
    drawn: NDArray[np.uint32] = mixed ^ mixed >> np.uint32(14)
    return drawn


def _scores(
    fighters: Sequence[Fighter],
    kinds: Sequence[int],
    by_kind: Mapping[int, ModeTerms],
    draws: "NDArray[np.uint32]",
) -> "NDArray[np.float64]":
    """Return the scores before the guild bonus: the steps of the engine, column by column."""
    import numpy as np  # noqa: PLC0415 - an optional dependency

    numbers = [numbers_of(mode) for mode in by_kind.values()]
    rows = {kind: row for row, kind in enumerate(by_kind)}
    row_of = np.fromiter([rows[kind] for kind in kinds], np.intp, len(kinds))

    def factor(name: str) -> "NDArray[np.float64]":
        return np.array([getattr(one, name) for one in numbers], np.float64)[row_of]

    def share(stats: list[float]) -> "NDArray[np.float64]":
        return np.minimum(1.0, np.maximum(0.0, np.array(stats, np.float64) / 100))

    levels = np.array([fighter.level for fighter in fighters], np.float64)
    with np.errstate(all="ignore"):
        intelligence = share([fighter.intelligence for fighter in fighters])
        speed = share([fighter.speed for fighter in fighters])
        risk = share([fighter.risk for fighter in fighters])
        level = 1 + np.minimum(0.5, np.maximum(0.0, np.floor(levels) - 1) * 0.02)
        weighted = factor("intelligence") * intelligence + factor("speed") * speed
        weighted += factor("risk") * risk
        league = factor("league")
        variance = factor("variance") * league * (0.2 + risk)
        total = 100 * league * level * weighted + (draws / 2.0**32 - _HALF) * 2 * variance
        whole = np.floor(total)
        scores: NDArray[np.float64] = np.maximum(0.0, whole + (total - whole >= _HALF))
    if not np.isfinite(total).all():
        raise InvalidInput("score", "finite")
    return scores


def _whole(scores: "NDArray[np.float64]") -> list[int]:
    if scores.max() < _LARGEST_VECTOR_INT:
        found: list[int] = scores.astype("int64").tolist()
        return found
    return [int(score) for score in scores]
