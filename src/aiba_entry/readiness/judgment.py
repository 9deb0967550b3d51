"""The judgment: an environment in, everything that is wrong with it out."""

from collections.abc import Iterable, Iterator, Mapping

from aiba_entry.disks import Disks, kind_of_disk
from aiba_entry.readiness.advice import CODES
from aiba_entry.readiness.checks import is_judged_as_prod, judge_service, judge_settings
from aiba_entry.readiness.findings import Finding, Readiness
from aiba_entry.settings import Settings, parse
from aiba_entry.variables import SETTING_INVALID, Files, Variables, read_secret_file

_ORDER = {code: place for place, code in enumerate(CODES)}


def judge(
    environ: Mapping[str, str], files: Files = read_secret_file, disks: Disks = kind_of_disk
) -> Readiness:
    """Judge an environment; nothing is started or made, and only files that it names are read.

    Faulty values are errors everywhere. What production asks for is asked where `APP_ENV` is prod,
    and where it is none of the three names. No text repeats a secret's value.
    """
    return examine(environ, files, disks)[0]


def examine(
    environ: Mapping[str, str], files: Files = read_secret_file, disks: Disks = kind_of_disk
) -> tuple[Readiness, Settings | None]:
    """Judge an environment; also return the settings, None if a value of them is faulty.

    Secrets that a developer's machine would make up are blank in them.
    """
    variables = Variables(environ, files, disks)
    settings = parse(variables)
    prod = is_judged_as_prod(variables)
    found = [*judge_settings(variables), *judge_service(variables)] if prod else []
    findings = sorted(_once(found, variables), key=lambda each: _ORDER[each.code])
    readiness = Readiness(
        prod=prod,
        errors=tuple(each for each in findings if not each.warning),
        warnings=tuple(each for each in findings if each.warning),
    )
    return readiness, None if variables.faults else settings


def _once(found: Iterable[Finding], variables: Variables) -> Iterator[Finding]:
    """Yield the findings, and the faults, but one without a code where an error is told already."""
    told: set[str] = set()
    for finding in found:
        if not finding.warning:
            told |= set(finding.variables)
        yield finding
    for name, noted in variables.faults.items():
        if noted.code != SETTING_INVALID or name not in told:
            yield Finding(code=noted.code, variables=(name,), text=noted.text)
