"""Code that the modelling pipelines share: a pipeline template and node functions."""
