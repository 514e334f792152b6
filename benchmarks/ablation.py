r"""Compare one network under equal conditions: with other inputs, and with each of its steps.

    .venv/bin/kedro run --env amazon_beauty_2014_days \
        --pipelines ingestion,joining,sequencing,embedding
    .venv/bin/python benchmarks/ablation.py --env amazon_beauty_2014_days --write

Each variant is the network `bazar` of the classifier in the environment, with the changes in
`VARIANTS`. Those that read no ids have the training of the regressor: networks that read only
titles need more epochs. All of them are trained on the same rows, once for each seed. Choose
between variants by the validation column alone. A training that is finished is not repeated: its
metrics and ranks are in `data/08_reporting/<dataset>/<split>/ablation/`. `--variants` and `--seeds`
train only some. A second table has paired tests of the `PAIRS` that were trained with the same
seeds.
`--write` writes the tables between the comment marks `<!-- ablation: DATASET/SPLIT -->` and
`<!-- /ablation -->` of docs/explanation/results.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from pages import format_spread, write_section
from timing import describe_machine, log_to_stderr

from bazar.atomic import atomic_path
from bazar.config.data import EmbeddedText, EmbeddingOptions
from bazar.config.evaluation import ComparisonOptions, EvaluationOptions
from bazar.config.networks import ModelOptions, NetworkBlock, TrainingOptions
from bazar.data.item_index import list_item_ids, read_item_texts
from bazar.data.item_words import ItemTexts
from bazar.data.splits import Splits
from bazar.evaluation.comparison import SeedResults, compare_results
from bazar.evaluation.evaluate import evaluate_scorer
from bazar.evaluation.metrics import COLD_LABEL
from bazar.evaluation.results import ModelResults
from bazar.evaluation.validation import measure_ndcg
from bazar.models.blend import Blend, Component
from bazar.models.networks.scorers import make_scorer
from bazar.pipelines.embedding.nodes import build_item_vectors, embed_titles
from bazar.reporting.comparison_page import TEST_EXPLANATION, build_pairs_table
from bazar.reporting.tables import MISSING, ResultTable
from bazar.training.checkpoints import fingerprint
from bazar.training.distillation import Distillation, compute_soft_targets
from bazar.training.trainer import TrainedNetwork, list_training_arrays, train_network

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "results.md"
SEEDS = (42, 43, 44)


@dataclass(frozen=True)
class Variant:
    """A change of the network of the classifier.

    Attributes:
        reads: what the network reads, in words.
        text: the text of a product that is embedded.
        changes: keys of the block that change.
        training: keys of the training that change.
        teachers: names of the variants whose mean teaches this one. They are trained first.
    """

    reads: str
    text: EmbeddedText
    changes: dict[str, Any]
    training: dict[str, Any]
    teachers: tuple[str, ...] = ()


_ALL_TEXTS: EmbeddedText = "title_and_attributes"
# Without words, id_shrinkage and times. The published models read no times.
_IDS: dict[str, Any] = {
    "item": "id", "words": None, "id_shrinkage": 0, "time": False,
}  # fmt: skip
_TITLES = _IDS | {"item": "title"}
_BOTH = _IDS | {"item": "id+title"}
_TITLE_WORDS, _WORDS = {"words": "title"}, {"words": _ALL_TEXTS}
VARIANTS = {
    # Ids alone have settings of their own, chosen by validation NDCG@10.
    "ids": Variant(
        "ids; 256 dimensions, with history vectors",
        "title",
        _IDS | {"item_dimension": 256, "history_vectors": True, "temperature": 0.12},
        {"epochs": 6},
    ),
    "ids_plain": Variant("ids", "title", _IDS | {"temperature": 0.12}, {"epochs": 10}),
    "titles": Variant("titles", "title", _TITLES, {}),
    "titles_words": Variant("titles; with words", "title", _TITLES | _TITLE_WORDS, {}),
    "texts": Variant("titles, brands, categories", _ALL_TEXTS, _TITLES, {}),
    "texts_words": Variant(
        "titles, brands, categories; with words", _ALL_TEXTS, _TITLES | _WORDS, {}
    ),
    "ids_titles": Variant("ids, titles", "title", _BOTH, {}),
    "ids_titles_words": Variant("ids, titles; with words", "title", _BOTH | _TITLE_WORDS, {}),
    "ids_texts": Variant("ids, titles, brands, categories", _ALL_TEXTS, _BOTH, {}),
    "ids_texts_words": Variant(
        "ids, titles, brands, categories; with words", _ALL_TEXTS, _BOTH | _WORDS, {}
    ),
    "ids_texts_words_shrinkage": Variant(
        "ids, titles, brands, categories; with words and an id_shrinkage of 5",
        _ALL_TEXTS,
        _BOTH | _WORDS | {"id_shrinkage": 5},
        {},
    ),
    "ids_texts_words_dropout": Variant(
        "ids, titles, brands, categories; with words and an id_dropout of 0.1",
        _ALL_TEXTS,
        _BOTH | _WORDS,
        {"id_dropout": 0.1},
    ),
    "shuffled_days": Variant(
        "ids, titles, brands, categories; with words, an id_shrinkage of 5 and shuffled days",
        _ALL_TEXTS,
        _BOTH | _WORDS | {"id_shrinkage": 5},
        {"shuffle_equal_days": True},
    ),
    "times": Variant(
        "ids, titles, brands, categories, times; with words and an id_shrinkage of 5",
        _ALL_TEXTS,
        _BOTH | _WORDS | {"id_shrinkage": 5, "time": True},
        {},
    ),
    "times_shuffled_days": Variant(
        "ids, titles, brands, categories, times; with words, an id_shrinkage of 5 and shuffled "
        "days",
        _ALL_TEXTS,
        _BOTH | _WORDS | {"id_shrinkage": 5, "time": True},
        {"shuffle_equal_days": True},
    ),
    "ids_texts_words_taught": Variant(
        "ids, titles, brands, categories; with words, taught by two networks, with and without ids",
        _ALL_TEXTS,
        _BOTH | _WORDS,
        {},
        ("ids_texts_words", "texts_words"),
    ),
}
TEACHER_WEIGHT, N_SOFT_TARGETS = 0.5, 100
# The pairs that the page of results discusses. Only these are tested: Holm's correction for all
# pairs of variants would be stricter.
PAIRS = (
    ("ids", "ids_plain"),
    ("ids_titles_words", "ids"),
    ("ids_titles_words", "titles_words"),
    ("ids_titles_words", "ids_titles"),
    ("texts_words", "titles_words"),
    ("ids_texts_words", "ids_titles_words"),
    ("ids_texts_words", "texts_words"),
    ("ids_texts_words_shrinkage", "ids_texts_words"),
    ("ids_texts_words_shrinkage", "texts_words"),
    ("ids_texts_words_shrinkage", "ids"),
    ("shuffled_days", "ids_texts_words_shrinkage"),
    ("times_shuffled_days", "times"),
)
# Columns of the training log that are kept. The seconds are those of the epoch.
CURVE = ("epoch", "seconds", "val_ndcg@10")
# Parts of the test targets that have columns of their own.
PARTS = {"new_day": "on a new day", "cold": "cold items"}


@dataclass(frozen=True)
class Inputs:
    """What all variants are trained and measured with.

    Attributes:
        splits: the rows.
        item_ids: shape (items + 1,), external ids by item index.
        texts: titles and attributes of the items.
        vectors: title vectors by embedded text, each of shape (items + 1, dimension), float32.
        block: the network of the classifier.
        title_training: the training of the networks that read no ids.
        evaluation: parameters of the evaluation.
        comparison: parameters of the paired tests.
    """

    splits: Splits
    item_ids: np.ndarray
    texts: ItemTexts
    vectors: Mapping[EmbeddedText, np.ndarray]
    block: NetworkBlock
    title_training: TrainingOptions
    evaluation: EvaluationOptions
    comparison: ComparisonOptions


def load_inputs(env: str | None, split: str | None) -> tuple[Inputs, str]:
    """Return the outputs of the earlier runs, and the folder of the results.

    Args:
        env: the environment.
        split: the protocol; None for that of the environment.
    """
    params = {} if split is None else {"split": split}
    with KedroSession.create(ROOT, env=env, runtime_params=params) as session:
        context = session.load_context()  # type: ignore[attr-defined]
        catalog, parameters = context.catalog, context.config_loader["parameters"]
        try:
            products, index = catalog.load("products"), catalog.load("item_index")
            splits, known = catalog.load("splits"), catalog.load("title_vectors")
        except DatasetError as error:
            commands = (__doc__ or "").split("\n\n")[1]
            sys.exit(f"{error}\nRun these commands first:\n{commands}")
        vectors: dict[EmbeddedText, np.ndarray] = {}
        for text in ("title", _ALL_TEXTS):
            options = EmbeddingOptions.model_validate(parameters["embedding"] | {"text": text})
            known = embed_titles(products, known, options)
            vectors[text] = build_item_vectors(products, index, known, options)
        # Encoded again with another number of threads, they would differ by rounding.
        catalog.save("title_vectors", known)
        blocks = {
            model: ModelOptions.model_validate(parameters[model]).networks["bazar"]
            for model in ("classifier", "regressor")
        }
        inputs = Inputs(
            splits,
            list_item_ids(index),
            read_item_texts(products, index),
            vectors,
            blocks["classifier"],
            blocks["regressor"].training,
            EvaluationOptions.model_validate(parameters["evaluation"]),
            ComparisonOptions.model_validate(parameters["comparison"]),
        )
        return inputs, f"{parameters['dataset']}/{parameters['split']}"


def change_block(inputs: Inputs, variant: Variant) -> NetworkBlock:
    """Return the block of a variant."""
    training = (
        inputs.title_training if variant.changes["item"] == "title" else inputs.block.training
    )
    changes = variant.changes | {"training": training.model_dump() | variant.training}
    return NetworkBlock.model_validate(inputs.block.model_dump() | changes)


def train_variant(variant: Variant, inputs: Inputs, seed: int) -> TrainedNetwork:
    """Train a variant, its teachers first."""
    splits, distillation = inputs.splits, None
    if variant.teachers:
        components = {}
        for name in variant.teachers:
            teacher = VARIANTS[name]
            network = train_variant(teacher, inputs, seed).network
            components[name] = Component(make_scorer(network, inputs.vectors[teacher.text]))
        mean = Blend(components, dict.fromkeys(components, 1 / len(components)))
        soft_targets = compute_soft_targets(mean, splits.train, N_SOFT_TARGETS)
        distillation = Distillation(soft_targets, TEACHER_WEIGHT)
    return train_network(
        splits.train,
        splits.validation,
        change_block(inputs, variant),
        len(inputs.item_ids) - 1,
        seed,
        inputs.vectors[variant.text],
        filter_seen=splits.filter_seen,
        texts=inputs.texts,
        distillation=distillation,
    )


def measure_variant(
    variant: Variant, inputs: Inputs, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train a variant and return its metrics and ranks.

    Returns:
        The metrics of :class:`~bazar.evaluation.results.ModelResults`; ``validation``, the best
        NDCG@10 on all validation rows; ``validation_new_day``, that of the same weights on the
        validation rows with a target on a new day, None without such rows; ``curve``, the columns
        of :data:`CURVE` of each epoch; ``n_parameters``; and ``minutes`` of training, with that of
        the teachers. The second part is the table of ranks.
    """
    started = time.perf_counter()
    trained = train_variant(variant, inputs, seed)
    minutes = (time.perf_counter() - started) / 60
    scorer = make_scorer(trained.network, inputs.vectors[variant.text])
    results = evaluate_scorer(scorer, inputs.splits, inputs.item_ids, inputs.evaluation)
    log = trained.training_log
    validation = inputs.splits.validation
    new_day = validation.filter(validation.compute_days_since_last() > 0)
    filter_seen = inputs.splits.filter_seen
    metrics = results.metrics | {
        "validation": float(log["val_ndcg@10"].iloc[int(trained.facts["best_epoch"]) - 1]),
        "validation_new_day": (
            measure_ndcg(scorer, new_day, inputs.evaluation.batch_size, filter_seen)
            if len(new_day)
            else None
        ),
        "curve": log[list(CURVE)].to_dict("records"),
        "n_parameters": trained.facts["n_parameters"],
        "minutes": minutes,
    }
    return metrics, results.ranks


def measure_missing(inputs: Inputs, folder: Path, names: list[str], seeds: list[int]) -> None:
    """Train the variants that have no results of the same network and data, and write them.

    Args:
        inputs: what all variants are trained with.
        folder: folder of the metrics and ranks.
        names: names of the variants.
        seeds: training seeds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name in names:
            file = folder / f"{name}_{seed}.json"
            mark = _fingerprint_variant(VARIANTS[name], inputs, seed)
            if _is_measured(file, mark):
                continue
            print(f"{name}, seed {seed}", file=sys.stderr)
            metrics, ranks = measure_variant(VARIANTS[name], inputs, seed)
            with atomic_path(file.with_suffix(".parquet")) as temporary:
                ranks.to_parquet(temporary, index=False)
            # Last: the metrics mark complete results.
            with atomic_path(file) as temporary:
                temporary.write_text(json.dumps(metrics | {"fingerprint": mark}), encoding="utf-8")


def _is_measured(file: Path, mark: str) -> bool:
    """Return whether there are metrics with this fingerprint, and ranks."""
    if not (file.is_file() and file.with_suffix(".parquet").is_file()):
        return False
    return bool(json.loads(file.read_text("utf-8"))["fingerprint"] == mark)


def _fingerprint_variant(variant: Variant, inputs: Inputs, seed: int) -> str:
    """Return a mark that differs if the network, its data or the test rows differ."""
    block, splits = change_block(inputs, variant), inputs.splits
    # Vectors that the network does not read must not change the mark.
    vectors = inputs.vectors[variant.text] if block.needs_vectors else None
    arrays = list_training_arrays(splits.train, splits.validation, vectors)
    arrays += [*splits.test.get_arrays(), np.array(splits.filter_seen)]
    if block.words is not None:
        arrays.append(inputs.texts.to_bytes())
    for name in variant.teachers:
        teacher = _fingerprint_variant(VARIANTS[name], inputs, seed)
        arrays.append(np.frombuffer(teacher.encode(), np.uint8))
    if variant.teachers:
        arrays.append(np.array([TEACHER_WEIGHT, N_SOFT_TARGETS]))
    return fingerprint(block, seed, arrays)


def find_results(inputs: Inputs, folder: Path) -> dict[str, dict[int, Path]]:
    """Return the metrics of this network and data by variant and seed.

    Args:
        inputs: what all variants are trained with.
        folder: folder of the metrics and ranks. Results of other networks or data are ignored.
    """
    found: dict[str, dict[int, Path]] = {}
    for name, variant in VARIANTS.items():
        for file in sorted(folder.glob(f"{name}_[0-9]*.json")):
            seed = int(file.stem.rpartition("_")[2])
            if _is_measured(file, _fingerprint_variant(variant, inputs, seed)):
                found.setdefault(name, {})[seed] = file
            else:
                print(
                    f"{file} is ignored: it was measured with another network or other data, or "
                    "its ranks (.parquet) are missing.",
                    file=sys.stderr,
                )
    return found


def build_table(found: Mapping[str, Mapping[int, Path]], part: str) -> ResultTable:
    """Return the table of the variants, in the order of :data:`VARIANTS`.

    A cell holds the mean over seeds, the standard deviation over seeds, and the 95% interval over
    users: the mean of the intervals of the seeds.

    Args:
        found: the result of :func:`find_results`.
        part: the part of the test targets with columns of its own, a key of :data:`PARTS`.
    """
    headings = ["the network reads", "seeds", "validation NDCG@10"]
    for suffix in ("filtered", "unfiltered", PARTS[part]):
        headings += [f"HR@10, {suffix}", f"NDCG@10, {suffix}"]
    rows = []
    for name, files in found.items():
        metrics = [json.loads(file.read_text(encoding="utf-8")) for file in files.values()]
        cells = [VARIANTS[name].reads, str(len(files))]
        cells += [format_spread([one["validation"] for one in metrics])]
        for measured in (
            [one["filtered"] for one in metrics],
            [one["unfiltered"] for one in metrics],
            [_get_part(one["filtered"], part) for one in metrics],
        ):
            for metric in ("hr@10", "ndcg@10"):
                known = [one for one in measured if one]
                cells.append(_estimate(known, metric) if known else MISSING)
        minutes = float(np.mean([one["minutes"] for one in metrics]))
        rows.append([*cells, f"{metrics[0]['n_parameters']:,}", f"{minutes:.1f}"])
    return ResultTable([*headings, "parameters", "minutes"], rows)


def build_pairs(found: Mapping[str, Mapping[int, Path]], inputs: Inputs, part: str) -> str | None:
    """Return tables of the :data:`PAIRS` that were trained with the same seeds.

    The first table counts all rows, the second one only a part of the targets.

    Args:
        found: the result of :func:`find_results`.
        inputs: what all variants were trained with.
        part: a key of :data:`PARTS`.

    Returns:
        Markdown. None if no pair has results.
    """
    selected = [
        (first, second)
        for first, second in PAIRS
        if {first, second} <= found.keys() and found[first].keys() == found[second].keys()
    ]
    if not selected:
        return None
    results = [
        SeedResults(VARIANTS[name].reads, seed, _read_results(file))
        for name in dict.fromkeys(name for pair in selected for name in pair)
        for seed, file in found[name].items()
    ]
    pairs = [(VARIANTS[first].reads, VARIANTS[second].reads) for first, second in selected]
    options = inputs.comparison
    count = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    mode = "filtered" if inputs.splits.filter_seen else "unfiltered"
    comparison = compare_results(results, mode, options.bootstrap_resamples, options.seed, pairs)
    comparison["n_test_rows"] = results[0].ranks["row"].nunique()
    texts = [
        f"{TEST_EXPLANATION} {count}, {options.bootstrap_resamples:,} resamples.",
        build_pairs_table(comparison, pairs, mode).to_markdown(),
    ]
    if comparison["part_differences"][part]:
        table = build_pairs_table(comparison, pairs, mode, part)
        texts += [f"The same pairs, {PARTS[part]}:", table.to_markdown()]
    return "\n\n".join(texts)


def _read_results(file: Path) -> ModelResults:
    """Return the metrics and ranks of a variant, without recommendations."""
    metrics = json.loads(file.read_text(encoding="utf-8"))
    training = {
        "seconds_training": 60 * metrics["minutes"],
        "n_parameters": metrics["n_parameters"],
    }
    ranks = pd.read_parquet(file.with_suffix(".parquet"))
    return ModelResults(metrics, ranks, pd.DataFrame(), training)


def _get_part(metrics: dict[str, Any], part: str) -> dict[str, float] | None:
    """Return the metrics of a part of the test targets; None if there is no such target."""
    if part != "cold":
        return metrics[part]
    slices = {one["label"]: one for one in metrics["by_target_popularity"]}
    return slices.get(COLD_LABEL)


def _estimate(metrics: list[dict[str, Any]], metric: str) -> str:
    """Return the mean, the standard deviation and, if it is known, the interval over users."""
    cell = format_spread([one[metric] for one in metrics])
    if (name := f"{metric}_ci95") not in metrics[0]:
        return cell
    low, high = np.mean([one[name] for one in metrics], axis=0)
    return f"{cell} [{low:.4f}, {high:.4f}]"


def main() -> None:
    """Train the missing variants, print the tables, and write them with ``--write``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", help="environment of the data set")
    parser.add_argument("--split", help="protocol; by default that of the environment")
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--write", action="store_true", help=f"write the tables to {PAGE}")
    arguments = parser.parse_args()
    bootstrap_project(ROOT)
    inputs, folder = load_inputs(arguments.env, arguments.split)
    log_to_stderr()
    metrics = ROOT / "data" / "08_reporting" / folder / "ablation"
    measure_missing(inputs, metrics, arguments.variants, arguments.seeds)
    part = "cold" if folder.endswith("/cold_items") else "new_day"
    found = find_results(inputs, metrics)
    texts = [f"{folder}, {describe_machine()}.", build_table(found, part).to_markdown()]
    if pairs := build_pairs(found, inputs, part):
        texts.append(pairs)
    text = "\n\n".join(texts)
    print(text)
    if arguments.write:
        write_section(PAGE, "ablation", text, folder)


if __name__ == "__main__":
    main()
