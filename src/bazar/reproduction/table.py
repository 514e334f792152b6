"""The figures of the report's Table 1 and ours, side by side."""

import logging
from typing import Any

import pandas as pd
from scipy import stats

from bazar.config.reproduction import ReproductionVariant, ReproductionVariants
from bazar.errors import InputError

logger = logging.getLogger(__name__)

Result = dict[str, Any]

METRICS = ("hr@1", "hr@10", "ndcg@10")
INTERVALS = (
    "In brackets, the 95% interval of HR@10: Wilson's, of a share, as if test rows were "
    "independent of each other."
)
MEAN_TITLE = "always the mean title vector"
COLUMNS = {
    "number": "#",
    "network": "network",
    "report_epochs": "report: epochs",
    "report_batch_size": "batch",
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
    "hr@1_masked": "filtered: HR@1",
    "hr@10_masked": "HR@10",
    "ndcg@10_masked": "NDCG@10",
    "seconds": "seconds",
    "outcome": "outcome",
}
TEXTS = {"network", "published_test_metric", "loss", "outcome"}


def key_of(network: ReproductionVariant) -> str:
    """Name of a network's result, such that names sort as numbers do."""
    return f"{network.number:02}"


def tabulate(
    networks: ReproductionVariants,
    results: dict[str, Result],
    mean_title: Result,
    n_test_rows: int,
    n_items: int,
) -> pd.DataFrame:
    """Put the report's figures and ours side by side.

    Args:
        networks: the networks.
        results: what :func:`~bazar.reproduction.train_networks` gave, now and earlier.
        mean_title: what :func:`~bazar.reproduction.measure_mean_title` gave.
        n_test_rows: rows measured on.
        n_items: size of the catalogue that is ranked.

    Returns:
        One row per network, then one of the mean title vector. Columns ``number, network``, the
        report's ``report_epochs, report_batch_size, published_test_loss, published_test_metric``, ours
        ``outcome, same_as`` (the number of an earlier network that is the same), ``epochs,
        batch_size, loss`` (its name), ``test_loss, mae, mse``, each of :data:`METRICS` unfiltered and
        with ``_masked``, ``n_parameters, seconds``, and ``test_rows, items``, the sizes of the data
        that were given. What is not there is missing.

    Raises:
        InputError: if a network has no result, or that of another block.
    """
    rows: list[dict[str, Any]] = []
    first_with: dict[str, int] = {}
    for network in networks.root:
        result = results.get(key_of(network))
        if result is None or result["network"] != network.network.model_dump(mode="json"):
            raise InputError(
                f"reproduction: network {network.number} ({network.name}) has no result, or it "
                "changed since\nRun the pipeline reproduction again: it trains what is missing"
            )
        first = first_with.setdefault(result["fingerprint"], network.number)
        training = network.network.training
        rows.append(
            {
                "number": network.number,
                "network": network.name,
                **{f"report_{name}": value for name, value in network.published},
                "outcome": result["outcome"],
                "same_as": first if first != network.number else None,
                "epochs": result.get("epochs"),
                "batch_size": training.batch_size,
                "loss": training.loss,
                **_figures(result.get("test")),
                "n_parameters": result.get("n_parameters"),
                "seconds": result.get("seconds"),
            }
        )
    rows.append({"network": MEAN_TITLE, "loss": "mse", **_figures(mean_title)})
    whole = ["number", "report_epochs", "report_batch_size", "same_as", "epochs", "batch_size"]
    table = pd.DataFrame(rows).astype(dict.fromkeys([*whole, "n_parameters"], "Int64"))
    return table.assign(test_rows=n_test_rows, items=n_items)


def select_same_data(table: pd.DataFrame, n_test_rows: int, n_items: int) -> pd.DataFrame:
    """Leave out a table that was measured on other data, and log that it was.

    It is refused nowhere: the networks are an extra, and a run without them is whole.

    Args:
        table: what :func:`tabulate` gave, read back from a file; without rows if there is none.
        n_test_rows: rows of the test part now.
        n_items: size of the catalogue now.

    Returns:
        The table, or one without rows.
    """
    if table.empty or (
        {"test_rows", "items"} <= set(table)
        and (table["test_rows"] == n_test_rows).all()
        and (table["items"] == n_items).all()
    ):
        return table
    logger.warning(
        "the table of the report's networks is of other data than there is now, and is left out: "
        "run the pipeline reproduction again"
    )
    return table.head(0)


def _figures(test: Result | None) -> dict[str, float | None]:
    test = test or {"unfiltered": {}, "filtered": {}}
    return {
        "test_loss": test.get("loss"),
        "mae": test.get("mae"),
        "mse": test.get("mse"),
        **{metric: test["unfiltered"].get(metric) for metric in METRICS},
        **{f"{metric}_masked": test["filtered"].get(metric) for metric in METRICS},
    }


def cells(table: pd.DataFrame) -> list[dict[str, str]]:
    """Write the figures of each row as people read them.

    Args:
        table: what :func:`tabulate` gave, or read back from a file.

    Returns:
        A text for each column, ``–`` where there is nothing; HR@10 with the interval of
        :data:`INTERVALS`. ``outcome`` is ``trained``, ``same as <number>`` or ``diverged``.
    """
    formats = {
        "published_test_loss": ".6g", "test_loss": ".4g", "mae": ".4g", "mse": ".4g", "seconds": ".0f",
        **{f"{metric}{suffix}": ".4f" for metric in METRICS for suffix in ("", "_masked")},
    }  # fmt: skip
    written = []
    for row in table.to_dict("records"):
        texts = {}
        for name, value in row.items():
            if pd.isna(value):
                texts[str(name)] = "–"
            elif isinstance(value, str):
                texts[str(name)] = value
            else:
                texts[str(name)] = format(value, formats.get(str(name), ".0f"))
            if str(name).startswith("hr@10") and not pd.isna(value):
                texts[str(name)] += _interval(value, row["test_rows"])
        if texts["outcome"] not in {"trained", "–"}:
            texts["outcome"] = "diverged"
        elif texts["same_as"] != "–":
            texts["outcome"] = f"same as {texts['same_as']}"
        written.append(texts)
    return written


def _interval(share: float, n_rows: int) -> str:
    measured = stats.binomtest(round(share * n_rows), n_rows)
    low, high = measured.proportion_ci(0.95, method="wilson")
    return f" [{low:.4f}, {high:.4f}]"


def page(
    table: pd.DataFrame, dataset: str, split: str, seed: int, n_test_rows: int, n_items: int
) -> str:
    """Write the table as Markdown, and say what it is of.

    Args:
        table: what :func:`tabulate` gave.
        dataset: name of the data set.
        split: the protocol.
        seed: seed of the training.
        n_test_rows: rows measured on.
        n_items: size of the catalogue that is ranked.
    """
    lines = [
        f"{dataset}, {split}, {n_test_rows:,} test rows, full catalogue of {n_items:,} items, "
        f"seed {seed}.",
    ]
    if split == "shuffled_windows":
        lines[0] += (
            " The protocol is leaky: windows of one customer stand in training and test. Not to be "
            "compared with figures of other protocols."
        )
    else:
        lines[0] += " The report's figures are of shuffled_windows."
    lines += [
        "",
        f"| {' | '.join(COLUMNS.values())} |",
        "|" + "|".join("---" if name in TEXTS else "---:" for name in COLUMNS) + "|",
        *(f"| {' | '.join(row[name] for name in COLUMNS)} |" for row in cells(table)),
    ]
    for sentence in [INTERVALS, *diverged(table)]:
        lines += ["", sentence]
    return "\n".join(lines) + "\n"


def diverged(table: pd.DataFrame) -> list[str]:
    """Say of each network that diverged how it did.

    Args:
        table: what :func:`tabulate` gave, or read back from a file.
    """
    return [
        f"Network {texts['number']}: {row['outcome']}."
        for row, texts in zip(table.to_dict("records"), cells(table), strict=True)
        if texts["outcome"] == "diverged"
    ]
