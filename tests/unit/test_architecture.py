"""The rules that hold the shape of the repository together, checked on its own source."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
DOMAIN = SRC / "aiba_domain"

RINGS = ("aiba_domain", "aiba_adapters", "aiba_entry")
MAY_IMPORT = {
    "aiba_domain": {"aiba_domain"},
    "aiba_adapters": {"aiba_domain", "aiba_adapters"},
    "aiba_entry": set(RINGS),
}
HARNESS_MAY_IMPORT = {"hypothesis", "pytest"}

# What no part of the domain asks the world for: time, chance, identity and storage come by ports.
AMBIENT = {
    "ctypes",
    "ftplib",
    "getpass",
    "glob",
    "http",
    "io",
    "locale",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "platform",
    "random",
    "secrets",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
    "warnings",
}
# The rules themselves are synchronous too; only `application/` and each `ports.py` may wait.
WAITING = {"asyncio", "concurrent", "contextvars", "queue", "selectors"}
AMBIENT_NAMES = {"open", "print", "input", "exec", "eval", "breakpoint"}
AMBIENT_METHODS = {"now", "utcnow", "today"}

MAX_FUNCTION_LINES = 70

# Both are written so that this file passes its own rule.
MACHINE_PATH = re.compile(r"(?<![\w.~/$}-])/(?:work|tmp|root|home|opt|mnt|Users)/[\w.]")
REGISTRY_HOST = re.compile(r"\b(?:pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com))\b")
LOCK_OPTION = re.compile(r"^\s*(?:-\w|--(?!hash=)[\w-]+)|\w+://", re.MULTILINE)


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _in_harness(path: Path) -> bool:
    return path.is_relative_to(DOMAIN / "testing")


def _commands() -> list[Path]:
    """List the modules that hold commands: what each loads, and how it is decided."""
    return sorted(DOMAIN.glob("*/*commands.py"))


def _rules() -> list[Path]:
    """List the pure rules: all of the domain but orchestration, ports, commands and harness.

    The front door isn't a rule either: it leads to all of them.
    """
    outer = (DOMAIN / "application", DOMAIN / "testing")
    doors = {DOMAIN / "__init__.py", *DOMAIN.rglob("ports.py")}
    return [
        path
        for path in sorted({*_modules(DOMAIN)} - {*_commands()} - doors)
        if not any(path.is_relative_to(folder) for folder in outer)
    ]


def _money_modules() -> list[Path]:
    return [*filter(Path.exists, [DOMAIN / "money.py"]), *_modules(DOMAIN / "economy")]


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _at(path: Path, node: ast.expr | ast.stmt, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno} {what}"


def _imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each import with the dotted name it reaches; relative ones are made absolute."""
    package = path.relative_to(SRC).parent.parts
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield node, f"{module}.{alias.name}"


def _reaches(name: str, target: str) -> bool:
    return name == target or name.startswith(f"{target}.")


@pytest.mark.parametrize("ring", RINGS)
def test_a_ring_imports_only_itself_and_the_rings_inside_it(ring: str) -> None:
    """The domain knows neither its adapters nor its entries, and an adapter knows no entry."""
    offences = [
        _at(path, node, f"imports {name}")
        for path in _modules(SRC / ring)
        for node, name in _imports(path)
        if name.partition(".")[0] in set(RINGS) - MAY_IMPORT[ring]
    ]
    assert offences == []


def test_the_domain_needs_nothing_but_the_standard_library() -> None:
    """Only the harness may use the test tools that its extra installs."""
    offences = [
        _at(path, node, f"imports {name}")
        for path in _modules(DOMAIN)
        for node, name in _imports(path)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names | {"aiba_domain"}
        and not (_in_harness(path) and top in HARNESS_MAY_IMPORT)
    ]
    assert offences == []


def test_the_domain_asks_the_world_for_nothing() -> None:
    """Time, chance, storage and output reach the domain as arguments or through ports."""
    rules = set(_rules())
    offences = []
    for path in _modules(DOMAIN):
        if _in_harness(path):
            continue
        forbidden = AMBIENT | WAITING if path in rules else AMBIENT
        offences += [
            _at(path, node, f"imports {name}")
            for node, name in _imports(path)
            if name.partition(".")[0] in forbidden
        ]
    assert offences == []


def test_the_domain_calls_no_clock_and_no_file() -> None:
    """A builtin or a method that reads the world needs no import, so calls are looked at too."""
    offences = []
    for path in _modules(DOMAIN):
        if _in_harness(path):
            continue
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Call):
                continue
            match node.func:
                case ast.Name(id=name) if name in AMBIENT_NAMES:
                    offences.append(_at(path, node, f"calls {name}()"))
                case ast.Attribute(attr=name, value=ast.Name(id="date" | "datetime" | "dt")) if (
                    name in AMBIENT_METHODS
                ):
                    offences.append(_at(path, node, f"calls .{name}()"))
                case _:
                    pass
    assert offences == []


def test_rules_know_neither_ports_nor_orchestration() -> None:
    """What decides is inside what orchestrates: the inner never imports the outer."""
    offences = [
        _at(path, node, f"imports {name}")
        for path in _rules()
        for node, name in _imports(path)
        if any(_reaches(name, f"aiba_domain.{outer}") for outer in ("application", "testing"))
        or "ports" in name.split(".")
    ]
    assert offences == []


def test_rules_are_synchronous() -> None:
    """A decider is total and immediate, so nothing in it awaits."""
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    offences = [
        _at(path, node, "waits")
        for path in _rules()
        for node in ast.walk(_tree(path))
        if isinstance(node, waits)
    ]
    assert offences == []


def test_commands_read_and_leave_writing_to_the_pipeline() -> None:
    """A command's module knows the pipeline's contract and a reader: what it loads, no more."""
    allowed = ("aiba_domain.application.handler", "aiba_domain.ports.Reader")
    offences = [
        _at(path, node, f"imports {name}")
        for path in _commands()
        for node, name in _imports(path)
        if any(_reaches(name, f"aiba_domain.{outer}") for outer in ("application", "ports"))
        and not any(_reaches(name, one) for one in allowed)
    ]
    assert offences == []


def test_only_what_reads_waits_in_a_command() -> None:
    """A decider is synchronous: in a command's module only a function given a Reader awaits."""
    offences = [
        _at(path, node, f"{node.name} waits without a Reader")
        for path in _commands()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.AsyncFunctionDef)
        and not any(
            isinstance(argument.annotation, ast.Name) and argument.annotation.id == "Reader"
            for argument in (*node.args.args, *node.args.kwonlyargs)
        )
    ]
    assert offences == []


def test_no_float_touches_money() -> None:
    """Money modules hold no float literal, no float() and no true division."""
    offences = []
    for path in _money_modules():
        for node in ast.walk(_tree(path)):
            match node:
                case ast.Constant(value=float()):
                    offences.append(_at(path, node, "float literal"))
                case ast.Call(func=ast.Name(id="float")):
                    offences.append(_at(path, node, "calls float()"))
                case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                    offences.append(_at(path, node, "divides with /"))
                case _:
                    pass
    assert offences == []


def test_annotations_are_real_at_run_time() -> None:
    """Litestar and msgspec read annotations, so no entry hides the imports they name."""
    hidden = ("typing.TYPE_CHECKING", "__future__.annotations")
    offences = [
        _at(path, node, f"imports {name}")
        for path in _modules(SRC / "aiba_entry")
        for node, name in _imports(path)
        if name in hidden
    ]
    assert offences == []


def test_every_module_says_what_it_is() -> None:
    """A newcomer reads the first line of a file, so there is one."""
    silent = [
        str(path.relative_to(ROOT))
        for path in _modules(SRC)
        if not (ast.get_docstring(_tree(path)) or "").strip()
    ]
    assert silent == []


def test_every_function_fits_a_screen() -> None:
    """A function longer than a screen does more than one thing."""
    long = [
        _at(path, node, f"{node.name} has {length} lines")
        for path in _modules(SRC)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert long == []


def _tracked() -> Iterator[tuple[str, str]]:
    """Yield the name and text of each file that git tracks."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    git = shutil.which("git")
    assert git is not None
    listing = subprocess.run(  # noqa: S603 - a fixed command on this repository
        [git, "-C", str(ROOT), "ls-files", "-z"],
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    """The repository works on any machine and with any package index."""
    offences = [
        f"{name}: {match.group()!r}"
        for name, text in _tracked()
        for pattern in (MACHINE_PATH, REGISTRY_HOST)
        for match in pattern.finditer(text)
    ]
    assert offences == []


def test_the_lock_pins_by_hash_and_names_no_index() -> None:
    """Whoever installs chooses where from; the hashes say what it must be."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert LOCK_OPTION.findall(text) == []
    pins = re.findall(r"^([\w.-]+)==.*\\$", text, re.MULTILINE)
    requirements = re.findall(r"^[\w.-].*$", text, re.MULTILINE)
    assert len(pins) == len(requirements) > 0


def test_the_map_names_every_package_and_nothing_that_is_gone() -> None:
    """Whoever reads ARCHITECTURE.md finds each folder of code in it, and each name of it here."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {path.parent.name for ring in RINGS for path in (SRC / ring).rglob("__init__.py")}
    assert [name for name in sorted(packages - set(RINGS)) if f"{name}/" not in text] == []
    tops = [
        ROOT / name for name in ("src", "tests", "tools", "bench", "docs", "deploy", "contracts")
    ]
    paths = [*tops, *(path for top in tops for path in top.rglob("*"))]
    known = {f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}" for path in paths}
    named = set(re.findall(r"`([\w./-]+(?:/|\.(?:py|mjs|html)))`", text))
    gone = [name for name in sorted(named) if not any(each.endswith(f"/{name}") for each in known)]
    assert gone == []
