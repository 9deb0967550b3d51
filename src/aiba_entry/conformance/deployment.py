"""A deployment under test: called over HTTP within bounds, as throw-away players."""

import asyncio
import email.utils
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from hypothesis import reject

from aiba_domain.testing.contracts.suite import BLOCKED
from aiba_entry.conformance.answers import HIDDEN, Answer, Call, Json
from aiba_entry.conformance.bounds import Bounds, Terms
from aiba_entry.conformance.expect import data_of
from aiba_entry.conformance.proofs import launch
from aiba_entry.forms import is_loopback

PAID: Final[Mapping[str, tuple[str, str]]] = {
    "train": ("NEUR", "trainNeurCost"),
    "repair": ("NEUR", "repairNeurCost"),
    "upgrade": ("AIBA", "upgradeAibaCost"),
}
"""What a broker's owner pays for: the currency, and the name of the price."""
BALANCES: Final = {
    "NEUR": "neurBalance",
    "AIBA": "aibaBalance",
    "STARS": "starsBalance",
    "DIAMONDS": "diamondsBalance",
}
INIT_DATA: Final = "x-telegram-init-data"

_EMITTING: Final[Mapping[str, Mapping[str, str]]] = {
    "/api/battle/run": {"AIBA": "rewardAiba", "NEUR": "rewardNeur"},
    "/api/daily/claim": {"NEUR": "neurReward"},
    "/api/daily/combo-claim": {"AIBA": "bonusAiba"},
}
_FIRST_PLAYER: Final = 2**51
_RUNS: Final = 2**30
_FRESH_S: Final = 120
_SHORTEST_SECRET: Final = 12
_TRIES: Final = 3
_LOOKS: Final = 15
_SHRINKING: Final = 30
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_MAX_SKEW_S: Final = 5


class NoAnswer(AssertionError):  # noqa: N818 - what came of a call
    """A call that was not answered at all."""


class Deployment:
    """One deployment, its players of this run, and what the run has cost so far.

    It has an event loop of its own, so every method is called outside of any. A call that asks
    to come back later (429 `rate_limited`, 503 `unavailable`) is sent again as it was. Once the
    bounds are reached every further property is blocked.
    """

    def __init__(
        self,
        url: str,
        *,
        bot_token: str,
        bounds: Bounds | None = None,
        terms: Terms | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        only: Iterable[str] = (),
    ) -> None:
        """Call the API at `url`; `transport` carries the calls instead of the network.

        `only` names the properties to try, all where it is empty.
        """
        self.bounds = bounds or Bounds()
        self.terms = terms or Terms()
        self.only = frozenset(only)
        self.name = shown_url(url)
        self.sent = 0
        self.waited_s = 0.0
        self.modes: list[Json] = []
        self.opens_sessions = False
        self.binds_wallets = True
        self.promised: dict[int, str] = {}
        self.run_number = secrets.randbelow(_RUNS)
        self._emitted: dict[tuple[str, str, str], tuple[str, Mapping[str, int]]] = {}
        self._bot_token = bot_token
        self._secrets = {bot_token}
        self._players = 0
        self._onlooker: Player | None = None
        self._looks = 0
        self._pauper: tuple[Player, str] | None = None
        self._keys = 0
        self._skew_s = 0
        self._failed: dict[str, int] = {}
        self._tried: dict[tuple[str, str], BaseException | None] = {}
        self._runner = asyncio.Runner()
        parts = urlsplit(url)
        self._http = httpx.AsyncClient(
            base_url=url,
            transport=transport,
            timeout=self.bounds.timeout_s,
            trust_env=not is_loopback(parts.hostname or ""),
            headers={"user-agent": "aiba-conformance"},
        )
        self._last = time.monotonic() + self.bounds.seconds

    def close(self) -> None:
        """Close the connections; a second time is harmless."""
        if not self._http.is_closed:
            self._runner.run(self._http.aclose())
            self._runner.close()

    def run(self, work: Any) -> Any:  # noqa: ANN401 - a coroutine and its result
        """Run a coroutine in the loop that the calls are made in."""
        return self._runner.run(work)

    # --- calls ---

    def send(self, call: Call, *, patient: bool = True) -> Answer:
        """Make one call; unless `patient`, an answer that asks to wait is given back as it is."""
        return self.at_once([call], patient=patient)[0]

    def at_once(self, calls: Sequence[Call], *, patient: bool = True) -> list[Answer]:
        """Make calls at the same time and return their answers in the order given."""
        self._afford(len(calls))
        return list(self._runner.run(self._gathered(calls, patient=patient)))

    def get(self, path: str, **headers: str) -> Answer:
        """Read something as nobody."""
        return self.send(Call(method="GET", path=path, headers=headers))

    async def _gathered(self, calls: Sequence[Call], *, patient: bool) -> list[Answer]:
        return await asyncio.gather(*(self._send(call, patient=patient) for call in calls))

    async def _send(self, call: Call, *, patient: bool) -> Answer:
        tries = 0
        while True:
            answer = await self._exchange(call)
            pause = _asked_to_wait(answer) if patient else None
            tries += 1
            if pause is None or tries > _TRIES or time.monotonic() + pause > self._last:
                return answer
            self.waited_s += pause
            await asyncio.sleep(pause)

    async def _exchange(self, call: Call) -> Answer:
        self.sent += 1
        content = call.raw()
        headers = dict(call.headers)
        if content is not None:
            headers.setdefault("content-type", "application/json")
        try:
            response = await self._http.request(
                call.method, call.path, headers=headers, content=content
            )
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            text = self.scrub(f"{type(fault).__name__}: {fault}\n{call.shown()}")
            raise NoAnswer(f"the service owes an answer; there was none: {text}") from None
        answer = Answer(
            call=call,
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            raw=response.content,
            scrub=self.scrub,
        )
        if answer.is_granted and call.method == "POST":
            self._note(answer)
        return answer

    def _note(self, answer: Answer) -> None:
        """Keep what an answer says that must not be told, and what the service has emitted by it.

        The same command answered again says the same again, and is counted once.
        """
        call, body = answer.call, answer.body
        told = body.get("data", body) if isinstance(body, dict) else None
        if not isinstance(told, dict):
            return
        if isinstance(told.get("token"), str):
            self.hide(told["token"])
        names = _EMITTING.get(call.path)
        if names is not None and isinstance(call.body, dict):
            day = time.strftime("%Y-%m-%d", time.gmtime(self.now_s()))
            mark = (call.path, call.who, str(call.body.get("requestId")))
            paid = {currency: told.get(name, 0) for currency, name in names.items()}
            self._emitted[mark] = (day, paid)

    def emitted(self) -> Mapping[tuple[str, str], int]:
        """Return what the service has emitted to this run's players, by UTC day and currency."""
        sums: dict[tuple[str, str], int] = {}
        for day, paid in self._emitted.values():
            for currency, amount in paid.items():
                sums[day, currency] = sums.get((day, currency), 0) + amount
        return sums

    def _afford(self, count: int) -> None:
        if self.sent + count > self.bounds.requests:
            pytest.skip(f"{BLOCKED}the run has made its {self.bounds.requests} requests")
        if time.monotonic() > self._last:
            pytest.skip(f"{BLOCKED}the run has taken its {self.bounds.seconds:g} seconds")

    # --- secrets, time ---

    def hide(self, secret: str) -> None:
        """Keep a text out of every report from here on."""
        if len(secret) >= _SHORTEST_SECRET:
            self._secrets.add(secret)

    def scrub(self, text: str) -> str:
        """Return a text without any secret of the run."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def now_s(self) -> int:
        """Return the deployment's time as far as it tells, in seconds since the Unix epoch."""
        return int(time.time()) + self._skew_s

    def set_clock_by(self, answer: Answer) -> None:
        """Go by the clock of an answer's `Date` where ours is far from it."""
        date = answer.headers.get("date")
        parsed = email.utils.parsedate_tz(date) if date else None
        if parsed is None:
            return
        ahead = int(email.utils.mktime_tz(parsed) - time.time())
        self._skew_s = ahead if abs(ahead) > _MAX_SKEW_S else 0

    # --- players ---

    def newcomer(self) -> "Player":
        """Return a player that nobody has been before."""
        if self._players >= self.bounds.players:
            pytest.skip(f"{BLOCKED}the run has made its {self.bounds.players} players")
        self._players += 1
        return Player(self, self._players)

    def onlooker(self) -> "Player":
        """Return a player without anything, for calls that change nothing.

        It is the same one for a while only, so that the limit on a player's battles isn't met.
        """
        if self._onlooker is None or self._looks % _LOOKS == 0:
            self._onlooker = self.newcomer()
        self._looks += 1
        return self._onlooker

    def pauper(self) -> tuple["Player", str]:
        """Return a player with a broker and no money, for calls that change nothing."""
        if self._pauper is None:
            self._pauper = fighter(self)
        return self._pauper

    @property
    def players(self) -> int:
        """How many players the run has made."""
        return self._players

    def player_id(self, number: int) -> int:
        """Return the Telegram id of a player: of this run alone, and exact in any JSON reader."""
        return _FIRST_PLAYER + self.run_number * 1024 + number

    def launch(self, number: int, *, at_s: int | None = None, bot_token: str | None = None) -> str:
        """Return launch data of a player, by default genuine and of this moment."""
        made = launch(
            self.player_id(number),
            at_s=self.now_s() if at_s is None else at_s,
            bot_token=self._bot_token if bot_token is None else bot_token,
            nonce=self.key(),
        )
        self.hide(made)
        self.hide(made.rpartition("hash=")[2])
        return made

    @property
    def bot_token(self) -> str:
        """The token whose holder signs launch data."""
        return self._bot_token

    def key(self) -> str:
        """Return an idempotency key that nobody has used."""
        self._keys += 1
        return f"conformance-{self.run_number:x}-{self._keys}"

    # --- drawn properties ---

    def forget_attempts(self) -> None:
        """Begin a run in which every drawn plan is tried anew."""
        self._failed.clear()
        self._tried.clear()

    def attempted(self, name: str) -> list[str]:
        """Return the plans of a drawn property that were tried, in their order."""
        return [plan for property_name, plan in self._tried if property_name == name]

    def attempt(self, name: str, plan: object, work: Callable[[], None]) -> None:
        """Do what a drawn plan says, once: a plan that is drawn again ends as it did.

        The service keeps what was done to it, and every call costs. So Hypothesis may look for a
        smaller counterexample only so often, and the last one that failed is what is reported.
        """
        mark = (name, repr(plan))
        if mark in self._tried:
            known = self._tried[mark]
            if known is not None:
                raise known
            return
        if name in self._failed:
            self._failed[name] += 1
            if self._failed[name] > _SHRINKING:
                reject()
        try:
            work()
        except pytest.skip.Exception:
            if name in self._failed:
                reject()
            raise
        except Exception as fault:
            self._failed.setdefault(name, 0)
            self._tried[mark] = fault
            raise
        self._tried[mark] = None


class Player:
    """A throw-away player, proven by launch data with every call."""

    def __init__(self, deployment: Deployment, number: int) -> None:
        """Be player `number` of the run."""
        self.deployment = deployment
        self.number = number
        self.id = str(deployment.player_id(number))
        self.who = f"player {number}"
        self._launch = ""
        self._signed_s = 0

    def headers(self) -> dict[str, str]:
        """Return the headers that say who is calling."""
        now_s = self.deployment.now_s()
        if now_s - self._signed_s > _FRESH_S:
            self._launch, self._signed_s = self.deployment.launch(self.number), now_s
        return {INIT_DATA: self._launch}

    def getting(self, path: str) -> Call:
        """Return the call that `get` makes."""
        return Call(method="GET", path=path, headers=self.headers(), who=self.who)

    def posting(self, path: str, **body: object) -> Call:
        """Return the call that `post` makes."""
        return Call(method="POST", path=path, headers=self.headers(), body=body, who=self.who)

    def get(self, path: str) -> Answer:
        """Read something."""
        return self.deployment.send(self.getting(path))

    def post(self, path: str, **body: object) -> Answer:
        """Post a body."""
        return self.deployment.send(self.posting(path, **body))

    # --- what a player has ---

    def me(self) -> Json:
        """Return the own economy document."""
        return data_of(self.get("/api/economy/me"))

    def balances(self) -> dict[str, int]:
        """Return the own balances by currency."""
        me = self.me()
        return {currency: me[name] for currency, name in BALANCES.items()}

    def brokers(self) -> list[Json]:
        """Return the own brokers as they are listed."""
        listed: list[Json] = data_of(self.get("/api/brokers/mine"))
        return listed

    def broker(self, broker_id: str) -> Json:
        """Return one of the own brokers as it is listed, None if it isn't."""
        return next((each for each in self.brokers() if each["_id"] == broker_id), None)

    def holdings(self) -> Json:
        """Return all that must not change where nothing may: balances and brokers.

        Energy comes back by itself, so it is left out.
        """
        timely = {"energy", "energyUpdatedAt"}
        brokers = [{k: v for k, v in each.items() if k not in timely} for each in self.brokers()]
        return {"balances": self.balances(), "brokers": brokers}

    # --- what a player does ---

    def starter(self) -> str:
        """Get the free broker and return its id."""
        broker_id: str = data_of(self.post("/api/brokers/starter"), 201)["_id"]
        return broker_id

    def daily(self) -> Answer:
        """Claim the day's reward."""
        return self.post("/api/daily/claim", requestId=self.deployment.key())

    def paying(self, deed: str, broker_id: str, key: str, stat: str = "speed") -> Call:
        """Return the call of a paid deed: train, repair or upgrade."""
        body = {"requestId": key, "brokerId": broker_id}
        if deed != "repair":
            body["stat"] = stat
        return self.posting(f"/api/brokers/{deed}", **body)

    def pay(self, deed: str, broker_id: str, key: str | None = None, stat: str = "speed") -> Answer:
        """Train, repair or upgrade a broker."""
        key = key or self.deployment.key()
        return self.deployment.send(self.paying(deed, broker_id, key, stat))

    def fighting(self, broker_id: str, key: str, mode: str | None = None) -> Call:
        """Return the call of a battle, by default in the first mode that is open to newcomers."""
        mode = mode or self.deployment.modes[0]["key"]
        body = {"requestId": key, "brokerId": broker_id, "modeKey": mode}
        return self.posting("/api/battle/run", **body)

    def fight(self, broker_id: str, key: str | None = None, mode: str | None = None) -> Answer:
        """Run a battle."""
        key = key or self.deployment.key()
        return self.deployment.send(self.fighting(broker_id, key, mode))


def fighter(deployment: Deployment) -> tuple[Player, str]:
    """Return a new player and the id of that player's free broker."""
    player = deployment.newcomer()
    return player, player.starter()


def funded(deployment: Deployment) -> tuple[Player, str]:
    """Return a new player with the day's reward, and the id of that player's free broker."""
    player, broker_id = fighter(deployment)
    player.daily()
    return player, broker_id


def rested(deployment: Deployment) -> tuple[Player, str]:
    """Return a new player whose broker has been repaired: full of energy, without cooldowns."""
    player, broker_id = funded(deployment)
    data = player.pay("repair", broker_id)
    if not data.is_granted:
        raise AssertionError(f"the service owes a repair that can be paid\n{data.shown()}")
    return player, broker_id


def shown_url(url: str) -> str:
    """Return a URL without what may be secret in it: user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def _asked_to_wait(answer: Answer) -> float | None:
    """Return for how many seconds the service asks to wait, None if it doesn't.

    A mode's cooldown is a 429 too, but a decision on that command, which will not change.
    """
    after = answer.headers.get("retry-after", "")
    if answer.status in (_TOO_MANY, _UNAVAILABLE) and after.isdigit():
        return float(after)
    return None
