"""Every command that the store gives is struck by every fault, at every place in what it does.

Whatever strikes, what was asked for takes effect once or not at all, and the caller is told which:
success, a refusal, or that the outcome is unknown, which the same key then finds out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from pymongo import MongoClient

from aiba_adapters.mongo import MongoStore, OutcomeUnknown, Unfit, open_store
from aiba_adapters.mongo_meter import COMMANDS
from aiba_domain.application.audit import audit_store
from aiba_domain.errors import DomainError
from aiba_domain.money import Currency
from aiba_domain.ports import Reader, Unavailable, UnitOfWork
from aiba_domain.testing.contracts.store import broker, movement, player, refusal
from tests.support.mongo import empty_uri, give, server_uri, with_database
from tests.support.mongo_faults import STRUCK_IN
from tests.support.mongo_proxy import Cut, Given, Proxy, Refusal, Strike, proxy_to

AT: Final = 1_767_268_800_000
MANY: Final = 102
"""More documents than the first answer to a question holds."""

_TRANSIENT: Final = ("TransientTransactionError",)
_TRYING_S: Final = 30.0
_SHORTLY_S: Final = 0.1

DONE: Final = "done"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"
UNDONE: Final = "undone by itself"


def _both(code: int, *labels: str) -> dict[str, Strike]:
    return {
        f"{when.name.lower()}: {code}": Refusal(when=when, code=code, labels=labels) for when in Cut
    }


PASSING: Final[Mapping[str, Strike]] = {
    "before: cut": Cut.BEFORE,
    "after: cut": Cut.AFTER,
    **_both(91, *_TRANSIENT, "RetryableWriteError"),  # shutting down
    **_both(10107, *_TRANSIENT, "RetryableWriteError"),  # not the primary
    **_both(112, *_TRANSIENT),  # a conflict
    **_both(251, *_TRANSIENT),  # no such transaction
    **_both(50),  # out of time
}
"""Faults that pass: whoever tries again succeeds."""

LASTING: Final[Mapping[str, Strike]] = _both(13)
"""Faults by which nothing that is tried again passes: not allowed."""

FAULTS: Final[Mapping[str, Strike]] = {**PASSING, **LASTING}

UNCONFIRMED: Final[Mapping[str, Strike]] = {
    f"unconfirmed: {code}": Refusal(when=Cut.AFTER, code=code, concern=True)
    for code in (64, 91, 100)
}
"""Answers of success that no majority has confirmed."""


class Undone(DomainError):  # noqa: N818 - no error of the store
    """What a unit ends with that was never meant to take effect."""


Act = Callable[[], Awaitable[object]]


class Stage:
    """A store behind a proxy, and beside it one that nothing happens to."""

    def __init__(
        self, runner: asyncio.Runner, store: MongoStore, plain: MongoStore, proxy: Proxy
    ) -> None:
        self.run = runner.run
        self.store = store
        self.plain = plain
        self.proxy = proxy
        self.paid = 0
        self.uri = ""

    async def pay(self) -> None:
        """Run the next unit, which gives every kind of command; its key is tried until `paid`."""
        key = f"key {self.paid}"

        async def work(unit: UnitOfWork) -> None:
            if await unit.remembered(refusal(key).scope) is None:
                await self._write(unit, key)

        await self.store.transact(work)

    async def think_better(self) -> None:
        """Run a unit that has written all it can, and then wants none of it."""

        async def work(unit: UnitOfWork) -> None:
            await self._write(unit, "never")
            raise Undone("undone")

        await self.store.transact(work)

    async def _write(self, unit: UnitOfWork, key: str) -> None:
        held = (await unit.balances("player:1")).get(Currency.NEUR, 0)
        found = await unit.player("1") or player("1")
        await unit.write(
            at=AT,
            postings=(movement(1), movement(1, "chain", "treasury")),
            changed=(replace(found, win_streak=held + 1), broker(f"after {key}")),
            removed=(broker(f"after key {self.paid - 1}"),),
            remember=refusal(key),
        )

    async def look(self) -> None:
        """Read more than one answer holds."""

        async def work(read: Reader) -> int:
            await read.player("1")
            await read.backlog()
            return len(await read.brokers_of("many"))

        assert await self.store.read(work) == MANY

    def check(self, *, paid: int) -> None:
        """Check that exactly `paid` units have taken effect, each whole."""
        last = f"key {paid - 1}"

        async def look(unit: UnitOfWork) -> tuple[object, ...]:
            found = await unit.player("1")
            return (
                (await unit.balances("player:1")).get(Currency.NEUR, 0),
                found.win_streak if found else 0,
                [each.id for each in await unit.brokers_of("1")],
                await unit.remembered(refusal(last).scope) is not None,
                await unit.remembered(refusal(f"key {paid}").scope) is not None,
            )

        owed = (paid, paid, [f"after {last}"], True, False)
        assert self.run(self.plain.transact(look)) == owed


@dataclass(slots=True)
class Script:
    """Strikes at places among the commands that are given.

    With `lost` the first commit is struck by that, and places count from the command after it on.
    """

    strikes: dict[int, Strike] = field(default_factory=dict)
    lost: Strike | None = None
    ever_after: Strike | None = None
    struck: list[Given] = field(default_factory=list)
    """The commands that were."""
    since: int | None = None
    """Where the first commit was followed."""

    def __call__(self, given: Given) -> Strike | None:
        """Judge a command."""
        strike: Strike | None = None
        if self.lost and self.since is None:
            if given.name == "commitTransaction":
                strike, self.since = self.lost, given.place + 1
        else:
            strike = self.strikes.get(given.place - (self.since or 0), self.ever_after)
        if strike is not None:
            self.struck.append(given)
        return strike


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Stage]:
    """Open the stores; servers are looked for at once when they were lost, not twice a second."""
    there, end = empty_uri()
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", 0.01)
        plain = runner.run(open_store(there, create=True))

        async def fill(unit: UnitOfWork) -> None:
            crowd = tuple(broker(f"{number}", "many") for number in range(MANY))
            await unit.write(at=AT, changed=crowd)

        runner.run(plain.transact(fill))
        name = there.partition("?")[0].rpartition("/")[2]
        with proxy_to(server_uri()) as proxy:
            uri = (
                with_database(proxy.uri, name)
                + "&serverSelectionTimeoutMS=300&serverMonitoringMode=poll"
            )
            store = runner.run(open_store(uri))
            stage = Stage(runner, store, plain, proxy)
            stage.uri = uri
            stage.run(stage.pay())
            stage.paid = 1
            yield stage
            proxy.up()
            runner.run(store.close())
        report = runner.run(audit_store(plain))
        assert report.is_sound, report.faults
        runner.run(plain.close())
    end()


@pytest.fixture(autouse=True)
def _strays(strays: None) -> None:
    """Collect what the driver leaves of connections that were cut."""


def told(stage: Stage, act: Act) -> str:
    """Return what the caller of an act is told."""
    try:
        stage.run(_awaited(act))
    except OutcomeUnknown:
        return UNKNOWN
    except (Unavailable, Unfit):
        return REFUSED
    except Undone:
        return UNDONE
    return DONE


async def _awaited(act: Act) -> object:
    return await act()


def give_up() -> None:
    """Let the server end what nobody ends, as it does in time."""
    give(server_uri(), {"killAllSessions": []})


def commands_of(stage: Stage, act: Act) -> list[Given]:
    """Return the commands of an act that nothing strikes."""
    with stage.proxy.judging(lambda _: None) as given:
        told(stage, act)
    return list(given)


def payment(stage: Stage) -> list[Given]:
    """Return the commands of a payment."""
    given = commands_of(stage, stage.pay)
    stage.paid += 1
    return given


def struck(stage: Stage, act: Act, script: Script, patience_s: float = _TRYING_S) -> str:
    """Return what the caller of an act is told that is struck."""
    with pytest.MonkeyPatch.context() as patch, stage.proxy.judging(script):
        patch.setattr(stage.store.patience, "seconds", patience_s)
        return told(stage, act)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_unit_takes_effect_once_wherever_it_is_struck(stage: Stage, fault: str) -> None:
    """First read to commit; what is refused has done nothing, and is done by the same key."""
    for place in range(len(payment(stage))):
        script = Script({place: FAULTS[fault]})
        came_to = struck(stage, stage.pay, script)
        given = script.struck[0] if script.struck else None  # where it is done with fewer commands
        is_applied = given and given.name == "commitTransaction" and fault.startswith("after")
        owed = DONE if given is None or fault in PASSING or is_applied else REFUSED
        assert came_to == owed, given
        stage.check(paid=stage.paid + (came_to == DONE))
        assert told(stage, stage.pay) == DONE, given
        stage.paid += 1
        stage.check(paid=stage.paid)


def test_a_unit_is_not_in_its_own_way(stage: Stage) -> None:
    """Where the word to undo a cut unit is lost too, its transaction is ended before the next try.

    Else what it has written would be locked until the server gives it up, a minute later.
    """
    before_commit = payment(stage)[-2].place
    cuts: dict[int, Strike] = {before_commit + each: Cut.BEFORE for each in range(3)}
    with stage.proxy.judging(Script(cuts)) as given:
        assert told(stage, stage.pay) == DONE
    names = [each.name for each in given[before_commit + 1 :]]
    assert names[:3] == ["abortTransaction", "abortTransaction", "killSessions"]
    stage.paid += 1
    stage.check(paid=stage.paid)


@pytest.mark.parametrize("fault", UNCONFIRMED)
def test_a_commit_that_no_majority_confirms_is_no_success_yet(stage: Stage, fault: str) -> None:
    """It is asked for again, or looked up; then it is one."""
    script = Script(lost=UNCONFIRMED[fault])
    assert struck(stage, stage.pay, script) == DONE
    assert script.struck
    stage.paid += 1
    stage.check(paid=stage.paid)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_unit_that_undoes_itself_leaves_nothing_wherever_it_is_struck(
    stage: Stage, fault: str
) -> None:
    """Also where the word to undo it is lost: its own error is what is told."""
    sequence = commands_of(stage, stage.think_better)
    assert sequence[-1].name == "abortTransaction"
    for place in range(len(sequence)):
        script = Script({place: FAULTS[fault]})
        came_to = struck(stage, stage.think_better, script)
        given = script.struck[0] if script.struck else None  # where it is undone with fewer
        is_at_the_end = given is None or given.name == "abortTransaction"
        owed = UNDONE if fault in PASSING or is_at_the_end else REFUSED
        assert came_to == owed, given
        if is_at_the_end and fault.startswith("before"):
            give_up()
        stage.check(paid=stage.paid)
    assert told(stage, stage.pay) == DONE
    stage.paid += 1
    stage.check(paid=stage.paid)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_read_is_whole_wherever_it_is_struck(stage: Stage, fault: str) -> None:
    """Also between two parts of a long answer."""
    sequence = commands_of(stage, stage.look)
    assert "getMore" in {given.name for given in sequence}
    for given in sequence:
        came_to = struck(stage, stage.look, Script({given.place: FAULTS[fault]}))
        assert came_to in ({DONE} if fault in PASSING else {DONE, REFUSED}), given


@pytest.mark.parametrize("when", Cut, ids=lambda cut: cut.name.lower())
def test_a_read_that_is_broken_off_is_made_again(stage: Stage, when: Cut) -> None:
    """Also where the word to forget the rest of the long answer is lost."""
    place = next(each.place for each in commands_of(stage, stage.look) if each.name == "getMore")
    before = stage.proxy.struck
    with stage.proxy.cutting("killCursors", when):
        assert struck(stage, stage.look, Script({place: FAULTS["before: 251"]})) == DONE
    assert stage.proxy.struck == before + 2


LOST: Final[Mapping[str, Strike]] = {
    "applied": Refusal(when=Cut.AFTER, code=251, labels=_TRANSIENT),
    "never applied": Refusal(when=Cut.BEFORE, code=251, labels=_TRANSIENT),
}
"""Commits that have to be looked up."""


def search(stage: Stage, lost: Strike) -> Sequence[Given]:
    """Return the commands by which a lost commit is looked up."""
    script = Script(lost=lost)
    with stage.proxy.judging(script) as given:
        assert told(stage, stage.pay) == DONE
    stage.paid += 1
    found = []
    for each in given[script.since :]:
        found.append(each)
        if each.collection == "units" and each.name != "insert":
            break
        if each.name == "insert" and lost is LOST["never applied"]:
            break
    return found


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("fault", [*FAULTS, *UNCONFIRMED])
def test_a_lost_commit_is_found_out_wherever_the_search_is_struck(
    stage: Stage, lost: str, fault: str
) -> None:
    """By its marker, or by the one put in its place: one effect, and the caller is told of it."""
    strike = {**FAULTS, **UNCONFIRMED}[fault]
    sequence = search(stage, LOST[lost])
    assert [given.name for given in sequence][:2] == ["killSessions", "insert"]
    for place, given in enumerate(sequence):
        if fault in UNCONFIRMED and given.name != "insert":
            continue
        if fault in LASTING and given.name == "killSessions":
            continue  # then the marker waits for the server to end it: see the next test
        script = Script({place: strike}, lost=LOST[lost])
        assert struck(stage, stage.pay, script) == DONE, given
        assert len(script.struck) == 2
        stage.paid += 1
        stage.check(paid=stage.paid)


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("fault", ["before: cut", "after: cut", "before: 13", "before: 91"])
def test_an_outcome_that_cannot_be_found_out_is_said_to_be_unknown(
    stage: Stage, lost: str, fault: str
) -> None:
    """No success and no refusal; the same key finds it out, and nothing is done twice."""
    script = Script(lost=LOST[lost], ever_after=FAULTS[fault])
    came_to = struck(stage, stage.pay, script, _SHORTLY_S)
    if fault == "after: cut":
        # What is asked in the search is carried out, so that no answer at all is all that is lost.
        assert came_to in (UNKNOWN, DONE)
    else:
        assert came_to == UNKNOWN
    give_up()
    stage.check(paid=stage.paid + (lost == "applied"))
    assert told(stage, stage.pay) == DONE
    stage.paid += 1
    stage.check(paid=stage.paid)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_check_says_what_is_so(stage: Stage, fault: str) -> None:
    """It works or says that it doesn't, and works the next time."""
    for given in commands_of(stage, stage.store.check):
        came_to = struck(stage, stage.store.check, Script({given.place: FAULTS[fault]}))
        assert came_to in ({DONE} if fault.endswith("cut") else {DONE, REFUSED}), given
        assert told(stage, stage.store.check) == DONE, given
    stage.check(paid=stage.paid)


class Opening:
    """A store that is opened where a collection is missing, and closed."""

    def __init__(self, stage: Stage) -> None:
        self._uri = stage.uri
        self._stage = stage

    async def act(self) -> None:
        """Open and close."""
        store = await open_store(self._uri, create=True)
        await store.close()

    def spoil(self) -> None:
        """Take a collection with an index away that nothing here is in."""
        client: MongoClient[dict[str, Any]]
        with MongoClient(self._uri) as client:
            client.get_default_database().drop_collection("listings")


@pytest.mark.parametrize(
    "fault",
    [
        "after: cut",
        "before: 13",
        pytest.param("before: cut", marks=pytest.mark.soak),
        pytest.param("before: 91", marks=pytest.mark.soak),
    ],
)
def test_an_opening_works_or_says_that_it_does_not(stage: Stage, fault: str) -> None:
    """At the first command of each kind; the next one makes what is still missing."""
    opening = Opening(stage)
    opening.spoil()
    kinds = {given.name: given for given in reversed(commands_of(stage, opening.act))}
    for given in kinds.values():
        opening.spoil()
        came_to = struck(stage, opening.act, Script({given.place: FAULTS[fault]}))
        is_at_the_end = given.name in ("abortTransaction", "endSessions")
        assert came_to in ({DONE} if is_at_the_end else {DONE, REFUSED}), given
        assert told(stage, opening.act) == DONE, given
    stage.check(paid=stage.paid)


def test_every_kind_of_command_is_struck(stage: Stage) -> None:
    """What the scenarios above give is all that any scenario gives (`conftest.py`), and all of it.

    A kind of command that is new takes a row in `STRUCK_IN`, and a scenario here.
    """
    opening = Opening(stage)
    opening.spoil()
    scenarios: dict[str, Sequence[Given]] = {
        "a unit": payment(stage),
        "a unit that is undone": commands_of(stage, stage.think_better),
        "a read": commands_of(stage, stage.look),
        "the search for a lost commit": search(stage, LOST["applied"]),
        "the opening": commands_of(stage, opening.act),
    }
    given = {name: {each.name for each in commands} for name, commands in scenarios.items()}
    given["the closing"] = {"endSessions"} & given["the opening"]
    given["a read that is broken off"] = {"killCursors"}  # which that test has seen struck
    for kind, scenario in STRUCK_IN.items():
        assert kind in given[scenario], (kind, scenario)
    assert set.union(*given.values()) == set(STRUCK_IN)
    assert set(STRUCK_IN) <= COMMANDS  # so that each is counted by its name
