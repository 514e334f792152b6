"""Embed the titles of the products."""

from bazar.pipelines.embedding.pipeline import create_pipeline

__all__ = ["create_pipeline"]
