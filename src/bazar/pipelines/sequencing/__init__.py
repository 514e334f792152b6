"""Sort the interactions of each user and split them into training, validation and test."""

from bazar.pipelines.sequencing.pipeline import create_pipeline

__all__ = ["create_pipeline"]
