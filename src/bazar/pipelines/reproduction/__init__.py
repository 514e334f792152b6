"""Reproduce the fourteen networks of the original study, and compare with its figures."""

from bazar.pipelines.reproduction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
