"""Whatever is sent, the answer is a refusal in the envelope, and nothing is changed by it."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_domain.money import MAX_AMOUNT
from tests.contract.game.conftest import MakeGame
from tests.contract.game.description import Operation, Schema
from tests.contract.game.support import ABSENT_ID, QUERIES, Call, Game, error_of
from tests.support.stores import opener
from tests.support.wallets import Wallet

BODY_LIMIT: Final = 64 * 1024
PLAYER: Final = "4242"
HUGE: Final = 10**400
GOOD: Final[Mapping[str, object]] = {
    "requestId": "fuzz",
    "brokerId": ABSENT_ID,
    "baseBrokerId": ABSENT_ID,
    "sacrificeBrokerId": ABSENT_ID[::-1],
    "stat": "risk",
    "arena": "prediction",
    "league": "rookie",
    "modeKey": "prediction",
    "autoClaim": False,
    "schoolId": ABSENT_ID,
    "initData": "hash=0",
    "amount": 1,
    "txHash": "00" * 32,
    **Wallet(0).proof("a-payload", 1_767_268_800),
}
"""A good value of every field there is."""


@pytest.fixture(name="target", scope="module")
def _target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    folder = tmp_path_factory.mktemp("fuzz")
    game = Game(
        opener("sqlite", folder),
        environ={"JSON_BODY_LIMIT": "64kb"},
        database=folder / "arena.db",
    )
    game.starter(PLAYER)
    before = game.tables()
    yield game
    assert game.tables() == before
    assert game.sound().entries == before["entries"]
    game.close()


ROUTES: Final = {
    "openSession": "initData",
    "getStarterBroker": "requestId",
    "trainBroker": "requestId brokerId stat",
    "repairBroker": "requestId brokerId",
    "upgradeBroker": "requestId brokerId stat",
    "combineBrokers": "requestId baseBrokerId sacrificeBrokerId",
    "mintBroker": "requestId brokerId",
    "runBattle": "requestId brokerId arena league modeKey autoClaim",
    "changeMyProfile": "schoolId",
    "claimDaily": "requestId",
    "claimDailyCombo": "requestId",
    "connectWallet": "address network publicKey proof",
    "claimAiba": "requestId amount",
    "createBrokerWithTon": "txHash",
}
"""Every route that reads a body, with the fields that it knows."""

# Every route goes through the same reader, so each gets its share of a run's examples.
fewer = settings(max_examples=max(10, settings().max_examples // 4))
each_route = pytest.mark.parametrize("name", ROUTES)


def of_players(game: Game) -> list[Operation]:
    """Return the operations of players; those of admins are in `tests/contract/admin`."""
    everything = game.description.operations
    return [each for each in everything if not each.path.startswith("/api/admin/")]


def operation_of(game: Game, name: str) -> Operation:
    """Return an operation by its name."""
    return next(op for op in game.description.operations if op.schema["operationId"] == name)


def fields_of(game: Game, name: str) -> Schema:
    """Return the schemas of the fields that an operation's body has."""
    body = operation_of(game, name).body(game.description.document)
    assert body is not None
    fields: Schema = body["properties"]
    return fields


def refused(game: Game, call: Call) -> tuple[httpx.Response, Any]:
    """Send a call that is a refusal of the fields, and return its answer and details."""
    before = game.commits()
    response = game.send(call)
    assert 400 <= response.status_code < 500, response.text
    body = response.json()
    assert set(body) == {"ok", "error", "requestId"}
    assert game.commits() == before, "a refused call changed the database"
    return response, body["error"].get("details")


def calling(
    game: Game, name: str, *, headers: Mapping[str, Any] | None = None, **sent: Any
) -> Call:
    """Return a call of a route by someone who may make it."""
    operation = operation_of(game, name)
    own = game.as_player(PLAYER) if operation.is_private else {}
    return Call(
        method=operation.method, path=operation.path, headers={**own, **(headers or {})}, **sent
    )


def test_every_route_is_aimed_at(target: Game) -> None:
    """The table above knows each route with a body and each of its fields."""
    known = {
        op.schema["operationId"]: " ".join(fields_of(target, op.schema["operationId"]))
        for op in of_players(target)
        if op.changes
    }
    assert known == ROUTES


# --- one field at fault ---

TEXTS = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=1)
NUMBERS: Final = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.just(HUGE)
    | st.just(-HUGE)
)
JUNK: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
CONTAINERS: Final = st.lists(JUNK, max_size=3) | st.dictionaries(TEXTS, JUNK, max_size=3)
UNREADABLE: Final = st.builds(
    lambda head, bad, tail: f"x{head}{bad}{tail}x",
    st.text(max_size=3),
    st.sampled_from(["\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\ud800", "\udfff", "\u0000"]),
    st.text(max_size=3),
)
NOT_AN_ID: Final = st.sampled_from(
    ["xyz", ABSENT_ID[:-1], ABSENT_ID + "0", "g" * 24, "٣" * 24, "$ne", "1 or 1=1"]
)


LONGEST: Final = {
    "requestId": 4096,
    "initData": 8192,
    "modeKey": 100,
    "address": 200,
    "publicKey": 64,
    "txHash": 200,
}


def faulty(name: str) -> st.SearchStrategy[object]:
    """Return values that a field can't take, whatever it is."""
    anything: st.SearchStrategy[object] = CONTAINERS | UNREADABLE
    if name == "autoClaim":
        words = TEXTS.filter(lambda text: text.strip() not in ("", "true", "false"))
        return anything | NUMBERS | words
    if name == "stat":
        return anything | NUMBERS | st.booleans() | st.sampled_from(["luck", "Risk", "risk;"])
    if name == "amount":
        whole = st.integers(max_value=0) | st.integers(min_value=MAX_AMOUNT + 1)
        part = st.floats(allow_nan=False, allow_infinity=False).filter(lambda n: n % 1 != 0)
        return anything | whole | part | st.booleans() | TEXTS
    if name == "proof":
        return anything | NUMBERS | st.booleans() | TEXTS
    if name.endswith("Id") and name != "requestId":
        return anything | NUMBERS | st.booleans() | NOT_AN_ID
    too_long = LONGEST.get(name, 50) + 1
    return anything | NUMBERS | st.booleans() | st.just("a" * too_long)


@each_route
@fewer
@given(data=st.data())
def test_a_field_at_fault_is_refused_by_name(target: Game, name: str, data: st.DataObject) -> None:
    """One wrong value among good ones is told by the name of its field and no other."""
    known = list(fields_of(target, name))
    field = data.draw(st.sampled_from(known))
    body = {each: GOOD[each] for each in known} | {field: data.draw(faulty(field))}
    _, details = refused(target, calling(target, name, body=body))
    assert set(details) == {field}


@each_route
@fewer
@given(names=st.sets(st.text(max_size=80), min_size=1, max_size=20), value=JUNK)
def test_unknown_fields_are_refused_by_name(
    target: Game, name: str, names: set[str], value: object
) -> None:
    """A field that a route doesn't know is told, however it is called."""
    known = fields_of(target, name)
    unknown = dict.fromkeys(names - set(known), "v" if value in (None, "") else value)
    body = {each: GOOD[each] for each in known} | unknown
    if not unknown or all(is_blank(each) for each in unknown.values()):
        return
    response, details = refused(target, calling(target, name, body=body))
    assert response.status_code == 400
    assert 1 <= len(details) <= 16
    assert not set(details) & set(known)


def is_blank(value: object) -> bool:
    """Tell whether a value counts as absent."""
    return value is None or (isinstance(value, str) and not value.strip())


@each_route
@fewer
@given(body=JUNK.filter(lambda value: not isinstance(value, dict)))
def test_a_body_that_is_no_object_is_refused(target: Game, name: str, body: object) -> None:
    """A list, a text, a number or null is no body."""
    _, details = refused(target, calling(target, name, content=json.dumps(body).encode()))
    assert details == {"body": "object"}


# --- no JSON at all ---

MALFORMED: Final = (
    b"{",
    b"}",
    b"{]",
    b"{'requestId': 'a'}",
    b'{"requestId": "a",}',
    b'{"requestId": "a"} trailing',
    b'{"requestId": "a"}{}',
    b'{"requestId": NaN}',
    b'{"requestId": Infinity}',
    b'{"requestId": 01}',
    b'{"requestId": "\x00"}',
    b'{"requestId": "\n"}',
    b'{"requestId": "\xff"}',
    b'{"requestId": "\xed\xa0\x80"}',
    b'{"requestId": "\\ud800"}',
    b'{"requestId": "\\x41"}',
    b'{"requestId": "a',
    b"\xef\xbb\xbf{}x",
    b"\xff\xfe{\x00}\x00",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    b"requestId=a&brokerId=b",
    b"--x\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--x--",
    b"[" * 60_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"requestId": ' + b"9" * 60_000 + b"}",
    b'{"requestId": -1e999999999}',
)


@each_route
@pytest.mark.parametrize("content", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_bodies_are_400(target: Game, name: str, content: bytes) -> None:
    """What can't be read as JSON with these fields is 400 and names what is wrong."""
    response, details = refused(target, calling(target, name, content=content))
    assert response.status_code == 400
    assert details


@each_route
@fewer
@given(content=st.binary(min_size=1, max_size=60))
def test_any_bytes_are_refused(target: Game, name: str, content: bytes) -> None:
    """Random bytes never get through and never break anything."""
    if content.strip() in (b"", b"{}"):
        return
    response, details = refused(target, calling(target, name, content=content))
    assert response.status_code == 400
    assert details


@each_route
@fewer
@given(data=st.data())
def test_of_a_repeated_key_the_last_counts(target: Game, name: str, data: st.DataObject) -> None:
    """A good value before a bad one under the same name doesn't hide it."""
    known = list(fields_of(target, name))
    field = data.draw(st.sampled_from(known))
    members = [json.dumps({each: GOOD[each]})[1:-1] for each in known]
    bad = data.draw(faulty(field))
    content = "{" + ", ".join([*members, json.dumps({field: bad})[1:-1]]) + "}"
    _, details = refused(target, calling(target, name, content=content.encode()))
    assert set(details) == {field}


@each_route
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 3 * BODY_LIMIT])
def test_bodies_over_the_limit_are_413(
    target: Game, name: str, size: int, *, chunked: bool
) -> None:
    """A body that is too long is refused by its announced and by its real length."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(0, size, 1000):
            yield b" " * 1000

    content = parts() if chunked else b" " * size
    response, details = refused(target, calling(target, name, content=content))
    assert response.status_code == 413
    assert details == {"body": f"maxLength:{BODY_LIMIT}"}


CONTENT_TYPES: Final = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/xml",
    "application/msgpack",
    "application/json; charset=utf-16",
    "application/json; charset=nonsense",
    "application/",
    "/",
    "\x80",
)


@each_route
@pytest.mark.parametrize("media", CONTENT_TYPES)
def test_content_type_changes_nothing(target: Game, name: str, media: str) -> None:
    """A body is read as JSON whatever it calls itself, and faults are told the same way."""
    known = list(fields_of(target, name))
    headers = {"content-type": media.encode("latin-1")}
    wrong = {each: GOOD[each] for each in known} | {known[-1]: [1]}
    _, details = refused(target, calling(target, name, headers=headers, body=wrong))
    assert set(details) == {known[-1]}
    for content in (b"\xff\xfe", b"a=b", b"--x\r\n\r\n--x--"):
        call = calling(target, name, headers=headers, content=content)
        assert refused(target, call)[1] == {"body": "malformed JSON"}


# --- queries, paths and headers ---

SEGMENTS: Final = st.text(st.characters(codec="utf-8", exclude_characters="/?#"), min_size=1)


@given(
    query=st.binary(max_size=60) | st.text(max_size=30).map(lambda t: t.encode("utf-8", "replace"))
)
@pytest.mark.parametrize(
    "path", ["/api/battles", "/api/economy/claims", "/api/game-modes", "/api/economy/me"]
)
def test_any_query_is_answered(target: Game, path: str, query: bytes) -> None:
    """No query breaks a route: it is understood, ignored, or refused by the name of a field."""
    escaped = "".join(f"%{byte:02x}" if byte not in b"&=" else chr(byte) for byte in query)
    for sent in (escaped, f"limit={escaped}&arena={escaped}&before={escaped}"):
        response = target.get(f"{path}?{sent}", PLAYER)
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert set(error_of(response, 400, "validation_error")) <= {
                "limit",
                "before",
                "arena",
                "league",
            }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=101", "limit"),
        ("limit=1e3", "limit"),
        ("limit=1.5", "limit"),
        ("limit=NaN", "limit"),
        ("limit=true", "limit"),
        ("limit=0x10", "limit"),
        ("limit=%00", "limit"),
        ("limit=1%00", "limit"),
        ("limit=%ff", "limit"),
        ("limit=" + "9" * 400, "limit"),
        ("limit[]=1&limit=x", "limit"),
        ("before=1", "before"),
        ("before=-", "before"),
        ("before=%00", "before"),
        ("before=" + "9" * 39 + "-" + ABSENT_ID, "before"),
        ("before=-1-" + ABSENT_ID, "before"),
        ("before=1-" + ABSENT_ID.upper(), "before"),
        ("before=%D9%A3-" + ABSENT_ID, "before"),
    ],
)
def test_a_query_field_at_fault_is_refused_by_name(target: Game, query: str, field: str) -> None:
    """What a page can't be cut by is told by the name of its parameter."""
    for path in ("/api/battles", "/api/economy/claims"):
        response = target.get(f"{path}?{query}", PLAYER)
        assert set(error_of(response, 400, "validation_error")) == {field}


@given(segment=SEGMENTS)
def test_any_id_in_a_path_is_answered(target: Game, segment: str) -> None:
    """What stands in an id's place is an id that nobody has, or none."""
    path = "/api/battles/" + "".join(f"%{byte:02x}" for byte in segment.encode())
    response = target.get(path, PLAYER)
    assert response.status_code in (400, 404)


@fewer
@given(junk=st.binary(max_size=60))
def test_a_junk_identity_is_401_on_every_private_route(target: Game, junk: bytes) -> None:
    """No text that wasn't issued passes for a player, wherever it stands."""
    before = target.commits()
    for prefix in (b"", b"Bearer ", b"Bearer v1.42.", b"Bearer v1.42.s.18c.", b"Basic "):
        headers = {"authorization": prefix + junk}
        for path in ("/api/economy/me", "/api/brokers/mine", "/api/battles"):
            assert target.send(Call(method="GET", path=path, headers=headers)).status_code == 401
    launch: dict[str, str | bytes] = {"x-telegram-init-data": junk or b"x"}
    for operation in target.description.operations:
        if operation.is_private:
            call = Call(method=operation.method, path=operation.path, headers=launch)
            assert target.send(call).status_code == 401
    assert target.commits() == before


UNSEALED: Final = "/api/ledger/proof"
"""Where nothing is found: nobody audits this ledger, so nothing of it is sealed."""

HEADERS: Final = st.sampled_from(
    [
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "idempotency-key",
        "if-none-match",
        "origin",
        "range",
        "referer",
        "transfer-encoding",
        "user-agent",
        "x-forwarded-for",
        "x-http-method-override",
        "x-real-ip",
        "x-request-id",
        "x-telegram-id",
        "x-telegram-username",
    ]
)


@given(headers=st.dictionaries(HEADERS, st.binary(max_size=40), max_size=5), data=st.data())
def test_any_headers_are_answered(
    target: Game, headers: dict[str, bytes], data: st.DataObject
) -> None:
    """Headers that mean nothing here change no answer; one that is used is judged."""
    operation = data.draw(st.sampled_from(of_players(target)))
    before = target.commits()
    sent: dict[str, str | bytes] = {
        **headers,
        **(target.as_player(PLAYER) if operation.is_private else {}),
    }
    wrong = json.dumps({"initData": 1, "x": 1}).encode() if operation.changes else None
    response = target.send(
        Call(method=operation.method, path=operation.path, headers=sent, content=wrong)
    )
    if operation.changes or "{" in operation.path or operation.path in QUERIES:
        assert response.status_code in (400, 404)
    else:
        assert response.status_code == (404 if operation.path == UNSEALED else 200)
    assert target.commits() == before


def test_a_header_names_nobody_in_production(make_game: MakeGame) -> None:
    """The header that developers name themselves with proves nothing where it isn't switched on."""
    game = make_game("memory")
    headers = {"x-telegram-id": "42", "x-telegram-username": "ann"}
    for operation in of_players(game):
        if operation.is_private:
            call = Call(method=operation.method, path=operation.path, headers=headers)
            error_of(game.send(call), 401, "telegram auth required")
