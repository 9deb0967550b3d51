"""The chain's metrics: each series moves for its cause, and none is there before it is known."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, Self, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from aiba_adapters.toncenter.client import Limits
from aiba_adapters.toncenter.meter import METHODS
from aiba_adapters.toncenter.reader import Freshness, ToncenterReader
from aiba_domain.application.purchases import Purchases
from aiba_domain.application.withdrawals import Contracts, InFlight, Withdrawals
from aiba_domain.claims.claim import ChainView, ClaimState
from aiba_domain.claims.ports import Inventory, Sighting
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.leases.model import Lease, LeaseLost
from aiba_domain.leases.ports import Leases
from aiba_domain.payments.judgement import NOT_VERIFIED, Fault
from aiba_domain.ports import Unavailable
from aiba_domain.testing.doubles import SettableClock
from aiba_entry.chain import (
    INVENTORY_TURNS,
    SETTLE_SECONDS,
    SETTLEMENT,
    SETTLEMENT_MS,
    Keeper,
)
from aiba_entry.chain_metrics import ChainMetrics, Settled
from aiba_entry.duty import Duty
from aiba_entry.metering import make_metrics
from aiba_entry.observability import Metrics
from aiba_entry.shop import BrokerShop
from aiba_entry.vaults import Vaults
from tests.support.leases import memory_leases
from tests.support.virtual_time import now, run
from tests.unit.toncenter.fake import (
    RECIPIENT,
    VAULT,
    FakeToncenter,
    broken,
    reader,
    silent,
    status,
    text,
)

NO_CACHE: Final = Freshness(view_s=-1, inventory_s=-1, head_s=-1, wallet_s=-1)
ONCE: Final = Limits(attempts=1)


class Watch:
    """A registry of its own with the metrics in it, read as series and their values."""

    def __init__(self) -> None:
        """Start with nothing counted, at second 0."""
        self.registry = CollectorRegistry()
        self.seconds = 0.0
        self.chain = ChainMetrics(self.registry, monotonic=lambda: self.seconds)

    def series(self, name: str) -> dict[str, float]:
        """Return a metric's values by its labels, as they are exported."""
        lines = generate_latest(self.registry).decode().splitlines()
        found = (re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line) for line in lines)
        return {match[1] or "": float(match[2]) for match in found if match}


def requests(watch: Watch) -> dict[str, float]:
    """Return the requests by result."""
    found: dict[str, float] = {}
    for labels, value in watch.series("aiba_ton_requests_total").items():
        result = labels.rpartition('result="')[2].rstrip('"')
        found[result] = found.get(result, 0) + value
    return found


async def try_view(one: ToncenterReader) -> None:
    """Look at the recipient, whatever comes of it."""
    try:
        await one.view(VAULT.raw, RECIPIENT.raw)
    except Unavailable:
        return


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (status(429), "rate_limited"),
        (status(503), "fault"),
        (status(401), "refused"),
        (status(404), "not_found"),
        (silent, "timeout"),
        (broken, "unreachable"),
        (text("<html>"), "nonsense"),
        (text("[]"), "nonsense"),
        (status(200, {"ok": False, "code": 429}), "rate_limited"),
    ],
)
def test_each_way_a_request_can_end_has_its_result(fault: object, result: str) -> None:
    """One attempt that fails counts once, under what it failed with, the method and the role."""
    watch = Watch()

    async def work() -> None:
        chain = FakeToncenter(faults=[cast("Callable[..., Awaitable[None]]", fault)])
        one = reader(chain, limits=ONCE, meter=watch.chain)
        await try_view(one)
        await one.close()

    run(work())
    labels = f'method="runGetMethod",provider="primary",result="{result}"'
    assert watch.series("aiba_ton_requests_total") == {labels: 1}
    labels = 'method="runGetMethod",provider="primary"'
    assert watch.series("aiba_ton_request_duration_seconds_count") == {labels: 1}
    labels = 'provider="primary",question="seqno",result="unavailable"'
    assert watch.series("aiba_ton_answers_total") == {labels: 1}
    assert watch.series("aiba_ton_block_seqno") == {}


def test_retries_waits_and_what_was_never_sent_are_told_apart() -> None:
    """At one request a second: a retry, waits for tokens, and callers that can't wait so long."""
    watch = Watch()

    async def work() -> None:
        chain = FakeToncenter(faults=[status(500)])
        one = reader(chain, per_s=1, limits=Limits(patience_s=3), meter=watch.chain)
        await try_view(one)
        others = (one.view(VAULT.raw, f"0:{number:064x}") for number in range(9))
        await asyncio.gather(*others, return_exceptions=True)
        await one.close()

    run(work())
    assert sum(watch.series("aiba_ton_retries_total").values()) == 1
    assert watch.series("aiba_ton_token_wait_seconds_count")['provider="primary"'] >= 3
    counts = requests(watch)
    assert counts["fault"] == 1
    assert counts["not_sent"] >= 1
    timed = sum(watch.series("aiba_ton_request_duration_seconds_count").values())
    assert timed == sum(counts.values()) - counts["not_sent"]


def test_a_switch_of_provider_is_counted_once_each_way() -> None:
    """The fallback answers three times: one switch. The first comes back: another one."""
    watch = Watch()

    async def work() -> None:
        first, second = FakeToncenter(always=status(500)), FakeToncenter()
        fresh = Freshness(view_s=-1, rest_s=30)
        one = reader(first, second, limits=ONCE, freshness=fresh, meter=watch.chain)
        for _ in range(3):
            await one.view(VAULT.raw, RECIPIENT.raw)
        assert watch.series("aiba_ton_provider_switches_total") == {"": 1}
        first.always = None
        await asyncio.sleep(31)
        await one.view(VAULT.raw, RECIPIENT.raw)
        await one.close()

    run(work())
    assert watch.series("aiba_ton_provider_switches_total") == {"": 2}
    answers = watch.series("aiba_ton_answers_total")
    assert answers == {
        'provider="primary",question="seqno",result="unavailable"': 1,
        'provider="fallback",question="seqno",result="ok"': 3,
        'provider="primary",question="seqno",result="ok"': 1,
    }


@pytest.mark.parametrize(
    ("chain", "result"),
    [
        (FakeToncenter(lags=(500,)), "stale"),
        (FakeToncenter(network=-3), "wrong_network"),
        (FakeToncenter(jettons="much"), "nonsense"),
    ],
)
def test_an_answer_that_is_not_believed_says_why(chain: FakeToncenter, result: str) -> None:
    """The requests went well; the answer is old, of another network, or makes no sense."""
    watch = Watch()

    async def work() -> None:
        one = reader(chain, meter=watch.chain)
        with pytest.raises(Unavailable):
            await one.inventory(VAULT.raw)
        await one.close()

    run(work())
    assert requests(watch).keys() == {"ok"}
    labels = f'provider="primary",question="inventory",result="{result}"'
    assert watch.series("aiba_ton_answers_total") == {labels: 1}


def test_what_was_seen_stays_with_its_age() -> None:
    """Block, TON and jettons are absent, then known, then grow old until they are read again."""
    watch = Watch()
    gauges = ("aiba_ton_block_seqno", "aiba_vault_ton_nano", "aiba_vault_jettons")
    assert all(watch.series(name) == {} for name in gauges)

    async def work() -> None:
        one = reader(FakeToncenter(), freshness=NO_CACHE, meter=watch.chain)
        await one.view(VAULT.raw, RECIPIENT.raw)
        assert watch.series("aiba_vault_ton_nano") == {}
        await one.inventory(VAULT.raw)
        watch.seconds = 12.5
        await one.view(VAULT.raw, RECIPIENT.raw)
        await one.close()

    run(work())
    assert [watch.series(name) for name in gauges] == [{"": 1_000}, {"": 5 * 10**9}, {"": 1_000}]
    assert watch.series("aiba_ton_block_age_seconds") == {"": 0}
    assert watch.series("aiba_vault_inventory_age_seconds") == {"": 12.5}


def test_every_method_that_is_asked_for_has_its_name() -> None:
    """Version 2 and 3, seqno, inventory and payment: no request counts as `other`."""
    watch = Watch()

    async def work() -> None:
        for version in ("v2", "v3"):
            url = f"https://toncenter.example/api/{version}"
            one = reader(FakeToncenter(), url=url, freshness=NO_CACHE, meter=watch.chain)
            await one.view(VAULT.raw, RECIPIENT.raw)
            await one.inventory(VAULT.raw)
            await one.payment("0" * 64, to=VAULT.raw, since_s=0)
            await one.close()

    run(work())
    asked = {
        re.search(r'method="(\w+)"', labels)[1]  # type: ignore[index]
        for labels in watch.series("aiba_ton_requests_total")
    }
    assert asked <= set(METHODS)
    assert {"runGetMethod", "getTransactions", "masterchainInfo", "transactions"} <= asked


# --- the settlement ---


class Bank:
    """Withdrawals whose settlement goes as the test wants it."""

    def __init__(self) -> None:
        """Settle nothing, without a fault."""
        self.fault: Exception | None = None
        self.count_fault: Exception | None = None
        self.flying = InFlight(count={}, oldest_at=None)
        self.runs: list[float] = []

    def under(self, lease: Lease) -> Self:
        """Settle while somebody holds the lease, whoever it is."""
        del lease
        return self

    async def settle_all(self) -> int:
        """Settle, or fail."""
        self.runs.append(now())
        if self.fault:
            raise self.fault
        return 1

    async def in_flight(self) -> InFlight:
        """Return what is in flight, or fail."""
        if self.count_fault:
            raise self.count_fault
        return self.flying


class Chain:
    """A vault that is down or holds something."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.is_down = False
        self.looks: list[float] = []

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        """Return what is seen of a recipient."""
        del vault, recipient
        if self.is_down:
            raise Unavailable("down")
        return Sighting(view=ChainView(seqno=4, time_s=100), block=9, age_ms=0)

    async def inventory(self, vault: str) -> Inventory:
        """Return what the vault holds."""
        del vault
        self.looks.append(now())
        if self.is_down:
            raise Unavailable("down")
        return Inventory(ton_nano=1, jetton_wallet=VAULT.raw, jettons=2)


def keeper(
    bank: Bank,
    chain: Chain,
    watch: Watch,
    now_ms: int = 50_000,
    *,
    leases: Leases | None = None,
    holder: str = "me",
) -> Keeper:
    """Return a keeper at a fixed instant, who shares the work with those on the same leases."""
    duty = Duty(leases or memory_leases(), SETTLEMENT, holder=holder, ttl_ms=SETTLEMENT_MS)
    return Keeper(
        withdrawals=cast("Withdrawals", bank),
        duty=duty,
        vault=VAULT.raw,
        chain=chain,
        metrics=watch.chain,
        now_ms=lambda: now_ms,
    )


def test_runs_of_the_settlement_count_by_how_they_ended() -> None:
    """Done, held up, or broken; only one that got through is the last success."""
    watch, bank = Watch(), Bank()
    runs = "aiba_settlement_runs_total"
    success = "aiba_settlement_last_success_timestamp_seconds"
    for fault in (Unavailable("down"), InvariantViolation("broken"), RuntimeError("odd")):
        bank.fault = fault
        asyncio.run(keeper(bank, Chain(), watch).settle())
    assert watch.series(runs) == {'result="postponed"': 1, 'result="failed"': 2}
    assert watch.series(success) == {}
    bank.fault = None
    asyncio.run(keeper(bank, Chain(), watch).settle())
    assert watch.series(runs)['result="ok"'] == 1
    assert watch.series(success) == {"": 50}


def test_waiting_claims_are_counted_though_nothing_is_settled() -> None:
    """By state, with the age of the oldest, which grows between runs and ends with the claim."""
    watch, bank = Watch(), Bank()
    age = "aiba_claims_oldest_open_age_seconds"
    assert watch.series("aiba_claims_open") == watch.series(age) == {}
    bank.fault = Unavailable("down")
    bank.flying = InFlight(count={ClaimState.SIGNED: 3}, oldest_at=20_000)
    asyncio.run(keeper(bank, Chain(), watch).settle())
    assert watch.series("aiba_claims_open") == {'state="reserved"': 0, 'state="signed"': 3}
    watch.seconds = 5
    assert watch.series(age) == {"": 35}
    bank.count_fault = Unavailable("store")
    asyncio.run(keeper(bank, Chain(), watch).settle())
    assert watch.series(age) == {"": 35}
    bank.flying, bank.count_fault = InFlight(count={}, oldest_at=None), None
    asyncio.run(keeper(bank, Chain(), watch).settle())
    assert watch.series(age) == {"": 0}
    assert watch.series("aiba_claims_open") == {'state="reserved"': 0, 'state="signed"': 0}


def test_the_vault_is_looked_at_once_a_minute_and_may_be_down() -> None:
    """The settlement goes on at its pace, whatever the vault's reading comes to."""
    bank, chain = Bank(), Chain()
    chain.is_down = True

    async def work() -> None:
        task = asyncio.create_task(keeper(bank, chain, Watch()).work_for_ever())
        await asyncio.sleep(2 * INVENTORY_TURNS * SETTLE_SECONDS - 1)
        task.cancel()

    run(work())
    assert len(bank.runs) == 2 * INVENTORY_TURNS
    assert chain.looks == [0, INVENTORY_TURNS * SETTLE_SECONDS]


def test_of_two_processes_one_settles_and_the_other_takes_over_when_it_is_gone() -> None:
    """The one on standby asks nothing of the chain; a late one doesn't count as broken."""
    clock = SettableClock()
    leases = memory_leases(clock)
    (one, first), (other, second) = ((Bank(), Watch()) for _ in range(2))
    runs, waiting = "aiba_settlement_runs_total", "aiba_claims_open"

    async def work() -> None:
        keepers = [
            keeper(bank, Chain(), watch, leases=leases, holder=holder)
            for bank, watch, holder in ((one, first, "one"), (other, second, "other"))
        ]
        for _ in range(3):
            for each in keepers:
                await each.settle()
        assert first.series(waiting)
        assert second.series(waiting) == {}
        clock.advance(SETTLEMENT_MS)
        await keepers[1].settle()
        await keepers[0].settle()

    run(work())
    assert first.series(runs) == {'result="ok"': 3, 'result="elsewhere"': 1}
    assert second.series(runs) == {'result="elsewhere"': 3, 'result="ok"': 1}
    assert (len(one.runs), len(other.runs)) == (3, 1)
    assert first.series(waiting) == {}
    assert second.series(waiting)


def test_a_settlement_that_lost_its_lease_is_postponed() -> None:
    """Nothing is wrong: another process goes on with it."""
    watch, bank = Watch(), Bank()
    bank.fault = LeaseLost(SETTLEMENT)
    run(keeper(bank, Chain(), watch).settle())
    assert watch.series("aiba_settlement_runs_total") == {'result="postponed"': 1}


# --- the service's own reads, payments ---


def series_of(metrics: Metrics, name: str) -> dict[str, float]:
    """Return a metric's values by its labels."""
    lines = metrics.render().decode().splitlines()
    found = (re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line) for line in lines)
    return {match[1]: float(match[2]) for match in found if match}


def test_public_reads_count_by_route_and_result() -> None:
    """Each of the three routes, going well and with the provider down."""
    metrics, chain = make_metrics(()), Chain()
    vaults = Vaults(metrics)
    with pytest.raises(DomainError):
        asyncio.run(vaults.inventory())
    assert b"aiba_vault_reads" not in metrics.render()
    vaults.configure(
        withdrawals=cast("Withdrawals", None),
        chain=chain,
        contracts=Contracts(vault=VAULT.raw, jetton_master=VAULT.raw),
        min_ton_nano=5,
    )

    async def read_all() -> None:
        await vaults.last_seqno(RECIPIENT.raw)
        await vaults.inventory()
        await vaults.standing(RECIPIENT.raw, seqno=4, valid_until_s=1, amount=0)
        await vaults.standing(RECIPIENT.raw, seqno=5, valid_until_s=999, amount=0)

    asyncio.run(read_all())
    chain.is_down = True
    for work in (
        vaults.last_seqno(RECIPIENT.raw),
        vaults.inventory(),
        vaults.standing(RECIPIENT.raw, seqno=4, valid_until_s=1, amount=0),
    ):
        with pytest.raises(Unavailable):
            asyncio.run(work)
    assert series_of(metrics, "aiba_vault_reads_total") == {
        'result="ok",route="last_seqno"': 1,
        'result="ok",route="inventory"': 1,
        'result="confirmed",route="claim_status"': 1,
        'result="insufficient_ton",route="claim_status"': 1,
        'result="unavailable",route="last_seqno"': 1,
        'result="unavailable",route="inventory"': 1,
        'result="unavailable",route="claim_status"': 1,
    }


class Refusing:
    """Purchases that fail with what they are told."""

    def __init__(self, fault: Exception) -> None:
        """Fail with `fault`."""
        self.fault = fault

    async def create_broker(self, principal: Principal, tx_hash: object) -> object:
        """Fail."""
        del principal, tx_hash
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        *((DomainError(NOT_VERIFIED, reason=fault.value), fault.value) for fault in Fault),
        (DomainError("txHash already used"), "used"),
        (Unavailable("down"), "unavailable"),
        (DomainError("banned", reason="amount"), None),
    ],
)
def test_payments_count_by_what_they_were_judged(fault: Exception, result: str | None) -> None:
    """Each reason has its name; a refusal that isn't about the payment is none of it."""
    metrics = make_metrics(())
    shop = BrokerShop(metrics)
    shop.open(cast("Purchases", Refusing(fault)))
    with pytest.raises(type(fault)):
        asyncio.run(shop.buy(Principal(id="1"), "0" * 64))
    expected = {} if result is None else {f'result="{result}"': 1}
    assert series_of(metrics, "aiba_payments_judged_total") == expected


def test_no_text_from_outside_makes_a_series() -> None:
    """Whatever is counted, the labels stay within their sets."""
    watch = Watch()
    for number in range(100):
        word = f"x{number}"
        watch.chain.claim_moved(word)
        watch.chain.payment(word)
        watch.chain.proof(word)
    watch.chain.settled(Settled.OK, 1)
    for name in ("claims_moved", "payments_judged", "wallet_proofs"):
        assert [*watch.series(f"aiba_{name}_total").values()] == [100]
