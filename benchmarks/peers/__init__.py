"""Comparison with other libraries: same split, same metrics. See docs/explanation/benchmarks.md."""
