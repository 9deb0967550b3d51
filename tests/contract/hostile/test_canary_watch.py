"""The watch itself: it hears every disguise and every piece, and leaks that were put there."""

import base64
import json
import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiba_entry.cli import audit_export
from aiba_entry.cli import policy as policy_command
from tests.contract.hostile import leaks
from tests.contract.hostile.canaries import AWKWARD, CANARIES, TOLD, WATCH, heard
from tests.contract.hostile.operating import Operator
from tests.contract.hostile.stage import Life, Told, new_player
from tests.contract.process.support import Server, environment
from tests.support import admins
from tests.support.watch import PIECE, Watch, songs_of

ROOT: Final = Path(__file__).parents[3]
KEYS: Final = [name for name, secret in TOLD.items() if len(secret) == 64 and name.endswith("HEX")]
NAMES: Final = st.sampled_from(sorted(TOLD))
LEAKED: Final = frozenset(
    (
        ("log", "SESSION_SECRET_NEXT"),
        ("log", "TON_API_KEY"),
        ("log", "TELEGRAM_BOT_TOKEN_PREVIOUS"),
        ("printed", "TELEGRAM_BOT_TOKEN"),
        ("answers", "BATTLE_SEED_SECRET"),
        ("answers", "SESSION_SECRET"),
        ("/metrics", "METRICS_TOKEN"),
        ("/openapi.json", "DOCS_TOKEN"),
    )
)
"""Where `leaks` tells of which secret."""


@given(NAMES, st.data(), st.binary(max_size=40), st.binary(max_size=40))
def test_a_piece_is_heard_in_any_disguise(
    name: str, data: st.DataObject, before: bytes, after: bytes
) -> None:
    """Wherever it begins, whatever stands around it, in capitals or not."""
    song = data.draw(st.sampled_from([*songs_of(name, TOLD[name])]))
    start = data.draw(st.integers(0, len(song.text) - song.least))
    told = song.text[start : start + song.least]
    shown = data.draw(st.sampled_from((told, told.upper())))
    assert name in heard(before + shown + after)


@given(NAMES, st.data())
def test_less_than_a_piece_is_not_heard(name: str, data: st.DataObject) -> None:
    """So that whatever is heard is a secret's, and no other text's."""
    secret = TOLD[name]
    start = data.draw(st.integers(0, len(secret) - PIECE))
    assert (
        heard(f"\t{secret[start : start + PIECE - 1]}\t{secret[start + 1 : start + PIECE]}") == []
    )


@given(st.text(max_size=300))
@example("canary " * 50)
@example(AWKWARD * 10)
def test_what_is_none_is_not_heard(text: str) -> None:
    """Not in any text, nor in bytes that are none."""
    assert heard(text) == []


@pytest.mark.parametrize("name", sorted(TOLD))
def test_the_disguises_are_those_that_texts_and_machines_use(name: str) -> None:
    """By their own encoders, not by the watch's."""
    secret = TOLD[name]
    raw = secret.encode()
    for told in (
        secret,
        secret.swapcase(),
        secret[::-1],
        secret[5 : 5 + PIECE],
        repr(secret),
        repr([raw]),
        json.dumps({"text": f"é{secret}"}),
        quote(secret),
        quote_plus(secret),
        quote(secret, safe=""),
        raw.hex(),
        raw[3 : 3 + PIECE].hex(" ").replace(" ", "").upper(),
        *(base64.b64encode(f"{'u' * shift}:{secret}:".encode()).decode() for shift in range(3)),
        base64.urlsafe_b64encode(raw[1:]).decode(),
    ):
        assert name in heard(told), told
    if name in KEYS:
        key = bytes.fromhex(secret)
        for shown in (key, base64.b64encode(key), b"\x00" + key[7 : 7 + PIECE] + b"\x00"):
            assert name in heard(shown)


def test_nothing_too_short_is_watched() -> None:
    """A word of a few letters would be heard everywhere."""
    with pytest.raises(AssertionError, match="PIN"):
        Watch({"PIN": "12345678901"})


def test_leaks_of_a_service_are_heard_where_they_are_and_nowhere_else(tmp_path: Path) -> None:
    """In logs, tracebacks, a crash, output, answers, headers, metrics, the description, files."""
    told = Told()
    names = [name for name in CANARIES if not name.startswith(("MONGO", "REDIS", "ORACLE"))]
    environ = environment(
        tmp_path / "data",
        PYTHONPATH=str(ROOT),
        ADMIN_EMAIL=admins.EMAIL,
        **{name: CANARIES[name] for name in names},
    )
    server = Server(tmp_path / "data", environ, (sys.executable, leaks.__file__))
    try:
        life = Life(server.wait_until_ready(), told)
        with server.client() as http:
            player = new_player(http, 1)
            fight = {"requestId": "battle", "brokerId": player.broker_id}
            crashed = http.post("/api/battle/run", json=fight, headers=player.headers)
            assert told.answer(crashed).status_code == 500
            life.shows_pages(http)
        life.ends(code=1)
    finally:
        server.kill()
    assert told.found() == LEAKED
    files = WATCH.in_files([tmp_path / "data"])
    assert {(each.place, each.name) for each in files} == {
        ("core", "ADMIN_JWT_SECRET"),
        ("a file's name", "ADMIN_JWT_SECRET_NEXT"),
    }


def test_leaks_of_commands_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In what they print, in what they write, and in the traceback of one that fails."""
    environ = environment(tmp_path / "data")
    told = Told()
    operator = Operator(environ, tmp_path / "operator", told)

    def dumped(_policy: object) -> None:
        raise RuntimeError(f"can't print {CANARIES['REDIS_PASSWORD'][3:20]}")

    monkeypatch.setattr(policy_command, "_print", dumped)
    monkeypatch.setattr(audit_export, "FORMAT", CANARIES["ORACLE_PRIVATE_KEY_HEX"][10:40])
    operator.run("policy", "show", codes=(1,))
    operator.run("audit", "--export", str(tmp_path / "operator" / "ledger.jsonl"))
    assert told.found() == {("aiba policy", "REDIS_PASSWORD")}
    found = WATCH.in_files([tmp_path / "operator"])
    assert [(each.place, each.name) for each in found] == [
        ("ledger.jsonl", "ORACLE_PRIVATE_KEY_HEX")
    ]
