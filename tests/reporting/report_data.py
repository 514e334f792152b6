"""Input of the report, as small as it can be."""

from functools import cache
from html.parser import HTMLParser
from typing import Any

import pandas as pd

from bazar.reporting.page import ReproductionTable, render_report

MODELS = ["classifier", "regressor", "popularity", "last_item_cooccurrence", "nearest_titles"]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & Rose [red]"
_METRICS = (
    "hr@1", "hr@5", "hr@20", "recall@5", "recall@20", "ndcg@5", "ndcg@10", "ndcg@20", "mrr@20",
    "coverage@10", "novelty@10",
)  # fmt: skip


def make_slice(label: str, rows: int, rate: float) -> dict[str, Any]:
    ends = [max(0.0, rate - 0.02), rate + 0.02]
    return {"label": label, "rows": rows, "hr@10": rate, "ndcg@10": rate / 2, "hr@10_ci95": ends}


def make_part(rate: float) -> dict[str, Any]:
    """Results of a model for repeats or for other targets, with an HR@10 of ``rate``."""
    estimates = {"hr@10": rate, "recall@10": rate / 3, "ndcg@10": rate / 2}
    intervals = {f"{name}_ci95": [value - 0.01, value + 0.01] for name, value in estimates.items()}
    return {"rows": 300, "targets": 400, **estimates, **intervals}


def make_results(rate: float, trained: bool) -> dict[str, Any]:
    """Results of a model with a filtered HR@10 of ``rate`` and an unfiltered one of half of it."""

    def measure(rate: float) -> dict[str, Any]:
        return {
            **dict.fromkeys(_METRICS, rate / 2),
            "hr@10": rate,
            "hr@10_ci95": [rate - 0.01, rate + 0.01],
            "recall@10": rate / 3,
            "recall@10_ci95": [rate / 3 - 0.01, rate / 3 + 0.01],
            "repeat": None,
            "explore": make_part(rate),
            "new_day": None,
            "ndcg@10_ci95": [rate / 2 - 0.01, rate / 2 + 0.01],
            "by_history_length": [make_slice("1–2", 700, rate), make_slice("21+", 400, rate / 4)],
            "by_target_popularity": [
                make_slice("0 (cold)", 100, 0.0), make_slice("50+", 1000, rate),
            ],
        }  # fmt: skip

    facts = {
        "seconds_training": 61.4, "n_parameters": 12345, "best_epoch": 2,
        "description": "cross-entropy, up to 9 epochs",
    }  # fmt: skip
    epochs = [
        {"epoch": 1, "loss": 2.0, "val_loss": 1.5},
        {"epoch": 2, "loss": 1.0, "val_loss": 1.7},
    ]
    return {
        "filtered": measure(rate),
        "unfiltered": measure(rate / 2),
        "validation_ndcg@10": rate / 2,
        "training": facts if trained else None,
        "training_log": epochs if trained else None,
    }


def make_metrics(
    protocol: str = "leave_one_out", changes: dict[str, Any] | None = None, **hit_rates: float
) -> dict[str, Any]:
    """Metrics of five models; validation prefers the models in the order of their HR@10."""
    rates = dict(zip(MODELS, (0.30, 0.20, 0.02, 0.25, 0.10), strict=True)) | hit_rates
    return {
        "dataset": "shop", "protocol": protocol, "n_users": 1200, "n_items": 345,
        "n_interactions": 6789, "n_test_rows": 1100, "n_test_targets": 1100, "repeat_share": 0.01,
        "repeats": None, "filter_mode": "filtered", "n_new_day_rows": 0,
        "split_description": "each customer's last purchase is test",
        "sequences_description": "history_length 20", "embedding_description": "some-encoder",
        "bootstrap_resamples": 1000, "outdated_models": [], "filter_seen": True,
        "recommendation_models": ["classifier", "last_item_cooccurrence"],
        "models": {
            model: make_results(rate, model in ("classifier", "regressor", "blend"))
            for model, rate in rates.items()
        },
    } | (changes or {})  # fmt: skip


def make_repeat_metrics(with_oracle: bool = False, **changes: Any) -> dict[str, Any]:
    """Metrics with 2,000 targets of 1,100 rows, of which a half are repeats."""
    metrics = make_metrics(
        "next_order",
        {
            "n_test_targets": 2000, "repeat_share": 0.5, "filter_mode": "unfiltered",
            "filter_seen": False,
            "repeats": {
                "targets": 2000, "repeats": 1000,
                "by_category": [
                    {"category": "Skin <b>Care", "targets": 1500, "repeats": 900},
                    {"category": "no category", "targets": 500, "repeats": 100},
                ],
                "gaps": {
                    "unit": "days", "n_gaps": 60, "median": 29.5,
                    "counts": {"under 1": 10, "14–29": 20, "30–59": 30},
                },
            },
        } | changes,
    )  # fmt: skip
    if with_oracle:
        metrics["models"]["oracle"] = make_results(0.4, trained=False)
        metrics["models"]["oracle"]["validation_ndcg@10"] = None
    for results in metrics["models"].values():
        rate = results["unfiltered"]["hr@10"]
        results["unfiltered"] |= {"repeat": make_part(rate * 1.5), "explore": make_part(rate / 2)}
        results["filtered"] |= {"repeat": make_part(0.0)}
    return metrics


def keep_models(metrics: dict[str, Any], *models: str) -> dict[str, Any]:
    return metrics | {"models": {model: metrics["models"][model] for model in models}}


def make_product(item_id: str, title: str | None, timestamp: int | None = None) -> dict[str, Any]:
    return {"item_id": item_id, "title": title, "timestamp": timestamp}


def make_item(rank: int, item_id: str, title: str | None, is_target: bool) -> dict[str, Any]:
    return {
        "rank": rank, "item_id": item_id, "title": title, "score": 0.5, "is_target": is_target,
    }  # fmt: skip


def make_examples(**changes: Any) -> dict[str, Any]:
    """One example; searchable customers: hit, miss, hostile id, bought before, three targets."""
    products = [
        ["01", "Oat Cleanser"], ["0205", EVIL], ["0206", None], ["0207", "Rose Oil"],
    ]  # fmt: skip
    customers = [
        ["U1", 0, [[0, 18518], [3, None]], [[1, None, False]], [[[1.0], [1, 2]], [[17.5], [2, 3]]]],
        ["U2", 12, [[0, 18518]], [[2, 18519, False]], [[[40.0], [0, 1]], [[17.5], [0, 3]]]],
        [EVIL, 0, [[1, 18518]], [[3, 18519, False]], [[[2.0], [0, 3]], [[1.0], [3]]]],
        ["W1", 0, [[3, 18518]], [[3, 18519, True]], [[[345.0], [0, 1]], [[345.0], [0, 1]]]],
        [
            "X1",
            0,
            [[3, 18518]],
            [[3, 18519, True], [0, 18519, False], [2, 18519, False]],
            [[[1.0, 2.0, 40.0], [3, 0]], [[50.0, 60.0, 70.0], [1]]],
        ],
    ]
    return {
        "seen_items": "filtered",
        "models": ["classifier", "regressor"],
        "n_customers": 1100,
        "examples": [
            {
                "user_id": "U1",
                "purchases": [
                    make_product("01", "Oat Cleanser", 1_600_000_000_000),
                    make_product("0206", None),
                ],
                "targets": [make_product("0205", EVIL) | {"is_repeat": False}],
                "target_ranks": {"classifier": [1.0], "regressor": [17.5]},
                "recommendations": {
                    "classifier": [
                        make_item(1, "0205", EVIL, is_target=True),
                        make_item(2, "0206", None, is_target=False),
                    ],
                    "regressor": [make_item(1, "0206", None, is_target=False)],
                },
            }
        ],
        "searchable": {"products": products, "customers": customers},
    } | changes


def make_order_examples() -> dict[str, Any]:
    """The examples, with two more targets: a repeat that one model finds, and a miss."""
    examples = make_examples(seen_items="unfiltered")
    (card,) = examples["examples"]
    card["targets"] += [
        make_product("0206", None) | {"is_repeat": True},
        make_product("0207", "Rose Oil") | {"is_repeat": False},
    ]
    card["target_ranks"] = {"classifier": [1.0, 2.0, 30.0], "regressor": [17.5, 1.0, 300.0]}
    for items in card["recommendations"].values():
        items[:] = [item | {"is_target": item["item_id"] in ("0205", "0206")} for item in items]
    return examples


def make_title_map(**changes: Any) -> pd.DataFrame:
    columns = {
        "item_id": ["01", "02", "03"],
        "title": ["Oat Cleanser", "Rose Cleanser", EVIL],
        "category": pd.array(["Skin Care", "Skin Care", None], dtype="str"),
        "x": [0.0, 0.5, 2.0],
        "y": [0.0, 0.5, 2.0],
    }
    return pd.DataFrame(columns | changes)


def make_reproduction() -> ReproductionTable:
    return ReproductionTable(
        headings={"number": "#", "network": "network", "hr@10": "HR@10", "outcome": "outcome"},
        text_columns=frozenset({"network", "outcome"}),
        rows=[
            {"number": "2", "network": "Network 2", "hr@10": "0.5000 [0.4705, 0.5295]",
             "outcome": "trained"},
            {"number": "–", "network": EVIL, "hr@10": "0.0100", "outcome": "–"},
        ],
        notes=[f"Network 13: diverged {EVIL}."],
    )  # fmt: skip


def render_page(**changes: Any) -> str:
    """Render the report of :func:`make_metrics` and :func:`make_examples` with some changes."""
    counts = {"read_as": ["interactions"], "source_file": ["reviews"]}
    content: dict[str, Any] = {
        "metrics": make_metrics(),
        "examples": make_examples(),
        "ingestion_summary": {
            "rejects": pd.DataFrame(
                counts | {"reason": ["broken JSON"], "count": [14], "examples": [[EVIL]]}
            ),
            "counts": pd.DataFrame(
                counts | {"rows_read": [7000], "rows_kept": [6986], "rows_rejected": [14]}
            ),
        },
        "joining_summary": {
            "counts": pd.DataFrame({"step": ["accepted"], "interactions": [6986], "users": [1300]}),
            "title_coverage": pd.DataFrame(
                {
                    "title_source": ["meta", "unknown product"],
                    "products": [340, 5],
                    "interactions": [6700, 89],
                    "examples": [["B01"], ["B0UNKNOWN1"]],
                }
            ),
        },
        "title_map": make_title_map(),
        "reproduction": None,
    }
    return render_report(**content | changes)


@cache
def render_plain_page() -> str:
    """Render the report without changes, once: drawing takes a while."""
    return render_page()


class ParsedPage(HTMLParser):
    """Text, tags, ids, links, scripts and table rows of a page.

    ``text`` leaves out what scripts contain. ``marked`` lists the texts of elements of class
    ``hit``.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.ids, self.loads = "", list[str](), list[str](), list[str]()
        self.rows, self.attributes = list[list[str]](), list[str]()
        self.scripts, self.script_types = list[str](), list[str | None]()
        self.marked, self._open_marks = list[str](), list[bool]()
        self._in_cell = False
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        values = dict(attrs)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        if tag == "script":
            self._in_script = True
            self.scripts.append("")
            self.script_types.append(values.get("type"))
        if tag == "span":
            self._open_marks.append("hit" in (values.get("class") or "").split())
            if self._open_marks[-1]:
                self.marked.append("")
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and value:
                self.loads.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
            self.rows[-1][-1] = " ".join(self.rows[-1][-1].split())
        if tag == "script":
            self._in_script = False
        if tag == "span":
            self._open_marks.pop()

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
            return
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data
        if self._open_marks and self._open_marks[-1]:
            self.marked[-1] += data
