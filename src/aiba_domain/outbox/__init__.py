"""The outbox: what must reach somebody outside, written in the unit of work that it tells of."""
