"""The commands on game modes: fill in the defaults, save, make, change and delete one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiba_domain.administration.model import AuditChange
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.battle.modes import GameMode, default_modes, mode_id
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.errors import InvalidInput
from aiba_domain.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class ModesReply:
    """The modes that were written."""

    modes: tuple[GameMode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedModes(Command[ModesReply]):
    """Add the default modes that are missing; modes that are there stay as operators left them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveMode(Command[ModesReply]):
    """Keep a mode, new or in place of the one with its key."""

    mode: GameMode


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeMode(Command[ModesReply]):
    """Make a mode of the fields of a GameMode by name, under a key that no mode has."""

    key: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMode(Command[ModesReply]):
    """Change the fields of a mode by name; the key stays, since brokers' cooldowns name it.

    `key` is what the caller takes it for: another one is refused.
    """

    mode_id: str
    fields: Mapping[str, Any]
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMode(Command[ModesReply]):
    """Delete a mode. A default one doesn't come back by itself."""

    mode_id: str


async def load_modes(_command: object, _context: Context, read: Reader) -> Sequence[GameMode]:
    """Load all modes."""
    return await read.modes()


def decide_seed(
    state: Sequence[GameMode], _command: SeedModes, context: Context
) -> Accepted[ModesReply]:
    """Add what is missing of the defaults."""
    present = {mode.key for mode in state}
    missing = tuple(mode for mode in default_modes(context.now) if mode.key not in present)
    return Accepted(reply=ModesReply(modes=missing), changed=missing)


def decide_save(
    state: Sequence[GameMode], command: SaveMode, context: Context
) -> Accepted[ModesReply]:
    """Keep the mode; its ranges were checked when it was made."""
    born = {mode.key: mode.created_at for mode in state}.get(command.mode.key, context.now)
    mode = replace(command.mode, created_at=born, updated_at=context.now)
    before = {each.key: each for each in state}.get(mode.key)
    return _written(before, mode)


def decide_make(
    state: Sequence[GameMode], command: MakeMode, context: Context
) -> Accepted[ModesReply] | Refused:
    """Make the mode; a key that a mode has is taken, that of a deleted one isn't."""
    before = {mode.key: mode for mode in state}.get(command.key)
    if before is not None and before.deleted_at is None:
        return Refused(code="key already taken", details={"key": command.key})
    made = {
        "id": mode_id(command.key),
        "key": command.key,
        "created_at": context.now,
        "updated_at": context.now,
    }
    try:
        mode = GameMode(**{**command.fields, **made})
    except InvalidInput as fault:
        return Refused(code=fault.code, details={_wire_name(fault.field): fault.reason})
    return _written(None, mode)


def decide_change(
    state: Sequence[GameMode], command: ChangeMode, context: Context
) -> Accepted[ModesReply] | Refused:
    """Change the mode, or refuse naming the field that is out of range."""
    before = _found(state, command.mode_id)
    if before is None:
        return Refused(code="not found")
    if command.key not in (None, before.key):
        return Refused(code="validation_error", details={"key": "can't be changed"})
    try:
        mode = replace(before, **{**command.fields, "updated_at": context.now})
    except InvalidInput as fault:
        return Refused(code=fault.code, details={_wire_name(fault.field): fault.reason})
    return _written(before, mode)


def decide_delete(
    state: Sequence[GameMode], command: DeleteMode, context: Context
) -> Accepted[ModesReply] | Refused:
    """Close the mode for good and hide it."""
    before = _found(state, command.mode_id)
    if before is None:
        return Refused(code="not found")
    gone = replace(before, enabled=False, deleted_at=context.now, updated_at=context.now)
    return _written(before, gone)


def _wire_name(field: str) -> str:
    """Return a field's name on the wire."""
    known = {"entry_neur": "entryNeurCost", "entry_aiba": "entryAibaCost"}
    first, *others = known.get(field, field).split("_")
    return first + "".join(other.capitalize() for other in others)


def _found(state: Sequence[GameMode], wanted: str) -> GameMode | None:
    """Return the mode with an id, unless it was deleted."""
    modes = (mode for mode in state if mode.id == wanted and mode.deleted_at is None)
    return next(modes, None)


def _written(before: GameMode | None, mode: GameMode) -> Accepted[ModesReply]:
    change = AuditChange.between(f"mode:{mode.key}", before, mode)
    return Accepted(reply=ModesReply(modes=(mode,)), changed=(mode,), audit=(change,))


HANDLERS = (
    Handler(
        name="modes.seed",
        command=SeedModes,
        reply=ModesReply,
        load=load_modes,
        decide=decide_seed,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="modes.save",
        command=SaveMode,
        reply=ModesReply,
        load=load_modes,
        decide=decide_save,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="modes.make",
        command=MakeMode,
        reply=ModesReply,
        load=load_modes,
        decide=decide_make,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="modes.change",
        command=ChangeMode,
        reply=ModesReply,
        load=load_modes,
        decide=decide_change,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="modes.delete",
        command=DeleteMode,
        reply=ModesReply,
        load=load_modes,
        decide=decide_delete,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
