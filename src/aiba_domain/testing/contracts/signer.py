"""What a signer owes: one answer for the same terms, and never two payments under one seqno.

A signer that stands alone owes more, by its policy and its memory: `protected_signer`.
"""

import asyncio
import binascii
from abc import abstractmethod
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from aiba_domain.claims.model import MAX_SEQNO, ClaimTerms
from aiba_domain.claims.ports import SignedClaim, Signer, SignerRefused, SignerUnavailable
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

_NOW_S: Final = 1_767_268_800
_SIGNATURE_BYTES: Final = 64
_ATTEMPTS: Final = st.lists(
    st.tuples(
        st.integers(1, 2),  # seqno
        st.integers(1, 3),  # amount
        st.sampled_from((0, 1, VALIDITY_S - 1, VALIDITY_S, VALIDITY_S + EXPIRY_MARGIN_S + 1)),
    ),
    max_size=8,
)


class Desk:
    """A signer with synchronous helpers around it, on one event loop."""

    def __init__(self, runner: asyncio.Runner, signer: Signer, contracts: tuple[str, str]) -> None:
        """Serve `signer`, which was opened inside `runner`."""
        self.runner = runner
        self.signer = signer
        self._vault, self._jetton_master = contracts
        self._count = 0

    def terms(self, **changes: Any) -> ClaimTerms:
        """Return terms for a recipient that nothing was signed for yet."""
        self._count += 1
        fresh = ClaimTerms(
            vault=self._vault,
            jetton_master=self._jetton_master,
            recipient=strategies.wallet_of(f"recipient {self._count}"),
            amount=1_000,
            seqno=1,
            valid_until_s=_NOW_S + VALIDITY_S,
        )
        return replace(fresh, **changes)

    def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign."""
        return self.runner.run(self.signer.sign(terms))

    def signs(self, terms: ClaimTerms) -> bool:
        """Sign if the signer will; a refusal is the one other answer."""
        try:
            signed = self.sign(terms)
        except SignerRefused:
            return False
        same(signed.terms, terms, "the terms that were signed")
        return True


class SignerContract(PortContract):
    """Subclass, say how to open a signer, and for which contracts it signs, as raw addresses.

    `verifiable`: `accepts` judges a signature as the vault will. `serializable`: claims at once are
    signed one after another. `reopen`: what was signed is remembered after `release` and a new
    opening on the same `folder`. `shared`: so do several signers that are open at once. `faults`:
    `outage(signer)` keeps it from signing while it is entered.
    """

    port = "Signer"
    version = "1.0"
    vault: ClassVar[str]
    jetton_master: ClassVar[str]

    @abstractmethod
    async def open_signer(self, folder: Path) -> Signer:
        """Open a signer; `folder` is of this test alone, and empty at first."""

    def accepts(self, signed: SignedClaim) -> bool:
        """Judge as the vault will whether a signature is the oracle's, for these very terms.

        To be given with the capability `verifiable`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no accepts() for {signed.terms}")

    @pytest.fixture(name="signer")
    def _signer(self, runner: asyncio.Runner, opening: Opening, tmp_path: Path) -> Iterator[Desk]:
        with opening:
            signer = runner.run(self.open_signer(tmp_path))
        desk = Desk(runner, signer, (self.vault, self.jetton_master))
        yield desk
        runner.run(self.release(desk.signer))

    @base
    def test_a_claim_is_signed(self, signer: Desk) -> None:
        """The answer holds the terms, a signature of 64 bytes and a cell, both as base64."""
        terms = signer.terms()
        signed = signer.sign(terms)
        same(signed.terms, terms, "the terms")
        same(len(_bytes(signed.signature)), _SIGNATURE_BYTES, "bytes of the signature")
        holds(_bytes(signed.payload), "there is a payload")

    @broad()
    @given(amount=st.integers(1, MAX_AMOUNT), seqno=st.integers(1, MAX_SEQNO))
    def test_the_same_terms_give_the_same_answer(
        self, signer: Desk, amount: int, seqno: int
    ) -> None:
        """However often, so that a lost answer can be asked for again."""
        terms = signer.terms(amount=amount, seqno=seqno)
        first = signer.sign(terms)
        same(signer.sign(terms), first, "the second answer")

    def test_other_terms_have_another_signature(self, signer: Desk) -> None:
        """Every field is signed: whatever is changed, the signature is another one."""
        recipient = signer.terms().recipient
        made = [
            signer.terms(recipient=recipient),
            signer.terms(),
            signer.terms(amount=1_001),
            signer.terms(seqno=2),
            signer.terms(valid_until_s=_NOW_S + VALIDITY_S - 1),
        ]
        signatures = [signer.sign(terms).signature for terms in made]
        same(len(set(signatures)), len(made), "different signatures")

    @broad()
    @given(attempts=_ATTEMPTS)
    def test_no_two_claims_under_one_seqno_can_both_be_paid(
        self, signer: Desk, attempts: list[tuple[int, int, int]]
    ) -> None:
        """Whatever is asked in whatever order: other terms only once the first have expired."""
        recipient = signer.terms().recipient
        signed: list[ClaimTerms] = []
        for seqno, amount, later_s in attempts:
            terms = signer.terms(
                recipient=recipient,
                seqno=seqno,
                amount=amount,
                valid_until_s=_NOW_S + VALIDITY_S + later_s,
            )
            if signer.signs(terms):
                signed.append(terms)
        for first, other in combinations(dict.fromkeys(signed), 2):
            overlap = other.valid_until_s - VALIDITY_S <= first.valid_until_s
            back = first.valid_until_s - VALIDITY_S <= other.valid_until_s
            holds(
                first.seqno != other.seqno or not (overlap and back),
                f"under seqno {first.seqno} {first.amount} until {first.valid_until_s} and "
                f"{other.amount} until {other.valid_until_s} are not both signed",
            )

    def test_a_seqno_stands_for_its_first_terms_while_they_may_be_paid(self, signer: Desk) -> None:
        """Another amount or another end is refused; the first terms, and the next seqno, aren't."""
        terms = signer.terms()
        signer.sign(terms)
        for other in (
            replace(terms, amount=terms.amount + 1),
            replace(terms, valid_until_s=terms.valid_until_s + 1),
        ):
            with pytest.raises(SignerRefused):
                signer.sign(other)
        holds(signer.signs(terms), "the first terms are signed again")
        holds(signer.signs(replace(terms, seqno=2, amount=7)), "the next seqno is signed")

    def test_other_contracts_are_refused(self, signer: Desk) -> None:
        """A signature for another vault or jetton is never made."""
        other = strategies.wallet_of("another contract")
        for terms in (signer.terms(vault=other), signer.terms(jetton_master=other)):
            with pytest.raises(SignerRefused) as refused:
                signer.sign(terms)
            holds(refused.value.code, "a refusal has a code")

    @needs(Capability.VERIFIABLE)
    @broad()
    @given(amount=st.integers(1, MAX_AMOUNT), seqno=st.integers(1, MAX_SEQNO), more=st.booleans())
    def test_the_vault_accepts_what_is_signed_and_nothing_else(
        self, signer: Desk, amount: int, seqno: int, *, more: bool
    ) -> None:
        """The signature holds for its own terms; with any field changed it is worth nothing."""
        terms = signer.terms(amount=amount, seqno=seqno)
        signed = signer.sign(terms)
        holds(self.accepts(signed), "the vault accepts the signature")
        step = 1 if more and amount < MAX_AMOUNT else -1
        for changed in (
            replace(terms, amount=amount + step) if amount + step else None,
            replace(terms, seqno=seqno - 1) if seqno > 1 else None,
            replace(terms, recipient=signer.terms().recipient),
            replace(terms, valid_until_s=terms.valid_until_s + 1),
        ):
            if changed is not None:
                forged = replace(signed, terms=changed)
                holds(not self.accepts(forged), f"the vault refuses the signature for {changed}")

    @needs(Capability.SERIALIZABLE)
    def test_of_claims_at_once_under_one_seqno_one_is_signed(self, signer: Desk) -> None:
        """Whoever comes first; the others are refused."""
        terms = signer.terms()
        rivals = [replace(terms, amount=amount) for amount in range(1, 17)]

        async def at_once() -> list[Any]:
            return await asyncio.gather(*map(signer.signer.sign, rivals), return_exceptions=True)

        results = signer.runner.run(at_once())
        kinds = sorted(type(result).__name__ for result in results)
        same(kinds, ["SignedClaim"] + ["SignerRefused"] * 15, "the answers")

    @needs(Capability.REOPEN)
    def test_what_was_signed_is_remembered_after_a_restart(
        self, signer: Desk, tmp_path: Path
    ) -> None:
        """Other terms stay refused, and the same terms keep their answer."""
        terms = signer.terms()
        first = signer.sign(terms)
        signer.runner.run(self.release(signer.signer))
        signer.signer = signer.runner.run(self.open_signer(tmp_path))
        holds(not signer.signs(replace(terms, amount=7)), "other terms stay refused")
        same(signer.sign(terms), first, "the answer after a restart")

    @needs(Capability.SHARED)
    def test_two_signers_on_one_memory_sign_one_claim(self, signer: Desk, tmp_path: Path) -> None:
        """What the one has signed, the other refuses to sign otherwise."""
        other = signer.runner.run(self.open_signer(tmp_path))
        terms = signer.terms()
        signer.sign(terms)
        with pytest.raises(SignerRefused):
            signer.runner.run(other.sign(replace(terms, amount=7)))
        signer.runner.run(self.release(other))

    @needs(Capability.FAULTS)
    def test_an_outage_is_unavailable_and_leaves_nothing(self, signer: Desk) -> None:
        """While it lasts nothing leaves the signer; afterwards any terms are free as before."""
        terms = signer.terms()
        with self.outage(signer.signer), pytest.raises(SignerUnavailable):
            signer.sign(terms)
        first = signer.sign(terms)
        with self.outage(signer.signer), pytest.raises(SignerUnavailable):
            signer.sign(terms)
        same(signer.sign(terms), first, "the answer after an outage")


def _bytes(text: str) -> bytes:
    """Return what base64 holds; AssertionError for any other text."""
    try:
        return b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise AssertionError(f"the port owes base64; the adapter gave {text[:80]!r}") from None
