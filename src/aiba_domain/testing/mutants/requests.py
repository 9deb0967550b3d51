"""Faults of the one path: keys, replays, bans, fees and events that go past the pipeline."""

from dataclasses import replace
from itertools import count
from typing import Any, Final, TypeVar, cast

from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Repair, Train, Upgrade
from aiba_domain.claims.claim import Claim
from aiba_domain.claims.commands import ClaimReply, ReserveClaim, Till
from aiba_domain.decision import Accepted, Command, Context, Principal, Refused, Role
from aiba_domain.economy.ledger import player_account, sink_account
from aiba_domain.errors import DomainError
from aiba_domain.events import Event
from aiba_domain.instants import day_key
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Observer, Store, UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.crash_matrix import Fault
from aiba_domain.testing.doubles import Tally
from aiba_domain.testing.mutants.build import Build, Handlers, Plant
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.patching import Outcome
from aiba_domain.testing.mutants.properties import (
    CellProperty,
    LifeProperty,
    MachineProperty,
    RuleProperty,
)
from aiba_domain.testing.mutants.rules import keys, play
from aiba_domain.testing.mutants.wrapping import PassingStore, PassingUnit

R = TypeVar("R")

_FEE: Final = 5


class _Faulty(Pipeline):
    """A pipeline that knows the ports it was made of."""

    def __init__(self, **ports: Any) -> None:
        """Keep the ports."""
        super().__init__(**ports)
        self.ports = ports


class _Duplicates(_Faulty):
    """A key that was used gives success, and the goods once more; only the debit is left out."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        answer = await super().execute(principal, command, key)
        if answer.replayed and isinstance(command, Train | Upgrade):

            async def again(unit: UnitOfWork) -> None:
                broker = await unit.broker(command.broker_id)
                assert broker is not None
                more = broker.trained(command.stat, 1, xp=0, levels=0, now=self.now())
                await unit.write(at=self.now(), changed=(more,))

            store: Store = self.ports["store"]
            await store.transact(again)
        return answer


class _FailsReplays(_Faulty):
    """A key that was used is told as a failure, though the money was taken."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        answer = await super().execute(principal, command, key)
        if answer.replayed:
            raise DomainError("insufficient NEUR")
        return answer


class _PaysReplays(_Faulty):
    """The Stars of a battle are paid again when it is asked for again."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        answer = await super().execute(principal, command, key)
        if answer.replayed and isinstance(command, RunBattle):
            account = player_account(principal.id)
            stars = movement(1, credit=account, currency=Currency.STARS)
            store: Store = self.ports["store"]
            await store.transact(lambda unit: unit.write(at=self.now(), postings=(stars,)))
        return answer


class _SameAnswer(_Faulty):
    """Whatever is asked for under a used key gets the first answer."""

    def __init__(self, **ports: Any) -> None:
        super().__init__(**ports)
        self.firsts: dict[tuple[str, object, object], Answer[Any]] = {}

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        place = (principal.id, type(command), key)
        try:
            answer = await super().execute(principal, command, key)
        except DomainError as refused:
            if refused.code == "requestId already used" and place in self.firsts:
                return self.firsts[place]
            raise
        self.firsts.setdefault(place, answer)
        return answer


_made_up = count()


class _MakesKeysUp(_Faulty):
    """Without a key of its own a request gets one that nobody knows."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        try:
            return await super().execute(principal, command, key)
        except DomainError as refused:
            if refused.code != "requestId required":
                raise
        return await super().execute(principal, command, f"made-up-{next(_made_up)}")


class _LocksForGood(_Faulty):
    """A key is locked while it is worked on, and only success unlocks it."""

    def __init__(self, **ports: Any) -> None:
        super().__init__(**ports)
        self.locked: set[tuple[str, object, object]] = set()

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        place = (principal.id, type(command), key)
        if place in self.locked:
            raise DomainError("request in progress")
        if key is not None:
            self.locked.add(place)
        answer = await super().execute(principal, command, key)
        self.locked.discard(place)
        return answer


class _SeqnosInMemory(Pipeline):
    """A process counts the seqnos that it gives out, whether what it decided was kept or not."""

    def __init__(self, *, handlers: Handlers, **ports: Any) -> None:
        given: dict[str, int] = {}
        handler = handlers[ReserveClaim]

        def decide(state: Till, command: ReserveClaim, context: Context) -> Outcome:
            outcome = handler.decide(state, command, context)
            if isinstance(outcome, Refused) or state.known is not None:
                return outcome
            claim: Claim = outcome.reply.claim
            terms = claim.terms
            seqno = max(terms.seqno, given.get(terms.recipient, 0) + 1)
            given[terms.recipient] = seqno
            claim = replace(claim, terms=replace(terms, seqno=seqno))
            changed = (*(each for each in outcome.changed if not isinstance(each, Claim)), claim)
            return replace(outcome, reply=ClaimReply(claim=claim), changed=changed)

        counting = {**handlers, ReserveClaim: replace(handler, decide=decide)}
        super().__init__(handlers=counting, **ports)


class _Unbanned(PassingUnit):
    async def player(self, player_id: str) -> Player | None:
        found = await self.inner.player(player_id)
        return replace(found, ban=None) if found else None


class _BlindStore(PassingStore):
    def unit(self, inner: UnitOfWork) -> object:
        return _Unbanned(inner)


class _ForgetsOneBan(_Faulty):
    """One command has a way of its own, on which nobody looks for bans."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        if type(command) is not Repair:
            return await super().execute(principal, command, key)
        blind = Pipeline(**{**self.ports, "store": _BlindStore(self.ports["store"])})
        return await blind.execute(principal, cast("Command[R]", command), key)


class _FeeFirst(_Faulty):
    """The entry fee in NEUR is taken before it is known whether the battle can be fought."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        answer = await super().execute(principal, command, key)
        outcome = answer.outcome
        if isinstance(outcome, Refused) and outcome.code == "insufficient AIBA":
            sink = sink_account(day_key(self.now()), "entry", "prediction")
            fee = movement(_FEE, player_account(principal.id), sink)
            store: Store = self.ports["store"]
            await store.transact(lambda unit: unit.write(at=self.now(), postings=(fee,)))
        return answer


class _TellsEarly(Pipeline):
    """Events are told when they are decided, before anything is durable."""

    def __init__(self, *, observer: Observer, handlers: Handlers, **ports: Any) -> None:
        def telling(handler: Any) -> Any:  # noqa: ANN401 - of any command
            def decide(state: object, command: object, context: Any) -> object:  # noqa: ANN401 - as there
                outcome: Accepted[Any] | Refused = handler.decide(state, command, context)
                for event in outcome.events:
                    observer.committed(event)
                return outcome

            return replace(handler, decide=decide)

        early = {kind: telling(handler) for kind, handler in handlers.items()}
        super().__init__(observer=_Deaf(), handlers=early, **ports)


class _TellsNothing(Pipeline):
    """Events are lost on their way to the observer."""

    def __init__(self, *, observer: Observer, **ports: Any) -> None:
        del observer
        super().__init__(observer=_Deaf(), **ports)


class _Deaf(Tally):
    def committed(self, event: Event) -> None:
        del event


def _by(kind: type[Pipeline]) -> Plant:
    def plant(build: Build) -> Build:
        return replace(build, pipeline=kind)

    return plant


def _for_everybody(build: Build) -> Build:
    handlers = {
        kind: replace(handler, roles=frozenset(Role)) for kind, handler in build.handlers.items()
    }
    return replace(build, handlers=handlers)


REQUEST_MUTANTS: Final = (
    Mutant(
        id="goods-twice",
        breaks="a repeated request costs nothing and gives the goods again",
        plant=_by(_Duplicates),
        killed_by=RuleProperty(rule=keys.a_repeated_request_changes_nothing),
        defects=("D-06",),
    ),
    Mutant(
        id="replay-fails",
        breaks="a repeated request is told that there is no money, which was taken",
        plant=_by(_FailsReplays),
        killed_by=RuleProperty(rule=keys.a_repeated_request_changes_nothing),
        defects=("D-07",),
    ),
    Mutant(
        id="replay-fails-in-life",
        breaks="the same, seen by clients whose answers get lost on the way",
        plant=_by(_FailsReplays),
        killed_by=LifeProperty(),
        budget=2,
        defects=("D-07", "D-08"),
    ),
    Mutant(
        id="battle-paid-twice",
        breaks="a battle that is asked for again pays a part of its reward again",
        plant=_by(_PaysReplays),
        killed_by=RuleProperty(rule=keys.a_repeated_battle_pays_once),
        defects=("D-42",),
    ),
    Mutant(
        id="fingerprint-ignored",
        breaks="another request under a used key is told what the first one was told",
        plant=_by(_SameAnswer),
        killed_by=RuleProperty(rule=keys.another_request_under_a_used_key_is_refused),
        defects=("D-30",),
    ),
    Mutant(
        id="fingerprint-ignored-in-life",
        breaks="the same, in a random life",
        plant=_by(_SameAnswer),
        killed_by=MachineProperty(rule="_judge", also=frozenset({"reuse_a_key"})),
        budget=4,
        defects=("D-30",),
    ),
    Mutant(
        id="key-made-up",
        breaks="a request without a key gets a random one, so each repetition is charged",
        plant=_by(_MakesKeysUp),
        killed_by=RuleProperty(rule=keys.a_key_is_never_made_up),
        defects=("D-30",),
    ),
    Mutant(
        id="key-locked",
        breaks="a request that failed leaves its key locked",
        plant=_by(_LocksForGood),
        killed_by=RuleProperty(rule=keys.a_crashed_request_can_be_repeated),
        defects=("D-34",),
    ),
    Mutant(
        id="ban-forgotten",
        breaks="one command asks nobody whether the player is banned",
        plant=_by(_ForgetsOneBan),
        killed_by=RuleProperty(rule=keys.a_ban_binds_every_command),
        defects=("D-33",),
    ),
    Mutant(
        id="role-not-checked",
        breaks="a player may issue what is the operator's",
        plant=_for_everybody,
        killed_by=RuleProperty(rule=keys.an_operators_command_is_none_of_a_players),
    ),
    Mutant(
        id="fee-kept",
        breaks="the fee of a battle that is refused is kept",
        plant=_by(_FeeFirst),
        killed_by=RuleProperty(rule=play.a_refused_battle_costs_nothing),
        defects=("D-36",),
    ),
    Mutant(
        id="seqno-from-memory",
        breaks="a process counts seqnos itself, so a unit that is run again skips one",
        plant=_by(_SeqnosInMemory),
        killed_by=CellProperty(call="UnitOfWork.write", fault=Fault.DUPLICATED),
        defects=("D-10",),
    ),
    Mutant(
        id="events-early",
        breaks="events are told before the commit, also of what is undone",
        plant=_by(_TellsEarly),
        killed_by=RuleProperty(rule=keys.events_come_after_the_commit_and_once),
    ),
    Mutant(
        id="events-lost",
        breaks="events of what took effect are never told",
        plant=_by(_TellsNothing),
        killed_by=RuleProperty(rule=keys.events_come_after_the_commit_and_once),
    ),
)
"""The faults of the one path."""
