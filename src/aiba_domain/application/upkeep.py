"""What the service does by itself: prepare a store for play, and turn seed epochs over."""

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.battle.mode_commands import SeedModes
from aiba_domain.decision import Principal, Role
from aiba_domain.errors import DomainError
from aiba_domain.fairness.commands import MOVED_ON, EpochReply, RotateSeed
from aiba_domain.fairness.epochs import SeedEpoch, commitment
from aiba_domain.ports import Reader, SeedSecrets, Store

SERVICE = Principal(id="service", role=Role.SYSTEM)
"""The principal of what the service does by itself."""


async def open_epoch_of(store: Store) -> SeedEpoch | None:
    """Return the store's open seed epoch, if it has one."""

    async def look(read: Reader) -> SeedEpoch | None:
        return await read.epoch()

    return await store.read(look)


async def prepare(pipeline: Pipeline, store: Store, seeds: SeedSecrets) -> None:
    """Make a store ready for play: the default modes, and an open epoch whose secret is at hand.

    If no root at hand is the one that the open epoch was committed to, it is closed unrevealed
    and the next one opens, so that no battle is drawn under a commitment that can't be kept.
    Any number of processes may do so at once.
    """
    (await pipeline.execute(SERVICE, SeedModes())).reply()
    while (epoch := await open_epoch_of(store)) is None or _secret_of(epoch, seeds) is None:
        try:
            await rotate_seed(pipeline, store, seeds)
        except DomainError as refusal:
            if refusal.code != MOVED_ON:
                raise
            # Another process opened one first, which is looked at next.


async def rotate_seed(
    pipeline: Pipeline, store: Store, seeds: SeedSecrets, who: Principal = SERVICE
) -> EpochReply:
    """Close the open epoch, reveal its secret if it is at hand, and open the next, for `who`.

    Raises DomainError if another process rotated at the same moment.
    """
    epoch = await open_epoch_of(store)
    number = epoch.number if epoch else 0
    command = RotateSeed(
        closes=number,
        commitment=commitment(number + 1, seeds.secret(number + 1)),
        secret=_secret_of(epoch, seeds) if epoch else None,
    )
    return (await pipeline.execute(who, command)).reply()


def _secret_of(epoch: SeedEpoch, seeds: SeedSecrets) -> str | None:
    """Return the secret that the epoch was committed to, None if it isn't at hand."""
    return seeds.promised(epoch.number, epoch.commitment)
