"""The meaning of the ports as tests: subclass a contract and say how to open your adapter."""

from aiba_domain.testing.contracts.store import StoreContract
from aiba_domain.testing.contracts.suite import Capability, PortContract

__all__ = ["Capability", "PortContract", "StoreContract"]
