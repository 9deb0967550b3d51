"""The `aiba` command: serve, play, verify, and look after a store."""

import importlib
from typing import Final

import click

# Loaded only when called, so that `aiba verify` needs no web framework to start.
_COMMANDS: Final = {
    "serve": "aiba_entry.cli.serve:serve",
    "doctor": "aiba_entry.cli.doctor:doctor",
    "demo": "aiba_entry.cli.demo:demo",
    "verify": "aiba_entry.cli.verify:verify_command",
    "vectors": "aiba_entry.cli.vectors:vectors",
    "devnet": "aiba_entry.cli.devnet:devnet",
    "init-data": "aiba_entry.cli.init_data:init_data",
    "seed": "aiba_entry.cli.seed:seed",
    "policy": "aiba_entry.cli.policy:policy",
    "mod": "aiba_entry.cli.mod:mod",
    "admin": "aiba_entry.cli.admin:admin",
    "keys": "aiba_entry.cli.keys:keys",
    "outbox": "aiba_entry.cli.outbox:outbox",
    "audit": "aiba_entry.cli.audit:audit",
    "backup": "aiba_entry.cli.backup:backup",
    "restore": "aiba_entry.cli.restore:restore",
    "drill": "aiba_entry.cli.drill:drill_command",
    "migrate": "aiba_entry.cli.migrate:migrate",
    "mongo": "aiba_entry.cli.mongo:mongo",
    "import-legacy": "aiba_entry.cli.import_legacy:import_legacy",
    "conformance": "aiba_entry.cli.conformance:conformance",
    "signer": "aiba_entry.cli.signer:signer",
    "simulate": "aiba_entry.cli.simulate:simulate_command",
    "crash-matrix": "aiba_entry.cli.crash_matrix:crash_matrix",
    "mutants": "aiba_entry.cli.mutants:mutants",
}


class _Lazy(click.Group):
    """Finds its commands by name and imports each when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Lazy)
@click.version_option(package_name="aiba-arena")
def main() -> None:
    """AIBA Arena: battles anyone can replay, and money that can't be lost or made."""
