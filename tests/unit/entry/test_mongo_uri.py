"""What is taken for a MongoDB URI, and what of it is a secret."""

from pathlib import Path

import pytest

from aiba_entry.mongo_uri import is_mongo_uri, mongo_secrets
from aiba_entry.settings import SettingsError, load

URI = "mongodb://aiba:p%40ss-word@db1:27017,db2,[::1]:27018/aiba?replicaSet=rs&tls=true"


@pytest.mark.parametrize(
    "text",
    [URI, "mongodb://localhost/aiba", "mongodb+srv://user@cluster.example/aiba", "mongodb://h/a-b"],
)
def test_uris_that_name_a_database_are_taken(text: str) -> None:
    """With and without user, port, several hosts and options."""
    assert is_mongo_uri(text)


@pytest.mark.parametrize(
    "text",
    ["", "mongodb://", "mongodb://h", "mongodb://h/", "mongodb:///aiba", "http://h/aiba", "h/aiba"],
)
def test_others_are_refused(text: str) -> None:
    """A URI without a database would use one that nobody chose."""
    assert not is_mongo_uri(text)


def test_a_password_is_a_secret_however_it_is_written() -> None:
    """The whole URI, the password as it stands there, and as it is."""
    assert set(mongo_secrets(URI)) == {URI, "p%40ss-word", "p@ss-word"}
    assert mongo_secrets("mongodb://localhost/aiba") == ()
    assert mongo_secrets(None) == ()


def test_the_settings_hide_it(tmp_path: Path) -> None:
    """It is in no repr, and among the secrets that are kept out of logs; a file may hold it."""
    held = tmp_path / "uri"
    held.write_text(URI + "\n")
    settings = load(
        {"APP_ENV": "test", "AIBA_DATA_DIR": str(tmp_path), "MONGO_URI_FILE": str(held)}
    )
    assert settings.mongo_uri == URI
    assert "ss-word" not in repr(settings)
    assert "p@ss-word" in settings.secrets


def test_a_faulty_one_is_refused_without_repeating_it(tmp_path: Path) -> None:
    """The message names the variable alone."""
    faulty = {"APP_ENV": "test", "AIBA_DATA_DIR": str(tmp_path), "MONGO_URI": "mongodb://a:pw1@h"}
    with pytest.raises(SettingsError) as caught:
        load(faulty)
    assert set(caught.value.problems) == {"MONGO_URI"}
    assert "pw1" not in str(caught.value)
