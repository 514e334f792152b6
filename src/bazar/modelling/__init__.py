"""What the modelling pipelines share: the template of a network's pipeline, and node functions."""
