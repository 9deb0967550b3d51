"""Bodies and fields from outside, turned into typed values or refused with the field named."""

import json
import math
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import islice
from typing import (
    Annotated,
    Any,
    Final,
    NoReturn,
    TypeVar,
    cast,
    dataclass_transform,
    get_type_hints,
)

import msgspec
from litestar import Request
from litestar._openapi.schema_generation import SchemaCreator
from litestar.dto import AbstractDTO
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition
from msgspec import Meta

from aiba_entry.http.errors import InvalidRequest
from aiba_entry.http.readable import CONTROL, fault_in
from aiba_entry.http.texts import INVALID, text_of

T = TypeVar("T")

MALFORMED: Final = "malformed JSON"
UNKNOWN: Final = "unknown"
_MAX_DETAILS: Final = 16
_MAX_NAME: Final = 64
_LONGEST_INTEGER: Final = 40
_MOST_EXPLAINED: Final = 64 * 1024
# The clients' own idea of white space; it is trimmed off every text.
_BLANKS: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
# How the description says that a text holds no control characters.
_READABLE: Final = r"^[^\x00-\x1F\x7F-\x9F]*$"
_OBJECT_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_decode: Final = msgspec.json.Decoder().decode


ObjectId = Annotated[str, Meta(pattern="^[0-9a-fA-F]{24}$", extra={"text": "objectId"})]
"""An id: 24 hex digits; read in either case, lower case from there on."""

RequestId = Annotated[
    str,
    Meta(
        max_length=4096,
        extra_json_schema={
            "description": "Idempotency key: 1 to 128 of a-z A-Z 0-9 . _ : -",
            "extra": {"min_length": 1, "max_length": 128, "pattern": "^[a-zA-Z0-9._:-]+$"},
        },
    ),
]
"""An idempotency key as it came in. What makes it valid is the domain's to judge, once."""


def text(longest: int, shortest: int = 1) -> Meta:
    """Return the bounds of a text field in characters, for `Annotated[str, ...]`."""
    told = {"extra": {"pattern": _READABLE}}
    return Meta(min_length=shortest, max_length=longest, extra_json_schema=told)


def whole(least: int, most: int) -> Meta:
    """Return the bounds of a whole number, for `Annotated[int, ...]`."""
    return Meta(ge=least, le=most)


class _BodyMeta(msgspec.StructMeta):
    """Makes every body's fields keyword-only, which msgspec doesn't inherit."""

    def __new__(
        cls: type["_BodyMeta"],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, object],
        **config: Any,
    ) -> "_BodyMeta":
        return super().__new__(cls, name, bases, namespace, **({"kw_only": True} | config))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Body(
    msgspec.Struct,
    metaclass=_BodyMeta,
    frozen=True,
    forbid_unknown_fields=True,
    rename="camel",
):
    """The base of every request body: camel case on the wire, no field but its own."""


class EmptyBody(Body):
    """A body that brings nothing."""


class JsonBody(AbstractDTO[Any]):
    """How Litestar reads a `data` parameter: with `read_body`."""

    def decode_bytes(self, value: bytes) -> object:
        """Return the typed body of this connection's handler."""
        field = self.asgi_connection.scope["route_handler"].parsed_data_field
        if field is None:
            raise TypeError("a handler without a body has none to read")
        return read_body(value, field.annotation)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: object = None
    ) -> None:
        """Prepare for a handler: there is nothing to generate."""

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,  # noqa: ARG003 - Litestar's signature
        schema_creator: SchemaCreator,
    ) -> Reference | Schema:
        """Describe the body as the type it is."""
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: object) -> NoReturn:
        """Never asked: no type is derived from another here."""
        raise NotImplementedError

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Never asked: no type is derived from another here."""
        raise NotImplementedError


class EdgeRequest(Request[Any, Any, Any]):
    """A request whose absent body reads as an empty object."""

    async def body(self) -> bytes:
        """Return the body's bytes."""
        return await super().body() or b"{}"


def read_body(raw: bytes, shape: type[T]) -> T:
    """Return the JSON object in `raw` as a `shape`, or raise InvalidRequest naming every fault.

    Texts are trimmed; null and "" count as absent; "true" and "false" are booleans and mean what
    they say; ids come out in lower case. Of a repeated key the last counts. Texts hold no control
    characters and no lone surrogates; a field is no deeper than `MAX_DEPTH`. What isn't asked for
    is refused unread.
    """
    try:
        fields = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(_why_malformed(raw)) from None
    if not isinstance(fields, dict):
        raise InvalidRequest({"body": "object"})
    return read_fields(fields, shape)


def read_fields(fields: Mapping[str, object], shape: type[T]) -> T:
    """Return decoded JSON fields as a `shape`, under the rules of `read_body`."""
    mends = _mends(cast("type", shape))
    taken = _taken(cast("type", shape))
    cleaned: dict[str, object] = {}
    faults: dict[str, str] = {}
    for name, value in fields.items():
        if len(faults) == _MAX_DETAILS:
            break
        if isinstance(value, str):
            value = value.strip(_BLANKS)  # noqa: PLW2901 - the trimmed text is the value
            if not value:
                continue
        elif value is None:
            continue
        # Nobody looks inside of what isn't asked for: that could be made to take long.
        fault = UNKNOWN if taken is not None and name not in taken else fault_in(value)
        if fault is not None:
            faults[name] = fault
            continue
        mend = mends.get(name)
        cleaned[name] = value if mend is None else mend(value)
    if not faults:
        try:
            return msgspec.convert(cleaned, shape)
        except (msgspec.ValidationError, RecursionError):
            pass
    raise InvalidRequest(_presentable(_faults(cleaned, shape, faults)))


def query_text(value: str | None, field: str) -> str | None:
    """Return a text of the query trimmed, None for a blank one, or raise InvalidRequest."""
    trimmed = (value or "").strip(_BLANKS)
    if CONTROL.search(trimmed):
        raise InvalidRequest({field: "pattern"})
    return trimmed or None


def object_id(value: str, field: str = "id") -> str:
    """Return an id in lower case, or raise InvalidRequest naming `field`."""
    if not _OBJECT_ID.fullmatch(value):
        raise InvalidRequest({field: "objectId"})
    return value.lower()


@lru_cache(maxsize=512)
def _fields_of(shape: type) -> Mapping[str, msgspec.inspect.Field]:
    described = msgspec.inspect.type_info(shape)
    if not isinstance(described, msgspec.inspect.StructType):
        raise TypeError(f"{shape} is no Struct")
    return {field.encode_name: field for field in described.fields}


@lru_cache(maxsize=512)
def _taken(shape: type) -> AbstractSet[str] | None:
    """Return the names of the fields that are taken, None where any is."""
    closed = cast("type[msgspec.Struct]", shape).__struct_config__.forbid_unknown_fields
    return _fields_of(shape).keys() if closed else None


@lru_cache(maxsize=512)
def _mends(shape: type) -> Mapping[str, Callable[[object], object]]:
    """Return, by field, what a value goes through before it is judged."""
    mends: dict[str, Callable[[object], object]] = {}
    for name, field in _fields_of(shape).items():
        kinds = _alternatives(field.type)
        if any(isinstance(kind, msgspec.inspect.BoolType) for kind in kinds):
            mends[name] = _as_boolean
        elif _word(field.type) == "objectId":
            mends[name] = _lower
    return mends


def _alternatives(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _alternatives(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return tuple(part for each in kind.types for part in _alternatives(each))
    return (kind,)


def _word(kind: msgspec.inspect.Type) -> str | None:
    """Return the text that a type brings for its own faults, as ObjectId does."""
    if isinstance(kind, msgspec.inspect.Metadata):
        word = (kind.extra or {}).get("text")
        return word if isinstance(word, str) else _word(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return next((word for each in kind.types if (word := _word(each))), None)
    return None


def _as_boolean(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _faults(cleaned: Mapping[str, object], shape: type, known: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with each field, beside the faults already known."""
    faults = dict(known)
    fields = _fields_of(shape)
    hints = _hints(shape)
    for name, value in cleaned.items():
        field = fields.get(name)
        if field is None:
            faults[name] = UNKNOWN
            continue
        try:
            msgspec.convert(value, hints[field.name])
        except (msgspec.ValidationError, RecursionError) as error:
            faults[name] = _word(field.type) or text_of(str(error))
    for name, field in fields.items():
        if field.required and name not in cleaned and name not in faults:
            faults[name] = "required"
    return faults or {"body": INVALID}


@lru_cache(maxsize=512)
def _hints(shape: type) -> Mapping[str, Any]:
    return get_type_hints(shape, include_extras=True)


def _presentable(faults: Mapping[str, str]) -> dict[str, str]:
    """Return faults whose names are safe to send back: few, short, and writable."""
    return {
        name[:_MAX_NAME].encode("utf-8", "backslashreplace").decode(): text
        for name, text in islice(faults.items(), _MAX_DETAILS)
    }


def _why_malformed(raw: bytes) -> dict[str, str]:
    """Return which field makes a body unreadable, where a laxer reader can soon tell."""
    if len(raw) > _MOST_EXPLAINED:
        return {"body": MALFORMED}
    try:
        fields = json.loads(raw.decode(), strict=False, parse_int=_bounded_int)
    except (ValueError, RecursionError):
        return {"body": MALFORMED}
    if not isinstance(fields, dict):
        return {"body": MALFORMED}
    words = ((name, fault_in(value)) for name, value in fields.items())
    return _presentable({name: word for name, word in words if word}) or {"body": MALFORMED}


def _bounded_int(digits: str) -> float | int:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else math.inf
