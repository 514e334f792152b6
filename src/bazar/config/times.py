"""Limits of the time of a purchase, which the ingestion and the online service share."""

EARLIEST_MS = 788_918_400_000
"""1995-01-01, before the first online stores, UTC milliseconds."""
MAX_FUTURE_MS = 86_400_000
"""How far a time may be after the clock, in milliseconds: a day."""
