"""BSON as plain values of the domain, and as lines of an archive."""

import json
from collections.abc import Mapping
from typing import Any, Final

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.objectid import ObjectId

from aiba_domain.legacy.values import Alien, Document, Moment, Oid, Plain

_OPTIONS: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    document_class=dict,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    unicode_decode_error_handler="replace",
)


def document(raw: bytes) -> Document:
    """Read a document. Raises ValueError for bytes that are none."""
    try:
        decoded = bson.decode(raw, _OPTIONS)
    except (BSONError, ValueError) as error:
        raise ValueError(str(error)) from error
    return {key: _plain(value) for key, value in decoded.items()}


def line(raw: bytes, *, collection: str, why: str, fields: tuple[str, ...] = ()) -> bytes:
    """Write a document, or some of its fields beside its id, as one line of an archive."""
    decoded = bson.decode(raw, _OPTIONS)
    kept = {name: decoded[name] for name in ("_id", *fields) if name in decoded}
    shown = json_util.dumps(
        kept if fields else decoded, json_options=json_util.CANONICAL_JSON_OPTIONS
    )
    entry = {"collection": collection, "why": why, "document": json.loads(shown)}
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def _plain(value: Any) -> Plain:  # noqa: ANN401, PLR0911 - one kind of value a line
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, ObjectId):
        return Oid(str(value))
    if isinstance(value, DatetimeMS):
        return Moment(int(value))
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return Alien(type(value).__name__)
