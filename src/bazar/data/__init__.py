"""Data structures of interactions and products, and functions that prepare them for models."""
