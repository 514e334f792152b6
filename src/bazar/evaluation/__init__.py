"""Evaluation of models: rankings, metrics, significance tests and model selection."""
