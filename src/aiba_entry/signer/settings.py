"""What the signer's service is told by its environment: where it listens, and its files."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiba_entry.forms import is_loopback
from aiba_entry.signer import environment

HOST: Final = "SIGNER_HOST"
PORT: Final = "SIGNER_PORT"
SOCKET: Final = "SIGNER_SOCKET"
TOKENS: Final = "SIGNER_TOKENS_FILE"
TLS_CERT: Final = "SIGNER_TLS_CERT"
TLS_KEY: Final = "SIGNER_TLS_KEY"
CLIENT_CA: Final = "SIGNER_TLS_CLIENT_CA"
RATE: Final = "SIGNER_RATE_PER_SECOND"
LEVEL: Final = "LOG_LEVEL"

SERVICE_VARIABLES: Final = (HOST, PORT, SOCKET, TOKENS, TLS_CERT, TLS_KEY, CLIENT_CA, RATE, LEVEL)
"""Every variable of the service, beside those of the signer itself."""

NOWHERE: Final = Path()
"""The path of a file that isn't given."""

DEFAULT_PORT: Final = 8_090
DEFAULT_RATE: Final = 100
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MOST_PORTS: Final = 65_535
_MOST_RATE: Final = 1_000_000
_LONGEST_SOCKET: Final = 107


class SignerFaults(Exception):  # noqa: N818 - it holds what is wrong
    """The signer can't start; `faults` are texts, each `NAME: what is wrong`, without secrets."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        lines = "".join(f"\n- {fault}" for fault in self.faults)
        super().__init__(f"the signer can't start for {len(self.faults)} fault(s):{lines}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The service's certificate and key, and whose clients are let in; None is anybody's."""

    certificate: Path
    key: Path
    client_ca: Path | None

    def context(self) -> ssl.SSLContext:
        """Return a context for the listener; raises OSError (ssl.SSLError is one)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Read certificate, key and client authority (again); new connections see them."""
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Where the service listens, a Unix socket or an address, and its files. It holds no secret.

    `rate_per_s` is how many requests a second each caller may make.
    """

    host: str
    port: int
    socket: Path | None
    tls: TlsFiles | None
    tokens: Path
    store: Path
    log: Path
    policy: Path
    rate_per_s: int
    log_level: str


def read_service(environ: Mapping[str, str]) -> tuple[ServiceSettings, list[str]]:
    """Return the service's settings and every fault of them, each `NAME: what is wrong`.

    What is faulty has some harmless value; a path that isn't given is NOWHERE.
    """
    return _Reader(environ).settings()


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._faults: list[str] = []

    def settings(self) -> tuple[ServiceSettings, list[str]]:
        host = self._text(HOST) or "127.0.0.1"
        socket = self._text(SOCKET)
        tls = self._tls()
        if socket is not None:
            for name in (HOST, PORT, TLS_CERT, TLS_KEY, CLIENT_CA):
                if self._text(name):
                    self._faults.append(f"{name}: goes with an address, and {SOCKET} is given")
            if len(socket.encode()) > _LONGEST_SOCKET:
                self._faults.append(f"{SOCKET}: longer than {_LONGEST_SOCKET} bytes")
        elif tls is None and not is_loopback(host) and not self._faults:
            self._faults.append(
                f"{HOST}: others reach this address, so tokens need {TLS_CERT} and {TLS_KEY}"
            )
        settings = ServiceSettings(
            host=host,
            port=self._number(PORT, DEFAULT_PORT, 0, _MOST_PORTS),
            socket=Path(socket) if socket else None,
            tls=tls,
            tokens=self._path(TOKENS),
            store=self._path(environment.STORE),
            log=self._path(environment.LOG),
            policy=self._path(environment.POLICY),
            rate_per_s=self._number(RATE, DEFAULT_RATE, 1, _MOST_RATE),
            log_level=self._level(),
        )
        return settings, self._faults

    def _text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def _path(self, name: str) -> Path:
        text = self._text(name)
        if text is None:
            self._faults.append(f"{name}: is required")
        return Path(text) if text else NOWHERE

    def _number(self, name: str, usual: int, least: int, most: int) -> int:
        text = self._text(name)
        if text is None:
            return usual
        value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1  # noqa: PLR2004 - below 2^31
        if not least <= value <= most:
            self._faults.append(f"{name}: must be a whole number from {least} to {most}")
        return value

    def _level(self) -> str:
        level = (self._text(LEVEL) or "INFO").upper()
        if level not in _LEVELS:
            self._faults.append(f"{LEVEL}: must be one of {', '.join(_LEVELS)}")
        return level

    def _tls(self) -> TlsFiles | None:
        """Return the TLS files, all that belong together or none."""
        given = {name: self._text(name) for name in (TLS_CERT, TLS_KEY, CLIENT_CA)}
        if not any(given.values()):
            return None
        for name in (TLS_CERT, TLS_KEY):
            if given[name] is None:
                self._faults.append(f"{name}: is required where TLS is configured")
        certificate, key, client_ca = given.values()
        return TlsFiles(
            certificate=Path(certificate) if certificate else NOWHERE,
            key=Path(key) if key else NOWHERE,
            client_ca=Path(client_ca) if client_ca else None,
        )
