"""A strategy for any type of the domain, looked up by the type itself.

Types with rules of their own have a strategy of their own in `SHAPED`; the others are built from
what their fields are and are called: an `int` named `created_at` is an instant, one named `price`
an amount.
"""

import types
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.forecast import Scenario
from aiba_domain.application.handler import Handler
from aiba_domain.battle.energy import LAST_INSTANT, Energy
from aiba_domain.battle.engine import Fighter, ModeRules
from aiba_domain.battle.modes import GameMode, ModeTerms
from aiba_domain.battle.receipt import Receipt
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, GuildMatch
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.decision import Record
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import TokenSplit
from aiba_domain.economy.rewards import Bonuses, RewardRates
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.events import Event
from aiba_domain.ledger_audit.rows import LedgerPage
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Findings
from aiba_domain.money import BPS
from aiba_domain.payments.model import IncomingPayment, UsedPayment
from aiba_domain.ports import Remembered, Verdict
from aiba_domain.signing.model import HASH_BYTES, SigningRequest
from aiba_domain.signing.policy import POLICY_RANGES, Allowed, Denied, Limits, SigningPolicy
from aiba_domain.signing.trail import HandOver
from aiba_domain.testing.strategies import records
from aiba_domain.testing.strategies.basics import (
    SMALL,
    amounts,
    fractions,
    ids,
    instants,
    maybe,
    player_ids,
    texts,
    tx_hashes,
    wallet_of,
)
from aiba_domain.testing.strategies.commands import policy_changes

_DENIABLE: Final = ("vaults", "jetton_masters", "recipients")
_MAX_NANO: Final = 2**120 - 1
"""The largest value of a message in nanoTON."""


def claim_terms(
    *, vault: str = wallet_of("vault"), jetton_master: str = wallet_of("jetton master")
) -> st.SearchStrategy[ClaimTerms]:
    """Terms of one vault's claims: mostly few, small ones, some at the ends of their ranges."""
    return st.builds(
        ClaimTerms,
        vault=st.just(vault),
        jetton_master=st.just(jetton_master),
        recipient=addresses(),
        amount=amounts(1),
        seqno=st.integers(1, 9) | st.integers(1, MAX_SEQNO),
        valid_until_s=st.integers(1, MAX_VALID_UNTIL),
    )


def addresses() -> st.SearchStrategy[str]:
    """Raw addresses of players' wallets."""
    return player_ids().map(wallet_of)


def events() -> st.SearchStrategy[Event]:
    """Everything that may be told of what happened."""
    return st.one_of(*map(of, get_args(Event)))


@st.composite
def _verdicts(draw: st.DrawFn) -> Verdict:
    """What a rate limiter may say: consistent in itself."""
    limit, hits = draw(st.integers(1, SMALL)), draw(st.integers(1, 2 * SMALL))
    allowed = hits <= limit
    return Verdict(
        allowed=allowed,
        limit=limit,
        remaining=max(0, limit - hits),
        reset_at_ms=draw(instants()),
        retry_after_s=0 if allowed else draw(st.integers(1, SMALL)),
    )


def _denials() -> st.SearchStrategy[Denied]:
    """Rules that deny: each names something."""
    listed = st.frozensets(addresses(), max_size=2)
    named = {
        part: st.builds(
            Denied,
            name=texts(),
            **{each: listed if each == part else maybe(listed) for each in _DENIABLE},
        )
        for part in _DENIABLE
    }
    return st.one_of(*named.values())


def _signing_policies() -> st.SearchStrategy[SigningPolicy]:
    """Policies of a signer, each vault allowed once."""
    numbers = {name: st.integers(*ends) for name, ends in POLICY_RANGES.items()}
    return st.builds(
        SigningPolicy,
        allow=st.lists(of(Allowed), max_size=3, unique_by=lambda one: (one.network, one.vault)).map(
            tuple
        ),
        deny=st.lists(_denials(), max_size=2).map(tuple),
        **numbers,
    )


def _limits() -> st.SearchStrategy[Limits]:
    return st.builds(Limits, **{part.name: amounts() for part in fields(Limits)})


def _mode_terms() -> st.SearchStrategy[ModeTerms]:
    return records.modes().map(GameMode.terms)


def _unsigned(message: bytes) -> bytes:
    """Stand for a signature: the strategies have no key."""
    return message[:0].ljust(64, b"\0")


SHAPED: Final[Mapping[type, st.SearchStrategy[Any]]] = {
    **records.RECORDS,
    BattleInputs: records.battles().map(lambda battle: battle.receipt.inputs),
    BattleOutcome: records.battles().map(lambda battle: battle.receipt.outcome),
    Bonuses: records.bonuses(),
    ChangePolicy: st.builds(ChangePolicy, changes=policy_changes()),
    ClaimTerms: claim_terms(),
    EmissionWindow: records.windows().map(lambda windows: windows.usual),
    EmissionWindows: records.windows(),
    Denied: _denials(),
    Energy: st.builds(
        Energy,
        value=st.integers(0, SMALL),
        updated_at=st.integers(-LAST_INSTANT, LAST_INSTANT),
    ),
    Fields: st.builds(
        Fields,
        collection=texts(),
        document=st.dictionaries(texts(), maybe(amounts() | texts()), max_size=3),
        found=st.builds(Findings),
    ),
    Fighter: records.fighters(),
    GuildMatch: records.matches(),
    Handler: st.sampled_from(tuple(HANDLERS.values())),
    HandOver: st.builds(
        HandOver,
        before=st.binary(min_size=32, max_size=32),
        key=st.binary(min_size=32, max_size=32),
        sign=st.just(_unsigned),
        sign_before=maybe(st.just(_unsigned)),
    ),
    IncomingPayment: records.incoming_payments(),
    Limits: _limits(),
    ModeRules: records.rules(),
    ModeTerms: _mode_terms(),
    Posting: records.postings(),
    Receipt: records.battles().map(lambda battle: battle.receipt),
    Remembered: records.answers(),
    RewardRates: records.rates(),
    SigningRequest: st.builds(
        SigningRequest,
        terms=claim_terms(),
        payload_hash=st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES),
    ),
    LedgerPage: st.builds(LedgerPage, rows=st.just(()), place=texts(), is_end=st.booleans()),
    Scenario: st.builds(
        Scenario,
        days=st.integers(1, 3),
        players=st.integers(1, 9),
        average=st.integers(1, 9),
        seed=st.integers(0, 2**32 - 1),
    ),
    SigningPolicy: st.deferred(_signing_policies),
    TokenSplit: st.builds(
        TokenSplit, **{part.name: st.integers(0, BPS) for part in fields(TokenSplit)}
    ),
    UsedPayment: records.used_payments(),
    Verdict: _verdicts(),
}
"""The strategies of types that not every combination of fields is a value of."""

_CONTAINERS: Final = frozenset({Counter, Mapping, Sequence, dict, frozenset, list, tuple})
_PLAYERS: Final = frozenset({"player_id", "owner_id", "seller_id", "telegram_id"})
_ADDRESSES: Final = frozenset(
    {"address", "destination", "jetton_master", "jetton_wallet", "recipient", "source", "vault"}
    | {"wallet", "created_brokers_wallet"}
)
_INSTANTS: Final = frozenset({"at", "now", "since", "until"})
_MONEY: Final = ("aiba", "neur", "amount", "balance", "cost", "price", "stars", "diamonds")


@cache
def of(kind: type) -> st.SearchStrategy[Any]:
    """Return the strategy for a dataclass, an enum or a record of the domain.

    Raises TypeError naming the type and the field for one that can't be built.
    """
    if kind in SHAPED:
        return SHAPED[kind]
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    if not is_dataclass(kind):
        raise TypeError(f"no strategy for {kind!r}: it is no type of the domain")
    hints = get_type_hints(kind)
    parts = {
        part.name: _of_field(kind, part.name, hints[part.name])
        for part in fields(kind)
        if part.init
    }
    return st.builds(kind, **parts)


def _of_field(kind: type, name: str, hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type
    try:
        return _of_hint(name, hint)
    except TypeError as error:
        raise TypeError(f"{kind.__module__}.{kind.__name__}.{name}: {error}") from error


def _of_hint(name: str, hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - one a form
    """Return the strategy of what a field of this name and type may hold."""
    if hint is Record:
        return st.one_of(*records.RECORDS.values())
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        # None comes first: what may be absent shrinks to that.
        ordered = sorted(arguments, key=lambda one: one is not type(None))
        return st.one_of(*(_of_hint(name, each) for each in ordered))
    if origin in _CONTAINERS:
        return _of_container(name, origin, arguments)
    if origin is not None:
        return of(origin)
    if isinstance(hint, TypeVar) or hint in (object, Any):
        return maybe(amounts() | texts())
    return _of_plain(name, hint)


def _of_container(name: str, origin: Any, arguments: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401
    """Return the strategy of what holds others, of up to three of them."""
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*(_of_hint(name, each) for each in arguments))
    if origin is Counter:
        counts = st.integers(1, SMALL)
        return st.dictionaries(_of_hint("", arguments[0]), counts, max_size=3).map(Counter)
    if origin in (Mapping, dict):
        return st.dictionaries(_of_hint("", arguments[0]), _of_hint(name, arguments[1]), max_size=3)
    if origin is frozenset:
        return st.frozensets(_of_hint(name, arguments[0]), max_size=3)
    held = st.lists(_of_hint(name, arguments[0]), max_size=3)
    return held if origin is list else held.map(tuple)


def _of_plain(name: str, hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type
    if hint is int:
        return _integers(name)
    if hint is str:
        return _strings(name)
    return _PLAIN[hint] if hint in _PLAIN else of(hint)


_PLAIN: Final[Mapping[type, st.SearchStrategy[Any]]] = {
    type(None): st.none(),
    bool: st.booleans(),
    bytes: st.binary(max_size=32),
    float: st.floats(0, 10, width=16),
    Fraction: fractions(),
}


def _integers(name: str) -> st.SearchStrategy[int]:
    if name in _INSTANTS or name.endswith(("_at", "_at_ms")):
        return instants()
    if name.endswith("_nano"):
        return amounts() | st.just(_MAX_NANO)
    if name.endswith("_s"):
        return st.integers(0, MAX_VALID_UNTIL)
    if name == "seqno" or name.endswith("_seqno"):
        return st.integers(0, 9) | st.integers(0, MAX_SEQNO)
    return amounts() if any(word in name for word in _MONEY) else st.integers(0, SMALL)


def _strings(name: str) -> st.SearchStrategy[str]:
    if name in _PLAYERS:
        return player_ids()
    if name in _ADDRESSES:
        return addresses()
    if name == "id" or name.endswith("_id"):
        return ids()
    if name == "hash" or name.endswith("_hash"):
        return tx_hashes()
    return texts()
