"""The chain of these tests pays by the deployed vault's rules, in their order."""

import asyncio
from typing import Any

import pytest

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.claims.ports import SignerRefused, SignerUnavailable
from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.ports import Unavailable
from aiba_domain.testing.chain import (
    GENESIS_S,
    VAULT,
    Cheque,
    Exit,
    ModelChain,
    ModelReader,
    ModelSigner,
    ModelVault,
    signature_of,
)
from aiba_domain.testing.strategies import wallet_of
from tests.unit.claims.support import some_terms

END = GENESIS_S + 600
STRANGER = wallet_of("stranger")


def message(terms: ClaimTerms, **fields: Any) -> Cheque:
    """Return the message that the vault pays, with what a test changes of it."""
    usual = {"sender": terms.recipient, "terms": terms, "signature": signature_of(terms)}
    return Cheque(**{**usual, **fields})


@pytest.mark.parametrize("now_s", [GENESIS_S, END - 1, END])
def test_the_vault_pays_up_to_the_second_of_validity(now_s: int) -> None:
    """The last second is still good, and one seqno is paid once."""
    vault = ModelVault(jettons=100)
    assert vault.receive(message(some_terms(amount=7)), now_s) is Exit.PAID
    assert (vault.jettons, vault.last_seqno(wallet_of("1"))) == (93, 1)
    assert vault.receive(message(some_terms(amount=7)), now_s) is Exit.SEQNO
    assert vault.paid == [some_terms(amount=7)]


def nothing(**fields: Any) -> ClaimTerms:
    """Return terms about nothing, which can't be made but might be sent."""
    terms = some_terms(**fields)
    object.__setattr__(terms, "amount", 0)
    return terms


@pytest.mark.parametrize(
    ("sent", "late_s", "ends"),
    [
        (message(nothing(seqno=2), sender=STRANGER, signature=""), 1, Exit.EXPIRED),
        (message(nothing(seqno=2), sender=STRANGER, signature=""), 0, Exit.AMOUNT),
        (message(some_terms(seqno=2), sender=STRANGER, signature=""), 0, Exit.SENDER),
        (message(some_terms(seqno=2), signature=""), 0, Exit.SEQNO),
        (message(some_terms(), signature=""), 0, Exit.SIGNATURE),
        (message(some_terms(vault=STRANGER)), 0, Exit.SIGNATURE),
        (message(some_terms(jetton_master=STRANGER)), 0, Exit.SIGNATURE),
        (message(some_terms(), signature=signature_of(some_terms(), b"other")), 0, Exit.SIGNATURE),
        (message(some_terms(amount=6), signature=signature_of(some_terms())), 0, Exit.SIGNATURE),
    ],
)
def test_the_vault_refuses_in_its_order(sent: Cheque, late_s: int, ends: Exit) -> None:
    """Expiry, amount, sender, seqno, signature: the first that is wrong is told, none is paid."""
    vault = ModelVault()
    assert vault.receive(sent, END + late_s) is ends
    assert (vault.paid, vault.last_seqno(wallet_of("1"))) == ([], 0)


def test_a_server_tells_seqno_and_time_of_one_block() -> None:
    """Whoever lags lags in both; nobody sees a block before it is told of it."""
    chain, terms = ModelChain(servers=2), some_terms()
    chain.send(message(terms))
    assert chain.block(10) == [Exit.PAID]
    assert chain.block(10) == []
    old = ChainView(seqno=0, time_s=GENESIS_S)
    assert [chain.view(terms.recipient, server=each) for each in (0, 1)] == [old, old]
    chain.sync(1, blocks=1)
    assert chain.view(terms.recipient, server=0) == old
    assert chain.view(terms.recipient, server=1) == ChainView(seqno=1, time_s=GENESIS_S + 10)
    chain.sync()
    assert chain.view(terms.recipient, server=0) == ChainView(seqno=1, time_s=GENESIS_S + 20)


def test_a_message_waits_for_the_block_that_takes_it() -> None:
    """A late block judges by its own time, and time never goes back."""
    chain = ModelChain()
    chain.send(message(some_terms()))
    assert chain.block(600, taken=0) == []
    assert chain.block(1) == [Exit.EXPIRED]
    with pytest.raises(ValueError, match="never earlier"):
        chain.block(-1)


def test_a_reader_answers_from_a_server_or_not_at_all() -> None:
    """A server that is down is an outage, never a state; another vault has paid nobody."""
    chain = ModelChain(servers=2)
    reader = ModelReader(chain, lambda: 1)
    chain.send(message(some_terms(amount=7)))
    chain.block()
    chain.sync()
    assert asyncio.run(reader.view(VAULT, wallet_of("1"))).seqno == 1
    assert asyncio.run(reader.view(STRANGER, wallet_of("1"))).seqno == 0
    assert asyncio.run(reader.inventory(VAULT)).jettons == 2**100 - 7
    reader.down.add(1)
    with pytest.raises(Unavailable):
        asyncio.run(reader.view(VAULT, wallet_of("1")))
    with pytest.raises(Unavailable):
        asyncio.run(reader.inventory(VAULT))


def test_a_signer_signs_a_seqno_anew_only_after_its_validity() -> None:
    """The same terms give the same signature; others for their seqno wait until those are void."""
    signer, terms = ModelSigner(), some_terms()

    def sign(**fields: Any) -> str:
        return asyncio.run(signer.sign(some_terms(**fields))).signature

    assert sign() == sign() == signature_of(terms)
    for other in ({"amount": 6}, {"valid_until_s": END + 600}):
        with pytest.raises(SignerRefused) as refusal:
            sign(**other)
        assert refusal.value.code == "seqno_already_signed"
    assert sign(valid_until_s=END + 601) != signature_of(terms)
    assert sign(seqno=2)
    signer.is_down = True
    with pytest.raises(SignerUnavailable):
        sign(seqno=2)


@pytest.mark.parametrize("field", ["vault", "jetton_master"])
def test_a_signer_signs_for_its_own_contracts(field: str) -> None:
    """Another vault or another jetton is refused by name."""
    with pytest.raises(SignerRefused) as refusal:
        asyncio.run(ModelSigner().sign(some_terms(**{field: STRANGER})))
    assert refusal.value.code == "contract_not_allowed"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("amount", (0, -1, MAX_AMOUNT + 1, True, 1.0)),
        ("seqno", (0, -1, MAX_SEQNO + 1, True, 1.0)),
        ("valid_until_s", (0, -1, MAX_VALID_UNTIL + 1, True, 1.0)),
    ],
)
def test_terms_that_no_vault_would_accept_can_t_be_made(field: str, wrong: tuple[Any, ...]) -> None:
    """Each number is an integer within its field of the cell."""
    for value in wrong:
        with pytest.raises(InvalidInput) as refusal:
            some_terms(**{field: value})
        assert refusal.value.field == field
    largest = {"amount": MAX_AMOUNT, "seqno": MAX_SEQNO, "valid_until_s": MAX_VALID_UNTIL}
    assert getattr(some_terms(**largest), field) == largest[field]
