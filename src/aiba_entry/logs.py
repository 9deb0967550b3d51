"""Structured logs: JSON lines that carry the request's id, and never a secret."""

import logging
import sys
from collections.abc import Collection, MutableMapping
from contextvars import ContextVar
from typing import Final, TextIO

import msgspec
import structlog

REQUEST_ID: ContextVar[str] = ContextVar("aiba_request_id", default="")
"""The id of the request being served; every log line made meanwhile carries it."""

_HIDDEN: Final = "[hidden]"
# Names whose values are never logged, whoever logs them and however well meant.
_UNLOGGABLE: Final = frozenset(
    [
        "authorization",
        "body",
        "bot_token",
        "cookie",
        "headers",
        "init_data",
        "initData",
        "password",
        "payload",
        "query_string",
        "secret",
        "token",
    ]
)
_Event = MutableMapping[str, object]


def configure_logging(
    level: str = "INFO", *, stream: TextIO | None = None, secrets: Collection[str] = ()
) -> None:
    """Make every log line of the process one JSON object on `stream` (default: standard output).

    Lines carry a UTC time, level, source, the request id and, for an exception, its traceback
    without local variables. Values under names such as `headers`, `body` or `token` are hidden, and
    so is any of `secrets` wherever it stands. Lines of other libraries share the format. Acts on
    the whole process: call it once, from the program's entry.
    """
    target = stream or sys.stdout
    render = _Renderer(secrets)
    _configure_own(level, target, render)
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_source, *_steps()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)


def ensure_logging() -> None:
    """Keep to the rules above where nobody configured logging: warnings, on standard error.

    The logging library's own defaults would print the local variables of a failed request, its
    headers among them.
    """
    if not structlog.is_configured():
        _configure_own("WARNING", sys.stderr, _Renderer(()))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose lines carry `name`; it takes its form at its first line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return logger


def _steps() -> list[structlog.typing.Processor]:
    return [
        structlog.stdlib.add_log_level,
        _add_request_id,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _hide,
    ]


def _configure_own(level: str, stream: TextIO, render: "_Renderer") -> None:
    structlog.configure(
        processors=[*_steps(), render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def _add_request_id(_logger: object, _method: str, event: _Event) -> _Event:
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    return event


def _add_source(_logger: object, _method: str, event: _Event) -> _Event:
    record = event["_record"]
    if isinstance(record, logging.LogRecord):
        event["source"] = record.name
    return event


def _hide(_logger: object, _method: str, event: _Event) -> _Event:
    for name in event.keys() & _UNLOGGABLE:
        event[name] = _HIDDEN
    return event


class _Renderer:
    """Turns an event into one line of JSON that holds none of the secrets."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._encode = msgspec.json.Encoder(enc_hook=repr).encode
        self._secrets = [secret for secret in secrets if secret]

    def __call__(self, _logger: object, _method: str, event: _Event) -> str:
        try:
            line = self._encode(event).decode()
        except (TypeError, ValueError, RecursionError):
            # A lone surrogate, or a value nothing can be made of: the rest is still worth a line.
            line = self._encode({name: _plain(value) for name, value in event.items()}).decode()
        for secret in self._secrets:
            line = line.replace(secret, _HIDDEN)
        return line


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if isinstance(value, int | float | None) else ascii(value)
