"""The API's own description, held against the answers that really come."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]

_BASE: Final = "urn:described"
_PARAMETER: Final = re.compile(r"\{[^}]+\}")
_ENVELOPE: Final = "#/components/schemas/ErrorEnvelope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path as it is described."""

    method: str
    path: str
    schema: Schema

    @property
    def changes(self) -> bool:
        """Tell whether the operation may change something."""
        return self.method not in ("GET", "HEAD")

    @property
    def is_private(self) -> bool:
        """Tell whether a caller must prove who is calling."""
        ways = self.schema.get("security", [{}])
        return {} not in ways

    def body(self, described: Schema) -> Schema | None:
        """Return the schema of the request body, None where there is none."""
        request = self.schema.get("requestBody")
        if request is None:
            return None
        return _resolved(request["content"]["application/json"]["schema"], described)


class Description:
    """What `/openapi.json` says, strictly read: a field that it doesn't name is a fault."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Read a document."""
        self.document = document
        self._strict = {"$id": _BASE, "components": closed(document["components"])}
        self._validators: dict[str, Draft202012Validator] = {}
        self.operations = [
            Operation(method=method.upper(), path=path, schema=schema)
            for path, methods in document["paths"].items()
            for method, schema in methods.items()
        ]

    def operation(self, method: str, path: str) -> Operation | None:
        """Return the operation that a path means; literal segments come before parameters."""
        found = [
            each
            for each in self.operations
            if each.method == method and _pattern(each.path).fullmatch(path)
        ]
        return min(found, key=lambda each: each.path.count("{"), default=None)

    def check(self, response: httpx.Response) -> None:
        """Raise AssertionError unless the answer is one that the description announces."""
        request = response.request
        operation = self.operation(request.method, request.url.path)
        if operation is None:
            self._validate(response, {"$ref": _ENVELOPE})
            return
        where = f"{request.method} {operation.path} {response.status_code}"
        announced = operation.schema["responses"].get(str(response.status_code))
        assert announced is not None, f"{where} is not described: {response.text[:300]}"
        for media, content in announced.get("content", {}).items():
            assert response.headers["content-type"].startswith(media), where
            if media == "application/json":
                self._validate(response, content["schema"])

    def _validate(self, response: httpx.Response, schema: Schema) -> None:
        key = repr(schema)
        validator = self._validators.get(key)
        if validator is None:
            # The envelope around a list has its schema in place, all others are references.
            whole = {**self._strict, **closed(schema)}
            validator = self._validators[key] = Draft202012Validator(whole)
        faults = [
            f"{fault.json_path}: {fault.message[:200]}"
            for fault in validator.iter_errors(response.json())
        ]
        assert not faults, f"{response.request.url.path} {response.status_code}: {faults}"


def _pattern(path: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in _PARAMETER.split(path)]
    return re.compile("[^/]+".join(parts) + "/?", re.IGNORECASE)


def _resolved(schema: Schema, described: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Any = described
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def closed(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON document
    """Return a schema whose objects hold no property but those that they name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {name: closed(part) for name, part in schema.items()}
    if "properties" in shut and shut.get("type") == "object":
        shut.setdefault("additionalProperties", False)
    return shut


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield every plain value in a decoded JSON document with its path."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}[{number}]")
    else:
        yield path, value
