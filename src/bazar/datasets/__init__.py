"""Kedro catalog types that kedro-datasets lacks."""
