"""A service that leaks on purpose, a different secret at each place that is watched.

`python leaks.py` serves it. It leaks pieces and disguises, which a log that hides whole secrets
lets pass.
"""

import base64
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiba_domain.application.pipeline import Pipeline
from aiba_entry.cli.main import main
from aiba_entry.http import docs, errors
from aiba_entry.http.envelope import error_reply
from aiba_entry.http.security_headers import SecurityHeaders
from aiba_entry.observability import Metrics, get_logger

PIECE: Final = slice(2, 14)
"""As little of a secret as counts."""


def piece(name: str) -> str:
    """Return a piece of a secret."""
    return os.environ[name][PIECE]


def plant() -> None:
    """Put a leak at every place."""
    put: Any = setattr
    execute, headers, described = Pipeline.execute, SecurityHeaders.of, docs._described
    observe, reply = Metrics.observe_request, error_reply

    async def crashing(self: Any, who: Any, command: Any, *more: Any) -> Any:  # noqa: ANN401 - as it was
        if type(command).__name__ == "RunBattle":
            secret = piece("TON_API_KEY").encode()
            raise RuntimeError(f"no answer from ?auth={base64.b64encode(b'x' + secret).decode()}")
        return await execute(self, who, command, *more)

    def labelled(self: Any, method: str, path: str | None, *more: Any) -> None:  # noqa: ANN401 - as it was
        get_logger("aiba.leaks").info("asked", note=piece("SESSION_SECRET_NEXT")[::-1])
        observe(self, method, f"{path}/{piece('METRICS_TOKEN')}", *more)

    def explaining(status: int, code: str, request_id: str, **more: Any) -> Any:  # noqa: ANN401 - as it was
        if status == 500:
            more["details"] = {"seed": piece("BATTLE_SEED_SECRET").upper()}
        return reply(status, code, request_id, **more)

    def headed(self: Any, template: str | None, status: int) -> Any:  # noqa: ANN401 - as it was
        debug = piece("SESSION_SECRET").encode().hex().encode()
        return [*headers(self, template, status), *([(b"x-debug", debug)] if status == 500 else [])]

    def noted(app: Any) -> Any:  # noqa: ANN401 - as it was
        return described(app) | {"x-example": quote(os.environ["DOCS_TOKEN"], safe="")[:24]}

    put(Pipeline, "execute", crashing)
    put(Metrics, "observe_request", labelled)
    put(errors, "error_reply", explaining)
    put(SecurityHeaders, "of", headed)
    put(docs, "_described", noted)


def leave_files() -> None:
    """Leave a file with a secret in it, and one with a secret in its name."""
    folder = Path(os.environ["AIBA_DATA_DIR"])
    folder.mkdir(parents=True)
    raw = os.environ["ADMIN_JWT_SECRET"].encode()
    (folder / "core").write_bytes(bytes(range(256)) + raw[5:30] + bytes(range(256)))
    (folder / f"session-{piece('ADMIN_JWT_SECRET_NEXT')}").touch()


if __name__ == "__main__":
    plant()
    leave_files()
    print(f"Token     {piece('TELEGRAM_BOT_TOKEN')}", flush=True)  # noqa: T201 - a leak
    try:
        main(["serve"])
    finally:
        raise RuntimeError(f"the end of {piece('TELEGRAM_BOT_TOKEN_PREVIOUS')}")
