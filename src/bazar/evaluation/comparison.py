"""Which model is better, and whether that is more than chance: several seeds, several models.

What is compared are the means of the same test rows. A model that was trained with several seeds
counts by the mean over them of what each row gives. Chance is that of the users: the same
resampled users are given to every model (a paired bootstrap).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bazar.config.base import DEFAULT_SEED
from bazar.errors import InputError
from bazar.evaluation.metrics import FILTER_MODES, row_metrics
from bazar.evaluation.results import check_measured_on
from bazar.evaluation.significance import (
    _difference,
    _interval,
    holm,
    paired_bootstrap,
)

SIGNIFICANCE = 0.05
COMPARED = ("hr@10", "ndcg@10")
MEASURED = (*COMPARED, "mrr@20")
OF_LISTS = ("coverage@10", "novelty@10")

# Results of the default seed, and of what has no seed, stand in the folder itself; beside them may
# be folders of other protocols, which are another comparison's.
_PARTITION = re.compile(r"(?:seed_(?P<seed>\d+)/)?(?P<model>[^/.][^/]*)")

Files = Mapping[str, Callable[[], Any]]
# By model, history and metric.
_Columns = Mapping[tuple[str, str, str], np.ndarray]


@dataclass(frozen=True)
class Result:
    """What a model made of the test rows, trained with one seed.

    Attributes:
        model: its name.
        seed: of the training; the default one where the model knows none.
        ranks: ``row, user_id, item_id, rank_filtered, rank_unfiltered, target_count``, in order of the
            row.
        metrics: the content of its ``metrics.json``.
        training: facts of the training; None where nothing was trained.
    """

    model: str
    seed: int
    ranks: pd.DataFrame
    metrics: dict[str, Any]
    training: dict[str, float] | None

    @property
    def label(self) -> str:
        """The model, and the seed if it is not the default."""
        return self.model if self.seed == DEFAULT_SEED else f"{self.model} (seed {self.seed})"


def read_results(ranks: Files, metrics: Files, training: Files) -> list[Result]:
    """Read the results of all models and seeds.

    Args:
        ranks: what loads each model's table of ranks, by its name, or by ``seed_<n>/<name>`` for
            a seed that is not the default. What is in other folders is left alone.
        metrics: the same for the metrics.
        training: the same for the facts of the training, of the models that were trained.

    Returns:
        In order of the models' names, then of the seeds.

    Raises:
        InputError: if there are no ranks, or if metrics are missing.
    """
    places = [
        (found["model"], int(found["seed"] or DEFAULT_SEED), name)
        for name in ranks
        if (found := _PARTITION.fullmatch(name))
    ]
    if not places:
        raise InputError("there are no ranks to compare\nRun the modelling pipelines first")
    results = []
    for model, seed, name in sorted(places):
        if name not in metrics:
            raise InputError(f"{name}: there are ranks, but no metrics\nRun its pipeline again")
        of_model = ranks[name]().sort_values("row", ignore_index=True)
        facts = training[name]() if name in training else None
        results.append(Result(model, seed, of_model, metrics[name](), facts))
    return results


def check_same_rows(
    results: list[Result], users: np.ndarray, targets: np.ndarray, n_items: int
) -> None:
    """Refuse results on other rows than those of the test part.

    Args:
        results: what is to be compared.
        users: shape (rows,), whose row each row of the test part is.
        targets: shape (rows,), external ids of their targets.
        n_items: size of the catalogue.

    Raises:
        InputError: naming the models that were measured on others.
    """
    check_measured_on(
        {result.label: result.metrics.get("measured_on") for result in results},
        {"test_rows": len(users), "items": n_items},
    )
    others = [
        result.label
        for result in results
        if not np.array_equal(result.ranks["user_id"].to_numpy(object), users)
        or not np.array_equal(result.ranks["item_id"].to_numpy(object), targets)
    ]
    if others:
        raise InputError(
            f"{', '.join(others)}: measured on other users or targets than those of the test part "
            "that there is now\nRun the pipelines of these models again, or remove their results"
        )


def compare(results: list[Result], users: np.ndarray, resamples: int, seed: int) -> dict[str, Any]:
    """Compare models over users, each by the mean over its seeds.

    Args:
        results: of every model and seed, on the same rows.
        users: shape (rows,), whose row it is.
        resamples: bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        ``models``, in order of NDCG@10 with the history filtered, the best first: for each its
        ``seeds`` (empty where nothing is drawn by chance), ``seconds_training`` (mean) and
        ``n_parameters``, and for ``filtered`` and ``unfiltered`` the ``mean`` over seeds, the standard
        deviation ``sd`` over seeds (None for one seed), and the values ``by_seed`` of each of
        :data:`MEASURED` and :data:`OF_LISTS`; of the former also ``ci95``, the 95% interval over
        users of the mean. ``cold`` has the same of :data:`COMPARED` for the rows alone whose target
        is not in training, as many as ``cold_rows`` says; None where there are none.

        ``differences``, for every pair of models, the one that is better by the same order first:
        for both histories and each of :data:`COMPARED` the ``difference`` of the means, its
        ``ci95``, the bootstrap's two-sided ``p`` and whether it is ``real``: whether ``p_holm``,
        which is corrected for the number of pairs, is below :data:`SIGNIFICANCE`.

    Raises:
        InputError: if the bootstrap has too few samples to tell anything of so many pairs.
    """
    by_model: dict[str, list[Result]] = {}
    for result in results:
        by_model.setdefault(result.model, []).append(result)
    _check_resamples(resamples, len(by_model) * (len(by_model) - 1) // 2)
    per_row = {
        (model, filter_mode, metric): values
        for model, own in by_model.items()
        for filter_mode in FILTER_MODES
        for metric, values in _over_seeds(own, filter_mode).items()
    }
    values = np.column_stack(list(per_row.values()))
    means = paired_bootstrap(values, users, resamples, seed)
    drawn = dict(zip(per_row, means.T, strict=True))
    models = {model: _summary(model, own, drawn) for model, own in by_model.items()}
    order = sorted(models, key=lambda model: -models[model]["filtered"]["ndcg@10"]["mean"])
    differences = [_pair(*pair, per_row, drawn) for pair in combinations(order, 2)]
    for filter_mode in FILTER_MODES:
        for metric in COMPARED:
            told = [difference[filter_mode][metric] for difference in differences]
            for one, p in zip(told, holm(np.array([one["p"] for one in told])), strict=True):
                one |= {"p_holm": float(p), "real": bool(p < SIGNIFICANCE)}
    is_cold = results[0].ranks["target_count"].to_numpy() == 0
    cold = _on_rows(by_model, users, is_cold, resamples, seed) if is_cold.any() else {}
    return {
        "models": {model: models[model] | {"cold": cold.get(model)} for model in order},
        "differences": differences,
        "cold_rows": int(is_cold.sum()),
    }


def _on_rows(
    by_model: Mapping[str, list[Result]],
    users: np.ndarray,
    chosen: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Measure models on some of the rows: by model, history and metric of :data:`COMPARED`."""
    by_seed = {
        (model, filter_mode, metric): {
            str(result.seed): row_metrics(
                result.ranks[f"rank_{filter_mode}"].to_numpy(float)[chosen]
            )[metric]
            for result in own
        }
        for model, own in by_model.items()
        for filter_mode in FILTER_MODES
        for metric in COMPARED
    }
    values = np.column_stack([np.mean(list(one.values()), axis=0) for one in by_seed.values()])
    drawn = paired_bootstrap(values, users[chosen], resamples, seed)
    found: dict[str, Any] = {
        model: {filter_mode: {} for filter_mode in FILTER_MODES} for model in by_model
    }
    for place, ((model, filter_mode, metric), rows) in enumerate(by_seed.items()):
        means = {one: float(of_seed.mean()) for one, of_seed in rows.items()}
        found[model][filter_mode][metric] = _told(means) | {"ci95": _interval(drawn[:, place])}
    return found


def _check_resamples(resamples: int, n_pairs: int) -> None:
    # The smallest p of a bootstrap is 2 / (resamples + 1), and Holm multiplies it by the pairs.
    needed = int(2 * n_pairs / SIGNIFICANCE)
    if resamples < needed:
        raise InputError(
            f"comparison.bootstrap_resamples: {resamples:,} samples cannot tell which of "
            f"{n_pairs:,} pairs of models differ\nSet it to {needed:,} or more"
        )


def _over_seeds(own: list[Result], filter_mode: str) -> dict[str, np.ndarray]:
    """Values of each row, the mean over seeds, by metric."""
    of_seeds = [row_metrics(result.ranks[f"rank_{filter_mode}"].to_numpy(float)) for result in own]
    return {metric: np.mean([one[metric] for one in of_seeds], axis=0) for metric in MEASURED}


def _summary(model: str, own: list[Result], drawn: _Columns) -> dict[str, Any]:
    no_seed = len(own) == 1 and own[0].seed == DEFAULT_SEED and own[0].training is None
    summary: dict[str, Any] = {
        "seeds": [] if no_seed else [result.seed for result in own],
        "seconds_training": _mean_fact(own, "seconds_training"),
        "n_parameters": int(_mean_fact(own, "n_parameters") or 0),
    }
    for filter_mode in FILTER_MODES:
        summary[filter_mode] = {metric: _over(own, filter_mode, metric) for metric in OF_LISTS}
        for metric in MEASURED:
            summary[filter_mode][metric] = _over(own, filter_mode, metric) | {
                "ci95": _interval(drawn[model, filter_mode, metric])
            }
    return summary


def _pair(better: str, other: str, per_row: _Columns, drawn: _Columns) -> dict[str, Any]:
    pair: dict[str, Any] = {"models": [better, other]}
    for filter_mode in FILTER_MODES:
        pair[filter_mode] = {
            metric: _difference(
                per_row[better, filter_mode, metric] - per_row[other, filter_mode, metric],
                drawn[better, filter_mode, metric] - drawn[other, filter_mode, metric],
            )
            for metric in COMPARED
        }
    return pair


def _over(own: list[Result], filter_mode: str, metric: str) -> dict[str, Any]:
    return _told({str(result.seed): float(result.metrics[filter_mode][metric]) for result in own})


def _told(by_seed: dict[str, float]) -> dict[str, Any]:
    values = list(by_seed.values())
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "sd": sd, "by_seed": by_seed}


def _mean_fact(own: list[Result], fact: str) -> float | None:
    values = [result.training[fact] for result in own if result.training is not None]
    return float(np.mean(values)) if values else None
