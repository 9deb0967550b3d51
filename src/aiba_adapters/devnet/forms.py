"""What is on the chain, in the forms that toncenter gives it: version 2 and version 3."""

import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from pytoniq_core.boc.address import Address as ReadAddress
from pytoniq_core.boc.cell import Cell as ReadCell

from aiba_adapters.devnet.accounts import Account, Status
from aiba_adapters.devnet.cells import cell_from, normalised_hash
from aiba_adapters.devnet.chain import LocalChain
from aiba_adapters.devnet.history import Block
from aiba_adapters.devnet.transactions import Transaction
from aiba_adapters.devnet.tvm import SliceOf, StackValue
from aiba_adapters.ton.addresses import Address

Json = dict[str, Any]

V2_SHARD: Final = "-9223372036854775808"
V3_SHARD: Final = "8000000000000000"
_OP_BITS: Final = 32
_BITS_IN_BYTE: Final = 8
_V3_STATUS: Final = {Status.NONEXIST: "nonexist", Status.UNINIT: "uninit"}
_V2_STATUS: Final = {
    Status.NONEXIST: "uninitialized",
    Status.UNINIT: "uninitialized",
    Status.ACTIVE: "active",
    Status.FROZEN: "frozen",
}


def b64(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def v2_status(account: Account) -> str:
    """Return an account's state as version 2 names it."""
    return _V2_STATUS[account.status]


def friendly(chain: LocalChain, address: Address | None, *, bounceable: bool = True) -> str:
    """Return an address as version 2 shows it; `""` for nobody."""
    if address is None:
        return ""
    return address.friendly(bounceable=bounceable, testnet=chain.is_testnet)


def raw_upper(address: Address | None) -> str | None:
    """Return an address as version 3 shows it."""
    return None if address is None else f"{address.workchain}:{address.hash.hex().upper()}"


# Blocks


def root_hash(block: Block) -> bytes:
    """Return what stands for a block's root hash: nothing else here has one."""
    return sha256(f"root {block.seqno} {block.now} {block.end_lt}".encode()).digest()


def file_hash(block: Block) -> bytes:
    """Return what stands for a block's file hash."""
    return sha256(f"file {block.seqno} {block.now} {block.end_lt}".encode()).digest()


def v2_block_id(block: Block) -> Json:
    """Return a masterchain block's name."""
    return {
        "@type": "ton.blockIdExt",
        "workchain": -1,
        "shard": V2_SHARD,
        "seqno": block.seqno,
        "root_hash": b64(root_hash(block)),
        "file_hash": b64(file_hash(block)),
    }


def v2_block_header(chain: LocalChain, block: Block) -> Json:
    """Return a masterchain block's header."""
    before = chain.block(block.seqno - 1)
    return {
        "@type": "blocks.header",
        "id": v2_block_id(block),
        "global_id": chain.network_id,
        "version": 0,
        "after_merge": False,
        "after_split": False,
        "before_split": False,
        "want_merge": False,
        "want_split": False,
        "validator_list_hash_short": 0,
        "catchain_seqno": 0,
        "min_ref_mc_seqno": block.seqno,
        "is_key_block": False,
        "prev_key_block_seqno": 0,
        "start_lt": str(block.start_lt),
        "end_lt": str(block.end_lt),
        "gen_utime": block.now,
        "prev_blocks": [] if before is None else [v2_block_id(before)],
    }


def v3_block(chain: LocalChain, block: Block) -> Json:
    """Return a masterchain block."""
    return {
        "workchain": -1,
        "shard": V3_SHARD,
        "seqno": block.seqno,
        "root_hash": b64(root_hash(block)),
        "file_hash": b64(file_hash(block)),
        "global_id": chain.network_id,
        "version": 0,
        "after_merge": False,
        "before_split": False,
        "after_split": False,
        "want_merge": False,
        "want_split": False,
        "key_block": False,
        "vert_seqno_incr": False,
        "flags": 0,
        "gen_utime": str(block.now),
        "start_lt": str(block.start_lt),
        "end_lt": str(block.end_lt),
        "validator_list_hash_short": 0,
        "gen_catchain_seqno": 0,
        "min_ref_mc_seqno": block.seqno,
        "prev_key_block_seqno": 0,
        "vert_seqno": 0,
        "master_ref_seqno": None,
        "rand_seed": b64(bytes(32)),
        "created_by": b64(bytes(32)),
        "tx_count": 0,
        "masterchain_block_ref": {"workchain": -1, "shard": V3_SHARD, "seqno": block.seqno},
        "prev_blocks": [{"workchain": -1, "shard": V3_SHARD, "seqno": block.seqno - 1}],
    }


# Stacks


def v2_stack(stack: Sequence[StackValue]) -> list[list[Any]]:
    """Return what a get method left, each entry as its type and value."""
    return [_v2_entry(value) for value in stack]


def v3_stack(stack: Sequence[StackValue]) -> list[Json]:
    """Return what a get method left, each entry as an object of type and value."""
    return [_v3_entry(value) for value in stack]


def _v2_entry(value: StackValue) -> list[Any]:
    if value is None:
        return ["list", {"@type": "tvm.list", "elements": []}]
    if isinstance(value, int):
        return ["num", hex(value)]
    if isinstance(value, list):
        return ["tuple", {"@type": "tvm.tuple", "elements": [_v2_element(part) for part in value]}]
    # A slice too comes back as a cell.
    boc = (value.cell if isinstance(value, SliceOf) else value).to_boc()
    return ["cell", {"bytes": boc, "object": _object(cell_from(boc))}]


def _v2_element(value: StackValue) -> Json:
    if value is None:
        return {"@type": "tvm.stackEntryList", "list": {"@type": "tvm.list", "elements": []}}
    if isinstance(value, int):
        number = {"@type": "tvm.numberDecimal", "number": str(value)}
        return {"@type": "tvm.stackEntryNumber", "number": number}
    if isinstance(value, list):
        parts = {"@type": "tvm.tuple", "elements": [_v2_element(part) for part in value]}
        return {"@type": "tvm.stackEntryTuple", "tuple": parts}
    if isinstance(value, SliceOf):
        opened = {"@type": "tvm.slice", "bytes": value.cell.to_boc()}
        return {"@type": "tvm.stackEntrySlice", "slice": opened}
    return {"@type": "tvm.stackEntryCell", "cell": {"@type": "tvm.cell", "bytes": value.to_boc()}}


def _v3_entry(value: StackValue) -> Json:
    if value is None:
        return {"type": "list", "value": []}
    if isinstance(value, int):
        return {"type": "num", "value": hex(value)}
    if isinstance(value, list):
        return {"type": "tuple", "value": v3_stack(value)}
    if isinstance(value, SliceOf):
        return {"type": "slice", "value": value.cell.to_boc()}
    return {"type": "cell", "value": value.to_boc()}


def _object(cell: ReadCell) -> Json:
    bits = cell.bits
    return {
        "data": {"b64": b64(bytes(bits.tobytes())), "len": len(bits)},
        "refs": [_object(one) for one in cell.refs],
        "special": False,
    }


# Messages


class MessageFacts:
    """A message taken apart: what both versions tell of it."""

    def __init__(self, cell: ReadCell, fields: Any) -> None:  # noqa: ANN401 - pytoniq-core's message
        info = fields.info
        self.is_external = bool(fields.is_external)
        self.is_internal = bool(fields.is_internal)
        self.hash = cell.hash
        self.source = _address(getattr(info, "src", None))
        self.destination = _address(getattr(info, "dest", None))
        self.value = info.value.grams if self.is_internal else None
        self.fwd_fee = getattr(info, "fwd_fee", None)
        self.ihr_fee = getattr(info, "ihr_fee", None)
        self.import_fee = getattr(info, "import_fee", None)
        self.created_lt = getattr(info, "created_lt", None)
        self.created_at = getattr(info, "created_at", None)
        self.bounce = getattr(info, "bounce", None)
        self.bounced = getattr(info, "bounced", None)
        self.body: ReadCell = fields.body
        self.state: ReadCell | None = None if fields.init is None else fields.init.serialize()
        self.normalised = normalised_hash(cell) if self.is_external else None
        bits = self.body.bits.to01()
        self.op = int(bits[:_OP_BITS], 2) if len(bits) >= _OP_BITS else None
        self.comment = _comment(self.body) if self.op == 0 else None


def messages_of(transaction: Transaction) -> tuple[MessageFacts, list[MessageFacts]]:
    """Return the message that caused a transaction, and those that it sent."""
    fields = transaction.fields
    inside = cell_from(transaction.boc).refs[0]
    cells = [cell_from(one.to_boc()) for one in transaction.messages_out]
    sent = [MessageFacts(*pair) for pair in zip(cells, fields.out_msgs, strict=True)]
    return MessageFacts(inside.refs[0], fields.in_msg), sent


def v2_message(chain: LocalChain, message: MessageFacts) -> Json:
    """Return a message as version 2 shows it."""
    data: Json = {
        "@type": "msg.dataRaw",
        "body": boc_text(message.body),
        "init_state": "" if message.state is None else boc_text(message.state),
    }
    if message.comment is not None:
        data = {"@type": "msg.dataText", "text": b64(message.comment.encode())}
    form = {
        "@type": "raw.message",
        "hash": b64(message.hash),
        "source": friendly(chain, message.source),
        "destination": friendly(chain, message.destination),
        "value": str(message.value or 0),
        "extra_currencies": [],
        "fwd_fee": str(message.fwd_fee or 0),
        "ihr_fee": str(message.ihr_fee or 0),
        "created_lt": str(message.created_lt or 0),
        "body_hash": b64(message.body.hash),
        "msg_data": data,
    }
    if message.comment is not None:
        form["message"] = message.comment
    return form


def v3_message(message: MessageFacts, *, caused: bytes | None, sent_by: bytes | None) -> Json:
    """Return a message as version 3 shows it, with the transactions at its two ends."""
    return {
        "hash": b64(message.hash),
        "hash_norm": None if message.normalised is None else b64(message.normalised),
        "source": raw_upper(message.source),
        "destination": raw_upper(message.destination),
        "value": _text(message.value),
        "value_extra_currencies": {} if message.is_internal else None,
        "fwd_fee": _text(message.fwd_fee),
        "ihr_fee": _text(message.ihr_fee),
        "import_fee": _text(message.import_fee),
        "created_lt": _text(message.created_lt),
        "created_at": _text(message.created_at),
        "opcode": None if message.op is None else f"0x{message.op:08x}",
        "ihr_disabled": True if message.is_internal else None,
        "bounce": message.bounce,
        "bounced": message.bounced,
        "in_msg_tx_hash": None if caused is None else b64(caused),
        "out_msg_tx_hash": None if sent_by is None else b64(sent_by),
        "message_content": {
            "hash": b64(message.body.hash),
            "body": boc_text(message.body),
            "decoded": None
            if message.comment is None
            else {"type": "text_comment", "comment": message.comment},
        },
        "init_state": None
        if message.state is None
        else {"hash": b64(message.state.hash), "body": boc_text(message.state)},
    }


# Transactions


def v2_transaction(chain: LocalChain, transaction: Transaction) -> Json:
    """Return a transaction as version 2 shows it; `data` is its own bag of cells."""
    came, sent = messages_of(transaction)
    fee = transaction.fields.total_fees.grams
    storage = transaction.fields.description.storage_ph
    storage_fee = 0 if storage is None else storage.storage_fees_collected
    return {
        "@type": "raw.transaction",
        "address": {
            "@type": "accountAddress",
            "account_address": friendly(chain, transaction.account),
        },
        "account": raw_upper(transaction.account),
        "utime": transaction.now,
        "data": b64(transaction.boc),
        "transaction_id": v2_transaction_id(transaction.lt, transaction.hash),
        "fee": str(fee),
        "storage_fee": str(storage_fee),
        "other_fee": str(fee - storage_fee),
        "in_msg": v2_message(chain, came),
        "out_msgs": [v2_message(chain, one) for one in sent],
    }


def v2_transaction_id(lt: int, transaction_hash: bytes) -> Json:
    """Return a transaction's place in its account's history."""
    return {
        "@type": "internal.transactionId",
        "lt": str(lt),
        "hash": b64(transaction_hash),
    }


def v3_transaction(chain: LocalChain, transaction: Transaction) -> Json:
    """Return a transaction as version 3 shows it."""
    came, sent = messages_of(transaction)
    fields = transaction.fields
    sender = chain.transaction_that_sent(came.hash)
    block = {"workchain": -1, "shard": V3_SHARD, "seqno": transaction.block}
    first = chain.first_of_block(transaction.block)
    return {
        "account": raw_upper(transaction.account),
        "hash": b64(transaction.hash),
        "lt": str(transaction.lt),
        "now": transaction.now,
        "mc_block_seqno": transaction.block,
        "trace_id": b64(first.hash),
        "prev_trans_hash": b64(fields.prev_trans_hash),
        "prev_trans_lt": str(fields.prev_trans_lt),
        "orig_status": _account_status(fields.orig_status),
        "end_status": _account_status(fields.end_status),
        "total_fees": str(fields.total_fees.grams),
        "total_fees_extra_currencies": {},
        "description": _description(fields.description),
        "block_ref": block,
        "in_msg": v3_message(
            came,
            caused=transaction.hash,
            sent_by=None if sender is None else sender.hash,
        ),
        "out_msgs": [v3_sent(chain, one, transaction) for one in sent],
        "account_state_before": {"hash": b64(fields.state_update.old_hash)},
        "account_state_after": {"hash": b64(fields.state_update.new_hash)},
        "emulated": False,
        "finality": "finalized",
    }


def v3_sent(chain: LocalChain, message: MessageFacts, sender: Transaction) -> Json:
    """Return a message that a transaction sent."""
    caused = chain.transaction_of_message(message.hash)
    return v3_message(message, caused=None if caused is None else caused.hash, sent_by=sender.hash)


def boc_text(cell: ReadCell) -> str:
    """Return a cell as a bag of cells in base64."""
    return b64(bytes(cell.to_boc()))


def v3_status(account: Account) -> str:
    """Return an account's state as version 3 names it."""
    return _V3_STATUS.get(account.status, account.status.value)


def _description(description: Any) -> Json:  # noqa: ANN401 - pytoniq-core's description
    return {
        "type": "ord",
        "aborted": bool(description.aborted),
        "destroyed": bool(description.destroyed),
        "credit_first": bool(description.credit_first),
        "storage_ph": _storage(description.storage_ph),
        "credit_ph": _credit(description.credit_ph),
        "compute_ph": _compute(description.compute_ph),
        "action": _action(description.action),
        "bounce": None if description.bounce is None else {"type": description.bounce.type_},
    }


def _storage(phase: Any) -> Json | None:  # noqa: ANN401 - pytoniq-core's phase
    if phase is None:
        return None
    return {
        "storage_fees_collected": str(phase.storage_fees_collected),
        "status_change": phase.status_change.type_,
    }


def _credit(phase: Any) -> Json | None:  # noqa: ANN401 - pytoniq-core's phase
    return None if phase is None else {"credit": str(phase.credit.grams)}


def _compute(phase: Any) -> Json:  # noqa: ANN401 - pytoniq-core's phase
    if phase.type_ == "skipped":
        return {"skipped": True, "reason": phase.reason.type_}
    return {
        "skipped": False,
        "success": bool(phase.success),
        "msg_state_used": bool(phase.msg_state_used),
        "account_activated": bool(phase.account_activated),
        "gas_fees": str(phase.gas_fees),
        "gas_used": str(phase.gas_used),
        "gas_limit": str(phase.gas_limit),
        "gas_credit": _text(phase.gas_credit),
        "mode": phase.mode,
        "exit_code": phase.exit_code,
        "exit_arg": phase.exit_arg,
        "vm_steps": phase.vm_steps,
        "vm_init_state_hash": b64(phase.vm_init_state_hash),
        "vm_final_state_hash": b64(phase.vm_final_state_hash),
    }


def _action(phase: Any) -> Json | None:  # noqa: ANN401 - pytoniq-core's phase
    if phase is None:
        return None
    return {
        "success": bool(phase.success),
        "valid": bool(phase.valid),
        "no_funds": bool(phase.no_funds),
        "status_change": phase.status_change.type_,
        "total_fwd_fees": _text(phase.total_fwd_fees),
        "total_action_fees": _text(phase.total_action_fees),
        "result_code": phase.result_code,
        "result_arg": phase.result_arg,
        "tot_actions": phase.tot_actions,
        "spec_actions": phase.spec_actions,
        "skipped_actions": phase.skipped_actions,
        "msgs_created": phase.msgs_created,
        "action_list_hash": b64(phase.action_list_hash),
    }


def _account_status(status: Any) -> str:  # noqa: ANN401 - pytoniq-core's status
    kind = str(status.type_)
    return "uninit" if kind.startswith("uninit") else kind


def _address(read: object) -> Address | None:
    return Address(read.wc, bytes(read.hash_part)) if isinstance(read, ReadAddress) else None


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _comment(body: ReadCell) -> str | None:
    """Return the text after the op, None if it is none."""
    bits, found = body.bits.to01()[_OP_BITS:], b""
    while True:
        if len(bits) % _BITS_IN_BYTE:
            return None
        found += int(bits or "0", 2).to_bytes(len(bits) // _BITS_IN_BYTE, "big")
        if not body.refs:
            break
        body = body.refs[0]
        bits = body.bits.to01()
    try:
        return found.decode()
    except UnicodeDecodeError:
        return None
