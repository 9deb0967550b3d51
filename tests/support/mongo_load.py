"""A process of players who fight and withdraw, whatever becomes of the database meanwhile.

`python -m tests.support.mongo_load URI NUMBER` plays until its input ends. What is answered it
writes as a line, the kind, the player and the key; all else it asks for again under the same key.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from aiba_adapters.mongo import open_store
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE, prepare
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView, Claim
from aiba_domain.claims.commands import ConnectWallet, ReserveClaim, SettleClaim
from aiba_domain.decision import Accepted, Command, Principal, Refused
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.money import Currency
from aiba_domain.ports import Store, Unavailable, UnitOfWork
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.doubles import NOON, FixedSeeds, SettableClock, Tally
from bench.play import OPERATOR, Seat, lift_limits, seat_players

R = TypeVar("R")

PLAYERS: Final = 4
"""How many players a process has."""

CAP: Final = 100
"""What a day may emit in AIBA: the load reaches it soon, and its battles go on unpaid."""

FUNDS: Final = 1_000_000
_CLAIM_EVERY: Final = 3


def pipeline_over(store: Store) -> Pipeline:
    """Return the commands over a store, at a time that stands still."""
    return Pipeline(
        store=store,
        clock=SettableClock(),
        seeds=FixedSeeds(),
        observer=Tally(),
        handlers=HANDLERS,
    )


async def make_ready(store: Store, processes: int) -> None:
    """Give every player a broker, a wallet and money, and the day its small caps."""
    pipeline = pipeline_over(store)
    await prepare(pipeline, store, FixedSeeds())
    await lift_limits(pipeline)
    (await pipeline.execute(OPERATOR, ChangePolicy(changes={"daily_cap_aiba": CAP}))).reply()
    for seat in await seat_players(pipeline, processes * PLAYERS):
        address = ConnectWallet(address=wallet_of(seat))
        (await pipeline.execute(seat.player, address, "wallet")).reply()
        await store.transact(funded(seat.player.id))


def wallet_of(seat: Seat) -> str:
    """Return a player's wallet."""
    return f"0:{int(seat.player.id):064x}"


def funded(player_id: str) -> Callable[[UnitOfWork], Awaitable[None]]:
    """Return the unit by which a player gets money from the chain."""

    async def work(unit: UnitOfWork) -> None:
        deposit = Posting(
            currency=Currency.AIBA,
            amount=FUNDS,
            debit=CHAIN,
            credit=player_account(player_id),
            reason="deposit",
            arena="chain",
            league="global",
            source_type="deposit",
            source_id=player_id,
        )
        await unit.write(at=NOON, postings=(deposit,))

    return work


@dataclass(slots=True)
class Life:
    """One player: battles, and a withdrawal now and then, paid and expired by turns."""

    pipeline: Pipeline
    seat: Seat
    run: str
    seqno: int = 0
    time_s: int = GENESIS_S
    withdrawals: int = 0

    async def turn(self, number: int) -> None:
        """Fight a battle; after some, withdraw."""
        key = f"{self.run}-{number}"
        self._tell("battle", key, await self._answered(self.seat.player, self.seat.battle(), key))
        if number % _CLAIM_EVERY == 0:
            await self._withdraw(key)

    async def _withdraw(self, key: str) -> None:
        reserve = ReserveClaim(
            amount=1 + self.withdrawals % 3,
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            recipient=wallet_of(self.seat),
            seen=ChainView(seqno=self.seqno, time_s=self.time_s),
        )
        outcome = await self._answered(self.seat.player, reserve, key)
        self._tell("claim", key, outcome)
        if not isinstance(outcome, Accepted):
            return
        claim: Claim = outcome.reply.claim
        self.withdrawals += 1
        if self.withdrawals % 2:
            self.seqno = claim.terms.seqno
        else:
            self.time_s += VALIDITY_S + EXPIRY_MARGIN_S + 1
        seen = ChainView(seqno=self.seqno, time_s=self.time_s)
        settled = await self._answered(SERVICE, SettleClaim(claim_id=claim.id, seen=seen), None)
        self._tell("settled", claim.id, settled)

    async def _answered(
        self, principal: Principal, command: Command[R], key: str | None
    ) -> Accepted[R] | Refused:
        """Issue a command, again while the database is away."""
        while True:
            try:
                return (await self.pipeline.execute(principal, command, key)).outcome
            except Unavailable as away:
                self._tell("again", f"{type(away).__name__}", None)

    def _tell(self, kind: str, key: str, outcome: object) -> None:
        if isinstance(outcome, Refused):
            kind, key = "refused", f"{kind} {key} {outcome.code}".replace(" ", "_")
        print(kind, self.seat.player.id, key, flush=True)  # noqa: T201 - it is what it is for


async def play(uri: str, number: int) -> None:
    """Let one process's players live until the input ends."""
    store = await open_store(uri)
    pipeline = pipeline_over(store)
    seats = (await seat_players(pipeline, (number + 1) * PLAYERS))[number * PLAYERS :]
    over = asyncio.Event()

    async def live(seat: Seat) -> None:
        life = Life(pipeline, seat, f"p{number}")
        turn = 0
        while not over.is_set():
            await life.turn(turn)
            turn += 1

    lives = [asyncio.create_task(live(seat)) for seat in seats]
    await asyncio.to_thread(sys.stdin.read)
    over.set()
    await asyncio.gather(*lives)
    await store.close()


def main(words: Sequence[str]) -> None:
    """Play."""
    uri, number = words
    asyncio.run(play(uri, int(number)))


if __name__ == "__main__":
    main(sys.argv[1:])
