"""The embedded durable store."""

from aiba_adapters.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
