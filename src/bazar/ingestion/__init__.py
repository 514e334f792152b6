"""From raw files to typed tables: each row is accepted, or rejected with a reason."""
