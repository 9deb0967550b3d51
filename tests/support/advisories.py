"""A stand-in for the advisory services, on the wire as they are: PyPI's, and OSV's.

`pip-audit` asks PyPI by its own name, so the stand-in is a proxy that answers for it, with a
certificate by an authority of the test's.
"""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

from tests.support.redis import needed

PYPI: Final = "pypi" + ".org"
"""The host that pip-audit asks by name, wherever packages come from."""

CONTROL: Final = ("pyyaml", "5.3")
"""What every advisory service knows a vulnerability of."""

Faults = Mapping[tuple[str, str], tuple[str, str]]
"""A vulnerability's id and the version that mends it, by package and version."""


class Service(ThreadingHTTPServer):
    """What the stand-in knows, and how it answers whoever asks."""

    daemon_threads = True

    def __init__(self, faults: Faults, *, absent: str, broken: bool, tls: ssl.SSLContext) -> None:
        """Know `faults`; have no package `absent`; if `broken`, answer nobody."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = faults
        self.absent = absent
        self.broken = broken
        self.tls = tls
        self.asked: list[tuple[str, str]] = []

    def status_of(self, name: str, version: str) -> int:
        """Note that a package was asked for, and return the status of the answer."""
        self.asked.append((name, version))
        return 503 if self.broken else 404 if name == self.absent else 200


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def _service(self) -> Service:
        return cast("Service", self.server)

    def do_CONNECT(self) -> None:
        """Be the host that is asked for."""
        assert self.path == f"{PYPI}:443"
        self.send_response(200, "Connection established")
        self.end_headers()
        self.connection = self._service.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        # Old clients ask for a tunnel by HTTP/1.0, and for more through it.
        self.close_connection = False

    def finish(self) -> None:
        """Close the tunnel too, where there is one."""
        super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        """Answer as PyPI does for one release of one package."""
        _, kind, name, version, form = self.path.split("/")
        assert (kind, form) == ("pypi", "json")
        known = self._service.faults.get((name, version))
        told = (
            [
                {
                    "id": known[0],
                    "aliases": [],
                    "details": "Something\nbad.",
                    "summary": None,
                    "fixed_in": [known[1]],
                    "link": f"https://osv.dev/vulnerability/{known[0]}",
                    "source": "osv",
                    "withdrawn": None,
                }
            ]
            if known
            else []
        )
        gone = (
            {**told[0], "id": "PYSEC-2020-0", "withdrawn": "2020-01-02T03:04:05Z"} if told else {}
        )
        answer = {
            "info": {"name": name, "version": version},
            "last_serial": 1,
            "urls": [],
            "vulnerabilities": [*told, gone] if gone else [],
        }
        self._answer(self._service.status_of(name, version), answer)

    def do_POST(self) -> None:
        """Answer as OSV does for one version of one package."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["package"]["ecosystem"] == "PyPI"
        name, version = asked["package"]["name"], asked["version"]
        known = self._service.faults.get((name, version))
        vuln = (
            {
                "id": known[0],
                "schema_version": "1.7.3",
                "modified": "2026-01-02T03:04:05Z",
                "published": "2026-01-02T03:04:05Z",
                "summary": "Something bad",
                "affected": [
                    {
                        "package": {"name": name, "ecosystem": "PyPI", "purl": f"pkg:pypi/{name}"},
                        "ranges": [
                            {
                                "type": "ECOSYSTEM",
                                "events": [{"introduced": "0"}, {"fixed": known[1]}],
                            }
                        ],
                        "versions": [version],
                    }
                ],
            }
            if known
            else None
        )
        self._answer(self._service.status_of(name, version), {"vulns": [vuln]} if vuln else {})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        # Or it would be taken for PyPI's own by the next who asks.
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def service(
    folder: Path, faults: Faults, *, absent: str = "", broken: bool = False
) -> Iterator[tuple[Service, dict[str, str]]]:
    """Serve, with the environment that leads pip-audit there instead of to PyPI."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = [needed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    words += ["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={PYPI}"]
    words += ["-addext", f"subjectAltName=DNS:{PYPI}"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - openssl itself
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = Service(faults, absent=absent, broken=broken, tls=tls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    place = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield (
            server,
            {
                "HTTPS_PROXY": place,
                "REQUESTS_CA_BUNDLE": str(certificate),
                "PIP_AUDIT_OSV_URL": f"{place}/v1/query",
            },
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
