"""What the documents say is so: the example runs, commands, goals, variables and links exist."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product, takewhile
from pathlib import Path

import click
import pytest

from aiba_domain import Currency, Posting, player_account, receipt_to_json, sink_account
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import GetStarter
from aiba_domain.testing.playground import Playground
from aiba_entry.cli.main import main
from aiba_entry.settings import SettingsError, load
from tests.support.stores import opener

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"<!-- example:[^>]*-->\n```python\n(.*?)```", re.DOTALL)
PAGES = sorted(
    str(path.relative_to(ROOT)) for name in ("*.md", "docs/**/*.md") for path in ROOT.glob(name)
)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
CELL = re.compile(r"(?<!\\)\|")


@pytest.fixture(name="battle", scope="module")
def _battle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, str]]:
    """Return a genuine receipt as JSON, and the secret of its epoch."""
    ground = Playground(opener("memory", tmp_path_factory.mktemp("unused")))
    broker = ground.play("42", GetStarter()).reply().broker
    battle = ground.play("42", RunBattle(broker_id=broker.id), "req-1").reply().battle
    yield receipt_to_json(battle.receipt), ground.seeds.secret(1)
    ground.close()


def run_example(receipt: object, secret: str) -> Mapping[str, object]:
    """Run the README's example and return what it names."""
    found = EXAMPLE.search(README)
    assert found is not None, "the README shows an example"
    names: dict[str, object] = {"receipt": receipt, "revealed_secret": secret}
    exec(compile(found[1], "README.md", "exec"), names)  # noqa: S102 - this repository's own text
    return names


def test_the_example_computes_verifies_and_posts(battle: tuple[object, str]) -> None:
    """Run as it stands, the example gives what it says."""
    names = run_example(*battle)
    draw, points = names["draw"], names["points"]
    assert isinstance(draw, int)
    base = 100 * Fraction(104, 100) * Fraction(7 * 60 + 2 * 40 + 20, 1000)
    noise = (Fraction(draw, 2**32) - Fraction(1, 2)) * 2 * 30 * Fraction(4, 10)
    assert points == int(base + noise + Fraction(1, 2))
    assert names["problems"] == ()
    fee = names["fee"]
    assert isinstance(fee, Posting)
    assert names["balances"] == {
        (player_account("42"), Currency.NEUR): 25,
        (sink_account("2026-01-31", "train", "training"), Currency.NEUR): fee.amount,
    }


def test_the_example_finds_a_forgery(battle: tuple[object, str]) -> None:
    """A receipt under another secret is not genuine, and the example says so."""
    receipt, secret = battle
    assert run_example(receipt, secret[::-1])["problems"] != ()


def rows(text: str, title: str) -> list[list[str]]:
    """Return the cells of all Markdown tables whose first column has a title."""
    lines = text.splitlines()
    heads = [n for n, line in enumerate(lines) if line.startswith(f"| {title} |")]
    assert heads
    return [
        [cell.strip().replace("\\|", "|") for cell in CELL.split(line)[1:-1]]
        for head in heads
        for line in takewhile(lambda line: line.startswith("|"), lines[head + 2 :])
    ]


def spellings(command: str) -> Iterator[list[str]]:
    """Yield the words of each command that a line such as `aiba seed list|rotate` stands for."""
    words = [word.strip("[]") for word in command.split()]
    assert words[0] == "aiba"
    yield from map(list, product(*(word.split("|") for word in words[1:])))


COMMANDS = [
    words for row in rows(README, "command") for words in spellings(CODE.findall(row[0])[0])
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_of_the_readme_is_there(words: list[str]) -> None:
    """The command and its options are those that the README shows."""
    command: click.Command = main
    while words and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"there is no {words[0]}"
        command, words = found, words[1:]
    assert not isinstance(command, click.Group), "the README names a command, not a group"
    options = {name for each in command.params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= options
    assert command.get_short_help_str()


def test_every_command_is_in_the_readme() -> None:
    """A command that isn't shown is found by nobody."""

    def walk(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from walk(command, (*path, name))
            else:
                yield (*path, name)

    shown = {tuple(words[:length]) for words in COMMANDS for length in range(1, len(words) + 1)}
    assert set(walk(main, ())) <= shown


def test_each_goal_and_link_of_the_documents_is_there() -> None:
    """`make` knows what the README tells to make, and every link leads to a file."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    goals = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    told = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    assert told
    assert told <= goals
    for document in (ROOT / "README.md", *ROOT.glob("[A-Z]*.md"), *ROOT.glob("docs/*.md")):
        text = document.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+?)\)", text):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name} links to {link}"


def told(document: Path) -> Iterator[str]:
    """Yield what a page tells to run of this command: in its lines of code, and in its blocks."""
    in_block = False
    for line in document.read_text(encoding="utf-8").splitlines():
        in_block ^= line.startswith("```")
        yield from re.findall(r"`(aiba [a-z][^`]*)`", line)
        if in_block or line.startswith("    "):
            yield from re.findall(r"(?:^|(?<!--namespace)\s|/)(aiba [a-z].*)$", line)


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_page_is_there(page: str) -> None:
    """Whatever a page tells to run has its command, and each option of it."""
    for text in told(ROOT / page):
        words = re.sub(r"[\[\]\"'\\]", "", text.partition("#")[0]).split()[1:]
        found: list[click.Command] = [main]
        while words and all(isinstance(each, click.Group) for each in found):
            names = words.pop(0).split("|")
            groups = [each for each in found if isinstance(each, click.Group)]
            found = [
                command
                for group in groups
                for name in names
                if (command := group.get_command(click.Context(group), name))
            ]
            assert len(found) == len(names) * len(groups), text
        options = {name for each in found for one in each.params for name in one.opts}
        own = takewhile(lambda word: word not in {"|", "&&", ";", ">", ">>"}, words)
        named = {word.partition("=")[0] for word in own if word.startswith("--")}
        assert named <= options | {"--help"}, text


def headings(document: Path) -> set[str]:
    """Return the places in a document that a link can lead to."""
    text = re.sub(
        r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_every_page_is_found_from_the_readme_and_every_link_leads_to_its_place() -> None:
    """Whoever begins here gets everywhere, and nowhere to a heading that has another name now."""
    waiting, seen = [ROOT / "README.md"], set[Path]()
    while waiting:
        document = waiting.pop()
        seen.add(document)
        for link, place in LINK.findall(document.read_text(encoding="utf-8")):
            target = (document.parent / link).resolve() if link else document
            if "://" in link or target.suffix != ".md":
                continue
            assert not place or place in headings(target), f"{document.name}: {link}#{place}"
            if target not in seen:
                waiting.append(target)
    assert [page for page in PAGES if ROOT / page not in seen] == []


class Asked(dict[str, str]):
    """An environment that notes which variables are looked at."""

    def __init__(self, *given: tuple[str, str]) -> None:
        """Hold what is given."""
        super().__init__(given)
        self.names: set[str] = set()

    def get(self, name: str, default: object = None) -> str:
        """Return a variable and note its name."""
        self.names.add(name)
        return super().get(name) or str(default or "")


def test_every_variable_is_documented_and_every_documented_one_is_read(tmp_path: Path) -> None:
    """The table of the configuration has exactly the variables that are looked at."""
    read: set[str] = set()
    for environment in ("dev", "prod"):
        asked = Asked(("APP_ENV", environment), ("AIBA_DATA_DIR", str(tmp_path)))
        if environment == "prod":
            with pytest.raises(SettingsError):
                load(asked)
        else:
            load(asked)
        read |= asked.names
    documented = {name for row in rows(CONFIGURATION, "variable") for name in CODE.findall(row[0])}
    in_files = {name for name in read if name.endswith("_FILE")}
    assert read - in_files == documented
    assert {name.removesuffix("_FILE") for name in in_files} <= documented


def test_documented_defaults_are_the_real_ones(tmp_path: Path) -> None:
    """What the table calls the default is what an empty environment gives."""
    settings = load({"APP_ENV": "dev", "AIBA_DATA_DIR": str(tmp_path)})
    defaults = {
        name: default
        for row in rows(CONFIGURATION, "variable")
        for name, default in zip(
            CODE.findall(row[0]), CODE.findall(row[1]) or [row[1]] * 2, strict=False
        )
    }
    assert defaults["HOST"] == settings.host
    assert defaults["PORT"] == str(settings.port)
    assert defaults["TELEGRAM_INITDATA_MAX_AGE_SECONDS"] == str(settings.init_data_max_age_s)
    assert defaults["SESSION_TTL_SECONDS"] == str(settings.session_ttl_s)
    assert defaults["SEED_EPOCH_HOURS"] == str(settings.seed_epoch_hours)
    assert defaults["LEDGER_AUDIT_SECONDS"] == str(settings.ledger_audit_s)
    assert defaults["RATE_LIMIT_PER_MINUTE"] == str(settings.rate_limit_per_minute)
    assert defaults["BATTLE_RATE_LIMIT_PER_MINUTE"] == str(settings.battle_rate_limit_per_minute)
    assert defaults["LOG_LEVEL"] == settings.log_level
    assert defaults["JSON_BODY_LIMIT"] == "1mb"
    assert settings.json_body_limit == 1024 * 1024
