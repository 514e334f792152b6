"""Template of a pipeline that trains and evaluates one network."""

from kedro.pipeline import Node, Pipeline

from bazar.modelling.nodes import evaluate_network, make_training_function


def create_network_pipeline(model: str) -> Pipeline:
    """Create a pipeline that trains a network and evaluates it on the test part.

    Args:
        model: ``classifier`` or ``regressor``: the name of the parameters, and the prefix of the
            data sets, such as ``classifier.network``.
    """
    return Pipeline(
        [
            Node(
                make_training_function(model),
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    "products",
                    f"params:{model}",
                    "params:seed",
                    "params:warm_start",
                    "previous_training",
                ],
                [f"{model}.network", f"{model}.training"],
                name=f"train_{model}",
            ),
            Node(
                evaluate_network,
                [
                    "splits",
                    "item_index",
                    "item_vectors",
                    f"{model}.network",
                    f"{model}.training",
                    "params:evaluation",
                ],
                f"{model}.results",
                name=f"evaluate_{model}",
            ),
        ],
        namespace=f"modelling_{model}",
        prefix_datasets_with_namespace=False,
    )
