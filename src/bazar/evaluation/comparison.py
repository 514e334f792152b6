"""Comparison of models over several training seeds, with confidence intervals and tests.

All models are measured on the same test rows. For a model with several training seeds, the metric
of each row is averaged over the seeds. A paired bootstrap estimates the uncertainty over users: it
draws the same users for all models. Holm's method corrects the p-values of all pairs of models.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bazar.config.base import DEFAULT_SEED
from bazar.errors import InputError
from bazar.evaluation.metrics import FILTER_MODES, compute_row_metrics
from bazar.evaluation.results import ModelResults, check_measured_on
from bazar.evaluation.significance import (
    apply_holm_correction,
    compute_interval,
    run_paired_bootstrap,
    summarise_difference,
)

SIGNIFICANCE_LEVEL = 0.05
COMPARED_METRICS = ("hr@10", "ndcg@10")
ROW_METRICS = (*COMPARED_METRICS, "mrr@20")
LIST_METRICS = ("coverage@10", "novelty@10")

# Path of a model's results within the folder of the split.
_RESULT_PATH = re.compile(r"seed_(?P<seed>\d+)/(?P<model>[^/.][^/]*)")

# Values per row, or per bootstrap sample, by model, filter mode and metric.
_Columns = Mapping[tuple[str, str, str], np.ndarray]


@dataclass(frozen=True)
class SeedResults:
    """The results of a model for one training seed.

    Attributes:
        model: name of the model.
        seed: training seed. For a model without randomness, the seed in the name of its folder.
        results: the results on the test part.
    """

    model: str
    seed: int
    results: ModelResults

    @property
    def label(self) -> str:
        """Name of the model, with the seed if it is not the default seed."""
        return self.model if self.seed == DEFAULT_SEED else f"{self.model} (seed {self.seed})"

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Table of target ranks in order of the test rows."""
        return self.results.ranks.sort_values("row", ignore_index=True)

    @property
    def is_trained(self) -> bool:
        """Whether the model was trained. Only then do its results depend on the seed."""
        return self.results.training is not None


def read_results(results: Mapping[str, ModelResults]) -> list[SeedResults]:
    """Return the results of all models and seeds of one split.

    Args:
        results: results by path relative to the folder of the split, such as
            ``seed_42/classifier``. Other paths are ignored.

    Returns:
        Results sorted by the name of the model, then by seed. A model without randomness (a
        baseline, whose ``training`` is None) occurs once, with the results of the lowest seed.

    Raises:
        InputError: if there are no results.
    """
    found = sorted(
        (match["model"], int(match["seed"]), path)
        for path in results
        if (match := _RESULT_PATH.fullmatch(path))
    )
    if not found:
        raise InputError("There are no results to compare. Run the modelling pipelines first.")
    selected: list[SeedResults] = []
    for model, seed, path in found:
        candidate = SeedResults(model, seed, results[path])
        is_repeated = bool(selected) and selected[-1].model == model
        if candidate.is_trained or not is_repeated:
            selected.append(candidate)
    return selected


def check_same_rows(
    results: list[SeedResults], users: np.ndarray, targets: np.ndarray, n_items: int
) -> None:
    """Raise InputError if results do not belong to the current test part.

    Args:
        results: the results to compare.
        users: shape (rows,), external user id of each test row.
        targets: shape (rows,), external item id of the target of each test row.
        n_items: size of the catalogue.

    Raises:
        InputError: if the rows differ. The message names the models.
    """
    expected = {"test_rows": len(users), "items": n_items}
    check_measured_on({result.label: result.results for result in results}, expected)
    outdated = [
        result.label
        for result in results
        if not np.array_equal(result.ranks["user_id"].to_numpy(object), users)
        or not np.array_equal(result.ranks["item_id"].to_numpy(object), targets)
    ]
    if outdated:
        raise InputError(
            f"{', '.join(outdated)}: measured on other users or targets than the current test "
            "part.\nRun the pipelines of these models again, or remove their results."
        )


def compare_results(
    results: list[SeedResults], users: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
    """Compare models by the mean over their seeds, with intervals and tests over users.

    Args:
        results: results of all models and seeds, on the same rows.
        users: shape (rows,), user of each row.
        resamples: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        ``models``: the results by model, in order of NDCG@10 with seen items filtered, the best
        first. Each model has ``seeds`` (empty for a model without randomness),
        ``seconds_training`` (mean) and ``n_parameters``. ``filtered`` and ``unfiltered`` hold, for
        each of :data:`ROW_METRICS` and :data:`LIST_METRICS`, the ``mean`` over seeds, the standard
        deviation ``sd`` over seeds (None for one seed) and the values ``by_seed``. Each of
        :data:`ROW_METRICS` also has ``ci95``, the 95% interval of the mean over users. ``cold``
        holds the same for :data:`COMPARED_METRICS` on the rows with a cold target, or is None if
        there are no such rows.

        ``cold_rows``: number of rows with a cold target.

        ``differences``: one entry per pair of models, the better model first. For both filter
        modes and each of :data:`COMPARED_METRICS` it has the ``difference`` of the means, its
        ``ci95``, the two-sided bootstrap p-value ``p``, ``p_holm`` (corrected for the number of
        pairs), and ``significant``: whether the difference is significant (``p_holm`` is below
        :data:`SIGNIFICANCE_LEVEL`).

    Raises:
        InputError: if the number of bootstrap samples is too small for the number of pairs.
    """
    by_model: dict[str, list[SeedResults]] = {}
    for result in results:
        by_model.setdefault(result.model, []).append(result)
    _check_resamples(resamples, len(by_model) * (len(by_model) - 1) // 2)
    per_row = {
        (model, filter_mode, metric): values
        for model, seeds in by_model.items()
        for filter_mode in FILTER_MODES
        for metric, values in _average_over_seeds(seeds, filter_mode).items()
    }
    values = np.column_stack(list(per_row.values()))
    means = run_paired_bootstrap(values, users, resamples, seed)
    samples = dict(zip(per_row, means.T, strict=True))
    models = {model: _summarise_model(model, seeds, samples) for model, seeds in by_model.items()}
    order = sorted(models, key=lambda model: -models[model]["filtered"]["ndcg@10"]["mean"])
    differences = [_compare_pair(*pair, per_row, samples) for pair in combinations(order, 2)]
    _correct_p_values(differences)
    is_cold = results[0].ranks["target_count"].to_numpy() == 0
    cold = _measure_rows(by_model, users, is_cold, resamples, seed) if is_cold.any() else {}
    return {
        "models": {model: models[model] | {"cold": cold.get(model)} for model in order},
        "differences": differences,
        "cold_rows": int(is_cold.sum()),
    }


def _compute_seed_metrics(result: SeedResults, filter_mode: str) -> dict[str, np.ndarray]:
    """Return the metrics of each test row, in order of the rows."""
    return compute_row_metrics(result.ranks[f"rank_{filter_mode}"].to_numpy(float))


def _average_over_seeds(seeds: list[SeedResults], filter_mode: str) -> dict[str, np.ndarray]:
    """Return the mean over seeds of each row metric, for each row."""
    by_seed = [_compute_seed_metrics(result, filter_mode) for result in seeds]
    return {
        metric: np.mean([metrics[metric] for metrics in by_seed], axis=0) for metric in ROW_METRICS
    }


def _check_resamples(resamples: int, n_pairs: int) -> None:
    # The smallest p-value is 2 / (resamples + 1). Holm's method multiplies it by n_pairs.
    needed = int(2 * n_pairs / SIGNIFICANCE_LEVEL)
    if resamples < needed:
        raise InputError(
            f"comparison.bootstrap_resamples is too small, got {resamples:,}: no difference among "
            f"{n_pairs:,} pairs of models can be significant.\n"
            f"Set it to {needed:,} or more."
        )


def _summarise_model(model: str, seeds: list[SeedResults], samples: _Columns) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "seeds": [result.seed for result in seeds if result.is_trained],
        "seconds_training": _average_training_value(seeds, "seconds_training"),
        "n_parameters": int(_average_training_value(seeds, "n_parameters") or 0),
    }
    for filter_mode in FILTER_MODES:
        summary[filter_mode] = {
            metric: _summarise_metric(seeds, filter_mode, metric) for metric in LIST_METRICS
        }
        for metric in ROW_METRICS:
            summary[filter_mode][metric] = _summarise_metric(seeds, filter_mode, metric) | {
                "ci95": compute_interval(samples[model, filter_mode, metric])
            }
    return summary


def _summarise_metric(seeds: list[SeedResults], filter_mode: str, metric: str) -> dict[str, Any]:
    return _summarise_seeds(
        {str(result.seed): float(result.results.metrics[filter_mode][metric]) for result in seeds}
    )


def _summarise_seeds(by_seed: dict[str, float]) -> dict[str, Any]:
    values = list(by_seed.values())
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "by_seed": by_seed}


def _average_training_value(seeds: list[SeedResults], name: str) -> float | None:
    trainings = [result.results.training for result in seeds]
    values = [training[name] for training in trainings if training is not None]
    return float(np.mean(values)) if values else None


def _compare_pair(better: str, other: str, per_row: _Columns, samples: _Columns) -> dict[str, Any]:
    pair: dict[str, Any] = {"models": [better, other]}
    for filter_mode in FILTER_MODES:
        pair[filter_mode] = {
            metric: summarise_difference(
                per_row[better, filter_mode, metric] - per_row[other, filter_mode, metric],
                samples[better, filter_mode, metric] - samples[other, filter_mode, metric],
            )
            for metric in COMPARED_METRICS
        }
    return pair


def _correct_p_values(differences: list[dict[str, Any]]) -> None:
    """Add ``p_holm`` and ``significant`` to the differences, in place."""
    for filter_mode in FILTER_MODES:
        for metric in COMPARED_METRICS:
            tests = [difference[filter_mode][metric] for difference in differences]
            corrected = apply_holm_correction(np.array([test["p"] for test in tests]))
            for test, p in zip(tests, corrected, strict=True):
                test |= {"p_holm": float(p), "significant": bool(p < SIGNIFICANCE_LEVEL)}


def _measure_rows(
    by_model: Mapping[str, list[SeedResults]],
    users: np.ndarray,
    is_selected: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return metrics of all models on selected rows.

    Args:
        by_model: results of all seeds by model.
        users: shape (rows,), user of each row.
        is_selected: shape (rows,), bool.
        resamples: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        The mean, standard deviation and interval of each of :data:`COMPARED_METRICS`, by model and
        filter mode.
    """
    by_seed = {
        (model, filter_mode, metric): {
            str(result.seed): _compute_seed_metrics(result, filter_mode)[metric][is_selected]
            for result in seeds
        }
        for model, seeds in by_model.items()
        for filter_mode in FILTER_MODES
        for metric in COMPARED_METRICS
    }
    values = np.column_stack([np.mean(list(seeds.values()), axis=0) for seeds in by_seed.values()])
    samples = run_paired_bootstrap(values, users[is_selected], resamples, seed)
    measured: dict[str, Any] = {
        model: {filter_mode: {} for filter_mode in FILTER_MODES} for model in by_model
    }
    for column, ((model, filter_mode, metric), seeds) in enumerate(by_seed.items()):
        means = {name: float(rows.mean()) for name, rows in seeds.items()}
        measured[model][filter_mode][metric] = _summarise_seeds(means) | {
            "ci95": compute_interval(samples[:, column])
        }
    return measured
