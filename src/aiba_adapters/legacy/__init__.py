"""The database of the service before: read only, and staged on disk in the order it is needed."""
