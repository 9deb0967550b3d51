"""The steps by which one secret takes another's place, and what an operator does between them."""

import asyncio
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiba_adapters.signing.audit_log import AuditLog, LogMissing
from aiba_adapters.system.seeds import DerivedSeedSecrets
from aiba_domain.application.upkeep import open_epoch_of
from aiba_domain.ports import Unavailable
from aiba_domain.signing.trail import TrailBroken
from aiba_entry import forms
from aiba_entry.keys.keepers import Keeper
from aiba_entry.keys.kinds import Change, Kind, public_part
from aiba_entry.keys.shelf import Shelf, Stage
from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.settings import Settings, SettingsError, load
from aiba_entry.signer.environment import LOG
from aiba_entry.stores import StoreUnusable, has_store, open_store

_BOT: Final = "TELEGRAM_BOT_TOKEN"
_SEED: Final = "BATTLE_SEED_SECRET"
_KEPT: Final = (Change.AT_ONCE, Change.HANDED_OVER)
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


class Step(StrEnum):
    """What an operator asks for."""

    BEGIN = "begin"
    USE = "use"
    FINISH = "finish"
    BACK = "back"
    DROP = "drop"
    LEAKED = "leaked"


class OutOfTurn(Exception):  # noqa: N818 - named for what was done with the step
    """The step doesn't follow from how far the change has come; the text says what does."""


class Rotation:
    """The change of one secret, whose files and what names them are kept in step."""

    def __init__(
        self,
        kind: Kind,
        shelf: Shelf,
        *,
        keeper: Keeper,
        environ: Mapping[str, str] | None,
        given: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        """Change what is on the shelf; without `environ` neither store nor log is looked into.

        With `given` the new value comes from outside, though it could be made here. `options` are
        those by which the command finds all this again.
        """
        self._again = shlex.join(["aiba", "keys", "rotate", kind.name, *options])
        self._kind = kind
        self._shelf = shelf
        self._keeper = keeper
        self._environ = environ
        self._given = given
        self._gone = ""

    def go(self, step: Step, ask: Callable[[Kind], str]) -> Stage:
        """Do a step, or what a death has left of it, and return how far the change has come.

        `ask` is asked for a value that isn't made here. Raises OutOfTurn, ShelfFault, KeeperFault.
        """
        if self._kind.change is Change.ELSEWHERE:
            raise OutOfTurn(f"{self._kind.name} is changed by more than a file: {self._kind.doc}")
        stage = self._shelf.stage
        if step is Step.BEGIN:
            self._begin(stage, ask)
        elif step is Step.LEAKED:
            self._replace_leaked(stage, ask)
        else:
            {
                Step.USE: self._use,
                Step.FINISH: self._finish,
                Step.BACK: self._back,
                Step.DROP: self._drop,
            }[step](stage)
        stage = self._shelf.stage
        self._keep_variables(stage)
        return stage

    def advice(self, stage: Stage) -> list[str]:
        """Return what to do now and next; no line holds a secret."""
        told = [f"{self._kind.name}: {stage}"]
        return [*told, *self._keeper.to_set(self._variables(stage)), *self._next(stage)]

    # --- the steps ---

    def _begin(self, stage: Stage, ask: Callable[[Kind], str]) -> None:
        if stage is not Stage.STEADY:
            if not self._keep_variables(stage):
                told = f"a change of {self._kind.name} is under way already"
                raise OutOfTurn("\n".join([told, *self.advice(stage)]))
            # A death had come between the files and the variables.
            return
        value = self._new(ask)
        if self._kind.change in _KEPT:
            self._shelf.replace(value, keep=True)
        else:
            self._shelf.drop(self._shelf.previous)
            self._shelf.announce(value)

    def _replace_leaked(self, stage: Stage, ask: Callable[[Kind], str]) -> None:
        if stage not in (Stage.STEADY, Stage.ANNOUNCED):
            raise OutOfTurn("\n".join(["the one before is still there", *self.advice(stage)]))
        value = self._new(ask)
        self._keep_variables(Stage.STEADY)
        self._shelf.drop(self._shelf.next)
        self._shelf.drop(self._shelf.previous)
        # Battles of the open epoch are under the stolen root, and have to be revealed by it; and a
        # log has to be handed over by the stolen key.
        keep = self._kind.name == _SEED or self._kind.change is Change.HANDED_OVER
        self._shelf.replace(value, keep=keep)

    def _use(self, stage: Stage) -> None:
        if stage is Stage.STEADY:
            raise OutOfTurn(f"no {self._shelf.next.name} is there: begin without a step")
        if stage is Stage.RETURNING:
            raise OutOfTurn("the way back was cut short: --back first")
        if stage is not Stage.IN_USE:
            self._shelf.take()

    def _finish(self, stage: Stage) -> None:
        if stage in (Stage.ANNOUNCED, Stage.RETURNING, Stage.TAKING):
            raise OutOfTurn("the new one isn't in use yet")
        if stage is Stage.IN_USE:
            self._require_no_need()
            self._gone = self._shelf.value(self._shelf.previous)
        # The variable first: a process that starts meanwhile must not look for the file.
        self._keep_variables(Stage.STEADY)
        self._shelf.drop(self._shelf.previous)

    def _back(self, stage: Stage) -> None:
        if stage is Stage.ANNOUNCED:
            return
        if stage not in (Stage.IN_USE, Stage.RETURNING):
            if not self._keep_variables(stage):
                raise OutOfTurn("there is no one before to go back to")
            return
        if self._kind.change is Change.AT_ONCE:
            self._shelf.restore()
        else:
            self._shelf.put_back()

    def _drop(self, stage: Stage) -> None:
        if stage not in (Stage.ANNOUNCED, Stage.STEADY):
            raise OutOfTurn("the new one is in use: --back first, and restart")
        if stage is Stage.ANNOUNCED:
            self._require_no_need()
            self._gone = self._shelf.value(self._shelf.next)
        self._keep_variables(Stage.STEADY)
        self._shelf.drop(self._shelf.next)

    def _new(self, ask: Callable[[Kind], str]) -> str:
        """Return a new value, which must be another one than that in use."""
        make = self._kind.make
        value = ask(self._kind) if make is None or self._given else make()
        if make is not None:
            _check_form(self._kind, value)
        used = self._shelf.value(self._shelf.path)
        if self._kind.name == _BOT:
            _check_bot_token(value, used)
        if value == used:
            raise OutOfTurn("that is the one in use already")
        return value

    # --- what has to be so ---

    def _require_no_need(self) -> None:
        """Refuse to let go what an open epoch, or the signer's log, needs still."""
        if self._environ is None:
            return
        if self._kind.name == _SEED:
            self._require_own_epoch(self._environ)
        elif self._kind.change is Change.HANDED_OVER:
            self._require_own_log(self._environ)

    def _require_own_log(self, environ: Mapping[str, str]) -> None:
        key = _log_key(environ.get(LOG, "").strip())
        used = public_part(self._shelf.value(self._shelf.path))
        if key is not None and key.hex() != used:
            raise OutOfTurn("the log isn't signed by the one in use yet: start the signer with it")

    def _require_own_epoch(self, environ: Mapping[str, str]) -> None:
        try:
            settings = load(environ)
        except SettingsError as error:
            text = f"the store can't be asked which root is in use (--unchecked skips it): {error}"
            raise OutOfTurn(text) from None
        root = self._shelf.value(self._shelf.path)
        if not asyncio.run(_is_of(root, settings)):
            text = "the open seed epoch is of the root that would go: run aiba seed rotate first"
            raise OutOfTurn(text)

    # --- what goes with it ---

    def _variables(self, stage: Stage) -> dict[str, str | None]:
        name, shelf = self._kind.name, self._shelf
        found: dict[str, str | None] = {f"{name}_FILE": str(shelf.path)}
        there = {
            f"{name}{NEXT}": shelf.next if stage is Stage.ANNOUNCED else None,
            f"{name}{PREVIOUS}": shelf.previous if stage is Stage.IN_USE else None,
        }
        for each in self._kind.beside:
            path = there[each]
            found[f"{each}_FILE"] = None if path is None else str(path)
        return found

    def _keep_variables(self, stage: Stage) -> bool:
        """Bring what names the files into step; tell whether that changed it."""
        return self._keeper.put(self._variables(stage))

    def _next(self, stage: Stage) -> list[str]:
        again = self._again
        over = self._kind.over
        ends = self._kind.change is Change.TWO_ENDS
        restart = self._keeper.to_restart()
        if stage in (Stage.TAKING, Stage.RETURNING):
            step = Step.USE if stage is Stage.TAKING else Step.BACK
            return [f"it was cut short: {again} --{step}"]
        if stage is Stage.ANNOUNCED and ends:
            line = signer_line(self._shelf.value(self._shelf.next))
            return [f"add to SIGNER_TOKENS_FILE: {line}", f"then: {again} --use"]
        if stage is Stage.ANNOUNCED:
            return [*restart, f"then: {again} --use", f"not after all: {again} --drop"]
        if stage is Stage.IN_USE:
            where = [] if self._kind.believed or ends else ["give it to whoever reads that page"]
            return [
                *restart,
                *where,
                *self._public(),
                f"when {over}: {again} --finish",
                f"to go back: {again} --back",
            ]
        if ends and self._gone:
            return [f"take out of SIGNER_TOKENS_FILE: {signer_line(self._gone)}"]
        return restart

    def _public(self) -> list[str]:
        if self._kind.change is not Change.HANDED_OVER:
            return []
        return [f"its public part: {public_part(self._shelf.value(self._shelf.path))}"]


def signer_line(token: str) -> str:
    """Return the line by which the signer knows a token, without the token."""
    digest = sha256(token.encode()).hexdigest()
    return f"api-{digest[:8]} sha256:{digest}"


def _check_form(kind: Kind, value: str) -> None:
    """Refuse a value that this secret can't have; one that is made here never is one."""
    weakness = forms.weakness(value)
    if weakness is not None:
        raise OutOfTurn(f"{kind.name} {forms.WEAK[weakness]}")
    if kind.name.endswith("_HEX") and not _KEY.fullmatch(value):
        raise OutOfTurn(f"{kind.name} must be 32 bytes (64 hex chars)")


def _log_key(path: str) -> bytes | None:
    """Return the key that signs the signer's log."""
    try:
        log = AuditLog(Path(path))
        try:
            return log.key()
        finally:
            log.close()
    except (OSError, LogMissing, TrailBroken) as error:
        text = f"{LOG} can't be asked for its key (--unchecked skips it): {error}"
        raise OutOfTurn(text) from None


def _check_bot_token(value: str, used: str) -> None:
    try:
        forms.bot_token(value)
    except ValueError as error:
        raise OutOfTurn(f"{_BOT} {error}") from None
    if value.partition(":")[0] != used.partition(":")[0]:
        raise OutOfTurn("that token is another bot's")


async def _is_of(root: str, settings: Settings) -> bool:
    """Tell whether the open epoch, if there is one, can be revealed by a root."""
    if not has_store(settings):
        return True
    try:
        store = await open_store(settings)
        try:
            epoch = await open_epoch_of(store)
        finally:
            await store.close()
    except (StoreUnusable, Unavailable) as error:
        text = f"the store can't be asked which root is in use (--unchecked skips it): {error}"
        raise OutOfTurn(text) from None
    if epoch is None:
        return True
    return DerivedSeedSecrets(root).promised(epoch.number, epoch.commitment) is not None
