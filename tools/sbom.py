#!/usr/bin/env python3
"""Write the bill of materials of what production runs: CycloneDX JSON, made from the image's lock.

The same lock gives the same bytes: no time, no random number. Versions and hashes are the lock's;
licences are what the installed packages say of themselves, at exactly those versions. Exits with 1
where a package isn't installed, is of another version, or says nothing of its licence.
"""

import argparse
import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "deploy" / "requirements.lock"
_PIN: Final = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\\n]+?))?\s*\\?$",
    re.MULTILINE,
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER: Final = "License :: "


class Unknown(Exception):  # noqa: N818 - what the bill can't say
    """A package that the bill can't be made of."""


def pins(text: str) -> list[dict[str, Any]]:
    """Return name, version, marker and hashes of each package of a lock."""
    found = []
    matches = list(_PIN.finditer(text))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        block = text[match.end() : following.start() if following else len(text)]
        found.append({**match.groupdict(), "hashes": sorted(_HASH.findall(block))})
    return found


def licence_of(package: Distribution) -> dict[str, Any] | None:
    """Return what a package says of its licence: an SPDX expression, or its own words."""
    metadata: Any = package.metadata
    if expression := metadata.get("License-Expression"):
        return {"expression": str(expression)}
    words = str(metadata.get("License") or "").strip()
    if words and "\n" not in words and words.upper() != "UNKNOWN":
        return {"license": {"name": words}}
    named = [
        each.rpartition(" :: ")[2]
        for each in metadata.get_all("Classifier") or []
        if each.startswith(_CLASSIFIER)
    ]
    if named:
        return {"license": {"name": " AND ".join(sorted(set(named)))}}
    words = words or _text_of(package)
    return {"license": {"name": words.partition("\n")[0]}} if words else None


def _text_of(package: Distribution) -> str:
    """Return the text of the licence that comes with a package, "" if none does."""
    for file in package.files or []:
        if re.match(r"LICEN[CS]E", file.name, re.IGNORECASE):
            return file.read_text(encoding="utf-8").strip()
    return ""


def component(pin: Mapping[str, Any]) -> dict[str, Any]:
    """Return a package's entry. Raises Unknown."""
    name, version = pin["name"], pin["version"]
    entry: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "properties": [{"name": "aiba:sha256", "value": each} for each in pin["hashes"]],
    }
    try:
        package = distribution(name)
    except PackageNotFoundError:
        if pin["marker"]:
            entry["properties"].append({"name": "aiba:only", "value": pin["marker"].strip()})
            return entry
        raise Unknown(f"{name} isn't installed: make setup") from None
    if package.version != version:
        raise Unknown(f"{name} is {package.version} here and {version} in the lock: make setup")
    licence = licence_of(package)
    if licence is None:
        raise Unknown(f"{name} says nothing of its licence")
    entry["licenses"] = [licence]
    return entry


def bill(lock: str, project: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bill of a lock for a project. Raises Unknown."""
    name, version = project["name"], project["version"]
    components = sorted(
        (component(pin) for pin in pins(lock)), key=lambda each: str(each["bom-ref"])
    )
    content = hashlib.sha256(lock.encode() + version.encode()).hexdigest()
    root = f"pkg:pypi/{name}@{version}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": name,
                "version": version,
                "purl": root,
            }
        },
        "components": components,
        "dependencies": [
            {"ref": root, "dependsOn": [str(each["bom-ref"]) for each in components]},
            *({"ref": str(each["bom-ref"])} for each in components),
        ],
    }


def main(words: list[str] | None = None) -> int:
    """Write the bill, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, help="the file; standard output without it")
    options = parser.parse_args(words)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        made = bill(LOCK.read_text(encoding="utf-8"), project)
    except Unknown as error:
        print(error, file=sys.stderr)
        return 1
    text = json.dumps(made, indent=2, sort_keys=True) + "\n"
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
