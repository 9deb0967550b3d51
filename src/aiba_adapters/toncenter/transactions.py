"""A payment read from its transaction's own cells: nothing of a provider's JSON is believed."""

from typing import Final

from pytoniq_core.boc.address import Address as LibraryAddress
from pytoniq_core.boc.cell import Cell
from pytoniq_core.tlb.transaction import InternalMsgInfo, MessageAny, Transaction

from aiba_adapters.ton.addresses import Address, AddressRefused
from aiba_adapters.toncenter.answers import cell
from aiba_adapters.toncenter.client import BadAnswer
from aiba_domain.payments.model import IncomingPayment

_OP_BITS: Final = 32
_COMMENT_OP: Final = 0
_BITS_IN_BYTE: Final = 8
_LONGEST_COMMENT: Final = 1024
"""How many bytes of a comment are read; an order's comment is far shorter."""


def payment_of(bag: object, tx_hash: str, network: int) -> IncomingPayment | None:
    """Return the payment that a transaction brought, read from its bag of cells in base64.

    None if no message of another account caused it. Raises BadAnswer unless the root's hash is
    `tx_hash` and the cells are a transaction on the account that its message went to.
    """
    root = cell(bag, "transaction")
    if root.is_exotic or root.hash.hex() != tx_hash:
        raise BadAnswer("a transaction of another hash")
    try:
        transaction = Transaction.deserialize(root.begin_parse())
        return _facts(transaction, tx_hash, network)
    except BadAnswer:
        raise
    except Exception:  # noqa: BLE001 - it fails in as many ways as there are cells
        raise BadAnswer("cells that are no transaction") from None


def _facts(transaction: Transaction, tx_hash: str, network: int) -> IncomingPayment | None:
    message = transaction.in_msg
    if message is None or not isinstance(message.info, InternalMsgInfo):
        return None
    info = message.info
    destination = _address(info.dest)
    if destination.hash != transaction.account_addr:
        raise BadAnswer("a transaction on another account than its message's")
    return IncomingPayment(
        hash=tx_hash,
        network=network,
        source=_address(info.src).raw,
        destination=destination.raw,
        value_nano=info.value.grams,
        comment=comment_of(message.body),
        is_bounced=info.bounced or any(map(_is_bounce, transaction.out_msgs)),
        time_s=transaction.now,
    )


def _is_bounce(message: MessageAny) -> bool:
    """Tell whether a message sends the money back. `aborted` doesn't tell: see `judge`."""
    return isinstance(message.info, InternalMsgInfo) and bool(message.info.bounced)


def _address(read: object) -> Address:
    if not isinstance(read, LibraryAddress):
        raise BadAnswer("a message without an address")
    try:
        return Address(read.wc, bytes(read.hash_part))
    except AddressRefused:
        raise BadAnswer("a message of no workchain") from None


def comment_of(body: Cell) -> str:
    """Return the text in a message's body, `""` where there is none or it isn't UTF-8.

    A text is an op of 32 zeros and then bytes, going on in a first reference, and so on.
    """
    bits = body.bits.to01()
    if len(bits) < _OP_BITS or int(bits[:_OP_BITS], 2) != _COMMENT_OP:
        return ""
    found, rest = b"", bits[_OP_BITS:]
    while True:
        if len(rest) % _BITS_IN_BYTE or len(found) > _LONGEST_COMMENT:
            return ""
        found += int(rest or "0", 2).to_bytes(len(rest) // _BITS_IN_BYTE, "big")
        if not body.refs:
            break
        body = body.refs[0]
        rest = body.bits.to01()
    try:
        return found.decode()
    except UnicodeDecodeError:
        return ""
