"""Ranking the full catalogue for rows of any number, a batch at a time."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import FILTER_MODES, summarise
from bazar.evaluation.ranking import (
    Ranking,
)


def ranks_table(
    rankings: dict[str, Ranking],
    windows: Windows,
    item_ids: np.ndarray,
    training_counts: np.ndarray,
) -> pd.DataFrame:
    """Rank of the target of each test row.

    Args:
        rankings: what :func:`rank_catalogue` gave.
        windows: the rows that were ranked.
        item_ids: shape (items + 1,), external ids by item index.
        training_counts: shape (items + 1,), int, times that each item index stands in the
            training part.

    Returns:
        Columns ``row, user_id, item_id`` (the target), ``n_seen`` (purchases before it),
        ``target_count`` (times that it stands in the training part; 0 is a cold item),
        ``rank_filtered, rank_unfiltered``.
    """
    return pd.DataFrame(
        {
            "row": np.arange(len(windows)),
            "user_id": windows.user_ids.to_pandas(),
            "item_id": item_ids[windows.targets],
            "n_seen": windows.n_seen,
            "target_count": training_counts[windows.targets],
            "rank_filtered": rankings["filtered"].ranks,
            "rank_unfiltered": rankings["unfiltered"].ranks,
        }
    )


def fingerprint_rows(rows: pd.DataFrame) -> str:
    """Tell test rows from others: by their users, targets, and what was bought before.

    Args:
        rows: ``user_id, item_id, n_seen``, in order.

    Returns:
        16 hexadecimal digits.
    """
    # Texts are of another type where they were read from a file.
    plain = rows.astype({"user_id": object, "item_id": object, "n_seen": "int64"})
    hashes = pd.util.hash_pandas_object(plain[["user_id", "item_id", "n_seen"]], index=False)
    return hashlib.sha256(hashes.to_numpy().tobytes()).hexdigest()[:16]


def recommendations_table(
    rankings: dict[str, Ranking], windows: Windows, item_ids: np.ndarray
) -> pd.DataFrame:
    """Recommendations of each test row, one line each.

    Args:
        rankings: what :func:`rank_catalogue` gave.
        windows: the rows that were ranked.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        Columns ``row, user_id, history`` (``filtered`` or ``unfiltered``), ``rank`` (from 1),
        ``item_id, score``.
    """
    users = windows.user_ids.to_pandas()
    tables = []
    for filter_mode, ranking in rankings.items():
        rows, places = np.nonzero(ranking.items)
        tables.append(
            pd.DataFrame(
                {
                    "row": rows,
                    "user_id": users.to_numpy()[rows],
                    "seen_items": filter_mode,
                    "rank": places + 1,
                    "item_id": item_ids[ranking.items[rows, places]],
                    "score": ranking.scores[rows, places],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def measure(
    ranks: pd.DataFrame,
    recommendations: pd.DataFrame,
    training_counts: pd.Series,
    bootstrap_resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Metrics of one model from its two tables.

    Args:
        ranks: what :func:`ranks_table` gave.
        recommendations: what :func:`recommendations_table` gave.
        training_counts: times that each item of the catalogue stands in the training part, by
            ``item_id``.
        bootstrap_resamples: samples for the 95% intervals.
        seed: seed of the bootstrap.

    Returns:
        ``filtered`` and ``unfiltered``, each as :func:`bazar.metrics.summarise` gives it.
    """
    return {
        filter_mode: summarise(
            ranks[f"rank_{filter_mode}"].to_numpy(),
            ranks,
            recommendations[recommendations["seen_items"] == filter_mode],
            training_counts,
            bootstrap_resamples,
            seed,
        )
        for filter_mode in FILTER_MODES
    }


def check_measured_on(measured_on: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to lay results on different data side by side.

    Args:
        measured_on: what is known of the data by model, such as ``test_rows`` and ``items``.
        now: what is known of the data that there are now: all of it must be the same.

    Raises:
        InputError: naming the models that were measured on others.
    """
    others = [
        model
        for model, known in measured_on.items()
        if known is None or any(known.get(name) != value for name, value in now.items())
    ]
    if others:
        sizes = {name: size for name, size in now.items() if isinstance(size, int)}
        told = " and ".join(f"{size:,} {name.replace('_', ' ')}" for name, size in sizes.items())
        raise InputError(
            f"{', '.join(others)}: measured on other data than the {told} that there are now\n"
            "Run everything again, or the pipelines "
            "embedding,modelling_classifier,modelling_regressor,modelling_reproduction,"
            "modelling_baselines,modelling_blend,recommendation,reporting"
        )
