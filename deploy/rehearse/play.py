"""What a player does in a rehearsal: play.py URL SECRETS WHAT, which is one of these.

`battle` plays one as a new player; `keep` opens a session, `kept` uses it later, and `gone` sees it
refused; `drain COMMAND...` holds a request half sent while COMMAND stops the service: it must be
answered.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiba_adapters.telegram import sign

url, secrets, what, *words = sys.argv[1:]
KEPT = Path(tempfile.gettempdir(), "kept-session")
host, port = url.removeprefix("http://").split(":")


def call(method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
    """Call the service and return the data of its answer."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


def session(number: int) -> str:
    """Return the token of a player."""
    bot_token = Path(secrets, "telegram-bot-token").read_text(encoding="utf-8").strip()
    user = json.dumps({"id": number, "first_name": "Rehearsal"})
    init_data = sign({"auth_date": str(int(time.time())), "user": user}, bot_token)
    token: str = call("POST", "/api/auth/session", {"initData": init_data})["token"]
    return token


def battle() -> None:
    """Play a battle as a new player."""
    number = time.time_ns() % 10**9 + 1
    token = session(number)
    starter = call("POST", "/api/brokers/starter", {"requestId": f"starter-{number}"}, token)
    modes = call("GET", "/api/game-modes", token=token)
    for mode in modes:
        body = {"requestId": f"battle-{number}-{mode['key']}", "brokerId": starter["_id"]}
        try:
            call("POST", "/api/battle/run", {**body, "modeKey": mode["key"]}, token)
        except urllib.error.HTTPError as refused:
            # Another mode asks for more than a new player has.
            if refused.code != HTTPStatus.FORBIDDEN:
                raise
        else:
            print("a battle of", mode["key"])
            return
    raise SystemExit("a new player can't play")


def keep() -> None:
    """Open a session and keep its token."""
    KEPT.write_text(session(3), encoding="utf-8")


def kept() -> None:
    """Use the session that was kept."""
    call("GET", "/api/economy/me", token=KEPT.read_text(encoding="utf-8"))


def gone() -> None:
    """See that the session is worth nothing any more."""
    try:
        kept()
    except urllib.error.HTTPError as refused:
        if refused.code == HTTPStatus.UNAUTHORIZED:
            return
        raise
    raise SystemExit("the session is good still")


def drain() -> None:
    """Send half a request, stop the service, send the rest, and see it answered."""
    token = session(2)
    with socket.create_connection((host, int(port)), timeout=30) as line:
        body = json.dumps({"requestId": "drained"}).encode()
        line.sendall(
            b"POST /api/brokers/starter HTTP/1.1\r\nHost: rehearsal\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (token.encode(), len(body), body[:5])
        )
        time.sleep(0.5)
        subprocess.run(words, check=True)
        while True:
            try:
                socket.create_connection((host, int(port)), timeout=5).close()
                time.sleep(0.05)
            except OSError:
                break
        line.sendall(body[5:])
        answer = line.recv(65536)
        assert answer.startswith(b"HTTP/1.1 201"), answer
    print("answered while it drained, and nobody new was let in")


{"battle": battle, "keep": keep, "kept": kept, "gone": gone, "drain": drain}[what]()
