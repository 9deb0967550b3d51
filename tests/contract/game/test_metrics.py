"""No caller adds a series: whatever is asked for, each label keeps to its closed set."""

import string
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from aiba_domain.battle.modes import ARENAS, LEAGUE_LEVELS
from aiba_entry import edge_settings
from aiba_entry.http.admin.login import BY_ADDRESS
from aiba_entry.metering import SYSTEM_ARENAS
from aiba_entry.observability import UNMATCHED
from aiba_entry.series import OTHER
from aiba_entry.service_metrics import LIMITS
from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import Call, Game
from tests.support import admins
from tests.support.exported import exported

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WORDS = st.text(string.ascii_letters + string.digits + "-_.~", min_size=1, max_size=12)
FREE = frozenset({"le", "version", "python", "status_code"})
"""The labels that callers have no hand in: bounds, the build, and the server's own statuses."""


def labels(game: Game) -> Iterator[tuple[str, str, str]]:
    """Give every label of every series with its value."""
    for family in text_string_to_metric_families(game.get("/metrics").text):
        for sample in family.samples:
            for label, value in sample.labels.items():
                yield sample.name, label, value


def closed(game: Game) -> dict[str, frozenset[str]]:
    """Return the labels whose values are of the game itself: its routes and its modes."""
    app = game.app.app
    assert isinstance(app, Litestar)
    modes = game.read(lambda read: read.modes())
    return {
        "path": frozenset({UNMATCHED, *(route.path_format for route in app.routes)}),
        "mode_key": frozenset({OTHER, *(mode.key for mode in modes)}),
        "arena": frozenset({OTHER, *ARENAS, *SYSTEM_ARENAS}),
        "league": frozenset({OTHER, "global", *LEAGUE_LEVELS}),
    }


@st.composite
def requests(draw: st.DrawFn) -> Call:
    """Draw a request of any method and path, with ids and texts that nobody knows."""
    places = ("/api/battle/run", "/api/battles/{}", "/api/brokers/{}", "/api/{}/{}", "/{}")
    path = draw(st.sampled_from(places))
    while "{}" in path:
        path = path.replace("{}", draw(WORDS), 1)
    method = draw(
        st.sampled_from(METHODS) | st.text(string.ascii_uppercase, min_size=3, max_size=9)
    )
    return Call(method=method, path=path, headers={"x-request-id": draw(WORDS)})


def test_d64_no_request_adds_a_series_beyond_the_closed_sets(make_game: MakeGame) -> None:
    """Random paths, methods, modes, arenas and leagues, of players and strangers.

    The service before had the raw path in a label, and the caller's text where a battle failed.
    """
    game = make_game("memory", RATE_LIMIT_PER_MINUTE="1000000", BATTLE_RATE_LIMIT_PER_MINUTE="40")
    player, broker = game.fighter()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(call=requests(), mode=WORDS, arena=WORDS, league=WORDS, key=WORDS)
    def play(call: Call, mode: str, arena: str, league: str, key: str) -> None:
        game.send(call)
        game.fight(player, broker, key, modeKey=mode, arena=arena, league=league)
        game.fight(player, broker, key)

    play()
    own, known = closed(game), exported()
    for name, label, value in labels(game):
        if label not in FREE:
            assert value in own.get(label, known[name].get(label, frozenset())), (name, label)


def test_every_limit_counts_under_its_name(make_game: MakeGame) -> None:
    """Those of the edge and those of an admin's login, where somebody tries too often."""
    game = make_game("memory", **admins.ENVIRON)
    player, broker = game.fighter()
    game.fight(player, broker, "k")
    for number in range(BY_ADDRESS + 2):
        login = {"email": admins.EMAIL, "password": f"wrong password {number}"}
        game.post("/api/admin/auth/login", **login)
    hit = {value for name, label, value in labels(game) if label == "limit"}
    assert {name for name in LIMITS if name.startswith("admin-")} <= hit
    assert {"global", "battle", "session"} <= hit
    assert OTHER not in hit
    assert set(edge_settings.LIMITS) <= LIMITS
