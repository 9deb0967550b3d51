"""Every command of every page of the runbook is run: here, or by the test that walks its page.

A page with steps that need more than one healthy game (a loss, a rotation, a broken environment)
has a test of its own, which names it. All others are run here from top to bottom, as they stand, in
an operator's shell, against a running game, a signer's store and a Prometheus.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.contract.process.support import (
    AIBA,
    PATIENCE_S,
    SECRETS,
    Server,
    aiba,
    data_of,
    environment,
    new_player,
)
from tests.support import admins
from tests.support.alerts import faults
from tests.support.prometheus import Prometheus
from tests.support.zygote import Zygote

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = {page.name: page for page in sorted((ROOT / "docs" / "runbook").glob("*.md"))}
FENCE: Final = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?(?P<indent> *)```(?P<kind>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
STEPS: Final = "<!-- step: "
"""What stands in front of a block that a page's own test takes by its name."""
RUN_BY: Final = re.compile(r"run by: (\S+)")
QUERY: Final = re.compile(r"promtool query instant \"\$PROMETHEUS\" '(.*)'")
VARIABLE: Final = re.compile(r"\$\{?([A-Z_]+)")
MOST_ELSEWHERE: Final = 1
"""How many blocks of the pages below another test runs."""
EXPECTED: Final = {
    # It judges the tests' environment, which is no production's and may be kept in memory.
    "aiba doctor --live": {0, 78},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of commands on a page, and what is noted in front of it."""

    commands: str
    note: str


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page; each line of one is a command."""
    found = []
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        assert match["kind"] == "console", (
            f"{page.name} has a block of {match['kind'] or 'nothing'}"
        )
        lines = [line.strip() for line in match["text"].splitlines()]
        assert all(line.startswith("$ ") for line in lines), page.name
        found.append(
            Block(
                commands="\n".join(line.removeprefix("$ ") for line in lines),
                note=match["note"] or "",
            )
        )
    return found


def walked_elsewhere() -> Mapping[str, Path]:
    """Return the pages that have a test of their own, which takes their steps by name, with it."""
    found: dict[str, Path] = {}
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        text = test.read_text(encoding="utf-8")
        if test != Path(__file__) and STEPS in text:
            found |= {name: test for name in PAGES if f'"{name}"' in text}
    return found


ELSEWHERE: Final = walked_elsewhere()
OURS: Final = [name for name in PAGES if name not in ELSEWHERE]


@pytest.fixture(name="shell", scope="module")
def _shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return an operator's shell beside a game with withdrawals, where all is well."""
    folder = tmp_path_factory.mktemp("runbook")
    (folder / "home").mkdir()
    zygote = Zygote(folder / "zygote")
    environ = environment(folder / "data", **admins.ENVIRON)
    server = Server(folder / "data", environ, (*AIBA, "serve", "--local-chain"))
    prometheus = None
    try:
        server.wait_until_ready()
        targets = {"aiba": [f"127.0.0.1:{server.port}"]}
        prometheus = Prometheus(folder / "prometheus", targets)
        signer = {
            "SIGNER_STORE": str(folder / "signer.db"),
            "SIGNER_LOG": str(folder / "signer.log"),
        }
        made = ("--store", signer["SIGNER_STORE"], "--log", signer["SIGNER_LOG"])
        assert aiba(environ, "signer", "init", *made, "--network", "testnet").returncode == 0
        with server.client() as http:
            player = new_player(http, 1)
            login = {"email": admins.EMAIL, "password": admins.PASSWORD}
            token = data_of(http.post("/api/admin/auth/login", json=login))["token"]
        yield {
            **environ,
            **signer,
            "HOME": str(folder / "home"),
            "PATH": f"{zygote.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "API": server.base_url,
            "PROMETHEUS": prometheus.start().url,
            "ADMIN": token,
            "LOGS": str(server.logged),
            "PLAYER": player.id,
            "BROKER": player.broker_id,
            "TOOLS": str(ROOT / "tools"),
        }
    finally:
        zygote.close()
        server.kill()
        if prometheus is not None:
            prometheus.kill()


@pytest.fixture(name="done", scope="module")
def _done() -> set[str]:
    """Return the commands that were run, so that one that several pages have is run once."""
    return set()


def run(shell: dict[str, str], command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does, in the folder where those before it left their files."""
    return subprocess.run(  # noqa: S603 - this project's own page
        ["bash", "-c", command],  # noqa: S607 - the one in the path
        env=shell,
        cwd=shell["HOME"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.skipif(find_spec("tonpy") is None, reason="the TVM isn't built for it")
@pytest.mark.parametrize("page", OURS)
def test_every_command_of_a_page_works(page: str, shell: dict[str, str], done: set[str]) -> None:
    """From top to bottom none of them fails, and none shows a secret."""
    for block in blocks(PAGES[page]):
        if RUN_BY.fullmatch(block.note):
            continue
        for command in block.commands.splitlines():
            if command in done:
                continue
            ended = run(shell, command)
            told = f"{command}\n{ended.stdout}{ended.stderr}"
            assert ended.returncode in EXPECTED.get(command, {0}), told
            assert not any(secret in told for secret in (*SECRETS, admins.SECRET, admins.PASSWORD))
            done.add(command)


@pytest.mark.parametrize("command", ["aiba --version", "aiba no-such-command", "aiba policy show"])
def test_the_shells_aiba_is_the_real_one(shell: dict[str, str], command: str) -> None:
    """What is forked says and answers what the installed command does, into the shell's pipes."""
    installed = f"{Path(sys.executable).parent}/{command}"
    ours, real = (run(shell, f"{each} | cat; exit $PIPESTATUS") for each in (command, installed))
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        real.returncode,
        real.stdout,
        real.stderr,
    )


@pytest.mark.parametrize("page", OURS)
def test_every_query_of_a_page_asks_for_what_is_exported(page: str) -> None:
    """An operator who sees nothing may believe it: names, labels and values are real ones."""
    for block in blocks(PAGES[page]):
        for line in block.commands.splitlines():
            if line.startswith("promtool query"):
                asked = QUERY.fullmatch(line)
                assert asked, line
                assert faults(asked[1]) == []


def test_every_variable_of_a_page_is_explained() -> None:
    """The index says what each stands for."""
    index = PAGES["README.md"].read_text(encoding="utf-8")
    for page in OURS:
        for block in blocks(PAGES[page]):
            for name in VARIABLE.findall(block.commands):
                assert f"`${name}`" in index, f"{page}: {name}"


def test_what_another_test_runs_is_run_there() -> None:
    """A block that is left to another test is on the page that this test walks."""
    left = [block for page in OURS for block in blocks(PAGES[page]) if block.note]
    assert len(left) <= MOST_ELSEWHERE
    for block in left:
        by = RUN_BY.fullmatch(block.note)
        assert by, block.note
        test = ROOT / by[1]
        walked = [name for name, walker in ELSEWHERE.items() if walker == test]
        lines = [
            line
            for name in walked
            for each in blocks(PAGES[name])
            for line in each.commands.splitlines()
        ]
        for line in block.commands.splitlines():
            assert any(line in each for each in lines), line


def test_every_page_has_the_same_parts_and_is_in_the_index() -> None:
    """Somebody who was woken up finds what they look for where it always is."""
    index = PAGES["README.md"].read_text(encoding="utf-8")
    for name, page in PAGES.items():
        if name == "README.md":
            continue
        assert f"({name})" in index, name
        if name in OURS:
            headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert headings == ["Meaning", "Impact", "Diagnosis", "Mitigation"], name


def test_every_link_of_a_page_leads_somewhere() -> None:
    """To a file that is there, and in it to a heading that is there."""
    for page in PAGES.values():
        for target in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", page.read_text("utf-8")):
            name, heading = target
            file = page.parent / name if name else page
            assert file.is_file(), f"{page.name}: {name}"
            slugs = {
                re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
                for line in file.read_text("utf-8").splitlines()
                if line.startswith("#")
            }
            assert not heading or heading in slugs, f"{page.name}: {name}#{heading}"


def test_the_commands_are_shell() -> None:
    """Each is split by a shell without an open quote."""
    for page in OURS:
        for block in blocks(PAGES[page]):
            assert shlex.split(block.commands, comments=True)
