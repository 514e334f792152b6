"""What people read for the models' names."""

MODEL_NAMES = {
    "classifier": "Model I · classifier",
    "regressor": "Model II · regressor",
    "popularity": "Popularity",
    "recent_popularity": "Recent popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "decayed_cooccurrence": "Decayed co-occurrence",
    "session_knn": "Session kNN",
    "ease": "EASE",
    "title_neighbours": "Nearest titles",
}
NO_TITLE = "(no title)"
