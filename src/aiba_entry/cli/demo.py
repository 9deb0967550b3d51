"""`aiba demo`: the whole game on real input, against a server it starts itself."""

import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aiba_entry.cli.demo_chain import DemoChain, start_chain, why_left_out
from aiba_entry.cli.demo_chain_report import ChainReport
from aiba_entry.cli.demo_player import Api, DemoPlayer, Refusal
from aiba_entry.cli.demo_process import DemoFailed, together
from aiba_entry.cli.demo_report import (
    CheckedBattle,
    DemoReport,
    PlayerReport,
    document,
    failures_of,
    show,
)
from aiba_entry.cli.demo_server import DemoServer, start_server
from aiba_entry.cli.demo_withdrawals import STEPS, able_to_withdraw, withdraw
from aiba_entry.cli.verify import Secrets, judge, read_fairness

Json = Mapping[str, Any]

_AT_ONCE: Final = 16
_USUAL_BATTLES: Final = 9
_REQUEST_SECONDS: Final = 30.0
_INTERRUPTED: Final = 130


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option(
    "--players", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many play."
)
@click.option("--no-chain", is_flag=True, help="Withdraw nothing, and start no local chain.")
def demo(*, as_json: bool, players: int, no_chain: bool) -> None:
    """Play battles against a server started for it, withdraw to a chain, and check everything.

    Signs initData with a bot token of its own, plays while energy and money last, withdraws the
    AIBA of the first three players to a local chain, rotates the seed epoch, checks every receipt
    offline, audits the ledger and stops both. Exits with 1 if anything doesn't hold. Without the
    extra devnet the chain is left out.
    """
    console = Console(stderr=as_json)
    left_out = "--no-chain was given" if no_chain else why_left_out()
    try:
        report = asyncio.run(_run(players, left_out, console, quiet=as_json))
    except (DemoFailed, Refusal) as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "failures": [str(error)]}))
        raise click.ClickException(str(error)) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("interrupted; all that it had started was stopped", err=True)
        raise SystemExit(_INTERRUPTED) from None
    if as_json:
        click.echo(json.dumps(document(report), indent=2))
    else:
        show(report, console)
    for failure in report.failures:
        click.echo(f"FAILED {failure}", err=True)
    raise SystemExit(1 if report.failures else 0)


async def _run(players: int, left_out: str | None, console: Console, *, quiet: bool) -> DemoReport:
    with (
        _ended_by_signal(),
        _progress(console, quiet=quiet) as progress,
        tempfile.TemporaryDirectory(prefix="aiba-demo-") as folder,
    ):
        start = progress.add_task("Start", total=1 if left_out else 2)
        async with contextlib.AsyncExitStack() as stack:
            chain = None
            if left_out is None:
                chain = await stack.enter_async_context(start_chain(Path(folder)))
                progress.advance(start)
            settings = chain.settings if chain else {}
            server = await stack.enter_async_context(start_server(Path(folder), settings))
            progress.advance(start)
            report = await _play(server, chain, players, progress)
            stop = progress.add_task("Stop", total=1 if left_out else 2)
            report = replace(report, left_out=left_out, exit_code=await server.stop())
            progress.advance(stop)
            if chain and report.chain:
                ended = replace(report.chain, exit_code=await chain.stop())
                report = replace(report, chain=ended)
                progress.advance(stop)
    return replace(report, failures=tuple(failures_of(report)))


async def _play(
    server: DemoServer, chain: DemoChain | None, count: int, progress: Progress
) -> DemoReport:
    """Let the players play and withdraw, reveal the seed, and check all that can be checked."""
    async with httpx.AsyncClient(
        base_url=server.base_url, timeout=_REQUEST_SECONDS, trust_env=False
    ) as http:
        anyone = Api(http)
        promised = (await anyone.get("/api/fairness"))["data"]["epochs"]
        modes = _open_to_all((await anyone.get("/api/game-modes"))["data"])
        fights = progress.add_task("Play battles", total=count * _USUAL_BATTLES)
        players = [
            DemoPlayer(
                http=http, number=number, modes=modes, fought=lambda: progress.advance(fights)
            )
            for number in range(1, count + 1)
        ]
        await _all_play(players, server.bot_token)
        fought = sum(len(player.battles) for player in players)
        progress.update(fights, total=fought, completed=fought)
        on_chain = await _withdrawals(players, chain, progress) if chain else None

        await server.operate("seed", "rotate")
        epochs = (await anyone.get("/api/fairness"))["data"]["epochs"]
        checks = progress.add_task("Verify battles offline", total=fought)
        published = _kept_promises(promised, epochs)
        reports = [
            await _checked(player, published, lambda: progress.advance(checks))
            for player in players
        ]
        audits = progress.add_task("Audit the ledger", total=1)
        audit = json.loads(await server.operate("audit", "--json"))
        progress.advance(audits)
    return DemoReport(
        players=tuple(reports), epochs=tuple(epochs), audit=audit, chain=on_chain, exit_code=0
    )


async def _withdrawals(
    players: list[DemoPlayer], chain: DemoChain, progress: Progress
) -> ChainReport:
    """Let the first players withdraw."""
    able = able_to_withdraw(players)
    steps = progress.add_task("Withdraw to the chain", total=len(able) * STEPS)
    return await withdraw(able, chain, lambda: progress.advance(steps))


def _open_to_all(modes: list[Json]) -> list[Json]:
    """Return the modes that need no guild, the lowest league first."""
    solo = [mode for mode in modes if not mode["rules"].get("requiresGuild")]
    ranks = {"rookie": 0, "pro": 1, "elite": 2}
    return sorted(solo, key=lambda mode: (ranks.get(mode["league"], len(ranks)), mode["key"]))


async def _all_play(players: list[DemoPlayer], bot_token: str) -> None:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def play(player: DemoPlayer) -> None:
        async with turns:
            await player.play(bot_token)

    await together(play(player) for player in players)


def _kept_promises(promised: list[Json], epochs: list[Json]) -> Secrets:
    """Return the published epochs; each must still show the commitment it began with."""
    shown = {epoch["number"]: epoch["commitment"] for epoch in epochs}
    for epoch in promised:
        if shown.get(epoch["number"]) != epoch["commitment"]:
            raise DemoFailed(f"the commitment of seed epoch {epoch['number']} has changed")
    return read_fairness(json.dumps({"epochs": epochs}))


async def _checked(
    player: DemoPlayer, published: Secrets, done: Callable[[], None]
) -> PlayerReport:
    """Check all battles of a player against the receipts the service hands out."""
    receipts = await player.receipts()
    battles = []
    for answer in player.battles:
        problems = _problems(answer, receipts.pop(answer["_id"], None), published)
        battles.append(CheckedBattle(answer=answer, problems=tuple(problems)))
        done()
    if receipts:
        raise DemoFailed(
            f"the service lists battles that {player.name} never fought: {[*receipts]}"
        )
    return PlayerReport(
        id=player.id,
        name=player.name,
        broker=player.broker,
        battles=tuple(battles),
        deeds=player.books.deeds,
        balances=player.balances,
        expected=player.books.holds,
    )


def _problems(answer: Json, kept: Json | None, published: Secrets) -> Iterator[str]:
    """Yield what is wrong with a battle: gone, changed since it was answered, or not genuine."""
    if kept is None:
        yield "the service has lost it"
        return
    for name, value in answer.items():
        if kept.get(name) != value:
            yield f"{name} was answered as {value} and is kept as {kept.get(name)}"
    receipt = kept["receipt"]
    outcome, grant = receipt["outcome"], receipt["grant"]
    stated = {"score": outcome["score"], "rewardAiba": grant["aiba"], "rewardNeur": grant["neur"]}
    for name, value in stated.items():
        if answer[name] != value:
            yield f"{name} was answered as {answer[name]}, its receipt says {value}"
    yield from judge(receipt, secret=None, published=published).problems


def _progress(console: Console, *, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: with all stopped that it started."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
