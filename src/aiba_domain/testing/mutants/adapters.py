"""Faults of the smaller ports: the signer, the rate limiter, the clock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, Signer, SignerRefused
from aiba_domain.ports import RateLimiter, Verdict
from aiba_domain.testing.chain import JETTON_MASTER, VAULT, ModelSigner
from aiba_domain.testing.contracts import ClockContract, RateLimiterContract, SignerContract
from aiba_domain.testing.crash_matrix import Fault
from aiba_domain.testing.doubles import SettableClock
from aiba_domain.testing.mutants.build import Build, Plant
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.properties import CellProperty, ContractProperty

# Signers.


class _Behind:
    """A signer in front of a sound one."""

    def __init__(self, released: list[ClaimTerms]) -> None:
        self.released = released
        self.inner: Signer = ModelSigner(released)

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        return await self.inner.sign(terms)


class _ForgetsWhatItSigned(_Behind):
    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        return await ModelSigner(self.released).sign(terms)


class _SignsForAnyContract(_Behind):
    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        ours = replace(terms, vault=VAULT, jetton_master=JETTON_MASTER)
        return replace(await self.inner.sign(ours), terms=terms)


class _LeavesTheAmountOut(_Behind):
    """The signature holds for any amount."""

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        signed = await ModelSigner(self.released).sign(replace(terms, amount=1))
        return replace(signed, terms=terms)


class _SignsOnce(_Behind):
    """Terms that were signed are refused when the answer was lost and they are sent again."""

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        if terms in self.released:
            raise SignerRefused("already_signed")
        return await self.inner.sign(terms)


def _signed_by(make: Callable[[list[ClaimTerms]], Signer]) -> Plant:
    def plant(build: Build) -> Build:
        return replace(build, make_signer=make)

    return plant


# Rate limiters.


class _Limiter:
    """A limiter in front of a sound one."""

    def __init__(self, inner: RateLimiter) -> None:
        self.inner = inner

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        return await self.inner.hit(name, key, limit=limit, window_ms=window_ms, now_ms=now_ms)


class _OneMore(_Limiter):
    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        more = await super().hit(name, key, limit=limit + 1, window_ms=window_ms, now_ms=now_ms)
        return replace(more, limit=limit)


class _NeverResets(_Limiter):
    def __init__(self, inner: RateLimiter) -> None:
        super().__init__(inner)
        self._first: int | None = None

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        self._first = self._first or now_ms
        return await super().hit(name, key, limit=limit, window_ms=window_ms, now_ms=self._first)


class _ResetsEarly(_Limiter):
    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        return await super().hit(name, key, limit=limit, window_ms=window_ms - 1, now_ms=now_ms)


class _OneForAll(_Limiter):
    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        return await super().hit(name, key[:0], limit=limit, window_ms=window_ms, now_ms=now_ms)


def _limited_by(kind: Callable[[RateLimiter], RateLimiter]) -> Plant:
    def plant(build: Build) -> Build:
        return replace(build, open_limiter=lambda: kind(build.open_limiter()))

    return plant


# Clocks.


class _Seconds(SettableClock):
    def now(self) -> int:
        return super().now() // 1_000


class _FloatClock(SettableClock):
    def now(self) -> int:
        return float(super().now())  # type: ignore[return-value] # that is the fault


def _by_clock(make: Callable[[], SettableClock]) -> Plant:
    def plant(build: Build) -> Build:
        return replace(build, make_clock=make)

    return plant


ADAPTER_MUTANTS: Final = (
    Mutant(
        id="signs-two-claims",
        breaks="other terms are signed under a seqno whose first ones may still be paid",
        plant=_signed_by(_ForgetsWhatItSigned),
        killed_by=ContractProperty(
            suite=SignerContract,
            test="test_a_seqno_stands_for_its_first_terms_while_they_may_be_paid",
        ),
        defects=("D-10",),
    ),
    Mutant(
        id="signs-for-others",
        breaks="a claim on a vault of somebody else is signed",
        plant=_signed_by(_SignsForAnyContract),
        killed_by=ContractProperty(suite=SignerContract, test="test_other_contracts_are_refused"),
    ),
    Mutant(
        id="amount-unsigned",
        breaks="the amount is not under the signature",
        plant=_signed_by(_LeavesTheAmountOut),
        killed_by=ContractProperty(
            suite=SignerContract,
            test="test_the_vault_accepts_what_is_signed_and_nothing_else",
            arguments=(1_000, 7, True),
        ),
    ),
    Mutant(
        id="signature-lost",
        breaks="a signature whose answer was lost is never given again",
        plant=_signed_by(_SignsOnce),
        killed_by=CellProperty(call="Signer.sign", fault=Fault.CRASH_AFTER),
        defects=("D-80",),
    ),
    Mutant(
        id="limit-off-by-one",
        breaks="one hit more than the limit is allowed",
        plant=_limited_by(_OneMore),
        killed_by=ContractProperty(
            suite=RateLimiterContract, test="test_hits_are_allowed_up_to_the_limit"
        ),
    ),
    Mutant(
        id="window-never-ends",
        breaks="whoever was refused once is refused for ever",
        plant=_limited_by(_NeverResets),
        killed_by=ContractProperty(
            suite=RateLimiterContract, test="test_a_window_ends_in_its_last_millisecond"
        ),
    ),
    Mutant(
        id="window-short",
        breaks="a window ends a millisecond early",
        plant=_limited_by(_ResetsEarly),
        killed_by=ContractProperty(
            suite=RateLimiterContract, test="test_a_window_ends_in_its_last_millisecond"
        ),
    ),
    Mutant(
        id="limit-shared",
        breaks="all keys of a limit are counted together",
        plant=_limited_by(_OneForAll),
        killed_by=ContractProperty(
            suite=RateLimiterContract, test="test_keys_and_names_count_apart", arguments=("K",)
        ),
    ),
    Mutant(
        id="clock-in-seconds",
        breaks="the clock tells seconds",
        plant=_by_clock(_Seconds),
        killed_by=ContractProperty(
            suite=ClockContract, test="test_an_instant_is_in_milliseconds_since_the_epoch"
        ),
    ),
    Mutant(
        id="clock-in-floats",
        breaks="the clock tells a float, whose milliseconds can't be compared exactly",
        plant=_by_clock(_FloatClock),
        killed_by=ContractProperty(suite=ClockContract, test="test_an_instant_is_a_whole_number"),
    ),
)
"""The faults of the smaller ports."""
