"""The audit trail over HTTP: every act once, searched by plain texts, without a secret."""

import sqlite3
from contextlib import closing
from urllib.parse import quote

import pytest

from aiba_domain.application import pipeline
from aiba_domain.application.admin_records import AdminRecords
from aiba_domain.application.upkeep import rotate_seed
from aiba_domain.moderation.commands import BanPlayer
from aiba_entry.cli.session import OPERATOR
from tests.contract.admin.conftest import MakeGame
from tests.contract.game.support import Game, data_of
from tests.support.admins import EMAIL, PASSWORD, Panel, refusal_of
from tests.support.stores import STORES

AUDIT = "/api/admin/audit"
ACCOUNTS = "/api/admin/accounts"


@pytest.mark.parametrize("kind", STORES)
def test_d60_an_act_is_one_row_with_all_that_it_came_with(make_game: MakeGame, kind: str) -> None:
    """D-60: one row an act, written with its effect; refused acts too; no secret at any depth."""
    root = Panel(make_game(kind))
    body = {"email": "ops@game.example", "role": "viewer", "password": PASSWORD}
    answer = root.call("POST", f"{ACCOUNTS}?token=canary-1&note=seen", body)
    request_id = answer.headers["x-request-id"]
    refused = root.call("POST", ACCOUNTS, body)
    assert refusal_of(refused, 409) == "admin already exists"
    rows = [row for row in root.trail() if row["action"] == "admin.add"]
    assert [(row["outcome"], row["status"]) for row in rows] == [
        ("admin already exists", 409),
        ("done", 200),
    ]
    done = rows[1]
    assert done["requestId"] == request_id
    assert (done["method"], done["path"], done["ip"]) == ("POST", ACCOUNTS, "192.0.2.1")
    assert (done["adminEmail"], done["adminRole"]) == (EMAIL, "superadmin")
    assert done["query"] == {"token": "[redacted]", "note": "seen"}
    assert done["body"] == {**body, "password": "[redacted]"}
    assert done["changes"][0]["before"] is None
    assert done["changes"][0]["after"]["email"] == "ops@game.example"
    assert PASSWORD not in root.get(AUDIT).text
    assert "canary-1" not in root.get(AUDIT).text


def test_d60_filters_are_plain_texts(game: Game, root: Panel) -> None:
    """D-60: parts in any case; what looks like a pattern is a text, and can't be slow."""
    root.make("a.b@game.example", "viewer")

    def found(query: str) -> list[str]:
        return [row["adminEmail"] for row in root.trail(f"&{query}")]

    assert found("adminEmail=A.B%40") == ["a.b@game.example"]
    assert found("adminEmail=a%2Bb") == []
    for pattern in (".*", "(a+)+$", "[", "$where", "%"):
        assert found(f"adminEmail={quote(pattern)}") == []
    assert found(f"path={quote('/ACCOUNTS')}") == [EMAIL]
    now = game.clock.now()
    assert found(f"from={now + 1}") == []
    assert len(found(f"from={now}&to={now}")) == 4 - 1
    assert len(found("to=2099-01-01T00:00:00Z&from=2000-01-01")) == 3
    assert refusal_of(root.get(f"{AUDIT}?from=yesterday"), 400) == "validation_error"
    for query in ("limit=0", "limit=201", "offset=-1", "offset=10001"):
        assert refusal_of(root.get(f"{AUDIT}?{query}"), 400) == "validation_error"


def test_d60_pages_tell_the_total(root: Panel) -> None:
    """D-60: a page has what was asked for, and how many there are in all."""
    for _ in range(2):
        Panel(root.game)
    page = data_of(root.get(f"{AUDIT}?limit=2&offset=1"))
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 1)
    assert [row["_id"] for row in page["items"]] == ["2", "1"]


def test_an_admins_repeated_act_is_one_row(game: Game) -> None:
    """The CLI's changes are on record too where they say what they changed; reads never are."""
    root = Panel(game)
    for path in ("/api/admin/auth/me", ACCOUNTS, AUDIT):
        data_of(root.get(path))
    assert len(root.trail()) == 1
    game.operate(BanPlayer(player_id="42", minutes=5, reason="a reason"))
    first, *_ = root.trail()
    assert (first["adminEmail"], first["action"]) == ("operator", "moderation.ban_player")
    parts = game.container.pipeline(), game.store, game.seeds
    game.run(rotate_seed(*parts))
    assert root.trail()[0] == first, "what the service does by itself is no admin's act"
    game.run(rotate_seed(*parts, OPERATOR))
    rotated, *_ = root.trail()
    assert (rotated["adminEmail"], rotated["action"]) == ("cli", "fairness.rotate")
    (change,) = rotated["changes"]
    assert (change["before"]["number"], change["after"]["number"]) == (2, 3)


def test_a_changed_row_is_refused_and_found(game: Game, root: Panel) -> None:
    """SQLite refuses to change or delete a row; what was changed past it breaks the seals."""
    for _ in range(2):
        Panel(root.game)
    records: AdminRecords = game.container.admin_records()
    assert game.run(records.verify_trail()).broken is None
    database = game.settings.data_dir / "arena.db"
    with closing(sqlite3.connect(database)) as connection:
        for statement in ("UPDATE audit SET email = ''", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        connection.execute("DROP TRIGGER audit_stays")
        connection.execute(
            "UPDATE audit SET body = replace(body, '192.0.2.1', '192.0.2.9') WHERE number = 2"
        )
        connection.commit()
    found = game.run(records.verify_trail())
    assert (found.broken, found.rows) == (2, 1)


def test_what_can_not_be_put_on_record_does_not_happen(
    root: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is in the unit of work of its effect: both or neither."""

    def broken(*_args: object) -> object:
        raise RuntimeError("no row")

    body = {"email": "ops@game.example", "role": "viewer", "password": PASSWORD}
    monkeypatch.setattr(pipeline, "row_of", broken)
    assert root.post(ACCOUNTS, **body).status_code == 500
    assert (
        root.game.post("/api/admin/auth/login", email=EMAIL, password=PASSWORD).status_code == 500
    )
    monkeypatch.undo()
    assert [each["email"] for each in data_of(root.get(ACCOUNTS))] == [EMAIL]
    assert len(root.trail()) == 1
