"""The meaning of the ports as tests: subclass a contract and say how to open your adapter."""

from aiba_domain.testing.contracts.store import StoreContract

__all__ = ["StoreContract"]
