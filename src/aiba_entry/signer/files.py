"""Who else gets at the signer's secret files."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from aiba_domain.signing.model import Network
from aiba_entry.secret_files import Reach, reach_of
from aiba_entry.signer import environment
from aiba_entry.signer.settings import TLS_KEY, TOKENS
from aiba_entry.signer.tokens import holds_tokens

SECRET_FILES: Final = (*(f"{name}_FILE" for name in environment.SECRETS), TOKENS, TLS_KEY)
"""The variables that name a file with a secret in it. A token may be there as a digest alone."""

_TEXTS: Final = {
    Reach.EVERYBODY: "the file can be read or written by everybody on this machine",
    Reach.GROUP: "the file can be read or written by a group, which this process doesn't need",
}


def lent(environ: Mapping[str, str], network: Network | None) -> tuple[list[str], list[str]]:
    """Return faults and warnings of the files that others get at, each `NAME: what is wrong`.

    On the main network a file that everybody gets at is a fault; all else is a warning. What can't
    be read is told by whoever needs it.
    """
    faults: list[str] = []
    warnings: list[str] = []
    for name, reach in _reaches(environ):
        is_fault = reach is Reach.EVERYBODY and network is Network.MAINNET
        (faults if is_fault else warnings).append(f"{name}: {_TEXTS[reach]}")
    return faults, warnings


def _reaches(environ: Mapping[str, str]) -> Iterator[tuple[str, Reach]]:
    for name in SECRET_FILES:
        path = environ.get(name, "").strip()
        with contextlib.suppress(OSError, ValueError):
            if not path:
                continue
            is_secret = name != TOKENS or holds_tokens(Path(path).read_text(encoding="utf-8"))
            if (reach := reach_of(path, is_secret=is_secret)) is not Reach.OWN:
                yield name, reach
