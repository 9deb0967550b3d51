"""What the driver's errors mean for a unit of work."""

from enum import Enum, auto
from typing import Final

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)

DUPLICATE: Final = 11_000
_WRITE_CONFLICT: Final = 112
_NO_SUCH_TRANSACTION: Final = 251
_TRANSIENT: Final = "TransientTransactionError"
_UNKNOWN_RESULT: Final = "UnknownTransactionCommitResult"


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


def _bulk_codes(error: PyMongoError) -> set[int]:
    if not isinstance(error, BulkWriteError):
        return set()
    return {each.get("code", 0) for each in (error.details or {}).get("writeErrors", ())}


def _bulk_conflict(error: PyMongoError) -> bool:
    return _WRITE_CONFLICT in _bulk_codes(error)


def text_of(error: PyMongoError) -> str:
    """Say what is wrong, without the driver's long description of the servers."""
    return str(error).partition(", Timeout:")[0]
