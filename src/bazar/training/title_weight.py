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
# Number of random groups of items. The learned vectors of the ids of one group at a time are left
# out, so that its items are ranked as if they were cold.
_GROUPS = 10


def choose_title_weight(
    network: RecurrentNetwork,
    item_vectors: np.ndarray,
    validation: Windows,
    filter_seen: bool,
    cold_item_share: float = 0,
    seed: int = 0,
) -> dict[str, float]:
    """Choose the weight of title similarity with the best validation NDCG@10, and set it.

    With a ``cold_item_share`` of s, the criterion is ``(1 - s) * a + s * b``: a is the NDCG@10 of
    all rows, and b is that of targets that are ranked as if they were cold, as in
    :func:`_measure_as_cold_items`. If several weights are equally good, the smallest is chosen.

    Args:
        network: a trained network with ``add_title_similarity``.
        item_vectors: shape (items + 1, dimension), float32, zeros for items without a title.
        validation: rows to choose by.
        filter_seen: whether items that the user bought before are removed from the ranking.
        cold_item_share: the expected share of targets that are cold items, from 0 to 1. Above 0,
            the network must have learned vectors of ids.
        seed: seed of the random groups of items.

    Returns:
        ``title_weight``, and ``val_ndcg@10`` with this weight; with a ``cold_item_share``, also
        ``val_ndcg@10_as_cold_items``.
    """
    logger.info("Choosing the weight of the title similarity")
    scorer = NetworkClassifier(network, item_vectors)
    known = _measure_weights(scorer, validation, *validation.list_targets(), filter_seen)
    criterion, figures = known, {"val_ndcg@10": known}
    if cold_item_share:
        cold = _measure_as_cold_items(network, scorer, item_vectors, validation, filter_seen, seed)
        if cold is None:
            logger.warning(
                "cold_item_share has no effect: no validation target with a title is new to its "
                "user."
            )
        else:
            figures["val_ndcg@10_as_cold_items"] = cold
            criterion = (1 - cold_item_share) * known + cold_item_share * cold
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


def _measure_as_cold_items(
    network: RecurrentNetwork,
    scorer: NetworkClassifier,
    item_vectors: np.ndarray,
    validation: Windows,
    filter_seen: bool,
    seed: int,
) -> np.ndarray | None:
    """Return the NDCG@10 of targets that are ranked as if they were cold, for each weight.

    Each item with a title belongs to one of :data:`_GROUPS` random groups. The learned vectors of
    the ids of one group at a time are left out. Each row is scored once: its targets in the group
    of its first target are measured. Targets that the user bought before are not measured, because
    a cold item cannot be one of them. The words and the adapter of the network have learned from
    the purchases of these items. Real cold items therefore have lower results.

    Args:
        network: the network of ``scorer``. Both are unchanged afterwards.
        scorer: the scorer of the network.
        item_vectors: as for :func:`choose_title_weight`.
        validation: the rows.
        filter_seen: as for :func:`choose_title_weight`.
        seed: seed of the random groups of items.

    Returns:
        Shape (weights,), float64: means over rows. None if there is nothing to measure.
    """
    id_weights, is_titled = network.id_weights.numpy(), has_title(item_vectors)
    groups = np.random.default_rng(seed).integers(_GROUPS, size=len(id_weights))
    row_numbers, targets = validation.list_targets()
    can_be_cold = is_titled[targets] & ~validation.find_repeats()
    row_numbers, targets = row_numbers[can_be_cold], targets[can_be_cold]
    measured_rows, first = np.unique(row_numbers, return_index=True)
    group_of_row = np.full(len(validation), -1)
    group_of_row[measured_rows] = groups[targets[first]]
    is_in_group = groups[targets] == group_of_row[row_numbers]
    row_numbers, targets = row_numbers[is_in_group], targets[is_in_group]
    sums = np.zeros(len(_TITLE_WEIGHTS))
    for group in np.unique(groups[targets]):
        rows = np.flatnonzero(group_of_row == group)
        selected = groups[targets] == group
        numbers = np.searchsorted(rows, row_numbers[selected])
        network.id_weights.assign(np.where(is_titled & (groups == group), 0, id_weights))
        scorer.refresh()
        means = _measure_weights(
            scorer, validation.take(rows), numbers, targets[selected], filter_seen
        )
        sums += means * len(rows)
    network.id_weights.assign(id_weights)
    scorer.refresh()
    return sums / len(measured_rows) if len(measured_rows) else None


def _measure_weights(
    scorer: NetworkClassifier,
    rows: Windows,
    row_numbers: np.ndarray,
    targets: np.ndarray,
    filter_seen: bool,
) -> np.ndarray:
    """Return the mean NDCG@10 of rows with each candidate weight.

    Args:
        scorer: the scorer of the network.
        rows: the rows. Each has a target.
        row_numbers: shape (targets,), int, ascending, the row of each target.
        targets: shape (targets,), int, item indices of the targets to measure.
        filter_seen: as for :func:`choose_title_weight`.

    Returns:
        Shape (weights,), float64.
    """
    sums = np.zeros(len(_TITLE_WEIGHTS))
    for start in range(0, len(rows), VALIDATION_BATCH_ROWS):
        batch = rows.slice_rows(start, start + VALIDATION_BATCH_ROWS)
        logits, title_logits = scorer.compute_logits(batch)
        if filter_seen:
            logits[batch.list_seen_pairs()] = -np.inf
        first, last = np.searchsorted(row_numbers, [start, start + len(batch)])
        numbers, items = row_numbers[first:last] - start, targets[first:last]
        for position, weight in enumerate(_TITLE_WEIGHTS):
            scores = logits + np.float32(weight) * title_logits
            ranks = compute_target_ranks(scores, numbers, items)
            sums[position] += compute_row_metrics(ranks, numbers)["ndcg@10"].sum()
    return sums / len(rows)
