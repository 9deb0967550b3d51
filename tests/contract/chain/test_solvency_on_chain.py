"""Solvency by the contracts on a real TVM: the vault's jettons, and the block they were read in."""

import asyncio
from typing import cast

from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.money import Currency
from aiba_domain.ports import UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_entry.observability import Metrics
from aiba_entry.solvency import KEPT_MS, SolvencyDesk, SolvencyStatus
from aiba_entry.vaults import Vaults
from tests.contract.chain.test_reader_on_chain import START_S, World, inside

HELD = 10**9
"""What the local chain's vault holds at first."""


async def _breathe() -> None:
    return


async def _owe(world: World, amount: int) -> None:
    """Let the ledger owe so much more, and seal it."""

    async def post(unit: UnitOfWork) -> None:
        posting = movement(amount, "operator:test", "player:1", Currency.AIBA)
        await unit.write(at=world.now(), postings=[posting])

    await world.store.transact(post)
    auditor = LedgerAuditor(store=world.store, clock=world, seal_after_ms=0)
    await auditor.go_round(world.pipeline, _breathe)


def test_what_the_vault_holds_is_the_chains() -> None:
    """To the last jetton, before and after a claim is paid, with block and time."""

    async def work(world: World) -> None:
        arena = world.arena
        vaults = Vaults(Metrics(process=False))
        vaults.configure(
            withdrawals=cast("Withdrawals", "only handed through"),
            chain=world.reader,
            contracts=Contracts(vault=arena.vault.raw, jetton_master=arena.jetton_master.raw),
            min_ton_nano=1,
        )
        desk = SolvencyDesk(store=world.store, vaults=vaults, now_ms=world.now)
        await _owe(world, HELD)
        before = await desk.look()
        assert (before.status, before.solvent, before.ratio_bps) == (
            SolvencyStatus.OK,
            True,
            10_000,
        )
        assert before.assets is not None
        assert before.assets.held.jettons == HELD == arena.jettons(arena.vault)
        assert before.assets.block > 0
        assert before.assets.time_s >= START_S
        wallet = arena.wallet("one")
        arena.claim(wallet, arena.sign(wallet.address, 100))
        await asyncio.sleep(KEPT_MS / 1_000)
        after = await desk.look()
        assert after.assets is not None
        assert after.assets.held.jettons == HELD - 100
        assert (after.solvent, after.ratio_bps) == (False, 9_999)
        assert after.assets.block > before.assets.block

    inside(work)
