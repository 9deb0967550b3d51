"""What the driver's errors mean for a unit of work."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from aiba_adapters.mongo_meter import Trouble

DUPLICATE: Final = 11_000
UNAUTHORIZED: Final = 13
_WRITE_CONFLICT: Final = 112
_NO_SUCH_TRANSACTION: Final = 251
_TRANSIENT: Final = "TransientTransactionError"
_UNKNOWN_RESULT: Final = "UnknownTransactionCommitResult"

_TROUBLES: Final[Mapping[int, Trouble]] = {
    _WRITE_CONFLICT: Trouble.CONFLICT,
    DUPLICATE: Trouble.DUPLICATE,
    _NO_SUCH_TRANSACTION: Trouble.NO_TRANSACTION,
    **dict.fromkeys((91, 189, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436), Trouble.NOT_PRIMARY),
    **dict.fromkeys((6, 7, 9_001), Trouble.NETWORK),
    **dict.fromkeys((50, 89, 262), Trouble.TIMEOUT),
    64: Trouble.UNCONFIRMED,
}
"""By the server's codes; a server that goes down is no primary any more."""


class Failure(Enum):
    """What kind of failure an error is."""

    CONFLICT = auto()
    """Another unit was first; run again at once."""
    DUPLICATE = auto()
    """A key is taken, perhaps by a unit that this one's snapshot didn't hold."""
    AWAY = auto()
    """The server can't be reached, or there is no primary; wait."""
    OTHER = auto()
    """The server refused for a reason that won't pass by waiting a moment."""


def kind_of(error: PyMongoError) -> Failure:
    """Say what an error is that a command within a transaction ended with."""
    if is_duplicate(error):
        return Failure.DUPLICATE
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _WRITE_CONFLICT or _bulk_conflict(error):
        return Failure.CONFLICT
    if isinstance(error, ConnectionFailure | AutoReconnect):
        return Failure.AWAY
    if code == _NO_SUCH_TRANSACTION or error.has_error_label(_TRANSIENT):
        return Failure.AWAY
    if isinstance(error, ExecutionTimeout):
        return Failure.AWAY
    return Failure.OTHER


def is_duplicate(error: PyMongoError) -> bool:
    """Tell whether an error says that a unique key is taken."""
    return isinstance(error, DuplicateKeyError) or DUPLICATE in _bulk_codes(error)


def is_unknown(error: PyMongoError) -> bool:
    """Tell whether a commit that ended with this may have taken effect."""
    return isinstance(error, ConnectionFailure) or error.has_error_label(_UNKNOWN_RESULT)


def is_cut(error: Exception | None) -> bool:
    """Tell whether a connection broke, so that what was sent on it may be under way."""
    is_elsewhere = isinstance(error, NotPrimaryError | ServerSelectionTimeoutError)
    return isinstance(error, ConnectionFailure) and not is_elsewhere


def trouble_of(error: PyMongoError) -> Trouble:
    """Say why a command failed, for whoever counts."""
    for code in (*_codes(error), *_bulk_codes(error)):
        if code in _TROUBLES:
            return _TROUBLES[code]
    if isinstance(error, DuplicateKeyError):
        return Trouble.DUPLICATE
    if isinstance(error, NetworkTimeout | ExecutionTimeout):
        return Trouble.TIMEOUT
    if isinstance(error, ConnectionFailure):
        return Trouble.NETWORK
    return Trouble.TRANSIENT if error.has_error_label(_TRANSIENT) else Trouble.REFUSED


def trouble_in(answer: Mapping[str, Any], *, failed: bool) -> Trouble | None:
    """Say what is wrong in a command's answer, None if nothing is.

    A command may have failed in part though its answer is ok; one without an answer is told as
    what the driver met (`errtype`).
    """
    if failed:
        if "errtype" in answer:
            return Trouble.TIMEOUT if "Timeout" in answer["errtype"] else Trouble.NETWORK
        known = _TROUBLES.get(answer.get("code", 0))
        transient = _TRANSIENT in answer.get("errorLabels", ())
        return known or (Trouble.TRANSIENT if transient else Trouble.REFUSED)
    for error in answer.get("writeErrors", ()):
        return _TROUBLES.get(error.get("code", 0), Trouble.REFUSED)
    return Trouble.UNCONFIRMED if "writeConcernError" in answer else None


def _codes(error: PyMongoError) -> tuple[int, ...]:
    """Return the code that the server gave; errors of a lost primary keep it apart."""
    if not isinstance(error, OperationFailure | AutoReconnect):
        return ()
    details: Any = error.details
    code = details.get("code") if isinstance(details, Mapping) else None
    return (code,) if isinstance(code, int) else ()


def _bulk_codes(error: PyMongoError) -> set[int]:
    if not isinstance(error, BulkWriteError):
        return set()
    return {each.get("code", 0) for each in (error.details or {}).get("writeErrors", ())}


def _bulk_conflict(error: PyMongoError) -> bool:
    return _WRITE_CONFLICT in _bulk_codes(error)


def text_of(error: PyMongoError) -> str:
    """Say what is wrong, without the driver's long description of the servers and of what was sent.

    What a taken key holds isn't told either.
    """
    text = str(error)
    for more in (", Timeout:", ", full error:", " dup key:"):
        text = text.partition(more)[0]
    return text
