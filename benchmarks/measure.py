r"""Run a command and print its time, peak memory and metrics as Markdown.

    .venv/bin/python benchmarks/measure.py \
        data/08_reporting/sample/leave_one_out/seed_42/metrics.json .venv/bin/kedro run

The first argument is the metrics.json that the command writes. The other arguments are the command.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from timing import describe_machine, measure_command

from bazar.labels import get_filter_label, get_model_label

COLUMNS = ["HR@1", "HR@10", "NDCG@10", "MRR@20", "coverage@10"]


def format_metrics(metrics: dict[str, Any], filter_mode: str) -> str:
    """Return the metrics of all models as a Markdown table, with 95% intervals if available.

    Args:
        metrics: content of ``metrics.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    lines = [f"| {get_filter_label(filter_mode)} | {' | '.join(COLUMNS)} | training |"]
    lines.append("|---|" + "---:|" * (len(COLUMNS) + 1))
    for model, results in metrics["models"].items():
        cells = [_format_cell(results[filter_mode], column.lower()) for column in COLUMNS]
        seconds = (results.get("training") or {}).get("seconds_training")
        cells.append("–" if seconds is None else f"{seconds:.0f} s")
        lines.append(f"| {get_model_label(model)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format_cell(metrics: dict[str, Any], column: str) -> str:
    value = f"{metrics[column]:.4f}"
    interval = metrics.get(f"{column}_ci95")
    return f"{value} ({interval[0]:.4f}–{interval[1]:.4f})" if interval else value


def main() -> None:
    """Measure the command from the command line."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    path, command = Path(sys.argv[1]), sys.argv[2:]
    started = time.time()
    seconds, peak = measure_command(command)
    if not path.is_file() or path.stat().st_mtime < started:
        sys.exit(f"The command did not write {path}. Give the path of the metrics.json it writes.")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    print(f"\n`{' '.join(command)}`\n")
    print(
        f"{metrics['dataset']}, {metrics['protocol']}: {metrics['n_users']:,} users, "
        f"{metrics['n_items']:,} items, {metrics['n_interactions']:,} interactions, "
        f"{metrics['n_test_rows']:,} test rows. "
        f"{seconds // 60:.0f} min {seconds % 60:.0f} s, at most {peak:.1f} GB "
        f"({describe_machine()}).\n"
    )
    print(format_metrics(metrics, "filtered"), end="\n\n")
    print(format_metrics(metrics, "unfiltered"))


if __name__ == "__main__":
    main()
