"""A chain in this process: accounts, messages that find their way, blocks, and time that obeys."""

import threading
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pytoniq_core.boc.cell import Cell as BuiltCell

from aiba_adapters.devnet.accounts import Account, Status, account_of, no_account
from aiba_adapters.devnet.bits import Bits
from aiba_adapters.devnet.cells import StateInit, bag, cell_from, internal_message, normalised_hash
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
    hash_of,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block: its number, its time in seconds, and the logical times it spans."""

    seqno: int
    now: int
    start_lt: int
    end_lt: int


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The chain at one moment, to go back to. Good for the chain that made it only."""

    accounts: dict[Address, Cell]
    transactions: int
    blocks: int
    last_lt: int
    clock_offset: int
    waiting: tuple[Cell, ...]
    held: bool


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
        self._offset = 0
        self._lock = threading.RLock()
        self._nothing = no_account()
        self._accounts: dict[Address, Cell] = {}
        self._views: dict[Address, Account] = {}
        self._log: list[Transaction] = []
        self._of_account: dict[Address, list[Transaction]] = {}
        self._by_hash: dict[bytes, Transaction] = {}
        self._by_message: dict[bytes, Transaction] = {}
        self._sent_by: dict[bytes, Transaction] = {}
        self._indexed = 0
        self._waiting: deque[Cell] = deque()
        self._held_at: int | None = None
        self._lt = _LT_OF_BLOCK
        self._blocks = [Block(seqno=1, now=self.now, start_lt=self._lt, end_lt=self._lt)]
        self._genesis = self.snapshot()

    @property
    def is_testnet(self) -> bool:
        """Tell whether friendly addresses are marked as not for the main network."""
        return self.network_id != MAINNET

    # Time

    @property
    def now(self) -> int:
        """Return the chain's time in seconds: that of its next block, or of the last while held."""
        if self._held_at is not None:
            return self._held_at
        return int(self._clock()) + self._offset

    def advance(self, seconds: int) -> None:
        """Let time pass; it never goes back."""
        if seconds < 0:
            raise ChainError("time does not go back")
        with self._lock:
            self._offset += seconds
            if self._held_at is not None:
                self._held_at += seconds

    @property
    def tip(self) -> Block:
        """Return the last block. One is made where the last is older than the chain's time."""
        with self._lock:
            if self._blocks[-1].now < self.now:
                self._lt += _LT_OF_BLOCK
                self._close_block(self._lt)
            return self._blocks[-1]

    @property
    def first_block(self) -> Block:
        """Return the block that the chain began with."""
        return self._blocks[0]

    def block(self, seqno: int) -> Block | None:
        """Return a block by its number."""
        with self._lock:
            _ = self.tip
            return self._blocks[seqno - 1] if 1 <= seqno <= len(self._blocks) else None

    @property
    def is_held(self) -> bool:
        """Tell whether blocks are late."""
        return self._held_at is not None

    def hold(self) -> None:
        """Make blocks late: messages wait and time stands, until `release`."""
        with self._lock:
            if self._held_at is None:
                self._held_at = self.tip.now

    def release(self) -> Trace:
        """Carry out what waited, in the order it came; what no account takes is dropped."""
        with self._lock:
            self._held_at = None
            waiting, self._waiting = self._waiting, deque()
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
        with self._lock:
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
        with self._lock:
            self._lt += _LT_STEP  # no two of them are the same message
            message = internal_message(
                source=source,
                destination=destination,
                value=value,
                body=body,
                state=state,
                bounce=bounce,
                created_lt=self._lt,
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
            stored = self._accounts.get(address)
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
            log = self._log if account is None else self._of_account.get(account, [])
            end = len(log)
            if until_lt is not None:
                end = bisect_right(log, until_lt, key=lambda one: one.lt)
            return log[max(0, end - limit) : end][::-1]

    def transaction(self, transaction_hash: bytes) -> Transaction | None:
        """Return a transaction by its hash."""
        with self._lock:
            self._index()
            return self._by_hash.get(transaction_hash)

    def transaction_of_message(self, message_hash: bytes) -> Transaction | None:
        """Return the transaction that a message caused.

        A message from outside is also known by its normalised hash.
        """
        with self._lock:
            self._index()
            return self._by_message.get(message_hash)

    def transaction_that_sent(self, message_hash: bytes) -> Transaction | None:
        """Return the transaction that sent a message."""
        with self._lock:
            self._index()
            return self._sent_by.get(message_hash)

    def first_of_block(self, seqno: int) -> Transaction:
        """Return the transaction that all others of a block followed from."""
        with self._lock:
            return self._log[bisect_left(self._log, seqno, key=lambda one: one.block)]

    # Going back

    def snapshot(self) -> Snapshot:
        """Remember the chain as it is."""
        with self._lock:
            return Snapshot(
                accounts=dict(self._accounts),
                transactions=len(self._log),
                blocks=len(self._blocks),
                last_lt=self._lt,
                clock_offset=self._offset,
                waiting=tuple(self._waiting),
                held=self._held_at is not None,
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a moment; what came after never happened, its time included."""
        with self._lock:
            self._accounts = dict(snapshot.accounts)
            for gone in self._log[snapshot.transactions :]:
                self._of_account[gone.account].remove(gone)
            del self._log[snapshot.transactions :]
            del self._blocks[snapshot.blocks :]
            self._lt = snapshot.last_lt
            self._offset = snapshot.clock_offset
            self._waiting = deque(snapshot.waiting)
            self._held_at = self._blocks[-1].now if snapshot.held else None
            self._views.clear()
            for index in (self._by_hash, self._by_message, self._sent_by):
                index.clear()
            self._indexed = 0

    def reset(self) -> None:
        """Go back to the beginning."""
        self.restore(self._genesis)

    # Inside

    def _take(self, message: Cell) -> Trace:
        if self._held_at is not None:
            self._waiting.append(message)
            return Trace(())
        return self._carry_out(message)

    def _carry_out(self, message: Cell) -> Trace:
        """Run a message and everything that it causes, first come, first served, as one block."""
        now = self.now
        start = self._lt + _LT_OF_BLOCK
        self._lt = start
        queue = deque([message])
        done: list[Transaction] = []
        seqno = len(self._blocks) + 1
        before: dict[Address, Cell | None] = {}
        while queue:
            one = queue.popleft()
            destination = destination_of(one)
            if destination is None:  # it leaves the chain
                continue
            stored = self._accounts.get(destination)
            executed = self._execute(stored, one, now)
            if executed is None:
                self._undo(before, start)
                raise MessageRefusedError(self._tvm.refusal())
            before.setdefault(destination, stored)
            self._accounts[destination] = executed.shard_account
            done.append(
                Transaction(
                    account=destination,
                    lt=self._lt,
                    now=now,
                    block=seqno,
                    cell=executed.transaction,
                )
            )
            if len(done) > _MOST_TRANSACTIONS:
                self._undo(before, start)
                raise ChainStuckError("messages cause messages without end")
            queue.extend(messages_out(executed.transaction))
        for transaction in done:
            self._log.append(transaction)
            self._of_account.setdefault(transaction.account, []).append(transaction)
        self._close_block(start)
        return Trace(tuple(done))

    def _execute(self, stored: Cell | None, message: Cell, now: int) -> Executed | None:
        self._lt += _LT_STEP
        account = self._nothing.shard_account if stored is None else stored
        return self._tvm.execute(account, message, now=now, lt=self._lt)

    def _undo(self, before: dict[Address, Cell | None], start: int) -> None:
        """Put back what a message that came to nothing had changed."""
        self._lt = start - _LT_OF_BLOCK
        for address, stored in before.items():
            if stored is None:
                del self._accounts[address]
            else:
                self._accounts[address] = stored

    def _close_block(self, start_lt: int) -> None:
        block = Block(seqno=len(self._blocks) + 1, now=self.now, start_lt=start_lt, end_lt=self._lt)
        self._blocks.append(block)

    def _index(self) -> None:
        """Look at what came since the last time somebody asked for a hash."""
        for transaction in self._log[self._indexed :]:
            self._by_hash[transaction.hash] = transaction
            message = transaction.in_message
            self._by_message[hash_of(message)] = transaction
            if bits_of(message)[0] == "1":
                whole = cell_from(message.to_boc())
                self._by_message[normalised_hash(whole)] = transaction
            for sent in messages_out(transaction.cell):
                self._sent_by[hash_of(sent)] = transaction
        self._indexed = len(self._log)


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
