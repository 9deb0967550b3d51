"""Who is calling."""

from typing import Any

import pytest

from aiba_entry.http.auth import Authenticator
from tests.contract.http.support import BROKER, NOW_S, Api, error_of, init_data

BODY = {"brokerId": BROKER}


@pytest.fixture(name="api")
def _api() -> Api:
    return Api()


@pytest.fixture(name="dev_environ")
def _dev_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("var")
    return {"APP_ENV": "dev", "AIBA_DATA_DIR": str(folder), "AIBA_DEV_HEADER_AUTH": "1"}


def call(api: Api, **headers: str) -> Any:  # noqa: ANN401 - decoded JSON
    """Return the player that a call with these headers is from, or its error."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = api.call("POST", "/api/game/run", headers=sent, body=BODY)
    if response.status_code == 200:
        return response.json()["data"]["player"]
    assert response.status_code == 401
    return error_of(response)


def test_session_token_names_its_player(api: Api) -> None:
    """A session's token is enough, with the scheme in any case."""
    assert call(api, Authorization=f"Bearer {api.token('77')}") == "77"
    assert call(api, Authorization=f"bearer {api.token('77')}") == "77"


def test_launch_data_in_the_header_names_its_player(api: Api) -> None:
    """Today's clients send their launch data with every call."""
    assert call(api, X_Telegram_Init_Data=init_data(4711)) == "4711"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "telegram auth required"),
        ({"X-Telegram-Init-Data": ""}, "telegram auth required"),
        ({"X-Telegram-Init-Data": "hash=1"}, "telegram auth failed"),
        ({"X-Telegram-Init-Data": init_data() + "0"}, "telegram auth failed"),
        ({"Authorization": "Bearer nope"}, "telegram auth failed"),
        ({"Authorization": "Bearer "}, "telegram auth failed"),
        ({"Authorization": "Basic eDp5"}, "telegram auth failed"),
        ({"Authorization": "Bearer nope", "X-Telegram-Init-Data": init_data()}, None),
    ],
)
def test_unproven_callers_are_401_with_a_reason(
    api: Api, headers: dict[str, str], code: str | None
) -> None:
    """Each way of not proving who calls has its code, and details say what was wrong."""
    response = api.call("POST", "/api/game/run", headers=headers, body=BODY)
    assert response.status_code == 401
    error = error_of(response)
    assert error["code"] == (code or "telegram auth failed")
    assert error["details"]["reason"]


def test_401_comes_before_any_look_at_the_body(api: Api) -> None:
    """A caller who isn't known learns nothing about fields."""
    assert error_of(api.call("POST", "/api/game/run", content=b"{"))["code"] == (
        "telegram auth required"
    )


def test_d27_launch_data_ages_also_when_it_was_seen_before(api: Api) -> None:
    """Launch data verified once is still refused after its age, and so is a session's token."""
    launch, token = init_data(), api.token(lives_ms=900_000)
    assert call(api, X_Telegram_Init_Data=launch) == "42"
    api.now_ms = (NOW_S + 900) * 1000
    assert call(api, X_Telegram_Init_Data=launch) == "42"
    assert call(api, Authorization=f"Bearer {token}")["code"] == "telegram auth expired"
    api.now_ms += 1000
    assert call(api, X_Telegram_Init_Data=launch)["code"] == "telegram auth expired"


def test_d27_a_session_outlives_its_launch(api: Api) -> None:
    """A token works after the launch data it was exchanged for has aged."""
    token = api.token(lives_ms=3_600_000)
    api.now_ms += 3_000_000
    assert call(api, Authorization=f"Bearer {token}") == "42"


def test_d29_launch_data_of_the_future_is_refused(api: Api) -> None:
    """A launch dated ahead of our clock doesn't live longer for it."""
    assert call(api, X_Telegram_Init_Data=init_data(at_s=NOW_S + 61))["code"] == (
        "telegram auth failed"
    )


def test_d29_launch_data_in_the_body_proves_nothing(api: Api) -> None:
    """A body can't say who is calling."""
    response = api.call("POST", "/api/game/run", body=BODY | {"initData": init_data()})
    assert response.status_code == 401


def test_d20_header_identity_is_off_unless_switched_on(
    api: Api, dev_environ: dict[str, str]
) -> None:
    """Naming oneself in a header works nowhere by default, not even in dev."""
    assert call(api, X_Telegram_Id="1")["code"] == "telegram auth required"
    quiet = Api(dev_environ | {"AIBA_DEV_HEADER_AUTH": ""})
    assert call(quiet, X_Telegram_Id="1")["code"] == "telegram auth required"


def test_d20_header_identity_serves_a_developer(dev_environ: dict[str, str]) -> None:
    """With both switches a developer names the player, and in dev has one by default."""
    dev = Api(dev_environ)
    assert call(dev, X_Telegram_Id="player-1") == "player-1"
    assert call(dev) == "local-dev"
    assert call(dev, X_Telegram_Id="no spaces")["details"] == {"x-telegram-id": "pattern"}
    test = Api(dev_environ | {"APP_ENV": "test"})
    assert call(test)["details"] == {"x-telegram-id": "required"}


def test_verified_launches_are_kept_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many launches come, only a bounded number is remembered."""
    monkeypatch.setattr("aiba_entry.http.auth._CACHED", 8)
    api = Api()
    auth: Authenticator = api.gate.auth
    for player in range(1, 50):
        assert auth.identity(init_data(player)).player_id == str(player)
    assert len(auth._verified) == 8
