"""Measure the training time that a warm start saves after customers and products are added.

    .venv/bin/kedro run --env amazon_beauty_2014 --pipelines ingestion,joining,sequencing,embedding
    .venv/bin/python benchmarks/warm_start.py --env amazon_beauty_2014

The script holds out the last 10% of the users, and the products that only these users bought. It
trains a network on the other users. Then it trains two networks on all users: from scratch, and
with a warm start from the earlier network. These two networks and the earlier network are measured
on the last purchase of each user (leave_one_out, seen items filtered). The time includes
validation. The output is Markdown: a row for each seed and training, the means, the standard
deviations and the ratio of the times. Log messages go to stderr.
"""

import argparse
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from timing import describe_machine, log_to_stderr

from bazar.config.networks import NetworkBlock
from bazar.data.item_index import list_item_ids
from bazar.data.sequences import Sequences
from bazar.data.splits import Splits, split_leave_one_out
from bazar.evaluation.metrics import compute_row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.training.trainer import TrainedNetwork, train_network
from bazar.training.warm_start import WarmStart, make_warm_start

ROOT = Path(__file__).parents[1]
HELD_OUT = 0.1
FROM_SCRATCH, WARM_START = "from scratch", "warm start"


@dataclass(frozen=True)
class Shop:
    """The data of a shop at one time.

    Attributes:
        splits: the splits.
        item_ids: shape (items + 1,), external ids by item index.
        vectors: shape (items + 1, dimension), float32.
    """

    splits: Splits
    item_ids: np.ndarray
    vectors: np.ndarray

    def train(
        self, block: NetworkBlock, seed: int, warm_start: WarmStart | None = None
    ) -> TrainedNetwork:
        """Train a network and return it."""
        trained = train_network(
            self.splits.train,
            self.splits.validation,
            block,
            len(self.item_ids) - 1,
            seed,
            self.vectors,
            warm_start=warm_start,
        )
        trained.network.item_ids = self.item_ids
        return trained

    def measure(self, network: RecurrentNetwork) -> tuple[float, float]:
        """Return HR@10 and NDCG@10 on the test rows, with seen items filtered."""
        ranks = rank_catalogue(make_scorer(network, self.vectors), self.splits.test, 20, 512)
        rows, _ = self.splits.test.list_targets()
        metrics = compute_row_metrics(ranks["filtered"].ranks, rows)
        return float(metrics["hr@10"].mean()), float(metrics["ndcg@10"].mean())


def load_shops(env: str | None) -> tuple[Shop, Shop, dict[str, Any]]:
    """Return the shop without the last 10% of the users, the full shop, and the model options."""
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env=env) as session:
        catalog = session.load_context().catalog  # type: ignore[attr-defined]
        train, vectors = catalog.load("splits").train, catalog.load("item_vectors")
        item_ids = list_item_ids(catalog.load("item_index"))
        models = {name: catalog.load(f"params:{name}") for name in ("classifier", "regressor")}
    sequences = replace(train.sequences, orders=None)
    n_users = round((1 - HELD_OUT) * len(sequences.user_ids))
    starts = sequences.starts[: n_users + 1]
    items = sequences.items[: starts[-1]]
    kept_items = np.unique(items)
    new_index = np.zeros(len(item_ids), np.int32)
    new_index[kept_items] = np.arange(1, len(kept_items) + 1)
    earlier_sequences = Sequences(sequences.user_ids[:n_users], new_index[items], starts)
    kept = np.concatenate([[0], kept_items])
    earlier = Shop(
        split_leave_one_out(earlier_sequences, len(kept_items), train.history_length),
        item_ids[kept],
        vectors[kept],
    )
    full = Shop(
        split_leave_one_out(sequences, len(item_ids) - 1, train.history_length), item_ids, vectors
    )
    return earlier, full, models


def print_summary(results: dict[str, list[tuple[float, float, float]]]) -> None:
    """Print means and standard deviations over seeds, and the ratio of the times."""
    means = {training: np.mean(values, axis=0) for training, values in results.items()}
    for training, values in results.items():
        sd = np.std(values, axis=0, ddof=1) if len(values) > 1 else np.full(3, np.nan)
        mean = means[training]
        print(
            f"| all | {training} | | {mean[0]:.0f} | {mean[1]:.4f} ± {sd[1]:.4f} "
            f"| {mean[2]:.4f} ± {sd[2]:.4f} |"
        )
    ratio = means[WARM_START][0] / means[FROM_SCRATCH][0]
    print(f"\nA warm start takes {ratio:.0%} of the time of a training from scratch.")


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--env", help="environment in conf/")
    parser.add_argument("--model", default="classifier", choices=["classifier", "regressor"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    arguments = parser.parse_args()
    with redirect_stdout(sys.stderr):
        earlier, full, models = load_shops(arguments.env)
    log_to_stderr()
    block: NetworkBlock = models[arguments.model].block
    print(
        f"{arguments.model}, {describe_machine()}: {len(earlier.item_ids) - 1:,} of "
        f"{len(full.item_ids) - 1:,} products and {len(earlier.splits.test):,} of "
        f"{len(full.splits.test):,} users were in the earlier training.\n"
    )
    print("| seed | training | epochs | seconds | HR@10 | NDCG@10 |")
    print("|---:|---|---:|---:|---:|---:|", flush=True)
    results: dict[str, list[tuple[float, float, float]]] = {FROM_SCRATCH: [], WARM_START: []}
    for seed in arguments.seeds:
        state = earlier.train(block, seed).state
        start = make_warm_start(state, full.item_ids, block.training.optimizer)
        hit_rate, ndcg = full.measure(start.network)
        name = "earlier network, unchanged"
        print(f"| {seed} | {name} | – | – | {hit_rate:.4f} | {ndcg:.4f} |", flush=True)
        for training, values in results.items():
            if training == WARM_START:
                trained = full.train(block.warm_start_block, seed, start)
            else:
                trained = full.train(block, seed)
            seconds = trained.facts["seconds_training"]
            hit_rate, ndcg = full.measure(trained.network)
            values.append((seconds, hit_rate, ndcg))
            print(
                f"| {seed} | {training} | {len(trained.training_log)} | {seconds:.0f} "
                f"| {hit_rate:.4f} | {ndcg:.4f} |",
                flush=True,
            )
    print_summary(results)


if __name__ == "__main__":
    main()
