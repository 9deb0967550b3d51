"""Backups: a folder with a sealed manifest, taken while the service runs, and put back whole."""

from aiba_adapters.backups.archive import BackupExists, BackupRefused, check, manifest_of, take
from aiba_adapters.backups.manifest import LedgerHead, Manifest
from aiba_adapters.backups.ports import Backups, PlaceInUse, PlaceOccupied, Snapshot, Tell

__all__ = [
    "BackupExists",
    "BackupRefused",
    "Backups",
    "LedgerHead",
    "Manifest",
    "PlaceInUse",
    "PlaceOccupied",
    "Snapshot",
    "Tell",
    "check",
    "manifest_of",
    "take",
]
