"""Ways into the system: the HTTP API and the command line."""
