"""Write the measured tables of docs/results.md from what `kedro run` left.

    .venv/bin/python benchmarks/results.py

Each section of the page is marked by a line `<!-- results: FOLDER; KEY: VALUE; ... -->` and ends at
`<!-- /results -->`; what is between them is written anew. FOLDER is the folder of results under
data/08_reporting/. The keys: `env`, the environment of the runs (left out: base); `params`, further
values of `--params`; `pairs`, such as `classifier/ease, blend/classifier`, of the second table. A
section whose comparison.json is not there is left as it stands, and named. A line
`<!-- networks: FOLDER; env: ENVIRONMENT -->` does the same for the table of the report's fourteen
networks, up to `<!-- /networks -->`.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from timing import machine

from bazar.config.base import DEFAULT_SEED
from bazar.evaluation.metrics import FILTER_MODES
from bazar.reporting.comparison_page import RULE, cold_table, facts, models_table, pairs_table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"
REPORTING = ROOT / "data" / "08_reporting"
_SECTION = re.compile(
    r"(<!-- (?P<kind>results|networks): (?P<asked>[^>]+?) -->\n).*?(<!-- /(?P=kind) -->)", re.DOTALL
)
# What trains a model; that of the baselines has no seed.
_PIPELINES = {
    "classifier": "modelling_classifier",
    "regressor": "modelling_regressor",
    "model_i": "modelling_reproduction",
    "model_ii": "modelling_reproduction",
    "blend": "modelling_blend",
}

Comparison = dict[str, Any]


def fill(page: str, reporting: Path, made_on: str) -> tuple[str, list[str]]:
    """Write every section of a page whose results are there.

    Args:
        page: the page's text.
        reporting: the folder that holds the folders of results.
        made_on: the machine, in words.

    Returns:
        The new text, and the files that are missing: their sections were left as they stand.
    """
    left = []

    def write(found: re.Match[str]) -> str:
        folder, keys = _asked(found["asked"])
        is_comparison = found["kind"] == "results"
        path = reporting / folder / ("comparison.json" if is_comparison else "reproduction.md")
        if not path.is_file():
            left.append(str(path))
            return found[0]
        content = path.read_text(encoding="utf-8")
        if is_comparison:
            return found[1] + section(json.loads(content), keys, made_on) + found[4]
        return found[1] + networks_section(content, folder, keys, made_on) + found[4]

    return _SECTION.sub(write, page), left


def section(comparison: Comparison, keys: dict[str, str], made_on: str) -> str:
    """Write one section: the commands, on what, the two tables.

    Args:
        comparison: the content of ``comparison.json``.
        keys: what the section's line asks for.
        made_on: the machine, in words.
    """
    seeds = sorted({seed for one in comparison["models"].values() for seed in one["seeds"]})
    told = f"Seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}. " if seeds else ""
    models = set(comparison["models"])
    pairs = [tuple(pair.strip().split("/")) for pair in keys.get("pairs", "").split(",") if pair]
    chosen = [(first, second) for first, second in pairs if {first, second} <= models]
    parts = [
        "\n".join(f"    {command}" for command in commands(comparison, keys)),
        f"{facts(comparison)} {told}{made_on}.",
        models_table(comparison, "filtered"),
        f"<details><summary>History unfiltered</summary>\n\n{models_table(comparison, 'unfiltered')}"
        "\n\n</details>",
    ]
    if comparison["cold_rows"]:
        parts += ["Of the rows whose product is not in training, ranked among all:"]
        parts += [cold_table(comparison)]
    if chosen:
        n_pairs = len(comparison["differences"])
        parts.append(f"{RULE} {n_pairs} pairs, {comparison['bootstrap_resamples']:,} resamples.")
        parts += [pairs_table(comparison, chosen, filter_mode) for filter_mode in FILTER_MODES]
    return "\n" + "\n\n".join(parts) + "\n"


def commands(comparison: Comparison, keys: dict[str, str]) -> list[str]:
    """The commands that make a comparison anew, in order.

    Args:
        comparison: the content of ``comparison.json``.
        keys: what the section's line asks for.
    """
    start = ".venv/bin/kedro run" + (f" --env {keys['env']}" if "env" in keys else "")
    split = comparison["protocol"]
    params = [f"split={split}"] if split != "leave_one_out" else []
    params += [keys["params"]] if "params" in keys else []

    def run(pipelines: list[str], *more: str) -> str:
        named = f" --pipelines {','.join(pipelines)}" if pipelines else ""
        chosen = f" --params {','.join([*params, *more])}" if params or more else ""
        return start + named + chosen

    runs = [run([])]
    seeds = {seed for one in comparison["models"].values() for seed in one["seeds"]}
    for seed in sorted(seeds - {DEFAULT_SEED}):
        with_it = [name for name, one in comparison["models"].items() if seed in one["seeds"]]
        known = [pipeline for name, pipeline in _PIPELINES.items() if name in with_it]
        runs.append(run(list(dict.fromkeys(known)), f"seed={seed}"))
    return [*runs, run(["comparison"])]


def networks_section(table: str, folder: str, keys: dict[str, str], made_on: str) -> str:
    """Write the section of the report's networks: the commands, and their table.

    Args:
        table: the content of ``reproduction.md``.
        folder: of the results; its last part is the protocol.
        keys: what the section's line asks for.
        made_on: the machine, in words.
    """
    run = f"    .venv/bin/kedro run --env {keys['env']} --params split={Path(folder).name}"
    made_by = ("ingestion,joining,sequencing,embedding", "reproduction")
    runs = "\n".join(f"{run} --pipelines {pipelines}" for pipelines in made_by)
    return f"\n{runs}\n\n{table.strip()}\n\n{made_on}.\n"


def _asked(text: str) -> tuple[str, dict[str, str]]:
    folder, *rest = (part.strip() for part in text.split(";"))
    keys = dict(part.split(": ", 1) for part in rest)
    if unknown := set(keys) - {"env", "params", "pairs"}:
        sys.exit(f"{PAGE}: results: {folder}: there is no key {', '.join(sorted(unknown))}")
    return folder, keys


def main() -> None:
    """Write the page anew."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--machine", default=machine(), help="what trained, in words")
    made_on = arguments.parse_args().machine
    text, left = fill(PAGE.read_text(encoding="utf-8"), REPORTING, made_on)
    PAGE.write_text(text, encoding="utf-8")
    for missing in left:
        print(f"a section was left as it stands: there is no {missing}")


if __name__ == "__main__":
    main()
