"""Readers of raw files, one module per format: each record becomes a row of text."""
