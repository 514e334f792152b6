"""The graph of the baselines."""

from kedro.pipeline import Pipeline

from bazar.modelling.network_pipeline import evaluation_pipeline
from bazar.pipelines.modelling_baselines.nodes import (
    recommend_by_cooccurrence,
    recommend_by_decayed_cooccurrence,
    recommend_by_ease,
    recommend_by_nearest_titles,
    recommend_by_popularity,
    recommend_by_recent_popularity,
    recommend_by_session_knn,
)


def create_pipeline() -> Pipeline:
    """Recommend by each baseline, measure."""
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
        + evaluation_pipeline("nearest_titles", recommend_by_nearest_titles, reads=["item_vectors"])
    )
