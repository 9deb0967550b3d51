"""Admins' tokens: ours alone, revocable at once, and good while their secret is changed."""

import time
from typing import Any

import jwt
import pytest

from aiba_domain.administration.model import AdminRole, AdminSession
from aiba_domain.instants import HOUR, SECOND
from aiba_entry.http.admin.tokens import AdminTokens, TokenRefused, key_id
from aiba_entry.passwords import hash_of
from tests.contract.admin.conftest import MakeGame
from tests.contract.game.support import Game, data_of
from tests.support.admins import CHEAP, EMAIL, PASSWORD_HASH, SECRET, Panel, refusal_of

ME = "/api/admin/auth/me"
NEXT_SECRET = "the-next-secret-of-admin-tokens-9876543210"
NOW_S = int(time.time())


def test_d78_a_logout_ends_its_token_and_no_other(root: Panel) -> None:
    """D-78: at once, for good, and on record."""
    other = Panel(root.game)
    assert data_of(root.call("POST", "/api/admin/auth/logout")) == {"revoked": True}
    for _ in range(2):
        assert refusal_of(root.get(ME), 401) == "invalid admin token"
    assert data_of(other.get(ME))["email"] == EMAIL
    assert other.trail()[0]["action"] == "admin.log_out"


def test_d78_all_tokens_of_an_account_can_be_revoked(root: Panel) -> None:
    """D-78: every one that was issued, also one's own; a new login is good."""
    other = Panel(root.game)
    data_of(root.post(f"/api/admin/accounts/{EMAIL}/revoke"))
    for panel in (root, other):
        assert refusal_of(panel.get(ME), 401) == "invalid admin token"
    root.token = root.log_in()
    assert data_of(root.get(ME))["email"] == EMAIL


def test_a_token_ends_by_the_services_own_clock(make_game: MakeGame) -> None:
    """After the seconds that the settings give it, and not before."""
    game = make_game(ADMIN_TOKEN_TTL_SECONDS="600")
    root = Panel(game)
    game.clock.advance(599 * SECOND)
    assert data_of(root.get(ME))["email"] == EMAIL
    game.clock.advance(SECOND)
    assert refusal_of(root.get(ME), 401) == "invalid admin token"


def test_the_secret_is_changed_with_an_overlap_and_back(game: Game) -> None:
    """The rehearsal of a rotation: both are good, then the new one alone, and the way back."""
    old = Panel(game)
    game.restart(ADMIN_JWT_SECRET=NEXT_SECRET, ADMIN_JWT_SECRET_PREVIOUS=SECRET)
    assert data_of(old.get(ME))["email"] == EMAIL
    new = Panel(game)
    assert (
        jwt.get_unverified_header(new.token)["kid"] != jwt.get_unverified_header(old.token)["kid"]
    )

    game.restart(ADMIN_JWT_SECRET_PREVIOUS="")
    assert refusal_of(old.get(ME), 401) == "invalid admin token"
    assert data_of(new.get(ME))["email"] == EMAIL

    game.restart(ADMIN_JWT_SECRET=SECRET, ADMIN_JWT_SECRET_PREVIOUS=NEXT_SECRET)
    for panel in (old, new):
        assert data_of(panel.get(ME))["email"] == EMAIL
    game.restart(ADMIN_JWT_SECRET_PREVIOUS="")
    assert data_of(old.get(ME))["email"] == EMAIL
    assert refusal_of(new.get(ME), 401) == "invalid admin token"


@pytest.mark.parametrize(
    "changed",
    [{"ADMIN_PASSWORD_HASH": hash_of("another password", CHEAP)}, {"ADMIN_EMAIL": "new@x.example"}],
)
def test_another_password_or_email_in_the_environment_ends_the_tokens(
    game: Game, changed: dict[str, str]
) -> None:
    """They are of another first admin; with the old values back they are good again."""
    root = Panel(game)
    game.restart(**changed)
    assert refusal_of(root.get(ME), 401) == "invalid admin token"
    game.restart(ADMIN_PASSWORD_HASH=PASSWORD_HASH, ADMIN_EMAIL=EMAIL)
    assert data_of(root.get(ME))["email"] == EMAIL


def _session() -> AdminSession:
    now = NOW_S * SECOND
    return AdminSession(id="s", email=EMAIL, generation=1, issued_at=now, expires_at=now + HOUR)


_HEADER = {"kid": key_id(SECRET)}
_CLAIMS: dict[str, Any] = {
    "role": "superadmin",
    "sub": EMAIL,
    "iat": NOW_S,
    "exp": NOW_S + 3600,
    "jti": "s",
}


def test_a_token_says_what_panels_know() -> None:
    """The claims of the service before, and a `jti`; read back they are the session's."""
    token = AdminTokens(SECRET).issue(_session(), AdminRole.SUPERADMIN)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", **_HEADER}
    assert jwt.decode(token, SECRET, algorithms=["HS256"]) == _CLAIMS
    read = AdminTokens(SECRET).read(token, NOW_S * SECOND)
    assert (read.email, read.session_id) == (EMAIL, "s")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(jwt.encode(_CLAIMS, "", algorithm="none", headers=_HEADER), id="none"),
        pytest.param(jwt.encode(_CLAIMS, SECRET, algorithm="HS512", headers=_HEADER), id="HS512"),
        pytest.param(jwt.encode(_CLAIMS, NEXT_SECRET, headers=_HEADER), id="another secret"),
        pytest.param(jwt.encode(_CLAIMS, SECRET), id="no kid"),
        pytest.param(jwt.encode(_CLAIMS, SECRET, headers={"kid": "x"}), id="an unknown kid"),
        *(
            pytest.param(
                jwt.encode(
                    {name: value for name, value in _CLAIMS.items() if name != missing},
                    SECRET,
                    headers=_HEADER,
                ),
                id=f"no {missing}",
            )
            for missing in _CLAIMS
        ),
        pytest.param(jwt.encode({**_CLAIMS, "exp": NOW_S}, SECRET, headers=_HEADER), id="over"),
        pytest.param("a.b.c", id="no JSON"),
        pytest.param("x" * 5_000, id="too long"),
        pytest.param("é", id="no ASCII"),
        pytest.param("", id="nothing"),
    ],
)
def test_d78_what_is_no_token_of_ours_is_refused(token: str) -> None:
    """D-78: the algorithm is pinned, `none` is none, and every claim must be there."""
    with pytest.raises(TokenRefused):
        AdminTokens(SECRET).read(token, NOW_S * SECOND)
