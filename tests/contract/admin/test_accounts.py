"""Accounts of admins over HTTP: made, changed and ended by superadmins, each change on record."""

from tests.contract.game.support import Game, data_of
from tests.support.admins import EMAIL, PASSWORD, Panel, refusal_of

ACCOUNTS = "/api/admin/accounts"
OTHER = "ops@game.example"
NEW_PASSWORD = "another password, longer"


def test_an_account_lives_from_its_making_to_its_end(game: Game, root: Panel) -> None:
    """Another role, another password and a disabling count from the next request on."""
    ops = root.make(OTHER, "viewer")
    me = "/api/admin/auth/me"
    assert data_of(ops.get(me)) == {"email": OTHER, "role": "viewer"}
    assert refusal_of(ops.get(ACCOUNTS), 403) == "insufficient role"
    data_of(root.patch(f"{ACCOUNTS}/{OTHER}", role="superadmin"))
    assert data_of(ops.get(me))["role"] == "superadmin"

    data_of(root.post(f"{ACCOUNTS}/{OTHER.upper()}/password", password=NEW_PASSWORD))
    assert refusal_of(ops.get(me), 401) == "invalid admin token"
    answer = game.post("/api/admin/auth/login", email=OTHER, password=PASSWORD)
    assert refusal_of(answer, 401) == "invalid credentials"
    ops.token = ops.log_in(NEW_PASSWORD)

    data_of(root.patch(f"{ACCOUNTS}/{OTHER}", disabled=True))
    assert refusal_of(ops.get(me), 401) == "invalid admin token"
    answer = game.post("/api/admin/auth/login", email=OTHER, password=NEW_PASSWORD)
    assert refusal_of(answer, 401) == "invalid credentials"
    data_of(root.patch(f"{ACCOUNTS}/{OTHER}", disabled=False))
    assert refusal_of(ops.get(me), 401) == "invalid admin token", "the old token stays ended"
    ops.token = ops.log_in(NEW_PASSWORD)
    assert data_of(ops.get(me))["email"] == OTHER

    changed = [row for row in reversed(root.trail()) if row["adminEmail"] == EMAIL]
    told = [(row["action"], change) for row in changed[1:] for change in row["changes"]]
    assert [action for action, _ in told] == [
        "admin.add",
        "admin.change",
        "admin.reset_password",
        "admin.change",
        "admin.change",
    ]
    assert {change["subject"] for _, change in told} == {f"admin:{OTHER}"}
    role = told[1][1]
    assert (role["before"]["role"], role["after"]["role"]) == ("viewer", "superadmin")
    assert "$2" not in root.get("/api/admin/audit?limit=200").text, "no hash is on record"
    assert "$2" not in root.get(ACCOUNTS).text, "D-58: nor shown to anybody"


def test_what_makes_no_account_is_refused_by_its_field(root: Panel) -> None:
    """Emails, roles and passwords are judged, and an account is made once."""
    good = {"email": OTHER, "role": "viewer", "password": PASSWORD}
    for field, value in (
        ("email", "nobody"),
        ("role", "owner"),
        ("password", "too short"),
        ("password", "ü" * 40),
    ):
        answer = root.post(ACCOUNTS, **{**good, field: value})
        assert refusal_of(answer, 400) == "validation_error"
        assert set(answer.json()["error"]["details"]) == {field}
    data_of(root.post(ACCOUNTS, **good), 201)
    for email in (OTHER, OTHER.upper(), EMAIL):
        answer = root.post(ACCOUNTS, **{**good, "email": email})
        assert refusal_of(answer, 409) == "admin already exists"


def test_nobody_locks_everybody_out(root: Panel) -> None:
    """The environment's account can't be changed here, nor the one that is calling."""
    second = root.make(OTHER, "superadmin")
    assert refusal_of(second.patch(f"{ACCOUNTS}/{OTHER}", disabled=True), 403) == "own account"
    assert refusal_of(second.patch(f"{ACCOUNTS}/{OTHER}", role="viewer"), 403) == "own account"
    for answer in (
        second.patch(f"{ACCOUNTS}/{EMAIL}", disabled=True),
        second.post(f"{ACCOUNTS}/{EMAIL}/password", password=NEW_PASSWORD),
    ):
        assert refusal_of(answer, 403) == "environment account"
    assert refusal_of(second.patch(f"{ACCOUNTS}/x@y", role="viewer"), 404) == "admin not found"
    answer = second.patch(f"{ACCOUNTS}/{EMAIL}")
    assert refusal_of(answer, 400) == "no valid fields to update"
    emails = [(each["email"], each["origin"]) for each in data_of(second.get(ACCOUNTS))]
    assert emails == [(OTHER, "store"), (EMAIL, "environment")]
