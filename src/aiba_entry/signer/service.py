"""The signer's service: everything opened with every fault named, served, read again, closed.

SIGHUP reads tokens, policy and TLS files again; a changed tokens file is noticed by itself. What
can't be used leaves what was used before in force.
"""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from aiba_adapters.signing.audit_log import LogMissing
from aiba_adapters.signing.chain import ReaderChain
from aiba_adapters.signing.hsm import TokenKey, TokenUnusable
from aiba_adapters.signing.keys import ProcessKey
from aiba_adapters.signing.local import KEY_VARIABLE, OracleKeyUnusable
from aiba_adapters.signing.protection import LogSigner, ProtectionFile, SqliteProtection
from aiba_adapters.signing.protection_schema import StoreDamaged, StoreMissing
from aiba_adapters.toncenter.reader import ToncenterReader
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.model import Network
from aiba_domain.signing.trail import TrailBroken
from aiba_entry.http.server import listen
from aiba_entry.logs import get_logger
from aiba_entry.signer import environment
from aiba_entry.signer import settings as names
from aiba_entry.signer.app import SignerApp
from aiba_entry.signer.desk import Desk
from aiba_entry.signer.files import lent
from aiba_entry.signer.metrics import SignerMetrics
from aiba_entry.signer.policy import LoadedPolicy, load_policy
from aiba_entry.signer.settings import (
    NOWHERE,
    ServiceSettings,
    SignerFaults,
    TlsFiles,
    read_service,
)
from aiba_entry.signer.tokens import Tokens, load_tokens

T = TypeVar("T")

WATCH_SECONDS: Final = 2.0
"""How often the tokens file is looked at."""

_BACKLOG: Final = 1_024
_NOT_OTHERS: Final = 0o117
_TELLING: Final = 12
"""From how many characters on a text could tell of a secret."""
_STORE_FAULTS: Final = (StoreMissing, StoreDamaged, LogMissing, TrailBroken, OSError)
_log = get_logger("aiba.signer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a signer's service is made of, opened and found to be without fault.

    `warnings` are of what it starts with nevertheless, each `NAME: what is wrong`.
    """

    settings: ServiceSettings
    tokens: Tokens
    key: ProcessKey | TokenKey
    file: ProtectionFile
    network: Network
    policy: LoadedPolicy
    reader: ToncenterReader
    tls: ssl.SSLContext | None
    metrics: SignerMetrics
    warnings: tuple[str, ...] = ()


class _Opener:
    """Opens one part after another, and gathers what is wrong instead of stopping at it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def tried(self, name: str, make: Callable[[], T], *errors: type[Exception]) -> T | None:
        try:
            return make()
        except Faulty as faulty:
            self.faults += [f"{name}: {fault}" for fault in faulty.faults]
        except errors as error:
            text = str(error)
            self.faults.append(text if text.startswith(name) else f"{name}: {text}")
        return None

    def settings(self) -> ServiceSettings:
        settings, faults = read_service(self._environ)
        self.faults += faults
        return settings

    def key(self) -> ProcessKey | TokenKey | None:
        return self.tried(
            KEY_VARIABLE,
            lambda: environment.signing_key(self._environ),
            OracleKeyUnusable,
            TokenUnusable,
            environment.EnvironmentUnusable,
        )

    def log_signer(self, key: ProcessKey | TokenKey | None) -> LogSigner | None:
        found = self.tried(
            environment.AUDIT_KEY,
            lambda: environment.log_signer(self._environ),
            environment.EnvironmentUnusable,
        )
        keys = {each.public_key for each in (found, *found.beside)} if found else set()
        if key and key.public_key in keys:
            self.faults.append(f"{environment.AUDIT_KEY}: is the oracle's key, which signs claims")
        return found

    def file(
        self, settings: ServiceSettings, by: LogSigner | None, metrics: SignerMetrics
    ) -> ProtectionFile | None:
        if NOWHERE in (settings.store, settings.log):
            return None
        file = self.tried(
            environment.STORE,
            lambda: ProtectionFile(settings.store, settings.log, signer=by, probe=metrics.probe),
            *_STORE_FAULTS,
        )
        if file is not None and by is not None:
            key = file.log_key()
            if key not in (None, by.public_key):
                self.faults.append(environment.another_log_key(key))
        return file

    def tokens(self, path: Path) -> Tokens | None:
        return None if path is NOWHERE else self.tried(names.TOKENS, lambda: load_tokens(path))

    def tls(self, files: TlsFiles | None) -> ssl.SSLContext | None:
        if files is None or NOWHERE in (files.certificate, files.key):
            return None
        return self.tried(names.TLS_CERT, files.context, OSError)

    def reader(self, network: Network) -> ToncenterReader | None:
        return self.tried(
            "TON_PROVIDER_URL",
            lambda: environment.chain_reader(self._environ, network),
            environment.EnvironmentUnusable,
        )

    def policy(self, path: Path, network: Network | None) -> LoadedPolicy | None:
        """Read the policy; while the network isn't known, by the one that takes all addresses."""
        if path is NOWHERE:
            return None
        name = environment.POLICY
        found = self.tried(name, lambda: load_policy(path, network or Network.TESTNET))
        if found and network and not _vaults(found, network):
            self.faults.append(f"{name}: it allows nothing on {network.value}")
        return found


def open_parts(environ: Mapping[str, str]) -> Parts:
    """Open all parts, or close what was opened and raise SignerFaults with every fault."""
    opener = _Opener(environ)
    metrics = SignerMetrics()
    with contextlib.ExitStack() as opened:
        settings, key = opener.settings(), opener.key()
        if isinstance(key, TokenKey):
            opened.callback(key.close)
        file = opener.file(settings, opener.log_signer(key), metrics)
        if file is not None:
            opened.callback(file.close)
        network = file.state().network if file else None
        policy = opener.policy(settings.policy, network)
        tokens, tls = opener.tokens(settings.tokens), opener.tls(settings.tls)
        reader = opener.reader(network or Network.TESTNET)
        faults, warnings = lent(environ, network)
        opener.faults += faults
        if opener.faults or not (key and file and network and tokens and policy and reader):
            raise SignerFaults([_without_paths(fault, environ) for fault in opener.faults])
        opened.pop_all()
        return Parts(
            settings=settings,
            tokens=tokens,
            key=key,
            file=file,
            network=network,
            policy=policy,
            reader=reader,
            tls=tls,
            metrics=metrics,
            warnings=tuple(warnings),
        )


def _without_paths(fault: str, environ: Mapping[str, str]) -> str:
    """Return a fault with variables for the paths they hold: one may be a secret by mistake."""
    for name in (environment.STORE, environment.LOG, environment.POLICY):
        value = environ.get(name, "").strip()
        for shown in (value, Path(value).name):
            if len(shown) >= _TELLING:
                fault = fault.replace(shown, f"${name}")
    return fault


@contextlib.asynccontextmanager
async def signer_app(parts: Parts) -> AsyncIterator[SignerApp]:
    """Run the signer while the context lasts; close all parts after the last answer."""
    store = SqliteProtection(parts.file)
    chain = ReaderChain(parts.reader, vault=_vaults(parts.policy, parts.network)[0])
    desk = Desk(
        parts.key,
        store=store,
        chain=chain,
        network=parts.network,
        policy=parts.policy,
        observe=parts.metrics.result,
    )
    app = SignerApp(
        desk,
        tokens=parts.tokens,
        metrics=parts.metrics,
        rate_per_s=parts.settings.rate_per_s,
    )
    try:
        with _reloading(Reloader(parts, desk, app)), _running(desk.start()):
            yield app
    finally:
        await store.close()
        await parts.reader.close()
        if isinstance(parts.key, TokenKey):
            parts.key.close()


class Reloader:
    """Reads the files again."""

    def __init__(self, parts: Parts, desk: Desk, app: SignerApp) -> None:
        """Put what is new into a desk and its application."""
        self._parts = parts
        self._desk = desk
        self._app = app
        self._seen = _stamp(parts.settings.tokens)
        self._turn = asyncio.Lock()

    async def all(self) -> None:
        """Read tokens, policy and TLS files again."""
        async with self._turn:
            self._read_tokens()
            await self._tried("policy", self._read_policy())
            await self._tried("tls", self._read_tls())

    async def watch(self) -> None:
        """Read the tokens again whenever their file changes."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if _stamp(self._parts.settings.tokens) != self._seen:
                async with self._turn:
                    self._read_tokens()

    def _read_tokens(self) -> None:
        path = self._parts.settings.tokens
        self._seen = _stamp(path)
        try:
            self._app.tokens = load_tokens(path)
        except Faulty as error:
            self._refused("tokens", error)
            return
        self._parts.metrics.reloaded("tokens", is_good=True)
        _log.info("tokens read again", names=self._app.tokens.names)

    async def _tried(self, what: str, reading: Coroutine[Any, Any, str | None]) -> None:
        try:
            read = await reading
        except (Faulty, SignerUnavailable, OSError) as error:
            self._refused(what, error)
            return
        if read is not None:
            self._parts.metrics.reloaded(what, is_good=True)
            _log.info(f"{what} read again", now=read)

    async def _read_policy(self) -> str:
        return await self._desk.change_policy(self._parts.settings.policy)

    async def _read_tls(self) -> str | None:
        files, context = self._parts.settings.tls, self._parts.tls
        if files is None or context is None:
            return None
        files.context()  # so that a key that doesn't fit leaves what is in use alone
        files.load_into(context)
        return str(files.certificate)

    def _refused(self, what: str, error: Exception) -> None:
        self._parts.metrics.reloaded(what, is_good=False)
        _log.error(f"{what} not usable, the old goes on", reason=str(error))


@contextlib.contextmanager
def _reloading(reloader: Reloader) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def read_again() -> None:
        task = loop.create_task(reloader.all())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, read_again)
    try:
        with _running(reloader.watch()):
            yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in tasks:
            task.cancel()


@contextlib.contextmanager
def _running(work: Coroutine[Any, Any, None]) -> Iterator[None]:
    """Run a work beside the others while the context lasts; if it fails, so does the service."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            signal.raise_signal(signal.SIGTERM)

    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        if task.done():
            task.result()
        task.cancel()


def listener_of(settings: ServiceSettings) -> socket.socket:
    """Return a socket that listens where the settings say; raises OSError.

    A Unix socket is for its owner and group. A dead one in its place is replaced, a live one not.
    """
    if settings.socket is None:
        return listen(settings.host, settings.port)
    path = str(settings.socket)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        before = os.umask(_NOT_OTHERS)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(path: str) -> None:
    """Remove a socket that nobody listens on any more."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise FileExistsError(f"another process listens on {path}")


def _vaults(policy: LoadedPolicy, network: Network) -> list[str]:
    return [one.vault for one in policy.policy.allow if one.network is network]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or another is put in its place."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
