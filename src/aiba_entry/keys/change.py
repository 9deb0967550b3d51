"""The steps by which one secret takes another's place, and what an operator does between them."""

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiba_adapters.system.seeds import DerivedSeedSecrets
from aiba_domain.application.upkeep import open_epoch_of
from aiba_domain.ports import Unavailable
from aiba_entry import forms
from aiba_entry.keys.env_file import put
from aiba_entry.keys.kinds import Change, Kind
from aiba_entry.keys.shelf import Shelf, Stage
from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.settings import Settings, SettingsError, load
from aiba_entry.stores import StoreUnusable, has_store, open_store

_BOT: Final = "TELEGRAM_BOT_TOKEN"
_SEED: Final = "BATTLE_SEED_SECRET"


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
    """The change of one secret, whose files and variables are kept in step."""

    def __init__(
        self,
        kind: Kind,
        shelf: Shelf,
        *,
        env_file: Path | None,
        environ: Mapping[str, str] | None,
    ) -> None:
        """Change what is on the shelf; without `environ` no store is asked about its open epoch."""
        self._kind = kind
        self._shelf = shelf
        self._env_file = env_file
        self._environ = environ
        self._gone = ""

    def go(self, step: Step, ask: Callable[[Kind], str]) -> Stage:
        """Do a step, or what a death has left of it, and return how far the change has come.

        `ask` is asked for a value that isn't made here. Raises OutOfTurn and ShelfFault.
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
        name = self._kind.name
        told = [f"{name}: {stage}"]
        if self._env_file is None:
            for variable, value in self._variables(stage).items():
                told.append(f"unset {variable}" if value is None else f"set {variable}={value}")
        return [*told, *self._next(stage)]

    # --- the steps ---

    def _begin(self, stage: Stage, ask: Callable[[Kind], str]) -> None:
        if stage is not Stage.STEADY:
            if not self._keep_variables(stage):
                told = f"a change of {self._kind.name} is under way already"
                raise OutOfTurn("\n".join([told, *self.advice(stage)]))
            # A death had come between the files and the variables.
            return
        value = self._new(ask)
        if self._kind.change is Change.AT_ONCE:
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
        # Battles of the open epoch are under the stolen root, and have to be revealed by it.
        self._shelf.replace(value, keep=self._kind.name == _SEED)

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
            self._require_own_epoch()
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
            self._require_own_epoch()
            self._gone = self._shelf.value(self._shelf.next)
        self._keep_variables(Stage.STEADY)
        self._shelf.drop(self._shelf.next)

    def _new(self, ask: Callable[[Kind], str]) -> str:
        """Return a new value, which must be another one than that in use."""
        value = self._kind.make() if self._kind.make else ask(self._kind)
        used = self._shelf.value(self._shelf.path)
        if self._kind.name == _BOT:
            _check_bot_token(value, used)
        if value == used:
            raise OutOfTurn("that is the one in use already")
        return value

    # --- what has to be so ---

    def _require_own_epoch(self) -> None:
        """Refuse to let a root go while an epoch is open that it alone can reveal."""
        if self._kind.name != _SEED or self._environ is None:
            return
        try:
            settings = load(self._environ)
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
        if self._kind.change is Change.ROLLED:
            announced = stage is Stage.ANNOUNCED
            found[f"{name}{NEXT}_FILE"] = str(shelf.next) if announced else None
        if self._kind.believed:
            kept = stage is Stage.IN_USE
            found[f"{name}{PREVIOUS}_FILE"] = str(shelf.previous) if kept else None
        return found

    def _keep_variables(self, stage: Stage) -> bool:
        """Bring the file of variables into step, if there is one; tell whether that changed it."""
        if self._env_file is None:
            return False
        try:
            return put(self._env_file, self._variables(stage))
        except (OSError, UnicodeDecodeError):
            raise OutOfTurn(f"{self._env_file.name} can't be changed") from None

    def _next(self, stage: Stage) -> list[str]:
        again = f"aiba keys rotate {self._kind.name}"
        over = self._kind.over
        ends = self._kind.change is Change.TWO_ENDS
        restart = "restart every API process, one after another"
        if stage in (Stage.TAKING, Stage.RETURNING):
            step = Step.USE if stage is Stage.TAKING else Step.BACK
            return [f"it was cut short: {again} --{step}"]
        if stage is Stage.ANNOUNCED and ends:
            line = signer_line(self._shelf.value(self._shelf.next))
            return [f"add to SIGNER_TOKENS_FILE: {line}", f"then: {again} --use"]
        if stage is Stage.ANNOUNCED:
            return [restart, f"then: {again} --use", f"not after all: {again} --drop"]
        if stage is Stage.IN_USE:
            where = [] if self._kind.believed or ends else ["give it to whoever reads that page"]
            return [
                restart,
                *where,
                f"when {over}: {again} --finish",
                f"to go back: {again} --back",
            ]
        if ends and self._gone:
            return [f"take out of SIGNER_TOKENS_FILE: {signer_line(self._gone)}"]
        return [restart]


def signer_line(token: str) -> str:
    """Return the line by which the signer knows a token, without the token."""
    digest = sha256(token.encode()).hexdigest()
    return f"api-{digest[:8]} sha256:{digest}"


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
