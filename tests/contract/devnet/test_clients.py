"""The clients that people use work against the local chain, by a real socket."""

import asyncio
import base64
from collections.abc import Awaitable, Callable

import pytest
from pytoniq_core.boc.cell import Cell
from toncenter.exceptions import ToncenterTooManyRequestsError
from toncenter.rest.client import ToncenterRestClient
from toncenter.rest.v3.models import V2SendMessageRequest

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.cells import address_cell, bag_text
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.ton.addresses import parse
from tests.contract.devnet.support import served


def run(devnet: Devnet, play: Callable[[ToncenterRestClient], Awaitable[None]]) -> None:
    """Run a scene with the PyPI client `toncenter`."""

    async def scene() -> None:
        async with served(devnet) as url:
            client = ToncenterRestClient(base_url=url, rps_limit=0, retry_policy=None)
            async with client:
                await play(client)

    asyncio.run(scene())


def test_toncenter_v2_follows_a_claim(devnet: Devnet) -> None:
    """Every model of its version 2 takes our answers, from the message to the balance."""
    arena = devnet.arena
    player = arena.wallet("player")
    message = bag_text(arena.message(player, arena.order(arena.sign(player.address, 77))))

    async def play(client: ToncenterRestClient) -> None:
        v2 = client.v2
        await v2.send.send_boc(message)
        seqno = await v2.runmethod.run_get_method(
            arena.vault.raw,
            "getLastSeqno",
            [["tvm.Slice", bag_text(address_cell(player.address))]],
        )
        assert (seqno.exit_code, seqno.stack) == (0, [["num", "0x1"]])
        jettons = await v2.runmethod.run_get_method(
            arena.jetton_wallet(player.address).raw, "get_wallet_data"
        )
        assert jettons.stack[0] == ["num", hex(77)]
        account = await v2.accounts.get_address_information(player.address.raw)
        assert (account.state.value, int(account.balance) < TON) == ("active", True)
        wallet = await v2.accounts.get_wallet_information(player.address.raw)
        assert (wallet.wallet, wallet.seqno) == (True, 1)
        extended = await v2.accounts.get_extended_address_information(arena.vault.raw)
        assert int(extended.balance) > 10 * TON
        history = await v2.transactions.get_transactions(arena.vault.raw, limit=1)
        (newest,) = history
        root = Cell.one_from_boc(base64.b64decode(newest.data))
        assert base64.b64encode(root.hash).decode() == newest.transaction_id.hash
        assert newest.in_msg is not None
        assert parse(newest.in_msg.source, allow_testnet=True) == player.address
        last = (await v2.blocks.get_masterchain_info()).last
        header = await v2.blocks.get_block_header(-1, last.shard, last.seqno)
        assert (header.gen_utime, header.global_id) == (devnet.chain.now, -3)
        by_rpc = await v2.rpc.json_rpc("getAddressBalance", params={"address": arena.vault.raw})
        assert by_rpc == extended.balance

    run(devnet, play)


def test_toncenter_v3_follows_a_claim(devnet: Devnet) -> None:
    """Every model of its version 3 takes our answers, and finds the claim by its message."""
    arena = devnet.arena
    player = arena.wallet("player")
    message = bag_text(arena.message(player, arena.order(arena.sign(player.address, 77))))

    async def play(client: ToncenterRestClient) -> None:
        v3 = client.v3
        sent = await v3.api_v2.send_message(V2SendMessageRequest(boc=message))
        assert sent.message_hash is not None
        found = await v3.blockchain.get_transactions_by_message(msg_hash=sent.message_hash)
        assert found.transactions is not None
        (first,) = found.transactions
        assert first.account is not None
        assert parse(first.account, allow_testnet=True) == player.address
        by_hash = await v3.blockchain.get_transactions(hash=first.hash)
        assert by_hash.transactions == [first]
        of_vault = await v3.blockchain.get_transactions(account=[arena.vault.raw], limit=1)
        assert of_vault.transactions is not None
        assert of_vault.transactions[0].description is not None
        assert of_vault.transactions[0].description.compute_ph is not None
        assert of_vault.transactions[0].description.compute_ph.exit_code == 0
        states = await v3.accounts.get_account_states([arena.vault.raw, player.address.raw])
        assert states.accounts is not None
        assert [one.status for one in states.accounts] == ["active", "active"]
        info = await v3.blockchain.get_masterchain_info()
        assert info.last is not None
        assert info.last.seqno == devnet.chain.tip.seqno

    run(devnet, play)


def test_toncenter_tells_the_rate_limit(devnet: Devnet) -> None:
    """Its own exception for 429 is raised, in both versions."""
    devnet.faults.limit(0)

    async def play(client: ToncenterRestClient) -> None:
        with pytest.raises(ToncenterTooManyRequestsError):
            await client.v2.blocks.get_masterchain_info()
        with pytest.raises(ToncenterTooManyRequestsError):
            await client.v3.blockchain.get_masterchain_info()

    run(devnet, play)
