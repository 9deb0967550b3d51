"""A random life of the whole service, checked after every step by an independent auditor.

Subclass `ArenaMachine`, say how to open a store, and hand its `TestCase` to pytest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.handler import fingerprint
from aiba_domain.application.pipeline import Answer
from aiba_domain.battle.commands import BattleReply, RunBattle
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.battle.receipt import verify
from aiba_domain.brokers.commands import Combine, GetStarter, Repair, Train, Upgrade
from aiba_domain.brokers.mint_commands import FailMint, MintBroker
from aiba_domain.brokers.model import STARTER_ENERGY, Broker
from aiba_domain.claims.claim import ClaimState
from aiba_domain.claims.commands import (
    BY_BATTLE,
    BY_REQUEST,
    ClaimReply,
    ReserveClaim,
    SettleClaim,
)
from aiba_domain.decision import Accepted, Command, Principal, Refused, Role
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily, ClaimDailyCombo
from aiba_domain.economy.config_commands import AdjustCap
from aiba_domain.economy.policy import EconomyPolicy, next_version
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.economy.treasury_commands import CreditUser
from aiba_domain.errors import DomainError
from aiba_domain.fairness.commands import EpochReply
from aiba_domain.guilds.model import Guild
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.ports import Entry, Reader, Store
from aiba_domain.testing.auditor import Auditor, utc_day
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.playground import OPERATOR, Call, Playground
from aiba_domain.testing.strategies import Cast, clock_moves, commands

PLAYERS: Final = ("1", "2", "3")
KEYS: Final = tuple(f"key-{number}" for number in range(6))
MODES: Final = ("prediction", "guildWars", "free", "dear")
_TIGHT: Final = {
    "daily_cap_aiba": 1_500,
    "daily_cap_neur": 1_000,
    "daily_cap_neur_by_arena": {"guildWars": 300},
    "rewards": RewardRates(neur_per_score=Fraction(1, 3)),
}
"""A policy whose caps are soon reached."""

_DAY: Final = 86_400_000
_MAX_CRASH_POINT: Final = 40
_LARGEST_ENERGY: Final = 100

_SPARES: Final = tuple(derive_id("spare", str(number)) for number in range(4))
_OWN: Final = {
    player: (derive_id("starter", player), *_SPARES[number::2])
    for number, player in enumerate(PLAYERS[:2])
} | {PLAYERS[2]: (derive_id("starter", PLAYERS[2]),)}
"""The brokers of each player, once there is a starter."""
_CLAIMS: Final = tuple(
    derive_id("claim", player, by, key)
    for player in PLAYERS
    for by in (BY_REQUEST, BY_BATTLE)
    for key in KEYS
)
"""The claims that players may have."""
_JOBS: Final = tuple(
    derive_id("mint", player, key, broker)
    for player, own in _OWN.items()
    for key in KEYS[:2]
    for broker in own
)
"""Mint jobs that players may have."""

CAST: Final = Cast(
    player_ids=(*PLAYERS, "4"),
    broker_ids=(*(broker for own in _OWN.values() for broker in own), derive_id("nobody's")),
    mode_keys=MODES,
    claim_ids=_CLAIMS,
    job_ids=_JOBS,
)
COMMANDS: Final = commands(CAST)
_BY_PLAYERS: Final = tuple(kind for kind in COMMANDS if Role.PLAYER in HANDLERS[kind].roles)
_BY_OPERATORS: Final = tuple(kind for kind in COMMANDS if Role.OPERATOR in HANDLERS[kind].roles)
_COMMANDS_OF: Final = {
    player: commands(
        Cast(
            player_ids=PLAYERS,
            broker_ids=(*own, *own, *own, *CAST.broker_ids[::3]),
            mode_keys=MODES,
        )
    )
    for player, own in _OWN.items()
}
"""The commands of each player, who mostly names own brokers."""


def _issued_by_operators() -> st.SearchStrategy[Command[Any]]:
    return st.sampled_from(_BY_OPERATORS).flatmap(lambda kind: COMMANDS[kind])


def _issued_by(player: str) -> st.SearchStrategy[Command[Any]]:
    kinds = st.sampled_from((*_BY_PLAYERS, RunBattle, RunBattle))
    return kinds.flatmap(lambda kind: _COMMANDS_OF[player][kind])


@st.composite
def _calls(draw: st.DrawFn) -> Call[Any]:
    """Calls of players with keys that now and then repeat."""
    player = draw(st.sampled_from(PLAYERS))
    command = draw(_issued_by(player))
    return Call(principal=Principal(id=player), command=command, key=draw(st.sampled_from(KEYS)))


@st.composite
def _battles(draw: st.DrawFn) -> Call[Any]:
    """Battles with an own broker, mostly under a new key."""
    player = draw(st.sampled_from(PLAYERS))
    broker, mode = draw(st.sampled_from(_OWN[player])), draw(st.sampled_from(MODES))
    key = f"battle-{draw(st.integers(0, 200))}"
    command = RunBattle(broker_id=broker, mode_key=mode)
    return Call(principal=Principal(id=player), command=command, key=key)


def answer_of(outcome: Accepted[Any] | Refused) -> object:
    """Return what a caller sees of an outcome, and must see again."""
    if isinstance(outcome, Accepted):
        reply = outcome.reply
        # A claim is answered as it stands; what was asked for and granted stays the same.
        return reply.claim.terms if isinstance(reply, ClaimReply) else reply
    return outcome.code, dict(outcome.details)


def _same(one: Command[Any], other: Command[Any]) -> bool:
    """Tell whether two commands ask for the same, whatever the service observed for each."""
    return fingerprint(one) == fingerprint(other)


@dataclass(frozen=True, slots=True)
class _First:
    """The first answer given under a key."""

    call: Call[Any]
    answer: object


class ArenaMachine(RuleBasedStateMachine):
    """All commands of players and operators, in any order, at any time, with any key."""

    survives_reopening = False

    async def open_store(self) -> Store:
        """Open the store of this run; a durable one opens the same data again."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Open the service with a few brokers to fight with and guilds to fight for."""
        self.play = Playground(self.open_store)
        self.auditor = Auditor()
        self.firsts: dict[tuple[str, type[Command[Any]], object], _First] = {}
        self.claims: set[tuple[str, str, str]] = set()
        self.refunded: set[str] = set()
        self.play.operate(ChangePolicy(changes=_TIGHT))
        for mode in _OWN_MODES:
            self.play.operate(SaveMode(mode=mode))
        self.policy = self.play.read(_policy)
        self.most_energy = max(STARTER_ENERGY, self.policy.battle_max_energy)
        self.play.put(
            *(self._spare(each, PLAYERS[number % 2]) for number, each in enumerate(_SPARES)),
            *(_guild(number) for number in (1, 2)),
        )

    def teardown(self) -> None:
        """Close what was opened."""
        if hasattr(self, "play"):
            self.play.close()

    # What happens.

    @rule(one=_calls())
    def issue(self, one: Call[Any]) -> None:
        """A player issues a command."""
        self._perform(one)

    @rule(one=_calls())
    def issue_without_a_key(self, one: Call[Any]) -> None:
        """A player forgets the key: refused for what costs money, harmless for the rest."""
        one = replace(one, key=None)
        if not HANDLERS[type(one.command)].keyed:
            self._perform(one)
            return
        error = self._error_of(one)
        assert error.code == "requestId required", error.code

    @rule(one=_battles())
    def fight(self, one: Call[Any]) -> None:
        """A player fights a battle: what the game is mostly about."""
        self._perform(one)

    @rule(
        player=st.sampled_from(PLAYERS), command=st.sampled_from((ClaimDaily(), ClaimDailyCombo()))
    )
    def claim(self, player: str, command: Command[Any]) -> None:
        """A player claims a reward of the day."""
        self._perform(Call(principal=Principal(id=player), command=command))

    @rule(battles=st.lists(_battles(), min_size=2, max_size=6))
    def fight_together(self, battles: list[Call[Any]]) -> None:
        """Players fight at one moment, maybe with one broker."""
        self.issue_together(battles)

    @rule(command=_issued_by_operators(), key=st.none() | st.sampled_from(KEYS))
    def operate(self, command: Command[Any], key: str | None) -> None:
        """An operator changes the policy or a mode, moves money, or bans or unbans someone."""
        if HANDLERS[type(command)].keyed and key is None:
            key = f"operators-{len(self.firsts)}"
        self._perform(Call(principal=OPERATOR, command=command, key=key))

    @rule(player=st.sampled_from(PLAYERS), command=_issued_by_operators())
    def usurp(self, player: str, command: Command[Any]) -> None:
        """A player tries what only operators may do."""
        error = self._error_of(Call(principal=Principal(id=player), command=command, key="k"))
        assert error.code == "forbidden", error.code

    @rule(data=st.data())
    @precondition(lambda self: self.firsts)
    def repeat(self, data: st.DataObject) -> None:
        """Somebody sends a request again: it is answered as at first and changes nothing."""
        first = data.draw(st.sampled_from(list(self.firsts.values())))
        before = self.auditor.seen
        answer = self._execute(first.call)
        assert answer.replayed
        assert answer_of(answer.outcome) == first.answer
        assert self._entries_after(before) == []

    @rule(data=st.data())
    @precondition(lambda self: self.firsts)
    def reuse_a_key(self, data: st.DataObject) -> None:
        """Somebody sends another request under a key that was used: refused, nothing changes."""
        first = data.draw(st.sampled_from(list(self.firsts.values())))
        other = data.draw(COMMANDS[type(first.call.command)])
        if _same(other, first.call.command):
            return
        call = Call(principal=first.call.principal, command=other, key=first.call.key)
        error = self._error_of(call)
        assert error.code == "requestId already used", error.code

    @rule(calls=st.lists(_calls(), min_size=2, max_size=6))
    def call_together(self, calls: list[Call[Any]]) -> None:
        """Players issue commands at one moment, some of them twice."""
        self.issue_together(calls)

    def issue_together(self, calls: list[Call[Any]]) -> None:
        """Issue all calls at once and judge what each of them came to."""
        results = self.play.together(calls)
        for call, result in zip(calls, results, strict=True):
            self._judge(call, result, alone=False)

    @rule(call=_calls(), point=st.integers(1, _MAX_CRASH_POINT))
    def crash_and_retry(self, call: Call[Any], point: int) -> None:
        """The process dies somewhere in a command, and the caller asks again."""
        self.play.faults.crash_at(point)
        try:
            answer: Answer[Any] | BaseException = self._execute(call)
        except (Crash, DomainError) as failure:
            answer = failure
        self.play.faults.disarm()
        if isinstance(answer, Crash):
            # Asked again, whichever answer comes now is the first that anybody sees.
            self._perform(call)
        else:
            self._judge(call, answer, alone=True)

    @rule(move=clock_moves())
    def move_the_clock(self, move: int) -> None:
        """Time passes, or the clock is set back."""
        self.play.clock.advance(move)

    @rule(days=st.sampled_from((0, 1)), offset=st.integers(-2, 2))
    def go_to_midnight(self, days: int, offset: int) -> None:
        """It is about midnight UTC: the next one, or again the last."""
        since = self.play.clock.now() % _DAY
        self.play.clock.advance(days * _DAY - since + offset)

    @rule()
    def rotate_the_seed(self) -> None:
        """The seed epoch turns over; every battle under the old one verifies."""
        reply: EpochReply = self.play.rotate_seed()
        assert reply.closed is not None
        secret = reply.closed.revealed_secret
        assert secret is not None
        for player in PLAYERS:
            for battle in self.play.read(_battles_of(player)):
                if battle.receipt.inputs.epoch == reply.closed.number:
                    assert verify(battle.receipt, secret) == ()

    @rule()
    @precondition(lambda self: self.survives_reopening)
    def restart(self) -> None:
        """The service stops and starts again."""
        self.play.reopen()

    # What must hold.

    @invariant()
    def the_books_agree(self) -> None:
        """Stored balances, the ledger's history and the answers say the same; caps are kept."""
        self.auditor.follow(self._entries_after(self.auditor.seen), self.policy)
        accounts = self.play.read(_accounts)
        self.auditor.compare(accounts)
        mine = [f"player:{player}" for player in CAST.player_ids]
        self.auditor.compare_answers(accounts, [*mine, *(f"guild:{_guild(n).id}" for n in (1, 2))])
        report = self.play.audit()
        assert report.is_sound, report.faults

    @invariant()
    def brokers_are_within_bounds(self) -> None:
        """Energy and stats never leave their range."""
        for player in PLAYERS:
            for broker in self.play.read(_brokers_of(player)):
                assert 0 <= broker.energy <= self.most_energy, broker
                for stat in (broker.intelligence, broker.speed, broker.risk):
                    assert 0 <= stat <= 100, broker

    # How it is judged.

    def _perform(self, call: Call[Any]) -> None:
        try:
            result: Answer[Any] | BaseException = self._execute(call)
        except DomainError as error:
            result = error
        self._judge(call, result, alone=True)

    def _execute(self, call: Call[Any]) -> Answer[Any]:
        return self.play.issue(call.principal, call.command, call.key)

    def _error_of(self, call: Call[Any]) -> DomainError:
        """Issue a call that must be refused outright, changing nothing."""
        before = self.auditor.seen
        try:
            answer = self._execute(call)
        except DomainError as error:
            assert self._entries_after(before) == []
            return error
        message = f"{call} was answered: {answer}"
        raise AssertionError(message)

    def _judge(self, call: Call[Any], result: Answer[Any] | BaseException, *, alone: bool) -> None:
        """Compare a result with the first answer under its key, or book it as the first."""
        place = (call.principal.id, type(call.command), call.key)
        first = self.firsts.get(place) if call.key else None
        if isinstance(result, DomainError):
            assert result.code == "requestId already used", result
            assert first is not None or not alone, f"{call} has no first answer"
            if first is not None:
                assert not _same(call.command, first.call.command)
            return
        if isinstance(result, BaseException):
            raise result
        seen = answer_of(result.outcome)
        if first is not None:
            assert _same(call.command, first.call.command)
            assert result.replayed or not alone
            assert seen == first.answer
            return
        if call.key:
            self.firsts[place] = _First(call, seen)
        self._book(call, result.outcome, alone=alone)

    def _book(self, call: Call[Any], outcome: Accepted[Any] | Refused, *, alone: bool) -> None:
        """Enter into the auditor's books what an answer says about money."""
        if isinstance(outcome, Refused):
            return
        reply, player = outcome.reply, call.principal.id
        account = f"player:{player}"
        if isinstance(reply, BattleReply):
            self._book_battle(reply, account)
        elif spent := self._prices().get(type(call.command)):
            currency, cost = spent
            self.auditor.expect(account, currency, -cost)
            if alone:
                assert reply.balance == self.auditor.expected[account, currency]
        elif isinstance(call.command, ClaimDaily) and reply.reward:
            self._claim("daily", player)
            self.auditor.expect(account, "NEUR", reply.reward)
        elif isinstance(call.command, ClaimDailyCombo) and reply.bonus:
            self._claim("combo", player)
            self.auditor.expect(account, "AIBA", reply.bonus)
        elif isinstance(call.command, GetStarter):
            assert ("starter", player, "") not in self.claims
            self.claims.add(("starter", player, ""))
        elif isinstance(reply, ClaimReply):
            self._book_claim(call.command, reply)
        else:
            self._book_operation(call.command, reply)

    def _book_operation(self, command: Command[Any], reply: Any) -> None:  # noqa: ANN401 - of any command
        """Enter what an operator gave, took or gave back, and which policy there is now."""
        if isinstance(command, CreditUser):
            account = f"player:{command.player_id}"
            self.auditor.expect(account, "AIBA", command.aiba_delta)
            self.auditor.expect(account, "NEUR", command.neur_delta)
        elif isinstance(command, FailMint):
            self.auditor.expect(f"player:{reply.job.player_id}", "AIBA", reply.job.aiba_paid)
        elif isinstance(command, AdjustCap) and reply.previous is not None:
            changes = {"daily_cap_aiba": reply.cap}
            self.policy = next_version(self.policy, changes, self.play.clock.now())
        elif isinstance(getattr(reply, "policy", None), EconomyPolicy):
            made = reply.policy.version - self.policy.version
            assert made == 1 or (made == 0 and not isinstance(command, ChangePolicy))
            self.policy = reply.policy
            self.most_energy = max(self.most_energy, self.policy.battle_max_energy)

    def _book_battle(self, reply: BattleReply, account: str) -> None:
        battle, grant = reply.battle, reply.battle.receipt.grant
        mode = battle.receipt.inputs.mode
        self.auditor.expect(account, "NEUR", grant.player_neur - mode.entry_neur)
        self.auditor.expect(account, "AIBA", grant.aiba - mode.entry_aiba)
        self.auditor.expect(account, "STARS", battle.stars)
        self.auditor.expect(account, "DIAMONDS", battle.diamonds)
        match = battle.receipt.inputs.guild
        if match is not None:
            leader = {_guild(number).id: _guild(number).owner_id for number in (1, 2)}
            self.auditor.expect(f"guild:{match.my_id}", "NEUR", grant.vault_neur)
            self.auditor.expect(f"player:{leader[match.my_id]}", "NEUR", grant.leader_neur)
        if battle.diamonds:
            assert ("first win", account, "") not in self.claims
            self.claims.add(("first win", account, ""))

    def _book_claim(self, command: Command[Any], reply: ClaimReply) -> None:
        """Enter what a withdrawal took, or what its end without a payment gave back, once."""
        claim = reply.claim
        account = f"player:{claim.player_id}"
        if isinstance(command, ReserveClaim):
            self.auditor.expect(account, "AIBA", -claim.terms.amount)
        elif isinstance(command, SettleClaim) and claim.state is ClaimState.REFUNDED:
            if claim.id not in self.refunded:
                self.auditor.expect(account, "AIBA", claim.terms.amount)
            self.refunded.add(claim.id)

    def _prices(self) -> Mapping[type[Command[Any]], tuple[str, int]]:
        return {
            Train: ("NEUR", self.policy.train_neur_cost),
            Repair: ("NEUR", self.policy.repair_neur_cost),
            Upgrade: ("AIBA", self.policy.upgrade_aiba_cost),
            Combine: ("NEUR", self.policy.combine_neur_cost),
            MintBroker: ("AIBA", self.policy.mint_aiba_cost),
        }

    def _claim(self, what: str, player: str) -> None:
        """Note a reward of the day, which nobody gets twice, whatever the clock does."""
        claim = (what, player, utc_day(self.play.clock.now()))
        assert claim not in self.claims, f"{claim} again"
        self.claims.add(claim)

    def _entries_after(self, number: int) -> list[Entry]:
        async def collect(read: Reader) -> list[Entry]:
            return [entry for entry in read.entries() if entry.number > number]

        return self.play.read(collect)

    def _spare(self, broker_id: str, owner_id: str) -> Broker:
        now = self.play.clock.now()
        return Broker(
            id=broker_id,
            owner_id=owner_id,
            created_at=now,
            updated_at=now,
            energy=_LARGEST_ENERGY,
            energy_updated_at=now,
            intelligence=99,
            level=10,
        )


def _mode(key: str, arena: str, *, entry: int) -> GameMode:
    return GameMode(
        id=mode_id(key),
        key=key,
        name=key,
        arena=arena,
        energy_cost=1,
        cooldown_seconds=0,
        entry_neur=entry,
        entry_aiba=entry,
        created_at=0,
        updated_at=0,
    )


_OWN_MODES: Final = (
    _mode("free", "prediction", entry=0),
    _mode("dear", "simulation", entry=40),
    _mode("guildWars", "guildWars", entry=0),
)


def _guild(number: int) -> Guild:
    return Guild(
        id=f"{number:024x}",
        name=f"guild {number}",
        owner_id=PLAYERS[number],
        member_ids=(PLAYERS[number - 1], PLAYERS[number]),
        created_at=0,
        pooled=3 * number,
    )


async def _policy(read: Reader) -> EconomyPolicy:
    return await read.policy()


async def _accounts(read: Reader) -> Mapping[tuple[str, Currency], int]:
    return await read.accounts()


def _battles_of(player: str) -> Callable[[Reader], Any]:
    async def look(read: Reader) -> Sequence[Any]:
        return await read.battles_of(player, before=None, limit=1_000)

    return look


def _brokers_of(player: str) -> Callable[[Reader], Any]:
    async def look(read: Reader) -> Sequence[Broker]:
        return await read.brokers_of(player)

    return look
