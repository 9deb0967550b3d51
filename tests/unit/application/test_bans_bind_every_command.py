"""A ban binds whatever its subject could do, not only battles."""

from typing import Any

import pytest

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Combine, GetStarter, Repair, Train, Upgrade
from aiba_domain.brokers.mint_commands import MintBroker
from aiba_domain.brokers.model import Stat
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.commands import ConnectWallet, ReserveBattleClaim, ReserveClaim
from aiba_domain.decision import Accepted, Command, Refused, Role
from aiba_domain.economy.commands import ClaimDaily, ClaimDailyCombo
from aiba_domain.ids import derive_id
from aiba_domain.instants import MINUTE, iso
from aiba_domain.moderation.commands import BanBroker, BanPlayer, UnbanBroker, UnbanPlayer
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.players.commands import OpenSession, SetSchool
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR, Playground
from aiba_domain.testing.strategies import PAID_WALLET, wallet_of
from tests.support.arena import code, everything, set_up, spare, starter

BROKER, OTHER = derive_id("starter", "1"), derive_id("spare", "1", "1")

WALLET = wallet_of("1")

EXAMPLES: dict[type[Command[Any]], Command[Any]] = {
    type(command): command
    for command in (
        OpenSession(init_data_digest="d", lifetime_ms=1_000),
        SetSchool(school_id="0" * 24),
        GetStarter(),
        Train(broker_id=BROKER, stat=Stat.SPEED),
        Repair(broker_id=BROKER),
        Upgrade(broker_id=BROKER, stat=Stat.SPEED),
        RunBattle(broker_id=BROKER, mode_key="sure"),
        MintBroker(broker_id=BROKER),
        ClaimDaily(),
        ClaimDailyCombo(),
        ConnectWallet(address=WALLET),
        ReserveClaim(
            amount=10,
            vault=wallet_of("vault"),
            jetton_master=wallet_of("master"),
            recipient=WALLET,
            seen=ChainView(seqno=4, time_s=1_700_000_000),
        ),
        ReserveBattleClaim(
            amount=10,
            vault=wallet_of("vault"),
            jetton_master=wallet_of("master"),
            recipient=WALLET,
            seen=ChainView(seqno=4, time_s=1_700_000_000),
        ),
        CreateBrokerWithTon(
            tx_hash="a" * 64,
            destination=PAID_WALLET,
            network=-239,
            payment=IncomingPayment(
                hash="a" * 64,
                network=-239,
                source=WALLET,
                destination=PAID_WALLET,
                value_nano=10**9,
                comment="",
                is_bounced=False,
                time_s=NOON // 1_000,
            ),
        ),
        Combine(base_broker_id=BROKER, sacrifice_broker_id=OTHER),
    )
}
"""One of each command of players that an unbanned player could issue successfully."""


@pytest.fixture(name="ready")
def _ready(play: Playground) -> Playground:
    """Give player 1 all it takes for every command."""
    set_up(play, daily_combo_requirement_aiba=0)
    starter(play, "1")
    spare(play, "1")
    play.fund("1", NEUR=1_000, AIBA=1_000)
    play.play("1", ConnectWallet(address=WALLET))
    return play


def test_the_examples_are_all_that_players_can_ask() -> None:
    """A new command of players gets its example here, or this fails."""
    of_players = {kind for kind, handler in HANDLERS.items() if Role.PLAYER in handler.roles}
    assert set(EXAMPLES) == of_players


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_d33_a_banned_player_is_refused_every_command(
    ready: Playground, kind: type[Command[Any]]
) -> None:
    """The refusal names reason and end, nothing changes, and after the end all works again."""
    command = EXAMPLES[kind]
    ready.operate(BanPlayer(player_id="1", minutes=5, reason="bots"))
    before = everything(ready, "1")
    until = ready.clock.now() + 5 * MINUTE
    for key in ("k1", "k2"):
        outcome = ready.play("1", command, key).outcome
        assert outcome == Refused(code="banned", details={"reason": "bots", "until": iso(until)})
    assert everything(ready, "1") == before
    ready.clock.advance(5 * MINUTE - 1)
    assert code(ready.play("1", command, "k3")) == "banned"
    ready.clock.advance(1)
    if kind is not GetStarter:
        assert isinstance(ready.play("1", command, "k4").outcome, Accepted)


def test_d33_a_ban_can_be_lifted(ready: Playground) -> None:
    """After the unban the player plays on with all that was there."""
    before = ready.balances("1")
    ready.operate(BanPlayer(player_id="1", minutes=1_000, reason="bots"))
    ready.operate(UnbanPlayer(player_id="1"))
    assert ready.balances("1") == before
    assert code(ready.play("1", ClaimDaily())) == "ok"


def test_d33_a_player_can_be_banned_before_the_first_visit(play: Playground) -> None:
    """A ban of somebody unknown holds from the first command on."""
    play.operate(BanPlayer(player_id="9", minutes=5, reason="bots"))
    assert code(play.play("9", GetStarter())) == "banned"
    assert not play.read(lambda read: read.brokers_of("9"))


@pytest.mark.parametrize(
    "command",
    [
        RunBattle(broker_id=BROKER, mode_key="sure"),
        Train(broker_id=BROKER, stat=Stat.SPEED),
        Repair(broker_id=BROKER),
        Upgrade(broker_id=BROKER, stat=Stat.SPEED),
        Combine(base_broker_id=BROKER, sacrifice_broker_id=OTHER),
        Combine(base_broker_id=OTHER, sacrifice_broker_id=BROKER),
        MintBroker(broker_id=BROKER),
    ],
    ids=["battle", "train", "repair", "upgrade", "combine-base", "combine-sacrifice", "mint"],
)
def test_d33_a_banned_broker_can_do_nothing(ready: Playground, command: Command[Any]) -> None:
    """Neither fight nor be improved, nor take part in a combination on either side."""
    ready.operate(BanBroker(broker_id=BROKER, reason="bots"))
    before = everything(ready, "1")
    outcome = ready.play("1", command, "k1").outcome
    assert outcome == Refused(code="broker banned", details={"reason": "bots"})
    assert everything(ready, "1") == before
    ready.operate(UnbanBroker(broker_id=BROKER))
    assert code(ready.play("1", command, "k2")) == "ok"


def test_d33_a_broker_ban_leaves_the_player_and_the_other_brokers_alone(
    ready: Playground,
) -> None:
    """A broker's ban is the broker's own."""
    ready.operate(BanBroker(broker_id=BROKER, reason="bots"))
    assert code(ready.play("1", RunBattle(broker_id=OTHER, mode_key="sure"), "k")) == "ok"
    assert code(ready.play("1", ClaimDaily())) == "ok"


@pytest.mark.parametrize("minutes", [0, -1, 100 * 525_600 + 1, 10**12, 2**63])
def test_a_ban_has_an_end_that_is_a_date(play: Playground, minutes: int) -> None:
    """A ban whose end no calendar holds is refused by name, and bans nobody."""
    outcome = play.issue(OPERATOR, BanPlayer(player_id="1", minutes=minutes, reason="")).outcome
    assert isinstance(outcome, Refused)
    assert (outcome.code, set(outcome.details)) == ("validation_error", {"minutes"})
    assert code(play.play("1", ClaimDaily())) == "ok"


def test_the_longest_ban_is_told_to_the_banned(play: Playground) -> None:
    """The end of the longest ban can be written down."""
    play.operate(BanPlayer(player_id="1", minutes=100 * 525_600, reason=""))
    assert code(play.play("1", ClaimDaily())) == "banned"
