"""Train and measure models on five shuffles of equal days.

    .venv/bin/python benchmarks/shuffle_days.py --env amazon_beauty_2014_days

Each shuffle is a run with `sequencing.shuffle_equal_days=true` and another `sequencing.seed`. Its
files are in the folders of the data set `<dataset>_shuffle_<seed>`. `--pipelines` are the modelling
pipelines, such as `modelling_baselines,modelling_classifier`. Results of other pipelines that are
already in the folders are kept, and all of them are compared. `--seed` is the training seed. The
results in the order of the source are those of `kedro run --env amazon_beauty_2014_days`.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from new_days import ROOT, SHUFFLE_SEEDS, name_shuffle

from bazar.config.base import DEFAULT_SEED

PREPARATION = "ingestion,joining,sequencing,embedding"


def list_runs(
    env: str, dataset: str, shuffle_seed: int, pipelines: str, seed: int
) -> list[list[str]]:
    """Return the arguments of the runs of one shuffle, in order.

    Args:
        env: name of the environment.
        dataset: name of its data set.
        shuffle_seed: seed of the shuffle.
        pipelines: modelling pipelines, separated by commas.
        seed: training seed.
    """
    params = (
        f"dataset={name_shuffle(dataset, shuffle_seed)},sequencing.shuffle_equal_days=true,"
        f"sequencing.seed={shuffle_seed},seed={seed}"
    )
    return [
        ["run", "--env", env, "--params", params, "--pipelines", names]
        for names in (PREPARATION, pipelines, "comparison")
    ]


def copy_title_vectors(features: Path, dataset: str, shuffle: str) -> None:
    """Copy the vectors of the titles, so that titles are not encoded again.

    Args:
        features: the folder ``data/04_feature``.
        dataset: name of the data set in the order of the source.
        shuffle: name of the data set with shuffled days.
    """
    vectors = features / dataset / "title_vectors.parquet"
    copy = features / shuffle / vectors.name
    if vectors.is_file() and not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(vectors, copy)


def main() -> None:
    """Run all shuffles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", required=True, help="name of the environment")
    parser.add_argument("--pipelines", default="modelling_baselines", help="modelling pipelines")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="training seed")
    arguments = parser.parse_args()
    settings = (ROOT / "conf" / arguments.env / "globals.yml").read_text(encoding="utf-8")
    dataset = yaml.safe_load(settings)["dataset"]
    for shuffle_seed in SHUFFLE_SEEDS:
        shuffle = name_shuffle(dataset, shuffle_seed)
        copy_title_vectors(ROOT / "data" / "04_feature", dataset, shuffle)
        for run in list_runs(
            arguments.env, dataset, shuffle_seed, arguments.pipelines, arguments.seed
        ):
            subprocess.run([sys.executable, "-m", "kedro", *run], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
