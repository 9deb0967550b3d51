"""The local chain's HTTP server: toncenter's versions 2 and 3, and controls for what it can't have.

    /api/v2/<method>, /api/v2/jsonRPC     a node's methods
    /api/v3/<path>                        an index's questions
    /control/...                          faucet, time, held blocks, rate limit, outages, reset
    /control/wallet/<name>/...            what a wallet application does

The controls are open to whoever reaches the server, so it belongs on the loopback interface.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Final

from aiba_adapters.devnet.arena import Arena
from aiba_adapters.devnet.asgi import App, Request, Response
from aiba_adapters.devnet.chain import ChainError, Trace
from aiba_adapters.devnet.faults import Faults, Outage
from aiba_adapters.devnet.forms import Json, b64
from aiba_adapters.devnet.journal import JournalUnusable
from aiba_adapters.devnet.params import BadParameterError, Params, address_from, number_from
from aiba_adapters.devnet.people import People
from aiba_adapters.devnet.state import Snapshot
from aiba_adapters.devnet.v2 import V2, MethodFailedError
from aiba_adapters.devnet.v3 import V3

_V2: Final = "/api/v2/"
_V3: Final = "/api/v3/"
_CONTROL: Final = "/control/"
_MOST_NANOTONS: Final = 10**18
_MOST_SECONDS: Final = 10 * 365 * 86_400
_GATEWAY_PAGE: Final = "<html><body><h1>Bad Gateway</h1></body></html>"


class Devnet:
    """A local chain with the game's contracts on it, served over HTTP.

    `app` is the ASGI application, for one event loop; the chain itself may be used beside it.
    """

    def __init__(
        self,
        arena: Arena,
        *,
        deployed: Snapshot | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve an arena that is just `deployed`, or was at that moment.

        `failed` is called when a change couldn't be written down. Nothing is answered then, since
        the chain is ahead of its journal, and `failure` says what happened.
        """
        self.arena = arena
        self.failure: JournalUnusable | None = None
        self._failed = failed
        self.chain = arena.chain
        self.faults = Faults()
        self.app = App(self._answer)
        self._people = People(arena)
        self._v2 = V2(self.chain)
        self._v3 = V3(self.chain)
        self._deployed = self.chain.snapshot() if deployed is None else deployed
        self._controls: dict[str, Callable[[Params], Json]] = {
            "faucet": _done(self._faucet),
            "hold": _done(self._hold),
            "mint": _done(self._mint),
            "outage": _done(self._outage),
            "rate-limit": _done(self._rate_limit),
            "release": _done(self._release),
            "reset": _done(self._reset),
            "time": _done(self._time),
        }

    async def _answer(self, request: Request) -> Response:
        if self.failure is None:
            try:
                return await self._route(request)
            except JournalUnusable as failure:
                self.failure = failure
                self._failed()
        return Response(503, {"ok": False, "error": str(self.failure), "code": 503})

    async def _route(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(204, page="")
        if request.path.startswith(_CONTROL):
            return self._control(request)
        if request.path.startswith((_V2, _V3)):
            return await self._as_provider(request)
        if request.path == "/":
            return Response(200, self._state())
        return _not_found(request)

    # As a provider

    async def _as_provider(self, request: Request) -> Response:
        """Answer as toncenter would, on a good day or a bad one."""
        faults = self.faults
        if faults.outage is Outage.SILENCE:
            await faults.silence()
        if faults.outage is Outage.ERROR:
            return Response(faults.status, page=_GATEWAY_PAGE)
        if faults.outage is Outage.NONSENSE:
            return Response(200, page=_GATEWAY_PAGE)
        if faults.is_over_limit():
            return Response(429, {"ok": False, "result": "Ratelimit exceed", "code": 429})
        if request.path.startswith(_V2):
            response = self._answer_v2(request, request.path.removeprefix(_V2))
        else:
            response = self._answer_v3(request, request.path.removeprefix(_V3))
        # Others get their turn: what the chain does is done in one piece.
        await asyncio.sleep(0)
        if faults.outage is Outage.LOST_ANSWERS:
            return Response(faults.status, page=_GATEWAY_PAGE)
        return response

    def _answer_v2(self, request: Request, method: str) -> Response:
        try:
            given = _object(request) if request.method == "POST" else _last_values(request)
        except BadParameterError as error:
            return _v2_error(422, str(error))
        if method != "jsonRPC":
            return self._call_v2(method, given) if self._v2.knows(method) else _not_found(request)
        name, params = given.get("method"), given.get("params") or {}
        if not isinstance(name, str) or not isinstance(params, dict):
            answer = _v2_error(422, "method: a name is required, and params: an object")
        elif not self._v2.knows(name):
            answer = _v2_error(404, f"no method {name}")
        else:
            answer = self._call_v2(name, params)
        named = {"jsonrpc": "2.0", "id": given.get("id")}
        return Response(answer.status, {**answer.content, **named})

    def _call_v2(self, method: str, params: Params) -> Response:
        try:
            return Response(200, {"ok": True, "result": self._v2.call(method, params)})
        except BadParameterError as error:
            return _v2_error(422, str(error))
        except MethodFailedError as error:
            return _v2_error(error.status, str(error))

    def _answer_v3(self, request: Request, path: str) -> Response:
        allowed = self._v3.methods_of(path)
        if not allowed:
            return Response(404, {"code": 404, "error": "not found"})
        if request.method not in allowed:
            return Response(405, {"code": 405, "error": "method not allowed"})
        try:
            if request.method == "GET":
                return Response(200, self._v3.ask(path, request.query))
            return Response(200, self._v3.call(path, _object(request)))
        except BadParameterError as error:
            return Response(422, {"code": 422, "error": str(error)})
        except MethodFailedError as error:
            return Response(error.status, {"code": error.status, "error": str(error)})

    # As what it is

    def _control(self, request: Request) -> Response:
        name = request.path.removeprefix(_CONTROL)
        if name == "state" and request.method == "GET":
            return Response(200, self._state())
        act = self._controls.get(name) or self._deed(name)
        if act is None:
            return _not_found(request)
        if request.method != "POST":
            return Response(405, {"ok": False, "error": "POST it", "code": 405})
        try:
            return Response(200, act(_object(request)))
        except BadParameterError as error:
            return Response(400, {"ok": False, "error": str(error), "code": 400})
        except ChainError as error:
            return Response(409, {"ok": False, "error": str(error), "code": 409})

    def _deed(self, name: str) -> Callable[[Params], Json] | None:
        """Return what a wallet is told to do by `wallet/<name>/<deed>`."""
        start, _, rest = name.partition("/")
        person, _, deed = rest.partition("/")
        if start != "wallet" or not person:
            return None
        if deed == "proof":  # as it is, so that it can be handed on to the service
            return lambda params: self._people.proof(person, params)
        return _done(lambda params: self._people.claim(person, params)) if deed == "claim" else None

    def _state(self) -> Json:
        chain, arena, faults = self.chain, self.arena, self.faults
        tip = chain.tip
        return {
            "networkId": chain.network_id,
            "time": chain.now,
            "block": tip.seqno,
            "held": chain.is_held,
            "vault": arena.vault.raw,
            "jettonMaster": arena.jetton_master.raw,
            "owner": arena.owner.address.raw,
            "oraclePublicKeyHex": arena.oracle_public_key().hex(),
            "ratePerSecond": faults.per_second,
            "outage": faults.outage,
        }

    def _faucet(self, params: Params) -> Json:
        """Give an account TON: `{"address", "nanotons"}`."""
        address = address_from(params.get("address"))
        nanotons = number_from(params, "nanotons", 10**9, least=1, most=_MOST_NANOTONS)
        return _told(self.chain.fund(address, nanotons or 1))

    def _mint(self, params: Params) -> Json:
        """Give an account jettons, the vault unless another is named: `{"address", "amount"}`."""
        given = params.get("address")
        address = self.arena.vault if given is None else address_from(given)
        amount = number_from(params, "amount", None, least=1, most=2**63 - 1)
        if amount is None:
            raise BadParameterError("amount: is required")
        return _told(self.arena.mint(address, amount))

    def _time(self, params: Params) -> Json:
        """Let time pass: `{"advance": seconds}`."""
        self.chain.advance(number_from(params, "advance", 0, most=_MOST_SECONDS) or 0)
        return {"time": self.chain.now, "block": self.chain.tip.seqno}

    def _hold(self, params: Params) -> Json:
        """Make blocks late."""
        del params
        self.chain.hold()
        return {"held": True, "time": self.chain.now}

    def _release(self, params: Params) -> Json:
        """Let blocks come again, with all that waited."""
        del params
        return {"held": False, **_told(self.chain.release())}

    def _rate_limit(self, params: Params) -> Json:
        """Limit requests, or not: `{"perSecond": n}` or `{"perSecond": null}`."""
        self.faults.limit(number_from(params, "perSecond", None, least=0, most=10**6))
        return {"perSecond": self.faults.per_second}

    def _outage(self, params: Params) -> Json:
        """Begin an outage, or end it: `{"mode": "error", "status": 502}` or `{"mode": null}`."""
        mode = params.get("mode")
        if mode is None:
            self.faults.end()
            return {"outage": None}
        if mode not in tuple(Outage):
            raise BadParameterError(f"mode: one of {', '.join(Outage)}, or null")
        status = number_from(params, "status", 502, least=400, most=599)
        self.faults.begin(Outage(str(mode)), status=status or 502)
        return {"outage": mode, "status": status}

    def _reset(self, params: Params) -> Json:
        """Go back to the moment after deploying, on a good day."""
        del params
        self.chain.restore(self._deployed)
        self.faults.end()
        self.faults.limit(None)
        return {"time": self.chain.now, "block": self.chain.tip.seqno}


def _done(act: Callable[[Params], Json]) -> Callable[[Params], Json]:
    """Return the act with an answer that says that it is done."""
    return lambda params: {"ok": True, **act(params)}


def _told(trace: Trace) -> Json:
    return {"transactions": [b64(one.hash) for one in trace.transactions]}


def _object(request: Request) -> Params:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        raise BadParameterError("body: not JSON") from None
    if not isinstance(body, dict):
        raise BadParameterError("body: an object is required")
    return body


def _last_values(request: Request) -> Params:
    return {name: values[-1] for name, values in request.query.items()}


def _v2_error(status: int, text: str) -> Response:
    return Response(status, {"ok": False, "error": text, "code": status})


def _not_found(request: Request) -> Response:
    return _v2_error(404, f"nothing at {request.path}")
