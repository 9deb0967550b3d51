"""The package's front door opens to every name it lists."""

import aiba_domain
from aiba_domain import _HOMES


def test_every_listed_name_has_a_home_and_loads() -> None:
    """Nothing is listed that can't be had, and nothing can be had that isn't listed."""
    assert sorted(aiba_domain.__all__) == sorted(_HOMES)
    for name in aiba_domain.__all__:
        assert getattr(aiba_domain, name) is vars(aiba_domain)[name]
