"""Scores of many battles at once, in vectors where numpy is installed.

Every score equals the plain one bit for bit: the same IEEE operations in the same order, only on
whole columns. Without numpy the same call works one battle at a time.
"""

from collections.abc import Sequence
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
    """Return the scores of one piece of a batch: one pass over the battles, the rest in columns.

    Most of the time goes into the pass, where no call is one too many; modes are told apart by
    identity.
    """
    copy_inner, copy_outer = key.inner.copy, key.outer.copy
    known: dict[int, tuple[int, str]] = {}
    modes: list[ModeTerms] = []
    mode_of: list[int] = []
    fighters: list[Fighter] = []
    digests: list[bytes] = []
    bonuses: list[tuple[int, int]] = []
    for battle in battles:
        mode, guild = battle.mode, battle.guild
        try:
            number, middle = known[id(mode)]
        except KeyError:
            number, middle = len(modes), f":{mode.key}:{mode.arena}:{mode.league}:"
            known[id(mode)] = number, middle
            modes.append(mode)
        opponent = ""
        if guild is not None:
            opponent = guild.their_id
            bonuses.append((len(mode_of), guild.bonus))
        text = f"{battle.player_id}:{battle.broker_id}{middle}{battle.request_id}:{opponent}"
        try:
            message = text.encode()
        except UnicodeEncodeError:
            message = utf8(text)
        inner = copy_inner()
        inner.update(message)
        outer = copy_outer()
        outer.update(inner.digest())
        digests.append(outer.digest())
        mode_of.append(number)
        fighters.append(battle.fighter)
    scores = _whole(_scores(fighters, modes, mode_of, _draws(b"".join(digests))))
    for row, bonus in bonuses:
        scores[row] = with_guild_bonus(scores[row], bonus)
    return scores


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
    modes: Sequence[ModeTerms],
    mode_of: Sequence[int],
    draws: "NDArray[np.uint32]",
) -> "NDArray[np.float64]":
    """Return the scores before the guild bonus: the steps of the engine, column by column."""
    import numpy as np  # noqa: PLC0415 - an optional dependency

    numbers = [numbers_of(mode) for mode in modes]
    row_of = np.fromiter(mode_of, np.intp, len(mode_of))

    def factor(name: str) -> "NDArray[np.float64]":
        return np.array([getattr(one, name) for one in numbers], np.float64)[row_of]

    def share(stats: list[float]) -> "NDArray[np.float64]":
        return np.minimum(1.0, np.maximum(0.0, np.fromiter(stats, np.float64, len(stats)) / 100))

    levels = np.fromiter([fighter.level for fighter in fighters], np.float64, len(fighters))
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
