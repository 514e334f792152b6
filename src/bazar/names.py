"""What people read for the models' names."""

MODEL_NAMES = {
    "classifier": "Model I · classifier",
    "regressor": "Model II · regressor",
    "popularity": "Popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "title_neighbours": "Nearest titles",
}
NO_TITLE = "(no title)"
