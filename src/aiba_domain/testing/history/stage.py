"""A store ready for a history: players with a broker, a wallet and money, under a tight policy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE, prepare
from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.mode_commands import SaveMode
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.model import STARTER_STAT, Broker, Stat
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Entry, Reader, Store, UnitOfWork
from aiba_domain.testing.auditor import Auditor
from aiba_domain.testing.doubles import NOON, FixedSeeds, SettableClock, Tally
from aiba_domain.testing.history import account as model
from aiba_domain.testing.history.account import CAPPED, Account
from aiba_domain.testing.history.search import Operation

_NEUR: Final = 100
_AIBA: Final = 200
_PLAYER: Final = "player:"
"""Keys are a player's own, so only of what touches one it can be told that it happened twice."""
_CAPPED_CLAIMS: Final = 2
"""How many players can claim the day's reward before its cap is reached."""

MODE: Final = GameMode(
    id=mode_id("duel"),
    key="duel",
    name="duel",
    arena="prediction",
    energy_cost=1,
    cooldown_seconds=0,
    entry_neur=model.ENTRY,
    reward_multiplier_aiba=Fraction(0),
    reward_multiplier_neur=Fraction(0),
    rules=ModeRules(variance_base=0),
    created_at=0,
    updated_at=0,
)
"""A mode that costs money and energy and pays nothing that an account of the model holds."""

START: Final = Account(neur=_NEUR, aiba=_AIBA, points=STARTER_STAT * len(Stat))
"""What each account holds before anybody asks for anything."""

_POLICY: Final = {
    "daily_reward_neur": model.DAILY,
    "daily_cap_neur": model.DAILY * _CAPPED_CLAIMS,
    "train_neur_cost": model.TRAIN,
    "repair_neur_cost": model.REPAIR,
    "upgrade_aiba_cost": model.UPGRADE,
    "battle_max_energy": model.ENERGY,
}


def broker_of(player: str) -> str:
    """Return the id of a player's one broker."""
    return derive_id("history", player)


def wallet_of(player: str) -> str:
    """Return the wallet that a player has bound."""
    return f"0:{int(player):064x}"


async def set_up(store: Store, players: Sequence[str]) -> None:
    """Make an empty store ready for play."""
    seeds = FixedSeeds()
    pipeline = Pipeline(
        store=store,
        clock=SettableClock(),
        seeds=seeds,
        observer=Tally(),
        handlers=HANDLERS,
    )
    await prepare(pipeline, store, seeds)
    (await pipeline.execute(SERVICE, ChangePolicy(changes=_POLICY))).reply()
    (await pipeline.execute(SERVICE, SaveMode(mode=MODE))).reply()

    async def give(unit: UnitOfWork) -> None:
        await unit.write(
            at=NOON,
            postings=[
                _deposit(player, currency, amount)
                for player in players
                for currency, amount in ((Currency.NEUR, _NEUR), (Currency.AIBA, _AIBA))
            ],
            changed=[record for player in players for record in (_player(player), _broker(player))],
        )

    await store.transact(give)


async def faults_of(store: Store, operations: Sequence[Operation]) -> list[str]:
    """Return what is wrong with a store after a history, beyond any one account.

    The sums, the caps, and the ledger's own word that no key had its effect twice.
    """

    async def look(read: Reader) -> tuple[list[Entry], Mapping[Any, int], EconomyPolicy]:
        return list(read.entries()), await read.accounts(), await read.policy()

    entries, accounts, policy = await store.read(look)
    faults: list[str] = []
    books = Auditor()
    try:
        books.follow(entries, policy)
        books.compare(accounts)
    except AssertionError as fault:
        faults.append(f"the books: {fault}")
    moved = Counter(
        f"{move.currency} from {move.debit} to {move.credit} for {move.source_type} "
        f"{move.source_id}"
        for move in (entry.posting for entry in entries)
        if move.source_type != "deposit" and _PLAYER in f"{move.debit} {move.credit}"
    )
    faults += [f"{what} moved {times} times" for what, times in moved.items() if times > 1]
    return faults + _cap_faults(entries, operations)


def _cap_faults(entries: Sequence[Entry], operations: Sequence[Operation]) -> list[str]:
    """Nobody is told of a reached cap while the day, at its end, has room for one more."""
    emitted = sum(
        each.posting.amount
        for each in entries
        if each.posting.debit.startswith("emission:") and each.posting.currency is Currency.NEUR
    )
    has_room = emitted + model.DAILY <= model.DAILY * _CAPPED_CLAIMS
    refused = [one for one in operations if one.said is not None and one.said.code == CAPPED]
    if has_room and refused:
        return [f"only {emitted} NEUR were emitted, and yet {refused[0]}"]
    return []


def _player(player: str) -> Player:
    return Player(
        id=player, created_at=NOON, updated_at=NOON, last_seen_at=NOON, wallet=wallet_of(player)
    )


def _broker(player: str) -> Broker:
    return Broker(
        id=broker_of(player),
        owner_id=player,
        created_at=NOON,
        updated_at=NOON,
        energy=model.ENERGY,
        energy_updated_at=NOON,
    )


def _deposit(player: str, currency: Currency, amount: int) -> Posting:
    return Posting(
        currency=currency,
        amount=amount,
        debit=CHAIN,
        credit=player_account(player),
        reason="deposit",
        arena="chain",
        league="global",
        source_type="deposit",
        source_id=player,
    )
