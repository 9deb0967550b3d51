"""What happened on the local chain: blocks and their transactions, found by account and by hash."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiba_adapters.devnet.cells import cell_from, normalised_hash
from aiba_adapters.devnet.transactions import Transaction, messages_out
from aiba_adapters.devnet.tvm import bits_of, hash_of
from aiba_adapters.ton.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block: its number, its time in seconds, and the logical times it spans."""

    seqno: int
    now: int
    start_lt: int
    end_lt: int


class History:
    """Blocks in order, the first with number 1, each with its transactions in order."""

    def __init__(self, first: Block) -> None:
        self.blocks = [first]
        self._log: list[Transaction] = []
        self._of_account: dict[Address, list[Transaction]] = {}
        self._by_hash: dict[bytes, Transaction] = {}
        self._by_message: dict[bytes, Transaction] = {}
        self._sent_by: dict[bytes, Transaction] = {}
        self._indexed = 0

    def add(self, block: Block, transactions: Sequence[Transaction]) -> None:
        """Put a block at the end."""
        self.blocks.append(block)
        for transaction in transactions:
            self._log.append(transaction)
            self._of_account.setdefault(transaction.account, []).append(transaction)

    def keep(self, count: int) -> None:
        """Forget all blocks but the first `count`, with their transactions."""
        if count >= len(self.blocks):
            return
        del self.blocks[count:]
        kept = bisect_right(self._log, count, key=lambda one: one.block)
        for gone in reversed(self._log[kept:]):
            self._of_account[gone.account].pop()
        del self._log[kept:]
        for index in (self._by_hash, self._by_message, self._sent_by):
            index.clear()
        self._indexed = 0

    def after(self, count: int) -> Iterator[tuple[Block, Sequence[Transaction]]]:
        """Yield the blocks after the first `count`, each with its transactions."""
        place = bisect_right(self._log, count, key=lambda one: one.block)
        for block in self.blocks[count:]:
            end = place
            while end < len(self._log) and self._log[end].block == block.seqno:
                end += 1
            yield block, self._log[place:end]
            place = end

    def latest(
        self, account: Address | None, until_lt: int | None, limit: int
    ) -> list[Transaction]:
        """Return the latest transactions, newest first, of one account or of all.

        With `until_lt`, those of that logical time and before.
        """
        log = self._log if account is None else self._of_account.get(account, [])
        end = len(log)
        if until_lt is not None:
            end = bisect_right(log, until_lt, key=lambda one: one.lt)
        return log[max(0, end - limit) : end][::-1]

    def first_of_block(self, seqno: int) -> Transaction:
        """Return the transaction that all others of a block followed from."""
        return self._log[bisect_left(self._log, seqno, key=lambda one: one.block)]

    def by_hash(self, transaction_hash: bytes) -> Transaction | None:
        """Return a transaction by its hash."""
        self._index()
        return self._by_hash.get(transaction_hash)

    def by_message(self, message_hash: bytes) -> Transaction | None:
        """Return the transaction that a message caused, by its hash or its normalised hash."""
        self._index()
        return self._by_message.get(message_hash)

    def sender_of(self, message_hash: bytes) -> Transaction | None:
        """Return the transaction that sent a message."""
        self._index()
        return self._sent_by.get(message_hash)

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
