"""The graph of the floors."""

from kedro.pipeline import Pipeline

from bazar.pipelines.modelling import evaluation_pipeline
from bazar.pipelines.modelling_floors.nodes import (
    recommend_by_cooccurrence,
    recommend_by_decayed_cooccurrence,
    recommend_by_ease,
    recommend_by_popularity,
    recommend_by_recent_popularity,
    recommend_by_session_knn,
    recommend_by_title,
)


def create_pipeline() -> Pipeline:
    """Recommend by each floor, measure."""
    return (
        evaluation_pipeline("popularity", recommend_by_popularity, reads=[])
        + evaluation_pipeline(
            "recent_popularity",
            recommend_by_recent_popularity,
            reads=["recent_counts"],
        )
        + evaluation_pipeline("last_item_cooccurrence", recommend_by_cooccurrence, reads=["train"])
        + evaluation_pipeline(
            "decayed_cooccurrence",
            recommend_by_decayed_cooccurrence,
            reads=["train", "params:decayed_cooccurrence"],
        )
        + evaluation_pipeline(
            "session_knn", recommend_by_session_knn, reads=["train", "params:session_knn"]
        )
        + evaluation_pipeline("ease", recommend_by_ease, reads=["train", "params:ease"])
        + evaluation_pipeline("title_neighbours", recommend_by_title, reads=["item_vectors"])
    )
