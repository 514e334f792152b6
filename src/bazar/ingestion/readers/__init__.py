"""Read raw files, with one module per format. Each record becomes a row of text."""
