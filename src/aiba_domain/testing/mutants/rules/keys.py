"""The rules of requests: a key has one answer, a ban binds everything, events follow effects."""

from typing import Any, Final

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Combine, GetStarter, Repair, Train, Upgrade
from aiba_domain.brokers.mint_commands import MintBroker
from aiba_domain.brokers.model import Broker, Stat
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.commands import ConnectWallet, ReserveBattleClaim, ReserveClaim
from aiba_domain.decision import Command, Role
from aiba_domain.economy.commands import ClaimDaily, ClaimDailyCombo
from aiba_domain.errors import InvariantViolation
from aiba_domain.events import MoneySpent
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.money import Currency
from aiba_domain.players.commands import OpenSession, SetSchool
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.mutants.service import HERO, RIVAL, Service

_DAY: Final = 86_400_000
_POINTS: Final = 30
_LONG: Final = 400 * _DAY


def a_repeated_request_changes_nothing(service: Service) -> None:
    """The same request under the same key has the first answer, costs nothing and gives nothing."""
    broker = service.broker()
    service.fund(HERO, NEUR=100)
    command = Train(broker_id=broker.id, stat=Stat.SPEED)
    first = service.play(HERO, command, "k").reply()
    before = (service.entries(), service.stored(broker), service.record())
    again = service.play(HERO, command, "k")
    assert again.replayed
    assert again.reply() == first
    assert (service.entries(), service.stored(broker), service.record()) == before


def a_repeated_battle_pays_once(service: Service) -> None:
    """A battle that is asked for again is the same battle; nothing of it is paid again."""
    mode, broker = service.mode(), service.broker()
    command = RunBattle(broker_id=broker.id, mode_key=mode.key)
    first = service.play(HERO, command, "k").reply()
    before = (service.entries(), service.stored(broker), service.record())
    assert service.play(HERO, command, "k").reply() == first
    assert (service.entries(), service.stored(broker), service.record()) == before


def answers_are_kept_for_ever(service: Service) -> None:
    """After more than a year, and after other requests, a key still has its first answer."""
    broker = service.broker()
    service.fund(HERO, NEUR=100)
    command = Train(broker_id=broker.id, stat=Stat.SPEED)
    first = service.play(HERO, command, "k").reply()
    service.clock.advance(_LONG)
    service.play(RIVAL, ClaimDaily()).reply()
    again = service.play(HERO, command, "k")
    assert again.reply() == first
    assert service.held(HERO) == 75


def a_refusal_is_an_answer_too(service: Service) -> None:
    """What was refused under a key stays refused under it, also when it could be paid now."""
    broker = service.broker()
    command = Train(broker_id=broker.id, stat=Stat.SPEED)
    assert service.refusal(HERO, command, "k") == "insufficient NEUR"
    service.fund(HERO, NEUR=100)
    assert service.refusal(HERO, command, "k") == "insufficient NEUR"
    assert service.held(HERO) == 100


def another_request_under_a_used_key_is_refused(service: Service) -> None:
    """A key stands for one request; with another stat it is refused, and nothing happens."""
    broker = service.broker()
    service.fund(HERO, NEUR=100)
    service.play(HERO, Train(broker_id=broker.id, stat=Stat.SPEED), "k").reply()
    other = Train(broker_id=broker.id, stat=Stat.RISK)
    assert service.refusal(HERO, other, "k") == "requestId already used"
    assert service.held(HERO) == 75


def a_key_is_never_made_up(service: Service) -> None:
    """What costs money is refused without a key, and with one that is no key."""
    broker = service.broker()
    service.fund(HERO, NEUR=100)
    command = Train(broker_id=broker.id, stat=Stat.SPEED)
    for key in (None, "", "two words", "x" * 129):
        assert service.refusal(HERO, command, key) == "requestId required"
    assert service.held(HERO) == 100


def a_crashed_request_can_be_repeated(service: Service) -> None:
    """Wherever it died: asked again it is answered, and paid for once."""
    service.fund(HERO, NEUR=25 * _POINTS)
    broker = service.broker()
    for point in range(1, _POINTS):
        command = Train(broker_id=broker.id, stat=[*Stat][point % 3])
        before = service.held(HERO)
        service.faults.crash_at(point)
        try:
            service.play(HERO, command, f"k{point}")
        except Crash:
            service.faults.disarm()
        service.faults.disarm()
        reply = service.play(HERO, command, f"k{point}").reply()
        assert reply.balance == service.held(HERO) == before - 25, f"point {point}"


def events_come_after_the_commit_and_once(service: Service) -> None:
    """Nobody is told of a payment that was undone, and nobody twice of one."""
    broker = service.broker()
    service.fund(HERO, NEUR=25 * _POINTS)
    for point in range(1, _POINTS):
        command = Train(broker_id=broker.id, stat=Stat.SPEED)
        service.faults.crash_at(point)
        try:
            service.play(HERO, command, f"k{point}")
        except Crash:
            service.faults.disarm()
        service.faults.disarm()
        told = [event for event in service.seen.events if isinstance(event, MoneySpent)]
        spent = sum(entry.posting.reason == "train" for entry in service.entries())
        assert len(told) <= spent, f"{len(told)} were told of {spent} payments"
    service.play(HERO, Train(broker_id=broker.id, stat=Stat.RISK), "last").reply()
    assert service.seen.events, "the last one was told"


def a_ban_binds_every_command(service: Service) -> None:
    """Whatever a banned player asks for is refused as banned, and moves no money."""
    broker = service.broker()
    other = service.broker(name="other")
    service.fund(HERO, NEUR=1_000, AIBA=1_000)
    service.operate(BanPlayer(player_id=HERO, minutes=60, reason="test"))
    asked = _every_command(broker, other)
    players = {kind for kind, handler in HANDLERS.items() if Role.PLAYER in handler.roles}
    assert players == {type(command) for command in asked}, "a new command is tried here too"
    for command in asked:
        assert service.refusal(HERO, command, "k") == "banned", command
    assert service.held(HERO) == service.held(HERO, Currency.AIBA) == 1_000


def _every_command(broker: Broker, other: Broker) -> list[Command[Any]]:
    """Return one of each command that a player may issue."""
    seen = ChainView(seqno=0, time_s=GENESIS_S)
    claim: dict[str, Any] = {
        "vault": VAULT,
        "jetton_master": JETTON_MASTER,
        "recipient": "",
        "seen": seen,
    }
    return [
        RunBattle(broker_id=broker.id),
        GetStarter(),
        Train(broker_id=broker.id, stat=Stat.SPEED),
        Repair(broker_id=broker.id),
        Upgrade(broker_id=broker.id, stat=Stat.SPEED),
        Combine(base_broker_id=broker.id, sacrifice_broker_id=other.id),
        CreateBrokerWithTon(tx_hash="0" * 64, destination="", network=0, payment=None),
        MintBroker(broker_id=broker.id),
        ClaimDaily(),
        ClaimDailyCombo(),
        ConnectWallet(address=f"0:{7:064x}"),
        ReserveClaim(**claim),
        ReserveBattleClaim(**claim),
        OpenSession(init_data_digest="digest", lifetime_ms=1),
        SetSchool(school_id="0" * 24),
    ]


def launch_data_opens_one_session(service: Service) -> None:
    """The same launch data gives the same session while that lives, and is refused afterwards."""
    command = OpenSession(init_data_digest="digest", lifetime_ms=_DAY)
    first = service.play(HERO, command).reply().session
    service.clock.advance(_DAY - 1)
    assert service.play(HERO, command).reply().session == first
    service.clock.advance(1)
    assert service.refusal(HERO, command) == "telegram auth expired"


def a_starter_is_given_once(service: Service) -> None:
    """Nobody gets a second free broker, with its own energy and its own share of emission."""
    service.play(HERO, GetStarter()).reply()
    try:
        code = service.refusal(HERO, GetStarter())
    except InvariantViolation as stopped:
        raise AssertionError("the store had to stop a second starter") from stopped
    assert code == "starter already granted"
    assert len(service.read(lambda read: read.brokers_of(HERO))) == 1


def an_operators_command_is_none_of_a_players(service: Service) -> None:
    """A player who issues it is refused as forbidden."""
    command = BanPlayer(player_id=RIVAL, minutes=1, reason="test")
    assert service.refusal(HERO, command) == "forbidden"
    assert service.record(RIVAL).ban is None
