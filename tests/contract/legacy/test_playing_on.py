"""Playing on an imported store: balances, battles, training, claims, and what was used before."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiba_adapters.memory import MemoryStore
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.receipt import from_json, to_json, verify
from aiba_domain.brokers.commands import GetStarter, Train
from aiba_domain.brokers.model import Stat
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.claim import ChainView, ClaimState
from aiba_domain.claims.commands import ReserveClaim, SettleClaim
from aiba_domain.decision import Refused
from aiba_domain.economy.ledger import CHAIN, CLAIMS
from aiba_domain.errors import DomainError
from aiba_domain.money import Currency
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.ports import Reader, Store
from aiba_domain.signing import interchange_json
from aiba_domain.testing.playground import Playground
from aiba_entry.backups.claims import (
    ClaimBook,
    by_signer,
    moves_claims,
    on_chain,
    read_claims,
)
from tests.contract.legacy.support import NOW, imported, wish
from tests.support.node_layout import HASH, MASTER, SIGNATURE, VAULT, WALLETS, MemorySource, sound


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Playground]:
    """Give the service over a store with sound rows imported."""

    async def opened() -> Store:
        store = MemoryStore()
        await imported(MemorySource(sound()), store, wish(tmp_path))
        return store

    site = Playground(opened, now=NOW)
    yield site
    assert site.audit().is_sound
    site.close()


def broker_of(site: Playground, player: str) -> str:
    """Return a player's newest broker."""
    return site.read(lambda read: read.brokers_of(player))[0].id


def test_balances_go_on_and_the_mode_and_policy_are_those_of_before(site: Playground) -> None:
    """Training costs what the operator had set, out of the balance that came over."""
    assert site.balances("100") == {"AIBA": 1_000, "NEUR": 475, "STARS": 3, "DIAMONDS": 1}
    site.play("100", Train(broker_id=broker_of(site, "100"), stat=Stat.RISK), "new").reply()
    assert site.balances("100")[Currency.NEUR] == 475 - 30
    mode = site.read(lambda read: read.mode("prediction"))
    assert mode is not None
    assert mode.energy_cost == 12


def test_a_battle_is_fought_and_the_old_ones_are_in_the_history(site: Playground) -> None:
    """Old battles are marked as such, new ones are under an epoch of this service."""
    fought = site.play(
        "100", RunBattle(broker_id=broker_of(site, "100"), mode_key="prediction"), "n"
    )
    assert not isinstance(fought.outcome, Refused)
    battles = site.read(lambda read: read.battles_of("100", before=None, limit=5))
    assert [battle.is_legacy for battle in battles] == [False, True]
    assert battles[1].receipt.inputs.request_id == "fight-0"
    assert battles[1].receipt.grant.aiba == 120
    # Told as any other, and no secret makes it a genuine one.
    assert from_json(to_json(battles[1].receipt)) == battles[1].receipt
    assert verify(battles[1].receipt, "any secret")


def test_d06_a_key_used_before_is_used_for_ever(site: Playground) -> None:
    """Neither a battle nor a training can be had again by its old key."""
    mine = broker_of(site, "100")
    for command, key in (
        (RunBattle(broker_id=mine, mode_key="prediction"), "fight-0"),
        (Train(broker_id=mine, stat=Stat.RISK), "train-1"),
    ):
        with pytest.raises(DomainError, match="already used"):
            site.play("100", command, key)


def test_d11_who_had_brokers_gets_no_starter(site: Playground) -> None:
    """The first broker counts as the starter; who had none gets one."""
    assert isinstance(site.play("100", GetStarter()).outcome, Refused)
    assert not isinstance(site.play("104", GetStarter()).outcome, Refused)


def test_a_ban_binds(site: Playground) -> None:
    """Who was banned there is banned here."""
    refused = site.play("105", GetStarter()).outcome
    assert isinstance(refused, Refused)
    assert refused.code == "banned"


@pytest.mark.parametrize("tx_hash", [HASH, "d4" * 32, "e5" * 32, "f6" * 32])
def test_d19_a_payment_used_before_pays_nothing(site: Playground, tx_hash: str) -> None:
    """Whatever it paid for there, and whoever brings it."""
    payment = IncomingPayment(
        hash=tx_hash,
        network=-239,
        source=WALLETS[1],
        destination=WALLETS[0],
        value_nano=10**12,
        comment="aiba:create-broker:101",
        is_bounced=False,
        time_s=NOW // 1_000,
    )
    command = CreateBrokerWithTon(
        tx_hash=tx_hash, destination=WALLETS[0], network=-239, payment=payment
    )
    refused = site.play("101", command).outcome
    assert isinstance(refused, Refused)
    assert refused.code == "txHash already used"


def test_claims_are_paid_or_given_back_by_the_chain_alone(site: Playground) -> None:
    """Below the last seqno they are paid; the last is paid or refunded, once."""
    flying = site.read(lambda read: read.open_claims(after=None, limit=9))
    assert {(claim.player_id, claim.terms.seqno) for claim in flying} == {
        ("101", 2),
        ("102", 1),
        ("103", 1),
    }
    assert all(claim.state is ClaimState.SIGNED for claim in flying)
    earlier = site.read(lambda read: read.claims_of("101", before=None, limit=9))[-1]
    assert earlier.state is ClaimState.CONFIRMED
    by_player = {claim.player_id: claim for claim in flying}
    late = by_player["101"].terms.valid_until_s + 10_000
    for player, seqno in (("101", 2), ("102", 0)):
        for _ in range(2):
            seen = ChainView(seqno=seqno, time_s=late)
            site.operate(SettleClaim(claim_id=by_player[player].id, seen=seen))
    assert site.balances("101")[Currency.AIBA] == 1_001 - 300
    assert site.balances("102")[Currency.AIBA] == 1_002
    held = site.read(lambda read: read.accounts())
    assert held[CHAIN, Currency.AIBA] == 300
    assert held[CLAIMS, Currency.AIBA] == 120


def test_d80_a_repeated_withdrawal_gives_the_claim_that_came_over(site: Playground) -> None:
    """Its key stands for the same claim, signature included, and nothing is debited again."""
    command = ReserveClaim(
        amount=200,
        vault=VAULT,
        jetton_master=MASTER,
        recipient=WALLETS[1],
        seen=ChainView(seqno=1, time_s=NOW // 1_000),
    )
    before = site.balances("101")
    claim = site.play("101", command, "claim-51").reply().claim
    assert (claim.terms.seqno, claim.terms.amount, claim.signature) == (2, 200, SIGNATURE)
    assert site.balances("101") == before


def test_a_drill_finds_the_claims_sound_and_the_signer_up_to_them(tmp_path: Path) -> None:
    """What a drill asks of claims, ledger and signer holds for those that came over."""
    store, memory = MemoryStore(), tmp_path / "memory.json"
    asked = replace(wish(tmp_path), signer_memory=memory)
    asyncio.run(imported(MemorySource(sound()), store, asked))

    async def look(read: Reader) -> ClaimBook:
        return await read_claims(read, [each for each in read.entries() if moves_claims(each)])

    book = asyncio.run(store.read(look))
    assert book.faults == ()
    assert len(book.claims) == 4
    protection = interchange_json.read(memory.read_text(encoding="utf-8"))
    findings = by_signer(book, protection, None, time_s=0)
    assert findings.faults == findings.lost == ()
    assert len(protection.claims) == 3
    seen = {target: ChainView(seqno=1, time_s=0) for target in book.recipients}
    assert on_chain(book, seen, None).faults == ()


def test_the_days_emission_counts_against_its_caps(site: Playground) -> None:
    """What the service before emitted on a day is what this one knows of the day."""
    emitted = site.read(lambda read: read.emitted("2026-01-10"))
    assert emitted[Currency.AIBA].total == 6_015
    assert emitted[Currency.AIBA].by_arena["prediction"] == 5_000


def test_wallets_must_be_proven_anew(site: Playground) -> None:
    """D-13: an address that somebody has typed is nobody's."""
    assert site.read(lambda read: read.wallet_owner(WALLETS[0])) is None
