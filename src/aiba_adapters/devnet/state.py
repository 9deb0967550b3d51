"""What the local chain is at a moment, and what of it has changed since somebody was told."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiba_adapters.devnet.changes import BlockForm, Change, Impossible, TransactionForm
from aiba_adapters.devnet.history import Block, History
from aiba_adapters.devnet.transactions import Transaction
from aiba_adapters.devnet.tvm import BadCellError, Cell, cell_of
from aiba_adapters.ton.addresses import Address, AddressRefused, parse


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The chain at one moment, to go back to. Good for the chain that made it only."""

    accounts: dict[Address, Cell | str]
    blocks: int
    last_lt: int
    clock_offset: int
    waiting: tuple[Cell, ...]
    held: bool


@dataclass(slots=True, kw_only=True)
class _Told:
    """What is known of a state elsewhere: so many blocks and waiting messages, and the rest of it.

    Of `accounts` it isn't. `is_less` if more blocks or waiting messages were known, now gone.
    """

    blocks: int = 0
    waiting: int = 0
    accounts: set[Address] = field(default_factory=set)
    rest: tuple[int, int, int | None] | None = None
    is_less: bool = False


class State:
    """Accounts, history, waiting messages and time.

    `lt` is the last logical time, `offset` how far the chain runs ahead of its clock in seconds,
    `held_at` the time at which it is held.
    """

    def __init__(self, first: Block) -> None:
        """Begin with a block and no account."""
        # A text is a bag of cells in base64, opened when somebody asks.
        self._accounts: dict[Address, Cell | str] = {}
        self.history = History(first)
        self.waiting: deque[Cell] = deque()
        self.lt = first.end_lt
        self.offset = 0
        self.held_at: int | None = None
        self._told = _Told()

    @property
    def last_block(self) -> Block:
        """Return the block that is last now."""
        return self.history.blocks[-1]

    def account(self, address: Address) -> Cell | None:
        """Return an account as the chain stores it, None if nothing ever reached it."""
        stored = self._accounts.get(address)
        if isinstance(stored, str):
            stored = self._accounts[address] = cell_of(stored)
        return stored

    def put_account(self, address: Address, stored: Cell | None) -> None:
        """Store an account, or nothing under its address."""
        if stored is None:
            self._accounts.pop(address, None)
        else:
            self._accounts[address] = stored

    def close_block(self, start_lt: int, now: int, done: Sequence[Transaction]) -> None:
        """Put a block with these transactions at the end, up to the last logical time."""
        seqno = self.last_block.seqno + 1
        self.history.add(Block(seqno=seqno, now=now, start_lt=start_lt, end_lt=self.lt), done)
        self._told.accounts.update(one.account for one in done)

    def take_waiting(self) -> list[Cell]:
        """Return the messages that wait, which wait no more."""
        taken = [*self.waiting]
        self._keep_waiting(0)
        return taken

    def snapshot(self) -> Snapshot:
        """Remember what is."""
        return Snapshot(
            accounts=dict(self._accounts),
            blocks=len(self.history.blocks),
            last_lt=self.lt,
            clock_offset=self.offset,
            waiting=tuple(self.waiting),
            held=self.held_at is not None,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a moment."""
        for address in self._accounts.keys() | snapshot.accounts.keys():
            if self._accounts.get(address) is not snapshot.accounts.get(address):
                self._told.accounts.add(address)
        self._accounts = dict(snapshot.accounts)
        self._keep_blocks(snapshot.blocks)
        self._keep_waiting(0)
        self.waiting.extend(snapshot.waiting)
        self.lt = snapshot.last_lt
        self.offset = snapshot.clock_offset
        self.held_at = self.last_block.now if snapshot.held else None

    # What changes

    def tell(self) -> Change | None:
        """Return what has changed since this was last called, None if nothing has."""
        told, self._told = self._told, self._known()
        is_news = told.is_less or told.accounts or told != self._told
        return self._since(told) if is_news else None

    def everything(self) -> Change:
        """Return all of it, as what changed since there was nothing."""
        return self._since(_Told(accounts=set(self._accounts)))

    def apply(self, change: Change) -> None:
        """Carry out a change that was told. Raises Impossible; the state is of no use then."""
        if not 0 <= change.kept_blocks <= len(self.history.blocks):
            raise Impossible(f"it follows on block {change.kept_blocks}, which isn't there")
        if not 0 <= change.kept_waiting <= len(self.waiting):
            raise Impossible("it follows on waiting messages that aren't there")
        if not change.kept_blocks and not change.blocks:
            raise Impossible("it leaves a chain without a block")
        try:
            self._keep_blocks(change.kept_blocks)
            for form in change.blocks:
                self._add(form)
            self._keep_waiting(change.kept_waiting)
            self.waiting.extend(cell_of(boc) for boc in change.waiting)
            for text, boc in change.accounts.items():
                address = parse(text, allow_testnet=False)
                if boc is None:
                    self._accounts.pop(address, None)
                else:
                    self._accounts[address] = boc
        except AddressRefused:
            raise Impossible("it names an account by no address") from None
        except BadCellError:
            raise Impossible("it has something that is no bag of cells") from None
        self.lt, self.offset, self.held_at = change.lt, change.offset, change.held_at
        self._told = self._known()

    def _known(self) -> _Told:
        return _Told(
            blocks=len(self.history.blocks),
            waiting=len(self.waiting),
            rest=(self.lt, self.offset, self.held_at),
        )

    def _since(self, told: _Told) -> Change:
        return Change(
            lt=self.lt,
            kept_blocks=told.blocks,
            kept_waiting=told.waiting,
            offset=self.offset,
            held_at=self.held_at,
            blocks=tuple(_form(*one) for one in self.history.after(told.blocks)),
            waiting=tuple(cell.to_boc() for cell in [*self.waiting][told.waiting :]),
            accounts={one.raw: self._boc(one) for one in told.accounts},
        )

    def _boc(self, address: Address) -> str | None:
        stored = self._accounts.get(address)
        return stored if stored is None or isinstance(stored, str) else stored.to_boc()

    def _add(self, form: BlockForm) -> None:
        seqno = len(self.history.blocks) + 1
        block = Block(seqno=seqno, now=form.now, start_lt=form.start_lt, end_lt=form.end_lt)
        transactions = [
            Transaction(
                account=parse(one.account, allow_testnet=False),
                lt=one.lt,
                now=form.now,
                block=seqno,
                cell=one.boc,
            )
            for one in form.transactions
        ]
        self.history.add(block, transactions)

    def _keep_blocks(self, count: int) -> None:
        self._told.is_less |= count < self._told.blocks
        self._told.blocks = min(self._told.blocks, count)
        self.history.keep(count)

    def _keep_waiting(self, count: int) -> None:
        self._told.is_less |= count < self._told.waiting
        self._told.waiting = min(self._told.waiting, count)
        while len(self.waiting) > count:
            self.waiting.pop()


def _form(block: Block, transactions: Sequence[Transaction]) -> BlockForm:
    forms = (
        TransactionForm(account=one.account.raw, lt=one.lt, boc=one.boc_text)
        for one in transactions
    )
    return BlockForm(block.now, block.start_lt, block.end_lt, tuple(forms))
