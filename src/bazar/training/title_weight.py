"""Choice of the weight of title similarity in the scores of a trained network."""

import logging

import numpy as np

from bazar.data.vector_search import has_title
from bazar.data.windows import Windows
from bazar.evaluation.metrics import compute_row_metrics, compute_target_ranks
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import NetworkClassifier

logger = logging.getLogger(__name__)

VALIDATION_BATCH_ROWS = 512
# Candidate weights of the title similarity, relative to the logits of the network.
_TITLE_WEIGHTS = (
    0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip
# Number of groups of items. The learned vectors of one group at a time are left out, so that its
# items are ranked as if they were new.
_GROUPS = 10


def choose_title_weight(
    network: RecurrentNetwork,
    item_vectors: np.ndarray,
    validation: Windows,
    filter_seen: bool,
    new_item_share: float = 0,
    seed: int = 0,
) -> dict[str, float]:
    """Choose the weight of title similarity with the best validation NDCG@10, and set it.

    With a ``new_item_share`` of s, the criterion is ``(1 - s) * a + s * b``: a is the NDCG@10 of
    all rows, and b is that of targets whose learned vectors are left out, as in
    :func:`_measure_as_new_items`. If several weights are equally good, the smallest is chosen.

    Args:
        network: a trained network with ``add_title_similarity``.
        item_vectors: shape (items + 1, dimension), float32, zeros for items without a title.
        validation: rows to choose by.
        filter_seen: whether items that the user bought before are removed from the ranking.
        new_item_share: the expected share of targets that are new items, from 0 to 1. Above 0, the
            network must have learned vectors of ids.
        seed: seed of the groups of items.

    Returns:
        ``title_weight``, and ``val_ndcg@10`` with this weight; with a ``new_item_share``, also
        ``val_ndcg@10_as_new_items``.
    """
    scorer = NetworkClassifier(network, item_vectors)
    rows, targets = validation.list_targets()
    known = _measure_weights(scorer, validation, rows, targets, filter_seen).mean(axis=1)
    figures = {"val_ndcg@10": known}
    criterion = known
    if new_item_share:
        new = _measure_as_new_items(network, scorer, item_vectors, validation, filter_seen, seed)
        if new is not None:
            figures["val_ndcg@10_as_new_items"] = new
            criterion = (1 - new_item_share) * known + new_item_share * new
    best = int(criterion.argmax())
    assert network.title_weight is not None
    network.title_weight.assign(_TITLE_WEIGHTS[best])
    facts = {name: float(values[best]) for name, values in figures.items()}
    logger.info(
        "Title similarity has weight %g: %s",
        _TITLE_WEIGHTS[best],
        ", ".join(f"{name} {value:.4f}" for name, value in facts.items()),
    )
    return {"title_weight": _TITLE_WEIGHTS[best], **facts}


def _measure_as_new_items(
    network: RecurrentNetwork,
    scorer: NetworkClassifier,
    item_vectors: np.ndarray,
    validation: Windows,
    filter_seen: bool,
    seed: int,
) -> np.ndarray | None:
    """Return the mean NDCG@10 of targets whose learned vectors are left out, for each weight.

    All titled items are in one of :data:`_GROUPS` random groups. The learned vectors of one group
    at a time are left out, and the rows with a target of this group are scored. The words and the
    adapter of the network have learned from the purchases of these items, so that their figures are
    higher than those of really new items.

    Args:
        network: the network of ``scorer``. Both are unchanged afterwards.
        scorer: the scorer of the network.
        item_vectors: as for :func:`choose_title_weight`.
        validation: the rows.
        filter_seen: as for :func:`choose_title_weight`.
        seed: seed of the groups.

    Returns:
        Shape (weights,), float64. None if no target has a title.
    """
    id_weights, is_titled = network.id_weights.numpy(), has_title(item_vectors)
    groups = np.random.default_rng(seed).integers(_GROUPS, size=len(id_weights))
    row_numbers, targets = validation.list_targets()
    ndcg = []
    for group in range(_GROUPS):
        is_new = is_titled & (groups == group)
        selected = is_new[targets]
        if not selected.any():
            continue
        rows, numbers = np.unique(row_numbers[selected], return_inverse=True)
        network.id_weights.assign(np.where(is_new, 0, id_weights))
        scorer.refresh()
        ndcg.append(
            _measure_weights(scorer, validation.take(rows), numbers, targets[selected], filter_seen)
        )
    network.id_weights.assign(id_weights)
    scorer.refresh()
    return np.concatenate(ndcg, axis=1).mean(axis=1) if ndcg else None


def _measure_weights(
    scorer: NetworkClassifier,
    rows: Windows,
    row_numbers: np.ndarray,
    targets: np.ndarray,
    filter_seen: bool,
) -> np.ndarray:
    """Return the NDCG@10 of each row with each candidate weight.

    Args:
        scorer: the scorer of the network.
        rows: the rows. Each has a target.
        row_numbers: shape (targets,), int, ascending, the row of each target.
        targets: shape (targets,), int, item indices of the targets to measure.
        filter_seen: as for :func:`choose_title_weight`.

    Returns:
        Shape (weights, rows), float64.
    """
    parts = []
    for start in range(0, len(rows), VALIDATION_BATCH_ROWS):
        batch = rows.slice_rows(start, min(start + VALIDATION_BATCH_ROWS, len(rows)))
        logits, title_logits = scorer.compute_logits(batch)
        if filter_seen:
            logits[batch.list_seen_pairs()] = -np.inf
        first, last = np.searchsorted(row_numbers, [start, start + len(batch)])
        numbers, items = row_numbers[first:last] - start, targets[first:last]
        ndcg = []
        for weight in _TITLE_WEIGHTS:
            ranks = compute_target_ranks(logits + np.float32(weight) * title_logits, numbers, items)
            ndcg.append(compute_row_metrics(ranks, numbers)["ndcg@10"])
        parts.append(ndcg)
    return np.concatenate(parts, axis=1)
