"""What was answered to whom: the first answer to a key is the answer to it for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.testing.simulation.site import OK, Ask, Told

_USED: Final = "requestId already used"

_NOT_KEPT: Final = frozenset(
    {
        "claim not signed",
        "rate_limited",
        _USED,
        "requestId required",
        "telegram auth expired",
        "telegram auth failed",
        "telegram auth required",
        "unavailable",
        "validation_error",
        "wallet_required",
    }
)
"""Refusals that decide nothing for ever: the same request may fare otherwise later."""

_DECIDED: Final = frozenset(
    {
        "amount must be > 0",
        "banned",
        "base and sacrifice must be different brokers",
        "base broker not found",
        "broker banned",
        "broker not found",
        "claim limit",
        "claims paused",
        "cooldown",
        "daily cap reached",
        "daily_combo_requirement_not_met",
        "guild required",
        "insufficient AIBA",
        "insufficient NEUR",
        "invalid_mode",
        "league_locked",
        "no energy",
        "not your broker",
        "pending_claim",
        "sacrifice broker not found",
        "starter already granted",
        "stat at maximum",
        "wallet already connected",
    }
)
"""Refusals by a rule of the game; whatever is neither here nor above is a fault of the service."""

_GONE: Final = "claim refunded"
"""How a claim is answered whose last issue was never signed and is refunded: for ever from then."""

_UNSIGNED: Final = ("signatureBase64", "payloadBocBase64")

Place = tuple[str, str, str]
"""A player, a kind of request, and a key: what a first answer is kept under."""


@dataclass(slots=True)
class First:
    """The first answer to a key, with the claim and the signature it has told of so far."""

    ask: Ask
    told: Told
    seen: Mapping[str, object]
    terms: Mapping[str, object] | None = None
    signature: str = ""


class Answers:
    """Follows what clients are told. Raises AssertionError at an answer that must not be."""

    def __init__(self) -> None:
        """Start with nothing answered."""
        self.first: dict[Place, First] = {}
        self._gone: set[Place] = set()
        self._bodies: dict[Place, list[Mapping[str, object]]] = {}

    def ask(self, ask: Ask) -> None:
        """Note a request as it is sent."""
        if ask.key is not None:
            bodies = self._bodies.setdefault((ask.player, ask.kind, ask.key), [])
            if ask.body not in bodies:
                bodies.append(ask.body)

    def hear(self, ask: Ask, told: Told) -> bool:
        """Take an answer in; tell whether it is the first to its key, and decides something."""
        known = told.code in (OK, _GONE) or told.code in _NOT_KEPT or told.code in _DECIDED
        assert known, f"{ask.kind} of {ask.player} was answered {told.code} {dict(told.body)}"
        if ask.key is None:
            return told.is_ok
        place = (ask.player, ask.kind, ask.key)
        if told.code == _USED:
            assert len(self._bodies[place]) > 1, f"{place} is used by nobody else and is refused"
        if told.code in _NOT_KEPT:
            return False
        assert told.code == _GONE or place not in self._gone, f"{place} was refunded, now {told}"
        if told.code == _GONE:
            self._gone.add(place)
            return False
        first = self.first.get(place)
        seen = _lasting(ask, told)
        if first is None:
            first = self.first[place] = First(ask, told, seen)
            self._follow_claim(first, told)
            return True
        assert first.ask.body == ask.body, f"{place} was answered for two different requests"
        assert (first.told.code, first.seen) == (told.code, seen), (
            f"{place} was answered {first.told.code} {first.seen}, then {told.code} {seen}"
        )
        self._follow_claim(first, told)
        return False

    def _follow_claim(self, first: First, told: Told) -> None:
        """Hold a claim to its terms, and to its signature once there is one."""
        claim = told.body.get("claim")
        if not isinstance(claim, Mapping) or not claim.get("vaultAddress"):
            return
        terms = {name: value for name, value in claim.items() if name not in _UNSIGNED}
        signature = str(claim["signatureBase64"])
        if first.terms is not None and first.terms != terms:
            assert _is_later_issue(first.terms, terms), f"a claim of {first.terms} became {terms}"
            first.signature = ""
        assert first.signature in ("", signature), f"a claim of {terms} was signed twice"
        first.terms, first.signature = terms, signature


def _is_later_issue(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Tell whether an expired claim was issued again: the same but for a later validity."""
    ends = [int(str(terms["validUntil"])) for terms in (before, after)]
    return ends[0] < ends[1] and {**before, "validUntil": 0} == {**after, "validUntil": 0}


def _lasting(ask: Ask, told: Told) -> Mapping[str, object]:
    """Return the part of an answer that never changes: a claim is shown as it stands."""
    if ask.kind in ("battle", "claim") and told.is_ok:
        return {name: value for name, value in told.body.items() if name != "claim"}
    return told.body
