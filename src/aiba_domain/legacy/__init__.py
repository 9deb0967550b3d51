"""The data of the service before this one, read by rule: what becomes of each row and each unit."""
