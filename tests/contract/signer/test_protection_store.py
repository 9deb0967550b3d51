"""The store's file and its log: refusing to start, restored copies, damage, and many processes."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.signing.audit_log import LogMissing, log_lines
from aiba_adapters.signing.protection import SqliteProtection, init
from aiba_adapters.signing.protection_schema import StoreDamaged, StoreMissing
from aiba_adapters.signing.unlocking import Unlocked, unlock
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.signing.interchange import MergeRefused, Protection
from aiba_domain.signing.model import (
    EXPIRY_MARGIN_S,
    MAX_AHEAD_S,
    Lock,
    Network,
    Protected,
    Refusal,
)
from aiba_domain.signing.ports import ProtectionUnit
from aiba_domain.signing.trail import Kind, TrailBroken, verify_trail
from tests.support.signers import CODES, NOW, VAULT, Files, SetChain, answer, signer, terms

WEEK_S = 7 * 86_400
Work = Callable[[SqliteProtection], Awaitable[object]]


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    """Make a store for a new key."""
    return Files(tmp_path)


def ask(files: Files, *wanted: object, now_s: int = NOW) -> list[str]:
    """Ask for terms one after another, over a store opened for it."""

    async def work(store: SqliteProtection) -> list[str]:
        by = signer(store, SetChain(now_s=now_s))
        return [await answer(by, each) for each in wanted]  # type: ignore[arg-type]

    return files.run(work)


def unlocked(
    files: Files, chain: SetChain, export: Protection | None = None, *, new_log: bool = False
) -> Unlocked:
    """Open a locked store."""

    async def work() -> Unlocked:
        store = SqliteProtection(files.file(make_log=new_log))
        try:
            return await unlock(store, chain, log=log_lines(files.log), export=export)
        finally:
            await store.close()

    return asyncio.run(work())


def lock_of(files: Files) -> Lock | None:
    """Return why the store is locked."""
    file = files.file()
    try:
        return file.state().locked
    finally:
        file.close()


def exported(files: Files) -> Protection:
    """Return what the store knows."""
    file = files.file()
    try:
        protection: Protection = file.transact([lambda unit: unit.dump()])[0]
        return protection
    finally:
        file.close()


def test_a_missing_store_or_log_is_an_error_and_is_not_made(files: Files) -> None:
    """Whoever starts without its memory would sign anything."""
    files.log.rename(files.log.with_suffix(".away"))
    with pytest.raises(LogMissing):
        files.file()
    assert not files.log.exists()
    files.store.unlink()
    with pytest.raises(StoreMissing, match="aiba signer init"):
        files.file()
    assert not files.store.exists()


def test_init_touches_nothing_that_exists(files: Files, tmp_path: Path) -> None:
    """Neither a store nor a log."""
    before = files.backup(), files.log.read_bytes()
    for store, log in ((files.store, tmp_path / "new.log"), (tmp_path / "new.db", files.log)):
        with pytest.raises(FileExistsError):
            init(store, log, network=Network.TESTNET, new_key=True)
    assert (files.backup(), files.log.read_bytes()) == before


def test_a_store_for_a_key_that_signed_before_starts_locked(tmp_path: Path) -> None:
    """And in quarantine, since nobody can say what the key signed."""
    files = Files(tmp_path, new_key=False)
    assert ask(files, terms()) == [Refusal.LOCKED]
    end = unlocked(files, SetChain()).quarantined_until_s
    assert end == NOW + MAX_AHEAD_S + EXPIRY_MARGIN_S
    late = terms(until=end - NOW + 100)
    assert ask(files, late, now_s=end) == [Refusal.QUARANTINED]
    assert ask(files, late, now_s=end + 1)[0] not in CODES


@pytest.mark.parametrize("other", [b"", b"SQLite format 3\0", b"\0" * 8_192])
def test_another_file_is_no_store(files: Files, other: bytes) -> None:
    """Even one that SQLite would open."""
    for path in files.store.parent.iterdir():
        path.unlink()
    files.store.write_bytes(other)
    with pytest.raises(StoreDamaged):
        files.file()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE claims SET payload_hash = zeroblob(32), valid_until_s = valid_until_s + 100",
        "UPDATE marks SET seqno = x'00000000000000ff'",
        "UPDATE usage SET amount = amount + 1",
        "INSERT INTO usage VALUES ('v', 'lifetime', 1)",
    ],
)
def test_rows_that_the_signer_did_not_write_are_noticed(files: Files, change: str) -> None:
    """The store proves at its start that it is whole."""
    ask(files, terms())
    with sqlite3.connect(files.store) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(StoreDamaged, match="not whole"):
        files.file()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM claims",
        "DELETE FROM marks",
        "DELETE FROM usage",
        "UPDATE claims SET payload_hash = zeroblob(32), valid_until_s = valid_until_s + 60",
        "UPDATE claims SET most = most - 1",
        "UPDATE marks SET seqno = zeroblob(8)",
        "UPDATE usage SET amount = 0",
        "REPLACE INTO usage SELECT vault, scope, 0 FROM usage",
    ],
)
def test_the_file_itself_refuses_to_forget(files: Files, change: str) -> None:
    """Whatever a program above it asks for."""
    ask(files, terms())
    file = files.file()
    with pytest.raises(sqlite3.IntegrityError):
        file._connection.execute(change)
    file.close()


def test_last_weeks_backup_signs_nothing_that_conflicts(files: Files) -> None:
    """It is noticed, locked, and learns from its log what it signed since."""
    ask(files, terms(0, 1), terms(1, 1), now_s=NOW)
    backup = files.backup()
    late = NOW + WEEK_S
    lost = [terms(0, 2, until=WEEK_S + 600), terms(1, 1, 55, until=WEEK_S + 500)]
    lost.append(terms(2, 1, until=WEEK_S + 600))
    signatures = ask(files, *lost, now_s=late)
    assert not CODES & {*signatures}
    before = exported(files)
    files.restore(backup)
    rivals = [replace(each, amount=each.amount + 1) for each in lost]
    assert ask(files, *lost, *rivals, now_s=late + 1) == [Refusal.LOCKED] * 6
    assert lock_of(files) is Lock.RESTORED
    opened = unlocked(files, SetChain(now_s=late + 2, paid={terms(0).recipient: 1}))
    assert (opened.quarantined_until_s, opened.raised) == (0, 0)
    after = exported(files)
    assert (after.claims, after.marks, after.usage) == (before.claims, before.marks, before.usage)
    assert ask(files, *lost, now_s=late + 3) == signatures
    assert ask(files, *rivals, now_s=late + 3) == [Refusal.CONFLICT] * 3
    verify_trail(files.lines())


def test_a_backup_without_its_log_waits_until_all_has_expired(files: Files) -> None:
    """Both are lost: then only the longest validity of any claim is known."""
    backup = files.backup()
    lost = terms(2, 1)
    ask(files, lost)
    files.restore(backup)
    files.log.unlink()
    chain = SetChain(now_s=NOW + 10)
    opened = unlocked(files, chain, new_log=True)
    assert opened.quarantined_until_s == chain.now_s + MAX_AHEAD_S + EXPIRY_MARGIN_S
    rival = terms(2, 1, amount=7)
    assert ask(files, lost, rival, now_s=NOW + 20) == [Refusal.QUARANTINED] * 2
    assert lost.valid_until_s + EXPIRY_MARGIN_S < opened.quarantined_until_s


def test_an_export_tells_what_a_lost_log_cannot(files: Files) -> None:
    """The claims it names are protected at once; others still wait."""
    backup = files.backup()
    lost = terms(2, 1)
    signature = ask(files, lost)
    export = exported(files)
    files.restore(backup)
    files.log.unlink()
    unlocked(files, SetChain(now_s=NOW + 10), export, new_log=True)
    assert ask(files, lost, terms(2, 1, amount=7), terms(3), now_s=NOW + 20) == [
        *signature,
        Refusal.QUARANTINED,
        Refusal.QUARANTINED,
    ]


def test_an_export_that_contradicts_keeps_the_store_locked(files: Files) -> None:
    """By the claim's name."""
    ask(files, terms())
    claim = Protected(payload_hash=bytes(32), valid_until_s=NOW + 601, most=1)
    key = (VAULT, terms().recipient, 1)
    other = replace(exported(files), claims={key: claim})
    file = files.file()
    file.transact([lambda unit: unit.lock(Lock.OPERATOR)])
    file.close()
    with pytest.raises(MergeRefused, match=f"vault {VAULT}, recipient {key[1]}, seqno 1"):
        unlocked(files, SetChain(), other)
    assert lock_of(files) is Lock.OPERATOR


def test_a_chain_that_is_ahead_means_that_others_signed(files: Files) -> None:
    """The watermark rises to it, and what they may have signed besides must expire."""
    ask(files, terms())
    file = files.file()
    file.transact([lambda unit: unit.lock(Lock.OPERATOR)])
    file.close()
    opened = unlocked(files, SetChain(paid={terms().recipient: 3}))
    assert opened.raised == 1
    assert opened.quarantined_until_s > NOW
    assert exported(files).marks[VAULT, terms().recipient].seqno == 3


def test_an_unlock_that_fails_half_way_can_be_tried_again(files: Files) -> None:
    """Nothing is charged twice."""
    backup = files.backup()
    ask(files, terms())
    before = exported(files)
    files.restore(backup)
    for _ in range(2):
        with pytest.raises(Exception, match="down"):
            unlocked(files, SetChain(down=True))
    assert unlocked(files, SetChain()).quarantined_until_s == 0
    assert exported(files).usage == before.usage


def test_steps_of_an_unlock_that_are_done_twice_put_nothing_in_quarantine(files: Files) -> None:
    """A commit whose answer was lost is done again; the log still tells all that there is."""
    backup = files.backup()
    ask(files, terms())
    export = exported(files)
    files.restore(backup)

    async def work(store: SqliteProtection) -> Unlocked:
        transact = store.transact

        async def twice(work: Callable[[ProtectionUnit], Any]) -> Any:  # noqa: ANN401 - of any work
            await transact(work)
            return await transact(work)

        store.transact = twice  # type: ignore[method-assign]
        return await unlock(store, SetChain(), log=log_lines(files.log), export=export)

    assert files.run(work).quarantined_until_s == 0
    assert exported(files).usage == export.usage
    assert ask(files, terms(1))[0] not in CODES


def test_a_cut_log_locks_the_store(files: Files) -> None:
    """The store knows more than its log: one of them isn't what it was."""
    ask(files, terms(), terms(1), terms(2))
    files.log.write_bytes(b"".join(files.lines()[:-2]))
    assert lock_of(files) is Lock.LOG_CUT
    with pytest.raises(TrailBroken, match="doesn't follow"):
        verify_trail(files.lines())


def test_another_stores_log_locks_the_store(files: Files, tmp_path: Path) -> None:
    """Even if it is as long."""
    other = Files(tmp_path / "other")
    for each in (files, other):
        ask(each, terms())
    files.log.write_bytes(other.log.read_bytes())
    assert lock_of(files) is Lock.RESTORED
    assert unlocked(files, SetChain()).quarantined_until_s > NOW


def test_a_line_that_was_torn_by_a_crash_is_written_again(files: Files) -> None:
    """The store has it still: nothing relied on it."""
    files.file().close()
    file = files.file(probe=lambda place: exit_at(place, "committed"))
    with pytest.raises(LookupError):
        file.transact([lambda unit: unit.note(Kind.STARTED, NOW, {"a": 1})])
    file.close()
    with files.log.open("ab") as log:
        log.write(b"0123 torn")
    assert lock_of(files) is None
    verified = verify_trail(files.lines())
    assert verified.last == 3


def exit_at(place: str, wanted: str) -> None:
    """Stop at a step."""
    if place == wanted:
        raise LookupError


def test_nothing_leaves_while_the_log_cannot_be_written(files: Files) -> None:
    """A full disk is an outage, and the same terms are signed after it."""

    async def work(store: SqliteProtection) -> None:
        by = signer(store)
        append = store._file._log.append

        def full(*_given: object) -> None:
            raise OSError(28, "No space left on device")

        store._file._log.append = full  # type: ignore[assignment,method-assign]
        with pytest.raises(SignerUnavailable, match="No space"):
            await by.sign(terms())
        store._file._log.append = append  # type: ignore[method-assign]
        assert await answer(by, terms()) not in CODES

    files.run(work)
    verify_trail(files.lines())


def test_a_closed_store_signs_nothing(files: Files) -> None:
    """It says so, and everything accepted before has ended."""

    async def work() -> None:
        store = files.open()
        by = signer(store)
        accepted = asyncio.ensure_future(answer(by, terms()))
        await asyncio.sleep(0)
        await store.close()
        assert await accepted not in CODES
        with pytest.raises(SignerUnavailable, match="closed"):
            await by.sign(terms())

    asyncio.run(work())


PROCESS = """
import asyncio, sys
from pathlib import Path
from aiba_adapters.signing.protection import ProtectionFile, SqliteProtection
from tests.support.signers import SetChain, answer, signer, terms

async def main(store, log, number):
    by = signer(SqliteProtection(ProtectionFile(Path(store), Path(log))), SetChain())
    for seqno in range(1, 10**6):
        wanted = [terms(recipient, seqno, 100 + number) for recipient in range(8)]
        for one, got in zip(wanted, await asyncio.gather(*(answer(by, one) for one in wanted))):
            print(one.recipient[-4:], seqno, got, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def test_processes_that_are_killed_never_sign_two_claims_for_a_seqno(files: Files) -> None:
    """Four over one store, each asking for other amounts; every signature that left is compared."""
    signatures: dict[tuple[str, str], set[str]] = {}
    for _ in range(2):
        running = [
            subprocess.Popen(  # noqa: S603 - this test's own program
                [sys.executable, "-c", PROCESS, str(files.store), str(files.log), str(number)],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[3],
                text=True,
            )
            for number in range(4)
        ]
        for process in running:
            assert process.stdout is not None
            for _, line in zip(range(120), process.stdout, strict=False):
                recipient, seqno, got = line.split()
                if got not in CODES:
                    signatures.setdefault((recipient, seqno), set()).add(got)
        for process in running:
            process.kill()
        for process in running:
            rest, _ = process.communicate()
            for line in rest.splitlines():
                recipient, seqno, got, *_more = [*line.split(), "", ""]
                if len(got) == 88:
                    signatures.setdefault((recipient, seqno), set()).add(got)
    assert len(signatures) > 50
    assert {len(each) for each in signatures.values()} == {1}
    assert lock_of(files) is None
    verify_trail(files.lines())
    assert len(exported(files).claims) >= len(signatures)
