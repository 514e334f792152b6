"""The online service: recommendations over HTTP with live events."""
