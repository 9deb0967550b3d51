"""The one path every change of state takes, and the queries beside it."""
