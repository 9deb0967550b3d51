"""The TVM of the TON node, in this process: transactions and get methods over one configuration.

Behind it is tonpy, which is untyped: nothing of it leaves this module but cells, and of those only
what `Cell` names. One emulator serves one thread, since a shared one gives wrong results.
"""

import json
import re
import threading
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Protocol

from tonpy.libs import python_ton as native

from aiba_adapters.devnet.bits import Bits
from aiba_adapters.ton.addresses import Address

_GAS_OF_GET_METHOD: Final = 1_000_000
_C7_MAGIC: Final = 0x076EF1EA
_EMULATOR_OF_GLOBAL_VERSIONS: Final = 1
_SILENT: Final = 0
# What tonpy takes by position.
_ANY_KIND: Final = True
_ORDINARY: Final = False
_KEEP_STATE: Final = False
_EXIT_CODE: Final = re.compile(r"exit code (-?\d+)")

native.globalSetVerbosity(_SILENT)


class BadCellError(ValueError):
    """A text or bytes that hold no bag of cells with one root."""


class Cell(Protocol):
    """A cell of the TVM. It never changes."""

    def get_hash(self) -> str:
        """Return the hash as 64 upper-case hex digits."""

    def to_boc(self) -> str:
        """Return the bag of cells as base64."""


@dataclass(frozen=True, slots=True)
class SliceOf:
    """A slice argument or result of a get method: the whole of a cell, opened for reading."""

    cell: Cell


StackValue = int | Cell | SliceOf | None | list[Any]
"""A value on the stack of a get method; a list is a tuple of values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """What a get method answered: its exit code (0 and 1 are success), gas, and stack, top last."""

    exit_code: int
    gas_used: int
    stack: tuple[StackValue, ...]


@dataclass(frozen=True, slots=True)
class Executed:
    """A transaction and the state it left: both cells as the chain stores them."""

    transaction: Cell
    shard_account: Cell


def cell_of(bag: bytes | str) -> Cell:
    """Return the root of a bag of cells, given as bytes or as base64; raises BadCellError."""
    text = bag if isinstance(bag, str) else b64encode(bag).decode()
    try:
        b64decode(text, validate=True)
        root: Cell = native.parse_string_to_cell(text)
    except (BadBase64, ValueError, RuntimeError):
        raise BadCellError("not a bag of cells") from None
    return root


def hash_of(cell: Cell) -> bytes:
    """Return the 32 bytes of a cell's hash."""
    return bytes.fromhex(cell.get_hash())


def bits_of(cell: Cell) -> str:
    """Return a cell's bits as a text of `0` and `1`."""
    bits: str = native.load_as_cell_slice(cell, _ANY_KIND).to_bitstring()
    return bits


def refs_of(cell: Cell) -> tuple[Cell, ...]:
    """Return the cells that a cell refers to."""
    opened = native.load_as_cell_slice(cell, _ANY_KIND)
    return tuple(opened.prefetch_ref(place) for place in range(opened.refs))


def address_cell(address: Address) -> Cell:
    """Return a cell of an address alone, as get methods take it."""
    builder = native.PyCellBuilder()
    account = int.from_bytes(address.hash, "big")
    builder.store_bitstring(f"100{address.workchain & 0xFF:08b}{account:0256b}")
    cell: Cell = builder.get_cell(_ORDINARY)
    return cell


def address_in(value: StackValue) -> Address | None:
    """Return the address that a get method answered; None if it named nobody."""
    return Bits(bits_of(value.cell)).address() if isinstance(value, SliceOf) else None


class Tvm:
    """Runs code under one chain configuration. May be used from any thread."""

    def __init__(self, config: Cell | None = None) -> None:
        """Take the configuration that is shipped, mainnet's, unless another is given."""
        self._config = config if config is not None else shipped_config()
        self._local = threading.local()

    def execute(self, shard_account: Cell, message: Cell, *, now: int, lt: int) -> Executed | None:
        """Run the transaction of a message on an account; None if the account does not accept it.

        Only a message from outside can be not accepted. `now` is in seconds, `lt` the logical time.
        """
        emulator = self._emulator()
        try:
            done = emulator.emulate_transaction(
                shard_account, message, str(now), str(lt), _EMULATOR_OF_GLOBAL_VERSIONS, _KEEP_STATE
            )
        except RuntimeError:  # it did not come to running code
            self._local.refusal = None
            return None
        if not done:
            codes = _EXIT_CODE.findall(str(emulator.vm_log or ""))
            self._local.refusal = int(codes[-1]) if codes else None
            return None
        return Executed(emulator.transaction_cell, emulator.account_cell)

    def refusal(self) -> int | None:
        """Return the exit code of the last `execute` of this thread that returned None, if any."""
        code: int | None = getattr(self._local, "refusal", None)
        return code

    def run_get_method(
        self,
        *,
        code: Cell,
        data: Cell,
        address: Address,
        balance: int,
        method: str | int,
        arguments: Sequence[StackValue],
        now: int,
    ) -> MethodResult:
        """Run a get method of a contract in the given state; arguments with the top last."""
        machine = native.PyTVM(_SILENT, code, data)
        machine.set_c7(_c7(self._config, code, address, balance, now))
        machine.set_gasLimit(str(_GAS_OF_GET_METHOD), str(_GAS_OF_GET_METHOD))
        stack = native.PyStack()
        for value in (*arguments, method if isinstance(method, int) else method_id(method)):
            stack.push(_entry(value))
        machine.set_stack(stack)
        result = machine.run_vm()
        exit_code = int(machine.exit_code)
        depth = result.depth()
        return MethodResult(
            exit_code=~exit_code if exit_code < 0 else exit_code,
            gas_used=int(machine.gas_used),
            stack=tuple(_value(result.at(place)) for place in reversed(range(depth))),
        )

    def _emulator(self) -> Any:  # noqa: ANN401 - tonpy is untyped
        emulator = getattr(self._local, "emulator", None)
        if emulator is None:
            emulator = native.PyEmulator(self._config)
            self._local.emulator = emulator
        return emulator


def method_id(name: str) -> int:
    """Return the number by which a contract knows its get method."""
    return int(native.method_name_to_id(name))


def shipped_config() -> Cell:
    """Return the chain configuration that comes with this package."""
    text = files("aiba_adapters.devnet").joinpath("data/config.json").read_text(encoding="utf-8")
    return cell_of(json.loads(text)["config"])


def _c7(config: Cell, code: Cell, address: Address, balance: int, now: int) -> Any:  # noqa: ANN401 - tonpy is untyped
    """Return what a contract may ask of its surroundings (c7 of the TVM), in the node's order."""
    nothing: list[Any] = []
    return _entry(
        [
            _C7_MAGIC,
            0,  # actions
            0,  # messages sent
            now,
            0,  # logical time of the block
            0,  # logical time of the transaction
            0,  # random seed: a get method has none
            [balance, None],
            SliceOf(address_cell(address)),
            config,
            code,
            [0, None],  # value that came in
            0,  # storage fees
            nothing,  # previous blocks
            None,
            0,  # the configuration taken apart, which the machine does itself
            0,  # what is due
            0,  # gas of a precompiled contract
        ]
    )


def _entry(value: StackValue) -> Any:  # noqa: ANN401 - tonpy is untyped
    if value is None:
        return native.PyStackEntry()
    if isinstance(value, int):
        return native.PyStackEntry(big_int=str(value))
    if isinstance(value, list):
        return native.make_tuple([_entry(part) for part in value])
    if isinstance(value, SliceOf):
        return native.PyStackEntry(cell_slice=native.load_as_cell_slice(value.cell, _ANY_KIND))
    return native.PyStackEntry(cell=value)


_INT, _CELL, _BUILDER, _SLICE, _TUPLE = 1, 2, 3, 4, 6


def _value(entry: Any) -> StackValue:  # noqa: ANN401 - tonpy is untyped
    """Return a value of the stack; what has no form outside of the machine becomes None."""
    kind = entry.type()
    if kind == _INT:
        text = entry.as_int()
        return int(text)
    if kind == _CELL:
        cell: Cell = entry.as_cell()
        return cell
    if kind == _SLICE:
        return SliceOf(_cell_of_slice(entry.as_cell_slice()))
    if kind == _TUPLE:
        return [_value(part) for part in entry.as_tuple()]
    return None


def _cell_of_slice(opened: Any) -> Cell:  # noqa: ANN401 - tonpy is untyped
    """Return a cell of what is left to read."""
    builder = native.PyCellBuilder()
    builder.store_slice(opened)
    cell: Cell = builder.get_cell(_ORDINARY)
    return cell
