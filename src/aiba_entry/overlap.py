"""Secrets beside those in use, while one takes another's place: the next one, and the one before.

`NAME_NEXT` is known ahead and nothing is made with it, so that processes which make things with it
already are believed by those which don't yet. `NAME_PREVIOUS` is what things were made with before.
"""

from dataclasses import dataclass
from typing import Final

from aiba_entry import forms
from aiba_entry.readiness.checks import weak_code
from aiba_entry.variables import Variables

NEXT: Final = "_NEXT"
PREVIOUS: Final = "_PREVIOUS"
"""What a secret's name ends with where it isn't the one in use."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Overlap:
    """What is believed beside the secrets in use, by purpose. Its repr shows none of it."""

    telegram_bot_token: str | None = None
    session: tuple[str, ...] = ()
    battle_seed: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        bot = (self.telegram_bot_token,) if self.telegram_bot_token else ()
        return (*bot, *self.session, *self.battle_seed)

    def __repr__(self) -> str:
        return "Overlap([hidden])"


def load_overlap(variables: Variables) -> Overlap:
    """Read what is believed beside the secrets in use, and note the faults."""
    return Overlap(
        telegram_bot_token=_bot_token(variables),
        session=_beside(variables, "SESSION_SECRET", "session_secret_weak"),
        battle_seed=_beside(variables, "BATTLE_SEED_SECRET", "battle_seed_weak"),
    )


def _bot_token(variables: Variables) -> str | None:
    name = f"TELEGRAM_BOT_TOKEN{PREVIOUS}"
    text = variables.secret(name)
    if text is None:
        return None
    try:
        forms.bot_token(text)
    except ValueError as error:
        variables.fault(name, str(error), "telegram_bot_token_shape")
    _need_another(variables, name, "TELEGRAM_BOT_TOKEN")
    return text


def _beside(variables: Variables, of: str, weak: str) -> tuple[str, ...]:
    found = []
    for name in (f"{of}{NEXT}", f"{of}{PREVIOUS}"):
        text = variables.secret(name)
        if text is None:
            continue
        weakness = forms.weakness(text)
        if weakness is not None:
            variables.fault(name, forms.WEAK[weakness], weak_code(weakness, short=weak))
        _need_another(variables, name, of)
        found.append(text)
    return tuple(found)


def _need_another(variables: Variables, name: str, of: str) -> None:
    """Note a secret that stands beside none, or beside itself."""
    if not variables.given(of):
        variables.fault(name, f"means nothing without {of}")
    elif variables.secret(name) == variables.secret(of):
        variables.fault(name, f"must differ from {of}")
