"""Letters: written with what they tell of, brought in order at least once, buried in the end."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.deliveries import BATCH, LOAN_MS, Deliveries, Round
from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import GetStarter
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.leases.model import LeaseLost
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.outage import Unavailable
from aiba_domain.outbox.commands import (
    NEVER_ANSWERED,
    DropLetter,
    Fate,
    LendLetters,
    RetryLetter,
)
from aiba_domain.outbox.model import (
    DEAD_KEPT_MS,
    LONGEST_PAUSE_MS,
    MAX_ATTEMPTS,
    Letter,
    Mailbox,
    Topic,
    pause_ms,
)
from aiba_domain.outbox.news import news_of
from aiba_domain.outbox.ports import NotNow, Undeliverable
from aiba_domain.ports import Reader
from aiba_domain.testing.playground import OPERATOR, Playground


class Post:
    """A notifier that fails as it is told: by the failures to come, one for each attempt."""

    def __init__(self) -> None:
        """Bring everything."""
        self.failures: list[Exception | None] = []
        self.tried: list[str] = []
        self.brought: list[Letter] = []

    async def deliver(self, letter: Letter) -> None:
        """Bring a letter, or fail."""
        self.tried.append(letter.id)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.brought.append(letter)


class Office:
    """A service that tells its players, and a worker at its outbox."""

    def __init__(self) -> None:
        """Open on memory."""

        async def opened() -> MemoryStore:
            return MemoryStore()

        self.play = Playground(opened)
        self.post = Post()
        self.pipeline = Pipeline(
            store=self.play.store,
            clock=self.play.clock,
            seeds=self.play.seeds,
            observer=self.play.seen,
            handlers=HANDLERS,
            announce=news_of,
        )
        self.deliveries = Deliveries(
            pipeline=self.pipeline, store=self.play.store, notifier=self.post, at_once=2
        )

    def ban(self, player: str, reason: str = "a reason") -> None:
        """Let there be a letter to a player."""
        ban = BanPlayer(player_id=player, minutes=1, reason=reason)
        self.play.run(self.pipeline.execute(OPERATOR, ban))

    def go_round(self) -> Round:
        """Bring what is due."""
        return self.play.run(self.deliveries.deliver_due())

    def pending(self) -> int:
        """Return how many letters wait."""
        return self.play.run(self.deliveries.backlog()).pending

    def dead(self) -> Sequence[Letter]:
        """Return the dead letters."""

        async def look(read: Reader) -> Sequence[Letter]:
            return await read.dead_letters(after=None, limit=99)

        return self.play.read(look)

    def until_empty(self) -> None:
        """Bring letters until none waits, as time passes."""
        for _ in range(50 * MAX_ATTEMPTS):
            if not self.pending():
                return
            self.go_round()
            self.play.clock.advance(LONGEST_PAUSE_MS)
        raise AssertionError("letters wait for ever")


@pytest.fixture(name="office")
def _office() -> Iterator[Office]:
    office = Office()
    yield office
    office.play.close()


def test_a_won_battle_is_told_with_its_rewards(office: Office) -> None:
    """The letter is there with the battle, and has what the receipt has."""
    broker = office.play.play("7", GetStarter()).reply().broker
    fight = RunBattle(broker_id=broker.id, mode_key="prediction")
    answer = office.play.run(office.pipeline.execute(Principal(id="7"), fight, "k"))
    battle = answer.reply().battle
    assert battle.receipt.outcome.is_win
    again = office.play.run(office.pipeline.execute(Principal(id="7"), fight, "k"))
    assert again.replayed
    office.until_empty()
    (letter,) = office.post.brought
    assert (letter.subject, letter.topic) == ("player:7", Topic.BATTLE_WON)
    assert letter.facts == {
        "battle": battle.id,
        "arena": "prediction",
        "score": battle.receipt.outcome.score,
        "aiba": battle.receipt.grant.aiba,
        "neur": battle.receipt.grant.player_neur,
        "stars": battle.stars,
        "diamonds": battle.diamonds,
    }


def test_nobody_is_told_unless_somebody_brings_letters(office: Office) -> None:
    """A pipeline that announces nothing writes no letter."""
    office.play.operate(BanPlayer(player_id="1", minutes=1, reason="r"))
    assert office.pending() == 0


@given(
    bans=st.lists(st.sampled_from("123"), min_size=1, max_size=8),
    failures=st.lists(
        st.sampled_from(
            (None, Unavailable("down"), NotNow("busy", retry_after_ms=9_000), Undeliverable("no"))
        ),
        max_size=12,
    ),
)
def test_every_letter_arrives_in_order_or_is_dead(
    bans: list[str], failures: list[Exception | None]
) -> None:
    """Whatever fails: each subject's letters come in order, once each as nobody crashes."""
    office = Office()
    try:
        for number, player in enumerate(bans):
            office.ban(player, str(number))
        office.post.failures = list(failures)
        office.until_empty()
        dead = office.dead()
        owed = {f"player:{each}": iter(range(1, 99)) for each in "123"}
        settled = sorted((*office.post.brought, *dead), key=lambda letter: letter.number)
        for letter in settled:
            assert letter.number == next(owed[letter.subject])
        assert len(settled) == len(bans)
        assert len(office.post.brought) == len({each.id for each in office.post.brought})
        refused = sum(
            isinstance(each, Undeliverable) for each in failures[: len(office.post.tried)]
        )
        assert [letter.reason for letter in dead] == ["no"] * refused
        for subject in owed:
            brought = [one.number for one in office.post.brought if one.subject == subject]
            assert brought == sorted(brought)
    finally:
        office.play.close()


def test_one_subjects_trouble_holds_up_no_other(office: Office) -> None:
    """The next letter of a subject waits for the one before, others don't."""
    for player in "112":
        office.ban(player)
    office.post.failures = [Unavailable("down")]
    office.go_round()
    office.go_round()
    assert [letter.id for letter in office.post.brought] == ["player:2/1"]
    office.until_empty()
    assert [letter.id for letter in office.post.brought][1:] == ["player:1/1", "player:1/2"]


def test_a_letter_that_never_arrives_dies_and_the_next_goes_on(office: Office) -> None:
    """After so many attempts, each longer after the last; an operator may send it again."""
    office.ban("1", "first")
    office.ban("1", "second")
    office.post.failures = [Unavailable("down")] * MAX_ATTEMPTS
    office.until_empty()
    (dead,) = office.dead()
    assert (dead.id, dead.reason, dead.facts["reason"]) == ("player:1/1", "down", "first")
    assert [letter.number for letter in office.post.brought] == [2]
    office.play.operate(RetryLetter(letter_id=dead.id))
    office.until_empty()
    again = office.post.brought[-1]
    assert (again.id, again.delivery_id) == ("player:1/3", "player:1/1")
    assert office.dead() == []


def test_a_pause_of_the_receiver_is_no_attempt(office: Office) -> None:
    """Nothing else is tried meanwhile, for as long as it asks, and no letter dies of it."""
    for player in "1234":
        office.ban(player)
    office.post.failures += [NotNow("busy", retry_after_ms=5_000)] * 3 * MAX_ATTEMPTS
    assert office.go_round().wait_ms == 5_000
    assert len(office.post.tried) <= 2
    office.play.clock.advance(4_999)
    assert office.go_round().fates == Counter()
    office.until_empty()
    assert sorted(letter.id for letter in office.post.brought) == [
        f"player:{player}/1" for player in "1234"
    ]
    assert office.dead() == []


def test_a_letter_that_kills_its_workers_dies(office: Office) -> None:
    """An attempt counts before it is made, so that one that nobody survives isn't made for ever."""
    office.ban("1")
    for _ in range(MAX_ATTEMPTS):
        lent = office.play.operate(LendLetters(limit=9, loan_ms=1_000))
        assert [letter.id for letter in lent.letters] == ["player:1/1"]
        assert office.play.operate(LendLetters(limit=9, loan_ms=1_000)).letters == ()
        office.play.clock.advance(1_000)
    assert office.go_round().fates == Counter({(Topic.PLAYER_BANNED, Fate.DEAD): 1})
    assert (office.post.tried, office.dead()[0].reason) == ([], NEVER_ANSWERED)


def test_a_worker_without_its_lease_brings_nothing(office: Office) -> None:
    """Not even what was lent to it: what it has to say of it is refused."""
    office.ban("1")
    leases = StoreLeases(office.pipeline)
    lease = office.play.run(leases.acquire("w", "a", 1_000))
    assert lease is not None
    late = office.deliveries.under(lease)
    office.play.clock.advance(1_000)
    assert office.play.run(leases.acquire("w", "b", 1_000)) is not None
    with pytest.raises(LeaseLost):
        office.play.run(late.deliver_due())
    assert office.post.tried == []


def test_a_worker_that_was_paused_leaves_its_letters(office: Office) -> None:
    """Once its loan is nearly over somebody else may have them."""
    for player in "123":
        office.ban(player)

    class Slow(Post):
        async def deliver(self, letter: Letter) -> None:
            await super().deliver(letter)
            office.play.clock.advance(LOAN_MS)

    office.post = slow = Slow()
    worker = Deliveries(pipeline=office.pipeline, store=office.play.store, notifier=slow)
    office.play.run(worker.deliver_due())
    assert len(slow.tried) == 1


def test_more_than_a_batch_is_brought_in_rounds(office: Office) -> None:
    """A round says whether more is due."""
    for player in range(BATCH + 1):
        office.ban(str(player))
    assert not office.go_round().is_all
    assert office.go_round().is_all
    assert len(office.post.brought) == BATCH + 1


def test_old_dead_letters_are_forgotten(office: Office) -> None:
    """After a month, and not before."""
    office.ban("1")
    office.post.failures = [Undeliverable("no")]
    office.go_round()
    office.play.clock.advance(DEAD_KEPT_MS - 1)
    assert office.play.run(office.deliveries.trim()) == 0
    office.play.clock.advance(1)
    assert office.play.run(office.deliveries.trim()) == 1
    assert office.dead() == []
    with pytest.raises(DomainError, match="letter not found"):
        office.play.operate(DropLetter(letter_id="player:1/1"))


def test_letters_that_wait_are_no_dead_ones(office: Office) -> None:
    """Nobody drops or repeats what is still to be brought."""
    office.ban("1")
    for command in (RetryLetter(letter_id="player:1/1"), DropLetter(letter_id="player:1/1")):
        with pytest.raises(DomainError, match="letter not found"):
            office.play.operate(command)


@pytest.mark.parametrize(("limit", "loan_ms"), [(0, 1), (101, 1), (1, 0), (1, 600_001)])
def test_a_loan_has_bounds(office: Office, limit: int, loan_ms: int) -> None:
    """A worker that asks for more, or for nothing, is refused."""
    with pytest.raises(DomainError, match="validation_error"):
        office.play.operate(LendLetters(limit=limit, loan_ms=loan_ms))


@given(attempts=st.integers(1, 10_000))
def test_pauses_grow_and_end(attempts: int) -> None:
    """Each is as long as the last or longer, and none is longer than an hour."""
    assert 0 < pause_ms(attempts) <= pause_ms(attempts + 1) <= LONGEST_PAUSE_MS


def test_a_mailbox_can_not_hold_less_than_nothing() -> None:
    """Whoever settles what wasn't written has broken a rule."""
    with pytest.raises(InvariantViolation):
        Mailbox(subject="player:1", written=1, settled=2)


def test_a_failure_of_the_work_is_raised(office: Office) -> None:
    """What nobody expected doesn't count as delivered; the letter is brought again."""
    office.ban("1")
    office.post.failures = [KeyError("a fault")]
    with pytest.raises(KeyError):
        office.go_round()
    assert office.pending() == 1
    office.until_empty()
    assert len(office.post.brought) == 1
