"""The key that signs the log is changed: while signers run, back again, and after it was lost."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from aiba_adapters.signing import audit_log, protection
from aiba_adapters.signing.audit_log import AuditLog
from aiba_adapters.signing.keys import is_signed
from aiba_adapters.signing.protection import LogSigner, ProtectionFile, SqliteProtection
from aiba_domain.signing.trail import (
    START,
    Entry,
    Kind,
    TrailBroken,
    Verified,
    checkpoint,
    verify_trail,
)
from aiba_entry.cli.signer import signer
from aiba_entry.signer import environment
from tests.support.signers import Files, answer, terms
from tests.support.signers import signer as signer_over

SEEDS = [bytes([number]) * 32 for number in (30, 31, 32)]
KEYS = [SigningKey(seed) for seed in SEEDS]


def log_signer(number: int, *beside: int) -> LogSigner:
    """Return what signs with a key, with others beside it."""
    key = KEYS[number]
    return LogSigner(
        sign=lambda message: key.sign(message).signature,
        public_key=bytes(key.verify_key),
        beside=tuple(map(log_signer, beside)),
    )


def open_file(files: Files, number: int, *beside: int) -> ProtectionFile:
    """Open a store and its log with a key."""
    return ProtectionFile(files.store, files.log, signer=log_signer(number, *beside))


def work(file: ProtectionFile, times: int = 1) -> None:
    """Let something be decided."""
    for _ in range(times):
        file.transact([lambda unit: unit.note(Kind.REFUSED, 0, {"code": "denied"})])


def known_by(files: Files, number: int) -> Verified:
    """Verify the log as somebody who knows one of its keys."""
    return verify_trail(files.lines(), public_key=bytes(KEYS[number].verify_key), genuine=is_signed)


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    """Make a store whose log the first key has signed, from its first start on."""
    files = Files(tmp_path)
    file = open_file(files, 0)
    assert known_by(files, 0).signed_to == known_by(files, 0).last
    work(file)
    file.close()
    return files


def test_a_signer_with_both_keys_takes_the_log_over(files: Files) -> None:
    """At its start, once; every entry is signed in the end, for whoever knows either key."""
    for _ in range(2):
        file = open_file(files, 1, 0)
        work(file)
        file.checkpoint()
        file.close()
    for number in (0, 1):
        found = known_by(files, number)
        assert found.counts["handed_over"] == 1
        assert (found.signed_to, found.key) == (found.last, bytes(KEYS[1].verify_key))


def test_the_way_back_is_the_same_way(files: Files) -> None:
    """The old key takes it over again from the new one, and then the new one may go."""
    for number, beside in ((1, 0), (0, 1), (1, 0)):
        open_file(files, number, beside).close()
    file = open_file(files, 1)
    work(file)
    file.checkpoint()
    file.close()
    assert known_by(files, 0).counts["handed_over"] == 3
    with pytest.raises(TrailBroken):
        known_by(files, 2)


def test_signers_at_once_keep_to_the_key_of_the_log(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that still has the old key decides on, and leaves the signing to the others."""
    monkeypatch.setattr(protection, "CHECKPOINT_EVERY", 3)
    old = open_file(files, 0)
    new, other = open_file(files, 1, 0), open_file(files, 1, 0)
    for _ in range(3):
        for file in (old, new, other):
            work(file, 4)
    for file in (new, other, old):
        file.checkpoint()
    assert known_by(files, 0).counts["handed_over"] == 1
    again = open_file(files, 0, 1)
    for file in (old, new, other, again):
        work(file, 4)
        file.checkpoint()
        file.close()
    found = known_by(files, 1)
    assert found.counts["handed_over"] == 2
    assert found.counts["checkpoint"] > 5
    assert (found.signed_to, found.key) == (found.last, bytes(KEYS[0].verify_key))


def test_a_death_after_the_commit_hands_over_once(files: Files) -> None:
    """The entry is in the store before it is in the log, and is not made twice."""

    class Died(BaseException):
        pass

    def probe(place: str) -> None:
        if place == "committed":
            raise Died

    with pytest.raises(Died):
        ProtectionFile(files.store, files.log, signer=log_signer(1, 0), probe=probe)
    assert known_by(files, 0).key == bytes(KEYS[0].verify_key)
    open_file(files, 1, 0).close()
    found = known_by(files, 0)
    assert found.counts["handed_over"] == 1
    assert found.key == bytes(KEYS[1].verify_key)


def test_a_strangers_log_is_not_signed_until_it_is_adopted(files: Files) -> None:
    """Nor broken by a signature that nobody could believe; who knows only the lost key is told."""
    file = open_file(files, 2)
    work(file, 5)
    file.checkpoint()
    assert known_by(files, 0).signed_to < known_by(files, 0).last
    file.adopt_log()
    file.adopt_log()
    file.close()
    found = known_by(files, 2)
    assert (found.signed_to, found.counts["handed_over"]) == (found.last, 1)
    with pytest.raises(TrailBroken, match="didn't name"):
        known_by(files, 0)


def test_a_restored_store_learns_from_a_log_that_was_handed_over(files: Files) -> None:
    """What stands behind the hand-over is replayed like all else."""
    backup = files.backup()

    async def sign(store: SqliteProtection) -> str:
        return await answer(signer_over(store), terms())

    files_of_new = replace_signer(files, log_signer(1, 0))
    first = files_of_new.run(sign)
    files.restore(backup)
    file = open_file(files, 1, 0)
    assert file.state().locked is not None
    assert file.log_key() == bytes(KEYS[1].verify_key)
    file.close()
    assert first
    assert known_by(files, 0).counts["handed_over"] == 1


def replace_signer(files: Files, by: LogSigner) -> Files:
    """Return the same files, opened with another key of the log."""

    class Others(Files):
        def file(self, **options: object) -> ProtectionFile:
            del options
            return ProtectionFile(self.store, self.log, signer=by)

    return Others(files.log.parent.parent, fresh=False)


@given(st.lists(st.sampled_from([None, 0, 1]), max_size=12), st.integers(1, 2_000))
def test_the_last_key_is_found_however_the_log_is_cut_into_blocks(
    tmp_path_factory: pytest.TempPathFactory, signed: list[int | None], block: int
) -> None:
    """Reading back from the end finds what reading from the beginning does."""
    path = tmp_path_factory.mktemp("log") / "audit.log"
    log, head, expected = AuditLog.create(path), START, None
    with path.open("ab") as file:
        for number, by in enumerate(signed, start=1):
            if by is None:
                facts = {"note": "x" * (97 * number % 700)}
                entry = Entry(number=number, previous=head, kind=Kind.SIGNED, time_s=0, facts=facts)
            else:
                expected = bytes(KEYS[by].verify_key)
                entry = checkpoint(number, head, 0, log_signer(by).sign, expected)
            line, head = entry.line()
            file.write(line + b"\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(audit_log, "_BLOCK", block)
        assert log.key() == expected
    log.close()


# --- the environment and the commands ---

NEXT, PREVIOUS = environment.AUDIT_KEYS_BESIDE


def names(files: Files, **keys: int) -> Mapping[str, str]:
    """Return variables that name the files and keys."""
    given = {"used": environment.AUDIT_KEY, "after": NEXT, "before": PREVIOUS}
    return {
        environment.STORE: str(files.store),
        environment.LOG: str(files.log),
        **{given[name]: SEEDS[number].hex() for name, number in keys.items()},
    }


def test_the_keys_beside_are_read(files: Files) -> None:
    """Each may hand the log over; one beside none, or beside itself, is a fault that is named."""
    read = environment.log_signer(names(files, used=1, after=2, before=0))
    assert read is not None
    assert [each.public_key for each in read.beside] == [
        bytes(KEYS[number].verify_key) for number in (2, 0)
    ]
    assert environment.log_signer(names(files)) is None
    for wrong, text in (
        (names(files, before=0), "means nothing without"),
        (names(files, used=0, before=0), "must differ"),
        ({**names(files, used=0), NEXT: "zz"}, f"{NEXT} must be 32 bytes"),
    ):
        with pytest.raises(environment.EnvironmentUnusable, match=text):
            environment.log_signer(wrong)
    assert SEEDS[0].hex() not in repr(replace(read, beside=()))


def test_status_tells_the_key_and_a_stranger_is_told(files: Files) -> None:
    """Any command hands over where it can, works where it can't, and says so."""
    runner = CliRunner()
    run = runner.invoke(signer, ["status"], env={**names(files, used=2)})
    assert run.exit_code == 0
    assert PREVIOUS in run.stderr
    first = bytes(KEYS[0].verify_key).hex()
    assert json.loads(run.stdout)["logKey"] == first
    assert first in run.stderr
    assert runner.invoke(signer, ["lock"], env={**names(files, used=2)}).exit_code == 0
    assert known_by(files, 0).counts["locked"] == 1
    run = runner.invoke(signer, ["status"], env={**names(files, used=1, before=0)})
    assert json.loads(run.stdout)["logKey"] == bytes(KEYS[1].verify_key).hex()
    assert run.stderr == ""


def test_a_lost_key_is_replaced_by_the_command(files: Files) -> None:
    """And verify shows the key at the end to whoever knows one that leads there."""
    runner = CliRunner()
    run = runner.invoke(signer, ["audit", "adopt"], env={**names(files)})
    assert (run.exit_code, "isn't set" in run.output) == (1, True)
    run = runner.invoke(signer, ["audit", "adopt"], env={**names(files, used=2)})
    third = bytes(KEYS[2].verify_key).hex()
    assert run.exit_code == 0
    assert third in run.stdout
    shown = runner.invoke(signer, ["audit", "verify", str(files.log), "--key", third])
    assert shown.exit_code == 0
    assert f"the key that signs it: {third}" in shown.output
    lost = bytes(KEYS[0].verify_key).hex()
    broken = runner.invoke(signer, ["audit", "verify", str(files.log), "--key", lost])
    assert (broken.exit_code, "BROKEN" in broken.output) == (1, True)
