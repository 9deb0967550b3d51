"""Reference adapters that keep everything in the process."""

from aiba_adapters.memory.store import MemoryStore

__all__ = ["MemoryStore"]
