"""A player of the demo: calls the API as the Mini App does, and plays for as long as it can."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import httpx

from aiba_adapters.telegram import sign
from aiba_entry.cli.demo_process import DemoFailed

Json = Mapping[str, Any]

_PATIENCE_SECONDS: Final = 150.0
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_TRAINED_STAT: Final = "intelligence"


class Refusal(Exception):  # noqa: N818 - an answer of the game, not a fault
    """The service refused a call; `code` and `details` are the envelope's."""

    def __init__(self, call: str, status: int, code: str, details: Json) -> None:
        super().__init__(f"{call} was refused with {status} {code} {dict(details) or ''}".rstrip())
        self.code = code
        self.details = details


class Api:
    """Calls to the service, for one player or for nobody.

    Told that it is too fast or too early, it waits as long as it was asked to and calls again with
    the same body, hence the same key: a command takes effect once however often it is sent.
    """

    def __init__(self, http: httpx.AsyncClient, token: str | None = None) -> None:
        """Call through `http`, with a session's token if there is one."""
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str) -> Json:
        """Return the answer to a GET. Raises Refusal and DemoFailed."""
        return await self._call("GET", path, None)

    async def post(self, path: str, **body: object) -> Json:
        """Return the answer to a command. Raises Refusal and DemoFailed."""
        return await self._call("POST", path, body)

    async def _call(self, method: str, path: str, body: Json | None) -> Json:
        call, waited = f"{method} {path}", 0.0
        while True:
            try:
                response = await self._http.request(method, path, json=body, headers=self._headers)
                answer: Json = response.json()
            except (httpx.HTTPError, ValueError) as fault:
                raise DemoFailed(f"{call} got no answer: {fault!r}") from None
            if response.is_success and answer.get("ok") is True:
                return answer
            pause = _asked_to_wait(response)
            waited += pause or 0.0
            if pause is None or waited > _PATIENCE_SECONDS:
                error = answer.get("error", {})
                details = error.get("details") or {}
                raise Refusal(call, response.status_code, str(error.get("code")), details)
            await asyncio.sleep(pause)


def _asked_to_wait(response: httpx.Response) -> float | None:
    """Return for how many seconds the service asks to wait, None if it doesn't.

    A mode's cooldown is a 429 too, but a decision on that command, which will not change.
    """
    after = response.headers.get("retry-after", "")
    if response.status_code in (_TOO_MANY, _UNAVAILABLE) and after.isdigit():
        return float(after)
    return None


@dataclass(slots=True, kw_only=True)
class Books:
    """A player's own books, kept from nothing but the answers; the service's must agree."""

    holds: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)

    def note(self, deed: str, **change: int) -> None:
        """Enter a deed and what it changed, by currency."""
        self.deeds[deed] += 1
        for currency, amount in change.items():
            self.holds[currency] += amount


class DemoPlayer:
    """One player: opens a session, gets a broker, and plays until energy and money are gone."""

    def __init__(
        self, *, http: httpx.AsyncClient, number: int, modes: list[Json], fought: Callable[[], None]
    ) -> None:
        """Make player `number` of the demo; `fought` is called after each battle.

        `api` is for nobody until `play` has opened the session.
        """
        self.id = str(700_000_000 + number)
        self.name = f"trader-{number}"
        self.battles: list[Json] = []
        self.books = Books()
        self.balances: dict[str, int] = {}
        self.broker: Json = {}
        self._http = http
        self.api = Api(http)
        self._modes = modes
        self._fought = fought
        self._rested_at = dict.fromkeys((mode["key"] for mode in modes), 0.0)
        self._needs: dict[str, int] = {}
        self._level = 1

    async def play(self, bot_token: str) -> None:
        """Play for as long as the player can. Raises DemoFailed and unexpected Refusals."""
        await self._open_session(bot_token)
        self.broker = (await self.api.post("/api/brokers/starter", requestId=_key()))["data"]
        await self._claim_daily()
        await self._fight_on()
        while await self._recover():
            await self._fight_on()
        await self._claim_combo()
        await self.settle_up()
        self.broker = await self._broker_now()

    async def settle_up(self) -> None:
        """Ask what the service says the player holds, and take that for `balances`."""
        self.balances = _balances(await self._me())

    async def receipts(self) -> dict[str, Json]:
        """Return every battle of the player's list with its receipt, by id."""
        found: dict[str, Json] = {}
        page, place = "/api/battles?limit=100", ""
        while True:
            listed = (await self.api.get(page + place))["data"]
            for item in listed["items"]:
                battle = await self.api.get(f"/api/battles/{item['_id']}")
                found[item["_id"]] = battle["data"]
            if listed["next"] is None:
                return found
            place = f"&before={listed['next']}"

    async def _open_session(self, bot_token: str) -> None:
        user = {"id": int(self.id), "first_name": self.name, "username": self.name}
        fields = {"auth_date": str(int(time.time())), "user": json.dumps(user)}
        init_data = sign(fields | {"query_id": f"demo-{self.id}"}, bot_token)
        session = (await self.api.post("/api/auth/session", initData=init_data))["data"]
        if session["telegramId"] != self.id:
            raise DemoFailed(f"the session of {self.id} was opened for {session['telegramId']}")
        self.api = Api(self._http, session["token"])

    async def _claim_daily(self) -> None:
        answer = await self.api.post("/api/daily/claim", requestId=_key())
        self.books.note("daily", NEUR=answer["neurReward"])

    async def _claim_combo(self) -> None:
        """Claim the bonus for having spent enough; a player who hasn't just goes without."""
        try:
            answer = await self.api.post("/api/daily/combo-claim", requestId=_key())
        except Refusal as refusal:
            if refusal.code != "daily_combo_requirement_not_met":
                raise
        else:
            self.books.note("combo", AIBA=answer["bonusAiba"])

    async def _fight_on(self) -> None:
        """Fight in one mode after another, until each is on cooldown or the energy is gone.

        A mode is left out while it cools down, and a league while the broker's level is too low.
        """
        for mode in self._modes:
            key, league = mode["key"], mode["league"]
            if self._needs.get(league, 0) > self._level or self._rested_at[key] > time.monotonic():
                continue
            try:
                await self._fight(key)
            except Refusal as refusal:
                if refusal.code == "no energy":
                    return
                if refusal.code == "cooldown":
                    self._rest(key, refusal.details["retryAfterMs"] / 1000)
                elif refusal.code == "league_locked":
                    self._needs[league] = refusal.details["needLevel"]
                else:
                    raise
            else:
                self._rest(key, mode["cooldownSeconds"])

    async def _fight(self, mode_key: str) -> None:
        body = {"requestId": _key(), "brokerId": self.broker["_id"], "modeKey": mode_key}
        battle = (await self.api.post("/api/battle/run", **body))["data"]
        self.battles.append(battle)
        self.books.note(
            "battle",
            AIBA=battle["rewardAiba"],
            NEUR=battle["rewardNeur"],
            STARS=battle["starsGranted"],
            DIAMONDS=battle["firstWinDiamond"],
        )
        self._fought()

    def _rest(self, mode_key: str, seconds: float) -> None:
        self._rested_at[mode_key] = time.monotonic() + seconds

    async def _recover(self) -> bool:
        """Spend what there is on playing on; return False when it doesn't suffice."""
        me = await self._me()
        holds, prices = _balances(me), me["economy"]
        train, repair = prices["trainNeurCost"], prices["repairNeurCost"]
        if not self.books.deeds["train"] and holds["NEUR"] >= train + repair:
            await self._pay("train", NEUR=train)
            holds["NEUR"] -= train
        energy = (await self._broker_now())["energy"]
        if await self._unlock(energy, holds["AIBA"], prices["upgradeAibaCost"]):
            return True
        if holds["NEUR"] < repair:
            return False
        await self._pay("repair", NEUR=repair)
        self._rested_at = dict.fromkeys(self._rested_at, 0.0)
        return True

    async def _unlock(self, energy: int, aiba: int, price: int) -> bool:
        """Upgrade up to the next league if energy and money suffice; return whether they did."""
        locked = [(need, league) for league, need in self._needs.items() if need > self._level]
        if not locked:
            return False
        need, league = min(locked)
        costs = [mode["energyCost"] for mode in self._modes if mode["league"] == league]
        steps = need - self._level
        if energy < min(costs) or aiba < steps * price:
            return False
        for _ in range(steps):
            await self._pay("upgrade", AIBA=price)
        return True

    async def _pay(self, deed: str, **prices: int) -> None:
        """Train, repair or upgrade the broker and enter what it cost."""
        body = {"requestId": _key(), "brokerId": self.broker["_id"]}
        if deed != "repair":
            body["stat"] = _TRAINED_STAT
        answer = await self.api.post(f"/api/brokers/{deed}", **body)
        self._level = answer["broker"]["level"]
        self.books.note(deed, **{currency: -price for currency, price in prices.items()})

    async def _broker_now(self) -> Json:
        broker: Json = (await self.api.get("/api/brokers/mine"))["data"][0]
        return broker

    async def _me(self) -> Json:
        me: Json = (await self.api.get("/api/economy/me"))["data"]
        return me


def _balances(me: Json) -> dict[str, int]:
    currencies = ("AIBA", "NEUR", "STARS", "DIAMONDS")
    return {currency: me[f"{currency.lower()}Balance"] for currency in currencies}


def _key() -> str:
    return str(uuid4())
