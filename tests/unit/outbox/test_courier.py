"""The worker of the outbox: when it is on duty, how long it sleeps, what it counts and shows."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from aiba_domain.application.deliveries import Round
from aiba_domain.leases.model import Lease
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.outage import Unavailable
from aiba_domain.outbox.commands import Delivery, Fate, LendLetters, SettleLetter
from aiba_domain.outbox.model import Backlog, Topic
from aiba_domain.ports import Reader
from aiba_entry.cli.main import main
from aiba_entry.cli.session import OPERATOR
from aiba_entry.container import Container
from aiba_entry.duty import Duty
from aiba_entry.outbox import (
    LONGEST_WAIT_SECONDS,
    ROUND_SECONDS,
    STANDBY_SECONDS,
    Courier,
    bringing_letters,
)
from aiba_entry.outbox_metrics import OutboxMetrics
from aiba_entry.service import open_container
from aiba_entry.settings import load
from tests.contract.process.support import environment


class Held:
    """Leases that one holder has, or nobody gets."""

    def __init__(self, *, is_free: bool) -> None:
        """Be free or not."""
        self._is_free = is_free

    async def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """Give the lease if it is free."""
        lease = Lease(name=name, holder=holder, number=1, expires_at=ttl_ms)
        return lease if self._is_free else None

    async def renew(self, lease: Lease, _ttl_ms: int) -> Lease | None:
        """Renew it."""
        return lease

    async def release(self, lease: Lease) -> None:
        """Let go of it."""


class Rounds:
    """Deliveries that come to what they are told."""

    def __init__(self, end: Round | Exception) -> None:
        """End each round so."""
        self._end = end

    def under(self, _lease: Lease) -> "Rounds":
        """Work under a lease."""
        return self

    async def deliver_due(self) -> Round:
        """Go a round."""
        if isinstance(self._end, Exception):
            raise self._end
        return self._end

    async def trim(self) -> int:
        """Forget nothing."""
        return 0

    async def backlog(self) -> Backlog:
        """Hold something."""
        return Backlog(pending=3, oldest_at=1_000, dead=2)


def go(end: Round | Exception, *, is_free: bool = True) -> tuple[float, CollectorRegistry]:
    """Go a round; return how long to wait, and the metrics."""
    registry = CollectorRegistry()
    courier = Courier(
        deliveries=Rounds(end),  # type: ignore[arg-type] # what the worker uses of them
        duty=Duty(Held(is_free=is_free), "outbox.delivery", holder="h", ttl_ms=9_000),
        metrics=OutboxMetrics(registry, monotonic=lambda: 5.0),
        now_ms=lambda: 61_000,
    )
    return asyncio.run(courier.go_round(trims=True)), registry


@pytest.mark.parametrize(
    ("end", "is_free", "wait_s", "result"),
    [
        (Round(), True, ROUND_SECONDS, "ok"),
        (Round(is_all=False), True, 0.0, "ok"),
        (Round(wait_ms=5_000), True, 5.0, "ok"),
        (Round(wait_ms=10**7), True, LONGEST_WAIT_SECONDS, "ok"),
        (Round(), False, STANDBY_SECONDS, "elsewhere"),
        (Unavailable("down"), True, STANDBY_SECONDS, "postponed"),
        (KeyError("a fault"), True, STANDBY_SECONDS, "failed"),
    ],
)
def test_a_round_says_how_long_to_wait(
    end: Round | Exception, *, is_free: bool, wait_s: float, result: str
) -> None:
    """Not at all while more is due, as long as Telegram asks, and on standby till it is asked."""
    waited, registry = go(end, is_free=is_free)
    assert waited == wait_s
    assert registry.get_sample_value("aiba_outbox_runs_total", {"result": result}) == 1


def test_what_waits_and_what_came_of_letters_is_counted() -> None:
    """The gauges are there in the process that is on duty, and in no other."""
    fates = Counter({(Topic.CLAIM_PAID, Fate.DELIVERED): 4, (Topic.BATTLE_WON, Fate.WAITS): 1})
    _, registry = go(Round(fates=fates))
    value = registry.get_sample_value
    assert value("aiba_outbox_pending") == 3
    assert value("aiba_outbox_dead") == 2
    assert value("aiba_outbox_lag_seconds") == 60
    name = "aiba_outbox_deliveries_total"
    assert value(name, {"topic": "claim.paid", "result": "delivered"}) == 4
    assert value(name, {"topic": "battle.won", "result": "failed"}) == 1
    _, elsewhere = go(Round(), is_free=False)
    assert elsewhere.get_sample_value("aiba_outbox_pending") is None


@pytest.mark.parametrize("is_on", [True, False])
def test_the_setting_says_whether_letters_are_written(tmp_path: Path, *, is_on: bool) -> None:
    """Off by default: nothing is written that nobody brings."""
    told = {"TELEGRAM_NOTIFY": "1", "TELEGRAM_API_URL": "http://127.0.0.1:1"} if is_on else {}

    async def run() -> int:
        async with (
            open_container(load(environment(tmp_path, **told))) as container,
            bringing_letters(container),
        ):
            await _ban(container)
            return (await container.store().read(_backlog)).pending

    assert asyncio.run(run()) == int(is_on)


def test_an_operator_sees_to_dead_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are listed with the reason, sent again, and forgotten."""
    environ = environment(tmp_path, TELEGRAM_NOTIFY="1")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    async def die() -> None:
        async with open_container(load(environ)) as container:
            await _ban(container)
            await _bury(container)

    asyncio.run(die())

    def outbox(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["outbox", *words])
        return result.exit_code, result.output

    code, text = outbox("list")
    assert (code, text.splitlines()[0]) == (0, "0 waiting, the oldest for 0 s; 1 dead")
    assert "player:7/1  player.banned" in text
    assert "bot was blocked" in text
    assert outbox("retry", "player:7/1") == (0, "player:7/1 waits again\n")
    document = json.loads(outbox("list", "--json")[1])
    assert (document["pending"], document["dead"]) == (1, [])
    assert outbox("drop", "player:7/1")[0] == 1
    assert outbox("drop")[0] == 2
    assert outbox("drop", "--all") == (0, "")


async def _ban(container: Container) -> None:
    ban = BanPlayer(player_id="7", minutes=1, reason="r")
    (await container.pipeline().execute(OPERATOR, ban)).reply()


async def _bury(container: Container) -> None:
    pipeline = container.pipeline()
    (letter,) = (
        (await pipeline.execute(OPERATOR, LendLetters(limit=1, loan_ms=1_000))).reply().letters
    )
    refused = SettleLetter(
        subject=letter.subject,
        number=letter.number,
        result=Delivery.REFUSED,
        reason="bot was blocked",
    )
    (await pipeline.execute(OPERATOR, refused)).reply()


async def _backlog(read: Reader) -> Backlog:
    return await read.backlog()
