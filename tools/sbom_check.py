#!/usr/bin/env python3
"""Hold a bill of materials against CycloneDX's own schema.

Runs in the environment of supply-chain.lock.
"""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion  # type: ignore[import-not-found]
from cyclonedx.validation.json import (  # type: ignore[import-not-found]
    JsonStrictValidator,
)


def main(path: str) -> int:
    """Return 0 where the file is valid; else tell why not, and return 1."""
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(
        Path(path).read_text(encoding="utf-8")
    )
    if fault is not None:
        print(f"{path}: {fault}", file=sys.stderr)
    return 0 if fault is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
