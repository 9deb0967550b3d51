"""What a signer owes that stands alone: its policy and its memory hold, whoever asks for what.

The suite says the policy, the author opens a signer under it. So it judges any signer: one in this
process, a service behind a socket, or another implementation of the same rules.
"""

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, Signer, SignerRefused, SignerUnavailable
from aiba_domain.signing.model import EXPIRY_MARGIN_S, MAX_AHEAD_S, Network, Refusal
from aiba_domain.signing.policy import Allowed, Denied, Limits, SigningPolicy
from aiba_domain.testing import strategies
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.contracts.expect import contains, holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)
from aiba_domain.testing.signing_auditor import SigningAuditor

NOW_S: Final = GENESIS_S
"""The chain's time when a stage is opened, in seconds since the Unix epoch."""

_DAY_S: Final = 86_400
_AMOUNT: Final = 100
_AT_ONCE: Final = 64
_FIT: Final = 10
_ELSEWHERE: Final = f"0:{'33' * 32}"
_CODES: Final = frozenset(code.value for code in Refusal)
_PLENTY: Final = Limits(claim=10**9, recipient_day=10**12, day=10**15, lifetime=10**18)
_TIGHT: Final = Limits(claim=5, recipient_day=7, day=10, lifetime=14)
_STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(("ask", "ask", "ask", "again", "move", "pay")),
        st.integers(0, 1),  # whom
        st.integers(0, 2),  # seqno, after what was paid
        st.integers(1, 6),  # amount
        st.sampled_from((1, 60, 600, 660, 661)),  # valid for, or moved by, so many seconds
    ),
    max_size=14,
)


def policy(*deny: Denied, **limits: int) -> SigningPolicy:
    """Return a policy that allows the suite's vault but for some, with plenty or less of it."""
    arena = Allowed(
        name="arena",
        network=Network.TESTNET,
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        limits=replace(_PLENTY, **limits),
    )
    return SigningPolicy(allow=(arena,), deny=deny)


class SignerStage(Protocol):
    """A signer, and the chain that it sees."""

    @property
    def signer(self) -> Signer:
        """Return the adapter."""
        ...

    async def move(self, now_s: int) -> None:
        """Let the chain's time be so, as the signer sees it from now on. It never goes back."""
        ...

    async def pay(self, recipient: str, seqno: int) -> None:
        """Let the vault have paid a recipient's claims up to a seqno."""
        ...


class StandingDesk:
    """A signer with synchronous helpers around it, at a chain time."""

    def __init__(self, runner: asyncio.Runner, stage: SignerStage) -> None:
        """Serve `stage`, which was opened inside `runner`."""
        self.runner = runner
        self.stage = stage
        self.now_s = NOW_S

    def move(self, seconds: int) -> None:
        """Let the chain's time go on."""
        self.now_s += seconds
        self.runner.run(self.stage.move(self.now_s))

    def pay(self, recipient: str, seqno: int) -> None:
        """Let the vault have paid a recipient."""
        self.runner.run(self.stage.pay(recipient, seqno))

    def terms(self, name: str = "a", **changes: Any) -> ClaimTerms:
        """Return terms for the recipient of a name, valid for ten minutes from now."""
        usual = ClaimTerms(
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            recipient=strategies.wallet_of(name),
            amount=_AMOUNT,
            seqno=1,
            valid_until_s=self.now_s + 600,
        )
        return replace(usual, **changes)

    def answer(self, terms: ClaimTerms) -> str:
        """Return the signature, or the code of the refusal."""
        return self.together([terms])[0]

    def signs(self, terms: ClaimTerms) -> str:
        """Return the signature; AssertionError if there is none."""
        answer = self.answer(terms)
        holds(answer not in _CODES, f"{terms} is signed (it is {answer})")
        return answer

    def refuses(self, terms: ClaimTerms, code: Refusal) -> None:
        """AssertionError unless the terms are refused with a code."""
        same(self.answer(terms), code.value, f"the answer to {terms}")

    def together(self, wanted: Sequence[ClaimTerms], *others: SignerStage) -> list[str]:
        """Ask for all terms at once, of this signer and others in turn."""
        signers = [each.signer for each in (self.stage, *others)]

        async def ask(number: int, terms: ClaimTerms) -> str:
            try:
                signed = await signers[number % len(signers)].sign(terms)
            except SignerRefused as refused:
                contains(_CODES, refused.code, "the codes that leave a signer")
                return refused.code
            return _checked(signed, terms)

        async def at_once() -> list[str]:
            return await asyncio.gather(*(ask(*each) for each in enumerate(wanted)))

        return self.runner.run(at_once())


OpenDesk = Callable[..., StandingDesk]
"""Opens a desk under a policy; of the same folder unless `anew` is given."""


class ProtectedSignerContract(PortContract):
    """Subclass and say how to open a signer under a policy.

    `reopen`: what was signed is remembered after `release` and a new opening on the same folder.
    `shared`: so do several signers that are open on it at once. `faults`: `outage(stage)` hides the
    chain from the signer while it is entered.
    """

    port = "Signer"
    version = "1.0"

    @abstractmethod
    async def open_stage(self, folder: Path, policy: SigningPolicy) -> SignerStage:
        """Open a signer of the testnet under a policy, on a chain at `NOW_S` that paid nobody.

        Its memory is that of the folder; in an empty one it is a new one's, for a key that has
        signed nothing.
        """

    @pytest.fixture(name="opened")
    def _opened(
        self, runner: asyncio.Runner, opening: Opening, tmp_path: Path
    ) -> Iterator[OpenDesk]:
        desks: list[StandingDesk] = []
        numbers = count()

        def opened(rules: SigningPolicy, *, anew: bool = False) -> StandingDesk:
            folder = tmp_path / f"{next(numbers)}" if anew else tmp_path / "only"
            folder.mkdir(exist_ok=True)
            with opening:
                desk = StandingDesk(runner, runner.run(self.open_stage(folder, rules)))
            desks.append(desk)
            return desk

        yield opened
        for desk in desks:
            runner.run(self.release(desk.stage))

    @base
    def test_what_is_allowed_is_signed_and_signed_the_same_again(self, opened: OpenDesk) -> None:
        """However often, and however long after; it is charged once."""
        desk = opened(policy(lifetime=_AMOUNT))
        terms = desk.terms()
        first = desk.signs(terms)
        same(desk.answer(terms), first, "the signature again")
        desk.move(10 * _DAY_S)
        same(desk.answer(terms), first, "the signature long after")

    @base
    def test_an_empty_policy_denies_everything(self, opened: OpenDesk) -> None:
        """What no entry allows is denied."""
        desk = opened(SigningPolicy())
        desk.refuses(desk.terms(), Refusal.CONTRACT)

    @pytest.mark.parametrize(
        "rule",
        [
            Denied(name="r", recipients=frozenset({strategies.wallet_of("a")})),
            Denied(name="r", vaults=frozenset({VAULT})),
            Denied(
                name="r",
                jetton_masters=frozenset({JETTON_MASTER}),
                recipients=frozenset({strategies.wallet_of("a")}),
            ),
        ],
    )
    def test_deny_wins(self, opened: OpenDesk, rule: Denied) -> None:
        """A rule that names a claim refuses it, whatever allows it; others aren't touched."""
        desk = opened(policy(rule))
        desk.refuses(desk.terms(), Refusal.DENIED)
        if rule.recipients is not None:
            desk.signs(desk.terms("b"))

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"recipient": f"0:{'AB' * 32}"}, Refusal.RECIPIENT),
            ({"recipient": "nobody"}, Refusal.RECIPIENT),
            ({"vault": "nowhere"}, Refusal.CONTRACT),
            ({"vault": _ELSEWHERE}, Refusal.CONTRACT),
            ({"jetton_master": _ELSEWHERE}, Refusal.CONTRACT),
            ({"valid_until_s": NOW_S - 1}, Refusal.EXPIRED),
            ({"valid_until_s": NOW_S + 661}, Refusal.TOO_FAR),
        ],
    )
    def test_wrong_terms_are_refused(
        self, opened: OpenDesk, changes: dict[str, Any], code: Refusal
    ) -> None:
        """With a code of the closed set, and they use nothing up."""
        desk = opened(policy(lifetime=_AMOUNT))
        desk.refuses(desk.terms(**changes), code)
        desk.signs(desk.terms())

    def test_another_networks_vault_is_not_signed_for(self, opened: OpenDesk) -> None:
        """An entry holds for its own network."""
        rules = policy()
        elsewhere = replace(rules.allow[0], network=Network.MAINNET)
        desk = opened(replace(rules, allow=(elsewhere,)))
        desk.refuses(desk.terms(), Refusal.CONTRACT)

    def test_one_seqno_has_one_payload_until_that_has_expired(self, opened: OpenDesk) -> None:
        """Other terms wait until chain time is past the margin; then the first ones are out."""
        desk = opened(policy())
        terms = desk.terms()
        first = desk.signs(terms)
        for other in (
            replace(terms, amount=_AMOUNT + 1),
            replace(terms, valid_until_s=terms.valid_until_s + 1),
        ):
            desk.refuses(other, Refusal.CONFLICT)
        desk.move(600 + EXPIRY_MARGIN_S)
        later = desk.terms(amount=7)
        desk.refuses(later, Refusal.CONFLICT)
        desk.move(1)
        second = desk.signs(later)
        holds(second != first, "other terms have another signature")
        desk.refuses(terms, Refusal.EXPIRED)
        same(desk.answer(later), second, "the signature of the later terms")

    def test_a_seqno_behind_the_watermark_is_never_signed_anew(self, opened: OpenDesk) -> None:
        """However long ago its claim expired; what was signed stays as it was."""
        desk = opened(policy())
        terms = desk.terms()
        first = desk.signs(terms)
        desk.signs(desk.terms(seqno=2))
        desk.move(5_000)
        desk.refuses(desk.terms(), Refusal.BELOW)
        same(desk.answer(terms), first, "what was signed")
        desk.signs(desk.terms(seqno=2))

    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            ({"claim": 99}, Refusal.CLAIM_LIMIT),
            ({"recipient_day": 250}, Refusal.RECIPIENT_DAY_LIMIT),
            ({"day": 350}, Refusal.DAY_LIMIT),
            ({"lifetime": 350}, Refusal.LIFETIME_LIMIT),
        ],
    )
    def test_limits_hold_over_claims(
        self, opened: OpenDesk, limits: dict[str, int], code: Refusal
    ) -> None:
        """What is over a limit is refused and takes nothing; a day's limit is new the next day."""
        desk = opened(policy(**limits))
        wanted = [desk.terms(name, seqno=seqno) for name in ("a", "b") for seqno in (1, 2, 3)]
        answers = [desk.answer(each) for each in wanted]
        holds(code in answers, f"{code} is among the answers")
        holds({*answers} & _CODES <= {code, Refusal.GAP}, "there is no other refusal than a gap")
        (limit,) = limits.values()
        fit = limit // _AMOUNT
        owed = 2 * fit if code is Refusal.RECIPIENT_DAY_LIMIT else fit
        same(sum(each not in _CODES for each in answers), owed, "the claims that are signed")
        small = desk.terms("c", amount=limit % _AMOUNT)
        if code is not Refusal.CLAIM_LIMIT:
            desk.signs(small)
        desk.move(_DAY_S)
        is_forever = code in {Refusal.CLAIM_LIMIT, Refusal.LIFETIME_LIMIT}
        same(desk.answer(desk.terms("d")) == code, is_forever, "refused on the next day")

    @pytest.mark.parametrize("limit", ["recipient_day", "day", "lifetime"])
    def test_64_requests_at_once_overshoot_a_limit_by_nothing(
        self, opened: OpenDesk, limit: str
    ) -> None:
        """At the limit exactly as many are signed as fit."""
        desk = opened(policy(**{limit: _FIT * _AMOUNT + 50}))
        _crowd(desk, limit)

    def test_of_rivals_at_once_one_is_signed(self, opened: OpenDesk) -> None:
        """Sixteen amounts for one seqno: whoever comes first has it."""
        desk = opened(policy())
        wanted = [desk.terms(amount=amount) for amount in range(1, 17)]
        _one_wins(desk.together(wanted))

    def test_a_gap_is_closed_by_the_chain_alone(self, opened: OpenDesk) -> None:
        """Seqnos that another key signed are passed over once the chain has paid them."""
        desk = opened(policy())
        recipient = desk.terms().recipient
        desk.refuses(desk.terms(seqno=5), Refusal.GAP)
        desk.pay(recipient, 3)
        desk.refuses(desk.terms(seqno=5), Refusal.GAP)
        desk.pay(recipient, 4)
        desk.signs(desk.terms(seqno=5))
        desk.refuses(desk.terms(seqno=4), Refusal.BELOW)

    def test_a_gap_in_what_it_signed_itself_is_waited_out(self, opened: OpenDesk) -> None:
        """Its key was used elsewhere: what may have been signed there must have expired first."""
        desk = opened(policy())
        desk.signs(desk.terms())
        desk.pay(desk.terms().recipient, 4)
        desk.refuses(desk.terms(seqno=5), Refusal.QUARANTINED)
        desk.move(MAX_AHEAD_S + EXPIRY_MARGIN_S)
        desk.refuses(desk.terms(seqno=5), Refusal.QUARANTINED)
        desk.move(1)
        desk.signs(desk.terms(seqno=5))

    @broad(0.1)
    @given(steps=_STEPS)
    def test_no_order_of_requests_breaks_a_promise(
        self, opened: OpenDesk, steps: list[tuple[str, int, int, int, int]]
    ) -> None:
        """Never two payable claims for a seqno, and never more than a limit, by an auditor."""
        desk = opened(policy(**_limits(_TIGHT)), anew=True)
        auditor, paid, asked = SigningAuditor(_TIGHT), Counter[str](), list[ClaimTerms]()
        for step, whom, seqno, amount, seconds in steps:
            name = ("a", "b")[whom]
            terms = desk.terms(
                name,
                seqno=paid[name] + max(1, seqno),
                amount=amount,
                valid_until_s=desk.now_s + seconds,
            )
            if step == "move":
                desk.move(seconds)
            elif step == "pay" and paid[name] < auditor.highest(VAULT, terms.recipient):
                paid[name] += 1
                desk.pay(terms.recipient, paid[name])
            else:
                terms = asked[-1] if step == "again" and asked else terms
                asked.append(terms)
                answer = desk.answer(terms)
                before = auditor.highest(VAULT, terms.recipient)
                if answer not in _CODES and auditor.enter(terms, answer, desk.now_s):
                    holds(terms.seqno >= before, f"{terms} is not behind seqno {before}")

    @needs(Capability.REOPEN)
    def test_what_was_signed_and_used_is_remembered_after_a_restart(self, opened: OpenDesk) -> None:
        """The signature, the payload, the watermark and what is left of the limits."""
        rules = policy(lifetime=2 * _AMOUNT)
        before = opened(rules)
        terms = before.terms()
        first = before.signs(terms)
        before.runner.run(self.release(before.stage))
        desk = opened(rules)
        same(desk.answer(terms), first, "the signature after a restart")
        desk.refuses(replace(terms, amount=7), Refusal.CONFLICT)
        desk.refuses(desk.terms("b", amount=_AMOUNT + 1), Refusal.LIFETIME_LIMIT)
        desk.signs(desk.terms(seqno=2))

    @needs(Capability.REOPEN)
    def test_deny_wins_over_what_was_signed_before(self, opened: OpenDesk) -> None:
        """A recipient that is denied later gets not even the signature that it had."""
        before = opened(policy())
        terms = before.terms()
        before.signs(terms)
        before.runner.run(self.release(before.stage))
        rule = Denied(name="late", recipients=frozenset({terms.recipient}))
        opened(policy(rule)).refuses(terms, Refusal.DENIED)

    @needs(Capability.SHARED)
    @pytest.mark.parametrize("limit", ["recipient_day", "day", "lifetime"])
    def test_signers_on_one_memory_overshoot_a_limit_by_nothing(
        self, opened: OpenDesk, limit: str
    ) -> None:
        """64 requests at once over four of them: as many are signed as fit."""
        rules = policy(**{limit: _FIT * _AMOUNT + 50})
        desk = opened(rules)
        _crowd(desk, limit, *(opened(rules).stage for _ in range(3)))

    @needs(Capability.SHARED)
    def test_signers_on_one_memory_sign_one_of_rivals(self, opened: OpenDesk) -> None:
        """Sixteen amounts for one seqno, over four signers: one is signed, once and for all."""
        desk = opened(policy())
        others = [opened(policy()).stage for _ in range(3)]
        wanted = [desk.terms(amount=amount) for amount in range(1, 17)]
        answers = desk.together(wanted, *others)
        _one_wins(answers)
        won = next(each for each in zip(wanted, answers, strict=True) if each[1] not in _CODES)
        same(desk.together([won[0]] * 4, *others), [won[1]] * 4, "what each of them answers")

    @needs(Capability.FAULTS)
    def test_nothing_is_decided_without_the_chain(self, opened: OpenDesk) -> None:
        """An outage of the chain is no refusal, and leaves nothing behind."""
        desk = opened(policy(lifetime=_AMOUNT))
        with self.outage(desk.stage), pytest.raises(SignerUnavailable):
            desk.answer(desk.terms())
        desk.signs(desk.terms(amount=_AMOUNT))


def _checked(signed: SignedClaim, terms: ClaimTerms) -> str:
    same(signed.terms, terms, "the terms that were signed")
    holds(signed.signature not in _CODES, "a signature is no code")
    return signed.signature


def _limits(limits: Limits) -> dict[str, int]:
    names = ("claim", "recipient_day", "day", "lifetime")
    return {name: getattr(limits, name) for name in names}


def _crowd(desk: StandingDesk, limit: str, *others: SignerStage) -> None:
    """Ask for more than a limit at once: no more is signed than fits, and no less."""
    if limit == "recipient_day":
        wanted = [desk.terms(seqno=seqno) for seqno in range(1, _AT_ONCE + 1)]
    else:
        wanted = [desk.terms(f"{number}") for number in range(_AT_ONCE)]
    first = desk.together(wanted, *others)
    signed = {terms for terms, answer in zip(wanted, first, strict=True) if answer not in _CODES}
    holds(len(signed) <= _FIT, f"of claims at once {_FIT} fit at the most; {len(signed)} are")
    if limit == "recipient_day":  # a later seqno may have come first, and been a gap
        again = wanted[: _FIT + 2]
        signed |= {terms for terms in again if desk.answer(terms) not in _CODES}
    same(len(signed), _FIT, "the claims that are signed in all")


def _one_wins(answers: list[str]) -> None:
    refused = [answer for answer in answers if answer in _CODES]
    same(refused, [Refusal.CONFLICT.value] * (len(answers) - 1), "the refusals of the rivals")
