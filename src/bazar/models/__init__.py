"""Models that score the catalogue: baselines, nearest titles, networks, and their blend."""
