"""The `aiba` command line."""
