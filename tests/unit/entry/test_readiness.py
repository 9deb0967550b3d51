"""The readiness gate: what production asks for, all of it at once, and never a secret's value."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from aiba_entry.cli.doctor import doctor, read_env_file
from aiba_entry.cli.main import main
from aiba_entry.disks import DATABASE
from aiba_entry.readiness.advice import CODES, REFERENCE_ERRORS, REFERENCE_WARNINGS
from aiba_entry.readiness.checks import LEFTOVERS, SERVICE_CHECKS
from aiba_entry.readiness.findings import Finding, Readiness
from aiba_entry.readiness.judgment import judge
from aiba_entry.readiness.report import document, refusal_of, text_of
from aiba_entry.settings import SettingsError, load
from aiba_entry.signer.environment import VARIABLES as SIGNER_VARIABLES
from aiba_entry.variables import SECRETS, SecretFile, Variables
from tests.support.ready import (
    BESIDE,
    DISKS,
    FAILING,
    LIVE,
    LOCAL_KEY,
    READY,
    SIGNER,
    VAULT,
    WITHOUT_MONGO,
)

ROOT = Path(__file__).parents[3]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ELSEWHERE = {"signer_setting_invalid", "live_not_asked", "data_file_exposed", *LIVE}
"""The codes that only a signer, a store that is there, or an answer from outside brings up."""

WARNINGS = {
    *("max_age_high", "ton_api_key_missing", "store_on_one_machine"),
    *("metrics_open", "metrics_closed", "secret_file_in_group", "data_dir_in_layer"),
    "data_file_exposed",
}
BESIDES = {"data_dir_in_layer": ("store_on_one_machine",)}
"""What is told beside a code, which can't appear without it."""

NO_SECRETS = {
    *("SESSION_TTL_SECONDS", "ADMIN_TOKEN_TTL_SECONDS", "ORACLE_PUBLIC_KEY_HEX"),
    *("ORACLE_SIGNER_CLIENT_KEY", "ADMIN_PASSWORD", *LEFTOVERS),
    "SESSION_RATE_LIMIT_PER_MINUTE",
}
"""What sounds like a secret: lifetimes, a public key, a path, and what is always refused."""

SOUNDS_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|_KEY|HASH|_URI|REDIS_URL|PIN$|SESSION|MNEMONIC")


def files(path: str) -> SecretFile:
    """Read the files that the table of failures names."""
    known = {
        "empty": SecretFile("\n", exposed=False),
        "exposed": SecretFile(f"{READY['SESSION_SECRET']}\n", exposed=True),
        "in_group": SecretFile(f"{READY['SESSION_SECRET']}\n", exposed=False, in_group=True),
    }
    if path not in known:
        raise FileNotFoundError(path)
    return known[path]


def disk(path: str) -> str:
    """Return the kind of file system that a path of the table of failures is on."""
    return DISKS.get(path, "ext4")


def found(environ: Mapping[str, str]) -> Readiness:
    """Judge an environment, with its secrets in the report of nobody."""
    readiness = judge(environ, files, disk)
    shown = refusal_of(readiness) + document(readiness, "prod", None) + repr(readiness)
    assert not [name for name in SECRETS if (text := environ.get(name)) and text in shown]
    return readiness


def codes(findings: tuple[Finding, ...]) -> list[str]:
    """Return the codes of findings."""
    return [finding.code for finding in findings]


def rows(title: str) -> dict[str, list[str]]:
    """Return the rows of the configuration's tables with a title, by their first cell's names."""
    table: dict[str, list[str]] = {}
    here = False
    for line in CONFIGURATION.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        here = bool(cells) and (here or cells[0] == title)
        if here:
            table |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[1:])
    return table


# --- the checks ---


def test_an_environment_without_fault_is_ready() -> None:
    """Nothing is found, and the settings say the same."""
    assert found(READY) == Readiness(prod=True, errors=(), warnings=())
    assert found({**READY, **LOCAL_KEY}).ready
    load(READY)


@pytest.mark.parametrize("code", FAILING)
def test_each_check_fails_for_its_own_reason(code: str) -> None:
    """One change, one finding: by its code, about a variable of that change, with its mend."""
    readiness = found({**READY, **FAILING[code]})
    told = readiness.warnings if code in WARNINGS else readiness.errors
    told = tuple(each for each in told if each.code not in BESIDES.get(code, ()))
    assert codes(told) == [code]
    changed = {name.removesuffix("_FILE") for name in FAILING[code]}
    assert {name.removesuffix("_FILE") for name in told[0].variables} & changed
    assert readiness.ready == (code in WARNINGS)


def test_each_code_has_a_failing_test_a_mend_and_a_row_of_its_own() -> None:
    """A check that nothing makes fail, or that nobody can look up, isn't one."""
    assert set(FAILING) | ELSEWHERE == set(CODES)
    assert set(rows("code")) == set(CODES)
    assert set(REFERENCE_ERRORS) | set(REFERENCE_WARNINGS) <= set(CODES)
    assert [code for code in CODES if code in REFERENCE_ERRORS] == list(REFERENCE_ERRORS)
    for code, advice in CODES.items():
        assert advice.mend.endswith(".")
        path, _, anchor = advice.doc.partition("#")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not anchor or f"\n## {anchor.capitalize()}\n" in text
        kind = rows("code")[code][0]
        assert kind in {"error", "warning"}
        assert code.startswith("live_") or (kind == "warning") == (code in WARNINGS)


def test_what_is_told_to_do_can_be_done() -> None:
    """The variables that mends name are documented, and the commands exist."""
    documented = set(rows("variable"))
    for advice in CODES.values():
        for name in re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", advice.mend):
            assert name == "NAME_FILE" or name.removesuffix("_FILE") in documented
        words = (advice.command or "").split()
        if words[:1] == ["aiba"]:
            command: click.Command = main
            for word in words[1:]:
                if isinstance(command, click.Group):
                    part = command.get_command(click.Context(command), word)
                    assert part is not None
                    command = part


@given(st.sets(st.sampled_from(sorted(FAILING)), min_size=1, max_size=6))
def test_all_problems_are_told_at_once(chosen: set[str]) -> None:
    """Whatever is wrong together is refused together, and settings and gate agree on it."""
    environ = dict(READY)
    for code in sorted(chosen):
        environ |= FAILING[code]
    readiness = found(environ)
    assert codes(readiness.errors) == sorted(codes(readiness.errors), key=list(CODES).index)
    service = {
        name
        for check in SERVICE_CHECKS
        for finding in check(Variables(environ, files, disk))
        for name in finding.variables
    }
    told = {name for finding in readiness.errors for name in finding.variables}
    try:
        load(environ, files)
        refused: set[str] = set()
    except SettingsError as error:
        refused = set(error.problems)
    assert refused <= told
    assert told - refused <= service


def test_one_secret_has_one_purpose() -> None:
    """A value is found wherever else it stands: in another case, in a URL, in a longer secret."""
    word = "word-of-the-database-93ab"
    for changes in (
        {"MONGO_URI": f"mongodb://aiba:{word}@db1,db2/aiba", "REDIS_PASSWORD": word},
        {"MONGO_URI": f"mongodb://aiba:{word}@db1,db2/aiba", "SESSION_SECRET": f"{word}-and-more"},
        {"REDIS_URL": f"rediss://:{word.upper()}@cache", "TON_API_KEY": word},
        {"ADMIN_JWT_SECRET_PREVIOUS": READY["ADMIN_JWT_SECRET"]},
        {"ORACLE_SIGNER_TOKEN": READY["BATTLE_SEED_SECRET"]},
    ):
        url = {} if "REDIS_PASSWORD" not in changes else {"REDIS_URL": "redis://cache"}
        assert codes(found({**READY, **url, **changes}).errors) == ["secret_reused"]


def test_withdrawals_are_configured_whole_or_not_at_all() -> None:
    """Without any of it the service starts without them; with some of it, it doesn't."""
    names = (*VAULT, *SIGNER)
    assert found({**READY, **dict.fromkeys(names, "")}).ready
    for name in names:
        alone = {**READY, **dict.fromkeys(names, ""), name: READY[name]}
        assert found(alone).ready == (name == "TON_API_KEY")
        assert name == "TON_API_KEY" or not found({**READY, name: ""}).ready


# --- D-20, D-21, D-63 ---


@pytest.mark.parametrize(
    "name", ["production", "PROD", " prod ", "\ufeffprod", "staging", "", "Dev"]
)
def test_d20_what_is_no_environment_is_judged_as_production(name: str) -> None:
    """Nobody gets a developer's rules by a name that is nearly one, whatever NODE_ENV says."""
    for node in ("", "production", "test"):
        environ = {"APP_ENV": name, "NODE_ENV": node, "AIBA_DEV_HEADER_AUTH": "true"}
        readiness = found(environ)
        assert readiness.prod
        assert "app_env_unknown" in codes(readiness.errors)
        assert {"dev_switch_on", "jwt_missing"} <= set(codes(readiness.errors))
    assert not found({}).ready


def test_d20_a_developers_rules_need_their_own_name(tmp_path: Path) -> None:
    """In dev and test nothing is asked for, but a faulty value is a fault."""
    for name in ("dev", "test"):
        environ = {"APP_ENV": name, "NODE_ENV": "production", "AIBA_DATA_DIR": str(tmp_path / "d")}
        assert found(environ) == Readiness(prod=False, errors=(), warnings=())
        assert codes(found({**environ, "PORT": "-1"}).errors) == ["setting_invalid"]
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["SESSION_SECRET", "BATTLE_SEED_SECRET", "ADMIN_JWT_SECRET"])
def test_d21_no_secret_has_a_default(name: str) -> None:
    """A missing secret stops production; nothing is put in its place."""
    readiness = found({**READY, name: ""})
    assert [finding.variables for finding in readiness.errors] == [(name,)]


@given(
    st.dictionaries(
        st.sampled_from([*SECRETS, "ADMIN_PASSWORD", *LEFTOVERS]),
        st.sampled_from(["", "mongodb://", "redis://:", "1:", "$2b$12$"]),
        min_size=1,
    ),
    st.sampled_from(["prod", "dev", "nonsense"]),
)
def test_d63_no_secret_is_printed(given_secrets: dict[str, str], name: str) -> None:
    """However a secret is given and whatever is wrong with it, its value is in no output."""
    canaries = {each: f"{form}canary-{each.lower()}" for each, form in given_secrets.items()}
    in_files = {f"{each}_FILE": canaries[each] for each in list(canaries)[::2]}
    for environ in ({"APP_ENV": name, **canaries}, {"APP_ENV": name, **canaries, **in_files}):
        readiness = judge(environ, files)
        shown = refusal_of(readiness) + document(readiness, name, None)
        assert "canary" not in shown
        with pytest.raises(SettingsError) as caught:
            load({**environ, "PORT": "many"}, files)
        assert "canary" not in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(sorted({*rows("variable"), "AIBA_DEV_UNHEARD_OF", "ADMIN_MNEMONIC"})),
        st.one_of(
            st.text(max_size=80),
            st.sampled_from(
                ["http://[", "http://a@b:c", "mongodb://a:b@c/d?x", "1e999", "\udcff" * 40]
            ),
        ),
        max_size=8,
    ),
    st.sampled_from([READY, {**READY, **LOCAL_KEY}, {"APP_ENV": "test"}, {}]),
)
def test_no_text_breaks_the_gate(texts: dict[str, str], base: Mapping[str, str]) -> None:
    """Whatever stands in a variable is judged, and what is ready can be loaded."""
    environ = {**base, **texts}
    readiness = judge(environ, files)
    assert json.loads(refusal_of(readiness).splitlines()[-1])["code"] == readiness.code
    if readiness.ready and readiness.prod:
        load(environ, files)


def tracked() -> Iterator[Path]:
    """Yield the repository's own text files."""
    for folder in ("src", "docs", "tools", "bench", "contracts"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.stat().st_size < 2**20:
                yield path
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.name != ".git")


def test_d63_no_secret_is_committed() -> None:
    """No file of the product holds a key, a bot's token, or a URL with a password."""
    patterns = {
        "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"),
        "a bot's token": re.compile(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b"),
        "a cloud key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
        "an assigned key": re.compile(
            r"(?:_SECRET|_TOKEN|_KEY_HEX|_PASSWORD)\s*[=:]\s*[\"']?[0-9a-f]{64}\b"
        ),
        "a URL's password": re.compile(r"(?:mongodb(?:\+srv)?|rediss?)://\w+:[A-Za-z0-9]{12,}@"),
    }
    leaks = []
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        leaks += [f"{path}: {what}" for what, one in patterns.items() if one.search(text)]
    assert leaks == []
    assert not list(ROOT.glob(".env*"))


# --- secrets in files ---


def test_every_secret_is_known_as_one() -> None:
    """A variable that sounds like a secret is one, or is named here as none."""
    documented = {name for name in rows("variable") if SOUNDS_SECRET.search(name)}
    assert documented | set(LEFTOVERS) == set(SECRETS) | NO_SECRETS


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    """By itself or in a file is the same; both, no file, an empty one, or an open one is not."""
    extra = {
        "ORACLE_PRIVATE_KEY_HEX": LOCAL_KEY,
        "REDIS_PASSWORD": {"REDIS_URL": "redis://cache", "REDIS_PASSWORD": "redis-word-17cd"},
        **{other: {other: text} for other, text in BESIDE.items()},
        "DOCS_TOKEN": {"DOCS_TOKEN": "docs-page-2b7d04e9f6a1853c-Mk-ready"},
    }
    environ = {**READY, **extra.get(name, {})}
    path = tmp_path / "secret"
    path.write_text(f"{environ[name]}\r\n", encoding="utf-8")
    path.chmod(0o400)
    by_file = {**environ, name: "", f"{name}_FILE": str(path)}
    assert judge(by_file) == judge(environ) == Readiness(prod=True, errors=(), warnings=())
    assert load(by_file) == load(environ)
    twice = judge({**environ, f"{name}_FILE": str(path)})
    assert "secret_given_twice" in codes(twice.errors)
    path.chmod(0o460)
    (lent,) = judge(by_file).warnings
    assert (lent.code, lent.variables) == ("secret_file_in_group", (f"{name}_FILE",))
    path.chmod(0o444)
    (exposed,) = judge(by_file).errors
    assert (exposed.code, exposed.variables) == ("secret_file_exposed", (f"{name}_FILE",))
    assert judge({**by_file, "APP_ENV": "test"}).ready
    path.write_text(" \n", encoding="utf-8")
    assert "secret_file_empty" in codes(judge(by_file).errors)
    path.write_bytes(b"\xff\xfe")
    assert "secret_file_unreadable" in codes(judge(by_file).errors)
    path.unlink()
    assert "secret_file_unreadable" in codes(judge(by_file).errors)


def test_a_key_that_everybody_can_read_is_no_key(tmp_path: Path) -> None:
    """Also the key by which this process shows the signer who it is."""
    path = tmp_path / "client.key"
    path.write_text("no key that TLS could use")
    for mode, expected in ((0o400, False), (0o444, True)):
        path.chmod(mode)
        errors = judge({**READY, "ORACLE_SIGNER_CLIENT_KEY": str(path)}).errors
        about = {name for each in errors for name in each.variables if "exposed" in each.code}
        assert about == ({"ORACLE_SIGNER_CLIENT_KEY"} if expected else set())


def test_a_store_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    """A new one isn't; one that was made before, or copied, may be."""
    environ = {**READY, **WITHOUT_MONGO, "AIBA_DATA_DIR": str(tmp_path)}
    for mode, expected in ((None, False), (0o600, False), (0o640, False), (0o644, True)):
        if mode is not None:
            (tmp_path / DATABASE).touch()
            (tmp_path / DATABASE).chmod(mode)
        warnings = codes(found(environ).warnings)
        assert ("data_file_exposed" in warnings) == expected
        assert set(warnings) <= {"store_on_one_machine", "data_file_exposed"}


# --- what is told ---


def test_a_refusal_is_for_people_and_machines() -> None:
    """Lines with a mend each, and one JSON object as the last line."""
    *lines, machine = refusal_of(found({**READY, "PORT": "many", "ADMIN_EMAIL": ""})).splitlines()
    assert lines[0] == "PROD_READINESS_FAILED: refused to start, 2 problem(s)"
    assert "- PORT: must be a whole number from 0 to 65535 [setting_invalid]" in lines
    told = json.loads(machine)
    assert told["code"] == "PROD_READINESS_FAILED"
    assert [each["code"] for each in told["errors"]] == ["admin_email_missing", "setting_invalid"]
    assert all(each["mend"] and each["doc"] and each["variables"] for each in told["errors"])


def write(path: Path, environ: Mapping[str, str]) -> str:
    """Write an environment as a file, and return its name."""
    lines = [f"export {name}='{text}'" for name, text in environ.items()]
    path.write_text("\n".join(["# the arena", "", *lines]), encoding="utf-8")
    return str(path)


def test_the_doctor_judges_a_file_without_starting(tmp_path: Path) -> None:
    """Ready is 0, not ready is 78, in words and as JSON; the caller's own variables don't count."""
    run = CliRunner(env={"PORT": "many"}).invoke
    good = run(doctor, ["--env-file", write(tmp_path / "good", READY)])
    assert (good.exit_code, good.output) == (
        0,
        "ready, by production's rules; nothing was asked\n",
    )
    bad = write(tmp_path / "bad", {**READY, "CORS_ORIGIN": "*", "TON_API_KEY": ""})
    words, told = run(doctor, ["--env-file", bad]), run(doctor, ["--env-file", bad, "--json"])
    assert words.exit_code == told.exit_code == 78
    assert "mend: List exact origins" in words.output
    record = json.loads(told.output)
    assert (record["ready"], record["code"]) == (False, "PROD_READINESS_FAILED")
    assert [each["code"] for each in record["errors"]] == ["cors_origin_shape"]
    assert [each["code"] for each in record["warnings"]] == ["ton_api_key_missing"]
    assert not any(READY[name] in words.output + told.output for name in SECRETS if name in READY)
    assert run(doctor, []).exit_code == 78


def test_the_doctor_asks_nothing_of_faulty_settings(tmp_path: Path) -> None:
    """What can't be read can't be asked; the finding says so."""
    bad = write(tmp_path / "bad", {**READY, "PORT": "many"})
    result = CliRunner().invoke(doctor, ["--env-file", bad, "--live", "--json"])
    assert "live_not_asked" in [each["code"] for each in json.loads(result.output)["warnings"]]


def test_files_of_variables_are_read_as_others_read_them(tmp_path: Path) -> None:
    """Comments, quotes and blanks; what is no line of it is refused by its number alone."""
    path = tmp_path / "env"
    path.write_text("A=1 # one\nB='a # b'\nexport C=\"x y\"\nD=a#b\nE=\n", encoding="utf-8")
    assert read_env_file(path) == {"A": "1", "B": "a # b", "C": "x y", "D": "a#b", "E": ""}
    for content in (b"A=1\nsecret-word\n", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(click.ClickException) as caught:
            read_env_file(path)
        assert "secret-word" not in caught.value.message


def test_the_signer_refuses_in_the_same_form() -> None:
    """Its own settings are told as the service's are, with the same exit code."""
    run = CliRunner(env=dict.fromkeys(SIGNER_VARIABLES)).invoke(main, ["signer", "serve"])
    assert run.exit_code == 78
    told = json.loads(run.stderr.splitlines()[-1])
    assert told["code"] == "SIGNER_NOT_READY"
    assert {each["code"] for each in told["errors"]} == {"signer_setting_invalid"}
    named = {name for each in told["errors"] for name in each["variables"]}
    assert {"ORACLE_SIGNER_STORE", "ORACLE_PRIVATE_KEY_HEX", "SIGNER_TOKENS_FILE"} <= named


def test_a_finding_reads_well() -> None:
    """What, why, and where to look, without the reader knowing any code."""
    (finding,) = found({**READY, "ADMIN_JWT_SECRET": ""}).errors
    assert text_of("title", [finding]).splitlines() == [
        "title",
        "- ADMIN_JWT_SECRET: is required in prod [jwt_missing]",
        "    mend: Set ADMIN_JWT_SECRET_FILE to a new secret.",
        "    run:  openssl rand -hex 32",
        "    see:  docs/configuration.md#readiness",
    ]
