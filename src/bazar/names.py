"""What people read for the names of models and protocols."""

MODEL_NAMES = {
    "classifier": "Model I · classifier",
    "regressor": "Model II · regressor",
    "report_classifier": "Report · classifier",
    "report_regressor": "Report · regressor",
    "blend": "Blend",
    "popularity": "Popularity",
    "recent_popularity": "Recent popularity",
    "last_item_cooccurrence": "Last-item co-occurrence",
    "decayed_cooccurrence": "Decayed co-occurrence",
    "session_knn": "Session kNN",
    "ease": "EASE",
    "title_neighbours": "Nearest titles",
}
# What a model must beat.
FLOORS = (
    "popularity",
    "recent_popularity",
    "last_item_cooccurrence",
    "decayed_cooccurrence",
    "session_knn",
    "ease",
    "title_neighbours",
)
PROTOCOL_NAMES = {
    "leave_one_out": "leave-one-out",
    "temporal": "split in time",
    "cold_items": "cold items",
    "paper_windows": "paper windows, leaky",
}
# How what was bought before the target is treated: put last, or recommended like the rest.
HISTORIES = ("masked", "unmasked")
NO_TITLE = "(no title)"


def model_name(model: str) -> str:
    """What people read for a model."""
    return MODEL_NAMES.get(model, model)


def protocol_name(protocol: str) -> str:
    """What people read for a protocol."""
    return PROTOCOL_NAMES.get(protocol, protocol)
