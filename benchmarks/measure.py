"""Run a command, and print its time, its peak memory and the figures it made, as Markdown.

    .venv/bin/python benchmarks/measure.py data/08_reporting/sample/metrics.json .venv/bin/kedro run

The first argument is the metrics.json that the command writes; all others are the command.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from timing import machine, measure

from bazar.labels import get_model_label

COLUMNS = ["HR@1", "HR@10", "NDCG@10", "MRR@20", "coverage@10"]


def table(metrics: dict[str, Any], history: str) -> str:
    """Draw the metrics of all models, with the 95% intervals where there are any."""
    lines = [f"| history {history} | {' | '.join(COLUMNS)} | training |"]
    lines.append("|---|" + "---:|" * (len(COLUMNS) + 1))
    for model, figures in metrics["models"].items():
        seconds = figures["seconds_training"]
        cells = [_cell(figures[history], column.lower()) for column in COLUMNS]
        cells.append("–" if seconds is None else f"{seconds:.0f} s")
        lines.append(f"| {get_model_label(model)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(figures: dict[str, Any], column: str) -> str:
    value = f"{figures[column]:.4f}"
    interval = figures.get(f"{column}_ci95")
    return f"{value} ({interval[0]:.4f}–{interval[1]:.4f})" if interval else value


def main() -> None:
    """Measure the command that the arguments give."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    path, command = Path(sys.argv[1]), sys.argv[2:]
    before = time.time()
    seconds, peak = measure(command)
    if path.stat().st_mtime < before:
        sys.exit(f"{path} is older than this run: is it the file that the command writes?")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    print(f"\n`{' '.join(command)}`\n")
    print(
        f"{metrics['dataset']}, {metrics['protocol']}: {metrics['n_users']:,} users, "
        f"{metrics['n_items']:,} items, {metrics['n_interactions']:,} interactions, "
        f"{metrics['n_test_rows']:,} test rows. "
        f"{seconds // 60:.0f} min {seconds % 60:.0f} s, {peak:.1f} GB at most "
        f"({machine()}).\n"
    )
    print(table(metrics, "filtered"), end="\n\n")
    print(table(metrics, "unfiltered"))


if __name__ == "__main__":
    main()
