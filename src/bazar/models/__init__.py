"""Models that score the catalogue: baselines, networks and blends."""
