"""Synthetic stores: simulated purchases in the file formats of real data sets."""
