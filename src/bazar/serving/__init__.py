"""Serving: bundles, and the Recommender that answers from them."""
