"""Inspect the files of a shop, and propose how to read them."""
