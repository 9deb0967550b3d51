"""The files under deploy/ are ones that this service can be run with.

No engine is needed: each file is read as the engine reads it, and held against the service itself.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import certifi
import click
import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner

from aiba_entry.cli.main import main
from aiba_entry.forms import whole
from aiba_entry.http.protocol import READ_SECONDS
from aiba_entry.http.server import DRAIN_SECONDS
from aiba_entry.readiness.judgment import judge
from aiba_entry.settings import load
from aiba_entry.signer.settings import read_service
from aiba_entry.variables import SecretFile
from tests.contract.http.support import Api
from tests.support.ready import READY

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
CONFIGURATION: Final = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
DOCKERFILE: Final = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS: Final = sorted(
    path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"
)
USER: Final = 10_001
DRAIN: Final = DRAIN_SECONDS + 5
"""How long whatever ends the process must wait before it kills it."""

FILES: Final[Mapping[str, str]] = {
    name.lower().replace("_", "-").removesuffix("-hex"): READY[name]
    for name in READY
    if name not in ("APP_ENV", "CORS_ORIGIN")
} | {"redis-url": READY["REDIS_URL"], "mongo-uri": READY["MONGO_URI"]}


def named(words: list[str]) -> click.Command | None:
    """Return the command of `aiba` that words begin with."""
    at: click.Command = main
    for word in words:
        if not isinstance(at, click.Group):
            break
        found = at.get_command(click.Context(at), word)
        if found is None:
            return None
        at = found
    return None if isinstance(at, click.Group) else at


def is_command(words: list[str], environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether words are a whole command of `aiba` in an environment, options checked."""
    at = named(words)
    if at is None:
        return False
    place = next(index for index in range(len(words)) if named(words[: index + 1]))
    words = words[place + 1 :]
    with patch.dict(os.environ, environ or {}):
        at.make_context(at.name, words)
    return True


def secrets(path: str) -> SecretFile:
    """Read a mounted secret by the name of its file."""
    name = Path(path).name
    if name not in FILES:
        raise FileNotFoundError(name)
    return SecretFile(FILES[name], exposed=False)


def known(variable: str) -> bool:
    """Tell whether the configuration describes a variable, or the secret it names a file of."""
    return any(f"`{name}`" in CONFIGURATION for name in (variable, variable.removesuffix("_FILE")))


# --- the image ---


def test_every_image_is_of_a_named_version_and_no_registry_is_named() -> None:
    """What is built tomorrow is built from the same; where from is the engine's to say."""
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE)
    # One argument, so that both stages are of one Debian, and it can be pinned by digest.
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"[a-z]+:\d[\w.-]+", base)
    assert set(images) - set(stages) == {"${BASE}"}
    for document in documents():
        for container in containers(document):
            assert re.fullmatch(r"aiba-arena(:\d+\.\d+\.\d+)?", container["image"])


def test_the_image_runs_as_nobody_and_starts_the_service() -> None:
    """Its last stage has a user, a health check on a served path, and a command that there is."""
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(rf"^USER {USER}:{USER}$", last, re.MULTILINE)
    (command,) = re.findall(r"^CMD \[(.+)\]$", last, re.MULTILINE)
    program, *words = [word.strip(' "') for word in command.split(",")]
    assert program == "aiba"
    assert is_command(words)
    (path,) = re.findall(r"\{os\.environ\[[^]]+\]\}(/\w+)", last)
    assert Api().call("GET", path).status_code == 200
    assert "pip install" not in last
    assert "STOPSIGNAL SIGTERM" in last
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for each in source.split():
            assert (ROOT / each).exists(), each


def pins(path: Path) -> dict[str, set[str]]:
    """Return the hashes of each pinned package."""
    blocks = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8"))
    return {
        block.split()[0]: set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block))
        for block in blocks
    }


def test_the_image_has_the_pinned_packages_and_no_developers_tool() -> None:
    """Each is one of the lock that the tests run with, to the hash."""
    run, everything = pins(DEPLOY / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert run.items() <= everything.items()
    assert all(run.values())
    names = {name.partition("==")[0] for name in run}
    assert {"litestar", "uvicorn", "pymongo", "redis", "python-pkcs11"} <= names
    assert not {"pytest", "hypothesis", "mypy", "ruff", "mutmut", "tonpy"} & names
    assert "://" not in (DEPLOY / "requirements.lock").read_text()
    script = (DEPLOY / "install.sh").read_text()
    assert script.count("--require-hashes") == 2


# --- systemd ---


def unit(path: Path) -> list[tuple[str, str]]:
    """Return the directives of a unit's service with those of its drop-ins."""
    files = [path, *sorted(path.with_name(f"{path.name}.d").glob("*.conf"))]
    found = []
    for file in files:
        section = ""
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = line
            elif "=" in line and not line.startswith("#") and section == "[Service]":
                name, _, value = line.partition("=")
                found.append((name, value))
    return found


def environment(path: Path) -> dict[str, str]:
    """Return what a unit's process is told, its credentials in the folder `credentials`."""
    environ: dict[str, str] = {}
    for name, value in unit(path):
        if name == "EnvironmentFile":
            lines = (DEPLOY / "systemd" / Path(value).name).read_text(encoding="utf-8").splitlines()
            pairs = [line.lstrip("#") for line in lines if re.match(r"#?[A-Z_]+=", line)]
            environ |= dict(pair.split("=", 1) for pair in pairs)
        elif name == "Environment":
            variable, _, text = value.partition("=")
            environ[variable] = text.replace("%d", "credentials")
    hidden = {
        each for name, value in unit(path) if name == "UnsetEnvironment" for each in value.split()
    }
    return {name: text for name, text in environ.items() if name not in hidden}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_there_is_and_is_told_what_is_read(path: Path) -> None:
    """Commands parse, variables are documented, and every credential that is named is loaded."""
    directives = unit(path)
    (start,) = [value for name, value in directives if name == "ExecStart"]
    words = shlex.split(start)
    if words[0] == "/bin/sh":
        words = shlex.split(words[-1])[1:]
    assert words[0] == "/usr/local/lib/aiba/bin/aiba"
    assert is_command(words[1:])
    environ = environment(path)
    assert not [name for name in environ if not known(name)]
    loaded = {value.partition(":")[0] for name, value in directives if name == "LoadCredential"}
    named = {Path(text).name for text in environ.values() if text.startswith("credentials/")}
    assert loaded == named


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_gives_up_on_a_refused_environment_and_waits_for_a_drain(path: Path) -> None:
    """Exit code 78 isn't tried again, any other end is; a drain has its time."""
    directives = dict(unit(path))
    if directives["Type"] == "oneshot":
        return
    assert directives["Type"] == "notify"
    assert int(directives["WatchdogSec"]) >= 60
    assert directives["Restart"] == "always"
    assert directives["RestartPreventExitStatus"] == "78"
    assert int(directives["TimeoutStopSec"]) >= DRAIN


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_may_do_little(path: Path) -> None:
    """It is no root, gets no rights, and writes to its own folders alone."""
    directives = dict(unit(path))
    assert directives["User"] not in ("", "root")
    assert directives["CapabilityBoundingSet"] == ""
    assert directives["ProtectSystem"] == "strict"
    for name in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "MemoryDenyWriteExecute"):
        assert directives[name] == "yes"
    # Without them the process's own metrics would be gone.
    assert "ProcSubset" not in directives


def test_api_and_signer_are_users_of_their_own_that_meet_at_the_socket() -> None:
    """The key is readable to the signer alone; the API is in the group of its socket."""
    api, signer = (DEPLOY / "systemd" / f"{name}.service" for name in ("aiba", "aiba-signer"))
    assert dict(unit(api))["User"] != dict(unit(signer))["User"]
    assert dict(unit(api))["SupplementaryGroups"] == dict(unit(signer))["Group"]
    socket = environment(signer)["SIGNER_SOCKET"]
    assert environment(api)["ORACLE_SIGNER_URL"] == f"unix:{socket}"
    assert Path(socket).parent.name == dict(unit(signer))["RuntimeDirectory"]
    assert "oracle-key" not in str(unit(api))


def test_the_environments_of_the_units_are_ready() -> None:
    """With the secrets in their files production starts; what is left to fill in is the vault."""
    environ = environment(DEPLOY / "systemd" / "aiba.service")
    vault = {name: READY[name] for name, value in environ.items() if not value}
    with_mongo = {**environ, **vault, "AIBA_STORE": "mongo"}
    assert vault.keys() == {"ARENA_VAULT_ADDRESS", "AIBA_JETTON_MASTER"}
    found = judge(with_mongo, secrets)
    assert (found.errors, found.warnings) == ((), ())
    several = ("MONGO_URI_FILE", "REDIS_URL_FILE")
    alone = {name: text for name, text in with_mongo.items() if name not in several}
    embedded = judge({**alone, "AIBA_STORE": "sqlite"}, secrets, lambda _: "ext4")
    assert embedded.ready
    assert [each.code for each in embedded.warnings] == ["store_on_one_machine"]


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
def test_a_backup_has_all_that_it_needs_and_no_more(store: str) -> None:
    """Whatever the API's settings name beside: the timer's unit has neither admins nor a vault."""
    environ = environment(DEPLOY / "systemd" / "aiba-backup.service") | {"AIBA_STORE": store}
    if store == "sqlite":
        del environ["MONGO_URI_FILE"]
    settings = load(environ, secrets)
    assert bool(settings.mongo_uri) == (store == "mongo")
    assert settings.ton is None
    assert not [name for name in environ if "ADMIN" in name or "ORACLE" in name]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_a_unit_well_guarded(path: Path) -> None:
    """By systemd's own judgment: at most 2 of 10, where 10 is a unit without any of it."""
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


# --- Kubernetes ---


def documents() -> Iterator[dict[str, Any]]:
    """Yield every object of the manifests."""
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    """Return the objects of some kinds."""
    return [document for document in documents() if document["kind"] in kinds]


def pod_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pod that an object makes."""
    spec = document.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    pod: dict[str, Any] | None = template["spec"] if template else None
    return pod


def containers(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of an object's pod."""
    pod = pod_of(document)
    return pod["containers"] if pod else []


WORKLOADS: Final = of_kind("Deployment", "StatefulSet", "Job", "CronJob")
SETTINGS: Final = {each["metadata"]["name"]: each["data"] for each in of_kind("ConfigMap")}


def settings_of(workload: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a workload."""
    (container,) = containers(workload)
    references = [each["configMapRef"] for each in container["envFrom"]]
    names = [each["name"] for each in references if not each.get("optional")]
    return {name: text for each in names for name, text in SETTINGS[each].items()}


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each["metadata"]["name"])
def test_a_pod_may_do_little(workload: dict[str, Any]) -> None:
    """No root, no rights, no token of the cluster's, a read-only root; memory has an end."""
    pod = pod_of(workload)
    assert pod is not None
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == USER
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    assert {each["name"] for each in container["volumeMounts"]} <= {
        each["name"]
        for each in (
            *pod["volumes"],
            *(each["metadata"] for each in workload["spec"].get("volumeClaimTemplates", [])),
        )
    }


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each["metadata"]["name"])
def test_a_pod_runs_what_there_is_and_reads_secrets_from_files(workload: dict[str, Any]) -> None:
    """Commands parse, variables are documented, no secret is a variable, none readable to all."""
    (container,) = containers(workload)
    program, *words = container["command"]
    if program == "sh":
        script = words[-1].removeprefix("exec ")
        program, *words = shlex.split(re.sub(r"\$\(.*?\)", "now", script))
    assert program == "aiba"
    settings = settings_of(workload)
    assert is_command(words, settings)
    assert not [name for name in settings if not known(name)]
    mounts = [each["mountPath"] for each in container["volumeMounts"]]
    paths = [text for text in settings.values() if text.startswith("/")]
    assert all(any(path.startswith(f"{mount}/") for mount in mounts) for path in paths)
    pod = pod_of(workload)
    assert pod is not None
    modes = [each["secret"]["defaultMode"] for each in pod["volumes"] if "secret" in each]
    assert modes == [0o440]


def test_the_settings_of_the_pods_are_ready() -> None:
    """With the secrets in their files production starts without a warning."""
    # Only that one is opened when settings are read.
    settings = {**SETTINGS["aiba-settings"], "ORACLE_SIGNER_CA": certifi.where()}
    found = judge(settings, secrets)
    assert (found.errors, found.warnings) == ((), ())


def test_the_signers_settings_and_policy_can_be_used(tmp_path: Path) -> None:
    """In the cluster and as a unit; the policy is one for the network its store is made for."""
    for settings in (
        SETTINGS["aiba-signer-settings"],
        environment(DEPLOY / "systemd" / "aiba-signer.service"),
    ):
        assert read_service(settings)[1] == []
        assert (
            Path(settings["ORACLE_SIGNER_STORE"]).parent
            != Path(settings["ORACLE_SIGNER_LOG"]).parent
        )
    policy = tmp_path / "policy.toml"
    policy.write_text(SETTINGS["aiba-signer-policy"]["policy.toml"])
    words = ["signer", "check-policy", str(policy), "--network", "mainnet"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "workload", of_kind("Deployment", "StatefulSet"), ids=lambda each: each["metadata"]["name"]
)
def test_probes_ask_served_paths_at_the_port_that_is_listened_on(workload: dict[str, Any]) -> None:
    """Alive by what touches nothing, ready by what looks; a drain has its time."""
    (container,) = containers(workload)
    (port,) = container["ports"]
    settings = settings_of(workload)
    listened = settings.get("SIGNER_PORT", "5000")
    assert port["containerPort"] == whole(listened, least=1, most=65_535)
    wanted = {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    for kind, path in wanted.items():
        probe = container[kind]["httpGet"]
        assert (probe["path"], probe["port"]) == (path, port["name"])
        assert (probe.get("scheme") == "HTTPS") == ("SIGNER_TLS_CERT" in settings)
        assert Api().call("GET", path).status_code == 200
    pod = pod_of(workload)
    assert pod is not None
    assert pod["terminationGracePeriodSeconds"] >= DRAIN


def test_services_budgets_and_policies_select_pods_that_there_are() -> None:
    """A selector with a slip of the pen would select nothing, and say nothing."""
    labels = {
        each["spec"].get("jobTemplate", each)["spec"]["template"]["metadata"]["labels"][
            "app.kubernetes.io/name"
        ]
        for each in WORKLOADS
    }
    selected = re.findall(
        r"app\.kubernetes\.io/name: ([a-z-]+)",
        " ".join(
            str(each["spec"]).replace("'", "")
            for each in of_kind("Service", "PodDisruptionBudget", "NetworkPolicy")
        ),
    )
    assert selected
    assert set(selected) <= labels
    (first, *others) = of_kind("NetworkPolicy")
    assert first["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert others
    signer = next(each for each in others if each["metadata"]["name"] == "aiba-signer")
    ports = [rule["ports"][0]["port"] for rule in signer["spec"]["ingress"]]
    assert ports == [8090]


def test_the_signer_is_alone_and_its_url_leads_to_it() -> None:
    """One pod, two volumes, a service by the name that the API calls."""
    (signer,) = of_kind("StatefulSet")
    assert signer["spec"]["replicas"] == 1
    assert len(signer["spec"]["volumeClaimTemplates"]) == 2
    service = signer["spec"]["serviceName"]
    port = SETTINGS["aiba-signer-settings"]["SIGNER_PORT"]
    assert SETTINGS["aiba-settings"]["ORACLE_SIGNER_URL"] == f"https://{service}:{port}/sign"
    assert service in {each["metadata"]["name"] for each in of_kind("Service")}


def test_what_is_applied_at_once_is_what_runs_for_ever() -> None:
    """The jobs are started by hand, at their time."""
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    jobs = {path.name for path in MANIFESTS if re.search("kind: (Cron)?Job", path.read_text())}
    assert set(listed["resources"]) == {path.name for path in MANIFESTS} - jobs
    assert jobs == {"migrate.yaml", "signer-init.yaml", "backup.yaml"}


# --- the proxy ---


def test_the_proxy_names_the_caller_and_waits_longer_than_the_service() -> None:
    """Its times fit the service's, its size too, and the metrics aren't passed on."""
    text = (DEPLOY / "nginx" / "aiba.conf").read_text(encoding="utf-8")
    directives = dict(re.findall(r"^\s*(\w+) ([^;{]+);$", text, re.MULTILINE))
    assert re.search(r"proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;", text)
    assert int(directives["keepalive_timeout"][:-1]) < 75
    assert int(directives["proxy_read_timeout"][:-1]) > 25
    assert float(directives["client_body_timeout"][:-1]) <= READ_SECONDS
    # More than JSON_BODY_LIMIT, so that it is the API that says how much is too much.
    assert re.findall(r"client_max_body_size (\S+);", text)[0] == "2m"
    assert re.search(r"location = /metrics \{\s+return 404;", text)
    assert text.count("{") == text.count("}")
