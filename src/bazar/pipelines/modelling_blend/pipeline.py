"""The graph of the blend."""

from kedro.pipeline import Node, Pipeline

from bazar.modelling.network_pipeline import SHARED, evaluation_pipeline
from bazar.pipelines.modelling_blend.nodes import choose_weights, recommend_by_blend

# What components are made of.
COMPONENTS = [
    "params:blend",
    "params:seed",
    "classifier.network",
    "regressor.network",
    "all_networks",
    "item_vectors",
    "train",
    "recent_counts",
    "params:decayed_cooccurrence",
    "params:session_knn",
    "params:ease",
]


def create_pipeline() -> Pipeline:
    """Choose the weights by the validation part, recommend, measure."""
    reads = ["validation", "item_index", "training_counts", "params:evaluation", *COMPONENTS]
    choose = Pipeline(
        [Node(choose_weights, reads, "training", name="choose_weights")],
        namespace="blend",
        inputs=SHARED.intersection(reads),
        parameters={name for name in reads if name.startswith("params:")},
    )
    return choose + evaluation_pipeline(
        "blend", recommend_by_blend, reads=["training", *COMPONENTS]
    )
