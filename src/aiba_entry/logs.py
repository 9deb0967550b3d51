"""Structured logs: JSON lines that carry the request's id, and never a secret."""

import logging
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cached_property
from time import time
from types import TracebackType
from typing import Final, NamedTuple, TextIO

import msgspec
import structlog

from aiba_entry.log_lines import HIDDEN, LogLines

REQUEST_ID: ContextVar[str] = ContextVar("aiba_request_id", default="")
"""The id of the request being served; every log line made meanwhile carries it."""

REQUEST: Final = "request"
"""What a line of a request says happened."""

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
_LEVELS: Final = {"warn": "warning", "exception": "error"}
# Libraries whose lines hold what they send and get, keys and people's data among it, at any level
# below a warning.
_TALKATIVE: Final = ("httpcore", "httpx", "pymongo")
_Event = MutableMapping[str, object]
_encode: Final = msgspec.json.Encoder(enc_hook=repr).encode


def configure_logging(
    level: str = "INFO", *, stream: TextIO | None = None, secrets: Collection[str] = ()
) -> LogLines:
    """Make every log line of the process one JSON object on `stream` (default: standard output).

    Lines carry a UTC time, level, source, the request id and, for an exception, its traceback
    without local variables. Values under names such as `headers`, `body` or `token` are hidden, and
    so is any of `secrets` wherever it stands. Lines of other libraries share the format, and so
    does what nobody catches. Acts on the whole process: call it once, from the program's entry.
    Each line is out at once, unless they are gathered by what this returns.
    """
    lines = LogLines(stream or sys.stdout, secrets)
    _configure_own(level, lines)
    logging.basicConfig(level=level, handlers=[_Handler(lines)], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _tell_crash
    return lines


def ensure_logging() -> None:
    """Keep to the rules above where nobody configured logging: warnings, on standard error.

    The logging library's own defaults would print the local variables of a failed request, its
    headers among them.
    """
    if not structlog.is_configured():
        _configure_own("WARNING", LogLines(sys.stderr))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose lines carry `name`; it takes its form at its first line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return logger


def _tell_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Write down what ends the process, as any other line: its text may hold a secret."""
    if issubclass(kind, Exception):
        get_logger("aiba").critical("crashed", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


class RequestLine(NamedTuple):
    """What there is to say of a request that was served; its bytes are the line."""

    source: str
    request_id: str
    method: str
    path: str
    status: int
    seconds: float
    at_s: float

    def fields(self) -> dict[str, object]:
        """Return what the line says beside its time, level and id."""
        ms = round(self.seconds * 1000, 3)
        return {"method": self.method, "path": self.path, "status": self.status, "ms": ms}

    def __bytes__(self) -> bytes:
        """Make the line."""
        return _line(
            {
                "source": self.source,
                **self.fields(),
                "event": REQUEST,
                "level": "info",
                "request_id": self.request_id,
                "timestamp": _instant(self.at_s),
            }
        )


class RequestLog:
    """Tells of each request that was served, where lines of the level `info` are written.

    Nearly all lines are of requests, so while one is served no more is done than to keep what there
    is to say; the line is made where it is written. It takes its form at the first line.
    """

    def __init__(self, source: str) -> None:
        """Write lines that carry `source`."""
        self._source = source

    def __call__(
        self, request_id: str, method: str, path: str, status: int, seconds: float
    ) -> None:
        """Tell of a request that took so many seconds."""
        self._take(RequestLine(self._source, request_id, method, path, status, seconds, time()))

    @cached_property
    def _take(self) -> Callable[[RequestLine], None]:
        logger = get_logger(self._source).bind()
        if not logger.is_enabled_for(logging.INFO):
            return lambda _line: None
        writers = structlog.get_config()["logger_factory"]
        if isinstance(writers, _Writers):
            return writers.lines.add
        # Whoever uses the application as a part may have a way of logging of their own.
        return lambda line: logger.info(REQUEST, **line.fields())


def _configure_own(level: str, lines: LogLines) -> None:
    structlog.configure(
        processors=[_complete, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_Writers(lines),
        cache_logger_on_first_use=True,
    )


class _Writers:
    """Makes what structlog hands its lines to."""

    def __init__(self, lines: LogLines) -> None:
        self.lines = lines

    def __call__(self, *_: object) -> "_Writer":
        return _Writer(self.lines)


class _Writer:
    """Takes lines by their level; from a warning on they are urgent."""

    def __init__(self, lines: LogLines) -> None:
        self.debug = self.info = lines.add
        self.warning = self.error = self.critical = lines.add_urgent


class _Handler(logging.Handler):
    """Takes the lines of other libraries."""

    def __init__(self, lines: LogLines) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[_add_source, _complete],
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _text_of],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; what goes wrong is told as the logging library does."""
        try:
            line = self.format(record).encode()
            if record.levelno >= logging.WARNING:
                self._lines.add_urgent(line)
            else:
                self._lines.add(line)
        except Exception:  # noqa: BLE001 - the library's own way, for all handlers
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits; the library asks for it when the process ends."""
        self._lines.flush()


def _complete(logger: object, method: str, event: _Event) -> _Event:
    """Add what every line carries, and hide what none may: one step, as requests wait for it."""
    event["level"] = _LEVELS.get(method, method)
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    event["timestamp"] = _instant(time())
    if "exc_info" in event or "stack_info" in event:
        event = structlog.processors.StackInfoRenderer()(logger, method, event)
        event = structlog.processors.format_exc_info(logger, method, event)
    if not _UNLOGGABLE.isdisjoint(event):
        for name in event.keys() & _UNLOGGABLE:
            event[name] = HIDDEN
    return event


def _add_source(_logger: object, _method: str, event: _Event) -> _Event:
    record = event["_record"]
    if isinstance(record, logging.LogRecord):
        event["source"] = record.name
    return event


def _instant(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC).isoformat()[:-6]}Z"


def _render(_logger: object, _method: str, event: _Event) -> bytes:
    return _line(event)


def _text_of(_logger: object, _method: str, event: _Event) -> str:
    return _line(event).decode()


def _line(event: Mapping[str, object]) -> bytes:
    """Turn an event into one line of JSON."""
    try:
        return _encode(event)
    except (TypeError, ValueError, RecursionError):
        # A lone surrogate, or a value nothing can be made of: the rest is still worth a line.
        return _encode({name: _plain(value) for name, value in event.items()})


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if isinstance(value, int | float | None) else ascii(value)
