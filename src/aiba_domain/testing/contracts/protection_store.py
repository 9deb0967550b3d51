"""What the memory of a signer owes: what it answered is durable, and it never forgets or yields."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.signing.interchange import merge
from aiba_domain.signing.model import (
    EXPIRY_MARGIN_S,
    Lock,
    Mark,
    Network,
    Protected,
    Standing,
    Usage,
)
from aiba_domain.signing.ports import ProtectionStore, ProtectionUnavailable, ProtectionUnit
from aiba_domain.signing.trail import Entry, Kind
from aiba_domain.testing.contracts import processes
from aiba_domain.testing.contracts.expect import contains, holds, nothing, same
from aiba_domain.testing.contracts.protection_desk import (
    DAY,
    INCREMENTS,
    NOW_S,
    ProtectionDesk,
    charge_of,
    protecting,
    record_of,
    terms_of,
)
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

_TASKS: Final = "aiba_domain.testing.contracts.protection_desk"
_ACKNOWLEDGED: Final = 24
_AT_ONCE: Final = 64
_STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(("protect", "protect", "mark", "fail")),
        st.integers(0, 1),  # whom
        st.integers(1, 3),  # seqno
        st.integers(1, 3),  # amount
        st.sampled_from((0, 1, EXPIRY_MARGIN_S + 1, 700)),  # how much longer it is valid
    ),
    max_size=10,
)


class ProtectionStoreContract(PortContract):
    """Subclass and say how to open a store.

    `reopen`: what was answered is there after closing and opening again on the same `folder`.
    `durable`: also after the process was killed. `shared`: several stores, here and in other
    processes, may have one memory open. `faults`: `outage(store)` lets every commit fail while it
    is entered. `backups`: `lose`, `damage`, `copy` and `put_back` do so to a closed store.
    """

    port = "ProtectionStore"
    version = "1.0"

    @abstractmethod
    async def open_store(self, folder: Path) -> ProtectionStore:
        """Open the store of a folder, as a signer does that starts.

        The folder is of one test alone. While it is empty, make a store in it first: of the
        testnet, and for a key that has signed nothing.
        """

    def lose(self, folder: Path) -> None:
        """Take the store away, and leave its log."""
        raise NotImplementedError(f"{type(self).__name__} has no lose() for {folder}")

    def damage(self, folder: Path) -> None:
        """Change something of what it remembers behind its back."""
        raise NotImplementedError(f"{type(self).__name__} has no damage() for {folder}")

    def copy(self, folder: Path) -> Any:  # noqa: ANN401 - the author's own
        """Return a backup of the store as it is, without its log."""
        raise NotImplementedError(f"{type(self).__name__} has no copy() of {folder}")

    def put_back(self, folder: Path, copy: Any) -> None:  # noqa: ANN401 - the author's own
        """Put a backup in the place of the store, and leave its log."""
        raise NotImplementedError(f"{type(self).__name__} can't put {copy} into {folder}")

    @pytest.fixture(name="desk")
    def _desk(
        self, runner: asyncio.Runner, opening: Opening, tmp_path: Path
    ) -> Iterator[ProtectionDesk]:
        with opening:
            store = runner.run(self.open_store(tmp_path))
        desk = ProtectionDesk(runner, store)
        yield desk
        desk.close()

    @base
    def test_a_new_store_has_protected_nothing(self, desk: ProtectionDesk) -> None:
        """It is open for a new key, and knows no claim, watermark, recipient or use."""
        state = desk.state()
        same(state.locked, None, "the lock")
        same((state.network, state.new_key), (Network.TESTNET, True), "network and new key")
        same((state.quarantined_until_s, state.is_behind), (0, False), "quarantine and gap")
        same(desk.standing(terms_of("a")), Standing(state=state), "the standing of a claim")
        nothing(list(desk.do(lambda unit: unit.recipients())), "the recipients")
        dump = desk.dump()
        nothing([*dump.claims, *dump.marks, *dump.usage], "what protects")

    @base
    def test_a_unit_keeps_all_it_did(self, desk: ProtectionDesk) -> None:
        """Payload, watermark, use of day and lifetime and the log are there together."""
        terms = terms_of("a", amount=5)
        before = desk.state()

        def work(unit: ProtectionUnit) -> object:
            unit.protect(terms, record_of(terms), charge_of(terms))
            unit.note(Kind.SIGNED, NOW_S, {"a": 1})
            return work

        same(desk.do(work), work, "the result of the unit")
        found = desk.standing(terms)
        same(found.protected, record_of(terms), "the payload")
        same(found.mark, Mark(seqno=1), "the watermark")
        same(found.usage, Usage(recipient_day=5, day=5, lifetime=5), "what was used")
        same(found.state.sequence, before.sequence + 1, "the entries of the log")
        who = (terms.vault, terms.recipient)
        same(list(desk.do(lambda unit: unit.recipients())), [who], "the recipients")
        dump = desk.dump()
        same(dict(dump.claims), {(*who, 1): record_of(terms)}, "the payloads")
        same(dict(dump.marks), {who: Mark(seqno=1)}, "the watermarks")
        same(dump.time_s, NOW_S, "the time of the last decision")

    def test_a_unit_sees_what_it_did(self, desk: ProtectionDesk) -> None:
        """Before it has ended, and so does everyone after it."""
        first, second = terms_of("a", amount=5), terms_of("a", 2, amount=7)

        def work(unit: ProtectionUnit) -> Standing:
            for terms in (first, second):
                unit.protect(terms, record_of(terms), charge_of(terms))
            return unit.standing(second, DAY)

        same(desk.do(work), desk.standing(second), "the standing within the unit")
        same(desk.standing(second).usage.day, 12, "the use of the day")

    def test_use_is_of_its_day_and_recipient(self, desk: ProtectionDesk) -> None:
        """Another day starts with nothing; another recipient's part of a day is its own."""
        terms, other = terms_of("a", amount=5), terms_of("b", amount=7)
        later = terms_of("a", 2, amount=11)
        for one in (terms, other):
            desk.protect(one)
        desk.protect(later, record_of(later, day="2026-01-02"))
        same(desk.standing(terms).usage, Usage(recipient_day=5, day=12, lifetime=23))
        same(desk.standing(other).usage, Usage(recipient_day=7, day=12, lifetime=23))
        tomorrow = desk.standing(terms, "2026-01-02").usage
        same(tomorrow, Usage(recipient_day=11, day=11, lifetime=23), "the use of the next day")

    def test_seqnos_of_any_size_are_told_apart(self, desk: ProtectionDesk) -> None:
        """Up to the 64 bits of the chain."""
        seqnos = (1, 2**31, 2**53 + 1, 2**63, 2**64 - 1)
        for seqno in seqnos:
            desk.protect(terms_of("a", seqno))
        same(sorted(seqno for _, _, seqno in desk.dump().claims), list(seqnos), "the seqnos")
        same(desk.standing(terms_of("a")).mark, Mark(seqno=seqnos[-1]), "the watermark")

    @pytest.mark.parametrize("longer_s", [-1, 0])
    def test_a_payload_yields_to_none_that_is_valid_as_long(
        self, desk: ProtectionDesk, longer_s: int
    ) -> None:
        """Whatever the unit asks for: it fails, and the first payload stays."""
        terms = terms_of("a")
        desk.protect(terms)
        other = replace(terms, amount=2, valid_until_s=terms.valid_until_s + longer_s)
        _refused(lambda: desk.protect(other), "another payload for the seqno")
        same(desk.standing(terms).protected, record_of(terms), "the payload")
        same(desk.standing(terms).usage.lifetime, 1, "what was used")

    @broad(0.3)
    @given(steps=_STEPS)
    def test_it_remembers_as_a_model_does(
        self, desk: ProtectionDesk, steps: list[tuple[str, int, int, int, int]]
    ) -> None:
        """Whatever is done in whatever order, and whatever fails: nothing is lost or yields."""
        names = [desk.fresh(), desk.fresh()]
        model = _Model(desk.standing(terms_of(names[0])).usage)
        for step, whom, seqno, amount, longer_s in steps:
            terms = terms_of(
                names[whom], seqno, amount=amount, valid_until_s=NOW_S + 600 + longer_s
            )
            if step == "mark":
                mark = Mark(seqno=seqno, quarantined_until_s=longer_s)
                desk.do(
                    lambda unit, terms=terms, mark=mark: unit.raise_mark(  # type: ignore[misc]
                        terms.vault, terms.recipient, mark
                    )
                )
                model.raise_mark(names[whom], mark)
            elif step == "fail":
                _refused(lambda terms=terms: desk.do(_failing(terms)), "a failing work")  # type: ignore[misc]
            elif model.takes(names[whom], seqno, record_of(terms)):
                desk.protect(terms, model.protect(names[whom], seqno, terms.amount, terms))
        for name in names:
            for seqno in (1, 2, 3):
                found = desk.standing(terms_of(name, seqno))
                same(found.protected, model.claims.get((name, seqno)), f"the payload of {seqno}")
                same(found.mark, model.marks.get(name), "the watermark")
                same(found.usage, model.usage(name), "what was used")

    def test_watermarks_and_quarantines_only_rise(self, desk: ProtectionDesk) -> None:
        """Each by itself, whatever is asked for."""
        terms = terms_of("a")
        who = (terms.vault, terms.recipient)
        for seqno, until, owed in ((5, 10, (5, 10)), (3, 20, (5, 20)), (9, 1, (9, 20))):
            mark = Mark(seqno=seqno, quarantined_until_s=until)
            desk.do(lambda unit, mark=mark: unit.raise_mark(*who, mark))  # type: ignore[misc]
            found = desk.standing(terms).mark
            same(found, Mark(seqno=owed[0], quarantined_until_s=owed[1]), "the watermark")
        desk.protect(terms)
        same(desk.standing(terms).mark, Mark(seqno=9, quarantined_until_s=20), "the watermark")

    def test_a_work_that_fails_leaves_nothing_and_harms_no_other(
        self, desk: ProtectionDesk
    ) -> None:
        """It raises what the work raised; what shares its commit is kept."""
        sequence = desk.state().sequence
        results = desk.together(
            [protecting(terms_of("a")), _failing(terms_of("b")), protecting(terms_of("c"))]
        )
        same(type(results[1]), LookupError, "what the failing work came to")
        same([results[0], results[2]], [0, 1], "what the others came to")
        state = desk.state()
        same((state.locked, state.sequence), (None, sequence), "the lock and the log")
        same(desk.standing(terms_of("b")).protected, None, "the failed work's payload")
        same(desk.standing(terms_of("b")).mark, None, "the failed work's watermark")
        same(desk.standing(terms_of("c")).usage.lifetime, 2, "what was used")

    def test_units_at_once_are_run_one_after_another(self, desk: ProtectionDesk) -> None:
        """Each sees what those before it have used, and what the last leaves is the sum."""
        works = [protecting(terms_of(f"{number}")) for number in range(_AT_ONCE)]
        same(sorted(desk.together([*works])), list(range(_AT_ONCE)), "what each has seen")
        same(desk.standing(terms_of("0")).usage.day, _AT_ONCE, "the use of the day")

    def test_the_log_is_chained(self, desk: ProtectionDesk) -> None:
        """The head is the hash of the last entry, which names the one before."""
        for number in range(3):
            before = desk.state()
            desk.do(lambda unit, number=number: unit.note(Kind.REFUSED, NOW_S, {"n": number}))  # type: ignore[misc]
            entry = Entry(
                number=before.sequence + 1,
                previous=before.head,
                kind=Kind.REFUSED,
                time_s=NOW_S,
                facts={"n": number},
            )
            state = desk.state()
            same((state.sequence, state.head), (entry.number, entry.line()[1]), "the last entry")
            same((state.known_to, state.known_head), (state.sequence, state.head), "what it knows")

    @pytest.mark.parametrize("reason", Lock)
    def test_a_lock_stands_until_it_is_opened(self, desk: ProtectionDesk, reason: Lock) -> None:
        """A key that is new to its store is so until the first lock; a quarantine never falls."""
        desk.do(lambda unit: unit.lock(reason))
        same((desk.state().locked, desk.state().new_key), (reason, False), "lock and new key")
        for until_s, owed_s in ((NOW_S, NOW_S), (NOW_S - 1, NOW_S), (NOW_S + 1, NOW_S + 1)):
            desk.do(
                lambda unit, until_s=until_s: unit.unlock(quarantined_until_s=until_s)  # type: ignore[misc]
            )
            state = desk.state()
            same((state.locked, state.quarantined_until_s), (None, owed_s), "lock and quarantine")
            same(state.known_to, state.sequence, "how much of its log it knows")

    def test_what_a_log_cannot_tell_is_not_forgotten(self, desk: ProtectionDesk) -> None:
        """A memory that lacks something lacks it until it is unlocked, whatever is noted then."""
        desk.do(lambda unit: unit.lock(Lock.OPERATOR))
        desk.do(lambda unit: unit.learned(is_complete=False, quarantined_until_s=NOW_S))
        desk.do(lambda unit: unit.note(Kind.REFUSED, NOW_S, {}))
        state = desk.state()
        same((state.known_to, state.is_behind), (-1, True), "how much of its log it knows")
        same((state.locked, state.quarantined_until_s), (Lock.OPERATOR, NOW_S), "the lock")
        desk.do(lambda unit: unit.unlock(quarantined_until_s=0))
        holds(not desk.state().is_behind, "an opened store lacks nothing any more")

    def test_what_is_merged_is_taken_over(self, desk: ProtectionDesk) -> None:
        """Another memory's payloads, watermarks and use, each the stricter of both."""
        mine, theirs = terms_of("a", amount=5), terms_of("b", 4, amount=7)
        desk.protect(mine)
        before = desk.dump()
        other = replace(
            before,
            claims={(theirs.vault, theirs.recipient, 4): record_of(theirs)},
            marks={(theirs.vault, theirs.recipient): Mark(seqno=6, quarantined_until_s=3)},
            usage={(theirs.vault, "lifetime"): 3, (theirs.vault, f"day:{DAY}"): 9},
        )
        merged = merge(before, other)
        desk.do(lambda unit: unit.restore(merged))
        after = desk.dump()
        same(dict(after.claims), dict(merged.claims), "the payloads")
        same(dict(after.marks), dict(merged.marks), "the watermarks")
        same(dict(after.usage), dict(merged.usage), "what was used")
        same(desk.standing(theirs).usage, Usage(recipient_day=0, day=9, lifetime=5), "the use")

    def test_what_was_accepted_ends_before_the_store_is_closed(self, desk: ProtectionDesk) -> None:
        """And closing again is harmless."""

        async def work() -> int:
            accepted = asyncio.ensure_future(desk.store.transact(protecting(terms_of("a"))))
            await asyncio.sleep(0)
            await desk.store.close()
            await desk.store.close()
            return await accepted

        same(desk.runner.run(work()), 0, "what the accepted work came to")

    @needs(Capability.REOPEN)
    def test_reopening_finds_everything_that_was_answered(
        self, desk: ProtectionDesk, tmp_path: Path
    ) -> None:
        """Payloads, watermarks, use, and a lock with its quarantine; the log goes on."""
        desk.protect(terms_of("a", 2**64 - 1, amount=2**62))
        desk.do(lambda unit: unit.unlock(quarantined_until_s=NOW_S))
        desk.do(lambda unit: unit.lock(Lock.OPERATOR))
        dump, state = desk.dump(), desk.state()
        desk.close()
        again = ProtectionDesk(desk.runner, desk.runner.run(self.open_store(tmp_path)))
        found, then = again.dump(), again.state()
        same(dict(found.claims), dict(dump.claims), "the payloads")
        same(dict(found.marks), dict(dump.marks), "the watermarks")
        same(dict(found.usage), dict(dump.usage), "what was used")
        same((then.store, then.network), (state.store, state.network), "whose memory it is")
        same(then.locked, Lock.OPERATOR, "the lock")
        same(then.quarantined_until_s, NOW_S, "the quarantine")
        holds(then.sequence >= state.sequence, "the log goes on where it was")
        again.close()

    @needs(Capability.DURABLE)
    def test_a_killed_process_loses_nothing_that_was_answered(
        self, runner: asyncio.Runner, tmp_path: Path
    ) -> None:
        """Every claim that a killed process had reported is there, whole and charged once."""
        with processes.started(self, tmp_path, f"{_TASKS}:endless") as worker:
            reported = [worker.line() for _ in range(_ACKNOWLEDGED)]
            reported += worker.killed()
        desk = ProtectionDesk(runner, runner.run(self.open_store(tmp_path)))
        dump, state = desk.dump(), desk.state()
        same(state.locked, None, "the lock")
        for number in reported:
            terms = terms_of(f"endless {number}")
            place = (terms.vault, terms.recipient, terms.seqno)
            same(dump.claims.get(place), record_of(terms), f"the payload of claim {number}")
        who = {place[:2] for place in dump.claims}
        same(set(dump.marks), who, "the recipients with a watermark")
        same(desk.standing(terms_of("a")).usage.lifetime, len(dump.claims), "what was used")
        desk.close()

    @needs(Capability.SHARED)
    def test_two_stores_on_one_memory_are_serial(
        self, desk: ProtectionDesk, tmp_path: Path
    ) -> None:
        """No use is lost between them, and each sees the other's payloads."""

        async def both() -> list[int]:
            second = await self.open_store(tmp_path)
            stores = (desk.store, second)
            seen = await asyncio.gather(
                *(
                    stores[number % 2].transact(protecting(terms_of(f"{number}")))
                    for number in range(_AT_ONCE)
                )
            )
            for each in stores:
                dump = await each.transact(lambda unit: unit.dump())
                same(len(dump.claims), _AT_ONCE, "the payloads that one of them sees")
            await second.close()
            return seen

        same(sorted(desk.runner.run(both())), list(range(_AT_ONCE)), "what each has seen")

    @needs(Capability.SHARED)
    def test_two_processes_on_one_memory_are_serial(
        self, desk: ProtectionDesk, tmp_path: Path
    ) -> None:
        """No use of two processes at once is lost."""
        with processes.started(self, tmp_path, f"{_TASKS}:increments") as worker:
            worker.line()  # it is open and begins
            seen = [desk.do(protecting(terms_of(f"{number}"))) for number in range(INCREMENTS)]
            seen += [int(line) for line in worker.finished()]
        same(sorted(seen), list(range(2 * INCREMENTS)), "what each has seen")
        same(len(desk.dump().claims), 2 * INCREMENTS, "the payloads")

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable_and_leaves_no_half(self, desk: ProtectionDesk) -> None:
        """What was asked for is in it whole or not at all; afterwards it works as before."""
        terms = terms_of("a", amount=5)
        with self.outage(desk.store), pytest.raises(ProtectionUnavailable):
            desk.protect(terms)
        found = desk.standing(terms)
        if found.protected is None:
            same((found.mark, found.usage), (None, Usage()), "what a lost unit left")
            desk.protect(terms)
        whole = desk.standing(terms)
        same((whole.protected, whole.mark), (record_of(terms), Mark(seqno=1)), "the payload")
        same(whole.usage, Usage(recipient_day=5, day=5, lifetime=5), "what was used")

    @needs(Capability.BACKUPS)
    def test_a_store_that_is_missing_is_not_made(
        self, desk: ProtectionDesk, tmp_path: Path
    ) -> None:
        """Whoever starts without its memory would sign anything."""
        desk.protect(terms_of("a"))
        desk.close()
        self.lose(tmp_path)
        for _ in range(2):
            _refused(lambda: desk.runner.run(self.open_store(tmp_path)), "to open a lost store")

    @needs(Capability.BACKUPS)
    def test_a_store_that_is_damaged_is_not_opened(
        self, desk: ProtectionDesk, tmp_path: Path
    ) -> None:
        """It finds out by itself that it isn't what it wrote."""
        desk.protect(terms_of("a"))
        desk.close()
        self.damage(tmp_path)
        _refused(lambda: desk.runner.run(self.open_store(tmp_path)), "to open a damaged store")

    @needs(Capability.BACKUPS)
    def test_an_earlier_backup_is_locked(self, desk: ProtectionDesk, tmp_path: Path) -> None:
        """Its log knows more than it does, and that is noticed before anything is signed."""
        desk.protect(terms_of("a"))
        desk.do(lambda unit: unit.note(Kind.SIGNED, NOW_S, {"n": 1}))
        desk.close()
        copy = self.copy(tmp_path)
        newer = ProtectionDesk(desk.runner, desk.runner.run(self.open_store(tmp_path)))
        newer.protect(terms_of("b"))
        newer.do(lambda unit: unit.note(Kind.SIGNED, NOW_S, {"n": 2}))
        newer.close()
        self.put_back(tmp_path, copy)
        restored = ProtectionDesk(desk.runner, desk.runner.run(self.open_store(tmp_path)))
        state = restored.state()
        contains((Lock.RESTORED, Lock.LOG_CUT), state.locked, "the lock of an earlier backup")
        same((state.new_key, state.is_behind), (False, True), "whether the key is new, and a gap")
        restored.close()


class _Model:
    """What must be remembered, in dictionaries."""

    def __init__(self, before: Usage) -> None:
        self.claims: dict[tuple[str, int], Protected] = {}
        self.marks: dict[str, Mark] = {}
        self._before = before
        self._used: dict[str, int] = {}

    def takes(self, name: str, seqno: int, record: Protected) -> bool:
        """Tell whether a payload is the first, the same, or valid for long enough after it."""
        known = self.claims.get((name, seqno))
        return known is None or record.valid_until_s > known.valid_until_s + EXPIRY_MARGIN_S

    def protect(self, name: str, seqno: int, amount: int, terms: Any) -> Protected:  # noqa: ANN401 - terms
        known = self.claims.get((name, seqno))
        most = max(amount, known.most if known else 0)
        self.claims[name, seqno] = record_of(terms, most=most, day_most=most)
        self.raise_mark(name, Mark(seqno=seqno))
        self._used[name] = self._used.get(name, 0) + amount
        return self.claims[name, seqno]

    def raise_mark(self, name: str, mark: Mark) -> None:
        known = self.marks.get(name, Mark())
        self.marks[name] = Mark(
            seqno=max(known.seqno, mark.seqno),
            quarantined_until_s=max(known.quarantined_until_s, mark.quarantined_until_s),
        )

    def usage(self, name: str) -> Usage:
        used = sum(self._used.values())
        return Usage(
            recipient_day=self._used.get(name, 0),
            day=self._before.day + used,
            lifetime=self._before.lifetime + used,
        )


def _failing(terms: Any) -> Callable[[ProtectionUnit], None]:  # noqa: ANN401 - terms
    """Return a work that does all that a unit can, and then fails."""

    def work(unit: ProtectionUnit) -> None:
        unit.raise_mark(terms.vault, terms.recipient, Mark(seqno=99, quarantined_until_s=NOW_S))
        unit.protect(terms_of("somebody else"), record_of(terms), charge_of(terms))
        unit.note(Kind.SIGNED, NOW_S, {})
        unit.lock(Lock.OPERATOR)
        raise LookupError

    return work


def _refused(act: Callable[[], object], what: str) -> None:
    """Raise AssertionError unless something fails in some way."""
    try:
        act()
    except Exception:  # noqa: BLE001 - of the adapter's own kind
        return
    raise AssertionError(f"the port owes that {what} fails; the adapter did it")
