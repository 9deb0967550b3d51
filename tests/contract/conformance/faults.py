"""Deployments with a fault: the real application behind a small proxy that gets one thing wrong."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from aiba_adapters.telegram import sign
from tests.contract.conformance.support import BOT_TOKEN, App

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call as it came in."""

    method: str
    path: str
    headers: Headers
    body: bytes
    scope: Mapping[str, Any]

    def header(self, name: bytes) -> bytes:
        """Return a header, b"" without it."""
        return dict(self.headers).get(name, b"")

    @property
    def who(self) -> str:
        """The player whom the launch data names, "" for nobody."""
        fields = dict(parse_qsl(self.header(b"x-telegram-init-data").decode("latin-1")))
        try:
            return str(json.loads(fields.get("user", ""))["id"])
        except ValueError:
            return ""

    @property
    def fields(self) -> Any:  # noqa: ANN401 - decoded JSON
        """The body's fields, none where it is no object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def with_fields(self, **changes: object) -> "Request":
        """Return the call with other fields."""
        body = json.dumps({**self.fields, **changes}).encode()
        return replace(self, body=body, headers=_sized(self.headers, body))

    def with_header(self, name: bytes, value: bytes) -> "Request":
        """Return the call with another header."""
        kept = [each for each in self.headers if each[0] != name]
        return replace(self, headers=[*kept, (name, value)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer on its way out."""

    status: int
    headers: Headers
    body: bytes

    def changed(self, change: Callable[[Any], object]) -> "Response":
        """Return the answer with its JSON changed in place."""
        fields = json.loads(self.body)
        change(fields)
        body = json.dumps(fields, separators=(",", ":")).encode()
        return replace(self, body=body, headers=_sized(self.headers, body))

    def with_header(self, name: bytes, value: bytes) -> "Response":
        """Return the answer with another header."""
        kept = [each for each in self.headers if each[0] != name]
        return replace(self, headers=[*kept, (name, value)])


UNDESCRIBED: Final = Response(status=404, headers=[], body=b"{}")
"""What is answered for the description: whoever gets something wrong tells no version."""

Forward = Callable[[Request], Awaitable[Response]]
Fault = Callable[[Request, Forward], Awaitable[Response]]


def behind(make: Callable[[], Fault]) -> Callable[[App], App]:
    """Return what puts an application behind a fault of its own."""

    def front(app: App) -> App:
        fault = make()

        async def forward(request: Request) -> Response:
            return await _ask(app, request)

        async def served(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            request = await _read(scope, receive)
            if request.path == "/openapi.json":
                response = UNDESCRIBED
            else:
                response = await fault(request, forward)
            head = {"status": response.status, "headers": response.headers}
            await send({"type": "http.response.start", **head})
            await send({"type": "http.response.body", "body": response.body})

        return served

    return front


async def _read(scope: Any, receive: Any) -> Request:  # noqa: ANN401 - ASGI
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=list(scope["headers"]),
        body=body,
        scope=scope,
    )


async def _ask(app: App, request: Request) -> Response:
    sent: list[dict[str, Any]] = []
    path = {"path": request.path, "raw_path": request.path.encode()}
    scope = {**request.scope, **path, "method": request.method, "headers": request.headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(cast("dict[str, Any]", message))

    await app(scope, receive, send)
    return Response(
        status=sent[0]["status"],
        headers=list(sent[0]["headers"]),
        body=b"".join(each.get("body", b"") for each in sent[1:]),
    )


def _sized(headers: Headers, body: bytes) -> Headers:
    kept = [each for each in headers if each[0] != b"content-length"]
    return [*kept, (b"content-length", b"%d" % len(body))]


# --- the faults ---


def drops_keys() -> Fault:
    """Every call is a new one, whatever key it brings."""
    numbers = count()

    async def fault(request: Request, forward: Forward) -> Response:
        if "requestId" not in request.fields or not request.path.endswith(("run", "train")):
            return await forward(request)
        key = request.fields["requestId"]
        answer = await forward(request.with_fields(requestId=f"{next(numbers)}"))

        def put_back(body: Any) -> None:  # noqa: ANN401 - decoded JSON
            part = body.get("data", body)
            if "requestId" in part and body["ok"]:
                part["requestId"] = key

        return answer.changed(put_back)

    return fault


def invents_keys() -> Fault:
    """A call without a key gets one."""
    numbers = count()

    async def fault(request: Request, forward: Forward) -> Response:
        if request.body and not request.fields.get("requestId"):
            request = request.with_fields(requestId=f"{next(numbers)}")
        return await forward(request)

    return fault


def replays(*, by_player: bool, by_body: bool) -> Callable[[], Fault]:
    """Remember the answers of a key, without looking who calls, or what for."""

    def make() -> Fault:
        known: dict[tuple[object, ...], Response] = {}

        async def fault(request: Request, forward: Forward) -> Response:
            key = request.fields.get("requestId")
            if not isinstance(key, str):
                return await forward(request)
            who = request.who if by_player else ""
            mark = (request.path, key, who, request.body if by_body else b"")
            if mark not in known:
                answer = await forward(request)
                if answer.status != 200:
                    return answer
                known[mark] = answer
            return known[mark]

        return fault

    return make


def answers_stale_balances() -> Fault:
    """A player's balances are read once and then told from memory."""
    known: dict[str, Response] = {}

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if request.method == "GET" and request.path == "/api/economy/me" and answer.status == 200:
            return known.setdefault(request.who, answer)
        return answer

    return fault


def breaks_on_bad_json() -> Fault:
    """A body that can't be read is an internal error."""

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if request.body and not isinstance(_loaded(request.body), dict):
            return replace(answer, status=500)
        return answer

    return fault


def _loaded(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def believes_launch_data(*, dated: bool) -> Callable[[], Fault]:
    """Launch data is believed: whoever signed it, or with `dated` however old it is."""

    def make() -> Fault:
        moment: dict[str, str] = {}

        async def fault(request: Request, forward: Forward) -> Response:
            fields = dict(parse_qsl(request.header(b"x-telegram-init-data").decode("latin-1")))
            claimed = fields.pop("hash", "")
            if not claimed:
                return await forward(request)
            genuine = sign(fields, BOT_TOKEN)
            moment.setdefault("auth_date", fields["auth_date"])
            if dated and not genuine.endswith(claimed):
                return await forward(request)
            proof = sign({**fields, **moment} if dated else fields, BOT_TOKEN)
            return await forward(request.with_header(b"x-telegram-init-data", proof.encode()))

        return fault

    return make


def lets_a_header_say_who_calls() -> Fault:
    """The header `x-telegram-id` is enough."""
    launches: list[bytes] = []

    async def fault(request: Request, forward: Forward) -> Response:
        launch = request.header(b"x-telegram-init-data")
        if launch:
            launches.append(launch)
        elif request.header(b"x-telegram-id"):
            request = request.with_header(b"x-telegram-init-data", launches[0])
        return await forward(request)

    return fault


def leaks_battles() -> Fault:
    """Whoever knows a battle's id reads it."""
    owners: dict[str, bytes] = {}
    header = b"x-telegram-init-data"

    async def fault(request: Request, forward: Forward) -> Response:
        battle_id = request.path.rpartition("/")[2]
        if battle_id in owners:
            request = request.with_header(header, owners[battle_id])
        answer = await forward(request)
        if request.path == "/api/battle/run" and answer.status == 200:
            owners[json.loads(answer.body)["data"]["_id"]] = request.header(header)
        return answer

    return fault


def alters(
    wanted: Callable[[Request], bool], change: Callable[[Any], object]
) -> Callable[[], Fault]:
    """Change the good answers of some calls."""

    def make() -> Fault:
        async def fault(request: Request, forward: Forward) -> Response:
            answer = await forward(request)
            return answer.changed(change) if wanted(request) and answer.status < 300 else answer

        return fault

    return make


def changes_a_commitment() -> Fault:
    """What was promised first is another promise later."""
    looks = count()

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if request.path == "/api/fairness" and next(looks):
            return answer.changed(_recommit)
        return answer

    return fault


def _recommit(body: Any) -> None:  # noqa: ANN401 - decoded JSON
    body["data"]["epochs"][0]["commitment"] = "0" * 64


def sells_on_credit() -> Fault:
    """Who can't pay gets the goods all the same."""
    last: dict[str, Response] = {}

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if request.path != "/api/brokers/train":
            return answer
        if answer.status == 200:
            last[request.who] = answer
        return last.get(request.who, answer)

    return fault


def counts_no_calls() -> Fault:
    """The limit is announced, and what remains of it is always the same."""

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if request.header(b"x-telegram-init-data"):
            answer = answer.with_header(b"x-ratelimit-limit", b"25")
            answer = answer.with_header(b"x-ratelimit-remaining", b"24")
        return answer

    return fault


def serves_pages_for_paths() -> Fault:
    """An unknown path is an HTML page, as some frameworks have it."""

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if answer.status == 404 and b'"not found"' in answer.body:
            body = b"<html>Cannot GET</html>"
            return Response(status=404, headers=[(b"content-type", b"text/html")], body=body)
        return answer

    return fault


def ask(path: str, method: str = "GET") -> Callable[[Request], bool]:
    """Return what tells the calls of a path, or below one that ends with a slash."""
    return lambda call: (
        call.method == method
        and (call.path.startswith(path) if path.endswith("/") else call.path == path)
    )


def lie_of_the_score(body: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Tell of one point more, in the answer and in its receipt alike."""
    body["data"]["score"] += 1
    if "receipt" in body["data"]:
        body["data"]["receipt"]["outcome"]["score"] += 1


def lies_of_the_score() -> Fault:
    """A battle is answered, listed and receipted with one point more than the seed gives."""

    async def fault(request: Request, forward: Forward) -> Response:
        answer = await forward(request)
        if answer.status == 200 and request.path.startswith(("/api/battle/run", "/api/battles/")):
            return answer.changed(lie_of_the_score)
        return answer

    return fault


def rounds_ids(body: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Tell a player's id as a number of 32 bits."""
    body["data"]["telegramId"] = str(int(body["data"]["telegramId"]) % 2**32)


def alter_receipt(body: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Let the receipt tell of another broker than the one that fought."""
    body["data"]["receipt"]["inputs"]["fighter"]["speed"] += 1


def hide_the_last(body: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Leave the newest battle out of the list."""
    body["data"]["items"] = body["data"]["items"][1:]


def raise_the_amount(body: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Claim one more than was asked, beside the signed cell."""
    body["claim"]["amount"] = str(int(body["claim"]["amount"]) + 1)


FAULTS: Final[Mapping[str, tuple[Callable[[], Fault], set[str]]]] = {
    "drops keys": (
        drops_keys,
        {
            "test_first_answer_is_never_replaced",
            "test_one_command_sent_many_times_at_once_takes_effect_once",
        },
    ),
    "invents keys": (invents_keys, {"test_a_money_command_without_a_key_is_refused"}),
    "mixes up players' keys": (
        replays(by_player=False, by_body=False),
        {"test_answers_are_remembered_per_principal_command_and_key"},
    ),
    "overlooks other bodies": (
        replays(by_player=True, by_body=False),
        {"test_the_same_key_with_another_body_is_refused"},
    ),
    "tells stale balances": (
        answers_stale_balances,
        {"test_read_follows_the_units_that_were_answered"},
    ),
    "breaks on bad JSON": (breaks_on_bad_json, {"test_a_malformed_body_is_refused"}),
    "believes forged launch data": (
        believes_launch_data(dated=False),
        {"test_a_proof_by_another_secret_is_refused"},
    ),
    "believes old launch data": (
        believes_launch_data(dated=True),
        {"test_a_proof_counts_for_its_time_and_no_longer"},
    ),
    "lets a header say who calls": (
        lets_a_header_say_who_calls,
        {"test_nobody_is_let_in_without_a_proof"},
    ),
    "leaks battles": (leaks_battles, {"test_the_battle_of_another_cannot_be_read"}),
    "alters receipts": (
        alters(ask("/api/battles/"), alter_receipt),
        {"test_a_receipt_says_what_was_answered"},
    ),
    "lies of the score": (
        lies_of_the_score,
        {"test_a_receipt_verifies_once_the_secret_is_revealed"},
    ),
    "changes a commitment": (changes_a_commitment, {"test_a_commitment_is_never_changed"}),
    "hides a battle": (
        alters(ask("/api/battles"), hide_the_last),
        {"test_battles_are_listed_as_they_were_answered"},
    ),
    "sells on credit": (
        sells_on_credit,
        {
            "test_guarded_account_never_goes_below_zero",
            "test_only_one_of_many_units_can_take_the_last_unit",
        },
    ),
    "answers what doesn't add up": (
        alters(ask("/api/daily/claim", "POST"), lambda body: body.update(neurReward=60)),
        {"test_balances_are_the_sums_of_the_answers"},
    ),
    "counts no calls": (counts_no_calls, {"test_an_answer_says_what_remains"}),
    "serves pages for paths": (
        serves_pages_for_paths,
        {"test_an_unknown_path_is_404_in_the_envelope"},
    ),
    "claims more than was asked": (
        alters(ask("/api/economy/claim-aiba", "POST"), raise_the_amount),
        {"test_a_claim_is_what_was_asked"},
    ),
}
"""Each fault with the properties that it breaks."""
