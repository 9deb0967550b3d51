"""The command that gives the badge of the leaders to them, and to nobody else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.administration.model import AuditChange
from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context
from aiba_domain.players.model import Player
from aiba_domain.ports import Reader

LEADER_BADGE: Final = "top_leader"
MAX_HOLDERS: Final = 5_000
"""How many holders one command looks at; above the highest number of leaders, so that of more
holders each command takes the badge from some, until none has it who shouldn't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderBadgesReply:
    """How many held the badge before, and how many leaders hold it now."""

    removed: int
    granted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTopLeaderBadges(Command[LeaderBadgesReply]):
    """Let exactly the leaders have the badge: as many as the policy's `top_leader_badge_top_n`.

    Leaders are ranked by the score of all their battles, of as high ones the smaller id first, as
    texts compare; a ban takes nobody out. With 0 nobody keeps the badge.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """What is loaded: the leaders' ids, who has the badge, and the leaders that don't."""

    leaders: frozenset[str]
    holders: Sequence[Player]
    newcomers: Sequence[Player]


async def load_standings(
    _command: SyncTopLeaderBadges, context: Context, read: Reader
) -> Standings:
    """Load leaders and holders; of the leaders only those who don't hold it one by one."""
    leaders = [
        leader.player_id
        for leader in await read.leaders(limit=context.policy.top_leader_badge_top_n)
    ]
    holders = await read.badge_holders(LEADER_BADGE, limit=MAX_HOLDERS)
    holding = {player.id for player in holders}
    found = [await read.player(leader) for leader in leaders if leader not in holding]
    return Standings(
        leaders=frozenset(leaders),
        holders=holders,
        newcomers=[player for player in found if player is not None],
    )


def decide_leader_badges(
    state: Standings, _command: SyncTopLeaderBadges, context: Context
) -> Accepted[LeaderBadgesReply]:
    """Take the badge from whoever is no leader, and give it to the leaders without it."""
    staying = [player for player in state.holders if player.id in state.leaders]
    leaving = [player for player in state.holders if player.id not in state.leaders]
    changed = [
        replace(
            player,
            badges=tuple(badge for badge in player.badges if badge != LEADER_BADGE),
            updated_at=context.now,
        )
        for player in leaving
    ]
    changed += [
        replace(player, badges=(*player.badges, LEADER_BADGE), updated_at=context.now)
        for player in state.newcomers
        if LEADER_BADGE not in player.badges
    ]
    after = [*staying, *state.newcomers]
    change = AuditChange(
        subject=f"badge:{LEADER_BADGE}",
        before={"holders": sorted(player.id for player in state.holders)},
        after={"holders": sorted(player.id for player in after)},
    )
    return Accepted(
        reply=LeaderBadgesReply(removed=len(state.holders), granted=len(after)),
        changed=tuple(changed),
        audit=(change,) if changed else (),
    )


HANDLERS = (
    Handler(
        name="moderation.sync_top_leader_badges",
        command=SyncTopLeaderBadges,
        reply=LeaderBadgesReply,
        load=load_standings,
        decide=decide_leader_badges,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
