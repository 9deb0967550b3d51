"""`aiba keys` where systemd or a cluster names the files: each step leaves what can be started.

What it writes is read here as systemd and Kubernetes read it, together with the files in deploy/.
"""

import base64
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner, Result
from nacl.signing import SigningKey

from aiba_adapters.signing.audit_log import AuditLog
from aiba_domain.signing.trail import START, checkpoint
from aiba_entry.cli.main import main
from aiba_entry.keys import keepers
from aiba_entry.keys.kinds import KINDS, OWN, Change
from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.readiness.judgment import examine
from aiba_entry.settings import Settings
from aiba_entry.signer import environment
from aiba_entry.variables import SecretFile
from tests.support.deaths import Died, death_at
from tests.support.ready import READY

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
ROLLED: Final = [kind.name for kind in OWN if kind.change is Change.ROLLED]
BOT: Final = "TELEGRAM_BOT_TOKEN"
OTHER_TOKEN: Final = "734512:ANOTHER-tests-token_0123456789abcd"
AUDIT_KEY: Final = environment.AUDIT_KEY
MOUNT: Final = "/run/secrets/aiba"

Json = Any


def small(name: str) -> str:
    """Return a secret's file as deploy/ names it."""
    return name.lower().replace("_", "-")


class Shop:
    """An operator's directory of secrets, named in small letters."""

    def __init__(self, folder: Path) -> None:
        """Put every secret of an API into it."""
        self.folder = folder / "secrets"
        self.folder.mkdir(parents=True)
        secrets = [name for name in READY if name in KINDS]
        for name in secrets:
            (self.folder / small(name)).write_text(f"{READY[name]}\n")
            (self.folder / small(name)).chmod(0o400)

    def keys(self, *arguments: str, given: str | None = None) -> Result:
        """Run `aiba keys`; it shows no secret."""
        runner = CliRunner()
        run = runner.invoke(main, ["keys", *arguments], input=given, env={"AIBA_DATA_DIR": None})
        shown = [each for each in self.values().values() if each in run.output]
        assert not shown, run.output
        return run

    def values(self) -> dict[str, str]:
        """Return what every file holds."""
        return {path.name: path.read_text().strip() for path in self.folder.iterdir()}

    def value(self, name: str) -> str | None:
        """Return a secret, None where there is none."""
        return self.values().get(small(name))


STEPS: Final[Mapping[Change, list[list[str]]]] = {
    Change.ROLLED: [[], ["--use"], ["--back"], ["--drop"], [], ["--use"], ["--finish"]],
    Change.AT_ONCE: [[], ["--back"], [], ["--finish"]],
    Change.HANDED_OVER: [[], ["--back"], ["--use"], ["--finish"]],
    Change.TWO_ENDS: [[], ["--use"], ["--back"], ["--use"], ["--finish"]],
}


def beliefs(settings: Settings, name: str) -> tuple[object, ...]:
    """Return what a process makes of a secret: the one in use, and all that it believes beside."""
    if name == "ADMIN_JWT_SECRET":
        assert settings.admin is not None
        return settings.admin.jwt_secret, *settings.admin.other_jwt_secrets
    if name == BOT:
        beside = settings.overlap.telegram_bot_token
        return settings.telegram_bot_token, *([beside] if beside else [])
    field = {"SESSION_SECRET": "session", "BATTLE_SEED_SECRET": "battle_seed"}[name]
    return getattr(settings, f"{field}_secret"), *getattr(settings.overlap, field)


# --- systemd ---


class Machine(Shop):
    """A machine with the API's unit, its drop-ins, and a systemd that is told to read them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the units of deploy/, and keep one drop-in."""
        super().__init__(folder)
        self.drop_in = folder / "aiba.service.d" / "rotation.conf"
        self.told = folder / "told"
        (folder / "running").mkdir()
        (folder / "bin").mkdir()
        script = folder / "bin" / "systemctl"
        # What systemd would refuse to start with at the very moment at which it is told.
        script.write_text(
            f'#!/bin/sh\necho "$@" >> {self.told}\n[ -e {self.drop_in} ] || exit 0\n'
            f"sed -n 's/^LoadCredential=[^:]*://p' {self.drop_in} | while read -r path; do\n"
            '  [ -f "$path" ] || exit 1\ndone\n'
        )
        script.chmod(0o755)
        monkeypatch.setattr(keepers, "_RUNNING", folder / "running")
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")

    def step(self, name: str, *step: str, given: str | None = None) -> str:
        """Do a step."""
        where = ["--dir", str(self.folder), "--drop-in", str(self.drop_in), "--unchecked"]
        run = self.keys("rotate", name, *where, *step, given=given)
        assert run.exit_code == 0, run.output
        assert "systemctl restart aiba.service" in run.output or "cut short" in run.output
        return run.output

    def starts(self) -> Settings:
        """Return the settings that the unit would start with now."""
        units = [
            DEPLOY / "systemd" / "aiba.service",
            *(DEPLOY / "systemd").glob("aiba.service.d/*"),
        ]
        text = "\n".join(unit.read_text() for unit in units)
        text += self.drop_in.read_text() if self.drop_in.exists() else ""
        loaded = dict(re.findall(r"^LoadCredential=([^:]+):(.+)$", text, re.MULTILINE))
        named = dict(re.findall(r"^Environment=(\w+_FILE)=%d/(.+)$", text, re.MULTILINE))
        environ = {name: text for name, text in READY.items() if name not in KINDS}
        for name, credential in named.items():
            path = loaded[credential].replace("/etc/aiba/secrets", str(self.folder))
            assert Path(path).is_file(), f"systemd finds no {credential}"
            environ[name] = path
        readiness, settings = examine(environ)
        assert readiness.ready, readiness
        assert settings is not None
        return settings


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", [*ROLLED, BOT])
def test_a_unit_starts_after_every_step(machine: Machine, name: str) -> None:
    """With exactly what is in the files; the drop-in goes with the last secret beside."""
    assert beliefs(machine.starts(), name) == (READY[name],)
    for step in STEPS[KINDS[name].change]:
        machine.step(name, *step, given=f"{OTHER_TOKEN}\n")
        beside = [machine.value(name + end) for end in (NEXT, PREVIOUS)]
        expected = (machine.value(name), *filter(None, beside))
        assert beliefs(machine.starts(), name) == expected
        assert machine.drop_in.exists() == (len(expected) > 1)
    assert machine.value(name) != READY[name]
    assert set(machine.told.read_text().splitlines()) == {"daemon-reload"}


def test_two_changes_at_once_share_a_drop_in(machine: Machine) -> None:
    """Neither takes the other's lines."""
    first, second = ROLLED[:2]
    machine.step(first)
    machine.step(second)
    machine.step(first, "--use")
    machine.step(second, "--drop")
    assert beliefs(machine.starts(), first)[1:] == (READY[first],)
    assert beliefs(machine.starts(), second) == (READY[second],)


def test_a_systemd_that_refuses_keeps_the_file_it_still_loads(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What isn't running needs to be told by hand."""
    name = ROLLED[0]
    machine.step(name)
    machine.step(name, "--use")
    script = Path(machine.told).with_name("bin") / "systemctl"
    script.write_text("#!/bin/sh\nexit 1\n")
    where = ["--dir", str(machine.folder), "--drop-in", str(machine.drop_in), "--unchecked"]
    run = machine.keys("rotate", name, *where, "--finish")
    assert (run.exit_code, "daemon-reload failed" in run.output) == (1, True)
    assert machine.value(name + PREVIOUS) == READY[name]
    script.unlink()
    monkeypatch.setenv("PATH", "/nowhere")
    assert machine.keys("rotate", name, *where, "--finish").exit_code == 1
    monkeypatch.setattr(keepers, "_RUNNING", machine.folder / "none")
    run = machine.keys("rotate", name, *where, "--finish")
    assert (run.exit_code, "systemctl daemon-reload" in run.output) == (0, True)
    assert machine.value(name + PREVIOUS) is None


def test_a_death_anywhere_leaves_a_unit_that_comes_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each change of a directory, in each step: asked for again, it ends as it would."""
    name = ROLLED[0]
    for place in itertools.count():
        machine = Machine(tmp_path / str(place), monkeypatch)
        where = ["--dir", str(machine.folder), "--drop-in", str(machine.drop_in), "--unchecked"]
        death, died = death_at(place), False
        for step in ([], ["--use"], ["--back"], ["--use"], ["--finish"]):
            try:
                assert machine.keys("rotate", name, *where, *step).exit_code == 0
            except Died:
                death.undo()
                died = True
                again = machine.keys("rotate", name, *where, *step)
                assert again.exit_code == 0 or "under way already" in again.output, again.output
                machine.starts()
        death.undo()
        assert beliefs(machine.starts(), name) == (machine.value(name),)
        assert not machine.drop_in.exists()
        if not died:
            break
    assert place > 5


def test_the_page_makes_what_units_and_pods_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of docs/deploy.md as they stand, but for the folder and what is typed."""
    page = (DEPLOY.parent / "docs" / "deploy.md").read_text(encoding="utf-8")
    (block,) = re.findall(
        r"^## 3\. Secrets\n.*?```console\n(.*?)```", page, re.DOTALL | re.MULTILINE
    )
    typed = re.sub(r"^\$ ", "", block, flags=re.MULTILINE)
    assert "cat > telegram-bot-token" in typed
    folder = tmp_path / "made"
    typed = typed.replace("/etc/aiba/secrets", str(folder))
    typed = typed.replace("cat > telegram", f"echo {OTHER_TOKEN} > telegram")
    environ = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    run = subprocess.run(  # noqa: S603 - this project's own page
        ["/bin/bash", "-euo", "pipefail", "-c", typed],
        env=environ,
        input="a password of the first admin\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert folder.stat().st_mode & 0o777 == 0o700
    made = {path.name: path.read_text().strip() for path in folder.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert not [name for name, text in made.items() if text in run.stdout + run.stderr]
    machine = Machine(tmp_path / "machine", monkeypatch)
    for path in machine.folder.iterdir():
        if path.name in made:
            path.chmod(0o600)
            path.write_text(made[path.name])
    settings = machine.starts()
    assert settings.telegram_bot_token == OTHER_TOKEN
    assert not set(settings.secrets) & {READY[name] for name in (*ROLLED, "ADMIN_PASSWORD_HASH")}


# --- Kubernetes ---


class Cluster(Shop):
    """A cluster that has applied deploy/kubernetes, and starts a pod after each object."""

    def __init__(self, folder: Path) -> None:
        """Make the Secret from the directory, as docs/deploy.md says."""
        super().__init__(folder)
        self.file = folder / "rotation.json"
        self.objects: dict[tuple[str, str], Json] = {}
        for path in (DEPLOY / "kubernetes").glob("*.yaml"):
            for each in yaml.safe_load_all(path.read_text()):
                self.put(each)
        data = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        data |= {"redis-url": READY["REDIS_URL"].encode(), "signer-ca.pem": b"a certificate"}
        self.objects["Secret", "aiba-secrets"] = {
            "data": {name: base64.b64encode(text).decode() for name, text in data.items()}
        }
        for name in set(data) - {path.name for path in self.folder.iterdir()}:
            (self.folder / name).write_bytes(data[name])

    def put(self, document: Json) -> None:
        """Take an object as it is."""
        self.objects[document["kind"], document.get("metadata", {}).get("name", "")] = document

    def step(self, name: str, *step: str, given: str | None = None) -> Iterator[Settings]:
        """Do a step, apply what it wrote an object at a time, and yield what a pod starts with."""
        where = ["--dir", str(self.folder), "--kubernetes", str(self.file), "--unchecked"]
        run = self.keys("rotate", name, *where, *step, given=given)
        assert run.exit_code == 0, run.output
        rollout = f"kubectl --namespace aiba rollout {{}} {KINDS[name].program.workload}"
        told = run.output.splitlines()
        assert f"kubectl apply --filename {self.file}" in told
        for line in map(rollout.format, ("restart", "status")):
            # A token of two ends isn't any pod's before it is in use.
            assert (line in told) != ("SIGNER_TOKENS_FILE" in run.output)
        assert self.file.stat().st_mode & 0o777 == 0o600
        for each in json.loads(self.file.read_text())["items"]:
            assert each["metadata"]["namespace"] == "aiba"
            self.put(each)
            yield self.starts()
        self.file.unlink()

    def starts(self) -> Settings:
        """Return the settings of a pod that starts now."""
        environ, files = self.pod("Deployment", "aiba-api")
        names = (name for name in READY if name not in KINDS)
        environ = {**environ, **{name: READY[name] for name in names}, "ORACLE_SIGNER_CA": ""}

        def mounted(path: str) -> SecretFile:
            if path not in files:
                raise FileNotFoundError(path)
            return SecretFile(files[path].decode(), exposed=False)

        readiness, settings = examine(environ, mounted)
        assert readiness.ready, readiness
        assert settings is not None
        return settings

    def pod(self, kind: str, name: str) -> tuple[dict[str, str], dict[str, bytes]]:
        """Return the variables of a workload's pod, and the files of its Secret by their paths."""
        spec = self.objects[kind, name]["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        environ: dict[str, str] = {}
        for source in container["envFrom"]:
            reference = source["configMapRef"]
            found = self.objects.get(("ConfigMap", reference["name"]))
            assert found is not None or reference["optional"]
            environ |= found["data"] if found else {}
        (volume,) = [each for each in spec["volumes"] if each["name"] == "secrets"]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "secrets"]
        data = self.objects["Secret", volume["secret"]["secretName"]]["data"]
        root = mount["mountPath"]
        assert root == MOUNT
        return environ, {f"{root}/{file}": base64.b64decode(text) for file, text in data.items()}


@pytest.mark.parametrize("name", [*ROLLED, BOT])
def test_a_pod_starts_at_every_moment(tmp_path: Path, name: str) -> None:
    """Between any two objects that are applied too; at the end it knows what is in the files."""
    cluster = Cluster(tmp_path)
    assert beliefs(cluster.starts(), name) == (READY[name],)
    for step in STEPS[KINDS[name].change]:
        started = [beliefs(each, name) for each in cluster.step(name, *step, given=OTHER_TOKEN)]
        beside = [cluster.value(name + end) for end in (NEXT, PREVIOUS)]
        assert started[-1] == (cluster.value(name), *filter(None, beside))
    assert cluster.value(name) != READY[name]
    assert cluster.objects["ConfigMap", "aiba-rotation"]["data"] == {}
    files = set(cluster.objects["Secret", "aiba-secrets"]["data"])
    assert files == set(cluster.values())


def test_a_token_of_two_ends_waits_outside_of_the_cluster(tmp_path: Path) -> None:
    """No pod is told what it may not use yet."""
    cluster = Cluster(tmp_path)
    name = "ORACLE_SIGNER_TOKEN"
    for step in STEPS[Change.TWO_ENDS]:
        list(cluster.step(name, *step))
        environ, files = cluster.pod("Deployment", "aiba-api")
        assert files[environ[f"{name}_FILE"]].decode().strip() == cluster.value(name)
        assert not [file for file in files if re.search("token-(next|previous)$", file)]


def test_the_signers_key_goes_into_the_signers_own_objects(tmp_path: Path) -> None:
    """Its pod sees both keys until the log is handed over."""
    cluster = Cluster(tmp_path)
    (cluster.folder / small(AUDIT_KEY)).write_text("11" * 32)
    where = ["--dir", str(cluster.folder), "--kubernetes", str(cluster.file), "--unchecked"]
    for step in STEPS[Change.HANDED_OVER]:
        run = cluster.keys("rotate", AUDIT_KEY, *where, *step)
        assert run.exit_code == 0, run.output
        assert "statefulset/aiba-signer" in run.output
        for each in json.loads(cluster.file.read_text())["items"]:
            cluster.put(each)
        environ, files = cluster.pod("StatefulSet", "aiba-signer")
        seen = {end: environ.get(f"{AUDIT_KEY}{end}_FILE") for end in (NEXT, PREVIOUS)}
        for end, path in seen.items():
            value = cluster.value(AUDIT_KEY + end)
            assert (path and files[path].decode().strip()) == value


# --- the signer's key, wherever it is named ---


def test_the_key_of_the_signers_log_is_changed_and_back(tmp_path: Path) -> None:
    """The one that would go is kept until the log is signed by the other."""
    shop = Shop(tmp_path)
    keys = [bytes(range(number, number + 32)) for number in (1, 2)]
    path = shop.folder / small(AUDIT_KEY)
    path.write_text(keys[0].hex())
    env_file, log = tmp_path / "signer.env", tmp_path / "audit.log"
    env_file.write_text(f"{AUDIT_KEY}_FILE={path}\n{environment.LOG}={log}\n")
    AuditLog.create(log).close()

    def signed(seed: bytes) -> None:
        key = SigningKey(seed)
        entry = checkpoint(
            1, START, 0, lambda text: key.sign(text).signature, bytes(key.verify_key)
        )
        log.write_bytes(entry.line()[0] + b"\n")

    def step(*words: str, given: str | None = None) -> Result:
        return shop.keys("rotate", AUDIT_KEY, "--env-file", str(env_file), *words, given=given)

    signed(keys[0])
    begun = step("--given", given=f"{keys[1].hex()}\n")
    assert begun.exit_code == 0, begun.output
    assert "restart the signer" in begun.output
    assert f"its public part: {bytes(SigningKey(keys[1]).verify_key).hex()}" in begun.output
    assert f"{AUDIT_KEY}_PREVIOUS_FILE=" in env_file.read_text()
    refused = step("--finish")
    assert (refused.exit_code, "start the signer with it" in refused.output) == (1, True)
    signed(keys[1])
    assert step("--back").exit_code == 0
    assert f"{AUDIT_KEY}_NEXT_FILE=" in env_file.read_text()
    assert step("--drop").exit_code == 1
    assert step("--use").exit_code == 0
    assert step("--finish").exit_code == 0
    assert env_file.read_text().count("_FILE=") == 1
    assert path.read_text().strip() == keys[1].hex()
    log.unlink()
    assert step("--leaked").exit_code == 0
    assert shop.value(AUDIT_KEY + PREVIOUS) == keys[1].hex()
    missing = step("--finish")
    assert (missing.exit_code, "--unchecked" in missing.output) == (1, True)
    assert step("--finish", "--unchecked").exit_code == 0


def test_another_machine_gets_the_value_that_the_first_has_made(tmp_path: Path) -> None:
    """Read from standard input, in the form that the secret has to have."""
    shop = Shop(tmp_path)
    name = ROLLED[0]
    where = ["--dir", str(shop.folder)]
    for wrong in ("short", "a" * 64, READY[name]):
        assert shop.keys("rotate", name, *where, "--given", given=f"{wrong}\n").exit_code == 1
    made = "0f4be1c3a2957d68" * 4
    assert shop.keys("rotate", name, *where, "--given", given=f"{made}\n").exit_code == 0
    assert shop.value(name + NEXT) == made
    (shop.folder / small(AUDIT_KEY)).write_text("11" * 32)
    refused = shop.keys("rotate", AUDIT_KEY, *where, "--given", given=f"{made}x\n")
    assert (refused.exit_code, "64 hex" in refused.output) == (1, True)


def test_one_form_at_a_time(tmp_path: Path) -> None:
    """And a directory, where the form doesn't say which."""
    shop = Shop(tmp_path)
    file = str(tmp_path / "x")
    for words in (
        ["--drop-in", file],
        ["--kubernetes", file],
        ["--dir", str(shop.folder), "--drop-in", file, "--kubernetes", file],
    ):
        assert shop.keys("rotate", ROLLED[0], *words).exit_code == 2
