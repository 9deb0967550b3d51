"""The protected signer over each of its stores: what it adds to the contract of its suite."""

import asyncio
import pickle
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.signing.local import sign_terms
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import OUTCOMES
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.signing.model import Lock, Network, Refusal
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.ports import ProtectionStore
from aiba_domain.signing.trail import Kind, read_line
from tests.support.signers import (
    CODES,
    KEY,
    RECIPIENTS,
    VAULT,
    Files,
    SetChain,
    answer,
    policy,
    signer,
    terms,
)

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


def test_a_refusal_is_logged_and_told_once(run: Run) -> None:
    """With a code of the closed set, also where the terms name no account."""

    async def case(store: ProtectionStore) -> None:
        seen: list[str] = []
        before = await store.transact(lambda unit: unit.state().sequence)
        by = signer(store, observe=seen.append)
        for recipient, vault, code in (
            ("nobody", VAULT, Refusal.RECIPIENT),
            (RECIPIENTS[0], "nowhere", Refusal.CONTRACT),
            (RECIPIENTS[0], "0:" + "33" * 32, Refusal.CONTRACT),
        ):
            assert await answer(by, replace(terms(), recipient=recipient, vault=vault)) == code
        assert seen == [Refusal.RECIPIENT, Refusal.CONTRACT, Refusal.CONTRACT]
        assert set(seen) <= OUTCOMES
        assert await store.transact(lambda unit: unit.state().sequence) == before + 3

    run(case)


def test_nothing_is_decided_without_the_chain(run: Run) -> None:
    """A chain that is down is counted as an outage, also of a start and of wrong terms."""

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
        Kind.CHECKPOINT,
        Kind.STARTED,
        Kind.SIGNED,
        Kind.SAME_AGAIN,
        Kind.REFUSED,
        Kind.REFUSED,
        Kind.CHECKPOINT,
    ]
    assert [entry.facts.get("code") for entry in entries[5:7]] == [
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
