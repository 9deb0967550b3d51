"""What players are told of what took effect."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aiba_domain.battle.model import Battle
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Accepted, Context
from aiba_domain.events import ClaimMoved
from aiba_domain.instants import iso
from aiba_domain.outbox.model import News, Topic
from aiba_domain.players.model import Player

Announce = Callable[[Accepted[Any], Context], Sequence[News]]
"""Says what is told, and to whom, of a command that takes effect."""

_ENDS = {ClaimState.CONFIRMED: Topic.CLAIM_PAID, ClaimState.REFUNDED: Topic.CLAIM_REFUNDED}


def silence(_outcome: Accepted[Any], _context: Context) -> Sequence[News]:
    """Tell nobody anything."""
    return ()


def news_of(outcome: Accepted[Any], context: Context) -> Sequence[News]:
    """Tell players of battles they won, of how their withdrawals ended, and of bans."""
    return tuple(_news(outcome, context))


def _news(outcome: Accepted[Any], context: Context) -> Iterator[News]:
    moved = {event.claim_id for event in outcome.events if isinstance(event, ClaimMoved)}
    for record in outcome.changed:
        match record:
            case Battle() if _is_won(record):
                yield _victory(record)
            case Claim() if record.id in moved and record.state in _ENDS:
                yield _end(record)
            case Player() if record.ban is not None and record.ban.since == context.now:
                until = record.ban.until
                yield News(
                    subject=_subject(record.id),
                    topic=Topic.PLAYER_BANNED,
                    facts={"reason": record.ban.reason}
                    | ({} if until is None else {"until": iso(until)}),
                )
            case _:
                pass


def _is_won(battle: Battle) -> bool:
    outcome = battle.receipt.outcome
    return outcome.is_win and not outcome.is_anomaly


def _victory(battle: Battle) -> News:
    receipt = battle.receipt
    return News(
        subject=_subject(battle.player_id),
        topic=Topic.BATTLE_WON,
        facts={
            "battle": battle.id,
            "arena": receipt.inputs.mode.arena,
            "score": receipt.outcome.score,
            "aiba": receipt.grant.aiba,
            "neur": receipt.grant.player_neur,
            "stars": battle.stars,
            "diamonds": battle.diamonds,
        },
    )


def _end(claim: Claim) -> News:
    return News(
        subject=_subject(claim.player_id),
        topic=_ENDS[claim.state],
        facts={"claim": claim.id, "aiba": claim.terms.amount},
    )


def _subject(player_id: str) -> str:
    return f"player:{player_id}"
