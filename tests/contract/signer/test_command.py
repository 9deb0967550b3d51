"""`aiba signer`: an operator makes, looks after, moves and checks a signer's memory."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiba_domain.signing.model import EXPIRY_MARGIN_S, MAX_AHEAD_S, Network
from aiba_entry.cli.signer import signer
from aiba_entry.signer import environment
from tests.support.signers import AUDIT_KEY, NOW, VAULT, Files, SetChain, answer, terms
from tests.support.signers import signer as signer_over

Run = Callable[..., Result]
ROOT = Path(__file__).parents[3]


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    """Make a store for a new key with one claim signed."""
    files = Files(tmp_path)
    files.run(lambda store: answer(signer_over(store), terms()))
    return files


@pytest.fixture(name="run")
def _run(files: Files) -> Run:
    """Return what runs a command over the store's files."""

    def run(*words: object, code: int = 0) -> Result:
        names = {
            environment.STORE: str(files.store),
            environment.LOG: str(files.log),
            environment.AUDIT_KEY: bytes(AUDIT_KEY).hex(),
        }
        result = CliRunner().invoke(signer, [*map(str, words)], env=names)
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def test_init_makes_a_locked_store_unless_the_key_is_new(run: Run, tmp_path: Path) -> None:
    """And nothing in place of one that is there."""
    for name, flags, locked in (("old", [], "new"), ("new", ["--new-key"], None)):
        places = ["--store", tmp_path / name / "s.db", "--log", tmp_path / name / "a.log"]
        made = run("init", *places, "--network", "testnet", *flags)
        assert json.loads(made.output)["locked"] == locked
        again = run("init", *places, "--network", "testnet", code=1)
        assert "exists" in again.output or "already" in again.output


def test_a_missing_store_is_one_clear_line(run: Run, files: Files) -> None:
    """Whichever command wants it."""
    files.store.unlink()
    for words in (["status"], ["export"], ["lock"]):
        assert "Error: there is no protection store at" in run(*words, code=1).output


def test_status_shows_what_is_worth_noting(run: Run) -> None:
    """And verify takes it as what the log must reach."""
    state = json.loads(run("status").output)
    assert (state["network"], state["locked"]) == ("testnet", None)
    assert len(state["head"]) == 64


def test_check_policy_names_every_fault(run: Run, tmp_path: Path) -> None:
    """A line each, and exit code 1."""
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("")
    assert "denies everything" in run("check-policy", good, "--network", "testnet").output
    bad.write_text("version = 2\nmax_ahead_s = 0\n")
    faults = run("check-policy", bad, "--network", "testnet", code=1).output.splitlines()
    assert [fault.partition(":")[0] for fault in faults] == ["version", "max_ahead_s"]


def test_the_example_policy_is_one(run: Run, tmp_path: Path) -> None:
    """What docs/signer.md shows can be used."""
    text = (ROOT / "docs" / "signer.md").read_text(encoding="utf-8")
    _, _, after = text.partition("```toml\n")
    example, _, _ = after.partition("```")
    (tmp_path / "policy.toml").write_text(example)
    shown = run("check-policy", tmp_path / "policy.toml", "--network", "mainnet").output
    assert shown.startswith("1 allowed, 1 rules that deny")


def test_an_export_is_imported_elsewhere(run: Run, tmp_path: Path) -> None:
    """A file that exists isn't written over, and a contradiction is named."""
    document = tmp_path / "export.json"
    run("export", "--output", document)
    assert run("export").output == document.read_text()
    assert "File exists" in run("export", "--output", document, code=1).output
    other = Files(tmp_path / "other")
    place = ["--store", other.store, "--log", other.log]
    assert "1 claims, 1 recipients merged" in run("import", *place, document).output
    got = other.run(lambda store: answer(signer_over(store), terms(amount=7)))
    assert got == "seqno_already_signed"
    changed = json.loads(document.read_text())
    changed["claims"][0]["payloadHash"] = "00" * 32
    document.write_text(json.dumps(changed))
    refused = run("import", *place, document, code=1).output
    assert f"two payloads for vault {VAULT}, recipient {terms().recipient}, seqno 1" in refused
    document.write_text("{}")
    assert "format: required" in run("import", *place, document, code=1).output
    assert "No such file" in run("import", *place, tmp_path / "missing", code=1).output


def test_a_locked_store_is_opened_by_the_chain(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the log and the chain together; what was learned is told."""
    assert json.loads(run("lock").output)["locked"] == "operator"
    missing = run("unlock", "--vault", VAULT, code=1).output
    assert "TON_PROVIDER_URL missing" in missing

    class Reader(SetChain):
        async def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(
        environment, "chain_reader", lambda *_given: Reader(paid={terms().recipient: 2})
    )
    told = run("unlock", "--vault", VAULT).output
    assert "1 watermarks raised" in told
    assert f"until chain time {NOW + MAX_AHEAD_S + EXPIRY_MARGIN_S}" in told
    assert json.loads(run("status").output)["locked"] is None


def test_verify_finds_what_is_wrong_with_a_log(run: Run, files: Files) -> None:
    """A changed byte, another key, a cut, another head: exit code 1."""
    run("lock")
    state = json.loads(run("status").output)
    key = ["--key", bytes(AUDIT_KEY.verify_key).hex()]
    shown = run("audit", "verify", files.log, *key).output
    assert "signed up to entry" in shown
    assert "locked 1" in shown
    number = len(files.lines())
    noted = ["--at-least", state["sequence"], "--head", state["head"]]
    run("audit", "verify", files.log, *key, *noted)
    wrong_key = ["--key", "22" * 32]
    assert "another key" in run("audit", "verify", files.log, *wrong_key, code=1).output
    run("audit", "verify", files.log, "--key", "zz", code=2)
    wrong_head = run("audit", "verify", files.log, "--head", "00" * 32, code=1)
    assert "BROKEN the hash" in wrong_head.output
    whole = files.log.read_bytes()
    files.log.write_bytes(b"".join(files.lines()[:-1]))
    run("audit", "verify", files.log)
    cut = run("audit", "verify", files.log, "--at-least", number, code=1)
    assert f"before {number}" in cut.output
    files.log.write_bytes(whole.replace(b'"amount":"100"', b'"amount":"900"'))
    assert "BROKEN line 3" in run("audit", "verify", files.log, code=1).output


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({environment.AUDIT_KEY: "zz"}, "64 hex chars"),
        ({environment.AUDIT_KEY: "a" * 64, f"{environment.AUDIT_KEY}_FILE": "x"}, "twice"),
        ({f"{environment.AUDIT_KEY}_FILE": "nowhere/secret"}, "can't be read"),
    ],
)
def test_a_wrong_audit_key_is_named_and_not_shown(
    files: Files, names: dict[str, str], message: str
) -> None:
    """In one line."""
    places = {environment.STORE: str(files.store), environment.LOG: str(files.log)}
    result = CliRunner().invoke(signer, ["status"], env=places | names)
    assert result.exit_code == 1
    assert message in result.output
    assert all(value not in result.output for value in names.values() if value != "x")


def test_the_key_is_in_a_token_or_here() -> None:
    """Never in both, and each missing variable of a token is named."""
    seed = "ab" * 32
    key = environment.signing_key({"ORACLE_PRIVATE_KEY_HEX": seed})
    assert seed not in repr(key)
    token = {environment.MODULE: "m", environment.TOKEN: "t", environment.LABEL: "k"}
    for name in (environment.TOKEN, environment.LABEL, environment.PIN):
        given = {**token, environment.PIN: "1"}
        del given[name]
        with pytest.raises(environment.EnvironmentUnusable, match=f"{name} missing"):
            environment.signing_key(given)
    with pytest.raises(environment.EnvironmentUnusable, match="one key signs"):
        environment.signing_key({**token, "ORACLE_PRIVATE_KEY_HEX": seed})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "TON_PROVIDER_URL missing"),
        ({"TON_PROVIDER_URL": "ftp://x"}, "TON_PROVIDER_URL"),
        ({"TON_REQUESTS_PER_SECOND": "0"}, "TON_REQUESTS_PER_SECOND"),
        ({"TON_REQUESTS_PER_SECOND": "x"}, "TON_REQUESTS_PER_SECOND"),
        ({"AIBA_DEV_CHAIN_TIME": "1"}, "test network only"),
    ],
)
def test_a_wrong_chain_is_named(names: dict[str, str], message: str) -> None:
    """By its variable."""
    given = {"TON_PROVIDER_URL": "http://127.0.0.1:1"} | names if names else {}
    with pytest.raises(environment.EnvironmentUnusable, match=message):
        environment.chain_reader(given, Network.MAINNET)


def test_every_variable_is_documented() -> None:
    """In the table of the signer's variables, and no other is."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    _, _, after = text.partition("| signer variable |")
    table, _, _ = after.partition("\n\n")
    for name in environment.VARIABLES:
        assert f"`{name}`" in table, name
