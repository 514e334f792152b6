"""Choice of the weight of title similarity in the scores of a trained network."""

import logging

import numpy as np

from bazar.data.windows import Windows
from bazar.evaluation.validation import compute_ndcg
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import NetworkClassifier

logger = logging.getLogger(__name__)

VALIDATION_BATCH_ROWS = 512
# Candidate weights of the title similarity, relative to the logits of the network.
_TITLE_WEIGHTS = (
    0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip


def choose_title_weight(
    network: RecurrentNetwork, item_vectors: np.ndarray, validation: Windows, filter_seen: bool
) -> dict[str, float]:
    """Choose the weight of title similarity with the best validation NDCG@10, and set it.

    If several weights are equally good, the smallest is chosen.

    Args:
        network: a trained network with ``add_title_similarity``.
        item_vectors: shape (items + 1, dimension), float32, zeros for items without a title.
        validation: rows to choose by.
        filter_seen: whether items that the user bought before are removed from the ranking.

    Returns:
        ``title_weight``, and ``val_ndcg@10`` with this weight.
    """
    scorer = NetworkClassifier(network, item_vectors)
    ndcg_by_weight: dict[float, list[np.ndarray]] = {weight: [] for weight in _TITLE_WEIGHTS}
    for rows in validation.iter_batches(VALIDATION_BATCH_ROWS):
        logits, title_logits = scorer.compute_logits(rows)
        if filter_seen:
            logits[rows.list_seen_pairs()] = -np.inf
        for weight, ndcg in ndcg_by_weight.items():
            scores = logits + np.float32(weight) * title_logits
            ndcg.append(compute_ndcg(scores, rows, filter_seen=False))
    means = {weight: float(np.concatenate(ndcg).mean()) for weight, ndcg in ndcg_by_weight.items()}
    best = max(means, key=lambda weight: (means[weight], -weight))
    assert network.title_weight is not None
    network.title_weight.assign(best)
    logger.info("Title similarity has weight %g: validation NDCG@10 %.4f", best, means[best])
    return {"title_weight": best, "val_ndcg@10": means[best]}
