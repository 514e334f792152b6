"""Results of a model on the test part: ranks, recommendations and metrics."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import FILTER_MODES, compute_ranking_metrics
from bazar.labels import ORACLE

if TYPE_CHECKING:
    from bazar.evaluation.ranking import Ranking

_PIPELINES = {
    "classifier": "modelling_classifier",
    "regressor": "modelling_regressor",
    "model_i": "modelling_reproduction",
    "model_ii": "modelling_reproduction",
    "blend": "modelling_blend",
}


@dataclass(frozen=True)
class ModelResults:
    """The results of one model on the test part, for one training seed.

    Attributes:
        metrics: the content of ``<model>_metrics.json``. ``filtered`` and ``unfiltered`` are
            results of :func:`bazar.evaluation.metrics.compute_ranking_metrics`. ``measured_on``
            describes the test data: ``test_rows`` and ``items`` (counts) and ``rows_fingerprint``
            (:func:`fingerprint_rows`). ``filter_mode`` is the one that comes first.
            ``validation_ndcg@10`` is the criterion of model selection, for the same filter mode.
        ranks: the ranks of the targets, with the columns of :func:`build_ranks_table`, one line
            per target, sorted by row.
        recommendations: the recommended items of each test row, with the columns of
            :func:`build_recommendations_table`.
        training: training metadata, the content of ``<model>_training.json``. It includes
            ``seconds_training`` and ``n_parameters``. None for a baseline, which is not trained and
            has no randomness.
        training_log: the loss and the validation metrics of a network, one row per epoch. None for
            models that train no network.
    """

    metrics: dict[str, Any]
    ranks: pd.DataFrame
    recommendations: pd.DataFrame
    training: dict[str, Any] | None = None
    training_log: pd.DataFrame | None = None


def build_ranks_table(
    rankings: dict[str, "Ranking"],
    windows: Windows,
    item_ids: np.ndarray,
    training_counts: np.ndarray,
    has_new_days: bool = False,
) -> pd.DataFrame:
    """Return the table of target ranks, one line per target, sorted by row.

    Args:
        rankings: output of :func:`bazar.evaluation.ranking.rank_catalogue`.
        windows: the rows that were ranked.
        item_ids: shape (items + 1,), external ids by item index.
        training_counts: shape (items + 1,), int, number of times each item occurs in the training
            part.
        has_new_days: whether the column ``is_new_day`` is added, if the rows have timestamps. Each
            row must have one target.

    Returns:
        The columns of :func:`list_targets`, ``target_count`` (number of times the target occurs in
        the training part; 0 for a cold item), ``is_repeat`` (whether the user bought the target
        before), ``is_new_day`` (nullable boolean: whether the target was bought on a later UTC day
        than the item before it; null if one of the days is unknown), ``rank_filtered,
        rank_unfiltered``.
    """
    _, items = windows.list_targets()
    ranks = list_targets(windows, item_ids).assign(
        target_count=training_counts[items], is_repeat=windows.find_repeats()
    )
    if has_new_days and windows.sequences.timestamps is not None:
        days = windows.compute_days_since_last()
        ranks["is_new_day"] = pd.arrays.BooleanArray(days > 0, np.isnan(days))
    return ranks.assign(
        rank_filtered=rankings["filtered"].ranks, rank_unfiltered=rankings["unfiltered"].ranks
    )


def list_targets(windows: Windows, item_ids: np.ndarray) -> pd.DataFrame:
    """Return a table of the targets of all rows, one line per target, sorted by row.

    Args:
        windows: the rows.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        ``row`` (from 0), ``user_id, item_id`` (the target) and ``n_seen`` (interactions before the
        row's targets).
    """
    rows, items = windows.list_targets()
    return pd.DataFrame(
        {
            "row": rows,
            "user_id": windows.user_ids.to_pandas().to_numpy()[rows],
            "item_id": item_ids[items],
            "n_seen": windows.n_seen[rows],
        }
    )


def build_recommendations_table(
    rankings: dict[str, "Ranking"], windows: Windows, item_ids: np.ndarray
) -> pd.DataFrame:
    """Return the table of recommendations, one row per test row and recommended item.

    Args:
        rankings: output of :func:`bazar.evaluation.ranking.rank_catalogue`.
        windows: the rows that were ranked.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        Columns ``row, user_id, seen_items`` (``filtered`` or ``unfiltered``), ``rank`` (from 1),
        ``item_id, score``.
    """
    users = windows.user_ids.to_pandas()
    tables = []
    for filter_mode, ranking in rankings.items():
        rows, positions = np.nonzero(ranking.items)
        tables.append(
            pd.DataFrame(
                {
                    "row": rows,
                    "user_id": users.to_numpy()[rows],
                    "seen_items": filter_mode,
                    "rank": positions + 1,
                    "item_id": item_ids[ranking.items[rows, positions]],
                    "score": ranking.scores[rows, positions],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def compute_model_metrics(
    ranks: pd.DataFrame,
    recommendations: pd.DataFrame,
    training_counts: pd.Series,
    bootstrap_resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Return all metrics of a model for both filter modes.

    Args:
        ranks: the result of :func:`build_ranks_table`.
        recommendations: the result of :func:`build_recommendations_table`.
        training_counts: number of times each item of the catalogue occurs in the training part,
            by ``item_id``.
        bootstrap_resamples: number of bootstrap samples for the 95% intervals.
        seed: seed of the bootstrap.

    Returns:
        ``filtered`` and ``unfiltered``, each the result of
        :func:`bazar.evaluation.metrics.compute_ranking_metrics`.
    """
    return {
        filter_mode: compute_ranking_metrics(
            ranks[f"rank_{filter_mode}"].to_numpy(),
            ranks,
            recommendations[recommendations["seen_items"] == filter_mode],
            training_counts,
            bootstrap_resamples,
            seed,
        )
        for filter_mode in FILTER_MODES
    }


def fingerprint_rows(targets: pd.DataFrame) -> str:
    """Return a fingerprint of test rows: a hash of users, targets and numbers of seen items.

    Args:
        targets: table of :func:`list_targets`.

    Returns:
        16 hexadecimal digits.
    """
    # Tables that are read from a file have another string type. The fingerprint must not change.
    types: dict[str, Any] = {
        "row": "int64",
        "user_id": object,
        "item_id": object,
        "n_seen": "int64",
    }
    hashes = pd.util.hash_pandas_object(targets[list(types)].astype(types), index=False)
    return hashlib.sha256(hashes.to_numpy().tobytes()).hexdigest()[:16]


def check_measured_on(results: Mapping[str, ModelResults], expected: Mapping[str, Any]) -> None:
    """Raise InputError if a model was measured on other data than the current test part.

    Args:
        results: results by the name of the model, by a path that ends with the name, such as
            ``seed_42/classifier``, or by a label such as ``classifier (seed 42)``.
        expected: description of the current data, such as ``test_rows``, ``items`` and
            ``rows_fingerprint``. Each value must be equal in ``measured_on`` of the metrics.

    Raises:
        InputError: if a value differs. The message names the models and the pipelines to run.
    """
    _, outdated = select_current(results, expected)
    if outdated:
        counts = {name: value for name, value in expected.items() if isinstance(value, int)}
        sizes = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())
        pipelines = [
            _PIPELINES.get(re.sub(r"^.*/| \(seed.*$", "", name), "modelling_baselines")
            for name in outdated
        ]
        raise InputError(
            f"{', '.join(outdated)}: measured on other data than the current test part ({sizes}).\n"
            f"Run the pipelines {','.join(dict.fromkeys(pipelines))} again."
        )


def select_current(
    results: Mapping[str, ModelResults], expected: Mapping[str, Any]
) -> tuple[dict[str, ModelResults], list[str]]:
    """Return the results on the current test part, and the names of results on other data.

    Args:
        results: results by name.
        expected: description of the current data, as in :func:`check_measured_on`.

    Returns:
        The results on the current data, and the names of all other results, both in the order of
        ``results``.
    """
    current = {
        name: result for name, result in results.items() if _is_measured_on(result, expected)
    }
    return current, [name for name in results if name not in current]


def drop_outdated_oracle(
    results: Mapping[str, ModelResults], expected: Mapping[str, Any]
) -> dict[str, ModelResults]:
    """Return results without the oracle, if it was measured on other data.

    The oracle is measured only if its file contains all customers of the test part. Results of an
    earlier run can therefore be outdated, and no pipeline would replace them.

    Args:
        results: results by name.
        expected: description of the current data, as in :func:`check_measured_on`.
    """
    return {
        name: result
        for name, result in results.items()
        if name.rpartition("/")[2] != ORACLE or _is_measured_on(result, expected)
    }


def _is_measured_on(result: ModelResults, expected: Mapping[str, Any]) -> bool:
    measured_on = result.metrics.get("measured_on") or {}
    return all(
        name in measured_on and measured_on[name] == value for name, value in expected.items()
    )
