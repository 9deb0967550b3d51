"""The protection store's tables, and what their triggers refuse whatever the code above says."""

import sqlite3
from pathlib import Path
from typing import Final

APPLICATION: Final = 0x41495347
"""What marks the file as a protection store, so that no other database is taken for one."""

VERSION: Final = 1
_BUSY_TIMEOUT_S: Final = 10
_CACHE_KIB: Final = 65_536

_TABLES: Final = (
    """CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1), store TEXT NOT NULL, network TEXT NOT NULL,
        locked TEXT, quarantined_until_s INTEGER NOT NULL, new_key INTEGER NOT NULL,
        sequence INTEGER NOT NULL, head BLOB NOT NULL,
        known_to INTEGER NOT NULL, known_head BLOB NOT NULL,
        checkpoint INTEGER NOT NULL, time_s INTEGER NOT NULL, digest BLOB NOT NULL
    )""",
    """CREATE TABLE claims (
        vault TEXT NOT NULL, recipient TEXT NOT NULL, seqno BLOB NOT NULL CHECK (length(seqno) = 8),
        payload_hash BLOB NOT NULL CHECK (length(payload_hash) = 32),
        valid_until_s INTEGER NOT NULL, most INTEGER NOT NULL, day TEXT NOT NULL,
        day_most INTEGER NOT NULL, PRIMARY KEY (vault, recipient, seqno)
    ) WITHOUT ROWID""",
    """CREATE TABLE marks (
        vault TEXT NOT NULL, recipient TEXT NOT NULL, seqno BLOB NOT NULL CHECK (length(seqno) = 8),
        quarantined_until_s INTEGER NOT NULL, PRIMARY KEY (vault, recipient)
    ) WITHOUT ROWID""",
    """CREATE TABLE usage (
        vault TEXT NOT NULL, scope TEXT NOT NULL, amount INTEGER NOT NULL,
        PRIMARY KEY (vault, scope)
    ) WITHOUT ROWID""",
    "CREATE TABLE outbox (number INTEGER PRIMARY KEY, line BLOB NOT NULL)",
    """CREATE TRIGGER claims_replaced_later BEFORE UPDATE ON claims
    WHEN NEW.valid_until_s < OLD.valid_until_s
        OR (NEW.payload_hash <> OLD.payload_hash AND NEW.valid_until_s <= OLD.valid_until_s + 60)
        OR NEW.most < OLD.most
    BEGIN SELECT RAISE(ABORT, 'a payload is replaced only after it has expired'); END""",
    """CREATE TRIGGER claims_remain BEFORE DELETE ON claims
    BEGIN SELECT RAISE(ABORT, 'what was signed is never forgotten'); END""",
    """CREATE TRIGGER marks_rise BEFORE UPDATE ON marks
    WHEN NEW.seqno < OLD.seqno OR NEW.quarantined_until_s < OLD.quarantined_until_s
    BEGIN SELECT RAISE(ABORT, 'a watermark only rises'); END""",
    """CREATE TRIGGER marks_remain BEFORE DELETE ON marks
    BEGIN SELECT RAISE(ABORT, 'a watermark only rises'); END""",
    """CREATE TRIGGER usage_rises BEFORE UPDATE ON usage WHEN NEW.amount < OLD.amount
    BEGIN SELECT RAISE(ABORT, 'what was reserved is never given back'); END""",
    """CREATE TRIGGER usage_remains BEFORE DELETE ON usage
    BEGIN SELECT RAISE(ABORT, 'what was reserved is never given back'); END""",
)


class StoreMissing(Exception):  # noqa: N818 - named for the state of the file
    """There is no protection store where it should be, and none is made by itself."""


class StoreDamaged(Exception):  # noqa: N818 - named for the state of the file
    """The file is no protection store, or not whole; nothing may be signed by it."""


def create(path: Path) -> sqlite3.Connection:
    """Make an empty store's tables in a new file; raises FileExistsError if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    connection = _connect(path)
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Open a store that exists: StoreMissing or StoreDamaged otherwise."""
    if not path.is_file():
        raise StoreMissing(f"there is no protection store at {path}: `aiba signer init` makes one")
    try:
        connection = _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise StoreDamaged(f"{path}: {error}") from error
    found = tuple(
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    if found != (APPLICATION, VERSION):
        connection.close()
        raise StoreDamaged(f"{path} is no protection store of version {VERSION}")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode=rw",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Recipients come in no order: what finds their rows stays in memory.
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        # Without this a REPLACE would get past the triggers.
        connection.execute("PRAGMA recursive_triggers = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
