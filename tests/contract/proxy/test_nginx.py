"""The proxy of deploy/nginx, as a real nginx with TLS before a real server."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.contract.process.support import PATIENCE_S, Server, environment, until
from tests.support.redis import free_port, needed

CONFIGURATION: Final = Path(__file__).parents[3] / "deploy" / "nginx" / "aiba.conf"
NAME: Final = "api.game.example"
A_MINUTE: Final = 30
"""How many calls an address has here in a minute."""

ONCE: Final = ("x-request-id", "cache-control", "x-content-type-options", "content-type")
"""Headers that every answer has, the proxy's own too, and each once."""


class Proxy:
    """The nginx, and how it is called."""

    def __init__(self, folder: Path, api: Server) -> None:
        """Start it with the shipped file, whose ports and paths are of this machine."""
        self.api = api
        self.tls_port, self.plain_port = free_port(), free_port()
        folder.mkdir()
        self._certify(folder)
        text = CONFIGURATION.read_text(encoding="utf-8")
        for shipped, here in {
            r"^    listen \[::\].*\n": "",
            r"listen 443 ": f"listen 127.0.0.1:{self.tls_port} ",
            r"listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            r"server 127\.0\.0\.1:5000;": f"server 127.0.0.1:{api.port};",
            r"/etc/ssl/aiba/": f"{folder}/",
            r"proxy_read_timeout 30s;": "proxy_read_timeout 1s;",
        }.items():
            text, count = re.subn(shipped, here, text, flags=re.MULTILINE)
            assert count, shipped
        (folder / "site.conf").write_text(text, encoding="utf-8")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn;\n"
            # Or the worker can't write into a folder of the test's.
            f"{'user root;' if os.geteuid() == 0 else ''}\n"
            f"events {{}}\nhttp {{ access_log off; {temporary} include {folder}/site.conf; }}\n",
            encoding="utf-8",
        )
        words = [needed("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: S603 - nginx itself
        self.trusted = ssl.create_default_context(cafile=folder / "fullchain.pem")
        until(self._listens)

    @staticmethod
    def _certify(folder: Path) -> None:
        words = [needed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        words += ["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
        words += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(folder / "privkey.pem")]
        words += ["-out", str(folder / "fullchain.pem")]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - openssl itself

    def _listens(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.tls_port), PATIENCE_S).close()
        except OSError:
            return False
        return True

    def call(
        self,
        method: str,
        path: str,
        *,
        source: str = "127.0.0.1",
        **more: Any,
    ) -> httpx.Response:
        """Call the API through the proxy, from an address of the loopback's."""
        transport = httpx.HTTPTransport(verify=self.trusted, local_address=source)
        with httpx.Client(transport=transport, timeout=PATIENCE_S) as http:
            headers = {"Host": NAME, **more.pop("headers", {})}
            return http.request(
                method,
                f"https://127.0.0.1:{self.tls_port}{path}",
                headers=headers,
                extensions={"sni_hostname": NAME},
                **more,
            )


@pytest.fixture(name="proxy", scope="module")
def _proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Give one proxy with its server to all tests here."""
    folder = tmp_path_factory.mktemp("proxied")
    environ = environment(
        folder / "data",
        TRUSTED_PROXIES="127.0.0.1",
        HSTS_SECONDS="31536000",
        RATE_LIMIT_PER_MINUTE=str(A_MINUTE),
    )
    api = Server(folder / "data", environ)
    try:
        proxy = Proxy(folder / "nginx", api.wait_until_ready())
        yield proxy
        proxy.process.send_signal(signal.SIGQUIT)
        assert proxy.process.wait(PATIENCE_S) == 0
    finally:
        api.kill()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a refusal in the envelope, and return what it says."""
    assert answer.status_code == status, answer.text
    for name in (*ONCE, "strict-transport-security"):
        assert len(answer.headers.get_list(name)) == 1, name
    body: dict[str, Any] = json.loads(answer.text)
    assert (body["ok"], body["error"]["code"]) == (False, code)
    assert body["requestId"] == answer.headers["x-request-id"]
    return body


def test_nginx_finds_nothing_wrong_with_the_file_as_it_is_shipped(tmp_path: Path) -> None:
    """Not a word is said of it, with a certificate at hand."""
    Proxy._certify(tmp_path)
    text = CONFIGURATION.read_text(encoding="utf-8").replace("/etc/ssl/aiba/", f"{tmp_path}/")
    (tmp_path / "site.conf").write_text(text, encoding="utf-8")
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log;\nevents {{}}\n"
        f"http {{ include {tmp_path}/site.conf; }}\n",
        encoding="utf-8",
    )
    words = [needed("nginx"), "-q", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - nginx itself
    # From 1.25.1 on `http2` is a directive of its own, and this form a warning.
    told = [line for line in done.stderr.splitlines() if "http2" not in line]
    assert (done.returncode, told) == (0, [])


def test_whoever_comes_without_tls_is_sent_to_it(proxy: Proxy) -> None:
    """With the path, and a method that stays what it was."""
    url = f"http://127.0.0.1:{proxy.plain_port}/api/fairness?x=1"
    answer = httpx.post(url, headers={"Host": NAME}, trust_env=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://{NAME}/api/fairness?x=1"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "taken"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_only_todays_tls_is_spoken(proxy: Proxy, version: ssl.TLSVersion, *, taken: bool) -> None:
    """And HTTP/2 to whoever asks for it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", proxy.tls_port), PATIENCE_S) as line:
        try:
            with context.wrap_socket(line, server_hostname=NAME) as spoken:
                assert spoken.selected_alpn_protocol() == "h2"
                done = True
        except ssl.SSLError:
            done = False
    assert done == taken


def test_an_answer_of_the_api_comes_through_as_it_is(proxy: Proxy) -> None:
    """Its headers once, none of another, and the proxy tells no version of its own."""
    with proxy.api.client() as http:
        direct = http.get("/api/fairness")
    answer = proxy.call("GET", "/api/fairness")
    assert answer.status_code == direct.status_code == 200
    assert answer.json()["data"] == direct.json()["data"]
    own = {"server", "connection", "date", "x-request-id", "transfer-encoding", "content-length"}
    own |= {name for name in direct.headers if name.startswith("x-ratelimit-")}
    for name in set(direct.headers) - own:
        assert answer.headers.get_list(name) == direct.headers.get_list(name), name
    assert set(answer.headers) - set(direct.headers) <= own
    assert answer.headers["server"] == "nginx"
    assert len(answer.headers.get_list("x-request-id")) == 1


def test_the_limit_is_of_the_caller_whatever_he_says_of_himself(proxy: Proxy) -> None:
    """Nobody uses up another's calls, and nobody has more by naming other addresses."""
    answers = [
        proxy.call(
            "GET",
            "/api/fairness",
            source="127.0.0.9",
            headers={"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": "203.0.113.1"},
        ).status_code
        for number in range(A_MINUTE + 2)
    ]
    assert answers[: A_MINUTE - 1] == [200] * (A_MINUTE - 1)
    assert answers[-1] == 429
    assert proxy.call("GET", "/api/fairness", source="127.0.0.10").status_code == 200


def test_a_large_body_is_judged_by_the_api_and_a_huge_one_not_read(proxy: Proxy) -> None:
    """Both are told in the envelope; the API's has the limit in it."""
    body = refused(
        proxy.call("POST", "/api/auth/session", content=b" " * 1_500_000), 413, "payload too large"
    )
    assert body["error"]["details"]
    body = refused(
        proxy.call("POST", "/api/auth/session", content=b" " * 2_500_000), 413, "payload too large"
    )
    assert "details" not in body["error"]


def test_the_proxy_keeps_to_itself_what_nobody_may_see(proxy: Proxy) -> None:
    """The metrics are asked of each process, not here."""
    with proxy.api.client() as http:
        assert http.get("/metrics").status_code == 200
    refused(proxy.call("GET", "/metrics"), 404, "not found")


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (f"/{'a' * 40_000}", {}, 414, "headers too large"),
        ("/api/fairness", {"X-Long": "a" * 40_000}, 400, "bad request"),
    ],
)
def test_what_is_no_request_is_told_in_the_envelope(
    proxy: Proxy, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Also what the proxy refuses before it has asked the API."""
    refused(proxy.call("GET", path, headers=headers), status, code)


def test_an_api_that_is_slow_or_gone_is_told_so_and_never_asked_twice(proxy: Proxy) -> None:
    """A 503 as the API's own; another try is the client's, with its key."""
    proxy.api.send(signal.SIGSTOP)
    try:
        refused(proxy.call("GET", "/api/fairness", source="127.0.0.11"), 503, "timed out")
    finally:
        proxy.api.send(signal.SIGCONT)
    until(lambda: proxy.call("GET", "/ready", source="127.0.0.11").status_code == 200)
    asked = [
        line
        for line in proxy.api.log_lines()
        if line.get("path") == "/api/fairness" and line.get("status") == 499
    ]
    assert len(asked) <= 1
    proxy.api.kill()
    refused(proxy.call("GET", "/api/fairness", source="127.0.0.11"), 503, "unavailable")
