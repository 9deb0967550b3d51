"""What every store owes, as tests."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aiba_domain.battle.model import Battle
from aiba_domain.battle.opponents import GuildStrength, choose_opponent
from aiba_domain.brokers.commands import BrokerReply
from aiba_domain.brokers.listing import Listing, ListingState
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.claims.model import MAX_SEQNO, ClaimTerms
from aiba_domain.decision import Accepted, Record, Refused
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvariantViolation
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.instants import DAY, day_key
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.payments.model import Purpose, UsedPayment
from aiba_domain.players.model import Player, Session
from aiba_domain.ports import Entry, Reader, Remembered, Scope, Store, Unavailable, UnitOfWork
from aiba_domain.testing import strategies

T = TypeVar("T")

_AT: Final = 1_767_268_800_000
_BROAD = settings(
    max_examples=max(1, settings().max_examples * 2 // 5),
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # one store serves all examples: each has its own ids
        HealthCheck.differing_executors,  # the subclasses differ in nothing but the store
        HealthCheck.too_slow,
    ],
)


class Boom(Exception):  # noqa: N818 - a made-up failure
    """Raised by a unit of work that fails half-way."""


def movement(
    amount: int,
    debit: str = "chain",
    credit: str = "player:1",
    currency: Currency = Currency.NEUR,
) -> Posting:
    """Return a posting with an ordinary reason."""
    return Posting(
        currency=currency,
        amount=amount,
        debit=debit,
        credit=credit,
        reason="test",
        arena="prediction",
        league="rookie",
        source_type="test",
        source_id="1",
    )


def refusal(key: str, *, principal: str = "player:1", fingerprint: str = "f") -> Remembered:
    """Return a remembered refusal."""
    return Remembered(
        scope=Scope(principal=principal, command="broker.train", key=key),
        fingerprint=fingerprint,
        outcome=Refused(code="no energy", details={"need": 10, "have": MAX_AMOUNT}),
        at=_AT,
    )


def player(player_id: str) -> Player:
    """Return a new player."""
    return Player(id=player_id, created_at=_AT, updated_at=_AT, last_seen_at=_AT)


def broker(broker_id: str, owner_id: str = "1", created_at: int = _AT) -> Broker:
    """Return a fresh broker."""
    return Broker(
        id=broker_id,
        owner_id=owner_id,
        created_at=created_at,
        updated_at=created_at,
        energy_updated_at=created_at,
    )


def guild(number: int, pooled: int, *, members: Sequence[str] = (), active: bool = True) -> Guild:
    """Return a guild whose id rises with `number`."""
    return Guild(
        id=f"{number:024x}",
        name="",
        owner_id="1",
        member_ids=tuple(members),
        created_at=_AT,
        active=active,
        pooled=pooled,
    )


def claim(claim_id: str, state: ClaimState = ClaimState.SIGNED, **fields: Any) -> Claim:
    """Return a claim of player 1; `fields` are those of the claim or of its terms."""
    terms: dict[str, Any] = {
        "vault": "v",
        "jetton_master": "m",
        "recipient": "r",
        "amount": 5,
        "seqno": 1,
        "valid_until_s": 1_700_000_600,
    }
    terms |= {name: fields.pop(name) for name in tuple(fields) if name in terms}
    known: dict[str, Any] = {"player_id": "1", "created_at": _AT} | fields
    made = Claim(
        id=claim_id,
        request_id="k",
        source_type="aiba_claim",
        state=ClaimState.RESERVED,
        terms=ClaimTerms(**terms),
        **known,
    )
    return turned(made, state)


def turned(one: Claim, state: ClaimState) -> Claim:
    """Return a claim as it is in another state."""
    if state is ClaimState.RESERVED:
        return replace(one, state=state, signature=None, payload=None, settled_at=None, seen=None)
    signed = one.signed("signature", "payload")
    if state is ClaimState.SIGNED:
        return signed
    return signed.settled(state, ChainView(seqno=one.terms.seqno, time_s=1_700_000_700), _AT)


class ClaimBook:
    """What the claims of one example must look like: the port's words over a plain dictionary."""

    def __init__(self) -> None:
        """Start without a claim."""
        self.claims: dict[str, Claim] = {}

    def admits(self, one: Claim) -> bool:
        """Tell whether a claim may stand beside the others."""
        others = [
            other
            for other in self.claims.values()
            if other.id != one.id
            and (other.terms.vault, other.terms.recipient) == (one.terms.vault, one.terms.recipient)
        ]
        if one.is_open and any(other.is_open for other in others):
            return False
        taken = {other.terms.seqno for other in others if other.state is not ClaimState.REFUNDED}
        return one.state is ClaimState.REFUNDED or one.terms.seqno not in taken

    def where(self, chosen: Callable[[Claim], bool]) -> list[Claim]:
        """Return the claims that are meant, oldest first."""
        found = [one for one in self.claims.values() if chosen(one)]
        return sorted(found, key=lambda one: (one.created_at, one.id))


def listing(listing_id: str, broker_id: str) -> Listing:
    """Return an active listing."""
    return Listing(id=listing_id, broker_id=broker_id, seller_id="1", price_aiba=10, created_at=_AT)


class Desk:
    """A store with synchronous helpers around it, on one event loop."""

    def __init__(self, runner: asyncio.Runner, store: Store) -> None:
        """Serve `store`, which was opened inside `runner`."""
        self.runner = runner
        self.store = store
        self._count = 0

    def fresh(self) -> str:
        """Return an id that was not given out before."""
        self._count += 1
        return f"{self._count:024x}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.runner.run(work)

    def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run one unit of work."""
        return self.run(self.store.transact(work))

    def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the committed state."""
        return self.run(self.store.read(work))

    def write(
        self,
        *postings: Posting,
        changed: Sequence[Record] = (),
        removed: Sequence[Record] = (),
        remember: Remembered | None = None,
    ) -> None:
        """Write in a unit of its own."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(
                at=_AT, postings=postings, changed=changed, removed=removed, remember=remember
            )

        self.transact(work)

    def balance(self, account: str, currency: Currency = Currency.NEUR) -> int:
        """Return a stored balance."""
        return self.read(lambda read: read.balances(account)).get(currency, 0)

    def remembered(self, scope: Scope) -> Remembered | None:
        """Return the answer that is remembered under a scope."""

        async def look(unit: UnitOfWork) -> Remembered | None:
            return await unit.remembered(scope)

        return self.transact(look)

    def player(self, player_id: str) -> Player | None:
        """Return a stored player."""

        async def look(read: Reader) -> Player | None:
            return await read.player(player_id)

        return self.read(look)

    def battles(
        self, player_id: str, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        """Return a page of a player's battles."""

        async def look(read: Reader) -> Sequence[Battle]:
            return await read.battles_of(player_id, before=before, limit=limit)

        return self.read(look)

    def claims(
        self, player_id: str, before: tuple[int, str] | None = None, limit: int = 99
    ) -> list[Claim]:
        """Return a page of a player's claims."""

        async def look(read: Reader) -> list[Claim]:
            return list(await read.claims_of(player_id, before=before, limit=limit))

        return self.read(look)

    def flying(self, after: tuple[int, str] | None = None, limit: int = 99) -> list[Claim]:
        """Return a page of the claims in flight."""

        async def look(read: Reader) -> list[Claim]:
            return list(await read.open_claims(after=after, limit=limit))

        return self.read(look)

    def entries(self) -> list[Entry]:
        """Return the whole ledger."""

        async def collect(read: Reader) -> list[Entry]:
            return list(read.entries())

        return self.read(collect)

    def state(self) -> tuple[object, ...]:
        """Return all that these tests write, to see whether anything changed."""

        async def look(read: Reader) -> tuple[object, ...]:
            return (
                dict(await read.accounts()),
                list(read.entries()),
                await read.player("1"),
                list(await read.brokers_of("1")),
                list(await read.epochs()),
                (await read.policy()).version,
            )

        return self.read(look)


class StoreContract(ABC):
    """Subclass as `Test...` and say how to open an empty store."""

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Open an empty store; `folder` is empty and of this test alone."""

    @pytest.fixture(name="desk")
    def _desk(self, tmp_path: Path) -> Iterator[Desk]:
        with asyncio.Runner() as runner:
            store = runner.run(self.open_store(tmp_path))
            yield Desk(runner, store)
            runner.run(store.close())

    # What a new store holds.

    def test_new_store_has_the_first_policy_and_nothing_else(self, desk: Desk) -> None:
        """A new store holds version 1 of the policy; everything else is absent or empty."""

        async def look(read: Reader) -> None:
            assert await read.policy() == EconomyPolicy()
            assert await read.player("1") is None
            assert await read.session("a") is None
            assert await read.broker("a") is None
            assert await read.battle("a") is None
            assert await read.mode("a") is None
            assert await read.guild_of("1") is None
            assert await read.epoch() is None
            assert not await read.brokers_of("1")
            assert not await read.battles_of("1", before=None, limit=10)
            assert not await read.modes()
            assert not await read.rivals_of(guild(1, 1))
            assert not await read.flags_of(Subject.PLAYER, "1")
            assert not await read.epochs()
            assert await read.payment_use("0" * 64) is None
            assert await read.listing("l") is None
            assert await read.listing_of("b") is None
            assert await read.wallet_owner("w") is None
            assert await read.claim("c") is None
            assert await read.open_claim("v", "r") is None
            assert await read.confirmed_seqno("v", "r") == 0
            assert not await read.open_claims(after=None, limit=10)
            assert not await read.claims_of("1", before=None, limit=10)
            assert await read.claimed("2026-01-01", None) == 0
            assert await read.claimed("2026-01-01", "1") == 0
            assert not await read.balances("player:1")
            assert not await read.accounts()
            assert not await read.emitted("2026-01-01")
            assert not list(read.entries())

        desk.read(look)

    # A unit of work: all or nothing.

    def test_unit_keeps_all_it_wrote(self, desk: Desk) -> None:
        """Postings, records and the answer are there together once the unit has returned."""
        kept = refusal("k")
        desk.write(movement(5), changed=(player("1"), broker("b")), remember=kept)

        async def look(unit: UnitOfWork) -> None:
            assert await unit.balances("player:1") == {Currency.NEUR: 5}
            assert await unit.player("1") == player("1")
            assert await unit.broker("b") == broker("b")
            assert await unit.remembered(kept.scope) == kept
            assert [entry.posting for entry in unit.entries()] == [movement(5)]

        desk.transact(look)

    def test_unit_returns_what_its_work_returns(self, desk: Desk) -> None:
        """The result of the work is the result of the unit."""
        result = object()

        async def work(_unit: UnitOfWork) -> object:
            return result

        assert desk.transact(work) is result

    @pytest.mark.parametrize("writes", [0, 1, 2])
    def test_unit_that_raises_keeps_nothing(self, desk: Desk, writes: int) -> None:
        """An exception comes out as it is and undoes every write before it."""
        desk.write(movement(5), changed=(player("1"), broker("b")))
        before = desk.state()

        async def work(unit: UnitOfWork) -> None:
            changed = (replace(player("1"), wallet="w"), broker("c"))
            for turn in range(writes):
                await unit.write(
                    at=_AT,
                    postings=(movement(3), movement(2, "player:1", "treasury")),
                    changed=changed,
                    removed=(broker("b"),) if turn == 0 else (),
                    remember=refusal(f"k{turn}"),
                )
            raise Boom

        with pytest.raises(Boom):
            desk.transact(work)
        assert desk.state() == before
        for turn in range(writes):
            assert self._remembered(desk, f"k{turn}") is None

    def test_unit_sees_its_own_writes(self, desk: Desk) -> None:
        """Within a unit a read follows the writes before it."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=_AT, postings=(movement(5),), changed=(player("1"),))
            assert await unit.balances("player:1") == {Currency.NEUR: 5}
            assert await unit.player("1") == player("1")

        desk.transact(work)

    def test_failed_units_disturb_no_others(self, desk: Desk) -> None:
        """Of many units at once exactly those that raise are undone."""

        def unit_of(number: int) -> Callable[[UnitOfWork], Awaitable[int]]:
            async def work(unit: UnitOfWork) -> int:
                await unit.write(at=_AT, postings=(movement(1, credit=f"player:{number}"),))
                if number % 3 == 0:
                    raise Boom
                return number

            return work

        results = self._together(desk, [unit_of(number) for number in range(30)])
        for number, result in enumerate(results):
            assert isinstance(result, Boom) if number % 3 == 0 else result == number
            assert desk.balance(f"player:{number}") == (0 if number % 3 == 0 else 1)
        assert len(desk.entries()) == 20

    # Money.

    @pytest.mark.parametrize(
        "account", ["player:1", f"guild:{1:024x}", "treasury", "reserve", "claims", "sink:d:r:a"]
    )
    def test_guarded_account_never_goes_below_zero(self, desk: Desk, account: str) -> None:
        """A unit that would leave a guarded account owing is undone as a whole."""
        desk.write(movement(5, credit=account))
        before = desk.state()
        with pytest.raises(InvariantViolation):
            desk.write(
                movement(4, "chain", "player:2"),
                movement(6, account, "chain"),
                changed=(player("1"),),
                remember=refusal("k"),
            )
        assert desk.state() == before
        assert self._remembered(desk, "k") is None
        desk.write(movement(5, account, "chain"))
        assert desk.balance(account) == 0

    def test_violation_undoes_the_unit_even_if_it_is_swallowed(self, desk: Desk) -> None:
        """A unit that goes on after a broken invariant is undone all the same."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=_AT, changed=(player("1"),))
            with contextlib.suppress(InvariantViolation):
                await unit.write(
                    at=_AT,
                    postings=(movement(1, credit="player:2"), movement(6, "player:1", "treasury")),
                )

        before = desk.state()
        with pytest.raises(InvariantViolation):
            desk.transact(work)
        assert desk.state() == before

    def test_order_of_postings_within_a_write_does_not_matter(self, desk: Desk) -> None:
        """Only the balances after the whole write are judged: money may pass through."""
        desk.write(movement(5, "player:1", "treasury"), movement(5, "chain", "player:1"))
        assert desk.balance("treasury") == 5

    @pytest.mark.parametrize("account", ["emission:2026-01-01:prediction", "chain"])
    def test_sources_of_money_may_owe(self, desk: Desk, account: str) -> None:
        """Emission and the chain go below zero by what they brought."""
        desk.write(movement(7, account))
        assert desk.balance(account) == -7

    def test_balances_reach_the_largest_amount_and_no_further(self, desk: Desk) -> None:
        """2^63-1 is held exactly; one more is a broken invariant, and nothing is kept."""
        desk.write(movement(MAX_AMOUNT))
        assert desk.balance("player:1") == MAX_AMOUNT
        assert desk.balance("chain") == -MAX_AMOUNT
        before = desk.state()
        with pytest.raises(InvariantViolation):
            desk.write(movement(1, "emission:2026-01-01:a"))
        assert desk.state() == before

    def test_every_currency_has_its_own_balance(self, desk: Desk) -> None:
        """Postings of one currency leave the others alone."""
        desk.write(*(movement(n, currency=each) for n, each in enumerate(Currency, 1)))
        assert desk.read(lambda read: read.balances("player:1")) == {
            each: n for n, each in enumerate(Currency, 1)
        }

    def test_accounts_lists_every_balance(self, desk: Desk) -> None:
        """The audit sees every account of every currency."""
        desk.write(movement(3), movement(2, "chain", "treasury", Currency.AIBA))
        assert desk.read(lambda read: read.accounts()) == {
            ("chain", Currency.NEUR): -3,
            ("player:1", Currency.NEUR): 3,
            ("chain", Currency.AIBA): -2,
            ("treasury", Currency.AIBA): 2,
        }

    def test_emitted_is_by_arena_of_one_day_and_currency(self, desk: Desk) -> None:
        """A day's emission counts neither other days, nor other currencies, nor similar names."""
        desk.write(
            movement(1, "emission:2026-01-01:prediction"),
            movement(2, "emission:2026-01-01:prediction"),
            movement(4, "emission:2026-01-01:guildWars"),
            movement(8, "emission:2026-01-02:prediction"),
            movement(16, "emission:2026-01-01:prediction", currency=Currency.AIBA),
            movement(32, "emission:2026-01-01x:prediction"),
        )
        used = desk.read(lambda read: read.emitted("2026-01-01"))
        assert used == {
            Currency.NEUR: EmissionUse(by_arena={"prediction": 3, "guildWars": 4}),
            Currency.AIBA: EmissionUse(by_arena={"prediction": 16}),
        }
        assert used[Currency.NEUR].total == 7

    def test_entries_are_numbered_in_commit_order(self, desk: Desk) -> None:
        """The ledger is numbered from 1 without gaps, and undone units leave none."""
        desk.write(movement(1), movement(2))
        with pytest.raises(InvariantViolation):
            desk.write(movement(50, "player:1", "treasury"))
        desk.write(movement(3))
        assert [(entry.number, entry.at, entry.posting) for entry in desk.entries()] == [
            (1, _AT, movement(1)),
            (2, _AT, movement(2)),
            (3, _AT, movement(3)),
        ]

    @_BROAD
    @given(posting=strategies.postings(amount=strategies.amounts(1)))
    def test_postings_come_back_as_written(self, desk: Desk, posting: Posting) -> None:
        """Every text and amount of a posting survives."""
        source = replace(posting, debit="chain", credit=f"sink:{desk.fresh()}:r:a")
        back = replace(source, debit=source.credit, credit="chain")
        desk.write(source)
        assert desk.entries()[-1].posting == source
        desk.write(back)

    # Memory of answers.

    def _remembered(self, desk: Desk, key: str) -> Remembered | None:
        return desk.remembered(refusal(key).scope)

    def test_answers_are_remembered_per_principal_command_and_key(self, desk: Desk) -> None:
        """A key of one principal and command says nothing about any other."""
        kept = refusal("k")
        desk.write(remember=kept)
        for other in ("k2", "K", ""):
            assert self._remembered(desk, other) is None
        for scope in (
            replace(kept.scope, principal="player:2"),
            replace(kept.scope, command="broker.repair"),
        ):
            assert desk.remembered(scope) is None
        assert self._remembered(desk, "k") == kept

    def test_accepted_answers_come_back_equal(self, desk: Desk) -> None:
        """The reply of an accepted command is remembered as a value of its own type."""
        reply = BrokerReply(broker=broker("b"), currency=Currency.NEUR, balance=MAX_AMOUNT)
        kept = replace(refusal("k"), outcome=Accepted(reply=reply))
        desk.write(remember=kept)
        assert self._remembered(desk, "k") == kept

    def test_first_answer_is_never_replaced(self, desk: Desk) -> None:
        """A second answer under one key is a broken invariant; the first one stays."""
        desk.write(remember=refusal("k"))
        with pytest.raises(InvariantViolation):
            desk.write(movement(1), remember=refusal("k", fingerprint="other"))
        assert self._remembered(desk, "k") == refusal("k")
        assert desk.balance("player:1") == 0

    @_BROAD
    @given(kept=strategies.answers())
    def test_odd_answers_come_back_equal(self, desk: Desk, kept: Remembered) -> None:
        """Keys, digests and details of any text survive."""
        kept = replace(kept, scope=replace(kept.scope, key=desk.fresh()))
        desk.write(remember=kept)
        assert desk.remembered(kept.scope) == kept

    # Records.

    @_BROAD
    @given(record=strategies.players())
    def test_players_come_back_equal(self, desk: Desk, record: Player) -> None:
        """Every field of a player survives."""
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.player(record.id)) == record

    @_BROAD
    @given(data=st.data(), kind=st.sampled_from((Session, Battle, Flag, EconomyPolicy)))
    def test_records_that_never_change_are_made_once(
        self, desk: Desk, data: st.DataObject, kind: type[Record]
    ) -> None:
        """A second one with the same key is a broken invariant."""
        record = data.draw(strategies.RECORDS[kind])
        if isinstance(record, EconomyPolicy):
            newest = desk.read(lambda read: read.policy()).version
            record = replace(record, version=newest + 1)
        else:
            record = replace(record, id=desk.fresh())
        desk.write(changed=(record,))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(record,), remember=refusal("k"))
        assert self._remembered(desk, "k") is None

    @_BROAD
    @given(record=strategies.sessions())
    def test_sessions_come_back_equal(self, desk: Desk, record: Session) -> None:
        """Every field of a session survives."""
        record = replace(record, id=desk.fresh())
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.session(record.id)) == record

    @_BROAD
    @given(use=strategies.used_payments(), other=strategies.used_payments())
    def test_d19_a_payment_is_used_once_whatever_for(
        self, desk: Desk, use: UsedPayment, other: UsedPayment
    ) -> None:
        """A second use of one hash is a broken invariant and undone whole; the first one stays."""
        use = replace(use, hash=desk.fresh())
        desk.write(changed=(use,))
        for second in (use, replace(other, hash=use.hash)):
            with pytest.raises(InvariantViolation):
                desk.write(movement(1), changed=(second,), remember=refusal("k"))
            assert self._remembered(desk, "k") is None
        assert desk.read(lambda read: read.payment_use(use.hash)) == use

    def test_d19_of_many_uses_of_a_payment_at_once_one_is_kept(self, desk: Desk) -> None:
        """Units that all saw the payment unused still use it once."""
        tx_hash = desk.fresh()

        def use(purpose: Purpose) -> UsedPayment:
            return UsedPayment(hash=tx_hash, purpose=purpose, player_id="1", at=_AT)

        async def spend(purpose: Purpose) -> bool:
            async def work(unit: UnitOfWork) -> bool:
                seen = await unit.payment_use(tx_hash)
                if seen is None:
                    await unit.write(at=_AT, changed=(use(purpose),))
                return seen is None

            return await desk.store.transact(work)

        async def all_at_once() -> list[bool]:
            return await asyncio.gather(*(spend(purpose) for purpose in [*Purpose] * 4))

        assert desk.run(all_at_once()).count(True) == 1

    @_BROAD
    @given(record=strategies.listings())
    def test_listings_come_back_equal(self, desk: Desk, record: Listing) -> None:
        """Every field of a listing survives, and an active one is found by its broker."""
        record = replace(record, id=desk.fresh(), broker_id=desk.fresh())
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.listing(record.id)) == record
        found = desk.read(lambda read: read.listing_of(record.broker_id))
        assert found == (record if record.is_active else None)

    def test_a_broker_has_one_active_listing(self, desk: Desk) -> None:
        """A second one is a broken invariant until the first has ended."""
        broker_id, first, second = desk.fresh(), desk.fresh(), desk.fresh()
        one, other = listing(first, broker_id), listing(second, broker_id)
        desk.write(changed=(one,))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(other,))
        assert desk.read(lambda read: read.listing(second)) is None
        desk.write(changed=(one.cancelled(), other))
        assert desk.read(lambda read: read.listing_of(broker_id)) == other
        desk.write(changed=(replace(other, state=ListingState.SOLD),))
        assert desk.read(lambda read: read.listing_of(broker_id)) is None
        assert desk.read(lambda read: read.listing(first)) == one.cancelled()

    @_BROAD
    @given(record=strategies.brokers())
    def test_brokers_come_back_equal(self, desk: Desk, record: Broker) -> None:
        """Every field of a broker survives."""
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.broker(record.id)) == record

    @_BROAD
    @given(record=strategies.battles())
    def test_battles_come_back_equal(self, desk: Desk, record: Battle) -> None:
        """Every field of a battle survives, exact multipliers included."""
        record = replace(record, id=desk.fresh())
        desk.write(changed=(record,))
        back = desk.read(lambda read: read.battle(record.id))
        assert back == record
        assert record in desk.battles(record.player_id, None, 99)

    @_BROAD
    @given(record=strategies.modes())
    def test_modes_come_back_equal(self, desk: Desk, record: Any) -> None:  # noqa: ANN401
        """Every field of a mode survives."""
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.mode(record.key)) == record
        assert record in desk.read(lambda read: read.modes())

    @_BROAD
    @given(record=strategies.guilds())
    def test_guilds_come_back_equal(self, desk: Desk, record: Guild) -> None:
        """Every field of a guild survives."""
        member = f"member of {desk.fresh()}"
        record = replace(record, active=True, member_ids=(*record.member_ids, member))
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.guild_of(member)) == record

    @_BROAD
    @given(record=strategies.flags())
    def test_flags_come_back_equal(self, desk: Desk, record: Flag) -> None:
        """Every field of a flag survives, the evidence included."""
        record = replace(record, id=desk.fresh(), subject_id=desk.fresh())
        desk.write(changed=(record,))
        assert list(desk.read(lambda read: read.flags_of(record.subject, record.subject_id))) == [
            record
        ]

    @_BROAD
    @given(record=strategies.epochs())
    def test_epochs_come_back_equal(self, desk: Desk, record: SeedEpoch) -> None:
        """Every field of a seed epoch survives."""
        desk.write(changed=(record,))
        assert record in desk.read(lambda read: read.epochs())

    @_BROAD
    @given(record=strategies.policies())
    def test_policies_come_back_equal(self, desk: Desk, record: EconomyPolicy) -> None:
        """Every knob of a policy survives, at either end of its range too."""
        newest = desk.read(lambda read: read.policy()).version
        record = replace(record, version=newest + 1)
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.policy()) == record

    @pytest.mark.parametrize("text", ["", "\x00", "a\x00b", "\U0001f600", "é", "e\u0301", "'\"\\"])
    def test_odd_texts_are_kept_apart(self, desk: Desk, text: str) -> None:
        """NUL, quotes, composed and decomposed letters are all just text, in keys too."""
        others = {"a", "é", "e\u0301"} - {text}
        desk.write(changed=tuple(replace(player(each), wallet=each) for each in others))
        desk.write(changed=(replace(player(text), wallet=text),))
        for each in (text, *others):
            found = desk.player(each)
            assert found is not None
            assert found.wallet == each

    def test_record_is_replaced_by_the_next_with_its_key(self, desk: Desk) -> None:
        """A kept record takes the place of the one before, in every view."""
        desk.write(changed=(broker("b"), guild(1, 1, members=("1", "2"))))
        moved = replace(broker("b"), owner_id="2", speed=7)
        desk.write(changed=(moved, guild(1, 2, members=("2",))))
        assert desk.read(lambda read: read.broker("b")) == moved
        assert not desk.read(lambda read: read.brokers_of("1"))
        assert list(desk.read(lambda read: read.brokers_of("2"))) == [moved]
        assert desk.read(lambda read: read.guild_of("1")) is None
        assert desk.read(lambda read: read.guild_of("2")) == guild(1, 2, members=("2",))

    def test_removed_broker_is_gone(self, desk: Desk) -> None:
        """A removed broker is absent from every view."""
        desk.write(changed=(broker("a"), broker("b")))
        desk.write(removed=(broker("b"),))
        assert desk.read(lambda read: read.broker("b")) is None
        assert list(desk.read(lambda read: read.brokers_of("1"))) == [broker("a")]

    # Order and paging.

    def test_brokers_come_newest_first(self, desk: Desk) -> None:
        """Brokers are ordered by age and then by id."""
        made = [broker("b", created_at=5), broker("a", created_at=5), broker("c", created_at=1)]
        desk.write(changed=(made[1], made[2], made[0], broker("z", "2", created_at=9)))
        assert list(desk.read(lambda read: read.brokers_of("1"))) == made

    @_BROAD
    @given(
        ages=st.lists(st.integers(0, 4), max_size=8),
        sample=strategies.battles(),
        size=st.integers(1, 3),
    )
    def test_pages_of_battles_are_the_whole(
        self, desk: Desk, ages: list[int], sample: Battle, size: int
    ) -> None:
        """Pages of any size, put together, are all battles newest first, each once."""
        mine = desk.fresh()
        made = [
            replace(sample, id=desk.fresh(), player_id=mine, created_at=_AT + age) for age in ages
        ]
        desk.write(changed=(*made, replace(sample, id=desk.fresh(), player_id=desk.fresh())))
        pages: list[Battle] = []
        before: tuple[int, str] | None = None
        while True:
            page = desk.battles(mine, before, size)
            assert len(page) <= size
            if not page:
                break
            pages += page
            assert len(pages) <= len(made), "a page goes back"
            before = (page[-1].created_at, page[-1].id)
        assert pages == sorted(made, key=lambda each: (each.created_at, each.id), reverse=True)

    @_BROAD
    @given(made=st.lists(strategies.modes(), max_size=6, unique_by=lambda mode: mode.key))
    def test_modes_are_ordered_by_arena_league_and_key(self, desk: Desk, made: list[Any]) -> None:
        """The order of modes is that of their places and keys."""
        desk.write(changed=made)
        places = [
            (mode.arena, mode.league, mode.key) for mode in desk.read(lambda read: read.modes())
        ]
        assert places == sorted(places)
        assert {mode.key for mode in made} <= {key for _, _, key in places}

    def test_flags_come_oldest_first_and_of_their_subject(self, desk: Desk) -> None:
        """A broker's flags are not a player's, whatever the id."""
        made = [
            Flag(id=flag_id, subject=subject, subject_id="1", rule="r", at=at)
            for flag_id, subject, at in (
                ("d", Subject.PLAYER, 3),
                ("b", Subject.PLAYER, 2),
                ("a", Subject.PLAYER, 2),
                ("c", Subject.BROKER, 1),
            )
        ]
        desk.write(changed=made)
        found = desk.read(lambda read: read.flags_of(Subject.PLAYER, "1"))
        assert [flag.id for flag in found] == ["a", "b", "d"]

    def test_epochs_are_ordered_and_the_last_is_open(self, desk: Desk) -> None:
        """Epochs come by number, ten after nine."""
        made = [SeedEpoch(number=number, commitment="c", opened_at=1) for number in (9, 10, 2)]
        desk.write(changed=made)
        assert [each.number for each in desk.read(lambda read: read.epochs())] == [2, 9, 10]
        assert desk.read(lambda read: read.epoch()) == made[1]

    def test_policy_is_the_newest(self, desk: Desk) -> None:
        """Version 10 is newer than version 9."""
        for version in range(2, 12):
            desk.write(changed=(EconomyPolicy(version=version),))
        assert desk.read(lambda read: read.policy()).version == 11

    # Guilds.

    def test_guild_of_a_player_is_the_active_one_with_the_smallest_id(self, desk: Desk) -> None:
        """Inactive guilds don't count, and of several the choice is stable."""
        desk.write(
            changed=(
                guild(3, 1, members=("1",)),
                guild(2, 1, members=("1", "2")),
                guild(1, 1, members=("1",), active=False),
            )
        )
        assert desk.read(lambda read: read.guild_of("1")) == guild(2, 1, members=("1", "2"))
        assert desk.read(lambda read: read.guild_of("11")) is None

    @_BROAD
    @given(
        pools=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=8),
        mine=st.integers(0, 4),
    )
    @example(pools=[(2, True), (2, True)], mine=3)
    @example(pools=[(4, True), (4, True)], mine=3)
    @example(pools=[(4, True), (2, True)], mine=3)
    @example(pools=[(3, True), (3, True)], mine=3)
    def test_rivals_hold_the_one_that_is_met(
        self, desk: Desk, pools: list[tuple[int, bool]], mine: int
    ) -> None:
        """The rule of the opponent gives on a store's rivals what it gives on all guilds."""
        # The guilds of the examples before are taken out of play.
        made = [guild(number, pooled, active=on) for number, (pooled, on) in enumerate(pools, 1)]
        made += [guild(number, 0, active=False) for number in range(len(made) + 1, 10)]
        own = guild(20, mine)
        desk.write(changed=(*made, own))
        strength = GuildStrength(guild_id=own.id, pooled=own.pooled)
        everyone = [
            GuildStrength(guild_id=each.id, pooled=each.pooled) for each in made if each.active
        ]
        rivals = desk.read(lambda read: read.rivals_of(own))
        assert own.id not in {rival.guild_id for rival in rivals}
        assert choose_opponent(strength, rivals) == choose_opponent(strength, everyone)

    # Wallets.

    @_BROAD
    @given(moves=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=10))
    def test_a_wallet_has_one_player(self, desk: Desk, moves: list[tuple[int, int]]) -> None:
        """Whoever binds a wallet that another has is undone whole; wallet 0 is none at all."""
        names = [desk.fresh() for _ in range(3)]
        wallets = ["", *(desk.fresh() for _ in range(3))]
        bound: dict[str, str] = {}
        for who, which in moves:
            name, wallet, key = names[who], wallets[which], desk.fresh()
            taken = wallet and bound.get(wallet, name) != name
            with pytest.raises(InvariantViolation) if taken else contextlib.nullcontext():
                desk.write(
                    movement(1, credit=f"player:{name}"),
                    changed=(replace(player(name), wallet=wallet),),
                    remember=refusal(key),
                )
            assert (self._remembered(desk, key) is None) == bool(taken)
            if not taken:
                bound = {has: owner for has, owner in bound.items() if owner != name}
                bound |= {wallet: name} if wallet else {}
            for each in wallets[1:]:
                assert self._owner(desk, each) == bound.get(each)
        for name in names:
            found = desk.player(name)
            assert found is None or bound.get(found.wallet, name) == name

    def _owner(self, desk: Desk, wallet: str) -> str | None:
        async def look(read: Reader) -> str | None:
            return await read.wallet_owner(wallet)

        return desk.read(look)

    # Claims.

    @_BROAD
    @given(record=strategies.claims())
    def test_claims_come_back_equal(self, desk: Desk, record: Claim) -> None:
        """Every field of a claim survives, the largest seqno and amount too."""
        terms = replace(record.terms, vault=desk.fresh())
        record = replace(record, id=desk.fresh(), player_id=desk.fresh(), terms=terms)
        desk.write(changed=(record,))
        assert desk.read(lambda read: read.claim(record.id)) == record
        assert desk.claims(record.player_id) == [record]

    def test_a_second_claim_in_flight_to_one_recipient_is_undone(self, desk: Desk) -> None:
        """Whoever it is for and whatever its seqno; once the first has ended the next may fly."""
        desk.write(changed=(claim("a"),))
        for state in (ClaimState.RESERVED, ClaimState.SIGNED):
            with pytest.raises(InvariantViolation):
                desk.write(
                    movement(5),
                    changed=(claim("b", state, player_id="2", seqno=2),),
                    remember=refusal("k"),
                )
        assert desk.read(lambda read: read.claim("b")) is None
        assert desk.entries() == []
        assert self._remembered(desk, "k") is None
        assert desk.read(lambda read: read.open_claim("v", "r")) == claim("a")
        desk.write(changed=(claim("c", vault="v2"), claim("d", recipient="r2")))
        desk.write(changed=(claim("a", ClaimState.CONFIRMED), claim("b", seqno=2)))
        assert desk.read(lambda read: read.open_claim("v", "r")) == claim("b", seqno=2)

    def test_a_seqno_stands_for_one_claim_until_it_is_refunded(self, desk: Desk) -> None:
        """What was paid under a seqno is never claimed again; what was refunded may be."""
        desk.write(changed=(claim("a", ClaimState.REFUNDED),))
        desk.write(changed=(claim("b", ClaimState.CONFIRMED),))
        with pytest.raises(InvariantViolation):
            desk.write(changed=(claim("c"),))
        assert desk.read(lambda read: read.claim("c")) is None
        assert desk.read(lambda read: read.confirmed_seqno("v", "r")) == 1

    @pytest.mark.parametrize("seqno", [9, 10, 2**63 - 1, 2**63, MAX_SEQNO])
    def test_seqnos_are_numbers_however_large(self, desk: Desk, seqno: int) -> None:
        """Of two confirmed seqnos the larger one counts, and what is open doesn't."""
        made = [
            claim("a", ClaimState.CONFIRMED, seqno=seqno),
            claim("b", ClaimState.CONFIRMED, seqno=seqno - 1),
            claim("c", ClaimState.CONFIRMED, seqno=seqno - 2, recipient="r2"),
            claim("d", seqno=1),
        ]
        desk.write(changed=made)
        assert desk.read(lambda read: read.confirmed_seqno("v", "r")) == seqno
        assert desk.read(lambda read: read.confirmed_seqno("v", "r2")) == seqno - 2
        assert desk.read(lambda read: read.confirmed_seqno("v2", "r")) == 0

    def test_what_was_refunded_counts_for_no_limit(self, desk: Desk) -> None:
        """A day counts what is reserved, signed or confirmed, up to the largest amounts."""
        made = [
            claim(state.value, state, recipient=state.value, amount=MAX_AMOUNT, player_id=who)
            for state, who in zip(ClaimState, ("1", "2", "1", "2"), strict=True)
        ]
        desk.write(changed=(*made, claim("old", ClaimState.CONFIRMED, created_at=_AT - DAY)))
        day = day_key(_AT)
        assert desk.read(lambda read: read.claimed(day, None)) == 3 * MAX_AMOUNT
        assert desk.read(lambda read: read.claimed(day, "1")) == 2 * MAX_AMOUNT
        assert desk.read(lambda read: read.claimed(day, "2")) == MAX_AMOUNT
        assert desk.read(lambda read: read.claimed(day, "3")) == 0
        assert desk.read(lambda read: read.claimed(day_key(_AT - DAY), "1")) == 5
        ended = turned(made[0], ClaimState.REFUNDED)
        desk.write(changed=(ended,))
        assert desk.read(lambda read: read.claimed(day, "1")) == MAX_AMOUNT

    @_BROAD
    @given(
        moves=st.lists(
            st.tuples(
                st.integers(0, 5),  # which claim
                st.sampled_from(ClaimState),
                st.integers(0, 1),  # whose
                st.integers(0, 1),  # to whom
                st.integers(1, 2),  # under which seqno
                st.integers(0, 3),  # of which half-day
            ),
            max_size=12,
        ),
        size=st.integers(1, 3),
    )
    def test_claims_are_found_as_the_port_says(
        self, desk: Desk, moves: list[tuple[int, ClaimState, int, int, int, int]], size: int
    ) -> None:
        """Whatever was written and whatever was refused, every question has the plain answer."""
        vault, start = desk.fresh(), int(desk.fresh(), 16) * 2 * DAY
        ids = [desk.fresh() for _ in range(6)]
        players = [desk.fresh() for _ in range(2)]
        book = ClaimBook()
        for which, state, whose, whom, seqno, half in moves:
            made = book.claims.get(ids[which]) or claim(
                ids[which],
                vault=vault,
                player_id=players[whose],
                recipient=f"r{whom}",
                seqno=seqno,
                amount=which + 1,
                created_at=start + half * DAY // 2,
            )
            made = turned(made, state)
            fits = book.admits(made)
            with contextlib.nullcontext() if fits else pytest.raises(InvariantViolation):
                desk.write(changed=(made,))
            if fits:
                book.claims[made.id] = made
        self._compare_claims(desk, book, vault, start, size)
        for name in players:
            self._compare_player(desk, book, name, start, size)

    def _compare_claims(
        self, desk: Desk, book: ClaimBook, vault: str, start: int, size: int
    ) -> None:
        """Compare what is asked about a vault, and all that is in flight."""

        async def look(read: Reader) -> None:
            for whom in ("r0", "r1", "r2"):
                mine = book.where(lambda one, whom=whom: one.terms.recipient == whom)  # type: ignore[misc]
                flying = next((one for one in mine if one.is_open), None)
                assert await read.open_claim(vault, whom) == flying
                paid = [one.terms.seqno for one in mine if one.state is ClaimState.CONFIRMED]
                assert await read.confirmed_seqno(vault, whom) == max(paid, default=0)
                assert await read.open_claim("another", whom) is None

        desk.read(look)
        pages, after = [], (start - 1, "")
        flying = book.where(lambda one: one.is_open)
        while page := desk.flying(after, size):
            assert len(page) <= size
            pages += page
            assert len(pages) <= len(flying), "a page goes back"
            after = (page[-1].created_at, page[-1].id)
        assert pages == flying

    def _compare_player(
        self, desk: Desk, book: ClaimBook, name: str, start: int, size: int
    ) -> None:
        """Compare what is asked about a player, and about a day."""
        mine = book.where(lambda one: one.player_id == name)
        pages: list[Claim] = []
        before: tuple[int, str] | None = None
        while page := desk.claims(name, before, size):
            assert len(page) <= size
            pages += page
            assert len(pages) <= len(mine), "a page goes back"
            before = (page[-1].created_at, page[-1].id)
        assert pages == mine[::-1]

        async def look(read: Reader) -> None:
            for at in (start, start + DAY, start + 2 * DAY):
                day = day_key(at)
                counting = book.where(
                    lambda one: (
                        day_key(one.created_at) == day  # noqa: B023 - called at once
                        and one.state is not ClaimState.REFUNDED
                    )
                )
                own = sum(one.terms.amount for one in counting if one.player_id == name)
                assert await read.claimed(day, name) == own
                assert await read.claimed(day, None) == sum(one.terms.amount for one in counting)

        desk.read(look)

    # Isolation.

    def _together(
        self, desk: Desk, works: Sequence[Callable[[UnitOfWork], Awaitable[Any]]]
    ) -> list[Any]:
        async def gathered() -> list[Any]:
            return await asyncio.gather(
                *(desk.store.transact(work) for work in works), return_exceptions=True
            )

        return desk.run(gathered())

    def test_concurrent_units_are_serial(self, desk: Desk) -> None:
        """Of 64 units that each read a balance and add to it none is lost."""

        async def work(unit: UnitOfWork) -> None:
            held = (await unit.balances("player:1")).get(Currency.NEUR, 0)
            found = await unit.player("1") or player("1")
            assert found.win_streak == held
            await unit.write(
                at=_AT,
                postings=(movement(1),),
                changed=(replace(found, win_streak=found.win_streak + 1),),
            )

        results = self._together(desk, [work] * 64)
        assert results == [None] * 64
        assert desk.balance("player:1") == 64
        assert [entry.number for entry in desk.entries()] == list(range(1, 65))

    def test_only_one_of_many_units_can_take_the_last_unit(self, desk: Desk) -> None:
        """A check and the write after it are one step."""
        desk.write(movement(1))

        async def work(unit: UnitOfWork) -> bool:
            if not (await unit.balances("player:1")).get(Currency.NEUR, 0):
                return False
            await unit.write(at=_AT, postings=(movement(1, "player:1", "treasury"),))
            return True

        assert sorted(self._together(desk, [work] * 32)) == [False] * 31 + [True]

    def test_reads_see_whole_committed_units(self, desk: Desk) -> None:
        """A read beside running units sees all of a unit or nothing of it."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=_AT, postings=(movement(1),))
            await unit.write(at=_AT, postings=(movement(1, "chain", "player:2"),))

        async def look(read: Reader) -> tuple[int, int, int]:
            first = (await read.balances("player:1")).get(Currency.NEUR, 0)
            entries = len(list(read.entries()))
            second = (await read.balances("player:2")).get(Currency.NEUR, 0)
            return first, second, entries

        async def both() -> list[tuple[int, int, int]]:
            seen = []
            tasks = [asyncio.create_task(desk.store.transact(work)) for _ in range(20)]
            while not all(task.done() for task in tasks):
                seen.append(await desk.store.read(look))
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
            return seen

        for first, second, entries in desk.run(both()):
            assert first == second
            assert entries == first + second
        assert desk.read(look) == (20, 20, 40)

    def test_read_follows_the_units_that_were_answered(self, desk: Desk) -> None:
        """Whoever was answered finds the effect in the next read."""

        async def alternate() -> None:
            for count in range(1, 11):
                await desk.store.transact(lambda unit: unit.write(at=_AT, postings=(movement(1),)))
                held = await desk.store.read(lambda read: read.balances("player:1"))
                assert held == {Currency.NEUR: count}

        desk.run(alternate())

    def test_cancelled_caller_harms_nobody(self, desk: Desk) -> None:
        """Whoever goes away takes nothing with it: its unit is whole or absent, others go on."""

        def unit_of(number: int) -> Callable[[UnitOfWork], Awaitable[None]]:
            async def work(unit: UnitOfWork) -> None:
                await unit.write(
                    at=_AT,
                    postings=(movement(1, credit=f"player:{number}"),),
                    remember=refusal(f"k{number}"),
                )

            return work

        async def some_cancelled() -> list[Any]:
            tasks = [
                asyncio.create_task(desk.store.transact(unit_of(number))) for number in range(16)
            ]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = desk.run(some_cancelled())
        assert results[1::2] == [None] * 8
        for number in range(16):
            held, kept = desk.balance(f"player:{number}"), self._remembered(desk, f"k{number}")
            assert held == (0 if kept is None else 1)
            assert number % 2 == 0 or held == 1

    # The end.

    def test_check_passes_while_open(self, desk: Desk) -> None:
        """A healthy store says so."""
        desk.run(desk.store.check())

    def test_close_drains_and_then_refuses(self, desk: Desk) -> None:
        """What was accepted before the end is finished, what comes after is Unavailable."""

        async def work(unit: UnitOfWork) -> int:
            await unit.write(at=_AT, postings=(movement(1),))
            return (await unit.balances("player:1"))[Currency.NEUR]

        async def drained() -> list[Any]:
            tasks = [asyncio.create_task(desk.store.transact(work)) for _ in range(10)]
            await asyncio.sleep(0)
            await desk.store.close()
            return await asyncio.gather(*tasks, return_exceptions=True)

        assert desk.run(drained()) == list(range(1, 11))
        for refused in (
            lambda: desk.transact(work),
            lambda: desk.read(lambda read: read.policy()),
            lambda: desk.run(desk.store.check()),
        ):
            with pytest.raises(Unavailable):
                refused()

    def test_close_can_be_repeated(self, desk: Desk) -> None:
        """Closing a closed store, or closing twice at once, is harmless."""

        async def twice() -> None:
            await asyncio.gather(desk.store.close(), desk.store.close())
            await desk.store.close()

        desk.run(twice())

    def test_cancelled_close_strands_nobody(self, desk: Desk) -> None:
        """Giving up on a close leaves every accepted unit to its end."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=_AT, postings=(movement(1),))

        async def impatient() -> list[Any]:
            tasks = [asyncio.create_task(desk.store.transact(work)) for _ in range(10)]
            await asyncio.sleep(0)
            closing = asyncio.create_task(desk.store.close())
            await asyncio.sleep(0)
            closing.cancel()
            async with asyncio.timeout(20):
                return await asyncio.gather(*tasks, return_exceptions=True)

        assert desk.run(impatient()) == [None] * 10
