"""The pipelines, a folder each."""
