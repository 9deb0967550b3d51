"""Starting, reading again and TLS: every fault at once, and rotation without an outage."""

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from aiba_adapters.signing.oracle_keys import NamedKeys
from aiba_adapters.signing.remote import ClientTls, Patience, RemoteSigner, SignerPlace
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.signing.faults import Faulty
from aiba_entry.cli.main import main
from aiba_entry.signer.service import listener_of, open_parts
from aiba_entry.signer.settings import (
    SERVICE_VARIABLES,
    ServiceSettings,
    SignerFaults,
    read_service,
)
from aiba_entry.signer.tokens import Tokens, read_tokens
from tests.contract.process.support import AIBA, until
from tests.contract.signer_service.site import Process
from tests.contract.signer_service.support import OTHER, TOKEN, TOKENS, wire
from tests.support.signers import AUDIT_KEY, KEY, MASTER, VAULT, Files, terms

ROOT = Path(__file__).parents[3]
SEED = bytes(KEY._key).hex()
POLICY = f"""
[[allow]]
name = "arena"
network = "testnet"
vault = "{VAULT}"
jetton_master = "{MASTER}"
limits = {{ claim = 10, recipient_day = 10, day = 10, lifetime = 10 }}
"""


@pytest.fixture(name="environ")
def _environ(tmp_path: Path) -> dict[str, str]:
    """Return an environment with which a signer starts; there is no chain behind its provider."""
    files = Files(tmp_path)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "tokens").write_text(TOKENS)
    return {
        "PATH": os.environ["PATH"],
        "ORACLE_SIGNER_STORE": str(files.store),
        "ORACLE_SIGNER_LOG": str(files.log),
        "ORACLE_SIGNER_POLICY": str(tmp_path / "policy.toml"),
        "ORACLE_PRIVATE_KEY_HEX": SEED,
        "SIGNER_TOKENS_FILE": str(tmp_path / "tokens"),
        "SIGNER_PORT": "0",
        "TON_PROVIDER_URL": "http://127.0.0.1:1",
    }


def faults(environ: dict[str, str], **changes: str) -> tuple[str, ...]:
    """Return what is wrong with an environment."""
    with pytest.raises(SignerFaults) as found:
        open_parts(environ | changes)
    text = str(found.value)
    assert SEED not in text
    assert TOKEN not in text
    return found.value.faults


def test_every_fault_is_named_at_once(environ: dict[str, str], tmp_path: Path) -> None:
    """Settings, key, store, policy, tokens, provider: one start tells all of them."""
    (tmp_path / "policy.toml").write_text("[[allow]]\nname = 'x'\n")
    (tmp_path / "tokens").write_text(f"api\nother {TOKEN[:20]}\n")
    named = faults(
        environ,
        SIGNER_PORT="70000",
        SIGNER_RATE_PER_SECOND="0",
        SIGNER_TLS_KEY="key.pem",
        LOG_LEVEL="LOUD",
        ORACLE_PRIVATE_KEY_HEX=SEED[1:],
        ORACLE_SIGNER_AUDIT_KEY_HEX="short",
        ORACLE_SIGNER_STORE=str(tmp_path / "none"),
        TON_PROVIDER_URL="ftp://x",
    )
    for start in (
        "SIGNER_PORT: ",
        "SIGNER_RATE_PER_SECOND: ",
        "SIGNER_TLS_CERT: is required",
        "LOG_LEVEL: ",
        "ORACLE_PRIVATE_KEY_HEX must be 32 bytes",
        "ORACLE_SIGNER_AUDIT_KEY_HEX must be 32 bytes",
        "ORACLE_SIGNER_STORE: there is no protection store",
        "ORACLE_SIGNER_POLICY: allow[0].vault: required",
        "SIGNER_TOKENS_FILE: line 1: ",
        "SIGNER_TOKENS_FILE: line 2: ",
        "TON_PROVIDER_URL",
    ):
        assert any(fault.startswith(start) for fault in named), (start, named)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"SIGNER_TOKENS_FILE": ""}, "SIGNER_TOKENS_FILE: is required"),
        ({"ORACLE_SIGNER_STORE": ""}, "ORACLE_SIGNER_STORE: is required"),
        ({"ORACLE_SIGNER_LOG": ""}, "ORACLE_SIGNER_LOG: is required"),
        ({"ORACLE_SIGNER_POLICY": ""}, "ORACLE_SIGNER_POLICY: is required"),
        ({"ORACLE_PRIVATE_KEY_HEX": ""}, "ORACLE_PRIVATE_KEY_HEX missing"),
        ({"ORACLE_SIGNER_AUDIT_KEY_HEX": SEED}, "is the oracle's key"),
        (
            {
                "ORACLE_SIGNER_AUDIT_KEY_HEX": "11" * 32,
                "ORACLE_SIGNER_AUDIT_KEY_HEX_PREVIOUS": SEED,
            },
            "is the oracle's key",
        ),
        ({"SIGNER_HOST": "0.0.0.0"}, "SIGNER_HOST: others reach this address"),  # noqa: S104 - refused
        ({"SIGNER_HOST": "signer.example"}, "SIGNER_HOST: others reach this address"),
        ({"SIGNER_TLS_CERT": "c"}, "SIGNER_TLS_KEY: is required"),
        ({"SIGNER_TLS_CLIENT_CA": "c", "SIGNER_TLS_KEY": "k"}, "SIGNER_TLS_CERT: is required"),
        ({"SIGNER_TLS_CERT": "none", "SIGNER_TLS_KEY": "none"}, "SIGNER_TLS_CERT: "),
        ({"SIGNER_SOCKET": "/s"}, "SIGNER_PORT: goes with an address"),
        ({"SIGNER_SOCKET": "/" + "s" * 107, "SIGNER_PORT": ""}, "SIGNER_SOCKET: longer"),
    ],
)
def test_half_of_something_is_refused(
    environ: dict[str, str], changes: dict[str, str], fault: str
) -> None:
    """Each of these is the one fault."""
    (found,) = faults(environ, **changes)
    assert fault in found


def test_a_log_that_another_key_signs_is_refused_until_that_hands_it_over(
    environ: dict[str, str],
) -> None:
    """The fault names that key; with it beside, the start takes the log over."""
    old, new = "11" * 32, "12" * 32
    audit_key = environ | {"ORACLE_SIGNER_AUDIT_KEY_HEX": old}
    assert CliRunner().invoke(main, ["signer", "status"], env=audit_key).exit_code == 0
    (found,) = faults(environ, ORACLE_SIGNER_AUDIT_KEY_HEX=new)
    assert found.startswith("ORACLE_SIGNER_AUDIT_KEY_HEX: the log is signed by another key, ")
    assert bytes(SigningKey(bytes.fromhex(old)).verify_key).hex() in found
    beside = {"ORACLE_SIGNER_AUDIT_KEY_HEX": new, "ORACLE_SIGNER_AUDIT_KEY_HEX_PREVIOUS": old}
    for more in (beside, {"ORACLE_SIGNER_AUDIT_KEY_HEX": new}):
        parts = open_parts(environ | more)
        parts.file.close()
        asyncio.run(parts.reader.close())


def test_a_policy_that_allows_nothing_here_is_refused(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """A signer that can sign nothing is a mistake, which its start tells."""
    (tmp_path / "policy.toml").write_text("")
    assert faults(environ) == ("ORACLE_SIGNER_POLICY: it allows nothing on testnet",)


def test_the_command_says_so_and_exits_with_78(environ: dict[str, str]) -> None:
    """Without the store nothing starts."""
    run = CliRunner().invoke(main, ["signer", "serve"], env=environ | {"ORACLE_SIGNER_LOG": ""})
    assert run.exit_code == 78
    assert "- ORACLE_SIGNER_LOG: is required" in run.output


def test_what_is_opened_shows_no_secret(environ: dict[str, str]) -> None:
    """Neither key nor token, in whatever is printed of it."""
    parts = open_parts(environ | {"ORACLE_SIGNER_AUDIT_KEY_HEX": bytes(AUDIT_KEY).hex()})
    shown = repr(parts)
    parts.file.close()
    asyncio.run(parts.reader.close())
    for secret in (SEED, TOKEN, OTHER, bytes(AUDIT_KEY).hex(), repr(bytes(KEY._key))):
        assert secret not in shown


def test_every_variable_of_the_service_is_documented() -> None:
    """In the table of the signer's variables."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = text.partition("| signer variable |")[2].partition("\n\n")[0]
    for name in SERVICE_VARIABLES:
        assert f"`{name}`" in table, name


@given(st.text(max_size=200))
def test_any_tokens_file_is_read_or_refused(text: str) -> None:
    """Without showing a token in either case."""
    with contextlib.suppress(Faulty):
        assert read_tokens(text).names


def test_a_hash_stands_for_its_token() -> None:
    """The line that `new-token` prints lets its token in, and no name twice."""
    digest = "2a" * 32
    assert read_tokens(f"api sha256:{digest}").name_of(digest.encode()) is None
    with pytest.raises(Faulty, match="there already"):
        read_tokens(f"api {TOKEN}\nother {TOKEN}")
    with pytest.raises(Faulty, match="there already"):
        read_tokens(f"api {TOKEN}\napi {OTHER}")
    with pytest.raises(Faulty, match="no token"):
        read_tokens("# nobody\n")
    tokens: Tokens = read_tokens(TOKENS)
    assert tokens.names == ("api", "other")
    assert tokens.name_of(OTHER.encode()) == "other"
    assert TOKEN not in repr(tokens)


def test_new_keys_and_tokens_are_their_owners_alone(tmp_path: Path) -> None:
    """Nothing is overwritten; the line for the tokens file lets the token in."""
    runner = CliRunner()
    key, token = tmp_path / "key", tmp_path / "token"
    made = runner.invoke(main, ["signer", "new-key", str(key)])
    assert key.stat().st_mode & 0o777 == 0o600
    known = runner.invoke(
        main, ["signer", "public-key"], env={"ORACLE_PRIVATE_KEY_HEX_FILE": str(key)}
    )
    assert known.output == made.output
    assert key.read_text().strip() not in made.output
    line = runner.invoke(main, ["signer", "new-token", "api", str(token)]).output
    assert read_tokens(line).name_of(token.read_text().strip().encode()) == "api"
    for command in (["new-key", str(key)], ["new-token", "api", str(token)]):
        again = runner.invoke(main, ["signer", *command])
        assert again.exit_code == 1
        assert "File exists" in again.output
    for wrong in (["new-token", "a b", str(tmp_path / "x")], ["set-oracle", "xyz"]):
        assert runner.invoke(main, ["signer", *wrong]).exit_code == 2


def settings_at(path: Path) -> ServiceSettings:
    """Return settings of a signer that listens on a socket."""
    return read_service({"SIGNER_SOCKET": str(path)})[0]


def test_a_socket_is_its_owners_and_groups_and_taken_once(tmp_path: Path) -> None:
    """One that is in use stays; one that a crash left is replaced."""
    path = tmp_path / "s"
    first = listener_of(settings_at(path))
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(FileExistsError):
        listener_of(settings_at(path))
    first.close()
    listener_of(settings_at(path)).close()


@pytest.fixture(name="tls")
def _tls(tmp_path: Path) -> Path:
    """Return a folder with an authority, and a server's and a client's certificate of it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make certificates with")
    folder = tmp_path / "tls"
    folder.mkdir()

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S603 - fixed words

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for ca in ("ca", "stranger"):
        run("req", "-x509", *new, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, ca in (("server", "ca"), ("client", "ca"), ("other", "stranger")):
        run("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2")
        run("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem", "-extfile", "ext")
    return folder


@pytest.fixture(name="started")
def _started(environ: dict[str, str], tls: Path, tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """Return a signer behind mutual TLS that runs as a process, and its URL."""
    more = {
        "SIGNER_TLS_CERT": str(tls / "server.pem"),
        "SIGNER_TLS_KEY": str(tls / "server.key"),
        "SIGNER_TLS_CLIENT_CA": str(tls / "ca.pem"),
    }
    process = Process((*AIBA, "signer", "serve"), environ | more, tmp_path / "said")
    process.until_said("Signer ")
    line = next(line for line in process.text.splitlines() if line.startswith("Signer "))
    yield process, line.split()[-1]
    process.kill()


def trusting(tls: Path, client: str | None) -> ssl.SSLContext:
    """Return a client's context, with a certificate or none."""
    files = (
        {}
        if client is None
        else {"certificate": tls / f"{client}.pem", "key": tls / f"{client}.key"}
    )
    return ClientTls(ca=tls / "ca.pem", **files).context()


def test_only_known_certificates_get_in_and_tokens_rotate(
    started: tuple[Process, str], tls: Path, tmp_path: Path
) -> None:
    """Nobody else is heard; a changed tokens file holds at once, a faulty one leaves the old."""
    process, url = started

    def ask(client: str | None, token: str) -> int:
        with httpx.Client(verify=trusting(tls, client), trust_env=False) as http:
            head = {"authorization": f"Bearer {token}"}
            return http.post(url, json=wire(terms()), headers=head).status_code

    for client in (None, "other"):
        with pytest.raises(httpx.TransportError):
            ask(client, TOKEN)
    # There is no chain, so the right token gets as far as 503, and a wrong one to 401.
    assert ask("client", TOKEN) == 503
    assert ask("client", "wrong" + TOKEN) == 401
    fresh = "a-fresh-token-0123456789-abcdefghij"
    (tmp_path / "tokens").write_text(f"api {fresh}\n")
    process.process.send_signal(signal.SIGHUP)
    until(lambda: ask("client", fresh) == 503)
    assert ask("client", TOKEN) == 401
    (tmp_path / "tokens").write_text("broken\n")
    until(lambda: "tokens not usable" in process.text)
    assert ask("client", fresh) == 503
    until(lambda: "tls read again" in process.text)
    assert process.stop() == 0
    for secret in (SEED, TOKEN, fresh):
        assert secret not in process.text


def test_it_is_no_part_of_the_game() -> None:
    """Nothing of the game's rules is in a signer's process."""
    modules = subprocess.run(  # noqa: S603 - this project's own command
        [AIBA[0], "-c", "import sys, aiba_entry.cli.signer; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    game = (
        "battle",
        "brokers",
        "economy",
        "guilds",
        "moderation",
        "fairness",
        "players",
        "application",
    )
    assert not [
        name for name in modules if name.startswith(tuple(f"aiba_domain.{x}" for x in game))
    ]


def test_the_client_shows_its_certificate(started: tuple[Process, str], tls: Path) -> None:
    """And isn't let in without it, which it says without its token."""
    _, url = started

    async def reason(client: str | None) -> str:
        files = (
            {}
            if client is None
            else {"certificate": tls / f"{client}.pem", "key": tls / f"{client}.key"}
        )
        place = SignerPlace(url=url, token=TOKEN, tls=ClientTls(ca=tls / "ca.pem", **files))
        keys = NamedKeys({KEY.public_key})
        signer = RemoteSigner(place, keys=keys, patience=Patience(attempts=1))
        with pytest.raises(SignerUnavailable) as failed:
            await signer.sign(terms())
        await signer.close()
        return str(failed.value)

    assert asyncio.run(reason("client")) == "the signer answered 503 unavailable"
    assert "isn't reached" in asyncio.run(reason(None))
