"""Faulty rules: a command's loader or decider with something in front of it or behind it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from aiba_domain.decision import Accepted, Command, Context, Record, Refused
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ports import Reader
from aiba_domain.testing.mutants.build import Build, Plant

Outcome = Accepted[Any] | Refused
Decide = Callable[[Any, Any, Context], Outcome]
Load = Callable[[Any, Context, Reader], Awaitable[Any]]
Kind = type[Command[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A sound decision: what came of it, what it was made of, and the decider that made it."""

    outcome: Outcome
    state: Any
    command: Any
    context: Context
    decide: Decide

    def again(self, **changes: Any) -> Outcome:
        """Return what the decider says where the state, command or context is another one."""
        return self.decide(
            changes.get("state", self.state),
            changes.get("command", self.command),
            changes.get("context", self.context),
        )

    def with_records(self, kind: type[Any], change: Callable[[Any], Record]) -> Outcome:
        """Return the outcome with the records of a kind changed."""
        if isinstance(self.outcome, Refused):
            return self.outcome
        records = self.outcome.changed
        changed = (change(each) if isinstance(each, kind) else each for each in records)
        return replace(self.outcome, changed=tuple(changed))

    def with_postings(self, change: Callable[[Posting], Posting]) -> Outcome:
        """Return the outcome with its postings changed."""
        if isinstance(self.outcome, Refused):
            return self.outcome
        return replace(self.outcome, postings=tuple(map(change, self.outcome.postings)))


def ending(*kinds: Kind, change: Callable[[Decision], Outcome]) -> Plant:
    """Return what changes the outcomes of some commands."""

    def by(decide: Decide) -> Decide:
        def faulty(state: object, command: object, context: Context) -> Outcome:
            outcome = decide(state, command, context)
            return change(
                Decision(
                    outcome=outcome, state=state, command=command, context=context, decide=decide
                )
            )

        return faulty

    def plant(build: Build) -> Build:
        changed = {
            kind: replace(build.handlers[kind], decide=by(build.handlers[kind].decide))
            for kind in kinds
        }
        return replace(build, handlers={**build.handlers, **changed})

    return plant


def loaded(*kinds: Kind, by: Callable[[Load], Load]) -> Plant:
    """Return what puts a loader in the place of those of some commands; `by` makes it of each."""

    def plant(build: Build) -> Build:
        changed = {
            kind: replace(build.handlers[kind], load=by(build.handlers[kind].load))
            for kind in kinds
        }
        return replace(build, handlers={**build.handlers, **changed})

    return plant


def asked(*kinds: Kind, as_if: Callable[[Any, Context], Any]) -> Plant:
    """Return what decides some commands as if something else had been asked for."""
    return ending(*kinds, change=lambda made: made.again(command=as_if(made.command, made.context)))


def knowing(*kinds: Kind, as_if: Callable[[Any], Any]) -> Plant:
    """Return what decides some commands as if something else had been loaded."""
    return ending(*kinds, change=lambda made: made.again(state=as_if(made.state)))


def in_context(*kinds: Kind, as_if: Callable[[Context], Context]) -> Plant:
    """Return what decides some commands in another context: another time, another player."""
    return ending(*kinds, change=lambda made: made.again(context=as_if(made.context)))


def under(*kinds: Kind, policy: Callable[[EconomyPolicy], EconomyPolicy]) -> Plant:
    """Return what decides some commands under another policy."""
    return in_context(*kinds, as_if=lambda context: replace(context, policy=policy(context.policy)))
