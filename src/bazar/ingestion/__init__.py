"""Read raw files into typed tables. Each row is accepted, or rejected with a reason."""
