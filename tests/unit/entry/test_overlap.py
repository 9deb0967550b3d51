"""Secrets beside those in use: read, hidden, judged as the others are, and never the same."""

from pathlib import Path

import pytest

from aiba_entry.readiness.judgment import judge
from aiba_entry.settings import SettingsError, load
from tests.support.ready import BESIDE, READY


def test_what_stands_beside_a_secret_is_read_and_shown_nowhere() -> None:
    """All of them at once are ready; each is known as a secret that no text may hold."""
    settings = load({**READY, **BESIDE})
    overlap = settings.overlap
    assert overlap.telegram_bot_token == BESIDE["TELEGRAM_BOT_TOKEN_PREVIOUS"]
    assert overlap.session == (
        BESIDE["SESSION_SECRET_NEXT"],
        BESIDE["SESSION_SECRET_PREVIOUS"],
    )
    assert overlap.battle_seed == (
        BESIDE["BATTLE_SEED_SECRET_NEXT"],
        BESIDE["BATTLE_SEED_SECRET_PREVIOUS"],
    )
    assert set(BESIDE.values()) <= set(settings.secrets)
    for text in (repr(settings), repr(overlap), str(overlap)):
        assert not [value for value in BESIDE.values() if value in text]
    assert judge({**READY, **BESIDE}).ready
    assert load(READY).overlap.secrets == ()


@pytest.mark.parametrize("name", BESIDE)
def test_one_that_is_weak_used_twice_or_alone_is_refused(name: str, tmp_path: Path) -> None:
    """By its own variable, and without its value."""
    of = name.removesuffix("_PREVIOUS").removesuffix("_NEXT")
    weak = "1:short" if of == "TELEGRAM_BOT_TOKEN" else "only-16-letters!"
    other = "ADMIN_JWT_SECRET" if of != "ADMIN_JWT_SECRET" else "SESSION_SECRET"
    shaped = f"1:{READY[other]}" if of == "TELEGRAM_BOT_TOKEN" else READY[other]
    for value in (weak, READY[of], shaped):
        errors = judge({**READY, name: value}).errors
        assert [name in each.variables for each in errors] == [True]
        assert value not in repr(errors)
    with pytest.raises(SettingsError) as alone:
        load({"APP_ENV": "test", "AIBA_DATA_DIR": str(tmp_path), name: BESIDE[name]})
    assert alone.value.problems == {name: f"means nothing without {of}"}
    assert not list(tmp_path.iterdir())
