"""What a run prints at its end."""

from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from bazar.config.data import Protocol
from bazar.reporting.console import print_outputs, print_reproduction, print_summary
from tests.reporting.report_data import (
    keep_models,
    make_examples,
    make_metrics,
    make_order_examples,
    make_repeat_metrics,
    make_reproduction,
)

REPORT = Path("/data/08_reporting/shop/report.html")


def print_to_text(metrics: dict[str, Any] | None = None, width: int = 120, **arguments: Any) -> str:
    console = Console(record=True, width=width, force_terminal=False)
    examples = arguments.pop("examples", make_examples())
    print_summary(metrics or make_metrics(), examples, REPORT, console=console, **arguments)
    return console.export_text()


def test_summary_starts_with_the_verdict() -> None:
    text = print_to_text().strip()
    assert text.startswith("Use the classifier: about 3 in 10 customers see")
    metrics = make_metrics()
    metrics["models"]["regressor"]["validation_ndcg@10"] = 0.9
    assert "models: [regressor, classifier, last_item_cooccurrence]" in print_to_text(metrics)


@pytest.mark.parametrize("width", [50, 80, 120])
def test_summary_fits_the_terminal(width: int) -> None:
    text = print_to_text(width=width, env="my_shop")
    flat = " ".join(text.split())
    assert "kedro recommend --env my_shop --user ID" in flat
    for part in ("Classifier", "0.3000", "Oat Cleanser", "(no title) 0206", "[red]"):
        assert part in flat
    assert "<- bought next" in flat
    assert str(REPORT) in text
    assert "leaky" not in text
    commands = (str(REPORT), ".venv/bin/kedro")
    for line in text.splitlines():
        assert len(line) <= width or line.strip().startswith(commands)


def test_summary_names_the_columns_that_do_not_fit() -> None:
    wide, narrow = print_to_text(width=120), print_to_text(width=50)
    assert "0.2900-0.3100" in wide
    assert "Hidden columns" not in wide
    assert "0.2900-0.3100" not in narrow
    hint = " ".join(narrow.split())
    assert (
        "The terminal is too narrow. Hidden columns: 95% interval, NDCG@10, HR@1. "
        "Use a wider terminal." in hint
    )
    assert "Last-item co-occurrence" in narrow


def test_summary_sorts_models_by_validation() -> None:
    metrics = make_metrics()
    metrics["models"]["nearest_titles"]["validation_ndcg@10"] = 0.99
    metrics["models"]["popularity"]["validation_ndcg@10"] = None
    lines = [line.split() for line in print_to_text(metrics).splitlines()]
    names = ["Nearest", "Classifier", "Last-item", "Regressor", "Popularity"]
    first_words = [line[0] for line in lines if len(line) > 5 and line[0] in names]
    assert first_words == names


def test_summary_shows_whether_the_target_is_found() -> None:
    assert "bought next has rank 1." in print_to_text(width=200)
    metrics = keep_models(make_metrics(), "regressor", "popularity")
    assert "has rank 17.5: it is not among the ten." in print_to_text(metrics, width=200)


def test_summary_shows_repeats_and_several_targets() -> None:
    text = print_to_text(
        make_repeat_metrics(with_oracle=True), width=140, examples=make_order_examples()
    )
    lines = [line.split() for line in text.splitlines()]
    heading = next(line for line in lines if line[:1] == ["model"])
    assert heading[-5:] == ["Recall@10", "NDCG@10", "repeat", "explore", "HR@1"]
    first, second = (lines[lines.index(heading) + row] for row in (2, 3))
    assert first[:4] == ["Oracle", "(knows", "the", "generator)"]
    assert second == [
        "Classifier", "0.1500", "0.1500", "0.1400-0.1600", "0.0500", "0.0750", "0.1125", "0.0375",
        "0.0750",
    ]  # fmt: skip
    flat = " ".join(text.split())
    assert "next order, seen items not filtered: 1,100 test rows, 2,000 targets" in flat
    assert "repeat: NDCG@10 for products that the customer bought before." in flat
    assert "Oracle (knows the generator): the best possible result." in flat
    assert "(bought before)" in flat
    assert "2 of the 3 products bought next are among the ten." in flat
    plain = print_to_text(width=140)
    for word in ("Recall@10", "explore:", "Oracle", "targets,"):
        assert word not in plain


@pytest.mark.parametrize("width", [50, 80])
def test_wide_summary_fits_the_terminal(width: int) -> None:
    metrics = make_repeat_metrics(with_oracle=True)
    text = print_to_text(metrics, width, examples=make_order_examples())
    commands = (str(REPORT), ".venv/bin/kedro")
    for line in text.splitlines():
        assert len(line) <= width or line.strip().startswith(commands)


def test_summary_works_without_models_and_examples() -> None:
    empty = make_examples(models=[], examples=[], searchable={"products": [], "customers": []})
    text = print_to_text(keep_models(make_metrics()), examples=empty)
    assert "No model has been measured yet." in text


def test_summary_names_outdated_models() -> None:
    text = print_to_text(make_metrics(changes={"outdated_models": ["model_i", "ease"]}))
    assert "Left out, measured on other data: Model I (reproduction), EASE." in text


def test_next_command_is_of_the_same_run() -> None:
    given = {"seed": 7, "split": "temporal", "raw_dir": "elsewhere"}
    text = print_to_text(env="shop", given=given, width=500)
    assert "kedro recommend --env shop --seed 7 --split temporal --user ID" in text
    assert "kedro viz run --env shop" in text


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_other_protocols_are_not_comparable_with_leave_one_out(protocol: str) -> None:
    text = print_to_text(make_metrics(protocol), width=500)
    assert ("Do not compare these results" in text) == (protocol != "leave_one_out")
    assert ("shuffled_windows is leaky" in text) == (protocol == "shuffled_windows")


def test_reproduction_table_fits_the_terminal() -> None:
    columns = (
        "number", "network", "published_test_loss", "published_test_metric", "epochs", "test_loss",
        "mae", "mse", "hr@10", "ndcg@10", "outcome",
    )  # fmt: skip
    rows = [dict.fromkeys(columns, "–") | row for row in make_reproduction().rows]
    texts = {}
    for width in (80, 160):
        console = Console(record=True, width=width)
        print_reproduction(rows, Path("/data/page.md"), "leave_one_out", console)
        texts[width] = console.export_text()
        assert max(len(line) for line in texts[width].splitlines()) <= width
        assert "0.5000 [0.4705, 0.5295]" in texts[width]
    assert "Hidden columns" in texts[80]
    assert "Hidden columns" not in texts[160]
    assert "another protocol than leave_one_out" in " ".join(texts[160].split())


def test_written_files_are_listed() -> None:
    console = Console(record=True, width=40)
    files = {"sequences": Path("/a/long/path/to/a/file/sequences.parquet")}
    print_outputs(files, "my_shop", console)
    text = console.export_text()
    assert "sequences: /a/long/path/to/a/file/sequences.parquet" in text
    assert "kedro run --env my_shop" in " ".join(text.split())


def test_paths_and_names_may_have_any_characters(capsys: pytest.CaptureFixture[str]) -> None:
    path, env = Path("/my [old] data/:car:/report.html"), "my [shop]"
    examples = make_examples()
    for example in examples["examples"]:
        example["user_id"] = "[b]:car:\n"
        example["targets"][0]["title"] = "a\nb[/]"
    print_outputs({"bundle": path}, env)
    print_summary(make_metrics(), examples, path, env)
    printed = capsys.readouterr().out
    assert printed.count(str(path)) == 2
    assert "kedro run --env 'my [shop]'" in printed
    assert "kedro recommend --env 'my [shop]' --user ID" in printed
    assert r"Customer [b]:car:\n" in printed
    assert r"a\nb[/]" in printed
