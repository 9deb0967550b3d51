"""Zero equivocations over many lives of four replicas with crashes, repeats and restored files."""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from aiba_domain.signing.model import Refusal
from tests.contract.signer.simulation import refusals, simulate

LIVES = 150
SOAKED = int(os.environ.get("AIBA_SIGNER_LIVES", "10000"))


def _live(lives: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    memory = Path("/dev/shm")  # noqa: S108 - a disk's sync proves nothing here
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        for seed in range(lives):
            counts += simulate(folder / str(seed), seed)
            shutil.rmtree(folder / str(seed))
    finally:
        shutil.rmtree(folder)
    return counts


def _check(counts: Counter[str]) -> None:
    """Everything that can go wrong did, so that nothing broke means something."""
    for what in ("signed", "paid", "died", "restored", "locked", "quarantined", "open"):
        assert counts[what] > 0, what
    unmet = {Refusal.DENIED, Refusal.CONTRACT, Refusal.RECIPIENT, Refusal.CLAIM_LIMIT}
    assert set(Refusal) - unmet <= refusals(counts)


def test_no_seqno_has_two_payable_claims() -> None:
    """In any life, whatever is asked of whichever replica, and whatever was restored."""
    _check(_live(LIVES))


@pytest.mark.soak
def test_no_seqno_has_two_payable_claims_in_ten_thousand_lives() -> None:
    """The same, for long."""
    _check(_live(SOAKED))
