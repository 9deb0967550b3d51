"""What the gate finds: values, without a secret in them."""

from dataclasses import dataclass
from typing import Final

NOT_READY: Final = "PROD_READINESS_FAILED"
"""The code under which production's refusals are told, all at once."""

FAULTY: Final = "SETTINGS_INVALID"
"""The code of a refusal elsewhere: a developer's settings can't be read."""

EX_CONFIG: Final = 78
"""The exit code of a process that refuses its environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: a stable code, the variables it is about, and a text without values.

    A warning is told and refuses nothing.
    """

    code: str
    variables: tuple[str, ...]
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The judgment of an environment; `prod` whether production's rules were applied.

    An environment with an unknown `APP_ENV` is judged by them too. Errors and warnings are in the
    order of `advice.CODES`, which for what the service before checked is its order.
    """

    prod: bool
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Tell whether the process may start."""
        return not self.errors

    @property
    def code(self) -> str:
        """Return the code of the refusal."""
        return NOT_READY if self.prod else FAULTY
