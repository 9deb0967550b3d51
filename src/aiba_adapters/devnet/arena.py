"""What the game needs on a chain: an owner, an oracle's key, the jetton, the vault, and players."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from nacl.signing import SigningKey
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.cells import cell_from
from aiba_adapters.devnet.chain import ChainError, LocalChain, Trace
from aiba_adapters.devnet.contracts import (
    aiba_content,
    jetton_master_state,
    mint,
    set_jetton_master,
    set_oracle,
    vault_state,
)
from aiba_adapters.devnet.tvm import (
    MethodResult,
    SliceOf,
    StackValue,
    address_cell,
    address_in,
)
from aiba_adapters.devnet.wallets import Order, Wallet, WalletVersion, make_wallet
from aiba_adapters.ton.addresses import Address
from aiba_adapters.ton.claim_cell import payload_cell, reward_claim

TON: Final = 10**9
"""Nanotons in a TON."""

CLAIM_NANOTONS: Final = 70_000_000
"""What a claim brings along: 0.07 TON, most of which comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedClaim:
    """A claim as the oracle gives it out."""

    recipient: Address
    amount: int
    seqno: int
    valid_until_s: int
    signature: bytes

    @property
    def body(self) -> Cell:
        """Return the body of the message to the vault."""
        cell = reward_claim(
            recipient=self.recipient,
            amount=self.amount,
            seqno=self.seqno,
            valid_until_s=self.valid_until_s,
            signature=self.signature,
        )
        return cell_from(cell.boc())


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Where an arena's contracts are on a chain that has them already."""

    jetton_master: Address
    vault: Address


class Arena:
    """The game's contracts on a chain, deployed, funded and filled."""

    def __init__(
        self,
        chain: LocalChain,
        *,
        oracle: SigningKey | None = None,
        owner_seed: str = "owner",
        vault_nanotons: int = 10 * TON,
        vault_jettons: int = 1_000_000_000,
        deployed: Deployed | None = None,
    ) -> None:
        """Deploy everything on a chain, unless it is there already.

        Keys that aren't given are made of fixed texts: never use them elsewhere.
        """
        self.chain = chain
        self.oracle = oracle if oracle is not None else key_of("oracle")
        if deployed is not None:
            self.owner = self.wallet(owner_seed, nanotons=0)
            self.jetton_master, self.vault = deployed.jetton_master, deployed.vault
            return
        self.owner = self.wallet(owner_seed, nanotons=100 * TON)
        master = jetton_master_state(admin=self.owner.address, content=aiba_content())
        self.jetton_master = chain.deploy(master, value=TON)
        vault = vault_state(
            owner=self.owner.address,
            oracle_key=bytes(self.oracle.verify_key),
            jetton_master=self.jetton_master,
        )
        # No more than it takes, so that a vault can be poor.
        self.vault = chain.deploy(vault, value=TON // 50)
        order = set_jetton_master(self.jetton_master)
        self.as_owner(self.vault, order, value=TON // 30)
        if vault_nanotons:
            chain.fund(self.vault, vault_nanotons)
        if vault_jettons:
            self.mint(self.vault, vault_jettons)

    # Doing

    def wallet(
        self,
        seed: str,
        *,
        version: WalletVersion = WalletVersion.V4R2,
        nanotons: int = TON,
    ) -> Wallet:
        """Return a funded wallet whose key is made of a text; its first message deploys it."""
        wallet = make_wallet(version, key_of(seed), network_id=self.chain.network_id)
        if nanotons:
            self.chain.fund(wallet.address, nanotons)
        return wallet

    def send(self, wallet: Wallet, *orders: Order) -> Trace:
        """Let a wallet send messages, deploying it where it has no code yet."""
        return self.chain.send(self.message(wallet, *orders))

    def message(self, wallet: Wallet, *orders: Order) -> Cell:
        """Return the next message from outside with which a wallet's owner sends."""
        known = self.chain.run_get_method(wallet.address, "seqno")
        seqno = 0 if known is None else _int(known, 0)
        return wallet.signed(orders, seqno=seqno, deploy=known is None)

    def as_owner(self, destination: Address, body: Cell, *, value: int = TON // 10) -> Trace:
        """Let the owner send a message."""
        return self.send(self.owner, Order(destination=destination, value=value, body=body))

    def mint(self, recipient: Address, amount: int) -> Trace:
        """Let the owner make jettons for somebody."""
        return self.as_owner(self.jetton_master, mint(recipient=recipient, amount=amount))

    def rotate(self, oracle: SigningKey) -> Trace:
        """Let the owner name another key for the vault to believe."""
        self.oracle = oracle
        return self.as_owner(self.vault, set_oracle(bytes(oracle.verify_key)))

    def sign(
        self,
        recipient: Address,
        amount: int,
        *,
        seqno: int | None = None,
        valid_until_s: int | None = None,
        key: SigningKey | None = None,
        jetton_master: Address | None = None,
    ) -> SignedClaim:
        """Sign a claim as the oracle does; whatever is given makes it another claim."""
        seqno = self.last_seqno(recipient) + 1 if seqno is None else seqno
        valid_until_s = self.chain.now + 600 if valid_until_s is None else valid_until_s
        payload = payload_cell(
            vault=self.vault,
            jetton_master=self.jetton_master if jetton_master is None else jetton_master,
            recipient=recipient,
            amount=amount,
            seqno=seqno,
            valid_until_s=valid_until_s,
        )
        return SignedClaim(
            recipient=recipient,
            amount=amount,
            seqno=seqno,
            valid_until_s=valid_until_s,
            signature=(self.oracle if key is None else key).sign(payload.hash).signature,
        )

    def claim(self, wallet: Wallet, claim: SignedClaim, *, value: int = CLAIM_NANOTONS) -> Trace:
        """Let a wallet send a claim to the vault."""
        return self.send(wallet, self.order(claim, value=value))

    def order(self, claim: SignedClaim, *, value: int = CLAIM_NANOTONS) -> Order:
        """Return the message to the vault that a wallet sends for a claim."""
        return Order(destination=self.vault, value=value, body=claim.body)

    # Reading

    def last_seqno(self, recipient: Address) -> int:
        """Return the last claim of a recipient that the vault took."""
        return _int(self._ask(self.vault, "getLastSeqno", SliceOf(address_cell(recipient))), 0)

    def owed(self, recipient: Address) -> int:
        """Return what the vault owes a recipient of payouts that bounced."""
        return _int(self._ask(self.vault, "getOwed", SliceOf(address_cell(recipient))), 0)

    def oracle_public_key(self) -> bytes:
        """Return the key that the vault believes."""
        return _int(self._ask(self.vault, "getOraclePublicKey"), 0).to_bytes(32)

    def vault_jetton_wallet(self) -> Address | None:
        """Return the vault's jetton wallet, None until the vault knows it."""
        return address_in(self._ask(self.vault, "getVaultJettonWallet").stack[0])

    def jetton_wallet(self, owner: Address) -> Address:
        """Return where somebody's jettons are, as the master tells."""
        answer = self._ask(self.jetton_master, "get_wallet_address", SliceOf(address_cell(owner)))
        address = address_in(answer.stack[0])
        if address is None:
            raise ChainError("the master knows no wallet of that owner")
        return address

    def jettons(self, owner: Address) -> int:
        """Return how many jettons somebody has."""
        found = self.chain.run_get_method(self.jetton_wallet(owner), "get_wallet_data")
        return 0 if found is None else _int(found, 0)

    def total_supply(self) -> int:
        """Return how many jettons there are."""
        return _int(self._ask(self.jetton_master, "get_jetton_data"), 0)

    def _ask(self, address: Address, method: str, *arguments: StackValue) -> MethodResult:
        result = self.chain.run_get_method(address, method, arguments)
        if result is None or result.exit_code not in (0, 1):
            raise ChainError(f"{method} of {address} failed: {result}")
        return result


def key_of(seed: str) -> SigningKey:
    """Return a key made of a text, the same each time. Worth nothing outside a local chain."""
    return SigningKey(sha256(f"aiba devnet {seed}".encode()).digest())


def _int(result: MethodResult, place: int) -> int:
    value = result.stack[place]
    if not isinstance(value, int):
        raise ChainError(f"a number was expected, not {value!r}")
    return value
