"""What can be said of a MongoDB URI without its driver, which is an extra."""

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

_URI: Final = re.compile(
    r"mongodb(?:\+srv)?://"
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^@/?]+)/(?P<database>[^/?. \"$\\]+)(?:\?.*)?",
    re.DOTALL,
)


def is_mongo_uri(text: str) -> bool:
    """Tell whether a text has the form of a MongoDB URI that names a database."""
    return _URI.fullmatch(text) is not None


def mongo_secrets(uri: str | None) -> tuple[str, ...]:
    """Return what of a URI must not be shown: all of it if it holds a password, and that."""
    found = _URI.fullmatch(uri or "")
    password = found["password"] if found else None
    if not uri or not password:
        return ()
    return (uri, *{password, unquote(password), unquote_plus(password)})
