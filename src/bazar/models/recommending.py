"""The best items for rows of histories, in batches."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from bazar.data.windows import Windows
from bazar.models.scorer import PARALLEL_BATCHES, Scorer
from bazar.models.top_k import select_top_k

T = TypeVar("T")


def recommend_items(
    scorer: Scorer,
    windows: Windows,
    k: int,
    filter_seen: bool,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best items for each row.

    Args:
        scorer: the model.
        windows: the rows. All of them are scored in one batch.
        k: number of items per row.
        filter_seen: whether items that the user bought before are removed.
        allowed: shape (items + 1,), bool: the items that may be recommended. None allows all items.

    Returns:
        Item indices in order, shape (rows, k), int64, padded with 0; and their scores, the same
        shape, float32, padded with ``-inf``.
    """
    scores = scorer.score(windows)
    if filter_seen:
        scores[windows.list_seen_pairs()] = -np.inf
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return select_top_k(scores, k)


def map_batches(
    process: Callable[[Windows], T],
    rows: Windows,
    batch_size: int,
    description: str,
    max_parallel_batches: int = PARALLEL_BATCHES,
) -> Iterator[T]:
    """Process rows in parallel batches, with a progress bar.

    A model uses a single core for much of its work. Therefore each batch is split, and several
    smaller batches are processed in parallel threads. Results are in the order of the rows. Only a
    few results are computed in advance, to limit the memory. The cores are divided among the
    threads: BLAS threads that compete for the same cores are several times slower.

    Args:
        process: function that is called with each batch, from several threads.
        rows: the rows.
        batch_size: total number of rows that are processed at a time. It limits the memory.
        description: label of the progress bar.
        max_parallel_batches: number of batches that are processed in parallel.

    Yields:
        The result of ``process`` for each batch.
    """
    size = math.ceil(batch_size / max_parallel_batches)
    pending: deque[Future[T]] = deque()
    threads = ThreadPoolExecutor(max_parallel_batches)
    n_batches = math.ceil(len(rows) / size)
    cores = max(1, (os.cpu_count() or 1) // max_parallel_batches)
    limit = threadpool_limits(cores, user_api="blas")
    try:
        # disable=None: no bar if stderr is not a terminal.
        with tqdm(
            total=n_batches, desc=description, unit="batch", mininterval=1, disable=None
        ) as bar:
            for n_submitted, batch in enumerate(rows.iter_batches(size)):
                pending.append(threads.submit(process, batch))
                if n_submitted >= max_parallel_batches:
                    yield pending.popleft().result()
                    bar.update()
            while pending:
                yield pending.popleft().result()
                bar.update()
    finally:
        threads.shutdown(cancel_futures=True)
        limit.restore_original_limits()
