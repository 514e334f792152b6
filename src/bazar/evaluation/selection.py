"""Selection of the models that recommend, by their validation NDCG@10."""

from collections.abc import Mapping

from bazar.config.models import BASELINES
from bazar.config.recommendation import RecommendationOptions
from bazar.errors import InputError
from bazar.evaluation.results import ModelResults

TRAINED = ("classifier", "regressor", "blend")
"""The trained models that can recommend."""


def select_recommending_models(
    results: Mapping[str, ModelResults], options: RecommendationOptions
) -> list[str]:
    """Return the models that recommend. The first is the default.

    Args:
        results: results by the name of the model.
        options: ``models`` lists the models, or is ``auto``.

    Returns:
        The models of the list. With ``auto``, the trained models and the best baseline, the highest
        validation NDCG@10 first. ``auto`` excludes models that cannot recommend: the networks of
        the reproduction and the oracle of the sample store.

    Raises:
        InputError: if ``models`` is ``auto`` and there are no results.
    """
    if options.models != "auto":
        return list(options.models)
    ranked = sorted(
        (model for model in results if model in (*BASELINES, *TRAINED)),
        key=lambda model: results[model].metrics["validation_ndcg@10"] or 0.0,
        reverse=True,
    )
    if not ranked:
        raise InputError(
            "recommendation.models is auto, and no model was evaluated. Run a modelling pipeline "
            "first, such as modelling_baselines, or list the models."
        )
    best_baseline = next((model for model in ranked if model in BASELINES), None)
    return [model for model in ranked if model not in BASELINES or model == best_baseline]
