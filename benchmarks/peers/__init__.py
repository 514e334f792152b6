"""Other libraries on our split, measured with our metrics; see docs/explanation/benchmarks.md."""
