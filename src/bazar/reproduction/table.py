"""The published figures of the original study's Table 1, and ours, in one table."""

import logging
from typing import Any

import pandas as pd
from scipy import stats

from bazar.config.reproduction import ReproductionVariant, ReproductionVariants
from bazar.errors import InputError

logger = logging.getLogger(__name__)

Result = dict[str, Any]

METRICS = ("hr@1", "hr@10", "ndcg@10")
INTERVAL_NOTE = (
    "In brackets: the 95% Wilson interval of HR@10, which assumes independent test rows."
)
MEAN_TITLE = "always the mean title vector"
COLUMN_LABELS = {
    "number": "#",
    "network": "network",
    "published_epochs": "published: epochs",
    "published_batch_size": "batch",
    "published_test_loss": "test loss",
    "published_test_metric": "test metric",
    "epochs": "ours: epochs",
    "batch_size": "batch",
    "loss": "loss",
    "test_loss": "test loss",
    "mae": "MAE",
    "mse": "MSE",
    "hr@1": "HR@1",
    "hr@10": "HR@10",
    "ndcg@10": "NDCG@10",
    "hr@1_filtered": "filtered: HR@1",
    "hr@10_filtered": "HR@10",
    "ndcg@10_filtered": "NDCG@10",
    "seconds": "seconds",
    "outcome": "outcome",
}
TEXT_COLUMNS = {"network", "published_test_metric", "loss", "outcome"}

_INTEGERS = [
    "number",
    "published_epochs",
    "published_batch_size",
    "same_as",
    "epochs",
    "batch_size",
    "n_parameters",
]
_MISSING = "–"


def get_result_key(variant: ReproductionVariant) -> str:
    """Return the key of a network's result. Keys sort in the order of the numbers."""
    return f"{variant.number:02}"


def make_variant_table(
    variants: ReproductionVariants,
    results: dict[str, Result],
    mean_title: Result,
    n_test_rows: int,
    n_items: int,
) -> pd.DataFrame:
    """Make a table of the published figures and ours.

    Args:
        variants: the networks.
        results: all results of :func:`~bazar.reproduction.experiment.train_variants`.
        mean_title: result of :func:`~bazar.reproduction.experiment.measure_mean_title`.
        n_test_rows: number of test rows.
        n_items: size of the catalogue.

    Returns:
        One row per network, then one row for the mean title vector. Columns ``number``,
        ``network``; the published ``published_epochs``, ``published_batch_size``,
        ``published_test_loss``, ``published_test_metric``; ours: ``outcome``, ``same_as`` (number
        of an earlier equal network), ``epochs``, ``batch_size``, ``loss`` (its name),
        ``test_loss``, ``mae``, ``mse``, each of :data:`METRICS` unfiltered and with the suffix
        ``_filtered``, ``n_parameters``, ``seconds``; and the size of the data, ``test_rows`` and
        ``items``. Values that do not exist are missing.

    Raises:
        InputError: if a network has no result, or a result of another block.
    """
    rows: list[dict[str, Any]] = []
    first_with: dict[str, int] = {}
    for variant in variants.root:
        result = results.get(get_result_key(variant))
        if result is None or result["network"] != variant.network.model_dump(mode="json"):
            raise InputError(
                f"reproduction: network {variant.number} ({variant.name}) has no result, or was "
                "changed after it was trained.\nRun the pipeline reproduction again. It trains "
                "only the networks without a result."
            )
        first = first_with.setdefault(result["fingerprint"], variant.number)
        training = variant.network.training
        rows.append(
            {
                "number": variant.number,
                "network": variant.name,
                **{f"published_{name}": value for name, value in variant.published},
                "outcome": result["outcome"],
                "same_as": first if first != variant.number else None,
                "epochs": result.get("epochs"),
                "batch_size": training.batch_size,
                "loss": training.loss,
                **_select_figures(result.get("test")),
                "n_parameters": result.get("n_parameters"),
                "seconds": result.get("seconds"),
            }
        )
    rows.append({"network": MEAN_TITLE, "loss": "mse", **_select_figures(mean_title)})
    table = pd.DataFrame(rows).astype(dict.fromkeys(_INTEGERS, "Int64"))
    return table.assign(test_rows=n_test_rows, items=n_items)


def select_same_data(table: pd.DataFrame, n_test_rows: int, n_items: int) -> pd.DataFrame:
    """Return a table, or an empty one with a warning if it was measured on other data.

    This is no error: the fourteen networks are optional, and all other results are valid.

    Args:
        table: table of :func:`make_variant_table`, as loaded from its file. Empty if there is none.
        n_test_rows: current number of test rows.
        n_items: current size of the catalogue.
    """
    if table.empty or (
        {"test_rows", "items"} <= set(table)
        and (table["test_rows"] == n_test_rows).all()
        and (table["items"] == n_items).all()
    ):
        return table
    logger.warning(
        "The table of the original study's networks is left out: it was measured on other data. "
        "Run the pipeline reproduction again."
    )
    return table.head(0)


def format_cells(table: pd.DataFrame) -> list[dict[str, str]]:
    """Format the values of each row as text.

    Args:
        table: table of :func:`make_variant_table`, possibly loaded from its file.

    Returns:
        A text per column, ``–`` for missing values; HR@10 with the interval of
        :data:`INTERVAL_NOTE`. ``outcome`` is ``trained``, ``same as <number>`` or ``diverged``.
    """
    formats = dict.fromkeys(["test_loss", "mae", "mse"], ".4g")
    formats |= {"published_test_loss": ".6g", "seconds": ".0f"}
    for metric in METRICS:
        formats |= {metric: ".4f", f"{metric}_filtered": ".4f"}
    rows = []
    for row in table.to_dict("records"):
        cells = {}
        for name, value in row.items():
            column = str(name)
            if pd.isna(value):
                cells[column] = _MISSING
            elif isinstance(value, str):
                cells[column] = value
            else:
                cells[column] = format(value, formats.get(column, ".0f"))
                if column.startswith("hr@10"):
                    cells[column] += _format_interval(value, row["test_rows"])
        if cells["outcome"] not in {"trained", _MISSING}:
            cells["outcome"] = "diverged"
        elif cells["same_as"] != _MISSING:
            cells["outcome"] = f"same as {cells['same_as']}"
        rows.append(cells)
    return rows


def format_page(
    table: pd.DataFrame, dataset: str, protocol: str, seed: int, n_test_rows: int, n_items: int
) -> str:
    """Format the table as Markdown, with a description of the data.

    Args:
        table: table of :func:`make_variant_table`.
        dataset: name of the data set.
        protocol: the protocol.
        seed: seed of the trainings.
        n_test_rows: number of test rows.
        n_items: size of the catalogue.
    """
    description = (
        f"{dataset}, {protocol}, {n_test_rows:,} test rows, full catalogue of {n_items:,} items, "
        f"seed {seed}."
    )
    if protocol == "shuffled_windows":
        description += (
            " The protocol is leaky: windows of one customer are in training and in test. Do not "
            "compare these figures with those of other protocols."
        )
    else:
        description += " The published figures are for shuffled_windows."
    lines = [
        description,
        "",
        f"| {' | '.join(COLUMN_LABELS.values())} |",
        "|" + "|".join("---" if name in TEXT_COLUMNS else "---:" for name in COLUMN_LABELS) + "|",
        *(f"| {' | '.join(row[name] for name in COLUMN_LABELS)} |" for row in format_cells(table)),
    ]
    for note in [INTERVAL_NOTE, *describe_divergence(table)]:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def describe_divergence(table: pd.DataFrame) -> list[str]:
    """Describe in a sentence how each diverged network diverged.

    Args:
        table: table of :func:`make_variant_table`, possibly loaded from its file.
    """
    return [
        f"Network {cells['number']}: {row['outcome'].removesuffix('.')}."
        for row, cells in zip(table.to_dict("records"), format_cells(table), strict=True)
        if cells["outcome"] == "diverged"
    ]


def _select_figures(test: Result | None) -> dict[str, float | None]:
    test = test or {"unfiltered": {}, "filtered": {}}
    return {
        "test_loss": test.get("loss"),
        "mae": test.get("mae"),
        "mse": test.get("mse"),
        **{metric: test["unfiltered"].get(metric) for metric in METRICS},
        **{f"{metric}_filtered": test["filtered"].get(metric) for metric in METRICS},
    }


def _format_interval(share: float, n_rows: int) -> str:
    test = stats.binomtest(round(share * n_rows), n_rows)
    low, high = test.proportion_ci(0.95, method="wilson")
    return f" [{low:.4f}, {high:.4f}]"
