"""The pipeline: the one place where a command becomes a change of state.

command -> unit of work -> remembered answer? -> load -> decide -> write -> commit -> events, answer
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from aiba_domain.administration.model import DONE, Act, AuditRow, row_of
from aiba_domain.application.handler import Handler, fingerprint
from aiba_domain.decision import (
    Accepted,
    Command,
    Context,
    OpenSeed,
    Principal,
    Record,
    Refused,
    Role,
)
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.idempotency import parse_key
from aiba_domain.instants import iso
from aiba_domain.leases.model import Lease, LeaseLost
from aiba_domain.outbox.model import Mailbox, News
from aiba_domain.outbox.news import Announce, silence
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Clock, Observer, Remembered, Scope, SeedSecrets, Store, UnitOfWork

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[R]):
    """The answer to a command: what was decided, under which key, and whether it repeats one."""

    outcome: Accepted[R] | Refused
    key: str
    replayed: bool = False

    def reply(self) -> R:
        """Return the reply of an accepted command; raise the refusal as a DomainError otherwise."""
        if isinstance(self.outcome, Refused):
            raise self.outcome.error()
        return self.outcome.reply


class Pipeline:
    """Executes commands against a store; every change of state goes through `execute`."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        seeds: SeedSecrets,
        observer: Observer,
        handlers: Mapping[type[Command[Any]], Handler[Any, Any, Any]],
        announce: Announce = silence,
    ) -> None:
        """Wire the pipeline to its ports and the catalogue of commands.

        What `announce` tells of a command is written to the outbox together with its effects.
        """
        self._store = store
        self._clock = clock
        self._seeds = seeds
        self._observer = observer
        self._handlers = handlers
        self._announce = announce
        self._lease: Lease | None = None

    def under(self, lease: Lease) -> Self:
        """Return this pipeline as the worker who holds `lease` uses it.

        Its commands take effect only while nobody else has got the lease: each looks in its own
        unit of work, and raises LeaseLost otherwise. A lease whose time is over counts until it is
        taken.
        """
        fenced = copy.copy(self)
        fenced._lease = lease  # noqa: SLF001 - of the same class
        return fenced

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        """Execute `command` for `principal` and return the answer, durable when this returns.

        The same `key` gives the first answer again, for ever. Raises DomainError `requestId
        required` for a keyed command without a valid key, `requestId already used` when the key
        stands for another request, and `forbidden` when the principal's role may not issue it;
        Unavailable when the store is.
        """
        handler = self._handlers[type(command)]
        if principal.role not in handler.roles:
            raise DomainError("forbidden", command=handler.name)
        valid_key = parse_key(key)
        if valid_key is None and (handler.keyed or key not in (None, "")):
            raise DomainError("requestId required", requestId="required" if not key else "pattern")
        run = _Execution(self, handler, principal, command, valid_key)
        try:
            answer = await self._store.transact(run.once)
        except DomainError:
            raise
        except Exception:
            self._observer.failed(handler.name)
            raise
        if answer.replayed:
            self._observer.replayed(handler.name)
        else:
            for event in answer.outcome.events:
                self._observer.committed(event)
        return answer

    def missed(self, command: type[Command[Any]]) -> None:
        """Count a command as failed whose way was barred by something outside the pipeline."""
        self._observer.failed(self._handlers[command].name)

    def scope_of(self, principal: Principal, command: type[Command[Any]], key: str) -> Scope:
        """Return what the answer to a command of a principal is remembered under."""
        name = self._handlers[command].name
        return Scope(principal=f"{principal.role}:{principal.id}", command=name, key=key)

    def news_of(self, outcome: Accepted[Any], context: Context) -> Sequence[News]:
        """Return what is told of a command that takes effect."""
        return self._announce(outcome, context)

    def now(self) -> int:
        """Return the instant that decisions are made at."""
        return self._clock.now()

    async def check_lease(self, uow: UnitOfWork) -> None:
        """Raise LeaseLost if this pipeline is under a lease that isn't its holder's any more."""
        lease = self._lease
        if lease is not None and not lease.is_same(await uow.lease(lease.name)):
            raise LeaseLost(lease.name)

    async def open_seed(self, uow: UnitOfWork) -> OpenSeed:
        """Return the open seed epoch with its secret, which must be the committed one."""
        epoch = await uow.epoch()
        if epoch is None:
            msg = "no seed epoch is open"
            raise InvariantViolation(msg)
        secret = self._seeds.promised(epoch.number, epoch.commitment)
        if secret is None:
            msg = f"the secret of seed epoch {epoch.number} is not the committed one"
            raise InvariantViolation(msg)
        return OpenSeed(epoch=epoch, secret=secret)


class _Execution:
    """One command on its way; `once` is the unit of work, safe to run again from the start."""

    def __init__(
        self,
        pipeline: Pipeline,
        handler: Handler[Any, Any, Any],
        principal: Principal,
        command: Command[Any],
        key: str | None,
    ) -> None:
        self._pipeline = pipeline
        self._handler = handler
        self._principal = principal
        self._command = command
        self._fingerprint = fingerprint(command) if key else ""
        self._scope = pipeline.scope_of(principal, type(command), key) if key else None

    async def once(self, uow: UnitOfWork) -> Answer[Any]:
        """Answer from memory, or load, decide and write."""
        await self._pipeline.check_lease(uow)
        key = self._scope.key if self._scope else ""
        if self._scope and (first := await uow.remembered(self._scope)):
            if first.fingerprint != self._fingerprint:
                raise DomainError("requestId already used", requestId=key)
            outcome = await self._recall(first.outcome, uow)
            return Answer(outcome=outcome, key=key, replayed=True)
        now = self._pipeline.now()
        context = Context(
            principal=self._principal,
            player=await self._player(uow, now),
            policy=await uow.policy(),
            now=now,
            key=key,
            seed=await self._pipeline.open_seed(uow) if self._handler.draws else None,
        )
        outcome = await self._decide(context, uow)
        await self._write(outcome, context, uow)
        return Answer(outcome=outcome, key=key)

    async def _player(self, uow: UnitOfWork, now: int) -> Player | None:
        if self._principal.role is not Role.PLAYER:
            return None
        player = await uow.player(self._principal.id)
        return player or new_player(self._principal.id, self._principal.profile, now)

    async def _decide(self, context: Context, uow: UnitOfWork) -> Accepted[Any] | Refused:
        """Refuse the banned whatever they ask for; otherwise load and decide."""
        player = context.player
        if player is not None and player.ban is not None and player.ban.holds(context.now):
            until = player.ban.until
            details: dict[str, str | int] = {"reason": player.ban.reason}
            if until is not None:
                details["until"] = iso(until)
            return Refused(code="banned", details=details)
        state = await self._handler.load(self._command, context, uow)
        return self._handler.decide(state, self._command, context)

    def _kept(self, outcome: Accepted[Any] | Refused) -> Accepted[Any] | Refused:
        """Return the part of an outcome that is remembered."""
        if isinstance(outcome, Refused):
            return outcome
        keep = self._handler.keep
        return Accepted(reply=keep(outcome.reply) if keep else outcome.reply)

    async def _recall(
        self, kept: Accepted[Any] | Refused, uow: UnitOfWork
    ) -> Accepted[Any] | Refused:
        """Return the first answer from the part of it that was remembered."""
        recall = self._handler.recall
        if isinstance(kept, Refused) or recall is None:
            return kept
        return Accepted(reply=await recall(kept.reply, uow))

    async def _write(
        self, outcome: Accepted[Any] | Refused, context: Context, uow: UnitOfWork
    ) -> None:
        """Write the effects together with audit row, letters and the memory of the answer."""
        now = context.now
        trail = await self._trail(outcome, now, uow)
        remember = None
        if self._scope:
            remember = Remembered(
                scope=self._scope,
                fingerprint=self._fingerprint,
                outcome=self._kept(outcome),
                at=now,
            )
        if isinstance(outcome, Accepted):
            await uow.write(
                at=now,
                postings=outcome.postings,
                changed=(*outcome.changed, *trail, *await self._letters(outcome, context, uow)),
                removed=outcome.removed,
                remember=remember,
            )
        elif remember or trail:
            await uow.write(at=now, changed=trail, remember=remember)

    async def _letters(
        self, outcome: Accepted[Any], context: Context, uow: UnitOfWork
    ) -> Sequence[Record]:
        """Return the letters that tell of a command, and the mailboxes that they are put in."""
        by_subject: dict[str, list[News]] = {}
        for each in self._pipeline.news_of(outcome, context):
            by_subject.setdefault(each.subject, []).append(each)
        changed: list[Record] = []
        for subject, news in by_subject.items():
            before = await uow.mailbox(subject) or Mailbox(subject=subject)
            mailbox, letters = before.put(news, context.now)
            changed += [mailbox, *letters]
        return changed

    async def _trail(
        self, outcome: Accepted[Any] | Refused, now: int, uow: UnitOfWork
    ) -> tuple[AuditRow, ...]:
        """Return the audit row of an admin's act, or of any that says what it changed."""
        request = self._principal.request
        changes = outcome.audit if isinstance(outcome, Accepted) else ()
        if request is None and not changes:
            return ()
        act = Act(
            at=now,
            email=self._principal.id,
            action=self._handler.name,
            outcome=outcome.code if isinstance(outcome, Refused) else DONE,
            changes=changes,
            request=request,
        )
        return (row_of(act, await uow.last_audit_row()),)
