"""Data structures of interactions and products, and the steps that prepare them for models."""
