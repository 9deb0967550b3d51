"""The port's writes to the state, each of which can be undone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from aiba_adapters.memory.reads import MemoryReads
from aiba_adapters.memory.state import KEYS, UNCHANGING, State
from aiba_domain.battle.model import Battle
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Record
from aiba_domain.economy.ledger import (
    Posting,
    may_go_negative,
    post,
)
from aiba_domain.errors import InvariantViolation
from aiba_domain.instants import day_key
from aiba_domain.players.model import Player
from aiba_domain.ports import (
    Entry,
    Remembered,
)

K = TypeVar("K")
V = TypeVar("V")


class MemoryUnitOfWork(MemoryReads):
    """Reads and writes the state directly and remembers how to undo each write."""

    def __init__(self, state: State) -> None:
        """Work on a state that nobody else works on meanwhile."""
        super().__init__(state)
        self._undo: list[Callable[[], object]] = []
        self.failure: Exception | None = None

    def check(self) -> None:
        """Raise what a write of this unit has raised, if one did."""
        if self.failure is not None:
            raise self.failure

    def undo(self) -> None:
        """Take back every write, the newest first."""
        while self._undo:
            self._undo.pop()()

    async def write(
        self,
        *,
        at: int,
        postings: Sequence[Posting] = (),
        changed: Sequence[Record] = (),
        removed: Sequence[Record] = (),
        remember: Remembered | None = None,
    ) -> None:
        try:
            self._apply(at, postings, changed, removed, remember)
        except Exception as failure:
            self.failure = failure
            raise

    def _apply(
        self,
        at: int,
        postings: Sequence[Posting],
        changed: Sequence[Record],
        removed: Sequence[Record],
        remember: Remembered | None,
    ) -> None:
        """Write everything; the store undoes the unit if any of it fails."""
        state = self._state
        for place, balance in post(state.balances, postings).items():
            self._put(state.balances, place, balance)
            if may_go_negative(place[0]):
                state.sources.add(place)
        for posting in postings:
            entry = Entry(number=len(state.entries) + 1, at=at, posting=posting)
            state.entries.append(entry)
            self._undo.append(state.entries.pop)
        for record in changed:
            self._keep(record)
        for record in removed:
            kind = type(record)
            if isinstance(record, Broker):
                self._bind_nft(record, "")
            self._drop(state.records[kind], getattr(record, KEYS[kind]))
        if remember:
            if remember.scope in state.answers:
                raise InvariantViolation(f"a second answer to {remember.scope}")
            self._put(state.answers, remember.scope, remember)

    def _keep(self, record: Record) -> None:
        """Keep a record in place of the one with the same key, and what it is found by."""
        kind = type(record)
        records, key = self._state.records[kind], getattr(record, KEYS[kind])
        if kind in UNCHANGING and key in records:
            raise InvariantViolation(f"a second {kind.__name__} {key}")
        if isinstance(record, Player):
            self._bind_wallet(record)
        elif isinstance(record, Claim):
            self._track_flight(record)
            self._track_seqno(record)
            self._track_day(record)
        elif isinstance(record, Listing):
            self._track_offer(record)
        elif isinstance(record, MintJob):
            self._track_mint(record)
        elif isinstance(record, Broker):
            self._bind_nft(record, record.nft_item_address)
        elif isinstance(record, Battle):
            scores, player_id = self._state.scores, record.player_id
            self._put(scores, player_id, scores.get(player_id, 0) + record.receipt.outcome.score)
        self._put(records, key, record)

    def _bind_wallet(self, player: Player) -> None:
        """Keep whose wallet is whose; one wallet has one player."""
        owners = self._state.wallets
        before = self._get(Player, player.id)
        if before is not None and before.wallet == player.wallet:
            return
        if before is not None and before.wallet:
            self._drop(owners, before.wallet)
        if player.wallet:
            if player.wallet in owners:
                raise InvariantViolation(f"a second player with the wallet {player.wallet}")
            self._put(owners, player.wallet, player.id)

    def _track_flight(self, claim: Claim) -> None:
        """Keep which claim is in flight to whom; there is one at a time."""
        flights = self._state.flights
        target = (claim.terms.vault, claim.terms.recipient)
        flying = flights.get(target)
        if claim.is_open:
            if flying not in (None, claim.id):
                raise InvariantViolation(f"a second claim in flight to {claim.terms.recipient}")
            self._put(flights, target, claim.id)
        elif flying == claim.id:
            self._drop(flights, target)

    def _track_seqno(self, claim: Claim) -> None:
        """Keep which claim a seqno stands for; a refunded one gives it up."""
        seqnos = self._state.seqnos
        place = (claim.terms.vault, claim.terms.recipient, claim.terms.seqno)
        taken = seqnos.get(place)
        if claim.state is not ClaimState.REFUNDED:
            if taken not in (None, claim.id):
                raise InvariantViolation(f"a second claim under seqno {claim.terms.seqno}")
            self._put(seqnos, place, claim.id)
        elif taken == claim.id:
            self._drop(seqnos, place)

    def _track_day(self, claim: Claim) -> None:
        """Keep what a day's claims come to; a refunded one no more."""
        claimed = self._state.claimed
        for each, sign in ((self._get(Claim, claim.id), -1), (claim, 1)):
            if each is not None and each.state is not ClaimState.REFUNDED:
                day = day_key(each.created_at)
                for place in ((day, None), (day, each.player_id)):
                    self._put(claimed, place, claimed.get(place, 0) + sign * each.terms.amount)

    def _track_offer(self, listing: Listing) -> None:
        """Keep which listing of a broker is active; there is one at a time."""
        offers = self._state.offers
        offer = offers.get(listing.broker_id)
        if listing.is_active:
            if offer not in (None, listing.id):
                raise InvariantViolation(f"a second active listing of {listing.broker_id}")
            self._put(offers, listing.broker_id, listing.id)
        elif offer == listing.id:
            self._drop(offers, listing.broker_id)

    def _track_mint(self, job: MintJob) -> None:
        """Keep which mint job of a broker is open; there is one at a time."""
        mints = self._state.mints
        open_job = mints.get(job.broker_id)
        if job.is_open:
            if open_job not in (None, job.id):
                raise InvariantViolation(f"a second open mint job of {job.broker_id}")
            self._put(mints, job.broker_id, job.id)
        elif open_job == job.id:
            self._drop(mints, job.broker_id)

    def _bind_nft(self, broker: Broker, item_address: str) -> None:
        """Keep whose NFT is whose; one NFT has one broker."""
        nfts = self._state.nfts
        before = self._get(Broker, broker.id)
        held = "" if before is None else before.nft_item_address
        if held == item_address:
            return
        if held:
            self._drop(nfts, held)
        if item_address:
            if item_address in nfts:
                raise InvariantViolation(f"a second broker of the NFT {item_address}")
            self._put(nfts, item_address, broker.id)

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.pop(key))
        table[key] = value

    def _drop(self, table: dict[K, V], key: K) -> None:
        if key in table:
            before = table.pop(key)
            self._undo.append(lambda: table.__setitem__(key, before))
