"""The economy policy as the wire's configuration document, and back.

A document holds every field that has an effect, by the name that the admin panel knows, and stamps
that say which version it is. The whole document, sent back, changes nothing but what was edited.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from aiba_domain.administration.model import AuditChange, plain
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.errors import DomainError, InvalidInput
from aiba_domain.instants import iso
from aiba_domain.money import amount, exact

UNKNOWN: Final = "unknown_fields"
MOVED_ON: Final = "config changed meanwhile"

STAMPS: Final = frozenset(
    {
        "_id",
        "__v",
        "createdAt",
        "updatedAt",
        "version",
        "oracleLastUpdatedAt",
        "oracleTonUsdAtUpdate",
    }
)
"""What a document says of itself: taken back, and never a change."""

SYSTEM_ARENAS: Final = (
    "training",
    "repairs",
    "upgrades",
    "referrals",
    "admin",
    "vault",
    "daily_login",
    "daily_combo",
    "global_boss",
)
"""Arenas that no game mode has, where money is emitted or spent all the same."""

_REWARDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aiba_per_score": "baseRewardAibaPerScore",
        "neur_per_score": "baseRewardNeurPerScore",
        "win_streak_bonus_bps": "battleWinStreakBonusBps",
        "premium_multiplier": "premiumRewardMultiplier",
        "invite_bonus_bps": "referralUnlock3BonusBps",
        "creator_tier_100_bps": "creatorTier100RefsBps",
        "creator_tier_1000_bps": "creatorTier1000RefsBps",
        "creator_tier_10000_bps": "creatorTier10000RefsBps",
        "stars_per_win": "starRewardPerBattle",
        "diamonds_first_win": "diamondRewardFirstWin",
    }
)
"""The wire's names of reward rates that aren't their own in camel case."""

_SPELLED: Final[Mapping[str, str]] = MappingProxyType(
    {"marketplace_default_new_broker_price_aiba": "marketplaceDefaultNewBrokerPriceAIBA"}
)
_APART: Final = frozenset(
    {
        "version",
        "effective_at",
        "rewards",
        "emission_windows",
        "oracle_last_updated_at",
        "oracle_ton_usd_at_update",
    }
)
"""Fields of a policy that the document has in another form."""
_NO_EFFECT: Final = frozenset({"token_split"})
"""Fields that no rule of this service uses: they are neither shown nor taken."""

_DOUBLE_BITS: Final = 53
_EXACT_IN_DOUBLES: Final = 2**_DOUBLE_BITS
_DIGITS: Final = Context(prec=15)
_CAPS: Final = ("dailyCapAibaByArena", "dailyCapNeurByArena")
_START, _END, _WINDOWS = "emissionStartHourUtc", "emissionEndHourUtc", "emissionWindowsUtc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The arenas and the pairs `arena:league` that a map may name."""

    arenas: frozenset[str]
    pairs: frozenset[str]

    @classmethod
    def of(cls, modes: Iterable[tuple[str, str]]) -> "Places":
        """Return the places of game modes, given as arena and league, and the system's own."""
        known = set(modes)
        arenas = {arena for arena, _ in known} | set(SYSTEM_ARENAS)
        pairs = {f"{arena}:{league}" for arena, league in known}
        pairs |= {f"{arena}:global" for arena in SYSTEM_ARENAS}
        return cls(arenas=frozenset(arenas), pairs=frozenset(pairs))


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


PLAIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        _SPELLED.get(part.name, _camel(part.name)): part.name
        for part in fields(EconomyPolicy)
        if part.name not in _APART | _NO_EFFECT
    }
)
"""The policy's own fields by their names on the wire."""

RATES: Final[Mapping[str, str]] = MappingProxyType(
    {_REWARDS.get(part.name, _camel(part.name)): part.name for part in fields(RewardRates)}
)
"""The reward rates by their names on the wire."""

NAMES: Final = frozenset({*PLAIN, *RATES, _START, _END, _WINDOWS})
"""Every field that a document may change."""

SUBJECT: Final = "policy:economy"
"""What the audit trail names the policy by."""

_OF_A_VERSION: Final = ("_id", "__v", "createdAt", "updatedAt")

MAPS: Final = frozenset({"dailyCapAibaByArena", "dailyCapNeurByArena", _WINDOWS})
"""The settings that are maps; a faulty entry of one is refused as `invalid <map>`."""


def settings_of(policy: EconomyPolicy) -> dict[str, object]:
    """Return what of a policy's document may be changed, as JSON values.

    An exact number that isn't whole is a Decimal of up to 15 digits, which a double keeps.
    """
    shown = {name: _shown(getattr(policy, field)) for name, field in PLAIN.items()}
    shown |= {name: _shown(getattr(policy.rewards, field)) for name, field in RATES.items()}
    windows = policy.emission_windows
    shown |= {_START: windows.usual.start_hour, _END: windows.usual.end_hour}
    shown[_WINDOWS] = {
        place: {"startHourUtc": window.start_hour, "endHourUtc": window.end_hour}
        for place, window in windows.overrides.items()
    }
    return shown


def document_of(policy: EconomyPolicy) -> dict[str, object]:
    """Return a policy's whole document: its settings, and the stamps of its version."""
    updated, made = policy.oracle_last_updated_at, iso(policy.effective_at)
    return {
        "_id": f"{policy.version:024x}",
        "__v": 0,
        "version": policy.version,
        **settings_of(policy),
        "oracleLastUpdatedAt": iso(updated) if updated else None,
        "oracleTonUsdAtUpdate": _shown(policy.oracle_ton_usd_at_update),
        "createdAt": made,
        "updatedAt": made,
    }


def change_of(before: EconomyPolicy, after: EconomyPolicy) -> AuditChange:
    """Return what a new version changed, by the names that admins know.

    An exact number that isn't whole is its text.
    """
    old, new = _told(before), _told(after)
    names = [name for name in new if name not in _OF_A_VERSION and old[name] != new[name]]
    return AuditChange(
        subject=SUBJECT,
        before={name: old[name] for name in names},
        after={name: new[name] for name in names},
    )


def _told(policy: EconomyPolicy) -> dict[str, Any]:
    """Return a policy's document and what isn't in it, as the trail can keep it."""
    whole = {**document_of(policy), "tokenSplit": plain(policy.token_split)}
    return {name: str(each) if isinstance(each, Decimal) else each for name, each in whole.items()}


def changes_of(
    document: Mapping[str, object], base: EconomyPolicy, current: EconomyPolicy, places: Places
) -> dict[str, object]:
    """Return the changes of policy fields that a document asks for, for `next_version`.

    `base` is the version that the document was made from: what is as it was there is no change, so
    that somebody else's change since isn't taken back. A field that both changed is refused.
    Raises DomainError `unknown_fields` naming all of them; InvalidInput, or `invalid <map>`, naming
    a value that the field can't have, by the wire's name.
    """
    unknown = sorted(name for name in document if name not in NAMES | STAMPS)
    if unknown:
        raise DomainError(UNKNOWN, **dict.fromkeys(unknown, "unknown"))
    was, now = settings_of(base), settings_of(current)
    edited = {
        name: value
        for name, value in document.items()
        if name in NAMES and value is not None and not _same(value, was[name])
    }
    beaten = sorted(name for name in edited if was[name] != now[name])
    clashing = [name for name in beaten if not _same(edited[name], now[name])]
    if clashing:
        raise DomainError(MOVED_ON, **dict.fromkeys(clashing, "changed"))
    found: dict[str, object] = {}
    rates: dict[str, Any] = {}
    for name, value in edited.items():
        if name in _CAPS:
            found[PLAIN[name]] = _caps(name, value, places, was[name])
        elif name in PLAIN:
            found[PLAIN[name]] = _read(name, value, getattr(current, PLAIN[name]))
        elif name in RATES:
            rates[RATES[name]] = _read(name, value, getattr(current.rewards, RATES[name]))
    if rates:
        found["rewards"] = _rates(current.rewards, rates)
    if windows := {name: edited[name] for name in (_START, _END, _WINDOWS) if name in edited}:
        found["emission_windows"] = _windows(current.emission_windows, windows, places)
    return found


def wire_name(field: str) -> str:
    """Return the wire's name of a policy field, or of a part of one; unknown ones as they are."""
    first, dot, rest = field.partition(".")
    names = {value: name for name, value in (*RATES.items(), *PLAIN.items())}
    return names.get(first, first) + dot + rest


def _shown(value: object) -> object:
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return value.numerator
        return _DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize()
    return dict(value) if isinstance(value, Mapping) else value


def _same(given: object, shown: object) -> bool:
    """Tell whether a JSON value says what is there, whatever way a number is written.

    A client that keeps numbers in doubles rounds those above 2^53; it has not edited them.
    """
    if isinstance(given, bool) or isinstance(shown, bool):
        return given is shown
    if isinstance(given, int) and isinstance(shown, int) and abs(shown) > _EXACT_IN_DOUBLES:
        return not abs(given - shown) >> shown.bit_length() - _DOUBLE_BITS
    if isinstance(given, Mapping) and isinstance(shown, Mapping):
        return given.keys() == shown.keys() and all(_same(given[key], shown[key]) for key in given)
    return given == shown


def _read(name: str, value: object, current: object) -> object:
    """Read a value of the kind that the field holds now; its range is the policy's to judge."""
    if isinstance(current, bool):
        if not isinstance(value, bool):
            raise InvalidInput(name, "boolean")
        return value
    if isinstance(current, Fraction):
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise InvalidInput(name, "number")
        return exact(value, name)
    if isinstance(current, int):
        return _whole(value, name)
    raise InvalidInput(name, "not changeable here")


def _whole(value: object, name: str) -> int:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(name, "integer")
    return value


def _rates(current: RewardRates, changes: Mapping[str, Any]) -> RewardRates:
    try:
        return replace(current, **changes)
    except InvalidInput as fault:
        raise InvalidInput(wire_name(fault.field), fault.reason) from None


def _caps(name: str, value: object, places: Places, was: object) -> Mapping[str, int]:
    """Read a map of caps by arena. An entry that was there may stay, whatever it names."""
    kept = was if isinstance(was, Mapping) else {}
    if not isinstance(value, Mapping):
        raise InvalidInput(name, "object")
    found = {}
    for arena, cap in value.items():
        where = f"{name}.{arena}"
        try:
            found[arena] = amount(_whole(cap, where), where)
        except InvalidInput as fault:
            raise DomainError(f"invalid {name}", **{fault.field: fault.reason}) from None
        if arena not in places.arenas and arena not in kept:
            raise DomainError(f"invalid {name}", **{where: "unknown arena"})
    return MappingProxyType(found)


def _windows(
    current: EmissionWindows, edited: Mapping[str, object], places: Places
) -> EmissionWindows:
    usual = _window(
        edited.get(_START, current.usual.start_hour),
        edited.get(_END, current.usual.end_hour),
        (_START, _END),
    )
    if _WINDOWS not in edited:
        return replace(current, usual=usual)
    given = edited[_WINDOWS]
    if not isinstance(given, Mapping):
        raise InvalidInput(_WINDOWS, "object")
    found = {}
    for place, hours in given.items():
        where = f"{_WINDOWS}.{place}"
        known = place == "*" or place in places.arenas | places.pairs
        if not known and place not in current.overrides:
            raise DomainError(f"invalid {_WINDOWS}", **{where: "unknown place"})
        if not isinstance(hours, Mapping) or not hours.keys() <= {"startHourUtc", "endHourUtc"}:
            raise DomainError(f"invalid {_WINDOWS}", **{where: "object"})
        try:
            found[place] = _window(
                hours.get("startHourUtc"),
                hours.get("endHourUtc"),
                (f"{where}.startHourUtc", f"{where}.endHourUtc"),
            )
        except InvalidInput as fault:
            raise DomainError(f"invalid {_WINDOWS}", **{fault.field: fault.reason}) from None
    return EmissionWindows(usual=usual, overrides=MappingProxyType(found))


def _window(start: object, end: object, names: tuple[str, str]) -> EmissionWindow:
    hours = []
    for value, name in zip((start, end), names, strict=True):
        hour = _whole(value, name)
        if not 0 <= hour <= 24:  # noqa: PLR2004 - the hours of a day
            raise InvalidInput(name, "integer of 0..24")
        hours.append(hour)
    return EmissionWindow(start_hour=hours[0], end_hour=hours[1])
