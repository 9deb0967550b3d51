"""The signer at work: ready once its start stands in the log, with a policy that can change."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiba_adapters.signing.protected import ProtectedSigner
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, SignerUnavailable
from aiba_domain.outage import Unavailable
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import Allowed
from aiba_domain.signing.ports import (
    Key,
    ProtectionStore,
    ProtectionUnavailable,
    ProtectionUnit,
    SigningChain,
)
from aiba_domain.signing.rules import day_of
from aiba_entry.logs import get_logger
from aiba_entry.signer.metrics import LimitUse, Standing
from aiba_entry.signer.policy import LoadedPolicy, load_policy

STANDING_SECONDS: Final = 2.0
"""For how long a look at the store serves those who ask for metrics and readiness."""

_RETRY_SECONDS: Final = 2.0
_log = get_logger("aiba.signer")


class Desk:
    """A protected signer with what a service needs around it. Belongs to one event loop."""

    def __init__(
        self,
        key: Key,
        *,
        store: ProtectionStore,
        chain: SigningChain,
        network: Network,
        policy: LoadedPolicy,
        observe: Callable[[str], None],
    ) -> None:
        """Sign with a key over a store; `observe` is told what came of each request."""
        self.network = network
        self._store = store
        self._chain = chain
        self._policy = policy
        self._observe = observe
        self._signer = ProtectedSigner(
            key, store=store, chain=chain, policy=policy.policy, observe=observe
        )
        self._has_started = False
        self._standing: Standing | None = None
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Write the start into the log, as soon as the chain tells the time."""
        while True:
            try:
                await self._signer.start(self._policy.policy, digest=self._policy.digest)
            except SignerUnavailable as error:
                _log.warning("signer not ready", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._has_started = True
            standing = await self.standing()
            locked = standing and standing.locked
            _log.info(
                "signer ready",
                public_key=self._signer.public_key.hex(),
                policy=self._policy.digest,
                locked=locked.value if locked else "",
            )
            return

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign as the protected signer does; SignerUnavailable before the start is logged."""
        if not self._has_started:
            self._observe("unavailable")
            raise SignerUnavailable("the signer is starting")
        return await self._signer.sign(terms)

    async def change_policy(self, path: Path) -> str:
        """Sign under the policy that a file holds now; return its digest.

        Raises Faulty or SignerUnavailable, and then the policy stays as it was.
        """
        policy = load_policy(path, self.network)
        if self._has_started:
            await self._signer.start(policy.policy, digest=policy.digest)
        self._policy = policy
        self._looked_at = float("-inf")
        return policy.digest

    async def why_not_ready(self) -> str | None:
        """Return why nothing new is signed now, None if it is."""
        if not self._has_started:
            return "starting"
        standing = await self.standing()
        if standing is None:
            return "unavailable"
        if standing.locked is not None:
            return "locked"
        return "quarantined" if standing.is_quarantined else None

    async def standing(self) -> Standing | None:
        """Return what the store said within the last seconds, None while it can't say."""
        now = asyncio.get_running_loop().time
        async with self._looking:
            if now() - self._looked_at > STANDING_SECONDS:
                self._standing = await self._look()
                self._looked_at = now()
            return self._standing

    async def _look(self) -> Standing | None:
        try:
            time_s = await self._chain.time_s()
            return await self._store.transact(lambda unit: self._read(unit, time_s))
        except (Unavailable, ProtectionUnavailable) as error:
            _log.warning("state not known", reason=str(error))
            return None

    def _read(self, unit: ProtectionUnit, time_s: int) -> Standing:
        state = unit.state()
        allowed = [one for one in self._policy.policy.allow if one.network is self.network]
        return Standing(
            locked=state.locked,
            quarantined_until_s=state.quarantined_until_s,
            time_s=time_s,
            sequence=state.sequence,
            limits=[use for one in allowed for use in _uses(unit, one, time_s)],
        )


def _uses(unit: ProtectionUnit, allowed: Allowed, time_s: int) -> tuple[LimitUse, ...]:
    """Return how much of a vault's limits is used; the recipient asked about doesn't matter."""
    anyone = ClaimTerms(
        vault=allowed.vault,
        jetton_master=allowed.jetton_master,
        recipient=allowed.vault,
        amount=1,
        seqno=1,
        valid_until_s=1,
    )
    usage, limits = unit.standing(anyone, day_of(time_s)).usage, allowed.limits
    return (
        LimitUse(vault=allowed.vault, limit="day", used=usage.day, most=limits.day),
        LimitUse(vault=allowed.vault, limit="lifetime", used=usage.lifetime, most=limits.lifetime),
    )
