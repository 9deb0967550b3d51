"""Every port has its suite, every suite says what it is, and an adapter of ours runs each."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest

import aiba_domain
from aiba_domain.testing.contracts import SUITES, describe

CONTRACT_TESTS = Path(__file__).parents[2] / "contract"
PARTS = {
    "Reader": "StoreContract",
    "UnitOfWork": "StoreContract",
    "Identity": "IdentityContract",
    "SessionClaim": "SessionsContract",
    "ProtectionUnit": "ProtectionStoreContract",
}
"""Protocols that another port hands out, and by whose suite they are judged."""


def ports() -> Iterator[str]:
    """Yield the name of every Protocol that a module of ports has, or hands on from another."""
    for module in pkgutil.walk_packages(aiba_domain.__path__, "aiba_domain."):
        if module.name.rpartition(".")[2] == "ports":
            for name, kind in vars(import_module(module.name)).items():
                own = getattr(kind, "__module__", "").startswith("aiba_domain.")
                if own and isinstance(kind, type) and Protocol in kind.__bases__:
                    yield name


def test_every_port_has_a_suite() -> None:
    """A new port comes with its suite, or this fails."""
    suited = {describe(suite).port for suite in SUITES.values()}
    assert {*ports()} - {*PARTS} == suited
    assert set(PARTS.values()) <= set(SUITES)


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_says_what_it_owes(name: str) -> None:
    """A version, a base property at the least, and a sentence for each property."""
    suite = describe(SUITES[name])
    assert suite.name == name
    assert len(suite.version.split(".")) == 2
    assert suite.base
    assert suite.base == tuple(one.name for one in suite.properties)[: len(suite.base)]
    assert [one.name for one in suite.properties if not one.owed.endswith((".", "?"))] == []
    assert not any(one.needs for one in suite.properties if one.is_base)
    documented = SUITES[name].__doc__ or ""
    assert [each for each in suite.capabilities if f"`{each}`" not in documented] == []


@pytest.mark.parametrize("name", SUITES)
def test_an_adapter_of_ours_runs_each_suite(name: str) -> None:
    """A suite that nobody passes proves nothing."""
    texts = [path.read_text(encoding="utf-8") for path in CONTRACT_TESTS.rglob("test_*.py")]
    assert any(f"({name}):" in text for text in texts)
