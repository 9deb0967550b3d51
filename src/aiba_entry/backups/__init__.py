"""Backups and drills of the store that the settings mean."""
