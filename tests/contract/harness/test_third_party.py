"""A stranger's store, in a package of its own, is judged by the built wheel in fifteen lines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiba_domain.testing import StoreContract

ROOT = Path(__file__).parents[3]
MOST_LINES = 15

TEST = '''\
"""Our store keeps the contract of stores."""

from pathlib import Path

from aiba_domain.testing import Capability, StoreContract
from strangers_store.store import MemoryStore


class TestStrangersStore(StoreContract):
    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_store(self, folder: Path) -> MemoryStore:
        return MemoryStore()
'''
CONFTEST = """\
from hypothesis import settings

settings.register_profile("quick", max_examples=10, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")
"""


def run(*words: str, folder: Path, site: Path | None = None) -> str:
    """Run a command of this interpreter's; return what it prints, and fail with that."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environ |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
    environ |= {} if site is None else {"PYTHONPATH": f"{site}{os.pathsep}{folder}"}
    done = subprocess.run(  # noqa: S603 - fixed commands of this interpreter
        [sys.executable, *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, and install it where nothing else is."""
    folder = tmp_path_factory.mktemp("wheel")
    source, site = folder / "source", folder / "site"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", ignore=unwanted)
    build = ("-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps")
    run(*build, "--wheel-dir", "dist", "./source", folder=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    run(
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        "site",
        str(wheel),
        folder=folder,
    )
    return site


def test_a_strangers_store_runs_the_whole_suite(site: Path, tmp_path: Path) -> None:
    """From the wheel, not from here; with as many properties as the suite has."""
    assert len(TEST.splitlines()) <= MOST_LINES
    package = tmp_path / "strangers_store"
    package.mkdir()
    (package / "__init__.py").write_text('"""A store of somebody else\'s."""\n', encoding="utf-8")
    # The stranger's store is a copy of ours in memory: it knows the domain and no adapter of ours.
    for module in (ROOT / "src" / "aiba_adapters" / "memory").glob("[!_]*.py"):
        text = module.read_text(encoding="utf-8").replace("aiba_adapters.memory", package.name)
        assert "aiba_adapters" not in text
        (package / module.name).write_text(text, encoding="utf-8")
    (tmp_path / "test_store.py").write_text(TEST, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    home = run("-c", "import aiba_domain; print(aiba_domain.__file__)", folder=tmp_path, site=site)
    assert Path(home.strip()).is_relative_to(site)
    options = ("-v", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio")
    printed = run("-m", "pytest", *options, "test_store.py", folder=tmp_path, site=site)
    tried = {
        line.split("::")[2].split()[0].split("[")[0]
        for line in printed.splitlines()
        if "::" in line
    }
    assert tried == set(StoreContract.properties())
    assert "failed" not in printed.splitlines()[-1]


def test_the_wheel_names_what_the_harness_needs(site: Path) -> None:
    """The extra brings hypothesis and pytest, and the types of the harness come along."""
    (metadata,) = site.glob("aiba_arena-*.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8")
    for need in ("hypothesis", "pytest"):
        assert f"Requires-Dist: {need}" in text.replace("(", "")
    assert "Provides-Extra: testing" in text
    assert (site / "aiba_domain" / "py.typed").is_file()
