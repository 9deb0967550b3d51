"""The commands on game modes: fill in the defaults, save one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.battle.modes import GameMode, default_modes
from aiba_domain.decision import Accepted, Command, Context
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
    return Accepted(reply=ModesReply(modes=(mode,)), changed=(mode,))


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
)
"""The handlers of this area's commands."""
