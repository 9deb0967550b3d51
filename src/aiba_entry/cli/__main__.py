"""`python -m aiba_entry.cli` is `aiba`, for whoever has the interpreter but not its scripts."""

from aiba_entry.cli.main import main

main(prog_name="aiba")
