"""The bot's token is changed under a running game, by a clock that the test sets."""

import json
from pathlib import Path
from typing import Final

import pytest

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.telegram import sign
from aiba_domain.testing.doubles import SettableClock
from aiba_entry.http.app import create_gate
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import Gate
from aiba_entry.settings import load
from tests.contract.process.support import BOT_TOKEN, environment

OLD_BOT: Final = "734512:ROTATION-token-before_0123456789abc"


def test_the_bots_token_is_changed_without_anybody_losing_the_open_game(tmp_path: Path) -> None:
    """What Telegram signed before stays good for its age; what a thief signs later is nothing."""
    clock = SettableClock()

    def gate(**environ: str) -> Gate:
        given = environment(tmp_path, TELEGRAM_INITDATA_MAX_AGE_SECONDS="900", **environ)
        return create_gate(load(given), limiter=MemoryRateLimiter(), now_ms=clock.now)

    def signed(token: str, at_s: int) -> str:
        user = json.dumps({"id": 1, "first_name": "P"})
        return sign({"auth_date": str(at_s), "user": user}, token)

    start_s = clock.now() // 1000
    before, thief = signed(OLD_BOT, start_s - 600), signed(OLD_BOT, start_s + 200)
    overlap = gate(TELEGRAM_BOT_TOKEN_PREVIOUS=OLD_BOT)
    assert overlap.auth.identity(before).player_id == "1"
    with pytest.raises(ApiError):
        gate().auth.identity(before)
    clock.advance(200_000)
    assert overlap.auth.identity(signed(BOT_TOKEN, start_s + 200)).player_id == "1"
    with pytest.raises(ApiError):
        overlap.auth.identity(thief)
    clock.advance(200_000)
    with pytest.raises(ApiError):
        overlap.auth.identity(before)
    # The way back, for a token that was typed wrong: the one before was good all the time.
    back = gate(TELEGRAM_BOT_TOKEN=OLD_BOT)
    assert back.auth.identity(thief).player_id == "1"
