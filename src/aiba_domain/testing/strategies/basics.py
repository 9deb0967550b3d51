"""The small change of the strategies: amounts, ids, texts, instants."""

from fractions import Fraction
from functools import cache
from hashlib import sha256
from typing import Any, Final

from hypothesis import strategies as st

from aiba_domain.ids import derive_id
from aiba_domain.instants import LAST_WRITTEN
from aiba_domain.money import MAX_AMOUNT, Currency

SMALL: Final = 1_000
DAY: Final = 86_400_000
COMMON_TIME_S: Final = 1_767_225_600
COMMON_DAYS: Final = ("2026-01-01", "2026-01-02")


@cache
def amounts(smallest: int = 0) -> st.SearchStrategy[int]:
    """Amounts: mostly small, some at and near the largest, which integers are drawn at by nature.

    Both branches reach the small ones, so that a large amount shrinks to the least that fails.
    """
    return st.integers(smallest, SMALL) | st.integers(smallest, MAX_AMOUNT)


@cache
def currencies() -> st.SearchStrategy[Currency]:
    """The four currencies."""
    return st.sampled_from(Currency)


@cache
def ids() -> st.SearchStrategy[str]:
    """Ids of 24 hex digits."""
    return st.integers(0, 2**96 - 1).map(lambda number: f"{number:024x}")


@cache
def player_ids() -> st.SearchStrategy[str]:
    """Telegram ids as text."""
    return st.integers(1, 2**52).map(str)


@cache
def texts(longest: int = 20) -> st.SearchStrategy[str]:
    """Texts of any characters, NUL and the astral planes included; only surrogates are left out."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=longest)


@cache
def names() -> st.SearchStrategy[str]:
    """Keys of modes and arenas: the characters that are allowed in them."""
    return st.text("abcXYZ019._-", min_size=1, max_size=12)


@cache
def instants() -> st.SearchStrategy[int]:
    """Instants in ms, UTC: around midnight, in this century, or anywhere on the calendar."""
    midnight = 1_767_225_600_000
    return st.one_of(
        st.integers(midnight - 2, midnight + 2),
        st.integers(midnight, midnight + 100 * 365 * DAY),
        st.integers(0, LAST_WRITTEN),
    )


@cache
def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value or None."""
    return st.none() | strategy


@cache
def fractions(highest: int = 10) -> st.SearchStrategy[Fraction]:
    """Exact multipliers from 0, endless decimals among them."""
    parts, whole = st.integers(1, 1_000), st.integers(0, highest * 1_000)
    return st.builds(
        lambda below, above: min(Fraction(above, below), Fraction(highest)), parts, whole
    )


def wallet_of(player_id: str) -> str:
    """Return a wallet of a player's own, as a raw address: no two players share one."""
    return f"0:{sha256(player_id.encode('utf-8', 'surrogatepass')).hexdigest()}"


@cache
def tx_hashes() -> st.SearchStrategy[str]:
    """Hashes of transactions, as 64 hex digits."""
    return st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")


def clock_moves() -> st.SearchStrategy[int]:
    """Steps of a clock in ms: mostly forward, some to and over midnight, some back."""
    return st.one_of(
        st.sampled_from((0, 1, 1_000, 60_000, 3_600_000, 12 * 3_600_000, DAY)),
        st.sampled_from((-1, -60_000, -DAY)),
        st.integers(-DAY, DAY),
    )


def sample_id(kind: str, number: int) -> str:
    """Return the id of the `number`-th sample of a kind of thing."""
    return derive_id("sample", kind, str(number))
