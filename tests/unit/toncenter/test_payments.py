"""Payments from the chain: read from the transaction's own cells, by hash, in both versions."""

import asyncio
import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from aiba_adapters.ton.addresses import Address, parse
from aiba_adapters.toncenter.client import BadAnswer
from aiba_adapters.toncenter.transactions import comment_of, payment_of
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.ports import Unavailable
from tests.support.virtual_time import run
from tests.unit.toncenter import cells
from tests.unit.toncenter.fake import MAINNET, START_S, TRANSACTIONS, FakeToncenter, reader, status

HOST = "https://toncenter.example"
VERSIONS = (f"{HOST}/api/v2", f"{HOST}/api/v2/jsonRPC", f"{HOST}/api/v3")
PAYMENTS = {name: one for name, one in TRANSACTIONS.items() if one["source"] is not None}
SHOP = parse(TRANSACTIONS["to a wallet without code"]["account"], allow_testnet=None)
IN_SHOP = [name for name, one in TRANSACTIONS.items() if one["account"] == SHOP.raw]
addresses = st.builds(Address, st.sampled_from((0, -1)), st.binary(min_size=32, max_size=32))


def expected(one: dict[str, Any]) -> IncomingPayment:
    """Return what a golden transaction brought."""
    return IncomingPayment(
        hash=one["hash"],
        network=MAINNET,
        source=one["source"],
        destination=one["account"],
        value_nano=one["value_nano"],
        comment=one["comment"],
        is_bounced=one["is_bounced"],
        time_s=one["time_s"],
    )


# The cells


@pytest.mark.parametrize("name", PAYMENTS)
def test_transactions_of_the_chain_are_read_as_they_happened(name: str) -> None:
    """To wallets with code and without, commented, sent back, and coming back."""
    one = PAYMENTS[name]
    assert payment_of(one["data"], one["hash"], MAINNET) == expected(one)


def test_a_message_from_outside_brings_nothing() -> None:
    """A wallet's own transaction is not what it pays."""
    one = TRANSACTIONS["a message from outside"]
    assert payment_of(one["data"], one["hash"], MAINNET) is None


@given(
    source=addresses,
    account=addresses,
    value=st.integers(0, 2**120 - 1),
    text=st.text(max_size=120),
    room=st.integers(1, 100),
    bounced=st.booleans(),
    returns=st.lists(st.booleans(), max_size=4),
    time_s=st.integers(0, 2**32 - 1),
)
def test_every_fact_is_in_the_cells(
    *,
    source: Address,
    account: Address,
    value: int,
    text: str,
    room: int,
    bounced: bool,
    returns: list[bool],
    time_s: int,
) -> None:
    """Whatever was sent; it is bounced if it came back or anything was sent back."""
    body = cells.snake(text.encode("utf-8", "ignore"), room)
    incoming = cells.message(
        source=source, destination=account, value=value, body=body, bounced=bounced
    )
    outgoing = tuple(
        cells.message(source=account, destination=source, value=1, bounced=back) for back in returns
    )
    made = cells.transaction(account=account, incoming=incoming, outgoing=outgoing, time_s=time_s)
    assert payment_of(made.data, made.tx_hash, -3) == IncomingPayment(
        hash=made.tx_hash,
        network=-3,
        source=source.raw,
        destination=account.raw,
        value_nano=value,
        comment=text.encode("utf-8", "ignore").decode(),
        is_bounced=bounced or any(returns),
        time_s=time_s,
    )


def test_d14_cells_of_another_hash_are_refused() -> None:
    """A provider that gives another transaction than was asked for is not believed."""
    one, other = list(PAYMENTS.values())[:2]
    with pytest.raises(BadAnswer, match="another hash"):
        payment_of(other["data"], one["hash"], MAINNET)


def test_a_transaction_on_another_account_than_its_message_is_refused() -> None:
    """No chain has one."""
    here, there = Address(0, b"\x01" * 32), Address(0, b"\x02" * 32)
    incoming = cells.message(source=here, destination=there, value=1)
    made = cells.transaction(account=here, incoming=incoming)
    with pytest.raises(BadAnswer, match="another account"):
        payment_of(made.data, made.tx_hash, MAINNET)


def test_a_payment_from_nobody_is_refused() -> None:
    """A message without a source pays for nobody."""
    account = Address(0, b"\x01" * 32)
    made = cells.transaction(
        account=account, incoming=cells.message(source=None, destination=account, value=1)
    )
    with pytest.raises(BadAnswer):
        payment_of(made.data, made.tx_hash, MAINNET)


def test_a_transaction_that_no_message_caused_brings_nothing() -> None:
    """Such as the ticks of the system's contracts."""
    made = cells.transaction(account=Address(-1, bytes(32)), incoming=None)
    assert payment_of(made.data, made.tx_hash, MAINNET) is None


@given(bits=st.text("01", max_size=300), data=st.none() | st.binary(max_size=200) | st.text())
def test_anything_else_is_refused_in_one_way(bits: str, data: object) -> None:
    """Cells that are no transaction under their own hash, bags that are none, and no bags."""
    cell = Builder().store_bits(bits).end_cell()
    with pytest.raises(BadAnswer):
        payment_of(cells.bag(cell), cell.hash.hex(), MAINNET)
    given_bag = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    with pytest.raises(BadAnswer):
        payment_of(given_bag, "0" * 64, MAINNET)


@given(cut=st.integers(0, 200), flip=st.integers(0, 7), name=st.sampled_from(sorted(PAYMENTS)))
def test_a_damaged_transaction_is_refused(cut: int, flip: int, name: str) -> None:
    """One bit is enough."""
    one = PAYMENTS[name]
    damaged = bytearray(base64.b64decode(one["data"]))
    place = 20 + cut % (len(damaged) - 20)
    damaged[place] ^= 1 << flip
    try:
        found = payment_of(base64.b64encode(damaged).decode(), one["hash"], MAINNET)
    except BadAnswer:
        return
    assert found == expected(one)  # a bit that no cell holds, such as of the bag's own checksum


def test_a_body_that_is_no_text_is_no_comment() -> None:
    """Other ops, nothing at all, half bytes, wrong UTF-8 and texts without end."""
    bodies = [
        Cell.empty(),
        Builder().store_uint(0, 31).end_cell(),
        Builder().store_uint(1, 32).store_bytes(b"text").end_cell(),
        Builder().store_uint(0, 32).store_bits("0101").end_cell(),
        Builder().store_uint(0, 32).store_bytes(b"\xff").end_cell(),
        cells.snake(b"x" * 2_000),
    ]
    assert [comment_of(body) for body in bodies] == [""] * len(bodies)


# The provider


@pytest.mark.parametrize("url", VERSIONS)
@pytest.mark.parametrize("name", IN_SHOP)
def test_d15_a_payment_is_found_by_its_hash(url: str, name: str) -> None:
    """Among others, whatever the JSON beside its cells says."""

    async def work() -> None:
        one = reader(FakeToncenter(listed=list(TRANSACTIONS)), url=url)
        found = await one.payment(TRANSACTIONS[name]["hash"], to=SHOP.raw, since_s=0)
        assert found == expected(TRANSACTIONS[name])
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
def test_a_payment_that_is_not_there_is_none(url: str) -> None:
    """And is one as soon as it is there: nothing of "not yet" is remembered."""
    name = IN_SHOP[0]

    async def work() -> None:
        chain = FakeToncenter(listed=IN_SHOP[1:])
        one = reader(chain, url=url)
        tx_hash = TRANSACTIONS[name]["hash"]
        assert await one.payment(tx_hash, to=SHOP.raw, since_s=0) is None
        chain.listed.append(name)
        assert await one.payment(tx_hash, to=SHOP.raw, since_s=0) == expected(TRANSACTIONS[name])
        await one.close()

    run(work())


def test_version_2_looks_back_no_further_than_it_was_told() -> None:
    """A page a request, until one ends before."""

    async def work() -> None:
        chain = FakeToncenter(listed=IN_SHOP)
        one = reader(chain)
        assert await one.payment("0" * 64, to=SHOP.raw, since_s=START_S + 10**6) is None
        assert chain.calls["v2 getTransactions"] == 1
        assert await one.payment("0" * 64, to=SHOP.raw, since_s=0) is None
        assert chain.calls["v2 getTransactions"] > 2
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
def test_d14_a_provider_that_is_down_is_unavailable_not_a_failed_payment(url: str) -> None:
    """So the payer is told to come back, not that the payment is bad."""

    async def work() -> None:
        chain = FakeToncenter(listed=IN_SHOP, always=status(503))
        one = reader(chain, url=url)
        with pytest.raises(Unavailable):
            await one.payment(TRANSACTIONS[IN_SHOP[0]]["hash"], to=SHOP.raw, since_s=0)
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
def test_a_provider_that_lags_or_is_elsewhere_says_nothing_of_payments(url: str) -> None:
    """What it doesn't know may be there all the same."""

    async def work(chain: FakeToncenter) -> None:
        one = reader(chain, url=url)
        with pytest.raises(Unavailable):
            await one.payment("0" * 64, to=SHOP.raw, since_s=0)
        await one.close()

    run(work(FakeToncenter(lags=(500,))))
    run(work(FakeToncenter(network=-3)))


@pytest.mark.parametrize("url", VERSIONS)
def test_d14_lies_about_the_cells_are_unavailable(url: str) -> None:
    """A provider that lists one transaction under another's hash is not believed."""
    one, other = TRANSACTIONS[IN_SHOP[0]], TRANSACTIONS[IN_SHOP[1]]

    async def work() -> None:
        chain = FakeToncenter(listed=IN_SHOP)
        lie = base64.b64encode(bytes.fromhex(one["hash"])).decode()
        place = {"lt": str(other["lt"]), "hash": lie}
        rows = [{"transaction_id": place, "utime": other["time_s"], "data": other["data"]}]

        def spoil(request: Any) -> Any:  # noqa: ANN401 - a fault
            asked = request.content + request.url.raw_path
            if b"getTransactions" not in asked:
                return None
            return status(200, {"ok": True, "result": rows})(request)

        chain.always = spoil
        source = reader(chain, url=url)
        with pytest.raises(Unavailable, match="another hash"):
            await source.payment(one["hash"], to=SHOP.raw, since_s=0)
        await source.close()

    run(work())


def test_payments_asked_for_together_are_all_answered() -> None:
    """Also at one request a second, in the end."""

    async def work() -> None:
        chain = FakeToncenter(listed=IN_SHOP, rate=1)
        one = reader(chain, url=f"{HOST}/api/v3", per_s=1)

        async def persist(name: str) -> IncomingPayment | None:
            while True:
                try:
                    tx_hash = TRANSACTIONS[name]["hash"]
                    return await one.payment(tx_hash, to=SHOP.raw, since_s=0)
                except Unavailable as failure:
                    await asyncio.sleep(failure.retry_after_ms / 1_000)

        found = await asyncio.gather(*map(persist, IN_SHOP))
        assert found == [expected(TRANSACTIONS[name]) for name in IN_SHOP]
        assert chain.refused == 0
        await one.close()

    run(work())
