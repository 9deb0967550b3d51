"""The commands that change the economy's configuration: by document, by oracle, by automation."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from aiba_domain.application.handler import OPERATORS, Handler, nothing
from aiba_domain.battle.modes import GameMode
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.economy.automation import adjusted_cap
from aiba_domain.economy.commands import PolicyReply
from aiba_domain.economy.config import Places, change_of, changes_of, wire_name
from aiba_domain.economy.oracle import quote
from aiba_domain.economy.policy import EconomyPolicy, next_version
from aiba_domain.errors import DomainError, InvalidInput
from aiba_domain.ports import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReply:
    """What an update of the oracle has set."""

    policy: EconomyPolicy
    is_fallback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CapReply:
    """The day's AIBA cap after cap automation, and the one before where it was changed."""

    cap: int | None
    previous: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchConfig(Command[PolicyReply]):
    """Change the policy by fields of its document, or by the whole of it as it was edited."""

    document: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRates(Command[PolicyReply]):
    """Set the oracle's rates by hand; None leaves one as it is."""

    aiba_per_ton: int | None = None
    neur_per_aiba: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRate(Command[RateReply]):
    """Set the oracle's rate by the market's price of a TON in USD, None if nobody told it.

    `aiba_usd` is the price of an AIBA, None for the policy's own.
    """

    ton_usd: Fraction | None
    aiba_usd: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustCap(Command[CapReply]):
    """Let cap automation set the day's AIBA cap, if it is on and the change is worth it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a change of the document loads: the modes, and the version that was edited."""

    modes: tuple[GameMode, ...]
    base: EconomyPolicy


async def load_ground(command: PatchConfig, context: Context, read: Reader) -> Ground:
    """Load the modes, and the version that the document says it is; else the one in force."""
    base, version = context.policy, command.document.get("version")
    if type(version) is int and 0 < version < base.version:
        found = await read.policies(before=version + 1, limit=1)
        base = found[0] if found else base
    return Ground(modes=tuple(await read.modes()), base=base)


def decide_patch(
    state: Ground, command: PatchConfig, context: Context
) -> Accepted[PolicyReply] | Refused:
    """Make the next version with what was edited, or none if nothing was."""
    places = Places.of((mode.arena, mode.league) for mode in state.modes if mode.deleted_at is None)
    try:
        changes = changes_of(command.document, state.base, context.policy, places)
    except DomainError as fault:
        details = {name: str(reason) for name, reason in fault.details.items()}
        return Refused(code=fault.code, details=details)
    if "oracle_aiba_per_ton" in changes:
        changes["oracle_last_updated_at"] = context.now
    return _changed(changes, context)


def decide_rates(
    _state: None, command: SetRates, context: Context
) -> Accepted[PolicyReply] | Refused:
    """Set what is given; a rate set by hand is as new as one of the market."""
    changes: dict[str, object] = {}
    if command.aiba_per_ton is not None:
        changes["oracle_aiba_per_ton"] = command.aiba_per_ton
        changes["oracle_last_updated_at"] = context.now
    if command.neur_per_aiba is not None:
        changes["oracle_neur_per_aiba"] = command.neur_per_aiba
    if not changes:
        return Refused(code="oracleAibaPerTon or oracleNeurPerAiba required")
    return _changed(changes, context)


def decide_update(
    _state: None, command: UpdateRate, context: Context
) -> Accepted[RateReply] | Refused:
    """Set the rate that the market, the fallback or the rate before gives; refused without any.

    Only the market's rate and the fallback are new: the rate before keeps its age.
    """
    policy = context.policy
    aiba_usd = policy.oracle_aiba_usd if command.aiba_usd is None else command.aiba_usd
    found = quote(policy, command.ton_usd, aiba_usd)
    if found is None:
        return Refused(code="no_rate")
    changes: dict[str, object] = {"oracle_aiba_per_ton": found.aiba_per_ton}
    if not found.is_fallback and command.ton_usd is not None:
        changes["oracle_ton_usd_at_update"] = command.ton_usd
    if not found.is_fallback or policy.oracle_fallback_aiba_per_ton:
        changes["oracle_last_updated_at"] = context.now
    accepted = _changed(changes, context)
    if isinstance(accepted, Refused):
        return accepted
    reply = RateReply(policy=accepted.reply.policy, is_fallback=found.is_fallback)
    return Accepted(reply=reply, changed=accepted.changed, audit=accepted.audit)


def decide_cap(_state: None, _command: AdjustCap, context: Context) -> Accepted[CapReply] | Refused:
    """Set the cap, or tell the one in force where there is nothing to adjust."""
    policy = context.policy
    cap = adjusted_cap(policy)
    if cap is None:
        kept = policy.daily_cap_aiba if policy.automation_enabled else None
        return Accepted(reply=CapReply(cap=kept, previous=None))
    accepted = _changed({"daily_cap_aiba": cap}, context)
    if isinstance(accepted, Refused):
        return accepted
    reply = CapReply(cap=cap, previous=policy.daily_cap_aiba)
    return Accepted(reply=reply, changed=accepted.changed, audit=accepted.audit)


def _changed(changes: Mapping[str, object], context: Context) -> Accepted[PolicyReply] | Refused:
    """Make the next version, or none where nothing differs; refuse by the wire's name."""
    before = context.policy
    if all(getattr(before, name) == value for name, value in changes.items()):
        return Accepted(reply=PolicyReply(policy=before))
    try:
        after = next_version(before, changes, context.now)
    except InvalidInput as fault:
        return Refused(code=fault.code, details={wire_name(fault.field): fault.reason})
    audit = (change_of(before, after),)
    return Accepted(reply=PolicyReply(policy=after), changed=(after,), audit=audit)


HANDLERS = (
    Handler(
        name="config.patch",
        command=PatchConfig,
        reply=PolicyReply,
        load=load_ground,
        decide=decide_patch,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="oracle.set",
        command=SetRates,
        reply=PolicyReply,
        load=nothing,
        decide=decide_rates,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="oracle.update",
        command=UpdateRate,
        reply=RateReply,
        load=nothing,
        decide=decide_update,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="cap.adjust",
        command=AdjustCap,
        reply=CapReply,
        load=nothing,
        decide=decide_cap,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
