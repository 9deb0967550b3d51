"""Headers as ASGI has them: lower-case names and values, in bytes."""

RawHeaders = list[tuple[bytes, bytes]]
