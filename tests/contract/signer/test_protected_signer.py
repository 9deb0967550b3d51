"""The protected signer over each of its stores: what every pair of both must keep."""

import asyncio
import pickle
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.signing.local import sign_terms
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import OUTCOMES
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.signing.model import EXPIRY_MARGIN_S, MAX_AHEAD_S, Lock, Network, Refusal
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.ports import ProtectionStore
from aiba_domain.signing.trail import Kind, read_line
from tests.support.signers import CODES, KEY, NOW, Files, SetChain, answer, policy, signer, terms

Case = Callable[[ProtectionStore], Coroutine[Any, Any, None]]
Run = Callable[[Case], None]


@pytest.fixture(name="run", params=["memory", "sqlite"])
def _run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Return what runs a case over a new store."""
    if request.param == "memory":
        return lambda case: asyncio.run(case(MemoryProtection(network=Network.TESTNET)))
    return lambda case: Files(tmp_path).run(case)


def test_it_signs_as_any_signer_does(run: Run) -> None:
    """Cell and signature are those of the key over the terms."""

    async def case(store: ProtectionStore) -> None:
        by = signer(store)
        assert await by.sign(terms()) == sign_terms(terms(), KEY._key)
        assert by.public_key == KEY.public_key

    run(case)


def test_one_seqno_has_one_payload_until_that_has_expired(run: Run) -> None:
    """The same terms get the same signature; others wait for chain time; then the first are out."""

    async def case(store: ProtectionStore) -> None:
        chain = SetChain()
        by = signer(store, chain)
        first = await answer(by, terms())
        assert await answer(by, terms()) == first
        for other in (terms(amount=101), terms(until=601)):
            assert await answer(by, other) == Refusal.CONFLICT
        chain.now_s = NOW + 600 + EXPIRY_MARGIN_S
        later = terms(amount=7, until=1_200)
        assert await answer(by, later) == Refusal.CONFLICT
        chain.now_s += 1
        second = await answer(by, later)
        assert second not in {first, *CODES}
        assert await answer(by, terms()) == Refusal.EXPIRED
        assert await answer(by, later) == second

    run(case)


def test_a_seqno_behind_the_watermark_is_never_signed_anew(run: Run) -> None:
    """However long ago its claim expired; what was signed stays as it was."""

    async def case(store: ProtectionStore) -> None:
        chain = SetChain()
        by = signer(store, chain)
        first = await answer(by, terms())
        assert await answer(by, terms(seqno=2)) not in CODES
        chain.now_s = NOW + 5_000
        assert await answer(by, terms(until=5_100)) == Refusal.BELOW
        assert await answer(by, terms()) == first
        assert await answer(by, terms(seqno=2, until=5_100)) not in CODES

    run(case)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"claim": 99}, Refusal.CLAIM_LIMIT),
        ({"recipient_day": 250}, Refusal.RECIPIENT_DAY_LIMIT),
        ({"day": 350}, Refusal.DAY_LIMIT),
        ({"lifetime": 350}, Refusal.LIFETIME_LIMIT),
    ],
)
def test_limits_hold_over_claims(run: Run, limits: dict[str, int], code: Refusal) -> None:
    """What is over a limit is refused, and takes nothing."""

    async def case(store: ProtectionStore) -> None:
        by = signer(store, rules=policy(**limits))
        wanted = [terms(recipient, seqno) for recipient in (0, 1) for seqno in (1, 2, 3)]
        answers = [await answer(by, each) for each in wanted]
        assert set(answers) & CODES <= {code, Refusal.GAP}
        least = min(limits.values())
        most = 2 * (least // 100) if code is Refusal.RECIPIENT_DAY_LIMIT else least // 100
        assert sum(each not in CODES for each in answers) == most
        tomorrow = signer(store, SetChain(now_s=NOW + 86_400), policy(**limits))
        kept = await answer(tomorrow, terms(5, until=86_400 + 600))
        assert (kept == code) is (code in {Refusal.CLAIM_LIMIT, Refusal.LIFETIME_LIMIT})

    run(case)


@pytest.mark.parametrize("name", ["recipient_day", "day", "lifetime"])
def test_64_parallel_requests_overshoot_a_limit_by_nothing(run: Run, name: str) -> None:
    """At the limit exactly as many are signed as fit."""

    async def case(store: ProtectionStore) -> None:
        by = signer(store, rules=policy(**{name: 1_050}))
        if name == "recipient_day":
            wanted = [terms(0, seqno) for seqno in range(1, 65)]
        else:
            wanted = [terms(recipient) for recipient in range(64)]
        answers = Counter(
            each if each in CODES else "signed"
            for each in await asyncio.gather(*(answer(by, each) for each in wanted))
        )
        assert answers["signed"] == 10
        assert sum(answers.values()) == 64

    run(case)


def test_a_gap_is_closed_by_the_chain_alone(run: Run) -> None:
    """Seqnos that another key signed are skipped once the chain has paid them."""

    async def case(store: ProtectionStore) -> None:
        chain = SetChain()
        by = signer(store, chain)
        assert await answer(by, terms(seqno=5)) == Refusal.GAP
        chain.paid[terms().recipient] = 3
        assert await answer(by, terms(seqno=5)) == Refusal.GAP
        chain.paid[terms().recipient] = 4
        assert await answer(by, terms(seqno=5)) not in CODES
        assert await answer(by, terms(seqno=4)) == Refusal.BELOW

    run(case)


def test_a_gap_in_what_this_key_signed_is_waited_out(run: Run) -> None:
    """Somebody used the key elsewhere: the next claim may be signed there, so it must expire."""

    async def case(store: ProtectionStore) -> None:
        chain = SetChain()
        by = signer(store, chain)
        assert await answer(by, terms()) not in CODES
        chain.paid[terms().recipient] = 4
        assert await answer(by, terms(seqno=5)) == Refusal.QUARANTINED
        ahead = MAX_AHEAD_S + EXPIRY_MARGIN_S
        chain.now_s += ahead
        assert await answer(by, terms(seqno=5, until=ahead + 60)) == Refusal.QUARANTINED
        chain.now_s += 1
        assert await answer(by, terms(seqno=5, until=ahead + 60)) not in CODES

    run(case)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (replace(terms(), recipient="0:" + "AB" * 32), Refusal.RECIPIENT),
        (replace(terms(), recipient="nobody"), Refusal.RECIPIENT),
        (replace(terms(), vault="nowhere"), Refusal.CONTRACT),
        (replace(terms(), vault="0:" + "33" * 32), Refusal.CONTRACT),
        (replace(terms(), jetton_master="0:" + "33" * 32), Refusal.CONTRACT),
        (terms(until=-1), Refusal.EXPIRED),
        (terms(until=661), Refusal.TOO_FAR),
    ],
)
def test_wrong_terms_are_refused_and_logged(run: Run, wrong: ClaimTerms, code: Refusal) -> None:
    """With a code of the closed set, told to whoever counts."""

    async def case(store: ProtectionStore) -> None:
        seen: list[str] = []
        before = await store.transact(lambda unit: unit.state().sequence)
        assert await answer(signer(store, observe=seen.append), wrong) == code
        assert seen == [code]
        assert set(seen) <= OUTCOMES
        assert await store.transact(lambda unit: unit.state().sequence) == before + 1

    run(case)


def test_nothing_is_decided_without_the_chain(run: Run) -> None:
    """A chain that is down is an outage, not a refusal, and is counted as one."""

    async def case(store: ProtectionStore) -> None:
        seen: list[str] = []
        chain = SetChain(down=True)
        by = signer(store, chain, observe=seen.append)
        for wanted in (terms(), replace(terms(), recipient="nobody")):
            with pytest.raises(SignerUnavailable):
                await by.sign(wanted)
        with pytest.raises(SignerUnavailable):
            await by.start(SigningPolicy(), digest="d")
        chain.down = False
        assert await answer(by, terms()) not in CODES
        assert seen == ["unavailable", "unavailable", "signed"]

    run(case)


def test_a_policy_is_changed_while_it_signs(run: Run) -> None:
    """The new one counts from the entry in the log on, also for what was signed before."""

    async def case(store: ProtectionStore) -> None:
        by = signer(store)
        assert await answer(by, terms()) not in CODES
        await by.start(SigningPolicy(), digest="d")
        assert await answer(by, terms()) == Refusal.CONTRACT

    run(case)


def test_a_locked_store_signs_nothing(run: Run) -> None:
    """The lock holds for what was signed before, too."""

    async def case(store: ProtectionStore) -> None:
        by = signer(store)
        assert await answer(by, terms()) not in CODES
        await store.transact(lambda unit: unit.lock(Lock.OPERATOR))
        for wanted in (terms(), terms(1)):
            assert await answer(by, wanted) == Refusal.LOCKED

    run(case)


def test_a_work_that_fails_leaves_nothing_and_harms_no_other(run: Run) -> None:
    """What shares its commit is kept."""

    async def case(store: ProtectionStore) -> None:
        def fail(unit: Any) -> None:  # noqa: ANN401 - a unit
            unit.lock(Lock.OPERATOR)
            raise LookupError

        by = signer(store)
        outcomes = await asyncio.gather(
            answer(by, terms()), store.transact(fail), answer(by, terms(1)), return_exceptions=True
        )
        assert isinstance(outcomes[1], LookupError)
        assert {outcomes[0], outcomes[2]}.isdisjoint(CODES)
        assert await store.transact(lambda unit: unit.state().locked) is None

    run(case)


def test_every_decision_is_in_the_log(tmp_path: Path) -> None:
    """In its order, with what was decided, and a checkpoint at the end."""
    files = Files(tmp_path)

    async def case(store: ProtectionStore) -> None:
        by = signer(store)
        await by.start(policy(), digest="d")
        for wanted in (terms(), terms(), terms(amount=7), replace(terms(), recipient="nobody")):
            await answer(by, wanted)

    files.run(case)
    entries = [read_line(line[:-1])[0] for line in files.lines()]
    assert [entry.kind for entry in entries] == [
        Kind.CREATED,
        Kind.STARTED,
        Kind.SIGNED,
        Kind.SAME_AGAIN,
        Kind.REFUSED,
        Kind.REFUSED,
        Kind.CHECKPOINT,
    ]
    assert [entry.facts.get("code") for entry in entries[4:6]] == [
        Refusal.CONFLICT,
        Refusal.RECIPIENT,
    ]
    assert b"nobody" not in files.log.read_bytes()


def test_a_signer_shows_and_gives_away_nothing() -> None:
    """Neither its text nor a copy holds the key."""
    by = signer(MemoryProtection(network=Network.TESTNET))
    for each in (by, KEY):
        assert KEY.public_key.hex() in repr(each)
        assert (bytes([7]) * 32).hex() not in repr(each)
        with pytest.raises(TypeError, match="stays in its process"):
            pickle.dumps(each)
