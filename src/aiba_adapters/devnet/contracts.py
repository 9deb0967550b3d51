"""The project's contracts: vault, jetton master and jetton wallet, their states and messages.

The sources and what each message means are in `contracts/`.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Final

from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.cells import (
    NO_ADDRESS,
    StateInit,
    address_bits,
    cell_from,
    onchain_content,
)
from aiba_adapters.ton.addresses import Address

SET_ORACLE: Final = 0x6D7D6C8F
SET_JETTON_MASTER: Final = 0x5A1B2AC6
PAY_OWED: Final = 0x494F6495
MINT: Final = 0x232A5C5F
CHANGE_ADMIN: Final = 0x71A19405
TRANSFER: Final = 0x0F8A7EA5
BURN: Final = 0x595F07BC


@cache
def code_of(contract: str) -> Cell:
    """Return the compiled code of `vault`, `jetton-master` or `jetton-wallet`."""
    return cell_from(compiled()["contracts"][contract]["code"])


@cache
def compiled() -> dict[str, dict[str, dict[str, str]]]:
    """Return the whole of what the compiler made."""
    text = files("aiba_adapters.devnet").joinpath("data/contracts.json").read_text("utf-8")
    made: dict[str, dict[str, dict[str, str]]] = json.loads(text)
    return made


def vault_state(*, owner: Address, oracle_key: bytes, jetton_master: Address) -> StateInit:
    """Return a vault that does not yet know its jetton wallet; SetJettonMaster makes it ask."""
    config = (
        Builder()
        .store_bits(address_bits(owner))
        .store_bytes(oracle_key)
        .store_bits(address_bits(jetton_master))
        .end_cell()
    )
    data = (
        Builder()
        .store_bits(NO_ADDRESS)  # its jetton wallet
        .store_coins(0)  # owed
        .store_ref(config)
        .store_bits("0")  # no recipients
        .end_cell()
    )
    return StateInit(code_of("vault"), data)


def jetton_master_state(*, admin: Address | None, content: Cell) -> StateInit:
    """Return a jetton nobody holds yet."""
    data = (
        Builder()
        .store_coins(0)
        .store_bits(address_bits(admin))
        .store_ref(content)
        .store_ref(code_of("jetton-wallet"))
        .end_cell()
    )
    return StateInit(code_of("jetton-master"), data)


def jetton_wallet_state(*, owner: Address, master: Address) -> StateInit:
    """Return the state that an owner's wallet of a jetton starts from."""
    bits = address_bits(owner) + address_bits(master)
    data = Builder().store_coins(0).store_bits(bits).end_cell()
    return StateInit(code_of("jetton-wallet"), data)


def aiba_content() -> Cell:
    """Return what the jetton says about itself. One smallest unit is one AIBA of the game."""
    return onchain_content({"name": "AIBA", "symbol": "AIBA", "decimals": "0"})


def set_oracle(public_key: bytes) -> Cell:
    """Return the message with which a vault's owner names another key to believe."""
    return _cell(Builder().store_uint(SET_ORACLE, 32).store_bytes(public_key))


def set_jetton_master(master: Address) -> Cell:
    """Return the message with which a vault's owner names its jetton, or makes it ask again."""
    return _cell(Builder().store_uint(SET_JETTON_MASTER, 32).store_bits(address_bits(master)))


def pay_owed() -> Cell:
    """Return the message with which a recipient asks for what a vault owes."""
    return _cell(Builder().store_uint(PAY_OWED, 32))


def mint(*, recipient: Address, amount: int, forward_nanotons: int = 0, query_id: int = 0) -> Cell:
    """Return the message with which a jetton's admin makes jettons."""
    head = Builder().store_uint(MINT, 32).store_uint(query_id, 64)
    head.store_bits(address_bits(recipient)).store_coins(amount)
    return _cell(head.store_coins(forward_nanotons))


def change_admin(admin: Address | None, *, query_id: int = 0) -> Cell:
    """Return the message with which a jetton's admin hands over; None ends minting for ever."""
    head = Builder().store_uint(CHANGE_ADMIN, 32).store_uint(query_id, 64)
    return _cell(head.store_bits(address_bits(admin)))


def jetton_transfer(
    *,
    destination: Address,
    amount: int,
    response: Address | None,
    forward_nanotons: int = 0,
    forward_payload: Cell | None = None,
    query_id: int = 0,
) -> Cell:
    """Return the message with which an owner sends jettons (TEP-74)."""
    head = Builder().store_uint(TRANSFER, 32).store_uint(query_id, 64).store_coins(amount)
    head.store_bits(address_bits(destination) + address_bits(response))
    head.store_bits("0").store_coins(forward_nanotons)
    if forward_payload is None:
        return _cell(head.store_bits("0"))
    return _cell(head.store_bits("1").store_ref(forward_payload))


def jetton_burn(*, amount: int, response: Address | None, query_id: int = 0) -> Cell:
    """Return the message with which an owner destroys jettons (TEP-74)."""
    head = Builder().store_uint(BURN, 32).store_uint(query_id, 64).store_coins(amount)
    return _cell(head.store_bits(address_bits(response)).store_bits("0"))


def _cell(builder: Builder) -> Cell:
    cell: Cell = builder.end_cell()
    return cell
