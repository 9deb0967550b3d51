"""The chain behind the tests' service: a vault in memory, an oracle, payments, and outages."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from nacl.signing import SigningKey
from pytoniq_core.boc.cell import Cell

from aiba_adapters.signing.local import LocalSigner
from aiba_domain.application.purchases import Cashier, Purchases
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import Inventory, Sighting, SignedClaim
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.testing.chain import (
    JETTON_MASTER,
    VAULT,
    Cheque,
    Exit,
    ModelChain,
    ModelReader,
    signature_of,
)
from aiba_entry.container import Container
from tests.support.wallets import DOMAIN

ORACLE: Final = SigningKey(bytes(range(32)))
SHOP: Final = f"0:{'33' * 32}"
"""Where payments for brokers go."""

ENVIRON: Final[Mapping[str, str]] = {
    "ARENA_VAULT_ADDRESS": VAULT,
    "AIBA_JETTON_MASTER": JETTON_MASTER,
    "ORACLE_PRIVATE_KEY_HEX": bytes(ORACLE).hex(),
    "TON_PROVIDER_URL": "http://127.0.0.1:9/api/v2/jsonRPC",
    "TON_PROOF_DOMAINS": DOMAIN,
    "CREATED_BROKERS_WALLET": SHOP,
}
WITHOUT: Final[Mapping[str, str]] = dict.fromkeys(ENVIRON, "")
"""The environment of a service without withdrawals."""

NO_ANSWER: Final = 1
"""The number of a server that never answers."""


class Reader(ModelReader):
    """Reads the chain in memory. `holds` overrides what the vault holds; `asked` counts."""

    def __init__(self, chain: ModelChain) -> None:
        """Read `chain`."""
        self.server = 0
        super().__init__(chain, lambda: self.server)
        self.down = {NO_ANSWER}
        self.asked = 0
        self.inventory_is_down = False
        self.ton_nano = 10**9

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return what is known of a recipient."""
        self.asked += 1
        return await super().view(vault, recipient)

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        """Return the same with its block."""
        self.asked += 1
        return await super().sighting(vault, recipient)

    async def inventory(self, vault: str) -> Inventory:
        """Return what the vault holds."""
        self.asked += 1
        server, self.server = self.server, NO_ANSWER if self.inventory_is_down else self.server
        try:
            held = await super().inventory(vault)
        finally:
            self.server = server
        return Inventory(
            ton_nano=self.ton_nano, jetton_wallet=held.jetton_wallet, jettons=held.jettons
        )


class Oracle:
    """The real signer, which can be made to fail first: `fault` is raised before it signs."""

    def __init__(self) -> None:
        """Sign with the oracle's key."""
        self._signer = LocalSigner(ORACLE, vault=VAULT, jetton_master=JETTON_MASTER)
        self.fault: Exception | None = None
        self.signed: list[ClaimTerms] = []

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign, or fail as the test wants it."""
        if self.fault is not None:
            raise self.fault
        self.signed.append(terms)
        return await self._signer.sign(terms)


class Ton:
    """One chain, and the service's ways to it."""

    def __init__(self) -> None:
        """Make the first block."""
        self.chain = ModelChain()
        self.reader = Reader(self.chain)
        self.oracle = Oracle()
        self.payments: dict[str, IncomingPayment] = {}
        self.withdrawals: Withdrawals | None = None

    def serve(self, container: Container) -> None:
        """Configure a container's vault and shop on this chain, if it has settings for them."""
        ton = container.settings().ton
        if ton is None:
            return
        contracts = Contracts(vault=ton.vault, jetton_master=ton.jetton_master)
        pipeline, store = container.pipeline(), container.store()
        self.withdrawals = Withdrawals(
            pipeline=pipeline,
            store=store,
            signer=self.oracle,
            chain=self.reader,
            contracts=contracts,
        )
        container.vaults().configure(
            withdrawals=self.withdrawals,
            chain=self.reader,
            contracts=contracts,
            min_ton_nano=ton.min_vault_ton_nano,
        )
        if ton.created_brokers_wallet:
            cashier = Cashier(
                network=int(ton.network), created_brokers_wallet=ton.created_brokers_wallet
            )
            container.shop().open(
                Purchases(pipeline=pipeline, store=store, payments=self, cashier=cashier)
            )

    async def payment(self, tx_hash: str, *, to: str, since_s: int) -> IncomingPayment | None:
        """Return a payment that a test put there: the port of payments."""
        assert to == SHOP
        assert since_s > 0
        self.reader._server()
        return self.payments.get(tx_hash)

    def deposit(self, number: int, *, source: str, comment: str = "", at_ms: int) -> str:
        """Let a payment for a broker come in and return its hash."""
        tx_hash = f"{number:064x}"
        self.payments[tx_hash] = IncomingPayment(
            hash=tx_hash,
            network=-239,
            source=source,
            destination=SHOP,
            value_nano=10**9,
            comment=comment,
            is_bounced=False,
            time_s=at_ms // 1000,
        )
        return tx_hash

    @property
    def is_down(self) -> bool:
        """Whether the chain can't be read at all."""
        return self.reader.server == NO_ANSWER

    @is_down.setter
    def is_down(self, value: bool) -> None:
        self.reader.server = NO_ANSWER if value else 0

    def wait(self, seconds: int) -> None:
        """Let a block be made so much later."""
        self.chain.block(seconds)
        self.chain.sync()

    def send(self, claim: Mapping[str, Any], *, later_s: int = 5) -> Exit:
        """Let the recipient send a claim as it was answered, and return how the vault ends.

        The terms are those of the signed cell, whose signature must be the oracle's.
        """
        terms = signed_terms(claim)
        self.chain.send(Cheque(sender=terms.recipient, terms=terms, signature=signature_of(terms)))
        (end,) = self.chain.block(later_s)
        self.chain.sync()
        return end


def signed_terms(claim: Mapping[str, Any]) -> ClaimTerms:
    """Return what the oracle has signed in a claim; the claim says the same in its fields."""
    cell = Cell.one_from_boc(b64decode(claim["payloadBocBase64"], validate=True))
    ORACLE.verify_key.verify(cell.hash, b64decode(claim["signatureBase64"], validate=True))
    part = cell.begin_parse()
    vault, master, recipient = (
        part.load_address().to_str(is_user_friendly=False) for _ in range(3)
    )
    terms = ClaimTerms(
        vault=vault,
        jetton_master=master,
        recipient=recipient,
        amount=part.load_coins(),
        seqno=part.load_uint(64),
        valid_until_s=part.load_uint(32),
    )
    assert not part.remaining_bits
    assert not part.remaining_refs
    assert claim["vaultAddress"] == terms.vault == VAULT
    assert terms.jetton_master == JETTON_MASTER
    assert claim["toAddress"] == terms.recipient
    assert claim["amount"] == str(terms.amount)
    assert (claim["seqno"], claim["validUntil"]) == (terms.seqno, terms.valid_until_s)
    return terms
