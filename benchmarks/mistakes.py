r"""Measure the effect of each mistake of the original study with an ablation study.

    .venv/bin/kedro run --env amazon_beauty_2014 \
        --pipelines ingestion,joining,sequencing,embedding
    .venv/bin/kedro run --env amazon_beauty_2014 --pipelines sequencing \
        --params split=shuffled_windows
    .venv/bin/python benchmarks/mistakes.py --env amazon_beauty_2014 --write

The first two commands create the inputs: the splits of both protocols, and the title vectors.
Model I and Model II are the networks `model_i` and `model_ii` in the parameters of the environment.
They are trained with the protocol of the study, and with leave_one_out and histories of the same
length. Further variants change one more thing: the size of the network, or the loss of Model II.
The metrics are HR@1, HR@10 and NDCG@10 over the full catalogue. The output is Markdown. `--write`
writes the table to docs/explanation/original-study.md.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from pages import write_section
from timing import describe_machine

from bazar.config.networks import REPRODUCTION_NETWORKS, ModelOptions, NetworkBlock
from bazar.data.splits import Splits
from bazar.evaluation.metrics import compute_bootstrap_interval, compute_row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.scorers import make_scorer
from bazar.training.trainer import train_network

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "original-study.md"
LOO = "leave_one_out"
MODELS = {"classifier": "Model I", "regressor": "Model II"}
# The changes that make the networks of the study smaller.
SMALLER: dict[str, dict[str, Any]] = {
    "classifier": {
        "item_dimension": 64,
        "layers": [{"type": "lstm", "units": 64}, {"type": "dropout", "rate": 0.3}],
    },
    "regressor": {
        "layers": [{"type": "gru", "units": 128}, {"type": "dropout", "rate": 0.3}],
    },
}
HEADINGS = [
    "model", "difference from the row that it is compared with", "protocol", "HR@1", "HR@10", "95%",
    "NDCG@10", "filtered: HR@10", "NDCG@10", "parameters", "seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A network and the protocol that it is trained and measured with.

    Attributes:
        model: ``classifier`` or ``regressor``.
        change: the difference from another variant, in words.
        split: the protocol.
        block: the network and its training.
    """

    model: str
    change: str
    split: str
    block: NetworkBlock


@dataclass(frozen=True)
class Inputs:
    """Data to train and measure a network.

    Attributes:
        splits: the splits of a protocol.
        item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has no
            title.
    """

    splits: Splits
    item_vectors: np.ndarray


def load_inputs(env: str | None, split: str) -> tuple[Inputs, dict[str, Any]]:
    """Return the outputs of the earlier runs.

    Args:
        env: the environment.
        split: the protocol.

    Returns:
        The inputs and the parameters.
    """
    with KedroSession.create(ROOT, env=env, runtime_params={"split": split}) as session:
        context = session.load_context()  # type: ignore[attr-defined]
        try:
            inputs = Inputs(context.catalog.load("splits"), context.catalog.load("item_vectors"))
        except DatasetError as error:
            commands = (__doc__ or "").split("\n\n")[1]
            sys.exit(f"{error}\nRun these commands first:\n{commands}")
        return inputs, context.config_loader["parameters"]


def list_variants(networks: dict[str, NetworkBlock]) -> list[Variant]:
    """Return the variants to train.

    Args:
        networks: the two networks of the study, by model.
    """

    def change_block(model: str, **changes: Any) -> NetworkBlock:
        block = networks[model].model_dump()
        block["training"] |= changes.pop("training", {})
        return NetworkBlock.model_validate(block | changes)

    variants = []
    for model, block in networks.items():
        smaller = change_block(model, **SMALLER[model])
        variants += [
            Variant(model, "(1) as the original study", "shuffled_windows", block),
            Variant(model, "(2) as 1, without training on a customer's future", LOO, block),
            Variant(model, "(3) as 2, and a smaller network", LOO, smaller),
        ]
    cosine = change_block("regressor", training={"loss": "cosine"})
    softmax = change_block("regressor", head="tied_softmax", training={"loss": "cross_entropy"})
    return [
        *variants,
        Variant("regressor", "(4) as 2, and cosine instead of MSE", LOO, cosine),
        Variant("regressor", "(5) as 2, and a softmax over title vectors", LOO, softmax),
    ]


def measure_variant(variant: Variant, inputs: Inputs, seed: int, batch_size: int) -> dict[str, Any]:
    """Train a variant and return its metrics.

    Args:
        variant: the network and its training.
        inputs: the splits of the protocol, and the title vectors.
        seed: seed of the training and of the bootstrap intervals.
        batch_size: number of rows that are scored at the same time.

    Returns:
        ``hr@1``, ``hr@10`` and ``ndcg@10`` with seen items not filtered; ``hr@10_filtered`` and
        ``ndcg@10_filtered``; ``hr@10_ci95`` (over customers); ``n_parameters``; and ``seconds``.
    """
    splits, item_vectors = inputs.splits, inputs.item_vectors
    trained = train_network(
        splits.train, splits.validation, variant.block, len(item_vectors) - 1, seed, item_vectors
    )
    scorer = make_scorer(trained.network, item_vectors)
    rankings = rank_catalogue(scorer, splits.test, 20, batch_size)
    rows, _ = splits.test.list_targets()
    unfiltered, filtered = (
        compute_row_metrics(rankings[name].ranks, rows) for name in ("unfiltered", "filtered")
    )
    interval = compute_bootstrap_interval(unfiltered["hr@10"], splits.test.users, 1000, seed)
    return {
        **{name: float(unfiltered[name].mean()) for name in ("hr@1", "hr@10", "ndcg@10")},
        **{f"{name}_filtered": float(filtered[name].mean()) for name in ("hr@10", "ndcg@10")},
        "hr@10_ci95": interval,
        "n_parameters": trained.facts["n_parameters"],
        "seconds": trained.facts["seconds_training"],
    }


def shorten_histories(splits: Splits, history_length: int) -> Splits:
    """Return the splits with histories of at most ``history_length`` items."""
    return replace(
        splits,
        train=replace(splits.train, history_length=history_length),
        validation=replace(splits.validation, history_length=history_length),
        test=replace(splits.test, history_length=history_length),
    )


def format_row(variant: Variant, metrics: dict[str, Any]) -> str:
    """Return a row of the table."""
    low, high = metrics["hr@10_ci95"]
    texts = [
        MODELS[variant.model], variant.change, variant.split,
        *(f"{metrics[name]:.4f}" for name in ("hr@1", "hr@10")), f"{low:.4f}–{high:.4f}",
        *(f"{metrics[name]:.4f}" for name in ("ndcg@10", "hr@10_filtered", "ndcg@10_filtered")),
        f"{metrics['n_parameters']:,}", f"{metrics['seconds']:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(texts)} |"


def describe_comparison(study_metrics: dict[str, dict[str, Any]]) -> str:
    """Return the comparison of the study, and the comparison by the same metric.

    Args:
        study_metrics: the metrics of the networks of the study, by model.
    """
    first, second = study_metrics["classifier"], study_metrics["regressor"]
    return (
        f"As the original study compared them: Model I {first['hr@1']:.4f} (HR@1), Model II "
        f"{second['hr@10']:.4f} (HR@10). Both by HR@10: Model I {first['hr@10']:.4f}, Model II "
        f"{second['hr@10']:.4f}; both by HR@1: {first['hr@1']:.4f} and {second['hr@1']:.4f}."
    )


def main() -> None:
    """Run the benchmark, print the table, and write it with ``--write``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", help="environment of the data set")
    parser.add_argument("--seed", type=int, default=42, help="seed of the training")
    parser.add_argument("--write", action="store_true", help=f"write the table to {PAGE}")
    arguments = parser.parse_args()
    bootstrap_project(ROOT)
    shuffled, parameters = load_inputs(arguments.env, "shuffled_windows")
    held_out, _ = load_inputs(arguments.env, LOO)
    # Longer histories would be another difference between the protocols.
    history_length = shuffled.splits.train.history_length
    held_out = replace(held_out, splits=shorten_histories(held_out.splits, history_length))
    inputs = {"shuffled_windows": shuffled, LOO: held_out}
    networks = {
        model: ModelOptions.model_validate(parameters[model]).networks[REPRODUCTION_NETWORKS[model]]
        for model in MODELS
    }
    rows, study_metrics = [], {}
    for variant in list_variants(networks):
        print(f"{MODELS[variant.model]}: {variant.change}", file=sys.stderr)
        metrics = measure_variant(
            variant,
            inputs[variant.split],
            arguments.seed,
            parameters["evaluation"]["batch_size"],
        )
        if variant.split == "shuffled_windows":
            study_metrics[variant.model] = metrics
        rows.append(format_row(variant, metrics))
    n_rows = {split: len(inputs[split].splits.test) for split in inputs}
    table = "\n".join(
        [
            f"{parameters['dataset']}, histories of {history_length}, full catalogue of "
            f"{len(shuffled.item_vectors) - 1:,} items, {n_rows['shuffled_windows']:,} test rows "
            f"(shuffled_windows) and {n_rows[LOO]:,} (leave_one_out), vectors of "
            f"{parameters['embedding']['text']}, seed {arguments.seed}; seen items not filtered "
            f"unless stated; {describe_machine()}.\n",
            describe_comparison(study_metrics) + "\n",
            f"| {' | '.join(HEADINGS)} |",
            "|" + "---|" * 3 + "---:|" * (len(HEADINGS) - 3),
            *rows,
        ]
    )
    print(table)
    if arguments.write:
        write_section(PAGE, "mistakes", table)


if __name__ == "__main__":
    main()
