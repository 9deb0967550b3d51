"""Wallets as people have them: the code of V4R2 and V5R1, and the messages their owners sign."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

from nacl.signing import SigningKey
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.cells import StateInit, cell_from, external_message, internal_message
from aiba_adapters.ton.addresses import Address

_SUBWALLET: Final = 698983191
_V5_CONTEXT: Final = 0x80000000  # a client's wallet, number 0, in the basechain
_V5_SIGNED_EXTERNAL: Final = 0x7369676E
_V5_SEND: Final = 0x0EC3C86D
_PAY_FEES_SEPARATELY: Final = 1
_IGNORE_ERRORS: Final = 2
_NEVER_EXPIRES: Final = 0xFFFFFFFF


class WalletVersion(StrEnum):
    """The wallets that most people have."""

    V4R2 = "v4r2"
    V5R1 = "v5r1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A message that a wallet shall send; `value` in nanotons."""

    destination: Address
    value: int
    body: Cell | None = None
    state: StateInit | None = None
    bounce: bool = True

    @property
    def cell(self) -> Cell:
        """Return the message's cell."""
        return internal_message(
            source=None,
            destination=self.destination,
            value=self.value,
            body=self.body,
            state=self.state,
            bounce=self.bounce,
        )


class Wallet(ABC):
    """A wallet contract and the key of its owner."""

    version: WalletVersion

    def __init__(self, key: SigningKey) -> None:
        self.key = key

    @property
    def public_key(self) -> bytes:
        """Return the 32 bytes that the wallet checks signatures against."""
        return bytes(self.key.verify_key)

    @cached_property
    def state(self) -> StateInit:
        """Return what the wallet's account starts from."""
        return StateInit(wallet_code(self.version), self._data())

    @cached_property
    def address(self) -> Address:
        """Return the wallet's address."""
        return self.state.address

    def signed(
        self,
        orders: Sequence[Order],
        *,
        seqno: int,
        valid_until_s: int = _NEVER_EXPIRES,
        deploy: bool = False,
    ) -> Cell:
        """Return a message from outside that makes the wallet send.

        `deploy` takes the state of the wallet along.
        """
        body = self._body(orders, seqno, valid_until_s)
        state = self.state if deploy else None
        return external_message(destination=self.address, body=body, state=state)

    @abstractmethod
    def _data(self) -> Cell: ...

    @abstractmethod
    def _body(self, orders: Sequence[Order], seqno: int, valid_until_s: int) -> Cell: ...

    def _sign(self, unsigned: Cell) -> bytes:
        return self.key.sign(unsigned.hash).signature


class WalletV4R2(Wallet):
    """The wallet that most applications made until 2024; sends up to 4 messages at once."""

    version = WalletVersion.V4R2

    def _data(self) -> Cell:
        head = Builder().store_uint(0, 32).store_uint(_SUBWALLET, 32)
        cell: Cell = head.store_bytes(self.public_key).store_bits("0").end_cell()
        return cell

    def _body(self, orders: Sequence[Order], seqno: int, valid_until_s: int) -> Cell:
        head = Builder().store_uint(_SUBWALLET, 32).store_uint(valid_until_s, 32)
        head.store_uint(seqno, 32).store_uint(0, 8)
        for order in orders:
            head.store_uint(_PAY_FEES_SEPARATELY | _IGNORE_ERRORS, 8).store_ref(order.cell)
        unsigned: Cell = head.end_cell()
        cell: Cell = Builder().store_bytes(self._sign(unsigned)).store_cell(unsigned).end_cell()
        return cell


class WalletV5R1(Wallet):
    """The wallet that applications make now; sends up to 255 messages at once."""

    version = WalletVersion.V5R1

    def __init__(self, key: SigningKey, *, network_id: int) -> None:
        """Take the key and the network, whose id is part of the wallet's own."""
        super().__init__(key)
        self._wallet_id = (network_id & 0xFFFFFFFF) ^ _V5_CONTEXT

    def _data(self) -> Cell:
        head = Builder().store_bits("1").store_uint(0, 32).store_uint(self._wallet_id, 32)
        cell: Cell = head.store_bytes(self.public_key).store_bits("0").end_cell()
        return cell

    def _body(self, orders: Sequence[Order], seqno: int, valid_until_s: int) -> Cell:
        actions: Cell = Builder().end_cell()
        for order in orders:
            head = Builder().store_ref(actions).store_uint(_V5_SEND, 32)
            head.store_uint(_PAY_FEES_SEPARATELY | _IGNORE_ERRORS, 8)
            actions = head.store_ref(order.cell).end_cell()
        unsigned = Builder().store_uint(_V5_SIGNED_EXTERNAL, 32).store_uint(self._wallet_id, 32)
        unsigned.store_uint(valid_until_s, 32).store_uint(seqno, 32)
        unsigned.store_bits("1").store_ref(actions).store_bits("0")
        signed = unsigned.end_cell()
        cell: Cell = Builder().store_cell(signed).store_bytes(self._sign(signed)).end_cell()
        return cell


def make_wallet(version: WalletVersion, key: SigningKey, *, network_id: int) -> Wallet:
    """Return the wallet of a version for a key."""
    if version is WalletVersion.V4R2:
        return WalletV4R2(key)
    return WalletV5R1(key, network_id=network_id)


@cache
def wallet_code(version: WalletVersion) -> Cell:
    """Return the code of a wallet, as it runs on mainnet."""
    text = files("aiba_adapters.devnet").joinpath("data/wallets.json").read_text("utf-8")
    return cell_from(json.loads(text)["wallets"][version.value]["code"])
