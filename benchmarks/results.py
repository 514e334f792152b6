"""Write the tables of the pages of results from the results of finished runs.

    .venv/bin/python benchmarks/results.py

A section of the page starts with a line `<!-- results: FOLDER; KEY: VALUE; ... -->` and ends with
`<!-- /results -->`. The script replaces the text between these lines. FOLDER is the folder of the
results under data/08_reporting/, such as sample/leave_one_out. The keys are optional. `env` is the
environment of the runs. `params` are additional values of `--params`. `pairs` are the pairs of the
second table, such as `classifier/ease, blend/classifier`. If the folder has no comparison.json, the
section is not changed and the script prints the missing file. The lines
`<!-- networks: FOLDER; env: ENVIRONMENT -->` and `<!-- /networks -->` enclose the table of the
fourteen networks of the original study. The lines `<!-- stores: FOLDER, FOLDER; models: MODEL,
MODEL; pairs: DATASET/DATASET -->` and `<!-- /stores -->` enclose tables of the same models on
several data sets with the same purchases. Their commands are in the text above.
`<!-- shuffles: FOLDER; env: ENVIRONMENT -->` and `<!-- /shuffles -->` enclose the results of FOLDER
beside those of shuffles of equal days, which `benchmarks/shuffle_days.py` measures. The pages are
docs/explanation/results.md and new-days.md.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from new_days import (
    REPORTING,
    ROOT,
    ShuffledResults,
    build_shuffle_table,
    list_comparison_files,
    read_shuffled_results,
)
from stores import write_stores
from timing import describe_machine

from bazar.config.base import DEFAULT_SEED
from bazar.labels import FILTER_LABELS
from bazar.reporting.comparison_page import (
    NEW_DAY_EXPLANATION,
    TEST_EXPLANATION,
    build_models_table,
    build_pairs_table,
    build_part_table,
    describe_data,
    list_filter_modes,
)

PAGES = [ROOT / "docs" / "explanation" / name for name in ("results.md", "new-days.md")]
_SECTION = re.compile(
    r"(<!-- (?P<kind>results|networks|stores|shuffles): (?P<header>[^>]+?) -->\n).*?"
    r"(<!-- /(?P=kind) -->)",
    re.DOTALL,
)
# Pipelines of the models with a training seed.
_PIPELINES = {
    "classifier": "modelling_classifier",
    "regressor": "modelling_regressor",
    "model_i": "modelling_reproduction",
    "model_ii": "modelling_reproduction",
    "blend": "modelling_blend",
}

Comparison = dict[str, Any]


def write_sections(page: str, reporting: Path, device: str) -> tuple[str, list[str]]:
    """Return a page with updated sections.

    Args:
        page: text of the page.
        reporting: parent folder of the result folders.
        device: description of the machine of the training.

    Returns:
        The new text, and the missing files. Sections with missing files are unchanged. A section of
        shuffles needs the order of the source and at least one shuffle.
    """
    missing = []

    def write(match: re.Match[str]) -> str:
        folder, keys = _parse_header(match["header"])
        paths = _list_files(match["kind"], folder, reporting)
        absent = [str(path) for path in paths if not path.is_file()]
        missing.extend(absent)
        if match["kind"] == "shuffles":
            results = read_shuffled_results(paths)
            if results is None:
                return match[0]
            text = write_shuffles(results, keys, device)
        elif absent:
            return match[0]
        elif match["kind"] == "results":
            text = write_comparison(json.loads(paths[0].read_text("utf-8")), keys, device)
        elif match["kind"] == "stores":
            models, pairs = split_names(keys["models"]), split_pairs(keys["pairs"])
            folders = split_names(folder)
            text = write_stores(reporting.parent, folders, pairs, models, device)
        else:
            text = write_reproduction(paths[0].read_text("utf-8"), folder, keys, device)
        return match[1] + text + match[4]

    return _SECTION.sub(write, page), missing


def _list_files(kind: str, folder: str, reporting: Path) -> list[Path]:
    """List the files that a section needs."""
    match kind:
        case "results":
            return [reporting / folder / "comparison.json"]
        case "networks":
            return [reporting / folder / f"seed_{DEFAULT_SEED}/reproduction.md"]
        case "stores":
            return [reporting / name / "comparison.json" for name in split_names(folder)]
        case _:
            return list_comparison_files(reporting, folder)


def write_comparison(comparison: Comparison, keys: dict[str, str], device: str) -> str:
    """Return the text of a results section: the commands, the data and the tables.

    Args:
        comparison: the content of ``comparison.json``.
        keys: the keys of the section's first line.
        device: description of the machine that trained.
    """
    seeds = sorted({seed for model in comparison["models"].values() for seed in model["seeds"]})
    names = ", ".join(map(str, seeds))
    trained_with = f"Seed{'s' * (len(seeds) > 1)} {names}. " if seeds else ""
    models = set(comparison["models"])
    pairs = split_pairs(keys.get("pairs", ""))
    compared = [(first, second) for first, second in pairs if {first, second} <= models]
    first_mode, second_mode = list_filter_modes(comparison)
    other = build_models_table(comparison, second_mode).to_markdown()
    parts = [
        "\n".join(f"    {command}" for command in list_commands(comparison, keys)),
        f"{describe_data(comparison)} {trained_with}{device}.",
        build_models_table(comparison, first_mode).to_markdown(),
        f'<details markdown="1"><summary>{FILTER_LABELS[second_mode].capitalize()}</summary>\n\n'
        f"{other}\n\n</details>",
    ]
    if comparison["repeat_rows"]:
        parts += [
            "Only the targets that the user bought before are relevant:",
            build_part_table(comparison, "repeat").to_markdown(),
            "Only the other targets are relevant:",
            build_part_table(comparison, "explore").to_markdown(),
        ]
    if comparison["cold_rows"]:
        parts += [
            "Results on test rows with a cold target. The full catalogue is ranked:",
            build_part_table(comparison, "cold").to_markdown(),
        ]
    if comparison["new_day_rows"]:
        parts += [NEW_DAY_EXPLANATION, build_part_table(comparison, "new_day").to_markdown()]
    if compared:
        n_pairs = len(comparison["differences"])
        resamples = f"{comparison['bootstrap_resamples']:,} resamples"
        parts.append(f"{TEST_EXPLANATION} {n_pairs} pairs, {resamples}.")
        parts += [
            build_pairs_table(comparison, compared, filter_mode).to_markdown()
            for filter_mode in (first_mode, second_mode)
        ]
    for part, kind in (("cold", "a cold target"), ("new_day", "a target on a new day")):
        # Models that count purchases never recommend cold items: their results need no test.
        found = [pair for pair in compared if all(_finds(comparison, part, name) for name in pair)]
        if found:
            table = build_pairs_table(comparison, found, first_mode, part)
            parts += [f"Pairs on the rows with {kind}:", table.to_markdown()]
    return "\n" + "\n\n".join(parts) + "\n"


def _finds(comparison: dict[str, Any], part: str, model: str) -> bool:
    """Return whether a model finds targets of a part, if there are any."""
    results = comparison["models"][model][part]
    return results is not None and any(
        results[mode]["hr@10"]["mean"] > 0 for mode in list_filter_modes(comparison)
    )


def write_shuffles(results: ShuffledResults, keys: dict[str, str], device: str) -> str:
    """Return the text of a section of shuffles: the commands and the tables.

    Args:
        results: the results in the order of the source and of the shuffles.
        keys: the keys of the section's first line.
        device: description of the machine that trained.
    """
    models = set.union(*(set(shuffle["models"]) for shuffle in results.shuffles.values()))
    networks = list(dict.fromkeys(_PIPELINES[name] for name in _PIPELINES if name in models))
    command = f".venv/bin/python benchmarks/shuffle_days.py --env {keys['env']}"
    if networks:
        command += f" --pipelines {','.join(['modelling_baselines', *networks])}"
    first_mode, second_mode = list_filter_modes(results.source)
    seeds = ", ".join(map(str, results.shuffles))
    parts = [
        f"    .venv/bin/kedro run --env {keys['env']}\n    {command}",
        f"{describe_data(results.source)} Seeds of the shuffles: {seeds}. {device}. Each value is "
        "a mean over training seeds, and ± is the standard deviation over shuffles. *change* is "
        "the mean of the shuffles compared with the order of the source.",
        build_shuffle_table(results, first_mode).to_markdown(),
        f'<details markdown="1"><summary>{FILTER_LABELS[second_mode].capitalize()}</summary>\n\n'
        f"{build_shuffle_table(results, second_mode).to_markdown()}\n\n</details>",
    ]
    return "\n" + "\n\n".join(parts) + "\n"


def list_commands(comparison: Comparison, keys: dict[str, str]) -> list[str]:
    """Return the commands that reproduce a comparison, in order.

    Args:
        comparison: the content of ``comparison.json``.
        keys: the keys of the section's first line.
    """
    start = ".venv/bin/kedro run" + (f" --env {keys['env']}" if "env" in keys else "")
    split = comparison["protocol"]
    # The environments select these two, by name or with auto.
    params = [f"split={split}"] if split not in {"leave_one_out", "next_order"} else []
    params += [keys["params"]] if "params" in keys else []

    def format_command(pipelines: list[str], *more_params: str) -> str:
        pipelines_option = f" --pipelines {','.join(pipelines)}" if pipelines else ""
        values = ",".join([*params, *more_params])
        return start + pipelines_option + (f" --params {values}" if values else "")

    def list_pipelines(models: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(_PIPELINES[model] for model in _PIPELINES if model in models))

    trained = {name: model["seeds"] for name, model in comparison["models"].items()}
    is_reproduced = "modelling_reproduction" in list_pipelines(trained)
    commands = [format_command(["__default__", "modelling_reproduction"] if is_reproduced else [])]
    for seed in sorted({seed for seeds in trained.values() for seed in seeds} - {DEFAULT_SEED}):
        with_seed = [name for name, seeds in trained.items() if seed in seeds]
        commands.append(format_command(list_pipelines(with_seed), f"seed={seed}"))
    return [*commands, format_command(["comparison"])]


def write_reproduction(table: str, folder: str, keys: dict[str, str], device: str) -> str:
    """Return the text of the section of the original study: the commands and the table.

    Args:
        table: the content of ``reproduction.md``.
        folder: folder of the results. Its last part is the protocol.
        keys: the keys of the section's first line.
        device: description of the machine that trained.
    """
    run = f"    .venv/bin/kedro run --env {keys['env']} --params split={Path(folder).name}"
    pipelines = ("ingestion,joining,sequencing,embedding", "reproduction")
    commands = "\n".join(f"{run} --pipelines {names}" for names in pipelines)
    return f"\n{commands}\n\n{table.strip()}\n\n{device}.\n"


def split_names(text: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def split_pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of names of a list such as ``a/b, c/d``."""
    pairs = [name.split("/") for name in split_names(text)]
    return [(first, second) for first, second in pairs]


def _parse_header(text: str) -> tuple[str, dict[str, str]]:
    folder, *rest = (part.strip() for part in text.split(";"))
    keys = dict(part.split(": ", 1) for part in rest)
    if unknown := set(keys) - {"env", "params", "pairs", "models"}:
        sys.exit(
            f"The section {folder} has unknown keys: {', '.join(sorted(unknown))}. "
            "Valid keys: env, params, pairs, models."
        )
    return folder, keys


def main() -> None:
    """Update the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--machine", default=describe_machine(), help="description of the machine of the training"
    )
    device = parser.parse_args().machine
    for page in PAGES:
        text, missing = write_sections(page.read_text(encoding="utf-8"), REPORTING, device)
        page.write_text(text, encoding="utf-8")
        for path in missing:
            print(f"{path} does not exist. {page.name} was not updated from it.")


if __name__ == "__main__":
    main()
