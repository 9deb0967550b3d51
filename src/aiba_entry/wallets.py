"""Binding wallets: payloads given out, proofs checked, the binding made a command."""

import secrets
from collections.abc import Callable
from dataclasses import replace

from aiba_adapters.ton.addresses import parse
from aiba_adapters.ton.payloads import PayloadRefused, ProofPayloads
from aiba_adapters.ton.proof import Network, Proof, ProofPolicy, ProofProblem, ProofRefused, verify
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.claims.commands import ConnectWallet
from aiba_domain.decision import Principal, Refused
from aiba_domain.errors import DomainError
from aiba_domain.instants import SECOND, iso
from aiba_entry.chain_metrics import OK
from aiba_entry.observability import Metrics
from aiba_entry.settings import Settings

_PAYLOAD = ProofProblem.PAYLOAD.name.lower()
_TAKEN = "wallet already connected"


class WalletDesk:
    """Gives out payloads and binds the wallets that sign them."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        payloads: ProofPayloads,
        policy: ProofPolicy | None,
        without_proof: bool,
        nonce: Callable[[], str],
        metrics: Metrics,
    ) -> None:
        """Bind under `policy`; None refuses every proof, since no network is configured.

        `without_proof` takes a player's word for an address, for developers only.
        """
        self._pipeline = pipeline
        self._payloads = payloads
        self._policy = policy
        self._without_proof = without_proof
        self._nonce = nonce
        self._metrics = metrics

    def payload(self, player_id: str) -> tuple[str, str]:
        """Return a payload for a player and when it ends, as ISO-8601."""
        now = self._pipeline.now()
        payload, expires_at = self._payloads.issue(player_id, nonce=self._nonce(), now_ms=now)
        return payload, iso(expires_at)

    async def connect(self, principal: Principal, address: str, proof: Proof | None) -> str:
        """Bind a wallet to a player and return it as a raw address.

        What a proof is made for is `address`. Raises InvalidInput for what is no address,
        DomainError `wallet proof required`, `wallet proof refused` with the reason, or what the
        command refuses.
        """
        raw = parse(address, allow_testnet=self._testnet()).raw
        if proof is not None:
            raw = self._by_proof(principal, replace(proof, address=address))
        elif not self._without_proof:
            self._count("missing")
            raise DomainError("wallet proof required")
        key = proof.payload if proof else None
        answer = await self._pipeline.execute(principal, ConnectWallet(address=raw), key)
        if isinstance(answer.outcome, Refused) and answer.outcome.code == _TAKEN:
            self._count("taken")
        bound = answer.reply().address
        self._count(OK if proof else "without_proof")
        return bound

    def _by_proof(self, principal: Principal, proof: Proof) -> str:
        """Return the address whose owner made the proof, just now and for this player."""
        if self._policy is None:
            raise DomainError("vault not configured")
        now = self._pipeline.now()
        try:
            self._payloads.check(proof.payload, principal.id, now_ms=now)
            return verify(
                proof, policy=self._policy, payload=proof.payload, now_s=now // SECOND
            ).raw
        except PayloadRefused as refused:
            self._count(_PAYLOAD)
            raise DomainError("wallet proof refused", reason=str(refused)) from None
        except ProofRefused as refused:
            self._count(refused.reason.name.lower())
            raise DomainError("wallet proof refused", reason=str(refused)) from None

    def _count(self, result: str) -> None:
        """Count a wallet brought forward, where there is a chain to bring it for."""
        if self._policy is not None:
            self._metrics.chain.proof(result)

    def _testnet(self) -> bool:
        return self._policy is not None and self._policy.network is Network.TESTNET


def make_wallet_desk(settings: Settings, pipeline: Pipeline, metrics: Metrics) -> WalletDesk:
    """Return the desk that the settings want."""
    ton = settings.ton
    policy = ProofPolicy(domains=ton.proof_domains, network=ton.network) if ton else None
    return WalletDesk(
        pipeline=pipeline,
        payloads=ProofPayloads(
            settings.session_secret.encode(), *map(str.encode, settings.overlap.session)
        ),
        policy=policy,
        without_proof=ton is not None and ton.wallet_without_proof,
        nonce=lambda: secrets.token_hex(16),
        metrics=metrics,
    )
