"""Nothing here where the TVM isn't built for the machine."""

from importlib.util import find_spec

collect_ignore_glob = ["test_*.py"] if find_spec("tonpy") is None else []
