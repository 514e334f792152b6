"""Measure the pipelines from raw files to model input on synthetic stores, as Markdown.

    .venv/bin/python benchmarks/ingest.py --ratio-rows 1e6 --scale 2.4e6 24e6

The first table compares the ingestion of gzipped JSON lines by `kedro run` with a pandas script for
the same files. The second table shows the time and memory of the pipelines up to model input. It
also shows whether the time per row grows with the size of the store. Each pipeline is a separate
command, and its time includes the start-up. The first row of the second table is a tiny store, to
measure only the start-up. The stores are similar to Amazon Reviews 2023, Beauty and Personal Care:
one product per 24 purchases, 2.1 purchases per customer, reviews of 45 words.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow.dataset as ds
from timing import describe_machine, measure_command

from bazar.synthetic.sample_store import PRODUCTS_FILE, REVIEWS_FILE, StoreOptions, generate_store

ROOT = Path(__file__).parents[1]
PIPELINES = ["ingestion", "joining", "sequencing"]
START_UP_ROWS = 2_000
ROWS_PER_PRODUCT, ROWS_PER_CUSTOMER = 24, 2.1


def make_store(work_dir: Path, rows: int, malformed_share: float, text_words: int) -> Path:
    """Return the folder of a store. Generate the store if it does not exist.

    Args:
        work_dir: folder of the stores.
        rows: number of interactions.
        malformed_share: malformed lines as a share of the valid lines.
        text_words: mean number of words of a review.

    Returns:
        The folder of the store.
    """
    folder = work_dir / f"{rows}_rows_{malformed_share}_malformed_{text_words}_words"
    if not all((folder / name).is_file() for name in (REVIEWS_FILE, PRODUCTS_FILE)):
        options = StoreOptions(
            products=max(rows // ROWS_PER_PRODUCT, 60),
            customers=round(rows / ROWS_PER_CUSTOMER),
            interactions=rows,
            malformed_share=malformed_share,
            evenness=0.3,
            text_words=text_words,
            oracle=False,
        )
        generate_store(folder, options)
    return folder


def run(pipeline: str, dataset: str, raw_dir: Path) -> tuple[float, float]:
    """Run a pipeline on a store, and return its time in seconds and its peak memory in GB."""
    command = [sys.executable, "-m", "kedro", "run", "--pipelines", pipeline, "--params"]
    return measure_command([*command, f"dataset={dataset},raw_dir={raw_dir}"], ROOT)


def clear(dataset: str) -> None:
    """Remove the output of the runs on a store."""
    for folder in (ROOT / "data").glob(f"*/{dataset}"):
        shutil.rmtree(folder)


def compare(raw_dir: Path, rows: int) -> str:
    """Return a table that compares the ingestion with a pandas script.

    Args:
        raw_dir: a store without malformed lines.
        rows: number of interactions.

    Returns:
        The table as Markdown.
    """
    dataset = f"benchmark_{rows}"
    with tempfile.TemporaryDirectory() as folder:
        script = str(Path(__file__).with_name("ingest_with_pandas.py"))
        plain, plain_peak = measure_command([sys.executable, script, str(raw_dir), folder])
        bazar, bazar_peak = run("ingestion", dataset, raw_dir)
        written = ROOT / "data" / "02_intermediate" / dataset
        for table in ("interactions.parquet", "products.parquet"):
            counts = [ds.dataset(Path(at) / table).count_rows() for at in (folder, written)]
            if counts[0] != counts[1]:
                sys.exit(f"{table}: pandas wrote {counts[0]} rows, but Bazar wrote {counts[1]}.")
    clear(dataset)
    size = (raw_dir / REVIEWS_FILE).stat().st_size / 1e6
    return "\n".join(
        [
            f"{rows:,} interactions, {size:,.0f} MB of gzipped JSON lines, to Parquet:\n",
            "| | seconds | peak memory |",
            "|---|---:|---:|",
            f"| pandas, in chunks of 100,000 | {plain:.1f} | {plain_peak:.1f} GB |",
            f"| `kedro run --pipelines ingestion` | {bazar:.1f} | {bazar_peak:.1f} GB |",
            f"| **speed-up** | **{plain / bazar:.1f}** | |",
        ]
    )


def scale(stores: dict[int, Path]) -> str:
    """Return a table of the time and memory of the pipelines on stores of several sizes.

    Args:
        stores: folders of the stores by number of interactions, the smallest first.

    Returns:
        The table as Markdown.
    """
    lines = [
        f"| interactions | {' | '.join(PIPELINES)} | all | peak memory "
        "| µs per row, without start-up | growth |",
        "|---:|" + "---:|" * (len(PIPELINES) + 4),
    ]
    start_up, first = 0.0, None
    for rows, raw_dir in stores.items():
        dataset = f"benchmark_{rows}"
        measured = [run(pipeline, dataset, raw_dir) for pipeline in PIPELINES]
        clear(dataset)
        seconds = sum(figures[0] for figures in measured)
        cells = [f"{rows:,}", *(f"{figures[0]:.1f} s" for figures in measured)]
        cells += [f"{seconds:.1f} s", f"{max(figures[1] for figures in measured):.1f} GB"]
        if rows == START_UP_ROWS:
            start_up = seconds
            cells += ["–", "–"]
        else:
            per_row = (seconds - start_up) / rows * 1e6
            cells += [f"{per_row:.1f}", f"{per_row / first - 1:+.0%}" if first else "–"]
            first = first or per_row
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print the selected tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ratio-rows",
        type=float,
        default=1e6,
        help="number of rows of the store of the first table; 0 skips the table",
    )
    parser.add_argument(
        "--scale",
        type=float,
        nargs="*",
        default=[2.4e6, 24e6],
        help="numbers of rows of the stores of the second table",
    )
    parser.add_argument(
        "--text-words", type=int, default=45, help="mean number of words of a review"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=ROOT / "build" / "stores",
        help="folder of the stores; existing stores are reused",
    )
    arguments = parser.parse_args()
    work_dir = arguments.work_dir.resolve()
    tables = []
    if arguments.ratio_rows:
        n_rows = int(arguments.ratio_rows)
        tables.append(compare(make_store(work_dir, n_rows, 0, arguments.text_words), n_rows))
    if arguments.scale:
        sizes = [START_UP_ROWS, *sorted(int(size) for size in arguments.scale)]
        stores = {
            size: make_store(work_dir, size, StoreOptions().malformed_share, arguments.text_words)
            for size in sizes
        }
        tables.append(scale(stores))
    print(f"\n({describe_machine()})\n\n" + "\n\n".join(tables))


if __name__ == "__main__":
    main()
