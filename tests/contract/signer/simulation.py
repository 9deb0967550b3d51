"""Replicas of one signer under everything that goes wrong, from a seed.

Four replicas share a store and its log. Requests come twice, late and in any order; a replica dies
before and after each step towards durability and starts again; the store's file is put back from
a backup, with claims of the lost time alive; chain time goes on and the vault pays. An auditor
that shares nothing with the rules looks at each signature as it leaves.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final, TypeVar

from aiba_adapters.signing.audit_log import log_lines
from aiba_adapters.signing.keys import is_signed
from aiba_adapters.signing.protected import ProtectedSigner
from aiba_adapters.signing.protection import ProtectionFile
from aiba_adapters.signing.unlocking import unlock
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignerRefused, SignerUnavailable
from aiba_domain.signing.interchange_json import read, write
from aiba_domain.signing.model import Refusal
from aiba_domain.signing.ports import ProtectionUnit
from aiba_domain.signing.trail import verify_trail
from tests.support.signers import (
    KEY,
    LOG_SIGNER,
    MASTER,
    RECIPIENTS,
    VAULT,
    Files,
    SetChain,
    policy,
)

T = TypeVar("T")

REPLICAS: Final = 4
PLACES: Final = ("begun", "decided", "committed", "logged", "signed")
STEPS: Final = 30
LIMITS: Final = {"claim": 500, "recipient_day": 400, "day": 600, "lifetime": 900}


class Died(BaseException):
    """A replica is gone, at once and without a last word."""


class Equivocated(AssertionError):  # noqa: N818 - it says what happened
    """A promise of the signer is broken; the text says by what."""


@dataclass(slots=True)
class Auditor:
    """Looks at the signatures that leave, and at what the vault could pay by them."""

    released: dict[tuple[str, int], list[ClaimTerms]] = field(default_factory=dict)

    def release(self, terms: ClaimTerms, now_s: int) -> None:
        """Refuse a signature beside another one that can still be paid at this chain time."""
        rivals = self.released.setdefault((terms.recipient, terms.seqno), [])
        for rival in rivals:
            if rival != terms and rival.valid_until_s >= now_s <= terms.valid_until_s:
                raise Equivocated(f"{rival} and {terms} at {now_s}")
        if terms not in rivals:
            rivals.append(terms)

    def check_lifetime(self) -> None:
        """Refuse more than the lifetime's limit, of each seqno the largest that left."""
        worst = sum(max(one.amount for one in rivals) for rivals in self.released.values())
        if worst > LIMITS["lifetime"]:
            raise Equivocated(f"{worst} may be paid")


class Replica:
    """One process: it may die at any step, and is opened anew."""

    def __init__(self, files: Files, chain: SetChain, counts: Counter[str]) -> None:
        """Start it."""
        self._files = files
        self._chain = chain
        self._counts = counts
        self.dies_at = ""
        self.file: ProtectionFile | None = None

    def open(self) -> ProtectionFile:
        """Return its open store."""
        if self.file is None:
            self.file = self._files.file(probe=self._probe)
        return self.file

    def stop(self) -> None:
        """End it, with nothing saved that wasn't yet."""
        if self.file is not None:
            self.file.close()
            self.file = None
        self.dies_at = ""

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run a unit of work, as the store does."""
        result: T = self.open().transact([work])[0]
        return result

    async def close(self) -> None:
        """Nothing to wait for."""

    async def ask(self, wanted: ClaimTerms) -> bool:
        """Ask for a signature; True if one leaves, False if it is refused or the replica dies."""
        by = ProtectedSigner(KEY, store=self, chain=self._chain, policy=policy(**LIMITS))
        try:
            await by.sign(wanted)
            self._probe("signed")
        except Died:
            self._counts["died"] += 1
            self.stop()
            return False
        except SignerRefused as refused:
            self._counts[refused.code] += 1
            return False
        except SignerUnavailable:
            self._counts["unavailable"] += 1
            return False
        self._counts["signed"] += 1
        return True

    def _probe(self, place: str) -> None:
        if place == self.dies_at:
            raise Died


class Life:
    """One run: everything that happens in it is decided by its seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Make a store for a new key."""
        self.random = Random(seed)
        self.counts: Counter[str] = Counter()
        self.chain = SetChain()
        self.auditor = Auditor()
        self.files = Files(folder)
        self.replicas = [Replica(self.files, self.chain, self.counts) for _ in range(REPLICAS)]
        self.asked: list[ClaimTerms] = []
        self.backup = self.files.backup()
        self.export = ""
        self.recipients = RECIPIENTS[: self.random.randint(1, 3)]

    async def live(self) -> Counter[str]:
        """Go through all steps and return how often each thing happened."""
        steps = (self.ask, self.repeat, self.pass_time, self.pay, self.save, self.restore)
        try:
            for _ in range(STEPS):
                step = self.random.choices(steps, weights=(16, 6, 4, 5, 1, 1))[0]
                await step()
            self.auditor.check_lifetime()
        finally:
            for replica in self.replicas:
                replica.stop()
        self.check_log()
        return self.counts

    async def ask(self) -> None:
        """Ask for a new claim, most of them as an honest API would."""
        recipient = self.random.choice(self.recipients)
        last = self.chain.paid.get(recipient, 0)
        terms = ClaimTerms(
            vault=VAULT,
            jetton_master=MASTER,
            recipient=recipient,
            amount=self.random.choice((1, 50, 100, 200, 300, 501)),
            seqno=max(1, last + self.random.choice((1, 1, 1, 1, 0, 2))),
            valid_until_s=self.chain.now_s + self.random.choice((0, 60, 300, 600, 660, 661)),
        )
        self.asked.append(terms)
        await self._ask(terms)

    async def repeat(self) -> None:
        """Ask for something that was asked for before, of several replicas in a row."""
        if self.asked:
            terms = self.random.choice(self.asked[-8:])
            if self.random.random() < 0.3:
                terms = replace(terms, amount=terms.amount + 1)
            for _ in range(self.random.randint(1, 3)):
                await self._ask(terms)

    async def pass_time(self) -> None:
        """Let chain time go on, now and then by a lot."""
        self.chain.now_s += self.random.choice((1, 30, 200, 661, 721, 4_000, 90_000))

    async def pay(self) -> None:
        """Let the vault pay a claim that left, by its own rules."""
        for (recipient, seqno), rivals in self.auditor.released.items():
            payable = [one for one in rivals if one.valid_until_s >= self.chain.now_s]
            if payable and seqno == self.chain.paid.get(recipient, 0) + 1:
                self.chain.paid[recipient] = seqno
                self.counts["paid"] += 1
                return

    async def save(self) -> None:
        """Copy the store's file, or export what it holds."""
        for replica in self.replicas:
            replica.stop()
        if self.random.random() < 0.5:
            self.backup = self.files.backup()
            return
        file = self.files.file()
        self.export = write(file.transact([lambda unit: unit.dump()])[0])
        file.close()

    async def restore(self) -> None:
        """Put the last copy back, find the store locked if it was older, and open it."""
        for replica in self.replicas:
            replica.stop()
        self.files.restore(self.backup)
        loses_log = self.random.random() < 0.2
        if loses_log:
            self.files.log.rename(self.files.log.with_name(f"old-{self.counts['restored']}"))
        self.counts["restored"] += 1
        replica = self.random.choice(self.replicas)
        replica.file = self.files.file(make_log=True)
        if replica.file.state().locked is None:
            return
        self.counts["locked"] += 1
        for wanted in self.asked[-2:]:
            if await replica.ask(wanted):
                raise Equivocated("a locked store signed")
        exported = read(self.export) if self.export and self.random.random() < 0.5 else None
        opened = await unlock(replica, self.chain, log=log_lines(self.files.log), export=exported)
        self.counts["quarantined" if opened.quarantined_until_s > self.chain.now_s else "open"] += 1

    async def _ask(self, terms: ClaimTerms) -> None:
        replica = self.random.choice(self.replicas)
        if self.random.random() < 0.2:
            replica.dies_at = self.random.choice(PLACES)
        if await replica.ask(terms):
            self.auditor.release(terms, self.chain.now_s)
        replica.dies_at = ""

    def check_log(self) -> None:
        """The log is whole, whoever died while writing it."""
        verify_trail(
            log_lines(self.files.log),
            public_key=LOG_SIGNER.public_key,
            genuine=is_signed,
        )


def simulate(folder: Path, seed: int) -> Counter[str]:
    """Live one life, or raise what broke in it with its seed."""
    life = Life(folder, seed)
    try:
        return asyncio.run(life.live())
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


def refusals(counts: Counter[str]) -> set[str]:
    """Return the codes that were seen."""
    return {code.value for code in Refusal} & counts.keys()
