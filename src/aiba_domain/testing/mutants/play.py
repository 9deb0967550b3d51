"""Faults of play: battles, energy, rest, starters, and the promise of the seeds."""

from dataclasses import replace
from typing import Final

from aiba_domain.battle.commands import Arena, RunBattle
from aiba_domain.brokers.commands import GetStarter, Repair
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Context
from aiba_domain.errors import InvariantViolation
from aiba_domain.fairness.commands import RotateSeed
from aiba_domain.fairness.epochs import SeedEpoch, commitment
from aiba_domain.ports import SeedSecrets
from aiba_domain.testing.contracts import SeedSecretsContract
from aiba_domain.testing.doubles import FixedSeeds
from aiba_domain.testing.mutants.build import Build
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.patching import Decision, Outcome, ending, in_context, knowing
from aiba_domain.testing.mutants.properties import (
    ContractProperty,
    MachineProperty,
    RuleProperty,
)
from aiba_domain.testing.mutants.rules import keys, play

_FIXED_LIMIT: Final = 220
_MUCH: Final = 5_000


def _breaks_at_the_first_win(made: Decision) -> Outcome:
    if isinstance(made.outcome, Accepted) and made.outcome.reply.battle.diamonds:
        raise InvariantViolation("first_win_diamond is not in the label set")
    return made.outcome


def _flags_by_a_fixed_limit(made: Decision) -> Outcome:
    """Keep back what a score above the old limit has won."""
    if not isinstance(made.outcome, Accepted):
        return made.outcome
    is_high = made.outcome.reply.battle.receipt.outcome.score > _FIXED_LIMIT
    return replace(made.outcome, postings=()) if is_high else made.outcome


def _rests_less(state: Arena) -> Arena:
    mode = state.mode
    if mode is None or not mode.cooldown_seconds:
        return state
    return replace(state, mode=replace(mode, cooldown_seconds=mode.cooldown_seconds - 1))


def _costs_no_energy(made: Decision) -> Outcome:
    """Save the broker as it was before the battle."""
    broker = made.state.broker
    energy = broker.energy if broker else 0
    return made.with_records(Broker, lambda after: replace(after, energy=energy))


def _overfills(made: Decision) -> Outcome:
    return made.with_records(Broker, lambda broker: replace(broker, energy=_MUCH))


def _never_had_one(context: Context) -> Context:
    player = replace(context.acting_player(), starter_broker_id=None)
    return replace(context, player=player)


def _changes_the_promise(made: Decision) -> Outcome:
    """Close an epoch under the commitment of another secret."""
    other = commitment(made.command.closes or 1, "a secret chosen after the battles were fought")
    return made.with_records(
        SeedEpoch,
        lambda epoch: replace(epoch, commitment=other) if epoch.closed_at is not None else epoch,
    )


class _OneSecret(FixedSeeds):
    """Every epoch has the first one's secret, so revealing one reveals all."""

    def secret(self, number: int) -> str:
        del number
        return super().secret(1)


class _NoRoot(FixedSeeds):
    """Where the root is left out, a constant takes its place."""

    def __init__(self, root: str) -> None:
        del root
        super().__init__()


def _one_secret(build: Build) -> Build:
    return replace(build, make_seeds=_OneSecret)


def _no_root(build: Build) -> Build:
    def make(root: str) -> SeedSecrets:
        return _NoRoot(root)

    return replace(build, make_seeds=make)


PLAY_MUTANTS: Final = (
    Mutant(
        id="first-win-fails",
        breaks="the first win of every player ends in an error",
        plant=ending(RunBattle, change=_breaks_at_the_first_win),
        killed_by=RuleProperty(rule=play.the_first_win_is_answered),
        defects=("D-09",),
    ),
    Mutant(
        id="fixed-limit",
        breaks="a score above 220 is taken for cheating, which a strong broker reaches honestly",
        plant=ending(RunBattle, change=_flags_by_a_fixed_limit),
        killed_by=RuleProperty(rule=play.an_honest_score_is_paid),
        defects=("D-55",),
    ),
    Mutant(
        id="cooldown-off-by-one",
        breaks="a broker fights again a second before its rest is over",
        plant=knowing(RunBattle, as_if=_rests_less),
        killed_by=RuleProperty(rule=play.a_cooldown_lasts_to_its_last_millisecond),
    ),
    Mutant(
        id="energy-free",
        breaks="a battle leaves the broker the energy it had before",
        plant=ending(RunBattle, change=_costs_no_energy),
        killed_by=RuleProperty(rule=play.energy_is_paid_and_never_above_its_most),
        defects=("D-32",),
    ),
    Mutant(
        id="energy-over-max",
        breaks="a repair fills a broker above the policy's maximum",
        plant=ending(Repair, change=_overfills),
        killed_by=MachineProperty(rule="brokers_are_within_bounds"),
        budget=8,
    ),
    Mutant(
        id="second-starter",
        breaks="the free broker is given as often as it is asked for",
        plant=in_context(GetStarter, as_if=_never_had_one),
        killed_by=RuleProperty(rule=keys.a_starter_is_given_once),
        defects=("D-11",),
    ),
    Mutant(
        id="promise-changed",
        breaks="an epoch is closed under another commitment than it was opened with",
        plant=ending(RotateSeed, change=_changes_the_promise),
        killed_by=RuleProperty(rule=play.a_commitment_is_kept),
    ),
    Mutant(
        id="secret-early",
        breaks="the secret that a closed epoch reveals is that of the open one",
        plant=_one_secret,
        killed_by=RuleProperty(rule=play.a_revealed_secret_opens_no_other_epoch),
    ),
    Mutant(
        id="secret-constant",
        breaks="the seeds come from a constant where no secret is configured",
        plant=_no_root,
        killed_by=ContractProperty(
            suite=SeedSecretsContract, test="test_another_root_has_other_secrets"
        ),
        defects=("D-21",),
    ),
)
"""The faults of play."""
