"""Admins for tests: settings with a cheap hash, and a panel that logs in over HTTP."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from aiba_entry.admin_settings import AdminSettings
from aiba_entry.passwords import hash_of
from tests.contract.game.support import Call, Game, data_of

EMAIL: Final = "root@game.example"
PASSWORD: Final = "the password of the first admin"
SECRET: Final = "admin-jwt-secret-of-the-tests-0123456789-and-some-more-for-sha-512"
CHEAP: Final = 4
"""The cost of hashes in tests: the least that bcrypt has."""

PASSWORD_HASH: Final = hash_of(PASSWORD, CHEAP)

ENVIRON: Final[Mapping[str, str]] = {
    # Production asks for hashes that take too long for tests.
    "APP_ENV": "test",
    "ADMIN_JWT_SECRET": SECRET,
    "ADMIN_EMAIL": EMAIL,
    "ADMIN_PASSWORD_HASH": PASSWORD_HASH,
}
"""What a game needs beside its own environment to have admins."""

SETTINGS: Final = AdminSettings(jwt_secret=SECRET, email=EMAIL, password_hash=PASSWORD_HASH)

Json = dict[str, Any]


def refusal_of(response: httpx.Response, status: int | None = None) -> str:
    """Return the code of a refusal, and check its status if one is given."""
    assert status in (None, response.status_code), response.text
    code: str = response.json()["error"]["code"]
    return code


class Panel:
    """An admin's panel: a game seen with a token."""

    def __init__(self, game: Game, email: str = EMAIL, password: str = PASSWORD) -> None:
        """Log in."""
        self.game = game
        self.email = email
        self.token = self.log_in(password)

    def log_in(self, password: str = PASSWORD) -> str:
        """Return a new token."""
        answer = self.game.post("/api/admin/auth/login", email=self.email, password=password)
        token: str = data_of(answer)["token"]
        return token

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what a call carries."""
        return {"Authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Make a call."""
        sent = {**self.headers, **headers}
        return self.game.send(Call(method=method, path=path, headers=sent, body=body))

    def get(self, path: str) -> httpx.Response:
        """Read something."""
        return self.call("GET", path)

    def post(self, path: str, /, **body: object) -> httpx.Response:
        """Post a body."""
        return self.call("POST", path, body)

    def patch(self, path: str, /, **body: object) -> httpx.Response:
        """Patch something."""
        return self.call("PATCH", path, body)

    def trail(self, query: str = "") -> list[Json]:
        """Return the audit trail, newest first."""
        items: list[Json] = data_of(self.get(f"/api/admin/audit?limit=200{query}"))["items"]
        return items

    def make(self, email: str, role: str, password: str = PASSWORD) -> "Panel":
        """Make an account and return its panel."""
        body = {"email": email, "role": role, "password": password}
        data_of(self.post("/api/admin/accounts", **body), 201)
        return Panel(self.game, email, password)
