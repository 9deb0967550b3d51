"""Where a program's secrets are named, in each form in which it is deployed."""

from dataclasses import dataclass
from typing import Final

MOUNTED: Final = "/run/secrets/aiba"
"""Where pods see the files of their Secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One of the programs: `restart` says in words how all of it is restarted.

    `unit` is its systemd unit, `workload` what is rolled out in a cluster, `secret` the Secret that
    it sees as files, and `beside` the ConfigMap with the variables of what stands beside.
    """

    restart: str
    unit: str
    workload: str
    secret: str
    beside: str


API: Final = Program(
    restart="restart every API process, one after another",
    unit="aiba.service",
    workload="deployment/aiba-api",
    secret="aiba-secrets",  # noqa: S106 - its name
    beside="aiba-rotation",
)
SIGNER: Final = Program(
    restart="restart the signer",
    unit="aiba-signer.service",
    workload="statefulset/aiba-signer",
    secret="aiba-signer-secrets",  # noqa: S106 - its name
    beside="aiba-signer-rotation",
)
