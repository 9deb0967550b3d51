"""The server's answers, form by form, and its controls."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.cells import address_cell, bag_text, comment, normalised_hash
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.devnet.wallets import Order
from aiba_adapters.ton.addresses import Address, parse
from tests.contract.devnet.support import client_of

NOBODY = Address(0, b"\x2a" * 32)


def run(devnet: Devnet, play: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run a scene against the server."""

    async def scene() -> None:
        async with client_of(devnet) as client:
            await play(client)

    asyncio.run(scene())


async def v2(client: httpx.AsyncClient, call: str, /, **params: object) -> Any:  # noqa: ANN401
    """Call a method of version 2 three ways, see that they agree, and return its result."""
    by_post = await client.post(f"/api/v2/{call}", json=params)
    rpc = {"id": "7", "jsonrpc": "2.0", "method": call, "params": params}
    by_rpc = await client.post("/api/v2/jsonRPC", json=rpc)
    if not any(isinstance(value, list) for value in params.values()):
        query = {name: str(value) for name, value in params.items()}
        by_get = await client.get(f"/api/v2/{call}", params=query)
        assert (by_get.status_code, by_get.json()) == (by_post.status_code, by_post.json())
    assert by_rpc.json() == {**by_post.json(), "id": "7", "jsonrpc": "2.0"}
    assert by_post.status_code == by_rpc.status_code == 200, by_post.text
    assert by_post.json()["ok"] is True
    return by_post.json()["result"]


async def control(client: httpx.AsyncClient, name: str, **params: object) -> Any:  # noqa: ANN401
    """Use a control, and return its answer."""
    answer = await client.post(f"/control/{name}", json=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_wallet_data_comes_as_four_entries(devnet: Devnet) -> None:
    """Version 2 gives a flat stack of four, slices as cells with their bits spelled out."""
    arena = devnet.arena
    wallet = arena.jetton_wallet(arena.vault)

    async def play(client: httpx.AsyncClient) -> None:
        result = await v2(
            client, "runGetMethod", address=wallet.raw, method="get_wallet_data", stack=[]
        )
        assert result["@type"] == "smc.runResult"
        assert result["exit_code"] == 0
        assert result["gas_used"] > 0
        (kind, balance), owner, master, code = result["stack"]
        assert (kind, int(balance, 16)) == ("num", 10**9)
        for entry, address in ((owner, arena.vault), (master, arena.jetton_master)):
            assert entry[0] == "cell"
            assert Cell.one_from_boc(entry[1]["bytes"]).hash == address_cell(address).hash
            assert entry[1]["object"]["data"]["len"] == 267
        assert code[1]["object"]["refs"]

    run(devnet, play)


def test_a_get_method_takes_addresses_numbers_and_cells(devnet: Devnet) -> None:
    """Slices and cells as both versions write them, and numbers in every form."""
    arena = devnet.arena
    boc = bag_text(address_cell(arena.vault))
    expected = address_cell(arena.jetton_wallet(arena.vault)).hash

    async def play(client: httpx.AsyncClient) -> None:
        place = {"address": arena.jetton_master.raw, "method": "get_wallet_address"}
        for entry in (["tvm.Slice", boc], ["slice", {"bytes": boc}]):
            result = await v2(client, "runGetMethod", **place, stack=[entry])
            assert Cell.one_from_boc(result["stack"][0][1]["bytes"]).hash == expected
        answer = await client.post(
            "/api/v3/runGetMethod", json={**place, "stack": [{"type": "slice", "value": boc}]}
        )
        assert answer.status_code == 200
        (entry,) = answer.json()["stack"]
        assert entry["type"] == "slice"
        assert Cell.one_from_boc(entry["value"]).hash == expected

    run(devnet, play)


def test_an_unknown_method_and_an_account_without_code_have_exit_codes(devnet: Devnet) -> None:
    """Neither is an error of the server."""

    async def play(client: httpx.AsyncClient) -> None:
        vault = devnet.arena.vault.raw
        unknown = await v2(client, "runGetMethod", address=vault, method="nope", stack=[])
        assert unknown["exit_code"] == 11
        nobody = await v2(client, "runGetMethod", address=NOBODY.raw, method="seqno", stack=[])
        assert (nobody["exit_code"], nobody["stack"]) == (-13, [])
        v3 = await client.post(
            "/api/v3/runGetMethod", json={"address": NOBODY.raw, "method": "seqno", "stack": []}
        )
        assert v3.json() == {"gas_used": 0, "exit_code": -13, "stack": []}

    run(devnet, play)


def test_an_account_is_told_in_every_written_form(devnet: Devnet) -> None:
    """Raw and friendly addresses give one answer; an account nobody reached has nothing."""
    vault = devnet.arena.vault

    async def play(client: httpx.AsyncClient) -> None:
        forms = [vault.raw, vault.friendly(testnet=True), vault.friendly(bounceable=False)]
        answers = [await v2(client, "getAddressInformation", address=form) for form in forms]
        assert answers[0] == answers[1] == answers[2]
        assert int(answers[0]["balance"]) > 10 * TON
        assert answers[0]["state"] == "active"
        assert answers[0]["sync_utime"] == devnet.chain.now
        assert answers[0]["block_id"]["seqno"] == devnet.chain.tip.seqno
        nobody = await v2(client, "getAddressInformation", address=NOBODY.raw)
        assert (nobody["balance"], nobody["state"]) == ("0", "uninitialized")
        assert await v2(client, "getAddressBalance", address=NOBODY.raw) == "0"
        assert await v2(client, "getAddressState", address=vault.raw) == "active"

    run(devnet, play)


def test_blocks_carry_the_time_of_the_chain(devnet: Devnet) -> None:
    """The block that an answer names has a header with its time, in both versions."""

    async def play(client: httpx.AsyncClient) -> None:
        before = await v2(client, "getMasterchainInfo")
        await control(client, "time", advance=100)
        last = (await v2(client, "getMasterchainInfo"))["last"]
        assert last["seqno"] == before["last"]["seqno"] + 1
        place = {"workchain": -1, "shard": last["shard"]}
        header = await v2(client, "getBlockHeader", **place, seqno=last["seqno"])
        assert header["gen_utime"] == devnet.chain.now
        assert header["id"] == last == await v2(client, "lookupBlock", **place, seqno=last["seqno"])
        old = await v2(client, "getBlockHeader", **place, seqno=before["last"]["seqno"])
        assert old["gen_utime"] == devnet.chain.now - 100
        info = (await client.get("/api/v3/masterchainInfo")).json()["last"]
        assert (info["seqno"], int(info["gen_utime"])) == (last["seqno"], devnet.chain.now)
        query: dict[str, str | int] = {"workchain": -1, "shard": "8000000000000000", "seqno": 2}
        (block,) = (await client.get("/api/v3/blocks", params=query)).json()["blocks"]
        assert block["seqno"] == 2
        assert block["global_id"] == devnet.chain.network_id

    run(devnet, play)


def test_a_payment_can_be_checked_from_its_own_cells(devnet: Devnet) -> None:
    """The root hash of `data` is the transaction's hash; value, ends and comment are told."""
    arena = devnet.arena
    payer = arena.wallet("payer")
    message = arena.message(
        payer,
        Order(destination=NOBODY, value=TON // 2, body=comment("order 17"), bounce=False),
    )

    async def play(client: httpx.AsyncClient) -> None:
        assert await v2_once(client, bag_text(message)) == "ok"
        (paid,) = await v2(client, "getTransactions", address=NOBODY.raw, limit=5)
        root = Cell.one_from_boc(base64.b64decode(paid["data"]))
        assert base64.b64encode(root.hash).decode() == paid["transaction_id"]["hash"]
        came = paid["in_msg"]
        assert (came["value"], came["message"]) == (str(TON // 2), "order 17")
        assert parse(came["source"], allow_testnet=True) == payer.address
        assert parse(came["destination"], allow_testnet=True) == NOBODY
        assert base64.b64decode(came["msg_data"]["text"]) == b"order 17"
        assert paid["out_msgs"] == []

        query = {"hash": paid["transaction_id"]["hash"]}
        found = (await client.get("/api/v3/transactions", params=query)).json()["transactions"]
        assert [one["lt"] for one in found] == [paid["transaction_id"]["lt"]]
        (one,) = found
        assert one["description"]["aborted"] is True
        assert one["description"]["compute_ph"] == {"skipped": True, "reason": "no_state"}
        assert one["in_msg"]["message_content"]["decoded"]["comment"] == "order 17"
        assert parse(one["in_msg"]["source"], allow_testnet=True) == payer.address
        query = {"hash": bytes(32).hex()}
        none = (await client.get("/api/v3/transactions", params=query)).json()
        assert none["transactions"] == []

    run(devnet, play)


async def v2_once(client: httpx.AsyncClient, boc: str) -> str:
    """Send a message once, unlike `v2` which calls three times; return the result's type."""
    answer = await client.post("/api/v2/sendBoc", json={"boc": boc})
    assert answer.status_code == 200, answer.text
    kind: str = answer.json()["result"]["@type"]
    return kind


def test_a_transaction_is_found_by_its_message(devnet: Devnet) -> None:
    """By the hash that sending returned, by the normalised one, and from both of its ends."""
    arena = devnet.arena
    wallet = arena.wallet("a")
    message = arena.message(wallet, Order(destination=NOBODY, value=5, bounce=False))

    async def play(client: httpx.AsyncClient) -> None:
        sent = (await client.post("/api/v3/message", json={"boc": bag_text(message)})).json()
        assert base64.b64decode(sent["message_hash"]) == message.hash
        assert base64.b64decode(sent["message_hash_norm"]) == normalised_hash(message)
        found = []
        for text in sent.values():
            query = {"msg_hash": text}
            answer = await client.get("/api/v3/transactionsByMessage", params=query)
            found.append(answer.json()["transactions"])
        assert found[0] == found[1]
        (cause,) = found[0]
        assert cause["in_msg"]["hash_norm"] == sent["message_hash_norm"]
        out = cause["out_msgs"][0]
        both = await client.get("/api/v3/transactionsByMessage", params={"msg_hash": out["hash"]})
        effect, again = both.json()["transactions"]
        assert again["hash"] == cause["hash"] == out["out_msg_tx_hash"]
        assert effect["hash"] == out["in_msg_tx_hash"]
        assert effect["trace_id"] == cause["trace_id"] == cause["hash"]

    run(devnet, play)


def test_history_comes_in_pages(devnet: Devnet) -> None:
    """A page goes on from a transaction, which it begins with; a place that isn't is an error."""
    owner = devnet.arena.owner.address.raw

    async def play(client: httpx.AsyncClient) -> None:
        whole = await v2(client, "getTransactions", address=owner, limit=100)
        assert len(whole) > 3
        place = whole[1]["transaction_id"]
        page = await v2(
            client, "getTransactions", address=owner, limit=2, lt=place["lt"], hash=place["hash"]
        )
        assert page == whole[1:3]
        rest = await v2(client, "getTransactions", address=owner, to_lt=place["lt"])
        assert rest == whole[:1]
        wrong = {"address": owner, "lt": place["lt"], "hash": whole[0]["transaction_id"]["hash"]}
        answer = await client.get("/api/v2/getTransactions", params=wrong)
        assert (answer.status_code, answer.json()["ok"]) == (500, False)
        query: dict[str, str | int] = {"account": owner, "limit": 2, "offset": 1}
        v3 = (await client.get("/api/v3/transactions", params=query)).json()["transactions"]
        assert [one["lt"] for one in v3] == [one["transaction_id"]["lt"] for one in whole[1:3]]
        query |= {"sort": "asc", "offset": 0, "start_lt": int(v3[1]["lt"]), "limit": 100}
        up = (await client.get("/api/v3/transactions", params=query)).json()["transactions"]
        assert [one["lt"] for one in up] == [one["transaction_id"]["lt"] for one in whole[2::-1]]

    run(devnet, play)


def test_wallets_are_known_as_such(devnet: Devnet) -> None:
    """Version 2 tells a wallet's kind and seqno, and that other contracts are none."""

    async def play(client: httpx.AsyncClient) -> None:
        arena = devnet.arena
        wallet = await v2(client, "getWalletInformation", address=arena.owner.address.raw)
        assert (wallet["wallet"], wallet["wallet_type"]) == (True, "wallet v4 r2")
        assert wallet["seqno"] == 2
        assert (await v2(client, "getWalletInformation", address=arena.vault.raw))[
            "wallet"
        ] is False

    run(devnet, play)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v2/getAddressInformation?address=junk", 422),
        ("/api/v2/getAddressInformation", 422),
        ("/api/v2/getTransactions?address=0:" + "0" * 64 + "&limit=0", 422),
        ("/api/v2/getTransactionByHash?hash=x", 404),
        ("/api/v2/getBlockHeader?workchain=0&shard=0&seqno=1", 500),
        ("/api/v2/getBlockHeader?workchain=-1&shard=-9223372036854775808&seqno=99999", 500),
        ("/api/v3/transactions?hash=junk", 422),
        ("/api/v3/transactions?account=junk", 422),
        ("/api/v3/transactionsByMessage", 422),
        ("/api/v3/accountStates", 422),
        ("/api/v3/runGetMethod", 405),
        ("/api/v3/nope", 404),
        ("/control/nope", 404),
        ("/control/faucet", 405),
        ("/nope", 404),
    ],
)
def test_what_can_not_be_answered_says_why(devnet: Devnet, path: str, status: int) -> None:
    """An error has the status that its body names, and a text."""

    async def play(client: httpx.AsyncClient) -> None:
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.json()["code"] == status
        assert answer.json()["error"]

    run(devnet, play)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v2/runGetMethod", b"{", 422),
        ("/api/v2/runGetMethod", b"[]", 422),
        ("/api/v2/jsonRPC", b'{"id":1}', 422),
        ("/api/v2/jsonRPC", b'{"id":1,"method":"nope"}', 404),
        ("/api/v2/sendBoc", b'{"boc":"junk"}', 422),
        ("/api/v2/sendBoc", b"{}", 422),
        ("/api/v3/message", b'{"boc":"te6ccgEBAQEAAgAAAA=="}', 422),
        ("/api/v3/runGetMethod", b"null", 422),
        ("/control/faucet", b'{"address":"junk"}', 400),
        ("/control/time", b'{"advance":-1}', 400),
        ("/control/mint", b"{}", 400),
        ("/control/outage", b'{"mode":"nope"}', 400),
        ("/control/rate-limit", b'{"perSecond":"many"}', 400),
    ],
)
def test_a_body_that_can_not_be_used_says_why(
    devnet: Devnet, path: str, body: bytes, status: int
) -> None:
    """Nothing that a caller sends makes the server fail."""

    async def play(client: httpx.AsyncClient) -> None:
        answer = await client.post(path, content=body)
        assert (answer.status_code, answer.json()["code"]) == (status, status)
        assert answer.json()["error"]

    run(devnet, play)


@pytest.mark.parametrize(
    "entry",
    [["num", "x"], ["num", 1 << 300], ["tvm.Cell", "x"], ["tvm.Slice", 5], ["odd", 1], [], 5],
)
def test_a_stack_that_can_not_be_used_says_why(devnet: Devnet, entry: object) -> None:
    """Each wrong entry is a wrong parameter."""

    async def play(client: httpx.AsyncClient) -> None:
        call = {"address": devnet.arena.vault.raw, "method": "getLastSeqno", "stack": [entry]}
        for version in ("v2", "v3"):
            answer = await client.post(f"/api/{version}/runGetMethod", json=call)
            assert answer.status_code == 422
            assert answer.json()["error"].startswith("stack:")

    run(devnet, play)


def test_a_refused_message_is_told_with_its_exit_code(devnet: Devnet) -> None:
    """As a node tells it: 500, the message was not accepted, and the wallet's code."""
    boc = bag_text(devnet.arena.owner.signed([], seqno=99))

    async def play(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/v2/sendBoc", json={"boc": boc})
        assert answer.status_code == 500
        assert "External message was not accepted" in answer.json()["error"]
        assert "exitcode=33" in answer.json()["error"]
        assert (await client.post("/api/v3/message", json={"boc": boc})).status_code == 500

    run(devnet, play)


# Controls


def test_the_faucet_and_the_mint_give(devnet: Devnet) -> None:
    """TON to any address, jettons to any owner, the vault where none is named."""

    async def play(client: httpx.AsyncClient) -> None:
        told = await control(client, "faucet", address=NOBODY.raw, nanotons=7 * TON)
        again = await control(client, "faucet", address=NOBODY.raw, nanotons=7 * TON)
        assert told["transactions"] != again["transactions"]
        assert await v2(client, "getAddressBalance", address=NOBODY.raw) == str(14 * TON)
        before = devnet.arena.jettons(devnet.arena.vault)
        await control(client, "mint", amount=5)
        assert devnet.arena.jettons(devnet.arena.vault) == before + 5
        await control(client, "mint", amount=6, address=NOBODY.raw)
        assert devnet.arena.jettons(NOBODY) == 6

    run(devnet, play)


def test_late_blocks_hold_back_what_was_sent(devnet: Devnet) -> None:
    """A message sent while blocks are late is accepted, and works after release."""
    arena = devnet.arena
    wallet = arena.wallet("a")
    message = arena.message(wallet, Order(destination=NOBODY, value=5, bounce=False))

    async def play(client: httpx.AsyncClient) -> None:
        assert (await control(client, "hold"))["held"] is True
        await v2_once(client, bag_text(message))
        assert await v2(client, "getAddressBalance", address=NOBODY.raw) == "0"
        state = (await client.get("/control/state")).json()
        assert (state["held"], state["vault"]) == (True, arena.vault.raw)
        released = await control(client, "release")
        assert len(released["transactions"]) == 2
        assert await v2(client, "getAddressBalance", address=NOBODY.raw) == "5"

    run(devnet, play)


def test_the_rate_limit_answers_as_toncenter_does(devnet: Devnet) -> None:
    """429 with its own body, in both versions; the controls are never limited."""

    async def play(client: httpx.AsyncClient) -> None:
        await control(client, "rate-limit", perSecond=2)
        paths = (
            "/api/v2/getMasterchainInfo",
            "/api/v3/masterchainInfo",
            "/api/v2/getConsensusBlock",
        )
        answers = [await client.get(path) for path in paths]
        assert [one.status_code for one in answers] == [200, 200, 429]
        expected = {"ok": False, "result": "Ratelimit exceed", "code": 429}
        assert answers[2].json() == expected
        assert (await client.get("/api/v3/masterchainInfo")).json() == expected
        await control(client, "rate-limit", perSecond=None)
        assert (await client.get("/api/v3/masterchainInfo")).status_code == 200

    run(devnet, play)


@pytest.mark.parametrize("mode", ["error", "nonsense"])
def test_an_outage_answers_with_a_gateways_page(devnet: Devnet, mode: str) -> None:
    """No JSON comes, until the outage is over."""

    async def play(client: httpx.AsyncClient) -> None:
        await control(client, "outage", mode=mode, status=503)
        answer = await client.get("/api/v2/getMasterchainInfo")
        assert answer.status_code == (503 if mode == "error" else 200)
        assert answer.headers["content-type"] == "text/html"
        await control(client, "outage", mode=None)
        assert (await client.get("/api/v2/getMasterchainInfo")).json()["ok"] is True

    run(devnet, play)


def test_a_lost_answer_was_carried_out(devnet: Devnet) -> None:
    """The worst of outages: the message arrives, and nobody says so."""
    arena = devnet.arena
    wallet = arena.wallet("a")
    message = arena.message(wallet, Order(destination=NOBODY, value=5, bounce=False))

    async def play(client: httpx.AsyncClient) -> None:
        await control(client, "outage", mode="lost-answers")
        answer = await client.post("/api/v2/sendBoc", json={"boc": bag_text(message)})
        assert answer.status_code == 502
        assert devnet.chain.account(NOBODY).balance == 5

    run(devnet, play)


def test_silence_lasts_until_the_outage_is_over(devnet: Devnet) -> None:
    """A request that nobody answers is answered when the outage ends."""

    async def play(client: httpx.AsyncClient) -> None:
        await control(client, "outage", mode="silence")
        waiting = asyncio.create_task(client.get("/api/v3/masterchainInfo"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        await control(client, "outage", mode=None)
        assert (await waiting).status_code == 200

    run(devnet, play)


def test_reset_goes_back_to_the_deployed_chain(devnet: Devnet) -> None:
    """Everything after deploying is forgotten, bad days included."""

    async def play(client: httpx.AsyncClient) -> None:
        before = (await client.get("/control/state")).json()
        await control(client, "faucet", address=NOBODY.raw)
        await control(client, "time", advance=1000)
        await control(client, "rate-limit", perSecond=0)
        await control(client, "outage", mode="error")
        await control(client, "reset")
        assert (await client.get("/")).json() == before
        assert await v2(client, "getAddressBalance", address=NOBODY.raw) == "0"

    run(devnet, play)


def test_a_body_without_end_is_refused(devnet: Devnet) -> None:
    """More than the largest message is not read."""

    async def play(client: httpx.AsyncClient) -> None:
        answer = await client.post("/api/v2/sendBoc", content=b"x" * (1024 * 1024 + 1))
        assert answer.status_code == 413

    run(devnet, play)
