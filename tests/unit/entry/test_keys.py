"""`aiba keys`: what it makes is fit for production, and a change can die anywhere and go on."""

import asyncio
import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from aiba_domain.application.upkeep import rotate_seed
from aiba_entry.cli.doctor import read_env_file
from aiba_entry.cli.main import main
from aiba_entry.keys.env_file import put
from aiba_entry.keys.kinds import KINDS, OWN, Change
from aiba_entry.keys.shelf import Shelf, ShelfFault, Stage
from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.readiness.judgment import judge
from aiba_entry.service import open_container
from aiba_entry.settings import load
from aiba_entry.signer import environment as signer
from aiba_entry.signer.tokens import read_tokens
from aiba_entry.variables import SECRETS
from tests.support.deaths import Died, death_at
from tests.support.ready import READY

ROLLED: Final = [kind.name for kind in OWN if kind.change is Change.ROLLED]
BOT: Final = "TELEGRAM_BOT_TOKEN"
OTHER_TOKEN: Final = "734512:ANOTHER-tests-token_0123456789abcd"


class Shop:
    """An operator's directory of secrets, and the file of variables of a service."""

    def __init__(self, folder: Path) -> None:
        """Put every secret of the ready environment into a file of its own."""
        self.folder = folder / "secrets"
        self.folder.mkdir()
        self.env_file = folder / "service.env"
        lines = ["# the arena", f"AIBA_DATA_DIR={folder / 'data'}"]
        for name, text in READY.items():
            if name in SECRETS:
                path = self.folder / name
                path.write_text(f"{text}\n")
                path.chmod(0o440)
                lines.append(f"{name}_FILE={path}")
            else:
                lines.append(f"{name}='{text}'")
        self.env_file.write_text("\n".join(lines))
        self.env_file.chmod(0o600)

    def __call__(self, *arguments: str, given: str | None = None) -> Result:
        """Run `aiba keys` in an empty environment; no secret is ever printed."""
        values = {path.read_text().strip() for path in self.folder.iterdir()}
        run = CliRunner().invoke(main, ["keys", *arguments], input=given, env=_nothing())
        values |= {path.read_text().strip() for path in self.folder.iterdir()}
        assert not [value for value in values if value and value in run.output]
        return run

    def rotate(self, name: str, *more: str, given: str | None = None) -> str:
        """Do a step that must succeed, and see that the service would start after it."""
        run = self("rotate", name, "--env-file", str(self.env_file), *more, given=given)
        assert run.exit_code == 0, run.output
        assert judge(read_env_file(self.env_file)).ready
        assert not list(self.folder.glob(".*"))
        return run.output

    def refuse(self, name: str, *more: str, given: str | None = None) -> str:
        """Do a step that must not be done, and see that it wasn't."""
        before = self.seen()
        run = self("rotate", name, "--env-file", str(self.env_file), *more, given=given)
        assert run.exit_code == 1, run.output
        assert self.seen() == before
        return run.output

    def seen(self) -> dict[str, str]:
        """Return what every file holds."""
        return {path.name: path.read_text() for path in (*self.folder.iterdir(), self.env_file)}

    def value(self, name: str) -> str | None:
        """Return a secret as a process that starts now reads it, None where it has none."""
        path = read_env_file(self.env_file).get(f"{name}_FILE")
        return None if path is None else Path(path).read_text().strip()

    def values(self, name: str) -> tuple[str | None, ...]:
        """Return the one in use, the next one and the one before."""
        return self.value(name), self.value(name + NEXT), self.value(name + PREVIOUS)


def _nothing() -> Mapping[str, str | None]:
    return {name: None for name in os.environ if re.match(r"AIBA|APP_ENV|MONGO|REDIS", name)}


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# --- making ---


def test_what_is_made_is_what_production_takes(shop: Shop) -> None:
    """All at once, each into its own file of its owner alone, and nothing is overwritten."""
    for kind in OWN:
        (shop.folder / kind.name).unlink(missing_ok=True)
    kept = shop.folder / "SESSION_SECRET"
    kept.write_text(f"{READY['SESSION_SECRET']}\n")
    kept.chmod(0o400)
    made = shop("generate", "--all", "--out", str(shop.folder))
    assert made.exit_code == 0
    assert "SESSION_SECRET is there already" in made.output
    assert "BotFather" in made.output
    lines = dict(line.split("=") for line in made.output.splitlines() if "_FILE=" in line)
    assert lines == {f"{kind.name}_FILE": str(shop.folder / kind.name) for kind in OWN}
    put(shop.env_file, lines)
    assert judge(read_env_file(shop.env_file)).ready
    assert shop.value("SESSION_SECRET") == READY["SESSION_SECRET"]
    for kind in OWN[1:]:
        assert (shop.folder / kind.name).stat().st_mode & 0o777 == 0o600
    before = shop.seen()
    again = shop("generate", "SESSION_SECRET", "--out", str(shop.folder))
    assert (again.exit_code, shop.seen()) == (1, before)


@pytest.mark.parametrize("name", KINDS)
def test_each_is_made_in_its_own_form_or_its_origin_is_told(name: str) -> None:
    """No two are alike, and what goes into no environment of the API is made for the signer."""
    runs = [CliRunner().invoke(main, ["keys", "generate", name]) for _ in range(2)]
    if KINDS[name].make is None:
        assert [run.exit_code for run in runs] == [1, 1]
        assert KINDS[name].origin in runs[0].output
        return
    values = [run.stdout.splitlines()[0] for run in runs]
    assert len(set(values)) == 2
    if name.endswith("_HEX"):
        assert re.fullmatch(r"[0-9a-f]{64}", values[0])
    elif name in ROLLED:
        assert judge({**READY, name: values[0]}).ready
    if name == "ORACLE_SIGNER_TOKEN":
        line = runs[0].output.rpartition("FILE: ")[2]
        assert read_tokens(line).name_of(values[0].encode())


def test_every_secret_has_a_kind() -> None:
    """A new secret isn't forgotten here."""
    known = {*SECRETS, *signer.SECRETS}
    assert {name.removesuffix(NEXT).removesuffix(PREVIOUS) for name in known} == set(KINDS)
    assert {name for kind in KINDS.values() for name in kind.beside} == known - set(KINDS)
    for kind in KINDS.values():
        assert (Path(__file__).parents[3] / kind.doc).exists()
        assert set(kind.beside) == {f"{kind.name}{end}" for end in (NEXT, PREVIOUS)} & known


# --- changing ---


@pytest.mark.parametrize("name", ROLLED)
def test_a_secret_is_changed_step_by_step_and_back(shop: Shop, name: str) -> None:
    """Known, then used, then alone; from use the way back is the same way."""
    old = READY[name]
    options = ("--unchecked",)
    assert "restart every API process" in shop.rotate(name)
    used, new, before = shop.values(name)
    assert (used, before) == (old, None)
    assert new not in (None, old)
    assert "under way already" in shop.refuse(name)
    shop.refuse(name, "--finish")

    assert "--finish" in shop.rotate(name, "--use")
    assert shop.values(name) == (new, None, old)
    shop.rotate(name, "--use")
    shop.refuse(name)
    shop.refuse(name, "--drop")

    shop.rotate(name, "--back")
    shop.rotate(name, "--back")
    assert shop.values(name) == (old, new, None)
    shop.rotate(name, "--drop", *options)
    assert shop.values(name) == (old, None, None)
    for step in ("--use", "--back"):
        shop.refuse(name, step)

    shop.rotate(name)
    new = shop.value(name + NEXT)
    shop.rotate(name, "--use")
    shop.rotate(name, "--finish", *options)
    shop.rotate(name, "--finish", *options)
    assert shop.values(name) == (new, None, None)
    path = shop.folder / name
    assert path.stat().st_mode & 0o777 == 0o440
    assert sorted(each.name for each in shop.folder.glob(f"{name}*")) == [name]
    assert "# the arena" in shop.env_file.read_text()
    assert shop.env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["SESSION_SECRET", BOT, "ORACLE_SIGNER_TOKEN"])
def test_a_death_anywhere_leaves_a_secret_in_use_and_the_step_goes_on(
    tmp_path: Path, name: str
) -> None:
    """Before each change of the directory, in each step: asked for again it ends as it would."""
    steps: list[tuple[str, ...]] = [(), ("--use",), ("--back",), ("--use",), ("--finish",)]
    if KINDS[name].change is Change.AT_ONCE:
        steps = [(), ("--back",), (), ("--finish",)]
    for place in itertools.count():
        folder = tmp_path / str(place)
        folder.mkdir()
        shop = Shop(folder)
        shelf = Shelf(shop.folder / name)
        arguments = ["keys", "rotate", name, "--env-file", str(shop.env_file)]
        said, death, died = f"{OTHER_TOKEN}\n", death_at(place), 0
        for step in steps:
            try:
                run = CliRunner().invoke(main, [*arguments, *step], env=_nothing(), input=said)
                assert run.exit_code == 0, run.output
            except Died:
                death.undo()
                died += 1
                assert shelf.value(shelf.path)
                again = CliRunner().invoke(main, [*arguments, *step], env=_nothing(), input=said)
                # What was whole already is told to be under way.
                assert again.exit_code == 0 or "under way already" in again.output, again.output
        death.undo()
        assert shelf.stage is Stage.STEADY
        assert judge(read_env_file(shop.env_file)).ready
        assert sorted(path.name for path in shop.folder.glob(f"*{name}*")) == [name]
        assert not list(folder.glob(".*"))
        if not died:
            break
    assert place > len(steps)


def test_a_token_of_another_end_is_changed_without_a_gap(shop: Shop) -> None:
    """The signer knows both by their hashes before the API takes the new one, and until it has."""
    name = "ORACLE_SIGNER_TOKEN"
    old = READY[name]
    told = shop.rotate(name)
    line = re.search(r"api-\w+ sha256:\w+", told)
    assert line is not None
    both = read_tokens(f"api {old}\n{line[0]}\n")
    assert both.name_of((shop.value(name) or "").encode()) == "api"
    shop.rotate(name, "--use")
    new = shop.value(name) or ""
    assert new != old
    assert both.name_of(new.encode()) == line[0].split()[0]
    shop.rotate(name, "--back")
    assert shop.value(name) == old
    shop.rotate(name, "--use")
    gone = shop.rotate(name, "--finish")
    assert "take out of SIGNER_TOKENS_FILE" in gone
    assert read_tokens(re.findall(r"api-\w+ sha256:\w+", gone)[0]).name_of(old.encode())


def test_a_bots_token_is_taken_from_whoever_gives_it(shop: Shop) -> None:
    """Read from standard input; another bot's, a damaged one and the same one are none."""
    for wrong in ("none", "1:ANOTHER-tests-token_0123456789abcdef", READY[BOT], ""):
        shop.refuse(BOT, given=f"{wrong}\n")
    shop.rotate(BOT, given=f"{OTHER_TOKEN}\n")
    assert shop.values(BOT) == (OTHER_TOKEN, None, READY[BOT])
    shop.rotate(BOT, "--back")
    assert shop.values(BOT) == (READY[BOT], None, None)
    shop.rotate(BOT, given=f"{OTHER_TOKEN}\n")
    shop.rotate(BOT, "--finish")
    assert shop.values(BOT) == (OTHER_TOKEN, None, None)


@pytest.mark.parametrize("name", [*ROLLED, BOT, "METRICS_TOKEN"])
def test_a_stolen_secret_is_believed_no_more(shop: Shop, name: str) -> None:
    """At once, also in the middle of a change; the seeds' root stays for the open epoch alone."""
    given = f"{OTHER_TOKEN}\n" if name == BOT else None
    if name in ROLLED:
        shop.rotate(name)
    announced = shop.value(name + NEXT)
    shop.rotate(name, "--leaked", given=given)
    used, after, before = shop.values(name)
    assert used not in (READY[name], announced)
    assert after is None
    assert before == (READY[name] if name == "BATTLE_SEED_SECRET" else None)


def test_a_root_stays_while_an_epoch_of_it_is_open(shop: Shop) -> None:
    """The store is asked; once the epoch has been turned over the root may go."""
    name = "BATTLE_SEED_SECRET"
    put(
        shop.env_file,
        {"AIBA_STORE": "sqlite", "MONGO_URI_FILE": None, "REDIS_URL_FILE": None},
    )

    def open_one(*, turn: bool = False) -> None:
        async def opened() -> None:
            async with open_container(load(read_env_file(shop.env_file))) as container:
                if turn:
                    seeds = container.seeds()
                    await rotate_seed(container.pipeline(), container.store(), seeds)

        asyncio.run(opened())

    def step(*more: str) -> Result:
        return shop("rotate", name, "--env-file", str(shop.env_file), *more)

    open_one()
    assert step().exit_code == step("--use").exit_code == 0
    open_one()
    refused = step("--finish")
    assert refused.exit_code == 1
    assert "aiba seed rotate" in refused.output
    open_one(turn=True)
    assert step("--back").exit_code == 0
    refused = step("--drop")
    assert refused.exit_code == 1
    assert step("--use").exit_code == step("--finish").exit_code == 0
    open_one()


def test_what_cannot_be_changed_here_says_where(shop: Shop) -> None:
    """And a secret that stands in the environment itself has no file to change."""
    assert "rotate-oracle-key.md" in shop("rotate", "ORACLE_PRIVATE_KEY_HEX", "--dir", ".").output
    put(shop.env_file, {"SESSION_SECRET_FILE": None})
    assert "isn't set" in shop.refuse("SESSION_SECRET")
    put(shop.env_file, {"SESSION_SECRET": READY["SESSION_SECRET"]})
    assert "given by itself" in shop.refuse("SESSION_SECRET")
    assert shop("generate").exit_code == shop("generate", "DOCS_TOKEN", "--all").exit_code == 2


def test_files_that_no_change_leads_to_are_left_alone(shop: Shop) -> None:
    """Somebody's own doing isn't guessed at; nor does a second operator come in between."""
    shelf = Shelf(shop.folder / "SESSION_SECRET")
    with shelf.held(), pytest.raises(ShelfFault, match="somebody else"), shelf.held():
        pass
    for path in (shelf.next, shelf.previous):
        path.write_text(f"{path.name}-0123456789abcdef\n")
    assert "no change ends with these files" in shop.refuse("SESSION_SECRET")
    shelf.previous.write_text("\n")
    assert "is empty" in shop.refuse("SESSION_SECRET", "--use")


def test_files_are_found_under_small_names_too(shop: Shop) -> None:
    """As a deployment mounts them; what stands beside is named alike."""
    small = shop.folder / "session-secret"
    (shop.folder / "SESSION_SECRET").rename(small)
    put(shop.env_file, {"SESSION_SECRET_FILE": str(small)})
    shop.rotate("SESSION_SECRET")
    assert shop("rotate", "SESSION_SECRET", "--dir", str(shop.folder), "--use").exit_code == 0
    shop.rotate("SESSION_SECRET", "--use")
    kept = shop("generate", "--all", "--out", str(shop.folder))
    assert "SESSION_SECRET is there already" in kept.output
    assert {path.name for path in shop.folder.glob("*[sS][eE][sS][sS]*")} == {
        "session-secret",
        "session-secret-previous",
    }


# --- looking ---


def test_secrets_are_looked_at_unseen(shop: Shop) -> None:
    """Where from, how old, whether two are one, and what the gate says; never the value."""
    shop.rotate("SESSION_SECRET")
    old = shop.folder / "ADMIN_JWT_SECRET"
    old.chmod(0o640)
    old.write_text(f"{READY['METRICS_TOKEN']}\n")
    os.utime(old, (0, 0))
    run = shop("status", "--json", "--env-file", str(shop.env_file))
    told = {each["name"]: each for each in json.loads(run.stdout)["secrets"]}
    assert set(told) == {*(name for name in READY if name in SECRETS), "SESSION_SECRET_NEXT"}
    assert all(re.fullmatch("[0-9a-f]{8}", each["fingerprint"]) for each in told.values())
    assert [name for name, each in told.items() if each["overlap"]] == [
        "SESSION_SECRET",
        "SESSION_SECRET_NEXT",
    ]
    assert {name for name, each in told.items() if "secret_reused" in each["findings"]} == {
        "ADMIN_JWT_SECRET",
        "METRICS_TOKEN",
    }
    assert told["ADMIN_JWT_SECRET"]["ageSeconds"] > 50 * 365 * 86_400
    assert told["SESSION_SECRET"]["stage"] == "announced"
    assert told["SESSION_SECRET"]["notes"] == [
        "nothing is made with the next one before aiba keys rotate SESSION_SECRET --use"
    ]
    assert {each["stage"] for each in told.values()} == {"announced", "steady", None}
    assert told["MONGO_URI"]["notes"] == ["how it is changed: docs/runbook/rotate-secrets.md"]
    announced = told["SESSION_SECRET_NEXT"]["fingerprint"]
    shop("rotate", "SESSION_SECRET", "--env-file", str(shop.env_file), "--use")
    text = shop("status", "--env-file", str(shop.env_file)).output
    assert f"SESSION_SECRET  {announced}  {shop.folder / 'SESSION_SECRET'}  0 d  overlap" in text
    assert "secret_reused" in text


def told_by(shop: Shop, name: str) -> dict[str, object]:
    """Return what status says of a secret."""
    run = shop("status", "--json", "--env-file", str(shop.env_file))
    assert run.exit_code == 0, run.output
    found = {each["name"]: each for each in json.loads(run.stdout)["secrets"]}
    each: dict[str, object] = found[name]
    return each


def test_a_change_is_told_also_where_no_variable_shows_it(shop: Shop) -> None:
    """A token that the API doesn't use yet, a variable that was forgotten, a step cut short."""
    name = "ORACLE_SIGNER_TOKEN"
    shop.rotate(name)
    assert told_by(shop, name)["stage"] == "announced"
    shop.rotate(name, "--use")
    found = told_by(shop, name)
    assert (found["stage"], found["overlap"]) == ("in use", False)
    assert "no API process uses it" in str(found["notes"])

    name = "SESSION_SECRET"
    shop.rotate(name)
    put(shop.env_file, {f"{name}_NEXT_FILE": None})
    assert "no process that starts now knows" in str(told_by(shop, name)["notes"])
    (shop.folder / f"{name}_PREVIOUS").write_text((shop.folder / name).read_text())
    found = told_by(shop, name)
    assert found["stage"] == "taking into use"
    assert "cut short: aiba keys rotate SESSION_SECRET --use" in str(found["notes"])
    (shop.folder / f"{name}_PREVIOUS").write_text("0f4be1c3a2957d68-something-else")
    assert "no change ends with these files" in str(told_by(shop, name)["notes"])


def test_what_is_missing_is_told_too(shop: Shop) -> None:
    """By what the gate says of it."""
    put(shop.env_file, {"ADMIN_JWT_SECRET_FILE": None})
    found = told_by(shop, "ADMIN_JWT_SECRET")
    assert (found["source"], found["fingerprint"]) == ("not set", None)
    assert found["findings"] == ["jwt_missing"]


def test_the_age_of_a_copy_is_nobodys(shop: Shop, tmp_path: Path) -> None:
    """What systemd or a cluster has copied is as old as the process, not as the secret."""
    name = "SESSION_SECRET"
    assert told_by(shop, name)["ageSeconds"] is not None
    put(shop.env_file, {"CREDENTIALS_DIRECTORY": str(shop.folder)})
    assert told_by(shop, name)["ageSeconds"] is None
    mounted = tmp_path / "mounted"
    (mounted / "..data").mkdir(parents=True)
    (mounted / "..data" / "session-secret").write_text(READY[name])
    (mounted / "session-secret").symlink_to(Path("..data") / "session-secret")
    put(shop.env_file, {f"{name}_FILE": str(mounted / "session-secret")})
    assert told_by(shop, name)["ageSeconds"] is None
    assert told_by(shop, "ADMIN_JWT_SECRET")["ageSeconds"] is None


def test_the_signers_secrets_are_judged_as_the_signer_does(tmp_path: Path) -> None:
    """Not as the API would, which they are none of."""
    variables = {"ORACLE_SIGNER_LOG": str(tmp_path / "audit.log")}
    for name, text in (
        ("ORACLE_PRIVATE_KEY_HEX", "0f4be1c3a2957d68" * 4),
        ("ORACLE_SIGNER_AUDIT_KEY_HEX", "1f4be1c3a2957d68" * 4),
        ("ORACLE_SIGNER_AUDIT_KEY_HEX_PREVIOUS", "zz"),
    ):
        (tmp_path / name).write_text(text)
        variables[f"{name}_FILE"] = str(tmp_path / name)
    env_file = tmp_path / "signer.env"
    env_file.write_text("".join(f"{name}={text}\n" for name, text in variables.items()))
    words = ["keys", "status", "--json", "--env-file", str(env_file)]
    run = CliRunner().invoke(main, words)
    found = {each["name"]: each for each in json.loads(run.stdout)["secrets"]}
    assert found["ORACLE_PRIVATE_KEY_HEX"]["findings"] == []
    assert found["ORACLE_SIGNER_AUDIT_KEY_HEX"]["stage"] == "in use"
    wrong = found["ORACLE_SIGNER_AUDIT_KEY_HEX_PREVIOUS"]
    assert wrong["findings"] == ["signer_setting_invalid"]
    (tmp_path / "ORACLE_PRIVATE_KEY_HEX").write_text("zz")
    text = CliRunner().invoke(main, ["keys", "status", "--env-file", str(env_file)]).output
    assert re.search("^ORACLE_PRIVATE_KEY_HEX .*signer_setting_invalid$", text, re.MULTILINE)
