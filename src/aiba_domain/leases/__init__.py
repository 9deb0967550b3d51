"""Leases: which of several processes does a piece of the service's own work."""
