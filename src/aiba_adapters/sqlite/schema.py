"""The schema, as numbered steps. A released step is never edited; a change is a new one.

A step that makes tables is one transaction. One that rewrites rows is a `DataStep`: a transaction
for each batch, which notes in the database how far it has come.
"""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiba_adapters.codec import encode
from aiba_adapters.steps import Pending, SchemaTooNew, Tell
from aiba_domain.economy.policy import EconomyPolicy

_FIRST: Final = """
CREATE TABLE players (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE brokers (
    id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX brokers_by_owner ON brokers (owner_id);
CREATE TABLE battles (
    id TEXT NOT NULL, player_id TEXT NOT NULL, created_at INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE UNIQUE INDEX battles_by_id ON battles (id);
CREATE INDEX battles_by_player ON battles (player_id, created_at, id);
CREATE TABLE modes (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE guilds (
    id TEXT PRIMARY KEY, active INTEGER NOT NULL, pooled INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX guilds_by_strength ON guilds (active, pooled, id);
CREATE TABLE guild_members (
    player_id TEXT NOT NULL, guild_id TEXT NOT NULL, PRIMARY KEY (player_id, guild_id)
) WITHOUT ROWID;
CREATE INDEX guild_members_by_guild ON guild_members (guild_id);
CREATE TABLE flags (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, subject_id TEXT NOT NULL, at INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX flags_by_subject ON flags (subject, subject_id, at, id);
CREATE TABLE epochs (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE policies (version INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE accounts (
    name TEXT NOT NULL, currency TEXT NOT NULL, balance INTEGER NOT NULL,
    PRIMARY KEY (name, currency),
    CHECK (balance >= 0 OR name GLOB 'emission:*' OR name = 'chain')
) WITHOUT ROWID;
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, currency TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), debit TEXT NOT NULL, credit TEXT NOT NULL,
    reason TEXT NOT NULL, arena TEXT NOT NULL, league TEXT NOT NULL,
    source_type TEXT NOT NULL, source_id TEXT NOT NULL, CHECK (debit <> credit)
);
CREATE TABLE answers (
    principal TEXT NOT NULL, command TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
    accepted INTEGER NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE UNIQUE INDEX answers_by_scope ON answers (principal, command, key);
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER answers_stay BEFORE UPDATE ON answers
BEGIN SELECT RAISE(ABORT, 'answers are kept for ever'); END;
CREATE TRIGGER answers_remain BEFORE DELETE ON answers
BEGIN SELECT RAISE(ABORT, 'answers are kept for ever'); END;
"""

_CLAIMS: Final = """
ALTER TABLE players ADD COLUMN wallet TEXT;
CREATE UNIQUE INDEX players_by_wallet ON players (wallet) WHERE wallet IS NOT NULL;
CREATE TABLE claims (
    id TEXT PRIMARY KEY, player_id TEXT NOT NULL, vault TEXT NOT NULL, recipient TEXT NOT NULL,
    seqno TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), created_at INTEGER NOT NULL,
    day TEXT NOT NULL, open INTEGER NOT NULL, counts INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX claims_open ON claims (vault, recipient) WHERE open;
CREATE UNIQUE INDEX claims_by_seqno ON claims (vault, recipient, seqno) WHERE counts;
CREATE INDEX claims_in_flight ON claims (created_at, id) WHERE open;
CREATE INDEX claims_by_player ON claims (player_id, created_at, id);
CREATE INDEX claims_by_day ON claims (day, player_id) WHERE counts;
"""

_PAYMENTS: Final = """
CREATE TABLE payments (hash TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER payments_stay BEFORE UPDATE ON payments
BEGIN SELECT RAISE(ABORT, 'a payment is used once'); END;
CREATE TRIGGER payments_remain BEFORE DELETE ON payments
BEGIN SELECT RAISE(ABORT, 'a payment is used once'); END;
CREATE TABLE listings (
    id TEXT PRIMARY KEY, broker_id TEXT NOT NULL, active INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX listings_active ON listings (broker_id) WHERE active;
"""

# What a day's claims come to, kept by the database itself in whatever changes a claim, so that it
# can't drift: a sum over 100,000 claims took a second of every reservation. The day's total has no
# player. In halves, since a sum of amounts may leave the 64 bits of SQLite's integers.
_CLAIM_DAYS: Final = """
CREATE TABLE claim_days (
    day TEXT NOT NULL, player_id TEXT NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
    PRIMARY KEY (day, player_id)
) WITHOUT ROWID;
INSERT INTO claim_days SELECT day, player_id, SUM(amount >> 32), SUM(amount & 4294967295)
    FROM claims WHERE counts GROUP BY day, player_id;
INSERT INTO claim_days SELECT day, '', SUM(high), SUM(low) FROM claim_days GROUP BY day;
CREATE TRIGGER claims_made AFTER INSERT ON claims WHEN new.counts BEGIN
    INSERT INTO claim_days VALUES
        (new.day, new.player_id, new.amount >> 32, new.amount & 4294967295),
        (new.day, '', new.amount >> 32, new.amount & 4294967295)
        ON CONFLICT (day, player_id)
        DO UPDATE SET high = high + excluded.high, low = low + excluded.low;
END;
CREATE TRIGGER claims_given_back AFTER UPDATE OF counts ON claims
WHEN old.counts AND NOT new.counts BEGIN
    UPDATE claim_days
    SET high = high - (old.amount >> 32), low = low - (old.amount & 4294967295)
    WHERE day = old.day AND player_id IN (old.player_id, '');
END;
CREATE TRIGGER claims_count_again AFTER UPDATE OF counts ON claims
WHEN new.counts AND NOT old.counts BEGIN
    INSERT INTO claim_days VALUES
        (new.day, new.player_id, new.amount >> 32, new.amount & 4294967295),
        (new.day, '', new.amount >> 32, new.amount & 4294967295)
        ON CONFLICT (day, player_id)
        DO UPDATE SET high = high + excluded.high, low = low + excluded.low;
END;
DROP INDEX claims_by_day;
"""

_LEASES: Final = """
CREATE TABLE leases (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""

_ADMINISTRATION: Final = """
CREATE TABLE admin_accounts (email TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE admin_sessions (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, email TEXT NOT NULL, path TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at, number);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
"""

# What operators look for. A flag is rare, so only who has some is in an index of flags; a NULL is
# in none. The accounts are made anew since a table's CHECK can't be changed.
_OPERATIONS: Final = """
ALTER TABLE players ADD COLUMN seen_day INTEGER;
ALTER TABLE players ADD COLUMN flags INTEGER;
ALTER TABLE players ADD COLUMN updated_at INTEGER;
ALTER TABLE brokers ADD COLUMN created_at INTEGER;
ALTER TABLE brokers ADD COLUMN flags INTEGER;
ALTER TABLE brokers ADD COLUMN updated_at INTEGER;
ALTER TABLE brokers ADD COLUMN nft TEXT;
CREATE INDEX flags_by_time ON flags (subject, at, id);
CREATE TABLE mint_jobs (
    id TEXT PRIMARY KEY, broker_id TEXT NOT NULL, status TEXT NOT NULL, open INTEGER NOT NULL,
    created_at INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX mint_jobs_open ON mint_jobs (broker_id) WHERE open;
CREATE INDEX mint_jobs_by_time ON mint_jobs (created_at, id);
CREATE INDEX mint_jobs_by_status ON mint_jobs (status, created_at, id);
CREATE TABLE accounts_anew (
    name TEXT NOT NULL, currency TEXT NOT NULL, balance INTEGER NOT NULL,
    PRIMARY KEY (name, currency),
    CHECK (
        balance >= 0 OR name GLOB 'emission:*' OR name GLOB 'operator:*'
        OR name GLOB 'legacy:*' OR name = 'chain'
    )
) WITHOUT ROWID;
INSERT INTO accounts_anew SELECT name, currency, balance FROM accounts;
DROP TABLE accounts;
ALTER TABLE accounts_anew RENAME TO accounts;
CREATE INDEX entries_by_debit ON entries (debit, number)
    WHERE debit NOT GLOB 'emission:*' AND debit NOT GLOB 'sink:*';
CREATE INDEX entries_by_credit ON entries (credit, number)
    WHERE credit NOT GLOB 'emission:*' AND credit NOT GLOB 'sink:*';
"""

_DAY_MS: Final = 86_400_000


def _find_players(connection: sqlite3.Connection, after: str, limit: int) -> tuple[int, str]:
    """Let players be found by the day they were last seen on, and by their flags."""
    return _fill(
        connection,
        "players",
        f"seen_day = json_extract(body, '$.last_seen_at') / {_DAY_MS},"
        " flags = json_extract(body, '$.anomaly_flags'),"
        " updated_at = json_extract(body, '$.updated_at')",
        after,
        limit,
    )


def _find_brokers(connection: sqlite3.Connection, after: str, limit: int) -> tuple[int, str]:
    """Let brokers be found by their age and by their flags."""
    return _fill(
        connection,
        "brokers",
        "created_at = json_extract(body, '$.created_at'),"
        " flags = json_extract(body, '$.anomaly_flags'),"
        " updated_at = json_extract(body, '$.updated_at')",
        after,
        limit,
    )


def _fill(
    connection: sqlite3.Connection, table: str, columns: str, after: str, limit: int
) -> tuple[int, str]:
    rows = connection.execute(
        f"UPDATE {table} SET {columns} WHERE id IN"  # noqa: S608 - fixed texts
        f" (SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?) RETURNING id",
        (after, limit),
    ).fetchall()
    return len(rows), max((row[0] for row in rows), default=after)


# How many players were last seen on each day, and how many battles were fought, kept by the
# database itself: whoever asks reads a row, and a player's is written once a day.
_COUNTS: Final = """
CREATE INDEX players_flagged ON players (flags, updated_at, id) WHERE flags > 0;
CREATE INDEX brokers_flagged ON brokers (flags, updated_at, id) WHERE flags > 0;
CREATE INDEX brokers_by_age ON brokers (created_at, id);
CREATE UNIQUE INDEX brokers_by_nft ON brokers (nft) WHERE nft IS NOT NULL;
CREATE TABLE seen_days (day INTEGER PRIMARY KEY, players INTEGER NOT NULL);
INSERT INTO seen_days SELECT seen_day, COUNT(*) FROM players GROUP BY seen_day;
CREATE TRIGGER players_come AFTER INSERT ON players BEGIN
    INSERT INTO seen_days VALUES (new.seen_day, 1)
        ON CONFLICT (day) DO UPDATE SET players = players + 1;
END;
CREATE TRIGGER players_come_again AFTER UPDATE OF seen_day ON players
WHEN old.seen_day IS NOT new.seen_day BEGIN
    UPDATE seen_days SET players = players - 1 WHERE day = old.seen_day;
    INSERT INTO seen_days VALUES (new.seen_day, 1)
        ON CONFLICT (day) DO UPDATE SET players = players + 1;
END;
CREATE TABLE battle_days (day INTEGER PRIMARY KEY, battles INTEGER NOT NULL);
INSERT INTO battle_days SELECT created_at / 86400000, COUNT(*) FROM battles GROUP BY 1;
CREATE TRIGGER battles_fought AFTER INSERT ON battles BEGIN
    INSERT INTO battle_days VALUES (new.created_at / 86400000, 1)
        ON CONFLICT (day) DO UPDATE SET battles = battles + 1;
END;
"""

_OUTBOX: Final = """
CREATE TABLE mailboxes (
    subject TEXT PRIMARY KEY, pending INTEGER NOT NULL, due_at INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX mailboxes_due ON mailboxes (due_at, subject) WHERE pending;
CREATE TABLE letters (
    id TEXT PRIMARY KEY, at INTEGER NOT NULL, died_at INTEGER, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX letters_waiting ON letters (at) WHERE died_at IS NULL;
CREATE INDEX letters_dead ON letters (died_at, id) WHERE died_at IS NOT NULL;
"""

_LEDGER_AUDIT: Final = """
CREATE TABLE checkpoints (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TABLE ledger_standing (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""

# Checkpoints and the standing have another form since, and are made anew from the ledger.
_AUDITED: Final = """
DROP TABLE checkpoints;
CREATE TABLE checkpoints (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;
DELETE FROM ledger_standing;
CREATE TABLE audited (account TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audit_state (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
"""

# Who has a badge, kept by the database itself where a player's badges change and nowhere else; NULL
# is none. What a player's battles come to is kept where one is fought, in a row of that player's,
# so that the leaders are the first rows of an index.
_BADGES: Final = """
ALTER TABLE players ADD COLUMN badges TEXT;
CREATE TABLE player_badges (
    badge TEXT NOT NULL, player_id TEXT NOT NULL, PRIMARY KEY (badge, player_id)
) WITHOUT ROWID;
CREATE INDEX player_badges_by_player ON player_badges (player_id);
CREATE TRIGGER badges_given AFTER INSERT ON players WHEN new.badges IS NOT NULL BEGIN
    INSERT INTO player_badges SELECT DISTINCT value, new.id FROM json_each(new.badges);
END;
CREATE TRIGGER badges_changed AFTER UPDATE OF badges ON players
WHEN old.badges IS NOT new.badges BEGIN
    DELETE FROM player_badges WHERE player_id = new.id;
    INSERT INTO player_badges SELECT DISTINCT value, new.id FROM json_each(new.badges);
END;
CREATE TABLE scores (player_id TEXT PRIMARY KEY, score INTEGER NOT NULL) WITHOUT ROWID;
"""


def _find_badges(connection: sqlite3.Connection, after: str, limit: int) -> tuple[int, str]:
    """Let players be found by their badges."""
    return _fill(
        connection,
        "players",
        "badges = NULLIF(json_extract(body, '$.badges'), '[]')",
        after,
        limit,
    )


def _add_scores(connection: sqlite3.Connection, after: str, limit: int) -> tuple[int, str]:
    """Add the scores of battles that were fought before; each batch of them once."""
    rows = connection.execute(
        "SELECT player_id, json_extract(body, '$.receipt.outcome.score'), id FROM battles"
        " WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    ).fetchall()
    connection.executemany(
        "INSERT INTO scores VALUES (?, ?)"
        " ON CONFLICT (player_id) DO UPDATE SET score = score + excluded.score",
        [row[:2] for row in rows],
    )
    return len(rows), rows[-1][2] if rows else after


_SCORES: Final = """
CREATE INDEX scores_by_rank ON scores (score DESC, player_id);
CREATE TRIGGER battles_score AFTER INSERT ON battles BEGIN
    INSERT INTO scores
        VALUES (new.player_id, json_extract(new.body, '$.receipt.outcome.score'))
        ON CONFLICT (player_id) DO UPDATE SET score = score + excluded.score;
END;
"""

BATCH: Final = 1_000
"""How many rows a data step rewrites in one transaction: a server waits no longer than for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStep:
    """A step that rewrites rows in the order of a key.

    `batch(connection, after, limit)` rewrites up to `limit` rows with keys above `after`, which is
    "" at first, and returns how many it did and the last one's key. None left ends the step.
    `total` is a query for how many rows there are.
    """

    does: str
    total: str
    batch: Callable[[sqlite3.Connection, str, int], tuple[int, str]]


Step = str | DataStep

# Whom a login tried, in the rows of the trail that are of one. They count for minutes, so those
# that are there need none.
_ATTEMPTS: Final = """
ALTER TABLE audit ADD COLUMN attempt TEXT;
CREATE INDEX audit_by_attempt ON audit (attempt, at) WHERE attempt IS NOT NULL;
"""

STEPS: Final[tuple[Step, ...]] = (
    _FIRST,
    _CLAIMS,
    _PAYMENTS,
    _CLAIM_DAYS,
    _LEASES,
    _ADMINISTRATION,
    _OPERATIONS,
    DataStep(
        does="let players be found by day and flags",
        total="SELECT COUNT(*) FROM players",
        batch=_find_players,
    ),
    DataStep(
        does="let brokers be found by age and flags",
        total="SELECT COUNT(*) FROM brokers",
        batch=_find_brokers,
    ),
    _COUNTS,
    _OUTBOX,
    _LEDGER_AUDIT,
    _BADGES,
    DataStep(
        does="let players be found by badge",
        total="SELECT COUNT(*) FROM players",
        batch=_find_badges,
    ),
    DataStep(
        does="add up the scores of each player's battles",
        total="SELECT COUNT(*) FROM battles",
        batch=_add_scores,
    ),
    _SCORES,
    _ATTEMPTS,
    _AUDITED,
)
"""The steps in order; step n leads to schema version n."""

_NOTES: Final = """
CREATE TABLE IF NOT EXISTS migrating (
    step INTEGER PRIMARY KEY, after TEXT NOT NULL, done INTEGER NOT NULL
)
"""
_HEAD: Final = re.compile(
    r"\s*(CREATE (?:UNIQUE )?(?:TABLE|INDEX|TRIGGER)|ALTER TABLE|DROP \w+|INSERT INTO|UPDATE"
    r"|DELETE FROM) (\w+)"
)


def pending(connection: sqlite3.Connection) -> Sequence[Pending]:
    """List the steps that `migrate` would take, changing nothing. Raises SchemaTooNew."""
    version = _version(connection)
    return [
        Pending(number=number, does=_does(step), done=_note(connection, number)[1])
        for number, step in enumerate(STEPS[version:], start=version + 1)
    ]


def migrate(connection: sqlite3.Connection, *, tell: Tell = lambda *_: None) -> int:
    """Bring a database to the newest version; return the version.

    Safe to run again, also after a death in the middle, and by several processes at once: a step or
    a batch is there whole or not at all, and the next one goes on after it. Raises SchemaTooNew.
    """
    while True:
        with _transaction(connection):
            version = _version(connection)
            if version == len(STEPS):
                return version
            if _advance(connection, version + 1, tell):
                connection.execute(f"PRAGMA user_version = {version + 1}")


def _advance(connection: sqlite3.Connection, number: int, tell: Tell) -> bool:
    """Take a step, or the next batch of it; return whether it is done."""
    step = STEPS[number - 1]
    if isinstance(step, DataStep):
        return _rewrite(connection, number, step, tell)
    for statement in _statements(step):
        connection.execute(statement)
    if number == 1:
        policy = EconomyPolicy()
        connection.execute("INSERT INTO policies VALUES (?, ?)", (policy.version, encode(policy)))
    tell(f"step {number}", 1, 1)
    return True


def _rewrite(connection: sqlite3.Connection, number: int, step: DataStep, tell: Tell) -> bool:
    connection.execute(_NOTES)
    after, done = _note(connection, number)
    count, last = step.batch(connection, after, BATCH)
    total = int(connection.execute(step.total).fetchone()[0])
    tell(f"step {number}", done + count, max(total, done + count))
    if count == 0:
        connection.execute("DROP TABLE migrating")
        return True
    note = (number, last, done + count)
    connection.execute("INSERT OR REPLACE INTO migrating VALUES (?, ?, ?)", note)
    return False


def _note(connection: sqlite3.Connection, number: int) -> tuple[str, int]:
    """Return the key that a data step has come to, and how many rows it has done."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrating'").fetchone()
    query = "SELECT after, done FROM migrating WHERE step = ?"
    row = connection.execute(query, (number,)).fetchone() if there else None
    return (row[0], row[1]) if row else ("", 0)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _does(step: Step) -> Sequence[str]:
    """Say what a step does: its own words, or what its statements make."""
    if isinstance(step, DataStep):
        return (step.does,)
    heads = (_HEAD.match(statement) for statement in _statements(step))
    return [f"{head[1].lower()} {head[2]}" for head in heads if head]


def _version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(STEPS):
        raise SchemaTooNew(f"schema version {version}, this build knows up to {len(STEPS)}")
    return version


def _statements(script: str) -> list[str]:
    """Split a step into statements; `executescript` would commit in the middle."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
