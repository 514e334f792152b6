"""Answers from a Recommender and live data: lists, search, rules and explanations."""
