"""Logins of admins: right and wrong ones look alike, too many are refused, all are on record."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from aiba_domain.administration import lockout
from aiba_domain.administration.account_commands import AllowAddress
from aiba_domain.administration.model import Request
from aiba_domain.errors import DomainError
from aiba_entry import passwords
from aiba_entry.container import Container
from aiba_entry.http.admin import login
from aiba_entry.http.errors import ApiError
from aiba_entry.metering import make_metrics
from tests.contract.admin.conftest import MakeGame
from tests.contract.game.support import Call, Game, data_of
from tests.support.admins import CHEAP, EMAIL, PASSWORD, Panel, refusal_of
from tests.support.stores import STORES

WRONG = "not the password of the admin"


@pytest.fixture(name="compared")
def _compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the hashes that passwords are compared with, as they are."""
    found: list[str] = []

    def counted(password: str, password_hash: str) -> bool:
        found.append(password_hash)
        return real(password, password_hash)

    real = passwords.matches
    monkeypatch.setattr(passwords, "matches", counted)
    return found


def attempt(game: Game, email: str, password: str, **headers: str) -> Any:  # noqa: ANN401
    """Try to log in."""
    return game.send(
        Call(
            method="POST",
            path="/api/admin/auth/login",
            headers=headers,
            body={"email": email, "password": password},
        )
    )


def test_the_environments_admin_logs_in_and_is_known(game: Game, root: Panel) -> None:
    """The token says who is calling, in either header; the email's case doesn't matter."""
    me = data_of(root.get("/api/admin/auth/me"))
    assert me == {"email": EMAIL, "role": "superadmin"}
    token = data_of(attempt(game, f" {EMAIL.upper()} ", PASSWORD))["token"]
    other = Call(method="GET", path="/api/admin/auth/me", headers={"x-admin-token": token})
    assert data_of(game.send(other)) == me


def test_without_settings_both_texts_are_as_known(make_game: MakeGame) -> None:
    """A service without admins says so at the login and at every guarded route."""
    game = make_game(ADMIN_JWT_SECRET="", ADMIN_EMAIL="", ADMIN_PASSWORD_HASH="")
    assert refusal_of(attempt(game, EMAIL, PASSWORD), 500) == "admin auth not configured"
    guarded = Call(method="GET", path="/api/admin/auth/me", headers={"Authorization": "Bearer x"})
    assert refusal_of(game.send(guarded), 500) == "ADMIN_JWT_SECRET not configured"


def test_a_wrong_email_costs_what_a_wrong_password_costs(
    game: Game, root: Panel, compared: list[str]
) -> None:
    """D-24, D-28: one comparison of one cost, for whatever is wrong with a login."""
    viewer = root.make("viewer@game.example", "viewer")
    data_of(root.patch(f"/api/admin/accounts/{viewer.email}", disabled=True))
    compared.clear()
    for email in (EMAIL, viewer.email, "nobody@game.example"):
        assert refusal_of(attempt(game, email, WRONG), 401) == "invalid credentials"
    assert refusal_of(attempt(game, viewer.email, PASSWORD), 401) == "invalid credentials"
    assert [passwords.cost_of(each) for each in compared] == [CHEAP] * 4
    assert len(set(compared)) == 2, "a disabled account is compared with nobody's hash"


def test_accounts_with_hashes_of_another_cost_take_no_time_of_their_own(
    game: Game, root: Panel, compared: list[str]
) -> None:
    """D-28: who was given a password before the cost was raised, or lowered, can't be told so."""
    viewer = root.make("viewer@game.example", "viewer")
    account = game.read(lambda read: read.admin_account(viewer.email))
    assert account is not None
    dear = replace(account, email="dear@game.example")
    game.put(replace(dear, password_hash=passwords.hash_of(PASSWORD, CHEAP + 2)))
    took = []
    for email in ("dear@game.example", viewer.email, EMAIL, "nobody@game.example"):
        compared.clear()
        refusal_of(attempt(game, email, WRONG), 401)
        took.append(sum(2 ** passwords.cost_of(each) for each in compared))
    assert took == [2 ** (CHEAP + 2)] * 4


def test_d24_an_account_that_is_tried_too_often_is_locked_for_a_while(
    game: Game, compared: list[str]
) -> None:
    """D-24: after five attempts the right password doesn't help, and costs as much as before."""
    for _ in range(lockout.AT_ONE_ADDRESS):
        assert refusal_of(attempt(game, EMAIL, WRONG), 401) == "invalid credentials"
    compared.clear()
    locked = attempt(game, EMAIL, PASSWORD)
    assert refusal_of(locked, 429) == "rate_limited"
    assert int(locked.headers["retry-after"]) * 1000 <= lockout.WINDOW_MS
    assert [passwords.cost_of(each) for each in compared] == [CHEAP]
    game.clock.advance(lockout.WINDOW_MS)
    assert data_of(attempt(game, EMAIL, PASSWORD))["token"]


def test_d24_a_written_forwarded_address_is_no_other_address(game: Game) -> None:
    """D-24: without a trusted proxy, `X-Forwarded-For` is the caller's own text."""
    codes = [
        refusal_of(attempt(game, EMAIL, WRONG, **{"X-Forwarded-For": f"203.0.113.{number}"}))
        for number in range(lockout.AT_ONE_ADDRESS + 1)
    ]
    assert codes == ["invalid credentials"] * lockout.AT_ONE_ADDRESS + ["rate_limited"]


def test_d24_behind_a_trusted_proxy_the_account_is_counted_over_all_addresses(
    make_game: MakeGame,
) -> None:
    """D-24: many addresses have a few attempts at an account together, whoever owns them."""
    game = make_game(TRUSTED_PROXIES="192.0.2.1")

    def from_address(number: int, password: str) -> str | None:
        headers = {"X-Forwarded-For": f"spoofed, 203.0.113.{number}"}
        answer = attempt(game, EMAIL, password, **headers)
        return None if answer.status_code == 200 else refusal_of(answer)

    assert from_address(0, PASSWORD) is None
    tried = [from_address(number, WRONG) for number in range(1, lockout.AT_ONE_ACCOUNT + 2)]
    assert tried == ["invalid credentials"] * lockout.AT_ONE_ACCOUNT + ["rate_limited"]
    assert from_address(99, PASSWORD) == "rate_limited"
    assert from_address(0, PASSWORD) is None, "its owner's own address isn't locked by strangers"


def test_an_address_that_tries_many_accounts_is_turned_away(
    game: Game, compared: list[str]
) -> None:
    """D-24, D-26: it costs no comparison any more, and is on record once."""
    emails = [f"admin{number}@game.example" for number in range(login.BY_ADDRESS + 5)]
    codes = [refusal_of(attempt(game, email, WRONG)) for email in emails]
    assert codes == ["invalid credentials"] * login.BY_ADDRESS + ["rate_limited"] * 5
    assert len(compared) == login.BY_ADDRESS
    game.clock.advance(lockout.WINDOW_MS)
    noted = [row for row in Panel(game).trail() if row["outcome"] == "rate_limited"]
    assert [row["adminEmail"] for row in noted] == [emails[login.BY_ADDRESS]]


def test_d60_every_login_is_on_record_without_its_password(game: Game) -> None:
    """D-60: right and wrong ones, each once, with who tried, from where and what came of it."""
    attempt(game, "Nobody@game.example", WRONG)
    attempt(game, EMAIL, WRONG)
    root = Panel(game)
    rows = list(reversed(root.trail()))
    assert [(row["adminEmail"], row["action"], row["outcome"], row["status"]) for row in rows] == [
        ("nobody@game.example", "admin.log_in", "invalid credentials", 401),
        (EMAIL, "admin.log_in", "invalid credentials", 401),
        (EMAIL, "admin.log_in", "done", 200),
    ]
    assert {row["ip"] for row in rows} == {"192.0.2.1"}
    assert {row["path"] for row in rows} == {"/api/admin/auth/login"}
    assert all(row["requestId"] for row in rows)
    text = root.get("/api/admin/audit").text
    assert WRONG not in text
    assert PASSWORD not in text


def test_what_is_no_email_is_not_put_on_record(game: Game) -> None:
    """It may be a password, or a database's URI, that was pasted into the wrong field."""
    uri = "mongodb://aiba:a-word-of-the-database@db1,db2/aiba"
    for email in (PASSWORD, uri):
        assert refusal_of(attempt(game, email, WRONG), 401) == "invalid credentials"
    text = Panel(game).get("/api/admin/audit").text
    assert text.count('"adminEmail":"-"') == 2
    assert PASSWORD not in text
    assert "a-word-of" not in text


def test_the_service_answers_while_passwords_are_compared(
    game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison that takes for ever is in a thread of its own: other requests go on."""
    may_end = threading.Event()

    def slow(_password: str, _hash: str) -> bool:
        return may_end.wait(60)

    monkeypatch.setattr(passwords, "matches", slow)
    call = game.posting("/api/admin/auth/login", email=EMAIL, password=WRONG)

    async def both() -> tuple[int, int]:
        waiting = asyncio.create_task(game._send(call))
        answered = await game._send(Call(method="GET", path="/health"))
        may_end.set()
        return answered.status_code, (await waiting).status_code

    assert game.run(both()) == (200, 200)


@pytest.mark.parametrize("kind", STORES)
def test_processes_count_logins_together_and_so_does_the_next_start(
    make_game: MakeGame, kind: str
) -> None:
    """D-24: whoever is locked out is locked out by all, without Redis and after a restart too."""
    game = make_game(kind)
    desks = []
    for _ in range(2):
        container = Container(settings=game.settings, store=game.store)
        container.clock.override(game.clock)
        container.seeds.override(game.seeds)
        container.metrics.override(make_metrics(()))
        desk = container.admins().login
        assert desk is not None
        desks.append(desk)
    came = Request(id="r", method="POST", path="/", address="192.0.2.1")
    codes = []
    for number in range(lockout.AT_ONE_ADDRESS + 2):
        with pytest.raises((DomainError, ApiError)) as refused:
            game.run(desks[number % 2].log_in(EMAIL, WRONG, came))
        codes.append(str(refused.value))
    assert codes == ["invalid credentials"] * lockout.AT_ONE_ADDRESS + ["rate_limited"] * 2
    assert refusal_of(attempt(game, EMAIL, PASSWORD), 429) == "rate_limited"


def test_what_is_refused_for_being_too_often_keeps_nobody_out_for_longer(game: Game) -> None:
    """Only passwords that were tried count: who goes on knocking doesn't turn the window on."""
    for _ in range(lockout.AT_ONE_ADDRESS):
        assert refusal_of(attempt(game, EMAIL, WRONG), 401) == "invalid credentials"
    game.clock.advance(lockout.WINDOW_MS - 1)
    for _ in range(3):
        answer = attempt(game, EMAIL, PASSWORD)
        assert refusal_of(answer, 429) == "rate_limited"
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["details"] == {"retryAfterSec": 1}
    game.clock.advance(1)
    assert data_of(attempt(game, EMAIL, PASSWORD))["token"]


def test_a_flood_of_logins_is_refused_and_stops_nothing_else(game: Game) -> None:
    """Few passwords are compared at once; what doesn't fit is told to come again."""

    async def flood() -> list[BaseException | bool]:
        desk = passwords.Passwords(at_once=1, waiting=2)
        hashed = passwords.dummy_hash(CHEAP)
        try:
            return await asyncio.gather(
                *(desk.match(WRONG, hashed) for _ in range(5)), return_exceptions=True
            )
        finally:
            desk.close()

    found = [type(each).__name__ for each in game.run(flood())]
    assert found == ["bool"] * 3 + ["Unavailable"] * 2


def test_a_flood_of_strangers_does_not_keep_an_owner_out(
    game: Game, root: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-24: who comes from where the account is known is compared in a thread apart."""
    may_end = threading.Event()
    real = passwords.matches

    def slow(password: str, hashed: str) -> bool:
        return may_end.wait(60) if password == WRONG else real(password, hashed)

    monkeypatch.setattr(passwords, "matches", slow)
    strangers = [
        game.posting("/api/admin/auth/login", email=f"nobody{number}@x.example", password=WRONG)
        for number in range(4)
    ]
    owner = game.posting("/api/admin/auth/login", email=root.email, password=PASSWORD)

    async def all_of_them() -> tuple[int, list[int]]:
        waiting = [asyncio.create_task(game._send(call)) for call in strangers]
        answered = await game._send(owner)
        may_end.set()
        return answered.status_code, [(await each).status_code for each in waiting]

    assert game.run(all_of_them()) == (200, [401] * 4)


def test_an_allowed_address_gets_in_while_strangers_go_on(make_game: MakeGame) -> None:
    """D-24: an owner at a new address isn't locked out for ever by whoever goes on guessing."""
    game = make_game(TRUSTED_PROXIES="192.0.2.1")

    def from_address(last: int, password: str) -> int:
        answer = attempt(game, EMAIL, password, **{"X-Forwarded-For": f"203.0.113.{last}"})
        status: int = answer.status_code
        return status

    for number in range(lockout.AT_ONE_ACCOUNT):
        assert from_address(100 + number, WRONG) == 401
    assert from_address(7, PASSWORD) == 429
    credential = game.settings.admin.credential if game.settings.admin else None
    game.operate(AllowAddress(email=EMAIL, address="203.0.113.7", credential=credential))
    assert from_address(7, PASSWORD) == 200
    assert from_address(8, PASSWORD) == 429
