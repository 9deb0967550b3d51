"""Wallets: one player each, and a change of wallet strands no claim."""

import asyncio
from typing import Any

import pytest

from aiba_domain.claims.claim import ClaimState
from aiba_domain.claims.commands import ConnectWallet
from aiba_domain.decision import Refused
from aiba_domain.errors import DomainError
from aiba_domain.testing.chain import Exit
from aiba_domain.testing.playground import call
from aiba_domain.testing.strategies import wallet_of
from tests.support.arena import code, codes, everything, player_of
from tests.unit.claims.support import LATE_S, Bank

ONE, TWO = wallet_of("wallet one"), wallet_of("wallet two")


def owner(bank: Bank, wallet: str) -> str | None:
    """Return whose wallet it is."""
    return bank.play.read(lambda read: read.wallet_owner(wallet))


def test_d13_a_wallet_belongs_to_one_player(bank: Bank) -> None:
    """A second player is refused with nothing changed, and gets it once it is given up."""
    bank.open("1", wallet=ONE)
    before = everything(bank.play, "1", "2")
    assert bank.play.play("2", ConnectWallet(address=ONE)).outcome == Refused(
        code="wallet already connected"
    )
    assert everything(bank.play, "1", "2") == before
    bank.open("1", wallet=TWO)
    assert (owner(bank, ONE), owner(bank, TWO)) == (None, "1")
    bank.open("2", wallet=ONE)
    assert (owner(bank, ONE), owner(bank, TWO)) == ("2", "1")
    assert player_of(bank.play, "2").wallet == ONE


def test_a_wallet_can_be_connected_again(bank: Bank) -> None:
    """Binding what is bound is harmless, as often as it is done."""
    for _ in range(3):
        reply = bank.play.play("1", ConnectWallet(address=ONE)).reply()
        assert reply.address == ONE
    assert owner(bank, ONE) == "1"


def test_d13_of_many_who_bind_one_wallet_at_once_one_gets_it(bank: Bank) -> None:
    """The others are refused, by the rule and not by a fault of the store."""
    calls = [call(str(number), ConnectWallet(address=ONE)) for number in range(1, 17)]
    results = bank.play.together(calls)
    assert codes(results) == {"ok": 1, "wallet already connected": 15}


def test_d13_claims_are_counted_by_wallet_not_by_player(bank: Bank) -> None:
    """A player with many claims on one wallet starts at seqno 1 on another, and goes on after."""
    bank.open("1", 100, wallet=ONE)
    for number in range(3):
        assert bank.send(bank.claim("1", 1, f"one-{number}")) is Exit.PAID
        bank.settle()
    bank.open("1", wallet=TWO)
    fresh = bank.claim("1", 1, "two")
    assert (fresh.terms.recipient, fresh.terms.seqno) == (TWO, 1)
    assert bank.send(fresh) is Exit.PAID
    bank.settle()
    bank.open("1", wallet=ONE)
    assert bank.claim("1", 1, "one-more").terms.seqno == 4


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_change_of_wallet_strands_no_claim(bank: Bank, *, is_paid: bool) -> None:
    """A claim goes on to the wallet it was made for, while the new wallet claims at once."""
    bank.open("1", 100, wallet=ONE)
    old = bank.claim("1", 30, "old")
    bank.open("1", wallet=TWO)
    new = bank.claim("1", 20, "new")
    assert (new.terms.recipient, new.terms.seqno) == (TWO, 1)
    assert bank.claim("1", 30, "old") == old
    assert bank.in_flight() == 50
    if is_paid:
        assert bank.send(old) is Exit.PAID
    assert bank.send(new) is Exit.PAID
    bank.wait(LATE_S)
    assert bank.settle() == 2
    assert bank.stored(new).state is ClaimState.CONFIRMED
    ended = ClaimState.CONFIRMED if is_paid else ClaimState.REFUNDED
    assert bank.stored(old).state is ended
    assert (bank.aiba("1"), bank.in_flight()) == (50 if is_paid else 80, 0)


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_wallet_that_changed_hands_waits_for_its_open_claim(bank: Bank, *, is_paid: bool) -> None:
    """The next owner's claim comes after the first owner's has ended, and each has own money."""
    bank.open("1", 100, wallet=ONE)
    first = bank.claim("1", 30)
    bank.open("1", wallet=TWO)
    bank.open("2", 100, wallet=ONE)
    assert bank.refusal("2", 40, "k").code == "pending_claim"
    if is_paid:
        assert bank.send(first) is Exit.PAID
    bank.wait(LATE_S)
    assert bank.settle() == 1
    second = bank.claim("2", 40, "k2")
    assert second.terms.seqno == (2 if is_paid else 1)
    assert bank.send(second) is Exit.PAID
    assert bank.settle() == 1
    assert (bank.aiba("1"), bank.aiba("2")) == (70 if is_paid else 100, 60)


def test_d13_two_players_never_share_a_seqno(bank: Bank) -> None:
    """While a wallet goes from player to player, each of its seqnos stands for one claim."""
    for player in "12":
        bank.open(player, 100)
    spares = {player: wallet_of(f"spare of {player}") for player in "12"}
    for turn in range(6):
        player, other = ("1", "2") if turn % 2 else ("2", "1")
        bank.open(other, wallet=spares[other])
        bank.open(player, wallet=ONE)
        bank.send(bank.claim(player, 1, f"k{turn}"))
        bank.settle()
    claims = [claim for player in "12" for claim in bank.claims(player)]
    assert sorted(claim.terms.seqno for claim in claims) == [1, 2, 3, 4, 5, 6]
    assert {claim.terms.recipient for claim in claims} == {ONE}


def test_a_wallet_may_change_while_it_claims(bank: Bank) -> None:
    """Whichever comes first: the claim goes to the wallet of its moment, or is refused."""
    bank.open("1", 100, wallet=ONE)

    async def together() -> list[Any]:
        connect = ConnectWallet(address=TWO)
        both = await asyncio.gather(
            bank.asking("1", 10, "k"),
            bank.play.pipeline.execute(call("1", connect).principal, connect),
            return_exceptions=True,
        )
        return list(both)

    claimed, connected = bank.play.run(together())
    assert code(connected) == "ok"
    if isinstance(claimed, DomainError):
        assert claimed.code == "wallet_required"
        assert bank.in_flight() == 0
    else:
        assert claimed.reply().claim.terms.recipient == ONE
