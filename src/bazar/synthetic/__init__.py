"""Synthetic stores: their customers are simulated and written in the formats of real data sets."""
