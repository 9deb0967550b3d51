"""Guilds, as far as battles need them."""
