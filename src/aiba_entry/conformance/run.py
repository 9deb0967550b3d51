"""One run over a deployment, from the first look to the report."""

from collections.abc import Collection
from dataclasses import replace

from aiba_domain.testing.checking import check
from aiba_domain.testing.contracts.suite import Capability
from aiba_domain.testing.report import Report
from aiba_entry.conformance.contract import HttpApiContract
from aiba_entry.conformance.deployment import Deployment
from aiba_entry.conformance.scouting import Found, scout


def judge(
    deployment: Deployment,
    *,
    capabilities: Collection[Capability] | None = None,
    found: Found | None = None,
    seed: int = 0,
) -> Report:
    """Judge a deployment and report what came of each property; the deployment stays open.

    `capabilities` are those that the operator declares; without them those that `scout` finds
    count as declared. `found` is what it has found, if it has looked already. `seed` starts what
    is drawn. Raises Unusable for what can't be judged at all.
    """
    found = found or scout(deployment)
    declared = found.capabilities if capabilities is None else frozenset(capabilities)
    deployment.forget_attempts()
    report = check(
        HttpApiContract,
        lambda: deployment,
        capabilities=declared,
        adapter=deployment.name,
        adapter_version=found.version,
        seed=seed,
        closes=False,
    )
    told = (replace(one, found=deployment.scrub(one.found)) for one in report.results)
    return replace(report, results=tuple(told))
