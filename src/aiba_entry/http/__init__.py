"""The HTTP API: the edge that every request passes, and the routes behind it."""
