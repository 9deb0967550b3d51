"""A ledger with a past: battles written through the store's own port, many to a commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.battle.commands import BattleKept, BattleReply
from aiba_domain.battle.model import Battle
from aiba_domain.battle.receipt import battle_id
from aiba_domain.decision import Accepted
from aiba_domain.economy.ledger import Posting, emission_account, player_account
from aiba_domain.instants import DAY, day_key
from aiba_domain.players.model import new_player
from aiba_domain.ports import Remembered, Scope, Store, UnitOfWork
from bench.play import Seat

BATTLES_PER_PLAYER: Final = 50
_BATTLES_PER_COMMIT: Final = 500
_DAYS: Final = 90
"""Over so many days a million entries stay under each day's cap."""
_FINGERPRINT: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fought:
    """A battle that was really decided, as the pattern of others."""

    battle: Battle
    postings: Sequence[Posting]


async def write_history(
    store: Store, pipeline: Pipeline, seats: Sequence[Seat], *, rows: int
) -> int:
    """Bring an empty ledger to about `rows` entries of past battles; return how many battles.

    Each has what a real one leaves: its record, its ledger entries, its remembered answer, among
    players and days of their own. Only their receipts are copies with other names.
    """
    patterns = [await _fight(pipeline, seat) for seat in seats]
    written = sum(len(pattern.postings) for pattern in patterns)
    number = 0
    while written < rows:
        past: list[_Fought] = []
        while written < rows and len(past) < _BATTLES_PER_COMMIT:
            past.append(_past(patterns[number % len(patterns)], number))
            written += len(past[-1].postings)
            number += 1
        await _write(store, past)
    return number


async def _fight(pipeline: Pipeline, seat: Seat) -> _Fought:
    answer = await pipeline.execute(seat.player, seat.battle(), "pattern")
    outcome = answer.outcome
    if not isinstance(outcome, Accepted) or not isinstance(outcome.reply, BattleReply):
        raise TypeError(f"a battle of the bench was refused: {outcome}")
    return _Fought(battle=outcome.reply.battle, postings=outcome.postings)


def _past(pattern: _Fought, number: int) -> _Fought:
    """Return a battle like `pattern`, of another player on an earlier day."""
    player, key = f"9{number // BATTLES_PER_PLAYER:09}", f"past-{number}"
    day = 1 + number % _DAYS
    inputs = pattern.battle.receipt.inputs
    at = inputs.at - day * DAY
    named = replace(
        inputs,
        battle_id=battle_id(player, key, at),
        player_id=player,
        request_id=key,
        at=at,
    )
    battle = replace(
        pattern.battle,
        id=named.battle_id,
        player_id=player,
        created_at=at,
        receipt=replace(pattern.battle.receipt, inputs=named),
    )
    postings = [
        replace(
            posting,
            debit=emission_account(day_key(at), posting.arena),
            credit=player_account(player),
            source_id=key,
        )
        for posting in pattern.postings
    ]
    return _Fought(battle=battle, postings=postings)


async def _write(store: Store, past: Sequence[_Fought]) -> None:
    async def work(unit: UnitOfWork) -> None:
        at = past[0].battle.created_at
        players = {fought.battle.player_id: fought.battle.created_at for fought in past}
        await unit.write(
            at=at,
            postings=[posting for fought in past for posting in fought.postings],
            changed=[
                *(new_player(player, None, born) for player, born in players.items()),
                *(fought.battle for fought in past),
            ],
        )
        for fought in past:
            await unit.write(at=at, remember=_answer(fought.battle))

    await store.transact(work)


def _answer(battle: Battle) -> Remembered:
    return Remembered(
        scope=Scope(
            principal=f"player:{battle.player_id}",
            command="battle.run",
            key=battle.receipt.inputs.request_id,
        ),
        fingerprint=_FINGERPRINT,
        outcome=Accepted(reply=BattleKept(battle_id=battle.id)),
        at=battle.created_at,
    )
