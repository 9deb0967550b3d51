"""The chain reader: both versions, every form of URL, servers that lag, and providers that fail."""

import asyncio
import logging
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.toncenter import ToncenterReader
from aiba_adapters.toncenter.client import Limits
from aiba_adapters.toncenter.reader import Freshness
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, ChainView, Claim, ClaimState, verdict
from aiba_domain.claims.model import MAX_SEQNO, ClaimTerms
from aiba_domain.claims.ports import Inventory
from aiba_domain.ports import Unavailable
from tests.support.virtual_time import now, run
from tests.unit.toncenter.fake import (
    KEY,
    OTHER,
    RECIPIENT,
    START_S,
    VAULT,
    WALLET,
    FakeToncenter,
    broken,
    reader,
    silent,
    status,
    text,
    time_of,
)

HOST = "https://toncenter.example"
FORMS = (
    HOST,
    f"{HOST}/",
    f"{HOST}/api/v2",
    f"{HOST}/api/v2/",
    f"{HOST}/api/v2/jsonRPC",
    f"{HOST}/api/v3",
    f"{HOST}/some/prefix/api/v3/",
    f"{HOST}/a-key-in-the-path/jsonRPC",
)
VERSIONS = (f"{HOST}/api/v2", f"{HOST}/api/v2/jsonRPC", f"{HOST}/api/v3")
NO_CACHE = Freshness(view_s=-1, inventory_s=-1, head_s=-1, wallet_s=-1)
CLAIM = Claim(
    id="0" * 24,
    player_id="1",
    request_id="k",
    source_type="aiba_claim",
    state=ClaimState.SIGNED,
    terms=ClaimTerms(
        vault=VAULT.raw,
        jetton_master=OTHER.raw,
        recipient=RECIPIENT.raw,
        amount=5,
        seqno=3,
        valid_until_s=START_S,
    ),
    created_at=START_S * 1_000,
)


async def see(one: ToncenterReader) -> ChainView:
    """Read the recipient's seqno."""
    return await one.view(VAULT.raw, RECIPIENT.raw)


def gaps(chain: FakeToncenter) -> list[float]:
    """Return how long a provider had between requests, in seconds."""
    return [after - before for before, after in pairwise(chain.times)]


@pytest.mark.parametrize("url", FORMS)
def test_every_documented_form_of_url_reads(url: str) -> None:
    """The seqno, in the block that the answer names, with that block's time."""

    async def work() -> None:
        chain = FakeToncenter()
        chain.pay(7, at_block=999)
        one = reader(chain, url=url)
        assert await see(one) == ChainView(seqno=7, time_s=START_S)
        assert await one.view(VAULT.raw, OTHER.raw) == ChainView(seqno=0, time_s=START_S)
        assert all(request.headers["X-API-Key"] == KEY for request in chain.requests)
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
@pytest.mark.parametrize("jettons", ["0x3e8", "1000", 1_000])
@pytest.mark.parametrize("ton_nano", ["5000000000", 5_000_000_000])
def test_d16_inventory_reads_what_providers_really_send(
    url: str, jettons: object, ton_nano: object
) -> None:
    """Four entries flat on the stack, an address as cell or slice, numbers as text or number."""

    async def work() -> None:
        chain = FakeToncenter(jettons=jettons, ton_nano=ton_nano)
        one = reader(chain, url=url)
        found = await one.inventory(VAULT.raw)
        assert found == Inventory(ton_nano=5 * 10**9, jetton_wallet=WALLET.raw, jettons=1_000)
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
def test_a_jetton_wallet_that_is_not_there_yet_holds_nothing(url: str) -> None:
    """Nobody has sent the vault a jetton: that is 0, not a failure."""

    async def work() -> None:
        one = reader(FakeToncenter(has_wallet=False), url=url)
        assert (await one.inventory(VAULT.raw)).jettons == 0
        await one.close()

    run(work())


def test_d16_a_tuple_or_another_wallet_is_no_inventory() -> None:
    """What isn't the vault's jetton wallet is refused, never counted."""
    entries = (
        [["tuple", {"elements": [["num", "0x5"]] * 4}]],
        [["num", "0x5"]] * 4,
        [["num", "-0x5"], ["cell", {}], ["cell", {}], ["cell", {}]],
    )

    async def work(stack: list[Any]) -> None:
        chain = FakeToncenter()

        def spoil(request: Any) -> Any:  # noqa: ANN401 - a fault
            if b"get_wallet_data" not in request.content:
                return None
            result = {"stack": stack, "exit_code": 0}
            return status(200, {"ok": True, "result": result})(request)

        chain.always = spoil
        one = reader(chain)
        with pytest.raises(Unavailable, match=r"wallet_data|number|address"):
            await one.inventory(VAULT.raw)
        await one.close()

    for stack in entries:
        run(work(stack))


# Lagging servers


@given(
    lags=st.lists(st.integers(0, 90), min_size=1, max_size=5),
    paid_at=st.integers(900, 1_010),
    wait=st.floats(0, 20),
    url=st.sampled_from(VERSIONS),
    names=st.booleans(),
    rounds=st.integers(1, 5),
)
def test_a_view_never_has_a_time_later_than_its_block(
    *, lags: list[int], paid_at: int, wait: float, url: str, names: bool, rounds: int
) -> None:
    """Whichever server answers: a payment up to the time told is in the seqno told."""

    async def work() -> None:
        chain = FakeToncenter(lags=lags, names_blocks_in_v3=names)
        chain.pay(4, at_block=paid_at)
        one = reader(chain, url=url, freshness=replace(NO_CACHE, head_s=3))
        for _ in range(rounds):
            await asyncio.sleep(wait)
            try:
                seen = await see(one)
            except Unavailable:
                continue
            assert seen.time_s <= START_S + now()
            if time_of(paid_at) <= seen.time_s:
                assert seen.seqno == 4
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
def test_d17_a_paid_claim_never_looks_expired_through_lagging_servers(url: str) -> None:
    """The claim was paid in time. However far behind a server is, nobody is told of a refund."""
    claim = replace(CLAIM, terms=replace(CLAIM.terms, valid_until_s=START_S + 30))

    async def work(lags: tuple[int, ...]) -> None:
        chain = FakeToncenter(lags=lags)
        chain.pay(3, at_block=1_030)
        one = reader(chain, url=url, freshness=NO_CACHE)
        ends = set()
        for _ in range(40):
            await asyncio.sleep(7)
            try:
                ends.add(verdict(claim, await see(one)))
            except Unavailable:
                continue
        assert ClaimState.REFUNDED not in ends
        assert ClaimState.CONFIRMED in ends
        await one.close()

    for lags in ((0, 100), (100, 0, 50), (0, 110, 110, 110), (3, 2, 1, 0, 119)):
        run(work(lags))


@pytest.mark.parametrize("url", VERSIONS)
def test_a_claim_that_was_not_paid_expires_by_chain_time(url: str) -> None:
    """To the second of the margin, by the chain's blocks, whatever our clock says."""
    last = CLAIM.terms.valid_until_s + EXPIRY_MARGIN_S

    async def work() -> None:
        one = reader(FakeToncenter(), url=url, freshness=NO_CACHE, ahead_s=100)
        await asyncio.sleep(last - START_S)
        assert verdict(CLAIM, await see(one)) is None
        await asyncio.sleep(1)
        assert verdict(CLAIM, await see(one)) is ClaimState.REFUNDED
        await one.close()

    run(work())


def test_an_earlier_block_does_not_unsay_a_later_one() -> None:
    """What was seen paid stays paid, although the next answer is from a server that lags."""

    async def work() -> None:
        chain = FakeToncenter(lags=(0,))
        chain.pay(4, at_block=1_000)
        one = reader(chain, freshness=replace(NO_CACHE, head_s=0.5))
        await asyncio.sleep(1)
        first = await see(one)
        chain.lags = (30,)
        assert await see(one) == first
        await asyncio.sleep(40)
        assert (await see(one)).time_s > first.time_s
        await one.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
@pytest.mark.parametrize("ask", ["view", "inventory"])
def test_a_provider_that_is_far_behind_is_unavailable(url: str, ask: str) -> None:
    """Its state is old, so it isn't told."""

    async def work() -> None:
        one = reader(FakeToncenter(lags=(121,)), url=url)
        with pytest.raises(Unavailable, match="behind"):
            await (see(one) if ask == "view" else one.inventory(VAULT.raw))
        await one.close()
        slack = reader(FakeToncenter(lags=(120,)), url=url)
        await (see(slack) if ask == "view" else slack.inventory(VAULT.raw))
        await slack.close()

    run(work())


@pytest.mark.parametrize("url", VERSIONS)
def test_a_provider_of_another_network_is_unavailable(url: str) -> None:
    """A key or a URL of the test network must not decide about money of the main one."""

    async def work() -> None:
        one = reader(FakeToncenter(network=-3), url=url)
        with pytest.raises(Unavailable, match="network -3"):
            await see(one)
        with pytest.raises(Unavailable, match="network -3"):
            await one.inventory(VAULT.raw)
        await one.close()
        any_network = reader(FakeToncenter(network=-3), url=url, network=None)
        assert (await see(any_network)).seqno == 0
        await any_network.close()

    run(work())


def test_without_the_name_of_a_block_there_is_no_view() -> None:
    """An answer that might be of any block proves nothing."""

    async def work() -> None:
        chain = FakeToncenter()
        answer = {"ok": True, "result": {"stack": [["num", "0x1"]], "exit_code": 0}}
        chain.always = status(200, answer)
        one = reader(chain)
        with pytest.raises(Unavailable, match="names no block"):
            await see(one)
        await one.close()

    run(work())


def test_version_3_is_asked_for_blocks_once_and_then_version_2() -> None:
    """It names none, so its answer is not worth a second request."""

    async def work() -> None:
        chain = FakeToncenter()
        one = reader(chain, url=f"{HOST}/api/v3", freshness=NO_CACHE)
        for _ in range(3):
            await see(one)
        assert chain.calls["v3 runGetMethod"] == 1
        assert chain.calls["v2 runGetMethod"] == 3
        await one.close()

    run(work())


# What goes wrong

FAULTS = {
    "429": status(429, {"ok": False, "result": "Ratelimit exceed", "code": 429}),
    "500": status(500, {"ok": False, "error": "LITE_SERVER_NETWORK", "code": 500}),
    "502": text("<html>bad gateway</html>", 502),
    "504": status(504),
    "542": status(542, {"ok": False, "error": "x", "code": 542}),
    "ok false": status(200, {"ok": False, "error": "LITE_SERVER_NOTREADY", "code": 500}),
    "rpc error": status(200, {"jsonrpc": "2.0", "error": {"code": -32000}}),
    "html": text("<html>come back later</html>"),
    "nothing": text(""),
    "redirect": status(302, None, Location="https://elsewhere.example/"),
    "cut": broken,
    "silence": silent,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_passing_fault_is_ridden_out(name: str) -> None:
    """Asked again after a pause, and answered."""

    async def work() -> None:
        chain = FakeToncenter(faults=[FAULTS[name]] * 2)
        chain.pay(2, at_block=1)
        one = reader(chain, limits=Limits(timeout_s=1))
        assert (await see(one)).seqno == 2
        await one.close()

    run(work())


@pytest.mark.parametrize("name", [*FAULTS, "401", "403", "404", "422", "deep", "endless", "number"])
def test_a_lasting_fault_is_unavailable_in_bounded_time(name: str) -> None:
    """Never a state, never another exception, never more than a few requests."""
    more = {
        "401": status(401, {"ok": False, "error": f"key {KEY}", "code": 401}),
        "403": status(403),
        "404": status(404),
        "422": status(422),
        "deep": text("[" * 100_000),
        "endless": text("[" + " " * 2_000_000 + "]"),
        "number": text("1" * 5_000),
    }
    fault = (FAULTS | more)[name]

    async def work() -> None:
        chain = FakeToncenter(always=fault)
        one = reader(chain, limits=Limits(largest_answer=1_000_000))
        for ask in (see(one), one.inventory(VAULT.raw)):
            with pytest.raises(Unavailable) as caught:
                await ask
            assert caught.value.retry_after_ms > 0
            assert KEY not in str(caught.value)
        assert now() < 40
        assert len(chain.requests) <= 8
        await one.close()

    run(work())


def test_a_wrong_request_is_not_repeated() -> None:
    """A refused key stays refused."""

    async def work() -> None:
        chain = FakeToncenter(always=status(403))
        one = reader(chain)
        with pytest.raises(Unavailable, match="403"):
            await see(one)
        assert len(chain.requests) == 1
        await one.close()

    run(work())


def test_the_provider_says_when_to_come_back() -> None:
    """A short wait is kept to, a long one is told to the caller."""

    async def work() -> None:
        busy = status(429, {"ok": False}, **{"Retry-After": "3"})
        chain = FakeToncenter(faults=[busy])
        one = reader(chain)
        await see(one)
        assert chain.times[1] - chain.times[0] >= 3
        await one.close()
        gone = reader(FakeToncenter(always=status(503, None, **{"Retry-After": "30"})))
        with pytest.raises(Unavailable) as caught:
            await see(gone)
        assert caught.value.retry_after_ms == 30_000
        await gone.close()

    run(work())


def test_retries_do_not_march_in_step() -> None:
    """Two processes that failed together don't come back together."""

    async def work() -> None:
        chains = [FakeToncenter(always=status(500)) for _ in range(2)]
        readers = [reader(chain) for chain in chains]
        await asyncio.gather(*map(see, readers), return_exceptions=True)
        assert chains[0].times != chains[1].times
        for chain in chains:
            assert gaps(chain) == sorted(gaps(chain))
        for one in readers:
            await one.close()

    run(work())


@pytest.mark.parametrize("name", ["500", "cut", "silence", "html"])
def test_the_second_provider_answers_when_the_first_does_not(name: str) -> None:
    """And is asked first until the first had its rest."""

    async def work() -> None:
        first, second = FakeToncenter(always=FAULTS[name]), FakeToncenter()
        second.pay(9, at_block=1)
        one = reader(first, second, freshness=NO_CACHE)
        assert (await see(one)).seqno == 9
        asked = len(first.requests)
        assert (await see(one)).seqno == 9
        assert len(first.requests) == asked
        await asyncio.sleep(20)
        first.always = None
        first.pay(9, at_block=1)
        asked = len(second.requests)
        await see(one)
        assert len(second.requests) == asked
        await one.close()

    run(work())


def test_with_both_providers_down_the_sooner_wait_is_told() -> None:
    """Both reasons are in the text, for the log."""

    async def work() -> None:
        waits = [status(503, None, **{"Retry-After": wait}) for wait in ("40", "20")]
        one = reader(*(FakeToncenter(always=wait) for wait in waits))
        with pytest.raises(Unavailable, match=r"n0\..*503.*n1\..*503") as caught:
            await see(one)
        assert caught.value.retry_after_ms == 20_000
        await one.close()

    run(work())


def test_a_key_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a header's place nor in a path's, however the provider fails."""
    secret = "a-secret-in-the-path"

    async def work() -> None:
        for fault in FAULTS.values():
            chain = FakeToncenter(always=fault)
            one = reader(chain, url=f"{HOST}/{secret}/jsonRPC")
            with pytest.raises(Unavailable) as caught:
                await see(one)
            chain_of = repr((caught.value, caught.value.__cause__, caught.value.__context__))
            assert KEY not in chain_of
            assert secret not in chain_of
            await one.close()

    caplog.set_level(logging.INFO)
    run(work())
    assert KEY not in caplog.text
    assert secret not in caplog.text


# Pace


def test_at_one_request_a_second_nothing_is_lost() -> None:
    """Twelve players at once: all are answered or told when to come back, and then answered."""

    async def work() -> None:
        chain = FakeToncenter(rate=1)
        one = reader(chain, per_s=1)
        wallets = [f"0:{number:064x}" for number in range(12)]
        seen: dict[str, ChainView] = {}

        async def persist(wallet: str) -> None:
            while wallet not in seen:
                try:
                    seen[wallet] = await one.view(VAULT.raw, wallet)
                except Unavailable as failure:
                    await asyncio.sleep(failure.retry_after_ms / 1_000)

        await asyncio.gather(*map(persist, wallets))
        assert len(seen) == 12
        assert chain.refused == 0
        assert min(gaps(chain)) >= 0.999
        await one.close()

    run(work())


def test_retries_keep_to_the_rate_too() -> None:
    """An attempt is a request, whether it is the first or not."""

    async def work() -> None:
        chain = FakeToncenter(always=status(500))
        one = reader(chain, per_s=1)
        results = await asyncio.gather(
            *(one.view(VAULT.raw, f"0:{number:064x}") for number in range(5)),
            return_exceptions=True,
        )
        assert all(isinstance(result, Unavailable) for result in results)
        assert min(gaps(chain)) >= 0.999
        await one.close()

    run(work())


def test_many_readers_of_one_recipient_make_one_request() -> None:
    """Asked together or shortly after, the answer is the same one, and tells its age."""

    async def work() -> None:
        chain = FakeToncenter()
        one = reader(chain, freshness=Freshness(view_s=2))
        views = await asyncio.gather(*(see(one) for _ in range(50)))
        assert len(set(views)) == 1
        assert chain.calls["v2 runGetMethod"] == 1
        await asyncio.sleep(1.5)
        sighting = await one.sighting(VAULT.raw, RECIPIENT.raw)
        assert (sighting.view, sighting.age_ms) == (views[0], 1_500)
        await asyncio.sleep(1)
        chain.pay(1, at_block=1)
        assert (await see(one)).seqno == 1
        assert (await one.sighting(VAULT.raw, RECIPIENT.raw)).age_ms == 0
        await one.close()

    run(work())


def test_a_caller_that_goes_away_leaves_the_answer_to_the_others() -> None:
    """And a failure that nobody waits for disturbs nobody."""

    async def work() -> None:
        chain = FakeToncenter(faults=[silent])
        one = reader(chain, limits=Limits(timeout_s=1))
        tasks = [asyncio.create_task(see(one)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1] == results[2] == ChainView(seqno=0, time_s=results[1].time_s)  # type: ignore[union-attr]
        alone = asyncio.create_task(one.view(VAULT.raw, OTHER.raw))
        chain.always = status(403)
        await asyncio.sleep(0)
        alone.cancel()
        await asyncio.sleep(5)
        await one.close()

    run(work())


def test_headers_of_blocks_are_shared_by_many_recipients() -> None:
    """At a request a second, a recipient costs one request and not two."""

    async def work() -> None:
        chain = FakeToncenter()
        one = reader(chain, freshness=Freshness(head_s=5))
        for number in range(20):
            await one.view(VAULT.raw, f"0:{number:064x}")
        assert chain.calls["v2 getBlockHeader"] == 1
        await one.close()

    run(work())


# Shapes

_words = st.text(max_size=8) | st.sampled_from(("num", "cell", "slice", "tuple", "null", "0x1"))
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=8,
)
_entries = st.lists(
    _json
    | st.tuples(_words, _json).map(list)
    | st.fixed_dictionaries({"type": _words, "value": _json})
    | st.fixed_dictionaries({"type": st.just("slice"), "value": st.binary().map(bytes.hex)}),
    max_size=5,
)
_answers = _json | st.fixed_dictionaries(
    {
        "exit_code": st.just(0) | _json,
        "stack": _entries | _json,
        "block_id": st.just({"workchain": -1, "seqno": 1_000}) | _json,
    }
)


@given(answer=_answers, url=st.sampled_from(VERSIONS), ask=st.sampled_from(("view", "inventory")))
def test_d16_any_answer_is_a_state_or_unavailable(answer: object, url: str, ask: str) -> None:
    """Wrong types, wrong shapes and wrong bags of cells never become another exception."""

    async def work() -> None:
        chain = FakeToncenter()

        def spoil(request: Any) -> Any:  # noqa: ANN401 - a fault
            if b"runGetMethod" not in request.content + request.url.raw_path:
                return None
            v2 = "/v3/" not in str(request.url)
            return status(200, {"ok": True, "result": answer} if v2 else answer)(request)

        chain.always = spoil
        one = reader(chain, url=url)
        try:
            found = await (see(one) if ask == "view" else one.inventory(VAULT.raw))
        except Unavailable:
            return
        finally:
            await one.close()
        if isinstance(found, ChainView):
            assert 0 <= found.seqno <= MAX_SEQNO
        else:
            assert found.jettons >= 0

    run(work())


@pytest.mark.parametrize("seqno", ["-0x1", hex(MAX_SEQNO + 1), "0x" + "f" * 65, "1e3", "", None])
def test_a_seqno_that_no_vault_has_is_unavailable(seqno: object) -> None:
    """It must fit in 64 bits and be no negative."""

    async def work() -> None:
        chain = FakeToncenter()
        chain.paid[RECIPIENT.raw] = [(1, 1)]
        one = reader(chain)

        def spoil(request: Any) -> Any:  # noqa: ANN401 - a fault
            if not request.url.path.endswith("runGetMethod"):
                return None
            block = {"workchain": -1, "seqno": 1_000}
            result = {"exit_code": 0, "stack": [["num", seqno]], "block_id": block}
            return status(200, {"ok": True, "result": result})(request)

        chain.always = spoil
        with pytest.raises(Unavailable):
            await see(one)
        await one.close()

    run(work())
