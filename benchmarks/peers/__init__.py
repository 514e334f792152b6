"""Other people's libraries on our split, measured by our metrics: see docs/benchmarks.md."""
