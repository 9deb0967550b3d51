"""The service as real processes with a canary in every secret, and all that it tells of itself."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from hypothesis import settings
from pymongo import MongoClient

from aiba_adapters.telegram import sign
from tests.contract.hostile.canaries import (
    CANARIES,
    NEW_PASSWORD,
    PASSWORD,
    PROVIDER_PATH,
    REDIS_WORD,
    SIGNER_CANARIES,
    WATCH,
    letters,
)
from tests.contract.hostile.storm import Storm, malformed
from tests.contract.process.support import (
    AIBA,
    PATIENCE_S,
    Player,
    Server,
    data_of,
)
from tests.contract.signer_service.site import CHAIN_SETTINGS, EXPORT, POLICY, Process
from tests.contract.signer_service.support import wire
from tests.support import admins, softhsm
from tests.support.echo import Echo
from tests.support.limits import UNLIMITED
from tests.support.redis import RedisServer
from tests.support.signers import terms
from tests.support.watch import Watch

ROUNDS: Final = 20 if settings().max_examples > 1_000 else 1
"""How often a storm meets every operation, each time with other secrets and values."""

HAS_CHAIN: Final = find_spec("tonpy") is not None
ORACLE: Final = CANARIES["ORACLE_PRIVATE_KEY_HEX"]
TOKEN: Final = CANARIES["ORACLE_SIGNER_TOKEN"]
BESIDE_URL: Final = CANARIES["REDIS_PASSWORD"]
EVERYWHERE: Final = tuple(
    name
    for name in CANARIES
    if name not in ("MONGO_URI", "REDIS_URL", "REDIS_PASSWORD", "ORACLE_PRIVATE_KEY_HEX")
)
"""The secrets that a service has wherever its store and its key are."""
OF_THE_LOG: Final = tuple(name for name in SIGNER_CANARIES if "AUDIT_KEY" in name)
"""The keys of a signer's log: the one in use, and those beside it."""
WALLET: Final = "1"
PAGES: Final = (
    *("/health", "/ready", "/metrics", "/openapi.json", "/docs", "/verify"),
    *("/api/solvency", "/api/fairness", "/api/treasury/summary", "/api/treasury/ops"),
)
ANSWERS: Final[Mapping[str, str]] = {
    "/api/admin/audit": "limit=200",
    "/api/admin/economy/day": "day=2026-01-01",
    "/api/admin/economy/ledger": "limit=100",
    "/api/admin/economy/simulate": "days=1&players=1&avgBattles=1",
    "/api/admin/mod/user": "telegramId=1",
    "/api/vault/last-seqno": f"to=0:{'33' * 32}",
    "/api/vault/claim-status": f"to=0:{'33' * 32}&seqno=1&validUntil=1",
}
"""A good query of each path that needs one or shows more with it."""


@dataclass(slots=True)
class Told:
    """Everything that was told, by where."""

    by_place: dict[str, bytes] = field(default_factory=dict)

    def found(self, watch: Watch = WATCH, but: Collection[str] = ()) -> set[tuple[str, str]]:
        """Return where something is told of a secret, and of which; not of the places in `but`."""
        return {
            (place, heard.name)
            for place, text in self.by_place.items()
            if place not in but
            for heard in watch.heard(text)
        }

    def add(self, place: str, text: str | bytes) -> None:
        """Add to what was told at a place."""
        raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        self.by_place[place] = self.by_place.get(place, b"") + b"\n" + raw

    def answer(self, answer: httpx.Response) -> httpx.Response:
        """Add an answer with its headers, and return it."""
        self.add("answers", f"{answer.headers.raw!r}\n".encode() + answer.content)
        return answer


class Cast:
    """Redis, a MongoDB user, a chain behind an echo, and signers: what services are put among."""

    def __init__(self, folder: Path) -> None:
        """Make the folder's files; nothing is started yet."""
        self.folder = folder
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self._ends = contextlib.ExitStack()
        self.chain: dict[str, str] = {}
        self._chain: Process | None = None
        self.echo = self._ends.enter_context(Echo())
        self.redis = self._redis()

    def close(self) -> None:
        """End all of it."""
        self._ends.close()

    def file(self, name: str, value: str) -> str:
        """Write a secret into a file of its owner alone and return the path."""
        path = self.secrets / name.lower()
        path.unlink(missing_ok=True)
        path.write_text(f"{value}\n")
        path.chmod(0o400)
        return str(path)

    def files(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return variables that name secrets' files."""
        return {f"{name}_FILE": self.file(name, value) for name, value in values.items()}

    def service(self, data_dir: Path, **more: str) -> dict[str, str]:
        """Return what any service is told beside its secrets."""
        return {
            "PATH": os.environ["PATH"],
            "APP_ENV": "test",
            "PORT": "0",
            "AIBA_DATA_DIR": str(data_dir),
            "LOG_LEVEL": "DEBUG",
            "ADMIN_EMAIL": admins.EMAIL,
            "TELEGRAM_NOTIFY": "true",
            "TELEGRAM_API_URL": self.echo.url,
            "LEDGER_AUDIT_SECONDS": "1",
            **UNLIMITED,
            **more,
        }

    def on_sqlite(self) -> dict[str, str]:
        """Return the variables of a service with every secret in a file, and its key elsewhere."""
        url = f"redis://:{quote(REDIS_WORD, safe='')}@127.0.0.1:{self.redis.port}/0"
        values = {name: CANARIES[name] for name in EVERYWHERE} | {"REDIS_URL": url}
        return self.service(
            self.folder / "data",
            ORACLE_SIGNER_URL=f"unix:{self.folder}/signer.sock",
            **self.chain,
            **self.files(values),
        )

    def on_mongo(self, uri: str) -> dict[str, str]:
        """Return the variables of a service with every secret in the environment, its key too."""
        values = {name: CANARIES[name] for name in EVERYWHERE if name != "ORACLE_SIGNER_TOKEN"}
        return self.service(
            self.folder / "unused",
            **values,
            MONGO_URI=uri,
            REDIS_URL=f"redis://other@127.0.0.1:{self.redis.port}/1",
            REDIS_PASSWORD=BESIDE_URL,
            ORACLE_PRIVATE_KEY_HEX=ORACLE,
            ARENA_VAULT_ADDRESS=f"0:{'11' * 32}",
            AIBA_JETTON_MASTER=f"0:{'22' * 32}",
            TON_PROOF_DOMAINS="game.example",
            TON_PROVIDER_URL=f"{self.echo.url}/{PROVIDER_PATH}/api/v2/jsonRPC",
            TON_NETWORK="testnet",
            TON_REQUESTS_PER_SECOND="1000",
        )

    def start_chain(self) -> None:
        """Start a chain whose vault believes the oracle's canary, behind an echo of its own."""
        key = {"ORACLE_PRIVATE_KEY_HEX_FILE": self.file("chain_key", ORACLE)}
        chain = self._chain = self._process("chain", ("devnet", "--port", "0"), key)
        chain.until_said("AIBA_DEV_CHAIN_TIME")
        found = [EXPORT.match(line) for line in chain.text.splitlines()]
        exported = {each[1]: each[2] for each in found if each}
        base, _, _ = exported["TON_PROVIDER_URL"].partition("/api/")
        self.control = f"{base}/control"
        echo = self._ends.enter_context(Echo(base))
        self.provider = echo
        self.chain = {name: exported[name] for name in CHAIN_SETTINGS} | {
            "TON_PROVIDER_URL": f"{echo.url}/api/v2/jsonRPC",
        }

    def signer_environment(self, name: str = "signer") -> dict[str, str]:
        """Return the variables of a signer with every secret in a file, and make its files."""
        folder = self.folder / name
        folder.mkdir()
        policy = POLICY.format(
            vault=self.chain.get("ARENA_VAULT_ADDRESS", f"0:{'11' * 32}"),
            master=self.chain.get("AIBA_JETTON_MASTER", f"0:{'22' * 32}"),
        )
        (folder / "policy.toml").write_text(policy)
        tokens = self.file(f"{name}_tokens", f"api {TOKEN}")
        beside = ("TON_API_KEY", "ORACLE_PRIVATE_KEY_HEX")
        return {
            "PATH": os.environ["PATH"],
            "LOG_LEVEL": "DEBUG",
            "ORACLE_SIGNER_STORE": str(folder / "store" / "protection.db"),
            "ORACLE_SIGNER_LOG": str(folder / "log" / "audit.log"),
            "ORACLE_SIGNER_POLICY": str(folder / "policy.toml"),
            "SIGNER_TOKENS_FILE": tokens,
            "SIGNER_SOCKET": str(self.folder / f"{name}.sock"),
            "TON_PROVIDER_URL": self.chain.get("TON_PROVIDER_URL", f"{self.echo.url}/api/v2"),
            "TON_REQUESTS_PER_SECOND": "1000",
            "AIBA_DEV_CHAIN_TIME": "true",
            **self.files({each: CANARIES[each] for each in beside}),
            **self.files({each: SIGNER_CANARIES[each] for each in OF_THE_LOG}),
        }

    def chain_said(self) -> str:
        """Return what the chain's process has said."""
        return self._chain.text if self._chain else ""

    def start_signer(self, environ: Mapping[str, str], name: str = "signer") -> Process:
        """Start a signer."""
        signer = self._process(name, ("signer", "serve"), environ)
        return signer.until_said("signer ready" if self.chain else "Signer ")

    def refused_signer(self, environ: Mapping[str, str]) -> str:
        """Return what a signer says that finds no such key in its token.

        A process of its own: a module is loaded once, with one folder of tokens.
        """
        environ = {**environ, "ORACLE_SIGNER_PKCS11_KEY": "none"}
        refused = self._process("refused", ("signer", "serve"), environ)
        assert refused.process.wait(PATIENCE_S) == 78, refused.text
        return refused.text

    def in_token(self, environ: Mapping[str, str], module: Path | None) -> dict[str, str]:
        """Return a signer's variables with the oracle's key in a token, whose PIN is a canary."""
        if module is not None:
            self._fill_token(module)
        kept = {name: text for name, text in environ.items() if "PRIVATE_KEY" not in name}
        pin = SIGNER_CANARIES["ORACLE_SIGNER_PKCS11_PIN"]
        return {
            **kept,
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
            "ORACLE_SIGNER_PKCS11_MODULE": str(module),
            "ORACLE_SIGNER_PKCS11_TOKEN": softhsm.TOKEN,
            "ORACLE_SIGNER_PKCS11_KEY": "oracle",
            **self.files({"ORACLE_SIGNER_PKCS11_PIN": pin}),
        }

    def _fill_token(self, module: Path) -> None:
        configuration = self.folder / "softhsm2.conf"
        (self.folder / "tokens").mkdir()
        configuration.write_text(f"directories.tokendir = {self.folder}/tokens\n")
        pin = SIGNER_CANARIES["ORACLE_SIGNER_PKCS11_PIN"]
        # In a process of its own, as above.
        script = (
            "import sys; from pathlib import Path; from tests.support import softhsm\n"
            "softhsm.initialise(sys.argv[2])\n"
            "key = [('oracle', bytes.fromhex(sys.argv[3]), False)]\n"
            "softhsm.put_keys(Path(sys.argv[1]), key, sys.argv[2])"
        )
        in_conf = {"SOFTHSM2_CONF": str(configuration)}
        subprocess.run(  # noqa: S603 - this project's own code
            [sys.executable, "-c", script, str(module), pin, ORACLE],
            env={"PATH": os.environ["PATH"], **in_conf},
            cwd=Path(__file__).parents[3],
            check=True,
        )

    def _process(self, name: str, words: Sequence[str], environ: Mapping[str, str]) -> Process:
        environ = {"PATH": os.environ["PATH"], **environ}
        process = Process((*AIBA, *words), environ, self.folder / f"{name}.said")
        self._ends.callback(process.kill)
        return process

    def _redis(self) -> RedisServer:
        folder = self.folder / "redis"
        folder.mkdir()
        users = self.folder / "redis.users"
        users.write_text(
            f"user default on >{REDIS_WORD} ~* &* +@all\nuser other on >{BESIDE_URL} ~* &* +@all\n"
        )
        redis = RedisServer(folder, options=("--aclfile", str(users)))
        redis.start()
        self._ends.callback(redis.kill)
        return redis


class Life:
    """A running service that somebody plays on, somebody administers, and strangers storm.

    `private` is what was made while it ran and is somebody's own, by what it is.
    """

    def __init__(self, server: Server, told: Told) -> None:
        """Go by what the server prints, and by the secrets that it was given."""
        self.server = server
        self.told = told
        self.player: Player | None = None
        self.admin: dict[str, str] = {}
        self.private: dict[str, str] = {}
        self._secrets = [text for name in CANARIES if (text := _given(server.environ, name))]

    def go(self, http: httpx.Client, *, control: str | None) -> None:
        """Live through all of it; `control` is a chain's, on which withdrawals are paid."""
        self.plays(http, control=control)
        self.administers(http)
        document = http.get("/openapi.json", headers=_bearer("DOCS_TOKEN")).json()
        assert self.player is not None
        credentials = {"player": self.player.headers, "admin": self.admin}
        storm = Storm(http, document, credentials, self._secrets)
        for _ in range(ROUNDS):
            for answer in storm.rage():
                self.told.answer(answer)
        malformed(self.server.port, self._secrets)
        self.shows(http, storm)

    def plays(self, http: httpx.Client, *, control: str | None) -> None:
        """Log in, fight, and withdraw something if there is a chain."""
        told = self.told.answer
        launch = launch_data(1)
        player = self.player = new_player(http, 1, launch)
        self.private["launch data"] = launch.partition("hash=")[2][:64]
        self.private["session"] = player.token.rpartition(".")[2]
        headers = player.headers
        fight = {"requestId": "battle", "brokerId": player.broker_id}
        fought = told(http.post("/api/battle/run", json=fight, headers=headers))
        assert data_of(fought)["rewardAiba"] > 0
        if control is None:
            told(http.get("/api/vault/last-seqno", params={"to": f"0:{'33' * 32}"}))
            return
        payload = http.get("/api/wallet/proof-payload", headers=headers).json()
        proof = httpx.post(f"{control}/wallet/{WALLET}/proof", json=payload, trust_env=False)
        data_of(told(http.post("/api/wallet/connect", json=proof.json(), headers=headers)))
        wanted = {"requestId": "claim", "amount": 1}
        signed = told(http.post("/api/economy/claim-aiba", json=wanted, headers=headers))
        assert signed.status_code == 200, signed.text

    def administers(self, http: httpx.Client) -> None:
        """Log in and out, make an account with a chosen password, and ban somebody."""
        told = self.told.answer
        login = "/api/admin/auth/login"
        for email, password in (
            (admins.EMAIL, NEW_PASSWORD),
            (PASSWORD, PASSWORD),
            (CANARIES["MONGO_URI"], PASSWORD[:-1]),
        ):
            assert told(http.post(login, json={"email": email, "password": password})).is_error
        good = {"email": admins.EMAIL, "password": PASSWORD}
        token = data_of(http.post(login, json=good))["token"]
        self.private["admin's token"] = token.rpartition(".")[2]
        headers = self.admin = {"Authorization": f"Bearer {token}"}
        account: dict[str, object]
        account = {"email": "op@game.example", "role": "operator", "password": NEW_PASSWORD}
        for wrong in ({"role": "boss"}, {"pasword": NEW_PASSWORD}, {"email": "nobody"}):
            answer = http.post("/api/admin/accounts", json=account | wrong, headers=headers)
            assert told(answer).is_error
        data_of(told(http.post("/api/admin/accounts", json=account, headers=headers)))
        again = {"password": NEW_PASSWORD[::-1]}
        told(http.post("/api/admin/accounts/op@game.example/password", json=again, headers=headers))
        other = new_player(http, 2)
        ban = {"telegramId": other.id, "minutes": 5, "reason": "a test"}
        data_of(told(http.post("/api/admin/mod/ban-user", json=ban, headers=headers)))

    def shows_pages(self, http: httpx.Client) -> None:
        """Read the pages that aren't for players, by their own tokens and no other."""
        for path, name in (("/metrics", "DOCS_TOKEN"), ("/docs", "METRICS_TOKEN")):
            assert self.told.answer(http.get(path, headers=_bearer(name))).status_code == 401
        for path in PAGES:
            headers = _bearer("METRICS_TOKEN" if path == "/metrics" else "DOCS_TOKEN")
            answer = http.get(path, headers=headers)
            assert answer.status_code in (200, 503), f"{path}: {answer.text}"
            self.told.add(path, f"{answer.headers.raw!r}{answer.text}")

    def shows(self, http: httpx.Client, storm: Storm) -> None:
        """Read everything that is there to be read, as those who may."""
        assert self.player is not None
        self.shows_pages(http)
        for path, method, operation in storm.operations():
            if method == "get" and "{" not in path:
                ways = operation.get("security", [{}])
                headers = self.admin if {"admin": []} in ways else self.player.headers
                answer = http.get(f"{path}?{ANSWERS.get(path, '')}", headers=headers)
                if path != "/metrics":
                    assert answer.status_code in (200, 404, 503), f"{path}: {answer.text}"
                self.told.answer(answer)

    @property
    def broker_id(self) -> str:
        """The player's broker."""
        assert self.player is not None
        return self.player.broker_id

    def asks_in_vain(self) -> None:
        """Ask for a battle while the store gives none of what it holds."""
        assert self.player is not None
        with self.server.client() as http:
            fight = {"requestId": "vain", "brokerId": self.broker_id}
            answer = http.post("/api/battle/run", json=fight, headers=self.player.headers)
        assert self.told.answer(answer).is_server_error, answer.text

    def crashes(self, http: httpx.Client) -> None:
        """Break the store under the running server, and ask for a battle once more."""
        assert self.player is not None
        with contextlib.closing(sqlite3.connect(self.server.database)) as connection, connection:
            connection.execute("UPDATE epochs SET body = '{}'")
        fight = {"requestId": "crash", "brokerId": self.player.broker_id}
        crashed = http.post("/api/battle/run", json=fight, headers=self.player.headers)
        assert self.told.answer(crashed).status_code == 500

    def ends(self, code: int = 0) -> None:
        """Ask the server to end, and add its output."""
        assert self.server.stop() == code
        self.told.add("printed", self.server.printed.read_bytes())
        self.told.add("log", self.server.logged.read_bytes())


def ask_signer(environ: Mapping[str, str], told: Told) -> None:
    """Ask a signer on a Unix socket as its API does, as others do, and as nobody should."""
    transport = httpx.HTTPTransport(uds=environ["SIGNER_SOCKET"])
    with httpx.Client(transport=transport, base_url="http://signer", timeout=PATIENCE_S) as http:
        good = {"authorization": f"Bearer {TOKEN}"}
        for path in ("/health", "/ready", "/metrics", f"/{TOKEN[:20]}"):
            answer = http.get(path, headers=good)
            told.add("a signer's answers", f"{answer.headers.raw!r}{answer.text}")
        for headers in (
            good,
            {},
            *({"authorization": f"Bearer {secret}"} for secret in CANARIES.values()),
            {"authorization": TOKEN},
            {"x-token": TOKEN},
        ):
            for body in (
                json.dumps(wire(terms())).encode(),
                json.dumps(wire(terms(), to=TOKEN, amount=ORACLE)).encode(),
                f'{{"vaultAddress": "{ORACLE}'.encode(),
            ):
                answer = http.post("/sign", content=body, headers=headers)
                told.add("a signer's answers", f"{answer.headers.raw!r}{answer.text}")
                if headers is not good:
                    break


def spoil_signer(environ: Mapping[str, str], signer: Process) -> None:
    """Let a running signer read tokens and a policy again that are faulty and hold a secret."""
    for name, text in (
        ("SIGNER_TOKENS_FILE", f"api {TOKEN} {TOKEN}\n{TOKEN}\n"),
        ("ORACLE_SIGNER_POLICY", f'token = "{TOKEN}"\n{TOKEN}\n'),
    ):
        path = Path(environ[name])
        path.chmod(0o600)
        path.write_text(text)
    signer.process.send_signal(signal.SIGHUP)
    for what in ("tokens", "policy"):
        signer.until_said(f"{what} not usable")


@contextlib.contextmanager
def mongo_user(uri: str, word: str) -> Iterator[Callable[[str], str]]:
    """Make a user of a server with a password; give what makes a database's URI for that user."""
    name = letters(word, 12)
    roles = [{"role": "root", "db": "admin"}]
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    options = "&".join(filter(None, (parts.query, "authSource=admin")))

    def uri_of(database: str) -> str:
        return f"mongodb://{name}:{quote(word, safe='')}@{host}/{database}?{options}"

    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        if client.admin.command({"usersInfo": name})["users"]:
            client.admin.command({"dropUser": name})
        client.admin.command({"createUser": name, "pwd": word, "roles": roles})
        yield uri_of
        client.admin.command({"dropUser": name})


def _given(environ: Mapping[str, str], name: str) -> str:
    """Return a secret that an environment gives by itself or in a file, blank for none."""
    path = environ.get(f"{name}_FILE")
    return Path(path).read_text().strip() if path else environ.get(name, "")


def launch_data(number: int) -> str:
    """Return launch data of a player, signed with the canary."""
    data = {"auth_date": str(int(time.time())), "user": json.dumps({"id": number})}
    return sign(data, CANARIES["TELEGRAM_BOT_TOKEN"])


def new_player(http: httpx.Client, number: int, launch: str = "") -> Player:
    """Return a player with a session and a broker, who comes by some launch data."""
    come = {"initData": launch or launch_data(number)}
    token = data_of(http.post("/api/auth/session", json=come))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    broker = data_of(http.post("/api/brokers/starter", json={"requestId": "s"}, headers=headers))
    return Player(str(number), token, broker["_id"])


def _bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {CANARIES[name]}"}
