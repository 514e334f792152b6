"""Catalog types that kedro-datasets lacks."""
