"""Signing isolation: what a signer may sign, what it has signed, and the log of its decisions."""
