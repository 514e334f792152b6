"""Comparison of models over several training seeds, with confidence intervals and tests.

All models are measured on the same test rows. For a model with several training seeds, the metric
of each row is averaged over the seeds. A paired bootstrap estimates the uncertainty over users: it
draws the same users for all models. Holm's method corrects the p-values of all tested pairs.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bazar.config.base import DEFAULT_SEED
from bazar.errors import InputError
from bazar.evaluation.metrics import (
    FILTER_MODES,
    compute_row_metrics,
    find_first_targets,
    find_new_day_targets,
)
from bazar.evaluation.results import ModelResults
from bazar.evaluation.significance import (
    apply_holm_correction,
    compute_interval,
    run_paired_bootstrap,
    summarise_difference,
)
from bazar.labels import ORACLE

SIGNIFICANCE_LEVEL = 0.05
COMPARED_METRICS = ("hr@10", "recall@10", "ndcg@10")
ROW_METRICS = (*COMPARED_METRICS, "mrr@20")
LIST_METRICS = ("coverage@10", "novelty@10")

PARTS = ("cold", "repeat", "explore", "new_day")
"""Parts of the targets: cold items; items that the user bought before, and all others; items that
were bought on a later day than the item before them."""

# Path of a model's results within the folder of the split.
_RESULT_PATH = re.compile(r"seed_(?P<seed>\d+)/(?P<model>[^/.][^/]*)")

# Values per row, or per bootstrap sample, by model, filter mode and metric.
_Columns = Mapping[tuple[str, str, str], np.ndarray]


@dataclass(frozen=True)
class _Resampled:
    """Metrics of the same rows and of resampled users, means over seeds.

    Attributes:
        per_row: metrics of each row.
        samples: metrics of each bootstrap sample.
        users: shape (rows,), int, number of the user of each row.
    """

    per_row: _Columns
    samples: _Columns
    users: np.ndarray


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
        """Table of target ranks, sorted by row. Targets of one row keep their order."""
        return self.results.ranks.sort_values("row", ignore_index=True, kind="stable")

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


def compare_results(
    results: list[SeedResults],
    filter_mode: str,
    resamples: int,
    seed: int,
    pairs: Collection[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Compare models by the mean over their seeds, with intervals and tests over users.

    The oracle is measured like a model, but it takes no part in the tests.

    Args:
        results: results of all models and seeds, on the same rows.
        filter_mode: the results that come first, ``filtered`` or ``unfiltered``.
        resamples: number of bootstrap samples.
        seed: seed of the bootstrap.
        pairs: the pairs of models that are tested. None: all pairs.

    Returns:
        ``models``: the results by model, in order of NDCG@10 for ``filter_mode``, the best first.
        The oracle is before all other models. Each model has ``seeds`` (empty for a model without
        randomness), ``seconds_training`` (mean) and ``n_parameters``.
        ``filtered`` and ``unfiltered`` hold, for each of :data:`ROW_METRICS`
        and :data:`LIST_METRICS`, the ``mean`` over seeds, the standard deviation ``sd`` over seeds
        (None for one seed) and the values ``by_seed``. Each of :data:`ROW_METRICS` also has
        ``ci95``, the 95% interval of the mean over users. For each of :data:`PARTS`, there is an
        entry with the same for :data:`COMPARED_METRICS`, where only the targets of the part are
        relevant and only rows with such a target count. It is None if there are no such rows.

        ``filter_mode``: the argument. ``n_test_targets``: number of targets. ``cold_rows``,
        ``repeat_rows``, ``explore_rows`` and ``new_day_rows``: number of rows with a target of the
        part. ``new_day_rows`` is 0 if no target is known to have the day of the item before it.
        ``differences``: one entry per tested pair, the better model first. For both filter
        modes and each of :data:`COMPARED_METRICS` it has the ``difference`` of the means, its
        ``ci95``, the two-sided bootstrap p-value ``p``, ``p_holm`` (corrected for the number of
        pairs), and ``significant``: whether the difference is significant (``p_holm`` is below
        :data:`SIGNIFICANCE_LEVEL`). ``part_differences``: the same for each of :data:`PARTS`, where
        only rows with a target of the part count; empty if there are no such rows.

    Raises:
        InputError: if the number of bootstrap samples is too small for the number of pairs.
    """
    by_model: dict[str, list[SeedResults]] = {}
    for result in results:
        by_model.setdefault(result.model, []).append(result)
    _check_resamples(resamples, len(_select_pairs(list(by_model), pairs)))
    every = np.ones(len(results[0].ranks), bool)
    resampled = _resample_users(by_model, every, ROW_METRICS, resamples, seed)
    models = {name: _summarise_model(name, by_model[name], resampled.samples) for name in by_model}
    ndcg = {name: model[filter_mode]["ndcg@10"]["mean"] for name, model in models.items()}
    order = sorted(models, key=lambda name: (name != ORACLE, -ndcg[name]))
    tested = _select_pairs(order, pairs)
    parts, part_entries = _compare_parts(by_model, tested, resamples, seed)
    return {
        "filter_mode": filter_mode,
        "models": {model: models[model] | parts[model] for model in order},
        "differences": _compare_pairs(tested, resampled),
        "n_test_targets": len(every),
        **part_entries,
    }


def _select_pairs(
    models: list[str], pairs: Collection[tuple[str, str]] | None
) -> list[tuple[str, str]]:
    """Return the pairs that are tested, in the order of the models. None selects all pairs."""
    selected = None if pairs is None else {frozenset(pair) for pair in pairs}
    candidates = combinations([model for model in models if model != ORACLE], 2)
    return [pair for pair in candidates if selected is None or frozenset(pair) in selected]


def _compare_parts(
    by_model: Mapping[str, list[SeedResults]],
    tested: list[tuple[str, str]],
    resamples: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return metrics by model and part, and the differences and numbers of rows of the parts."""
    rows, masks = next(iter(by_model.values()))[0].ranks["row"], _find_parts(by_model)
    found = {
        part: _compare_part(by_model, tested, is_relevant, resamples, seed)
        for part, is_relevant in masks.items()
    }
    measured = {
        model: {part: metrics.get(model) for part, (metrics, _) in found.items()}
        for model in by_model
    }
    differences = {part: pairs for part, (_, pairs) in found.items()}
    counts = {f"{part}_rows": int(rows[mask].nunique()) for part, mask in masks.items()}
    return measured, {"part_differences": differences, **counts}


def _resample_users(
    by_model: Mapping[str, list[SeedResults]],
    is_relevant: np.ndarray,
    metrics: tuple[str, ...],
    resamples: int,
    seed: int,
) -> _Resampled:
    """Resample the users of the rows with a relevant target.

    ``is_relevant`` has shape (targets,), bool.
    """
    targets = next(iter(by_model.values()))[0].ranks[is_relevant]
    by_seed = _measure_seeds(by_model, is_relevant, metrics)
    per_row = {key: np.mean(list(seeds.values()), axis=0) for key, seeds in by_seed.items()}
    values = np.column_stack(list(per_row.values()))
    users = np.unique(_list_users(targets), return_inverse=True)[1]
    means = run_paired_bootstrap(values, users, resamples, seed)
    return _Resampled(per_row, dict(zip(per_row, means.T, strict=True)), users)


def _find_parts(by_model: Mapping[str, list[SeedResults]]) -> dict[str, np.ndarray]:
    """Return a mask of the targets of each of :data:`PARTS`, shape (targets,), bool."""
    targets = next(iter(by_model.values()))[0].ranks
    is_repeat = targets["is_repeat"].to_numpy(bool)
    is_cold = targets["target_count"].to_numpy() == 0
    masks = (is_cold, is_repeat, ~is_repeat, find_new_day_targets(targets))
    return dict(zip(PARTS, masks, strict=True))


def _list_users(targets: pd.DataFrame) -> np.ndarray:
    """Return the user of each row, in order of the rows."""
    is_first = find_first_targets(targets["row"].to_numpy())
    return targets["user_id"].to_numpy(object)[is_first]


def _measure_seeds(
    by_model: Mapping[str, list[SeedResults]], is_relevant: np.ndarray, metrics: tuple[str, ...]
) -> dict[tuple[str, str, str], dict[str, np.ndarray]]:
    """Return metrics of the rows with a relevant target; only these targets are relevant.

    Args:
        by_model: results of all seeds by model.
        is_relevant: shape (targets,), bool.
        metrics: names of the metrics.

    Returns:
        The metric of each row, by model, filter mode and metric, then by seed.
    """
    rows = next(iter(by_model.values()))[0].ranks["row"].to_numpy()[is_relevant]
    measured: dict[tuple[str, str, str], dict[str, np.ndarray]] = {}
    for model, results in by_model.items():
        for filter_mode in FILTER_MODES:
            by_seed = {
                str(result.seed): compute_row_metrics(
                    result.ranks[f"rank_{filter_mode}"].to_numpy(float)[is_relevant], rows
                )
                for result in results
            }
            for metric in metrics:
                values = {name: per_row[metric] for name, per_row in by_seed.items()}
                measured[model, filter_mode, metric] = values
    return measured


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


def _compare_pairs(pairs: list[tuple[str, str]], resampled: _Resampled) -> list[dict[str, Any]]:
    """Return the corrected differences of pairs of models, the better model first."""
    differences = [_compare_pair(*pair, resampled) for pair in pairs]
    _correct_p_values(differences)
    return differences


def _compare_pair(better: str, other: str, resampled: _Resampled) -> dict[str, Any]:
    per_row, samples = resampled.per_row, resampled.samples
    pair: dict[str, Any] = {"models": [better, other]}
    for filter_mode in FILTER_MODES:
        pair[filter_mode] = {
            metric: summarise_difference(
                per_row[better, filter_mode, metric] - per_row[other, filter_mode, metric],
                samples[better, filter_mode, metric] - samples[other, filter_mode, metric],
                resampled.users,
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


def _compare_part(
    by_model: Mapping[str, list[SeedResults]],
    tested: list[tuple[str, str]],
    is_relevant: np.ndarray,
    resamples: int,
    seed: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return metrics of all models for a part of the targets, and the differences of all pairs.

    Args:
        by_model: results of all seeds by model.
        tested: the pairs that are tested, the better model first.
        is_relevant: shape (targets,), bool: the targets of the part.
        resamples: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        The mean, standard deviation and interval of each of :data:`COMPARED_METRICS`, by model and
        filter mode; and the differences. Both are empty if there are no such targets.
    """
    if not is_relevant.any():
        return {}, []
    by_seed = _measure_seeds(by_model, is_relevant, COMPARED_METRICS)
    resampled = _resample_users(by_model, is_relevant, COMPARED_METRICS, resamples, seed)
    measured: dict[str, Any] = {
        model: {filter_mode: {} for filter_mode in FILTER_MODES} for model in by_model
    }
    for (model, filter_mode, metric), seeds in by_seed.items():
        means = {name: float(rows.mean()) for name, rows in seeds.items()}
        measured[model][filter_mode][metric] = _summarise_seeds(means) | {
            "ci95": compute_interval(resampled.samples[model, filter_mode, metric])
        }
    return measured, _compare_pairs(tested, resampled)
