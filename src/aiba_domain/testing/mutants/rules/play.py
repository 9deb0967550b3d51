"""The rules of play: what a battle costs and pays, how a broker rests, what is promised."""

from typing import Final

from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.engine import ModeRules
from aiba_domain.brokers.commands import Repair
from aiba_domain.fairness.epochs import commitment
from aiba_domain.money import Currency
from aiba_domain.testing.mutants.service import HERO, Service

_REST_S: Final = 30
_MOST_ENERGY: Final = 40


def a_refused_battle_costs_nothing(service: Service) -> None:
    """Whoever can pay one of two entry fees pays none."""
    mode, broker = service.mode(entry_neur=5, entry_aiba=5), service.broker()
    service.fund(HERO, NEUR=5)
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    assert service.refusal(HERO, command, "k") == "insufficient AIBA"
    assert service.held(HERO) == 5
    assert service.stored(broker) == broker


def the_first_win_is_answered(service: Service) -> None:
    """It pays a diamond on top of the Stars, and all of it is in the ledger."""
    mode, broker = service.mode(), service.broker()
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    battle = service.play(HERO, command, "k").reply().battle
    assert battle.diamonds == 1
    assert service.held(HERO, Currency.DIAMONDS) == 1
    assert service.held(HERO, Currency.STARS) == battle.stars > 0


def an_honest_score_is_paid(service: Service) -> None:
    """However high: what this fighter can reach is no anomaly."""
    rules = ModeRules(variance_base=0, league_multiplier=3)
    mode, broker = service.mode(rules=rules), service.broker()
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    battle = service.play(HERO, command, "k").reply().battle
    assert battle.receipt.outcome.score > 220
    assert not battle.receipt.outcome.is_anomaly
    assert service.held(HERO, Currency.AIBA) == battle.receipt.grant.aiba > 0


def a_cooldown_lasts_to_its_last_millisecond(service: Service) -> None:
    """A broker rests for the mode's whole cooldown, and then fights."""
    mode, broker = service.mode(cooldown_seconds=_REST_S), service.broker()
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    service.play(HERO, command, "k1").reply()
    service.clock.advance(_REST_S * 1_000 - 1)
    assert service.refusal(HERO, command, "k2") == "cooldown"
    service.clock.advance(1)
    service.play(HERO, command, "k3").reply()


def energy_is_paid_and_never_above_its_most(service: Service) -> None:
    """A battle takes its cost or is refused; a repair fills to the policy's maximum exactly."""
    service.change(battle_max_energy=_MOST_ENERGY, repair_neur_cost=0)
    mode, broker = service.mode(energy_cost=15), service.broker(energy=29)
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    service.play(HERO, command, "k1").reply()
    assert service.stored(broker).energy == 14
    assert service.refusal(HERO, command, "k2") == "no energy"
    service.play(HERO, Repair(broker_id=broker.id), "k").reply()
    assert service.stored(broker).energy == _MOST_ENERGY


def a_commitment_is_kept(service: Service) -> None:
    """What was published of an epoch before its battles is what it is closed and revealed with."""
    before = service.read(lambda read: read.epoch())
    assert before is not None
    service.rotate_seed()
    closed = service.read(lambda read: read.epochs())[0]
    assert closed.commitment == before.commitment
    assert closed.revealed_secret is not None
    assert commitment(closed.number, closed.revealed_secret) == closed.commitment


def a_revealed_secret_opens_no_other_epoch(service: Service) -> None:
    """Whoever knows the secrets of closed epochs can't foresee a draw of the open one."""
    service.seeds = service.promised  # type: ignore[assignment] # the build's own
    revealed = service.rotate_seed().closed
    opened = service.read(lambda read: read.epoch())
    assert revealed is not None
    assert opened is not None
    assert revealed.revealed_secret is not None
    forged = commitment(opened.number, revealed.revealed_secret)
    assert forged != opened.commitment, "the revealed secret is that of the open epoch"
    assert opened.revealed_secret is None
