"""Bans, flags and their evidence."""
