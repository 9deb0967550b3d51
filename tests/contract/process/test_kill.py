"""`kill -9` under load: what was answered is there, nothing is there twice, the money adds up."""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ports import Entry, Reader
from aiba_domain.testing.auditor import Auditor
from aiba_entry.container import Container
from tests.contract.process.support import (
    Json,
    Line,
    Lost,
    Player,
    Server,
    aiba,
    answer_of,
    connect,
    data_of,
    environment,
    mode,
    new_player,
    rows,
    save_modes,
    with_container,
)

ROUNDS = int(os.environ.get("AIBA_KILL_ROUNDS", "2"))
PLAYERS = 8
CLIENTS = 24
ENTRY_AIBA = 3
MODES = ("free", "paid")
CURRENCIES = {
    "AIBA": "rewardAiba",
    "NEUR": "rewardNeur",
    "STARS": "starsGranted",
    "DIAMONDS": "firstWinDiamond",
}

Deed = tuple[str, str]
"""A player and an idempotency key."""


@dataclass(slots=True)
class Campaign:
    """What the clients know: the battles they were answered, and the calls that got no answer."""

    players: list[Player]
    answered: dict[Deed, Json] = field(default_factory=dict)
    doubtful: dict[Deed, Json] = field(default_factory=dict)

    def player(self, deed: Deed) -> Player:
        """Return who did a deed."""
        return next(player for player in self.players if player.id == deed[0])

    async def fight(self, line: Line, player: Player, key: str, body: Json) -> None:
        """Fight a battle and note its answer, or that there was none."""
        deed = (player.id, key)
        self.doubtful[deed] = body
        answer = await line.call("POST", "/api/battle/run", body, player.headers)
        self.answered[deed] = answer.data
        del self.doubtful[deed]


@pytest.mark.kill
def test_no_acknowledged_battle_is_lost_and_none_counts_twice(
    serve: Callable[..., Server],
) -> None:
    """After each kill the store has exactly the battles that clients know, and sound books."""
    seed = int(os.environ.get("AIBA_KILL_SEED") or secrets.randbelow(10**9))
    print(f"AIBA_KILL_SEED={seed} repeats the choices of this run")  # noqa: T201
    chance = random.Random(seed)
    server = serve()
    save_modes(server.environ, mode("free"), mode("paid", entry_aiba=ENTRY_AIBA))
    with server.client() as http:
        campaign = Campaign([new_player(http, number) for number in range(1, PLAYERS + 1)])
    asyncio.run(_first_battles(server, campaign))
    for number in range(ROUNDS):
        before = len(campaign.answered)
        asyncio.run(_until_killed(server, campaign, number, chance))
        assert server.database.with_name("aiba.db-wal").stat().st_size > 0
        fresh = dict([*campaign.answered.items()][before:])
        assert fresh
        server = serve()
        asyncio.run(_resolve(server, campaign))
        asyncio.run(_read_again(server, campaign, fresh))
        _compare(server, campaign)
    assert server.stop() == 0
    assert rows(server.database, "PRAGMA integrity_check") == [("ok",)]
    assert not [line for line in server.log_lines() if line["level"] in {"error", "critical"}]


async def _first_battles(server: Server, campaign: Campaign) -> None:
    """Let each player win the money for entry fees."""
    async with connect(server.port) as line:
        for player in campaign.players:
            for number in range(3):
                body = _body(player, f"first-{number}", "free")
                await campaign.fight(line, player, f"first-{number}", body)


async def _until_killed(
    server: Server, campaign: Campaign, number: int, chance: random.Random
) -> None:
    """Fight from many connections at once; kill the server after some answers, in mid-flight."""
    enough = len(campaign.answered) + chance.randint(20, 250)
    pause = chance.uniform(0, 0.02)
    seeds = [chance.random() for _ in range(CLIENTS)]

    async def client(place: int) -> None:
        own = random.Random(seeds[place])
        player = campaign.players[place % PLAYERS]
        try:
            async with connect(server.port) as line:
                for count in range(100_000):
                    key = f"{number}-{place}-{count}"
                    body = _body(player, key, own.choice(MODES))
                    await campaign.fight(line, player, key, body)
        except Lost:
            pass

    async def killer() -> None:
        while len(campaign.answered) < enough:
            assert server.process.poll() is None, server.logged.read_text()
            await asyncio.sleep(0.001)
        await asyncio.sleep(pause)
        server.process.kill()

    await asyncio.gather(killer(), *(client(place) for place in range(CLIENTS)))
    server.process.wait()


async def _resolve(server: Server, campaign: Campaign) -> None:
    """Repeat every call that got no answer, from two connections at once: one effect each."""
    async with connect(server.port) as one, connect(server.port) as other:
        for deed, body in [*campaign.doubtful.items()]:
            headers = campaign.player(deed).headers
            first, second = await asyncio.gather(
                one.call("POST", "/api/battle/run", body, headers),
                other.call("POST", "/api/battle/run", body, headers),
            )
            assert first.data == second.data
            campaign.answered[deed] = first.data
            del campaign.doubtful[deed]


async def _read_again(server: Server, campaign: Campaign, fresh: Mapping[Deed, Json]) -> None:
    """Read what was answered before the kill: it is the same in every field."""
    deeds = [*fresh.items()]

    async def read(part: list[tuple[Deed, Json]]) -> None:
        async with connect(server.port) as line:
            for deed, answered in part:
                headers = campaign.player(deed).headers
                kept = await line.call("GET", f"/api/battles/{answered['_id']}", None, headers)
                assert {name: kept.data[name] for name in answered} == answered

    await asyncio.gather(*(read(deeds[start::8]) for start in range(8)))


def _compare(server: Server, campaign: Campaign) -> None:
    """Compare the store with the answers: battles, balances, what was emitted for each player."""
    assert not campaign.doubtful
    kept = rows(server.database, "SELECT player_id, id FROM battles")
    known = [(player, battle["_id"]) for (player, _), battle in campaign.answered.items()]
    assert Counter(kept) == Counter(known)
    assert answer_of(aiba(server.environ, "audit", "--json"))["sound"] is True

    earned, spent = _books(campaign)
    with server.client() as http:
        for player in campaign.players:
            me = data_of(http.get("/api/economy/me", headers=player.headers))
            for currency in CURRENCIES:
                expected = earned[player.id, currency] - spent[player.id, currency]
                assert me[f"{currency.lower()}Balance"] == expected
    entries = _audited(server)
    assert _emitted(entries) == +earned


def _books(campaign: Campaign) -> tuple[Counter[Deed], Counter[Deed]]:
    """Add up what the answers say each player earned and paid, by player and currency."""
    earned: Counter[Deed] = Counter()
    spent: Counter[Deed] = Counter()
    for (player, _), battle in campaign.answered.items():
        for currency, name in CURRENCIES.items():
            earned[player, currency] += battle[name]
        if battle["modeKey"] == "paid":
            spent[player, "AIBA"] += ENTRY_AIBA
    return earned, spent


def _audited(server: Server) -> list[Entry]:
    """Follow the ledger with the independent auditor and return its entries."""
    policy, auditor = EconomyPolicy(), Auditor()

    async def look(read: Reader) -> list[Entry]:
        entries = list(read.entries())
        auditor.follow(entries, policy)
        auditor.compare(await read.accounts())
        return entries

    async def work(container: Container) -> list[Entry]:
        return await container.store().read(look)

    return with_container(environment(server.data_dir), work)


def _emitted(entries: Iterable[Entry]) -> Counter[Deed]:
    """Add up what the ledger says was emitted to each player."""
    found: Counter[Deed] = Counter()
    for entry in entries:
        posting = entry.posting
        if posting.debit.startswith("emission:") and posting.credit.startswith("player:"):
            found[posting.credit.removeprefix("player:"), str(posting.currency)] += posting.amount
    return found


def _body(player: Player, key: str, mode_key: str) -> Json:
    return {"requestId": key, "brokerId": player.broker_id, "modeKey": mode_key}
