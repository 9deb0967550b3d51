"""Each operation of the description is closed to all who haven't got the credential it asks for."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import jwt
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from aiba_adapters.sessions import SessionTokens
from aiba_adapters.telegram import sign
from aiba_domain.administration.model import AdminRole, AdminSession
from aiba_entry.http.admin.guard import RoleGuard
from aiba_entry.http.admin.tokens import AdminTokens, key_id
from aiba_entry.http.limits import admit_player, require_player
from tests.contract.game.description import Operation
from tests.contract.game.support import ABSENT_ID, BOT_TOKEN, QUERIES, Call, Game, launch_at
from tests.contract.hostile.target import Target
from tests.support.admins import SECRET, Panel

Headers = Mapping[str, str]
Wrong = Callable[[Target], Iterator[tuple[str, Headers]]]

OTHER_SECRET: Final = "a-secret-of-somebody-else-0123456789-0123456789-0123456789-012345678"
OTHER_BOT: Final = "654321:SOMEBODYELSESBOT"
UNLISTED: Final = ("/openapi.json", "/docs", "/verify")
"""Pages that the description doesn't list; who may see them is settings' (`test_security`)."""

PROVES: Final = {"openSession", "adminLogIn"}
"""Open operations that answer 401 to a proof that is wrong, which is in their bodies."""

WAYS: Final[Mapping[str, list[dict[str, list[str]]]]] = {
    "player": [{"session": []}, {"initData": []}],
    "admin": [{"admin": []}, {"adminToken": []}],
    "anyone": [{}],
}
"""How the description says who may call."""


def bearer(token: str) -> Headers:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def kind_of(operation: Operation) -> str:
    """Return who may call an operation, as it is described."""
    ways = operation.schema.get("security", [{}])
    return next(kind for kind, each in WAYS.items() if each == ways)


def call_of(operation: Operation, headers: Headers) -> Call:
    """Return a call of an operation that is as good as the description lets one know."""
    parts = [ABSENT_ID if part.startswith("{") else part for part in operation.path.split("/")]
    path, query = "/".join(parts), QUERIES.get(operation.path)
    body: object = None if operation.method == "GET" else {}
    path = f"{path}?{query}" if query else path
    return Call(method=operation.method, path=path, headers=headers, body=body)


def handlers(game: Game) -> dict[tuple[str, str], HTTPRouteHandler]:
    """Return every handler of the application by method and path."""
    app = game.app.app
    assert isinstance(app, Litestar)
    return {
        (method, route.path_format): handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in handler.http_methods
        if method not in ("OPTIONS", "HEAD")
    }


def guarded(handler: HTTPRouteHandler) -> str:
    """Return who comes through a handler's guards."""
    guards = handler.resolve_guards()
    if any(isinstance(guard, RoleGuard) for guard in guards):
        return "admin"
    before = handler.resolve_before_request()
    admits = getattr(getattr(before, "func", before), "__qualname__", "")
    is_player = require_player in guards or admits == admit_player().__qualname__
    return "player" if is_player else "anyone"


def role_of(handler: HTTPRouteHandler) -> AdminRole:
    """Return the least role that comes through a handler's guards."""
    return next(guard.role for guard in handler.resolve_guards() if isinstance(guard, RoleGuard))


def common(token: str, other: Headers) -> Iterator[tuple[str, Headers]]:
    """Yield what opens no door at all, made of a good token and of what opens the other doors."""
    yield "nothing", {}
    yield "an empty token", bearer("")
    yield "no token", bearer("undefined")
    yield "a changed token", bearer(token[:-1] + ("A" if token[-1] != "A" else "B"))
    yield "a shortened token", bearer(token[:-1])
    yield "two tokens", bearer(f"{token}, Bearer {token}")
    yield "no scheme", {"Authorization": token}
    yield "another scheme", {"Authorization": f"Basic {token}"}
    yield "a cookie", {"Cookie": f"token={token}; session={token}; Authorization=Bearer {token}"}
    yield "a name alone", {"X-Telegram-Id": "42", "X-Telegram-Username": "root", "X-User": "root"}
    yield "the other kind's", other


def wrong_for_players(target: Target) -> Iterator[tuple[str, Headers]]:
    """Yield credentials that are no player's."""
    game, now = target.game, target.game.clock.now()
    good = game.as_player(target.player)["Authorization"].removeprefix("Bearer ")
    admin = target.root.token
    yield from common(good, bearer(admin))
    yield "the other kind's beside", {"X-Admin-Token": admin}
    own = SessionTokens(game.settings.session_secret.encode())
    yield "an old session", bearer(own.issue(target.player, "s", now))
    strange = SessionTokens(OTHER_SECRET.encode())
    yield "a session of another secret", bearer(strange.issue(target.player, "s", now + 10**6))
    yield "a JWT without algorithm", bearer(jwt.encode({"sub": target.player}, "", "none"))
    launch = game.launch(target.player)
    user = "user=%7B%22id%22%3A42%7D"
    for name, data in (
        ("changed launch data", launch + "0"),
        ("unsigned launch data", f"auth_date={now // 1000}&{user}"),
        (
            "launch data of another bot",
            sign({"auth_date": str(now // 1000), "user": "{}"}, OTHER_BOT),
        ),
        ("old launch data", launch_at(now - 901_000, target.player)),
        ("launch data of the future", launch_at(now + 120_000, target.player)),
        ("launch data of nobody", sign({"auth_date": str(now // 1000), "user": "{}"}, BOT_TOKEN)),
    ):
        yield name, {"X-Telegram-Init-Data": data}
    yield (
        "good launch data beside a bad token",
        {
            "X-Telegram-Init-Data": launch,
            "Authorization": "Bearer x",
        },
    )


def wrong_for_admins(target: Target) -> Iterator[tuple[str, Headers]]:
    """Yield credentials that are no admin's, or no longer."""
    game = target.game
    token = target.root.token
    player = game.as_player(target.player)
    yield from common(token, player)
    yield "a player's beside", {"X-Admin-Token": player["Authorization"].removeprefix("Bearer ")}
    yield "launch data", {"X-Telegram-Init-Data": game.launch(target.player)}
    yield "a good one beside a bad one", {"X-Admin-Token": token, "Authorization": "Bearer x"}
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = {"kid": key_id(SECRET)}
    forged = {
        "no algorithm": jwt.encode(claims, "", "none", kid),
        "another algorithm": jwt.encode(claims, SECRET, "HS512", kid),
        "another secret": jwt.encode(claims, OTHER_SECRET, "HS256", kid),
        "another secret under its own name": AdminTokens(OTHER_SECRET).issue(
            _session(claims), AdminRole.SUPERADMIN
        ),
        "an unknown kid": jwt.encode(claims, SECRET, "HS256", {"kid": "x"}),
        "a kid that is no text": _by_hand({"alg": "HS256", "kid": [kid["kid"]]}, claims),
        "a header without algorithm": _by_hand(kid, claims),
        "an algorithm in other letters": _by_hand({"alg": "hs256", **kid}, claims),
        "the name of a public key's algorithm": _by_hand({"alg": "RS256", **kid}, claims),
        "a key of its own": _by_hand({"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}, claims),
        "no kid": jwt.encode(claims, SECRET, "HS256"),
        "an old token": jwt.encode({**claims, "exp": claims["iat"]}, SECRET, "HS256", kid),
        "an unknown session": jwt.encode({**claims, "jti": "0" * 32}, SECRET, "HS256", kid),
        "the session of another": jwt.encode(
            {**claims, "sub": target.viewer.email}, SECRET, "HS256", kid
        ),
        **_ended(target),
    }
    for name, each in forged.items():
        yield name, bearer(each)
        yield f"{name}, in the other header", {"X-Admin-Token": each}


def _by_hand(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a token under any header, signed with HMAC-SHA256 by the right secret."""
    parts = (json.dumps(part).encode() for part in (header, claims))
    text = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    seal = urlsafe_b64encode(hmac.digest(SECRET.encode(), text, "sha256")).rstrip(b"=")
    return f"{text.decode()}.{seal.decode()}"


def _session(claims: Mapping[str, Any]) -> AdminSession:
    return AdminSession(
        id=claims["jti"],
        email=claims["sub"],
        generation=1,
        issued_at=claims["iat"] * 1_000,
        expires_at=claims["exp"] * 1_000,
    )


def _ended(target: Target) -> Mapping[str, str]:
    """Return tokens that were good once."""
    root = target.root
    out = Panel(target.game)
    out.post("/api/admin/auth/logout")
    revoked, disabled, changed = (
        root.make(f"{name}@game.example", "superadmin")
        for name in ("revoked", "disabled", "changed")
    )
    path = "/api/admin/accounts"
    root.post(f"{path}/{revoked.email}/revoke")
    root.patch(f"{path}/{disabled.email}", disabled=True)
    root.post(f"{path}/{changed.email}/password", password="another password of theirs")
    return {
        "a token that was logged out": out.token,
        "a revoked token": revoked.token,
        "the token of a disabled account": disabled.token,
        "a token by an older password": changed.token,
    }


@pytest.mark.parametrize(
    ("kind", "wrong"), [("player", wrong_for_players), ("admin", wrong_for_admins)]
)
def test_no_wrong_credential_opens_a_door(target: Target, kind: str, wrong: Wrong) -> None:
    """401 for each of them at each operation of the kind, before anything is begun."""
    doors = [each for each in target.game.description.operations if kind_of(each) == kind]
    keys = dict(wrong(target))
    assert len(doors) > 15
    for name, headers in keys.items():
        units = target.units
        for operation in doors:
            answer = target.game.send(call_of(operation, headers))
            assert answer.status_code == 401, f"{name}: {operation.method} {operation.path}"
        assert target.units == units, name


def test_every_right_credential_opens_its_doors(target: Target) -> None:
    """Each way that the description names is taken, and open doors ask for nothing."""
    game = target.game
    token = game.as_player(target.player)["Authorization"]
    right = {
        "session": {"Authorization": token},
        "initData": {"X-Telegram-Init-Data": game.launch(target.player)},
        "adminToken": {"X-Admin-Token": target.root.token},
        "admin": {"Authorization": f"Bearer {target.root.token}"},
    }
    for operation in game.description.operations:
        if operation.schema["operationId"] == "adminLogOut":
            continue
        for way in operation.schema.get("security", [{}]):
            (name,) = way or ("",)
            headers = right.get(name, bearer("undefined"))
            status = game.send(call_of(operation, headers)).status_code
            is_in = status not in (401, 403) or operation.schema["operationId"] in PROVES
            assert is_in, f"{operation.method} {operation.path}: {status}"
    for way in ("admin", "adminToken"):
        last = Panel(game)
        headers = bearer(last.token) if way == "admin" else {"X-Admin-Token": last.token}
        out = Call(method="POST", path="/api/admin/auth/logout", headers=headers, body={})
        assert [game.send(out).status_code for _ in range(2)] == [200, 401]


def test_no_role_opens_the_doors_of_a_higher_one(target: Target) -> None:
    """403 for each lower role, whatever the token says of itself, and that is on record."""
    game = target.game
    doors = handlers(game)
    lower = {AdminRole.VIEWER: target.viewer, AdminRole.OPERATOR: target.operator}
    tried = 0
    for operation in game.description.operations:
        if kind_of(operation) != "admin":
            continue
        needed = role_of(doors[operation.method, operation.path])
        for role, panel in lower.items():
            for headers in (panel.headers, bearer(_boasting(panel.token))):
                answer = game.send(call_of(operation, headers))
                is_out = answer.status_code == 403
                assert is_out != role.covers(needed), f"{role}: {operation.path} {answer.text}"
                tried += is_out
        if operation.schema["operationId"] == "adminLogOut":
            for panel in lower.values():
                panel.token = panel.log_in()
    denied = [row for row in target.root.trail() if row["action"] == "admin.denied"]
    assert len(denied) == min(tried, 200)


def _boasting(token: str) -> str:
    """Return a token that says superadmin of its holder, as one from before a change of role."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "role": "superadmin"}, SECRET, "HS256", {"kid": key_id(SECRET)})


def test_the_description_says_who_comes_through_the_guards(target: Target) -> None:
    """Every route is described with what its guards ask for, or is one of the unlisted pages."""
    game = target.game
    doors = handlers(game)
    described = {(each.method, each.path): kind_of(each) for each in game.description.operations}
    unlisted = {path for _, path in doors.keys() - described.keys()}
    assert described.keys() <= doors.keys()
    assert all(path.startswith(UNLISTED) for path in unlisted)
    assert {place: guarded(doors[place]) for place in described} == described
