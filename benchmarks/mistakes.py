r"""Measure what each mistake of the report costs, by removing one at a time, as Markdown.

    .venv/bin/kedro run --env amazon_beauty_2014 \
        --pipelines ingestion,joining,sequencing,embedding
    .venv/bin/kedro run --env amazon_beauty_2014 --pipelines sequencing \
        --params split=shuffled_windows
    .venv/bin/python benchmarks/mistakes.py --env amazon_beauty_2014 --write

The first two commands make what is read here: the rows of both protocols, and the title vectors.
Model I and Model II are the networks `report` of that environment's parameters. They are trained as
the report did it, then on leave_one_out rows with histories of the same length, then with one thing
changed: the loss of Model II, or the size. Everything is measured by HR@1, HR@10 and NDCG@10 over
the full catalogue. `--write` puts the table into docs/report.md.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from timing import machine

from bazar.config.networks import REPRODUCED, ModelOptions, NetworkBlock
from bazar.data.windows import Windows
from bazar.evaluation.metrics import bootstrap_interval, row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.scorers import make_scorer
from bazar.training.trainer import train_network

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "report.md"
LOO = "leave_one_out"
PARTS = ("train", "validation", "test")
MODELS = {"classifier": "Model I", "regressor": "Model II"}
# What is changed in the networks `report`, one thing in each.
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
    "model", "what is different from the row that it is compared with", "protocol", "HR@1",
    "HR@10", "95%", "NDCG@10", "filtered: HR@10", "NDCG@10", "parameters", "seconds",
]  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A network on the rows of a protocol.

    Attributes:
        model: ``classifier`` or ``regressor``.
        change: what is different, in words.
        split: the protocol.
        block: the network and its training.
    """

    model: str
    change: str
    split: str
    block: NetworkBlock


def load(env: str | None, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Load what the runs left.

    Args:
        env: the environment.
        split: the protocol.

    Returns:
        ``train``, ``validation``, ``test`` and ``item_vectors``; the parameters.
    """
    with KedroSession.create(ROOT, env=env, runtime_params={"split": split}) as session:
        context = session.load_context()  # type: ignore[attr-defined]
        try:
            data = {name: context.catalog.load(name) for name in (*PARTS, "item_vectors")}
        except DatasetError as error:
            sys.exit(f"{error}\nMake it first:\n{(__doc__ or '').split(chr(10) * 2)[1]}")
        return data, context.config_loader["parameters"]


def variants(networks: dict[str, NetworkBlock]) -> list[Variant]:
    """What is trained, the report's own first.

    Args:
        networks: the report's two, by model.
    """

    def changed(model: str, **changes: Any) -> NetworkBlock:
        block = networks[model].model_dump()
        block["training"] |= changes.pop("training", {})
        return NetworkBlock.model_validate(block | changes)

    found = []
    for model, block in networks.items():
        found += [
            Variant(model, "(1) as the report has it", "shuffled_windows", block),
            Variant(model, "(2) as 1, and no row of a training customer's future", LOO, block),
            Variant(
                model, "(3) as 2, and a smaller network", LOO, changed(model, **SMALLER[model])
            ),
        ]
    cosine = changed("regressor", training={"loss": "cosine"})
    softmax = changed("regressor", head="tied_softmax", training={"loss": "cross_entropy"})
    return [
        *found,
        Variant("regressor", "(4) as 2, and cosine in place of MSE", LOO, cosine),
        Variant("regressor", "(5) as 2, and a softmax over title vectors", LOO, softmax),
    ]


def measure(variant: Variant, data: dict[str, Any], seed: int, batch_size: int) -> dict[str, Any]:
    """Train a variant and measure it.

    Args:
        variant: what is trained.
        data: the rows of its protocol, and the title vectors.
        seed: of the training and of the intervals.
        batch_size: rows scored at a time.

    Returns:
        ``hr@1``, ``hr@10``, ``ndcg@10``, their ``_masked``, ``hr@10_ci95`` (over customers),
        ``n_parameters``, ``seconds``.
    """
    item_vectors, test = data["item_vectors"], data["test"]
    trained = train_network(
        data["train"], data["validation"], variant.block, len(item_vectors) - 1, seed, item_vectors
    )
    scorer = make_scorer(trained.network, item_vectors)
    rankings = rank_catalogue(scorer, test, 20, batch_size)
    unfiltered, filtered = (
        row_metrics(rankings[name].ranks) for name in ("unfiltered", "filtered")
    )
    return {
        **{name: float(unfiltered[name].mean()) for name in ("hr@1", "hr@10", "ndcg@10")},
        **{f"{name}_masked": float(filtered[name].mean()) for name in ("hr@10", "ndcg@10")},
        "hr@10_ci95": bootstrap_interval(unfiltered["hr@10"], test.users, 1000, seed),
        "n_parameters": trained.facts["n_parameters"],
        "seconds": trained.facts["seconds_training"],
    }


def shortened(part: Windows, history_length: int) -> Windows:
    """The rows, with histories no longer than that."""
    return Windows(part.sequences, part.target_positions, history_length)


def row(variant: Variant, figures: dict[str, Any]) -> str:
    """A line of the table."""
    low, high = figures["hr@10_ci95"]
    texts = [
        MODELS[variant.model], variant.change, variant.split,
        *(f"{figures[name]:.4f}" for name in ("hr@1", "hr@10")), f"{low:.4f}–{high:.4f}",
        *(f"{figures[name]:.4f}" for name in ("ndcg@10", "hr@10_masked", "ndcg@10_masked")),
        f"{figures['n_parameters']:,}", f"{figures['seconds']:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(texts)} |"


def told(reported: dict[str, dict[str, Any]]) -> str:
    """What the report compared, and what it should have, in a sentence."""
    one, two = reported["classifier"], reported["regressor"]
    return (
        f"As the report compared them: Model I {one['hr@1']:.4f} (HR@1), Model II "
        f"{two['hr@10']:.4f} (HR@10). Both by HR@10: Model I {one['hr@10']:.4f}, Model II "
        f"{two['hr@10']:.4f}; both by HR@1: {one['hr@1']:.4f} and {two['hr@1']:.4f}."
    )


def fill(page: str, table: str) -> str:
    """Write the section of the page anew that the table has.

    Args:
        page: the page's text.
        table: what the section holds from now on.
    """
    pattern = re.compile(r"(<!-- mistakes -->\n).*?(<!-- /mistakes -->)", re.DOTALL)
    if not pattern.search(page):
        sys.exit(f"{PAGE} has no section <!-- mistakes -->")
    return pattern.sub(lambda found: f"{found[1]}{table.strip()}\n{found[2]}", page)


def main() -> None:
    """Measure, print, and write if that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", help="the environment of the data set")
    parser.add_argument("--seed", type=int, default=42, help="of the training")
    parser.add_argument("--write", action="store_true", help="put the table into docs/report.md")
    arguments = parser.parse_args()
    bootstrap_project(ROOT)
    data, parameters = load(arguments.env, "shuffled_windows")
    of_split = {"shuffled_windows": data, LOO: load(arguments.env, LOO)[0]}
    history_length = data["train"].history_length
    for name in PARTS:
        # Longer histories would be a second difference.
        of_split[LOO][name] = shortened(of_split[LOO][name], history_length)
    networks = {
        model: ModelOptions.model_validate(parameters[model]).networks[REPRODUCED[model]]
        for model in MODELS
    }
    batch_size = parameters["evaluation"]["batch_size"]
    lines, reported = [], {}
    for variant in variants(networks):
        print(f"{MODELS[variant.model]}: {variant.change}", file=sys.stderr)
        figures = measure(variant, of_split[variant.split], arguments.seed, batch_size)
        if variant.split == "shuffled_windows":
            reported[variant.model] = figures
        lines.append(row(variant, figures))
    table = "\n".join(
        [
            f"{parameters['dataset']}, histories of {history_length}, full catalogue of "
            f"{len(data['item_vectors']) - 1:,} items, {len(data['test']):,} test rows "
            f"(shuffled_windows) and {len(of_split[LOO]['test']):,} (leave_one_out), vectors of "
            f"{parameters['embedding']['text']}, seed {arguments.seed}; history not filtered, but "
            f"where it is said; {machine()}.\n",
            told(reported) + "\n",
            f"| {' | '.join(HEADINGS)} |",
            "|" + "---|" * 3 + "---:|" * (len(HEADINGS) - 3),
            *lines,
        ]
    )
    print(table)
    if arguments.write:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
