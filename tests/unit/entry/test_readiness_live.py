"""What the doctor finds by asking: each of it is brought up once, and nothing where all is well."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aiba_adapters import mongo
from aiba_adapters.mongo import Unfit
from aiba_adapters.signing.local import oracle_key
from aiba_domain.ports import Unavailable
from aiba_entry import disks
from aiba_entry.readiness import live
from aiba_entry.readiness.findings import Finding
from aiba_entry.readiness.judgment import examine
from aiba_entry.stores import DATABASE
from tests.support.ready import KEY, LIVE, LOCAL_KEY, READY, SIGNER, VAULT
from tests.support.redis import RedisServer

DEAD = "127.0.0.1:1"
NO_MONGO = {"MONGO_URI": "", "REDIS_URL": ""}
ALONE = {**NO_MONGO, **dict.fromkeys({**VAULT, **SIGNER}, "")}
URI = f"mongodb://aiba:mongo-word@{DEAD}/aiba"


def asked(folder: Path, changes: Mapping[str, str]) -> list[Finding]:
    """Ask everything of an environment in test's rules; no finding shows a secret."""
    environ = {**READY, "APP_ENV": "test", "AIBA_DATA_DIR": str(folder), **changes}
    _, settings = examine(environ)
    assert settings is not None
    found = asyncio.run(live.look(settings))
    assert not any(secret in finding.text for finding in found for secret in settings.secrets)
    return found


def believes(monkeypatch: pytest.MonkeyPatch, key: bytes) -> None:
    """Let the vault say which key it believes."""

    async def answer(_ton: object) -> bytes:
        return key

    monkeypatch.setattr(live, "_ask_vault", answer)


def has_members(monkeypatch: pytest.MonkeyPatch, hosts: int) -> None:
    """Let the database be fit, with so many members."""

    class Fit:
        async def check(self) -> None:
            """Be well."""

        async def close(self) -> None:
            """Be done."""

    async def fit(_uri: str) -> Fit:
        return Fit()

    async def count(_connect: object, _uri: str) -> int:
        return hosts

    monkeypatch.setattr(mongo, "open_store", fit)
    monkeypatch.setattr(live, "_members", count)


class _Signer(BaseHTTPRequestHandler):
    status = 503
    asked = ""

    def do_GET(self) -> None:
        """Answer with the status."""
        type(self).asked = f"{self.path} {self.headers.get('authorization')}"
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="signer")
def _signer() -> Iterator[str]:
    """Give a signer's address that answers `_Signer.status`."""
    with HTTPServer(("127.0.0.1", 0), _Signer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/behind/sign"
        server.shutdown()
        thread.join()


def test_each_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: str) -> None:
    """One thing is wrong at a time, and it is the one that is told."""
    brought: set[str] = set()

    def told(code: str, changes: Mapping[str, str], folder: Path = tmp_path) -> None:
        assert {finding.code for finding in asked(folder, changes)} == {code}
        brought.add(code)

    def unfit(_uri: str) -> None:
        raise Unfit(["it is a standalone server: transactions need a replica set"])

    def silent(_uri: str) -> None:
        raise Unavailable("no server is found")

    with monkeypatch.context() as patch:
        patch.setattr(mongo, "open_store", silent)
        told("live_store_unreachable", {**ALONE, "MONGO_URI": URI})
    with monkeypatch.context() as patch:
        patch.setattr(mongo, "open_store", unfit)
        told("live_store_unfit", {**ALONE, "MONGO_URI": URI})
    with monkeypatch.context() as patch:
        has_members(patch, 1)
        told("live_store_few_members", {**ALONE, "MONGO_URI": URI})
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\ntmpfs / tmpfs rw 0 0\n")
    with monkeypatch.context() as patch:
        patch.setattr(disks, "_MOUNTS", mounts)
        told("live_store_not_durable", ALONE)
    told("live_store_not_writable", ALONE, mounts / "data")
    old = tmp_path / "old"
    old.mkdir()
    (old / DATABASE).touch()
    told("live_store_schema", ALONE, old)
    told("live_redis_unreachable", {**ALONE, "REDIS_URL": f"redis://:redis-word-17cd@{DEAD}"})
    believes(monkeypatch, b"\7" * 32)
    on_chain = {**NO_MONGO, "ORACLE_SIGNER_URL": f"unix:{tmp_path}/none.sock"}
    told("live_signer_unreachable", on_chain)
    told("live_signer_not_ready", {**NO_MONGO, "ORACLE_SIGNER_URL": signer})
    assert _Signer.asked == "/behind/ready None"
    told("live_ton_oracle_key", {**NO_MONGO, **LOCAL_KEY})
    monkeypatch.undo()
    monkeypatch.setattr(live, "PATIENCE_S", 0.05)
    dead = {"TON_PROVIDER_URL": f"http://{DEAD}"}
    told("live_ton_unreachable", {**NO_MONGO, **LOCAL_KEY, **dead})
    assert brought == LIVE


def test_nothing_is_found_where_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: str
) -> None:
    """A place to write, a real Redis, a ready signer, and a vault that knows the key."""
    monkeypatch.setattr(_Signer, "status", 200)
    believes(monkeypatch, bytes(oracle_key({"ORACLE_PRIVATE_KEY_HEX": KEY}).verify_key))
    server = RedisServer(tmp_path / "redis")
    server.start()
    try:
        well = {"MONGO_URI": "", "REDIS_URL": server.url, "ORACLE_SIGNER_URL": signer}
        assert asked(tmp_path, well) == []
        assert asked(tmp_path, {**well, **LOCAL_KEY}) == []
    finally:
        server.kill()
    has_members(monkeypatch, 3)
    assert asked(tmp_path, {**ALONE, "MONGO_URI": URI}) == []
    assert not (tmp_path / DATABASE).exists()
