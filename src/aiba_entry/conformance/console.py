"""The run of `aiba conformance`: options in, report out; the command itself loads none of this."""

import shlex
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from aiba_adapters.ton.proof import Network
from aiba_domain.money import Currency
from aiba_domain.testing.contracts.registry import describe
from aiba_domain.testing.contracts.suite import Capability
from aiba_domain.testing.report import Outcome, Report
from aiba_entry.conformance.bounds import Bounds, Terms
from aiba_entry.conformance.contract import HttpApiContract
from aiba_entry.conformance.deployment import Deployment
from aiba_entry.conformance.run import judge
from aiba_entry.conformance.scouting import CAPABILITIES, Found, Unusable, scout
from aiba_entry.conformance.suite import NOT_SELECTED

NOT_GREEN: Final = 1
UNUSABLE: Final = 2
PARTLY: Final = 3
"""The exit code when what was asked for with `--only` passed, and the rest was not tried."""

_ROTATION_SECONDS: Final = 60
_NETWORKS: Final = {"mainnet": Network.MAINNET, "testnet": Network.TESTNET}


def run(url: str, token: str, given: Mapping[str, Any]) -> int:
    """Judge the deployment, print and write the report, and return the exit code."""
    declared = _declared(given["capabilities"])
    only = _only(given["only"])
    deployment = Deployment(
        url,
        bot_token=token,
        bounds=Bounds(
            requests=given["max_requests"],
            seconds=given["max_seconds"],
            players=given["max_players"],
            timeout_s=given["timeout"],
        ),
        terms=_terms(given),
        only=only,
    )
    try:
        found = scout(deployment)
        report = judge(deployment, capabilities=declared, found=found, seed=given["seed"])
    except Unusable as fault:
        click.echo(deployment.scrub(str(fault)), err=True)
        return UNUSABLE
    finally:
        deployment.close()
    report.write(json_file=given["json_file"], junit_file=given["junit_file"])
    click.echo(_told(report, deployment, found))
    return _exit_code(report, only=bool(only))


def _exit_code(report: Report, *, only: bool) -> int:
    if report.is_green:
        return 0
    open_ends = [
        result
        for result in report.results
        if result.outcome is Outcome.FAILED
        or (result.outcome is Outcome.BLOCKED and NOT_SELECTED not in result.found)
    ]
    return PARTLY if only and not open_ends and report.counts()[Outcome.PASSED] else NOT_GREEN


def _told(report: Report, deployment: Deployment, found: Found) -> str:
    """Return the report for a terminal: what ran on what, and everything that isn't a pass."""
    head = (
        f"seed {report.seed}, run {deployment.run_number:x}: {deployment.sent} requests,"
        f" {deployment.players} players, the first of them {deployment.player_id(1)};"
        f" waits that the service asked for: {deployment.waited_s:g} s in sum"
    )
    lines = [
        head,
        f"found     {', '.join(sorted(found.capabilities)) or 'nothing beyond the core'}",
        f"declared  {', '.join(report.capabilities) or 'nothing beyond the core'}",
    ]
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome in (Outcome.BLOCKED, Outcome.NOT_DECLARED):
            reasons.setdefault(result.found, []).append(result.case)
    for reason, cases in sorted(reasons.items()):
        names = f": {', '.join(cases)}" if NOT_SELECTED not in reason else ""
        lines.append(f"{reason} ({len(cases)}){names}")
    return deployment.scrub("\n".join([*lines, report.text()]))


def listing() -> str:
    """Return every property with what it owes and needs, and every capability."""
    suite = describe(HttpApiContract)
    lines = [f"{suite.name} {suite.version}"]
    for each in suite.properties:
        marks = ["base"] if each.is_base else sorted(each.needs)
        lines.append(f"{each.name} ({', '.join(marks)})" if marks else each.name)
        lines.append(f"  {each.owed}")
    lines += ["capabilities"]
    lines += [f"  {name}: {text}" for name, text in CAPABILITIES.items()]
    return "\n".join([*lines, ""])


def _declared(names: tuple[str, ...]) -> frozenset[Capability] | None:
    known = {each.value: each for each in CAPABILITIES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}; there are {', '.join(known)}", param_hint="--capability"
        )
    return frozenset(known[name] for name in names) if names else None


def _only(names: tuple[str, ...]) -> tuple[str, ...]:
    known = {each.name for each in describe(HttpApiContract).properties}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; see --list", param_hint="--only")
    return names


def _cap(text: str) -> tuple[Currency, int]:
    """Read a currency and the most that a day emits of it."""
    currency, _, amount = text.partition("=")
    if currency not in set(Currency) or not amount.isdecimal():
        raise click.BadParameter(
            f"{text!r} is no currency ({', '.join(Currency)}) with an amount: AIBA=1000",
            param_hint="--daily-cap",
        )
    return Currency(currency), int(amount)


def _terms(given: Mapping[str, Any]) -> Terms:
    command = given["rotate_command"]
    return Terms(
        wallet_domain=given["wallet_domain"],
        network=_NETWORKS[given["network"]],
        daily_caps=dict(map(_cap, given["caps"])),
        rotate=_rotation(command) if command else None,
    )


def _rotation(command: str) -> Callable[[], None]:
    """Return what runs the operator's command; it fails the property that it was needed for."""
    words = shlex.split(command)

    def rotate() -> None:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command
                words, capture_output=True, text=True, timeout=_ROTATION_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise AssertionError(f"the command that rotates can't be run: {fault}") from None
        if done.returncode:
            raise AssertionError(f"the command that rotates ended with {done.returncode}")

    return rotate
