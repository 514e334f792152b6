"""Measure what a warm start saves when customers and products join the shop.

    .venv/bin/kedro run --env amazon_beauty_2014 --pipelines ingestion,joining,sequencing,embedding
    .venv/bin/python benchmarks/warm_start.py --env amazon_beauty_2014

The last tenth of the users is held back, and with them the products that nobody else has bought.
A network is trained on the others; then everybody is there, and it is trained in two ways: from
nothing, and from there as `warm_start` does. Both, and the earlier network as it is, are measured
on the last purchase of every user (leave_one_out, history filtered). Seconds are of training,
validation included. Prints Markdown, a line for each seed and way, then means, standard
deviations and the ratio of times.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from timing import machine

from bazar.config.networks import NetworkBlock
from bazar.data.sequences import Sequences
from bazar.data.splits import Split, leave_one_out
from bazar.evaluation.metrics import row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.training.trainer import TrainedNetwork, train_network
from bazar.training.warm_start import Start, make_warm_start

ROOT = Path(__file__).parents[1]
HELD_BACK = 0.1


@dataclass(frozen=True)
class Shop:
    """A shop at one time.

    Attributes:
        split: its rows.
        item_ids: shape (items + 1,), external ids by item index.
        vectors: shape (items + 1, dimension), float32.
    """

    split: Split
    item_ids: np.ndarray
    vectors: np.ndarray

    def train(self, block: NetworkBlock, seed: int, start: Start | None = None) -> TrainedNetwork:
        """Train a network."""
        trained = train_network(
            self.split.train, self.split.validation, block, len(self.item_ids) - 1, seed,
            self.vectors, start=start,
        )  # fmt: skip
        trained.network.item_ids = self.item_ids
        return trained

    def measure(self, network: RecurrentNetwork) -> tuple[float, float]:
        """HR@10 and NDCG@10 of the test rows, history filtered."""
        ranks = rank_catalogue(make_scorer(network, self.vectors), self.split.test, 20, 512)
        figures = row_metrics(ranks["filtered"].ranks)
        return float(figures["hr@10"].mean()), float(figures["ndcg@10"].mean())


def two_shops(env: str | None) -> tuple[Shop, Shop, dict[str, Any]]:
    """The shop without the last tenth of its users, and with them; the parameters."""
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env=env) as session:
        catalog = session.load_context().catalog  # type: ignore[attr-defined]
        train, vectors = catalog.load("train"), catalog.load("item_vectors")
        ids = catalog.load("item_index").order_by("item_index").to_pyarrow()["item_id"].to_pylist()
        models = {name: catalog.load(f"params:{name}") for name in ("classifier", "regressor")}
    item_ids = np.array(["", *ids], dtype=object)
    everybody = train.sequences
    n_users = round((1 - HELD_BACK) * len(everybody.user_ids))
    starts = everybody.starts[: n_users + 1]
    bought = everybody.items[: starts[-1]]
    own = np.unique(bought)
    numbered = np.zeros(len(item_ids), np.int32)
    numbered[own] = np.arange(1, len(own) + 1)
    fewer = Sequences(everybody.user_ids[:n_users], numbered[bought], starts)
    places = np.concatenate([[0], own])
    early = Shop(
        leave_one_out(fewer, len(own), train.history_length), item_ids[places], vectors[places]
    )
    late = Shop(
        leave_one_out(everybody, len(item_ids) - 1, train.history_length), item_ids, vectors
    )
    return early, late, models


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--env", help="the environment")
    parser.add_argument("--model", default="classifier", choices=["classifier", "regressor"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    arguments = parser.parse_args()
    early, late, models = two_shops(arguments.env)
    block = models[arguments.model].block
    print(
        f"{arguments.model}, {machine()}: {len(early.item_ids) - 1:,} of "
        f"{len(late.item_ids) - 1:,} products and {len(early.split.test):,} of "
        f"{len(late.split.test):,} users were there before.\n"
    )
    print("| seed | training | epochs | seconds | HR@10 | NDCG@10 |")
    print("|---:|---|---:|---:|---:|---:|", flush=True)
    figures: dict[str, list[tuple[float, float, float]]] = {"from nothing": [], "warm start": []}
    for seed in arguments.seeds:
        before = early.train(block, seed)
        start = make_warm_start(before.network, before.optimizer, late.item_ids)
        as_it_is = late.measure(start.network)
        print(
            f"| {seed} | the earlier network as it is | – | – | {as_it_is[0]:.4f} "
            f"| {as_it_is[1]:.4f} |",
            flush=True,
        )
        for way, told in figures.items():
            warm = way == "warm start"
            trained = late.train(block.warmed if warm else block, seed, start if warm else None)
            seconds = trained.facts["seconds_training"]
            told.append((seconds, *late.measure(trained.network)))
            print(
                f"| {seed} | {way} | {len(trained.training_log)} | {seconds:.0f} | {told[-1][1]:.4f} "
                f"| {told[-1][2]:.4f} |",
                flush=True,
            )
    means = {way: np.mean(told, axis=0) for way, told in figures.items()}
    for way, told in figures.items():
        sd = np.std(told, axis=0, ddof=1) if len(told) > 1 else np.full(3, np.nan)
        mean = means[way]
        print(
            f"| all | {way} | | {mean[0]:.0f} | {mean[1]:.4f} ± {sd[1]:.4f} "
            f"| {mean[2]:.4f} ± {sd[2]:.4f} |"
        )
    ratio = means["warm start"][0] / means["from nothing"][0]
    print(f"\nA warm start takes {ratio:.2f} of the time of a training from nothing.")


if __name__ == "__main__":
    main()
