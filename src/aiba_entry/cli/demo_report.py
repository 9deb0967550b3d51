"""What the demo found, for people and for machines."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from aiba_entry.cli.demo_chain_report import (
    CONFIRMED,
    REFUNDED,
    ChainReport,
    chain_document,
    failures_on_chain,
    show_chain,
)

Json = Mapping[str, Any]

_MOST_ROWS: Final = 40
_CURRENCIES: Final = ("AIBA", "NEUR", "STARS", "DIAMONDS")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBattle:
    """A battle as the service answered it, and everything that was found against it."""

    answer: Json
    problems: tuple[str, ...]

    @property
    def is_verified(self) -> bool:
        """Whether nothing was found against the battle."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerReport:
    """One player's battles, deeds and balances; `expected` is what the answers add up to."""

    id: str
    name: str
    broker: Json
    battles: tuple[CheckedBattle, ...]
    deeds: Mapping[str, int]
    balances: Mapping[str, int]
    expected: Mapping[str, int]

    @property
    def agrees(self) -> bool:
        """Whether the balances are what the answers add up to."""
        return all(self.balances[name] == self.expected.get(name, 0) for name in _CURRENCIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The whole run; without `failures` everything held.

    `chain` is None where the chain was left out, for the reason in `left_out`.
    """

    players: tuple[PlayerReport, ...]
    epochs: tuple[Json, ...]
    audit: Json
    chain: ChainReport | None
    exit_code: int
    left_out: str | None = None
    failures: tuple[str, ...] = field(default=())


def failures_of(report: DemoReport) -> Iterator[str]:
    """Yield everything that didn't hold, in words."""
    for player in report.players:
        if not player.battles:
            yield f"{player.name} fought no battle"
        for battle in player.battles:
            if not battle.is_verified:
                yield f"battle {battle.answer['_id']}: {'; '.join(battle.problems)}"
        if not player.agrees:
            stored, expected = dict(player.balances), dict(player.expected)
            yield f"{player.name} holds {stored}, the answers add up to {expected}"
    if report.chain is not None:
        yield from failures_on_chain(report.chain)
    if not report.audit["sound"]:
        yield f"the ledger is not sound: {'; '.join(report.audit['faults'])}"
    if report.exit_code:
        yield f"the server stopped with exit code {report.exit_code}"


def document(report: DemoReport) -> dict[str, object]:
    """Return the run as one JSON document."""
    battles = [battle for player in report.players for battle in player.battles]
    return {
        "ok": not report.failures,
        "failures": list(report.failures),
        "battles": len(battles),
        "verified": sum(battle.is_verified for battle in battles),
        "players": [_player_document(player) for player in report.players],
        "chain": None if report.chain is None else chain_document(report.chain),
        "chainLeftOut": report.left_out,
        "epochs": list(report.epochs),
        "audit": report.audit,
        "server": {"exitCode": report.exit_code},
    }


def _player_document(player: PlayerReport) -> dict[str, object]:
    return {
        "telegramId": player.id,
        "name": player.name,
        "broker": player.broker,
        "deeds": dict(player.deeds),
        "balances": dict(player.balances),
        "balancesAgree": player.agrees,
        "battles": [
            {**battle.answer, "verified": battle.is_verified, "problems": list(battle.problems)}
            for battle in player.battles
        ],
    }


def show(report: DemoReport, console: Console) -> None:
    """Print the run as tables."""
    battles = [battle for player in report.players for battle in player.battles]
    console.print(_battles(report))
    for count, what in ((len(battles), "battles"), (len(report.players), "players")):
        if count > _MOST_ROWS:
            console.print(f"The tables show the first {_MOST_ROWS} of {count} {what}.")
    deeds = sum((Counter(player.deeds) for player in report.players), Counter[str]())
    console.print(
        f"Trained {deeds['train']}x, repaired {deeds['repair']}x, upgraded {deeds['upgrade']}x, "
        f"daily reward {deeds['daily']}x, combo bonus {deeds['combo']}x."
    )
    if report.chain is None:
        console.print(f"The chain was left out: {report.left_out}.")
    else:
        show_chain(report.chain.claims, console)
    console.print(_balances(report))
    console.print(_audit(report))
    if not report.failures:
        verified = sum(battle.is_verified for battle in battles)
        console.print(
            f"[green]All held:[/] {verified} of {len(battles)} battles verified offline from the "
            f"revealed seed, {_withdrawn(report.chain)}the ledger is sound, the server drained and "
            "stopped."
        )


def _withdrawn(chain: ChainReport | None) -> str:
    if chain is None:
        return ""
    return (
        f"{chain.total(CONFIRMED)} AIBA withdrawn are jettons on the chain, "
        f"{chain.total(REFUNDED)} came back from claims that expired, "
    )


def _battles(report: DemoReport) -> Table:
    table = Table(title="Battles")
    for heading in ("Player", "Mode"):
        table.add_column(heading)
    for heading in ("Score", "AIBA", "NEUR", "Stars"):
        table.add_column(heading, justify="right")
    table.add_column("Verified")
    rows = [(player, battle) for player in report.players for battle in player.battles]
    for player, battle in rows[:_MOST_ROWS]:
        answer = battle.answer
        numbers = ("score", "rewardAiba", "rewardNeur", "starsGranted")
        table.add_row(
            player.name,
            answer["modeKey"],
            *(str(answer[name]) for name in numbers),
            _mark(good=battle.is_verified),
        )
    return table


def _balances(report: DemoReport) -> Table:
    table = Table(title="Balances")
    table.add_column("Player")
    table.add_column("Level", justify="right")
    for heading in ("AIBA", "NEUR", "Stars", "Diamonds"):
        table.add_column(heading, justify="right")
    table.add_column("As answered")
    for player in report.players[:_MOST_ROWS]:
        table.add_row(
            player.name,
            str(player.broker["level"]),
            *(str(player.balances[currency]) for currency in _CURRENCIES),
            _mark(good=player.agrees),
        )
    return table


def _audit(report: DemoReport) -> Table:
    table = Table(title="Audit of the ledger")
    for heading in ("Entries", "Balances", *(f"Σ {currency}" for currency in _CURRENCIES)):
        table.add_column(heading, justify="right")
    table.add_column("Sound")
    audit = report.audit
    table.add_row(
        str(audit["entries"]),
        str(audit["balances"]),
        *(str(audit["totals"].get(currency, 0)) for currency in _CURRENCIES),
        _mark(good=audit["sound"]),
    )
    return table


def _mark(*, good: bool) -> str:
    return "[green]yes[/]" if good else "[bold red]NO[/]"
