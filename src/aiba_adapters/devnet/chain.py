"""A chain in this process: accounts, messages that find their way, blocks, and time that obeys."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pytoniq_core.boc.cell import Cell as BuiltCell

from aiba_adapters.devnet.accounts import Account, Status, account_of, no_account
from aiba_adapters.devnet.bits import Bits
from aiba_adapters.devnet.cells import StateInit, bag, internal_message
from aiba_adapters.devnet.changes import Change
from aiba_adapters.devnet.history import Block
from aiba_adapters.devnet.state import Snapshot, State
from aiba_adapters.devnet.transactions import Transaction, messages_out
from aiba_adapters.devnet.tvm import (
    BadCellError,
    Cell,
    Executed,
    MethodResult,
    StackValue,
    Tvm,
    bits_of,
    cell_of,
)
from aiba_adapters.ton.addresses import Address

GENESIS_S: Final = 1_700_000_000
"""When a chain begins unless told otherwise, in seconds since the Unix epoch."""

MAINNET: Final = -239
TESTNET: Final = -3
"""Ids of networks. A local chain says that it is the test network, so that nobody is misled."""

FAUCET: Final = Address(-1, bytes(32))
"""Where TON comes from that nobody had: the address that mainnet's rewards come from."""

_LT_STEP: Final = 1000  # more than a transaction can send messages
_LT_OF_BLOCK: Final = 1_000_000
_MOST_TRANSACTIONS: Final = 10_000


class ChainError(Exception):
    """What the chain can't do."""


class MessageRefusedError(ChainError):
    """A message from outside that no account takes; nothing happened.

    `exit_code` is how the account's code ended, None if there was none to run.
    """

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(f"no account takes this message: exit code {exit_code}")
        self.exit_code = exit_code


class NotAMessageError(ChainError):
    """Bytes that are no message from outside."""


class ChainStuckError(ChainError):
    """Messages that cause messages without end."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A message's transactions and all that they caused, in order."""

    transactions: tuple[Transaction, ...]

    def of(self, account: Address) -> list[Transaction]:
        """Return the transactions on an account."""
        return [one for one in self.transactions if one.account == account]

    def exit_code(self, account: Address) -> int | None:
        """Return how the first run of an account's code ended."""
        return next(one.exit_code for one in self.transactions if one.account == account)


class LocalChain:
    """Accounts under the rules of the TON node. May be used from any thread, one at a time.

    Without a `clock` its time stands at `start_s` and moves by `advance`; with one (`time.time`)
    it follows the clock, and `advance` runs ahead of it. A message is carried out at once with all
    that it causes, as one block, unless the chain is held.
    """

    def __init__(
        self,
        *,
        start_s: int = GENESIS_S,
        clock: Callable[[], float] | None = None,
        network_id: int = TESTNET,
        tvm: Tvm | None = None,
    ) -> None:
        self.network_id = network_id
        self._tvm = tvm if tvm is not None else Tvm()
        self._clock = clock if clock is not None else lambda: start_s
        self._lock = threading.RLock()
        self._nothing = no_account()
        self._views: dict[Address, Account] = {}
        began = Block(seqno=1, now=int(self._clock()), start_lt=_LT_OF_BLOCK, end_lt=_LT_OF_BLOCK)
        self._state = State(began)
        self._genesis = self.snapshot()
        self._recorder: Callable[[Change], None] | None = None
        self._changes_under_way = 0

    @property
    def is_testnet(self) -> bool:
        """Tell whether friendly addresses are marked as not for the main network."""
        return self.network_id != MAINNET

    # Time

    @property
    def now(self) -> int:
        """Return the chain's time in seconds: that of its next block, or of the last while held.

        It never goes back, whatever the clock does.
        """
        if self._state.held_at is not None:
            return self._state.held_at
        return max(int(self._clock()) + self._state.offset, self._state.last_block.now)

    def advance(self, seconds: int) -> None:
        """Let time pass; it never goes back."""
        if seconds < 0:
            raise ChainError("time does not go back")
        with self._changing():
            self._state.offset += seconds
            if self._state.held_at is not None:
                self._state.held_at += seconds

    @property
    def tip(self) -> Block:
        """Return the last block. One is made where the last is older than the chain's time."""
        with self._lock:
            now = self.now
            if self._state.last_block.now < now:
                with self._changing():
                    self._state.lt += _LT_OF_BLOCK
                    self._state.close_block(self._state.lt, now, ())
            return self._state.last_block

    @property
    def first_block(self) -> Block:
        """Return the block that the chain began with."""
        return self._state.history.blocks[0]

    def block(self, seqno: int) -> Block | None:
        """Return a block by its number."""
        with self._lock:
            _ = self.tip
            blocks = self._state.history.blocks
            return blocks[seqno - 1] if 1 <= seqno <= len(blocks) else None

    @property
    def is_held(self) -> bool:
        """Tell whether blocks are late."""
        return self._state.held_at is not None

    def hold(self) -> None:
        """Make blocks late: messages wait and time stands, until `release`."""
        with self._changing():
            if self._state.held_at is None:
                self._state.held_at = self.tip.now

    def release(self) -> Trace:
        """Carry out what waited, in the order it came; what no account takes is dropped."""
        with self._changing():
            self._state.held_at = None
            waiting = self._state.take_waiting()
            done: list[Transaction] = []
            for message in waiting:
                try:
                    done += self._carry_out(message).transactions
                except MessageRefusedError:
                    continue
            return Trace(tuple(done))

    # Messages

    def send(self, message: BuiltCell | bytes | str) -> Trace:
        """Take a message from outside: a cell, or its bag of cells as bytes or base64.

        Raises NotAMessageError, or MessageRefusedError if the account doesn't accept it. While
        the chain is held the message waits, and the trace is empty.
        """
        try:
            cell = cell_of(bag(message) if isinstance(message, BuiltCell) else message)
        except BadCellError:
            raise NotAMessageError("not a bag of cells") from None
        with self._changing():
            if destination_of(cell) is None or bits_of(cell)[:2] != "10":
                raise NotAMessageError("not a message from outside")
            return self._take(cell)

    def inject(
        self,
        *,
        source: Address,
        destination: Address,
        value: int,
        body: BuiltCell | None = None,
        state: StateInit | None = None,
        bounce: bool = True,
    ) -> Trace:
        """Let an account send a message that its code did not ask for; the value is made for it."""
        with self._changing():
            self._state.lt += _LT_STEP  # no two of them are the same message
            message = internal_message(
                source=source,
                destination=destination,
                value=value,
                body=body,
                state=state,
                bounce=bounce,
                created_lt=self._state.lt,
                created_at=self.now,
            )
            return self._take(cell_of(bag(message)))

    def fund(self, account: Address, nanotons: int) -> Trace:
        """Give an account TON from the faucet, whether it has code or not."""
        return self.inject(source=FAUCET, destination=account, value=nanotons, bounce=False)

    def deploy(self, state: StateInit, *, value: int, body: BuiltCell | None = None) -> Address:
        """Bring a contract to life with TON from the faucet, and return its address."""
        self.inject(
            source=FAUCET,
            destination=state.address,
            value=value,
            body=body,
            state=state,
            bounce=False,
        )
        if self.account(state.address).status is not Status.ACTIVE:
            raise ChainError(f"{state.address} did not come to life")
        return state.address

    # Reading

    def account(self, address: Address) -> Account:
        """Return an account as it is; also one that nothing ever reached."""
        with self._lock:
            stored = self._state.account(address)
            if stored is None:
                return self._nothing
            view = self._views.get(address)
            if view is None or view.shard_account is not stored:
                view = self._views[address] = account_of(stored)
            return view

    def run_get_method(
        self, address: Address, method: str | int, arguments: Sequence[StackValue] = ()
    ) -> MethodResult | None:
        """Run a get method on the account as it is; None if the account has no code."""
        with self._lock:
            account = self.account(address)
            if account.code is None or account.data is None:
                return None
            return self._tvm.run_get_method(
                code=account.code,
                data=account.data,
                address=address,
                balance=account.balance,
                method=method,
                arguments=arguments,
                now=self.tip.now,
            )

    def transactions(
        self, account: Address | None = None, *, until_lt: int | None = None, limit: int = 100
    ) -> list[Transaction]:
        """Return the latest transactions, newest first, of one account or of all.

        With `until_lt`, those of that logical time and before.
        """
        with self._lock:
            return self._state.history.latest(account, until_lt, limit)

    def transaction(self, transaction_hash: bytes) -> Transaction | None:
        """Return a transaction by its hash."""
        with self._lock:
            return self._state.history.by_hash(transaction_hash)

    def transaction_of_message(self, message_hash: bytes) -> Transaction | None:
        """Return the transaction that a message caused.

        A message from outside is also known by its normalised hash.
        """
        with self._lock:
            return self._state.history.by_message(message_hash)

    def transaction_that_sent(self, message_hash: bytes) -> Transaction | None:
        """Return the transaction that sent a message."""
        with self._lock:
            return self._state.history.sender_of(message_hash)

    def first_of_block(self, seqno: int) -> Transaction:
        """Return the transaction that all others of a block followed from."""
        with self._lock:
            return self._state.history.first_of_block(seqno)

    # Going back

    def snapshot(self) -> Snapshot:
        """Remember the chain as it is."""
        with self._lock:
            return self._state.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a moment; what came after never happened, its time included."""
        with self._changing():
            self._state.restore(snapshot)
            self._views.clear()

    def reset(self) -> None:
        """Go back to the beginning."""
        self.restore(self._genesis)

    # Writing down

    def record(self, recorder: Callable[[Change], None]) -> None:
        """Tell `recorder` of every change from now on, each before whoever caused it has an answer.

        What it raises, the cause of the change gets; the chain is ahead of the record then.
        """
        with self._lock:
            self._state.tell()
            self._recorder = recorder

    def everything(self) -> Change:
        """Return the whole chain, as what changed since there was none."""
        with self._lock:
            return self._state.everything()

    def apply(self, change: Change) -> None:
        """Carry out a change that was recorded, and tell nobody.

        Raises Impossible where it can't follow on what is there; the chain is of no use then.
        """
        with self._lock:
            self._state.apply(change)
            self._views.clear()

    # Inside

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Have the chain alone; at the end of the outermost use, tell what has changed."""
        with self._lock:
            self._changes_under_way += 1
            try:
                yield
            finally:
                self._changes_under_way -= 1
                if self._recorder is not None and not self._changes_under_way:
                    change = self._state.tell()
                    if change is not None:
                        self._recorder(change)

    def _take(self, message: Cell) -> Trace:
        if self._state.held_at is not None:
            self._state.waiting.append(message)
            return Trace(())
        return self._carry_out(message)

    def _carry_out(self, message: Cell) -> Trace:
        """Run a message and everything that it causes, first come, first served, as one block."""
        now = self.now
        start = self._state.lt + _LT_OF_BLOCK
        self._state.lt = start
        queue = deque([message])
        done: list[Transaction] = []
        seqno = self._state.last_block.seqno + 1
        before: dict[Address, Cell | None] = {}
        while queue:
            one = queue.popleft()
            destination = destination_of(one)
            if destination is None:  # it leaves the chain
                continue
            stored = self._state.account(destination)
            executed = self._execute(stored, one, now)
            if executed is None:
                self._undo(before, start)
                raise MessageRefusedError(self._tvm.refusal())
            before.setdefault(destination, stored)
            self._state.put_account(destination, executed.shard_account)
            done.append(
                Transaction(
                    account=destination,
                    lt=self._state.lt,
                    now=now,
                    block=seqno,
                    cell=executed.transaction,
                )
            )
            if len(done) > _MOST_TRANSACTIONS:
                self._undo(before, start)
                raise ChainStuckError("messages cause messages without end")
            queue.extend(messages_out(executed.transaction))
        self._state.close_block(start, now, done)
        return Trace(tuple(done))

    def _execute(self, stored: Cell | None, message: Cell, now: int) -> Executed | None:
        self._state.lt += _LT_STEP
        account = self._nothing.shard_account if stored is None else stored
        return self._tvm.execute(account, message, now=now, lt=self._state.lt)

    def _undo(self, before: dict[Address, Cell | None], start: int) -> None:
        """Put back what a message that came to nothing had changed."""
        self._state.lt = start - _LT_OF_BLOCK
        for address, stored in before.items():
            self._state.put_account(address, stored)


def destination_of(message: Cell) -> Address | None:
    """Return the account a message is for; None for one that leaves the chain, or is none."""
    read = Bits(bits_of(message))
    try:
        if read.take(1) == "0":
            read.take(3)
            read.address()
        elif read.take(1) == "1":
            return None
        else:
            read.address()
        return read.address()
    except ValueError:
        return None
