"""There is a strategy for every type of the domain, and each shrinks to something small."""

import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import aiba_domain
from aiba_domain.battle.model import Battle
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Accepted
from aiba_domain.economy.ledger import Posting
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.players.model import Player
from aiba_domain.ports import Entry, Verdict
from aiba_domain.testing import strategies


def dataclasses() -> Iterator[type]:
    """Yield every public dataclass of the domain but the harness's own."""
    for module in pkgutil.walk_packages(aiba_domain.__path__, "aiba_domain."):
        if module.name.startswith("aiba_domain.testing"):
            continue
        for name, kind in vars(import_module(module.name)).items():
            own = getattr(kind, "__module__", "") == module.name and not name.startswith("_")
            if own and isinstance(kind, type) and is_dataclass(kind):
                yield kind


KINDS = sorted(dataclasses(), key=lambda kind: (kind.__module__, kind.__name__))


def test_there_are_types() -> None:
    """The enumeration below is about most of the domain."""
    assert len(KINDS) > 80


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_type_has_a_strategy(kind: type) -> None:
    """What is drawn for a type is of that type and passes its own checks.

    A new type whose fields are bound to each other needs its place in `strategies.SHAPED`.
    """

    @settings(max_examples=3, database=None, suppress_health_check=list(HealthCheck))
    @given(strategies.of(kind))
    def draw(value: object) -> None:
        assert isinstance(value, kind)

    draw()


def test_another_type_is_refused_by_its_name() -> None:
    """A type that is nobody's value is a clear error, not a guess."""
    with pytest.raises(TypeError, match=r"no strategy for .*complex"):
        strategies.of(complex)


def minimal(kind: type, where: Any = None) -> Any:  # noqa: ANN401 - a value of `kind`
    """Return the smallest value of a type that shrinking finds."""
    return find(
        strategies.of(kind),
        where or (lambda _: True),
        # The phase that explains a failure draws larger values again, and `find` returns the last.
        settings=settings(
            database=None,
            derandomize=True,
            phases=(Phase.generate, Phase.shrink),
            max_examples=2000,
        ),
    )


def test_the_smallest_values_are_plain() -> None:
    """Without a reason for more, a value is empty, absent, zero or one."""
    player: Player = minimal(Player)
    assert (player.id, player.wallet, player.ban, player.badges) == ("1", "", None, ())
    assert player.profile.username == ""
    broker: Broker = minimal(Broker)
    assert (broker.intelligence, broker.cooldowns, broker.guild_id) == (0, {}, None)
    claim: Claim = minimal(Claim)
    assert claim.state is ClaimState.RESERVED
    assert (claim.terms.amount, claim.terms.seqno, claim.signature) == (1, 1, None)
    posting: Posting = minimal(Posting)
    assert (posting.amount, posting.reason, posting.source_id) == (1, "", "")
    assert minimal(Entry).posting == posting
    accepted = minimal(Accepted)
    assert (accepted.reply, accepted.postings, accepted.changed) == (None, (), ())
    assert minimal(Verdict).allowed


def test_a_failing_example_is_as_small_as_its_reason() -> None:
    """Shrinking leaves what the failure needs and nothing beside it."""
    claim: Claim = minimal(Claim, lambda one: one.terms.amount >= 7)
    assert (claim.terms.amount, claim.terms.seqno, claim.state) == (7, 1, ClaimState.RESERVED)
    settled: Claim = minimal(Claim, lambda one: one.settled_at is not None)
    assert settled.seen is not None
    assert settled.seen.seqno == 0
    assert (settled.terms.amount, settled.signature) == (1, "")
    payment: IncomingPayment = minimal(IncomingPayment, lambda one: one.is_bounced)
    assert (payment.comment, payment.source) == ("", strategies.wallet_of("1"))
    battle: Battle = minimal(Battle)
    assert battle.receipt.inputs.guild is None
    assert (battle.stars, battle.diamonds) == (0, 0)


@settings(max_examples=20)
@given(st.data())
def test_all_events_are_drawn(data: st.DataObject) -> None:
    """`events` is of the union of all events."""
    assert type(data.draw(strategies.events())) in KINDS
