"""What the suites of a store share: how it is opened, and what all else builds on."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.moderation.model import Subject
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Backlog
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import nothing, same
from aiba_domain.testing.contracts.samples import (
    broker,
    guild,
    movement,
    player,
    refusal,
)
from aiba_domain.testing.contracts.suite import (
    Opening,
    PortContract,
    base,
)


class StoreSuite(PortContract):
    """The base of the store's suites."""

    port = "Store"
    version = "4.0"

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Open an empty store; `folder` is of this test alone, and empty."""

    @pytest.fixture(name="desk")
    def _desk(self, runner: asyncio.Runner, opening: Opening, tmp_path: Path) -> Iterator[Desk]:
        with opening:
            store = runner.run(self.open_store(tmp_path))
        yield Desk(runner, store)
        runner.run(store.close())

    @base
    def test_new_store_has_the_first_policy_and_nothing_else(self, desk: Desk) -> None:
        """A new store holds version 1 of the policy; everything else is absent or empty."""

        async def look(read: Reader) -> None:
            same(await read.policy(), EconomyPolicy())
            same(await read.player("1"), None)
            same(await read.session("a"), None)
            same(await read.broker("a"), None)
            same(await read.battle("a"), None)
            same(await read.mode("a"), None)
            same(await read.guild_of("1"), None)
            same(await read.epoch(), None)
            nothing(await read.brokers_of("1"))
            nothing(await read.battles_of("1", before=None, limit=10))
            nothing(await read.modes())
            nothing(await read.rivals_of(guild(1, 1)))
            nothing(await read.flags_of(Subject.PLAYER, "1"))
            nothing(await read.epochs())
            same(await read.payment_use("0" * 64), None)
            same(await read.lease("l"), None)
            same(await read.mailbox("s"), None)
            same(await read.letter("s/1"), None)
            nothing(await read.mailboxes_due(2**62, limit=10))
            nothing(await read.dead_letters(after=None, limit=10))
            same(await read.backlog(), Backlog(pending=0, oldest_at=None, dead=0))
            same(await read.listing("l"), None)
            same(await read.listing_of("b"), None)
            same(await read.wallet_owner("w"), None)
            same(await read.claim("c"), None)
            same(await read.open_claim("v", "r"), None)
            same(await read.confirmed_seqno("v", "r"), 0)
            nothing(await read.open_claims(after=None, limit=10))
            nothing(await read.claims_of("1", before=None, limit=10))
            same(await read.claimed("2026-01-01", None), 0)
            same(await read.claimed("2026-01-01", "1"), 0)
            nothing(await read.balances("player:1"))
            nothing(await read.accounts())
            nothing(await read.emitted("2026-01-01"))
            nothing(list(read.entries()))
            nothing((await read.ledger("", limit=9, settled=False)).rows)
            nothing(await read.stored_balances("", limit=9))
            same(await read.last_checkpoint(), None)
            nothing(await read.checkpoints(after=0, limit=9))
            same(await read.checkpoint_of("player:1", before=None), None)
            same(await read.audit_state(), None)
            nothing(await read.audited("", limit=9))
            nothing(await read.audited_of(["player:1"]))
            same(await read.ledger_standing(), None)

        desk.read(look)

    @base
    def test_unit_keeps_all_it_wrote(self, desk: Desk) -> None:
        """Postings, records and the answer are there together once the unit has returned."""
        kept = refusal("k")
        desk.write(movement(5), changed=(player("1"), broker("b")), remember=kept)

        async def look(unit: UnitOfWork) -> None:
            same(await unit.balances("player:1"), {Currency.NEUR: 5})
            same(await unit.player("1"), player("1"))
            same(await unit.broker("b"), broker("b"))
            same(await unit.remembered(kept.scope), kept)
            same([entry.posting for entry in unit.entries()], [movement(5)])

        desk.transact(look)

    @base
    def test_unit_returns_what_its_work_returns(self, desk: Desk) -> None:
        """The result of the work is the result of the unit."""
        result = object()

        async def work(_unit: UnitOfWork) -> object:
            return result

        same(desk.transact(work), result)
