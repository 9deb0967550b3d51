"""URLs of providers: every documented form, and nothing that would leak a secret."""

import pytest

from aiba_adapters.toncenter.endpoints import Endpoint, Provider, Version, endpoint

H = "https://toncenter.com"
V2, V3 = f"{H}/api/v2", f"{H}/api/v3"


@pytest.mark.parametrize(
    ("url", "version", "v2", "v3", "rpc"),
    [
        (H, Version.V2, V2, V3, None),
        (f"{H}/", Version.V2, V2, V3, None),
        (V2, Version.V2, V2, V3, None),
        (f"{V2}/", Version.V2, V2, V3, None),
        (f"{V2}/jsonRPC", Version.V2, V2, V3, f"{V2}/jsonRPC"),
        (f"{V2}/jsonRPC/", Version.V2, V2, V3, f"{V2}/jsonRPC"),
        (f"{V2}/jsonrpc", Version.V2, V2, V3, f"{V2}/jsonrpc"),
        (V3, Version.V3, V2, V3, None),
        (f" {V3}/ ", Version.V3, V2, V3, None),
        (f"{H}/k/api/v3", Version.V3, f"{H}/k/api/v2", f"{H}/k/api/v3", None),
        (f"{H}/k/jsonRPC", Version.V2, f"{H}/k", None, f"{H}/k/jsonRPC"),
    ],
)
def test_d15_every_documented_form_is_understood(
    url: str, version: Version, v2: str, v3: str | None, rpc: str | None
) -> None:
    """Where each version is, and which is meant; a path in front stays."""
    expected = Endpoint(host="toncenter.com", version=version, v2=v2, v3=v3, rpc=rpc)
    assert endpoint(url) == expected


def test_a_port_stays_with_its_host() -> None:
    """A local chain has one."""
    assert endpoint("http://127.0.0.1:8081/api/v3").v3 == "http://127.0.0.1:8081/api/v3"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "toncenter.com",
        "ftp://toncenter.com",
        "https://",
        "https://[::1",
        "https://toncenter.com:port",
        "https://user:s3cret@toncenter.com",
        "https://toncenter.com/api/v2?api_key=s3cret",
        "https://toncenter.com/#s3cret",
    ],
)
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    """A key in the query would stand in logs."""
    with pytest.raises(ValueError, match="must") as caught:
        endpoint(url)
    assert "s3cret" not in str(caught.value)


def test_nothing_shown_of_a_provider_is_secret() -> None:
    """Neither its key nor its path, which with some providers is the key."""
    provider = Provider(url=f"{H}/s3cret/jsonRPC", api_key="s3cret")
    assert repr(provider) == "Provider(toncenter.com)"
    assert "s3cret" not in repr(endpoint(provider.url))


def test_the_rate_is_what_the_provider_gives_unless_told() -> None:
    """One a second without a key, ten with one."""
    assert Provider(url=H).rate == 1
    assert Provider(url=H, api_key="k").rate == 10
    assert Provider(url=H, api_key="k", requests_per_s=2.5).rate == 2.5
    assert Provider(url=H, requests_per_s=0).rate == 0
