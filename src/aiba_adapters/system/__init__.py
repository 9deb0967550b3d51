"""The machine's own services: time and configured secrets."""
